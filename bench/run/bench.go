package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"leadstream/internal/realstack"
)

// bench is everything that the measurements share.
type bench struct {
	options
	bare     string // the binary
	topics   *topics
	schemaID int // of the bare program's schema
	empty    *linkedin
	running  sync.WaitGroup // processes
	closers  []func() error

	worlds, names int // how many there were, for names of their own
}

// prepare builds and starts what all measurements need.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.bare, err = build(ctx, "./bench/bare", b.dir); err != nil {
		return err
	}
	if b.leadstream == "" {
		if b.leadstream, err = build(ctx, "./cmd/leadstream", b.dir); err != nil {
			return err
		}
	}
	if b.kafka == "" {
		if err := b.startStack(ctx); err != nil {
			return err
		}
	}
	b.topics = newTopics(b.kafka)
	if b.schemaID, err = b.register(ctx); err != nil {
		return err
	}
	b.empty, err = b.newLinkedIn(ctx, 5, 0)
	return err
}

// startStack starts Kafka and the registry.
func (b *bench) startStack(ctx context.Context) error {
	jars, err := realstack.Jars()
	if err != nil {
		return err
	}
	dirs := map[string]string{}
	for _, name := range []string{"kafka", "registry"} {
		dirs[name] = filepath.Join(b.dir, name)
		if err := os.MkdirAll(dirs[name], 0o755); err != nil {
			return fmt.Errorf("making a directory: %w", err)
		}
	}
	broker, err := realstack.StartKafka(ctx, realstack.KafkaOptions{Jars: jars, Dir: dirs["kafka"]})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, broker.Stop)
	registry, err := realstack.StartRegistry(ctx, realstack.RegistryOptions{Jars: jars, Dir: dirs["registry"]})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, registry.Stop)
	b.kafka, b.registry = broker.Addr(realstack.PLAINTEXT), registry.URL()
	return nil
}

// close ends what is left, once the context of all that was launched has ended.
func (b *bench) close() error {
	b.running.Wait()
	var errs []error
	for _, c := range slices.Backward(b.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// register registers the schema of the bare program.
func (b *bench) register(ctx context.Context) (int, error) {
	schema, err := exec.CommandContext(ctx, b.bare, "-schema").Output()
	if err != nil {
		return 0, fmt.Errorf("asking the bare program for its schema: %w", err)
	}
	body, err := json.Marshal(map[string]string{"schema": string(schema)})
	if err != nil {
		return 0, fmt.Errorf("registering the bare program's schema: %w", err)
	}
	var answer struct{ ID int }
	err = ask(ctx, http.MethodPost, b.registry+"/subjects/bare-value/versions", bytes.NewReader(body), &answer)
	return answer.ID, err
}

// installation is a leadstream with a name, topics and a configuration of its own.
type installation struct {
	*bench
	name, config string
}

// install prepares an installation for the forms of the empty world: its
// topics and schemas are there, its checkpoint topic is there and has no
// record. prepared is the world to take the forms from.
func (b *bench) install(ctx context.Context, prepared *linkedin) (*installation, error) {
	b.names++
	name := "bench-" + strconv.Itoa(b.names)
	i := &installation{bench: b, name: name, config: filepath.Join(b.dir, name+".yaml")}
	text := fmt.Sprintf("name: %s\nkafka:\n  brokers: [%q]\n  topic_prefix: %s.\nregistry:\n  url: %s\n", name, b.kafka, name, b.registry) +
		"http:\n  listen: 127.0.0.1:0\nlog:\n  format: json\nlinkedin:\n  client_id: " +
		linkedinClient + "\n  client_secret: " + linkedinSecret + "\n"
	if err := os.WriteFile(i.config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("writing a configuration: %w", err)
	}
	if _, err := i.finish(ctx, prepared, "run", "--once"); err != nil {
		return nil, err
	}
	return i, nil
}

// reset removes all progress, so that the next start is a first one.
func (i *installation) reset(ctx context.Context) error {
	_, err := i.finish(ctx, i.empty, "checkpoints", "reset", "--all")
	return err
}

// begin starts a command of the installation against a world.
func (i *installation) begin(ctx context.Context, l *linkedin, env []string, args ...string) (*process, error) {
	env = append([]string{"LEADSTREAM_LINKEDIN_API_URL=" + l.url, "LEADSTREAM_LINKEDIN_AUTH_URL=" + l.url, "LEADSTREAM_TOKEN_FILE=" + l.token}, env...)
	return i.launch(ctx, env, i.leadstream, append(args, "-c", i.config)...)
}

// finish runs a command that ends by itself.
func (i *installation) finish(ctx context.Context, l *linkedin, args ...string) (usage, error) {
	p, err := i.begin(ctx, l, nil, args...)
	if err != nil {
		return usage{}, err
	}
	return p.wait()
}

// remove deletes the installation's topics.
func (i *installation) remove(ctx context.Context) error { return i.topics.remove(ctx, i.name+".") }
