package realstack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
)

// RegistryOptions says where a registry runs.
type RegistryOptions struct {
	Jars string // directory of EnvJars
	Dir  string // for the log; exists
	// Properties are further system properties of the registry.
	Properties map[string]string
}

// Registry is an Apicurio Registry that keeps its schemas in memory: they are
// gone when it is stopped. See Start, Stop, Kill and Restart, which it has from
// its process.
type Registry struct {
	process
	base string
}

// URL is where its API in the style of Confluent begins.
func (r *Registry) URL() string { return r.base + "/apis/ccompat/v7" }

// NewRegistry finds the jars and a Java for them. Start starts it.
func NewRegistry(o RegistryOptions) (*Registry, error) {
	bin, err := java(21)
	if err != nil {
		return nil, fmt.Errorf("for Apicurio Registry 3: %w", err)
	}
	runners, err := filepath.Glob(filepath.Join(o.Jars, "apicurio", "*", "quarkus-run.jar"))
	if err != nil || len(runners) != 1 {
		return nil, fmt.Errorf("%s holds %d unpacked registries (apicurio/*/quarkus-run.jar), wanted 1: run .ci/stack %s", o.Jars, len(runners), o.Jars)
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	args := []string{"-Xmx512m",
		"-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.port=" + strconv.Itoa(ports[0]),
		"-Dquarkus.management.host=127.0.0.1", "-Dquarkus.management.port=" + strconv.Itoa(ports[1])}
	for key, value := range o.Properties {
		args = append(args, "-D"+key+"="+value)
	}
	args = append(args, "-jar", runners[0])
	r := &Registry{base: "http://127.0.0.1:" + strconv.Itoa(ports[0])}
	r.process = process{
		name: "registry", dir: o.Dir,
		command: func() *exec.Cmd { return exec.Command(bin, args...) },
		ready:   r.answers,
	}
	return r, nil
}

// StartRegistry is NewRegistry and Start. One that ends at once is started again on other
// ports: between the look for a free one and its use somebody else may have taken it.
func StartRegistry(ctx context.Context, o RegistryOptions) (*Registry, error) {
	for left := 2; ; left-- {
		r, err := NewRegistry(o)
		if err != nil {
			return nil, err
		}
		if err = r.Start(ctx); !errors.Is(err, errEnded) || left == 0 {
			return r, err
		}
	}
}

func (r *Registry) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL()+"/subjects", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New("it answers with " + res.Status)
	}
	return nil
}
