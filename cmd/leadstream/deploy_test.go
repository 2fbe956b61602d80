package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"leadstream/config"
	"leadstream/internal/oauth"
)

// loadDeployed loads the configuration that a deployment gives the program: a
// file and an environment, whose names for files of secrets get stand-ins.
func loadDeployed(t *testing.T, file string, env map[string]string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	secret, path := filepath.Join(dir, "secret"), filepath.Join(dir, "leadstream.yaml")
	for name, content := range map[string]string{secret: "example", path: file} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var environ []string
	for name, value := range env {
		if strings.HasSuffix(name, "_FILE") && name != "LEADSTREAM_TOKEN_FILE" {
			value = secret
		}
		environ = append(environ, name+"="+value)
	}
	c, warnings, err := config.Load(config.LoadOptions{
		Path: path, Environ: environ, Require: []string{"linkedin.client_id", "linkedin.client_secret", "registry.url"},
	})
	if err != nil {
		t.Fatalf("%v in\n%s", err, file)
	}
	for _, w := range warnings {
		if strings.HasPrefix(w.Key, "LEADSTREAM_") {
			t.Errorf("the deployment sets what is no setting: %s", w)
		}
	}
	return c
}

// chartObject is as much of a rendered manifest as these tests look at.
type chartObject struct {
	Kind string
	Data map[string]string
	Spec struct {
		Template struct {
			Spec struct {
				Containers []struct {
					Args  []string
					Env   []struct{ Name, Value string }
					Ports []struct {
						Name          string
						ContainerPort string `yaml:"containerPort"`
					}
				}
			}
		}
	}
}

// The chart is rendered, and its manifests are checked, by the tests in deploy;
// here what came of it meets the program.
func TestChartFitsTheProgram(t *testing.T) {
	paths, err := filepath.Glob(repository + "/deploy/testdata/chart/*.golden.yaml")
	if err != nil || len(paths) < 3 {
		t.Fatalf("%d rendered charts: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var file string
			var pod chartObject
			for decoder := yaml.NewDecoder(strings.NewReader(string(text))); ; {
				var o chartObject
				if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				switch o.Kind {
				case "ConfigMap":
					file = o.Data["leadstream.yaml"]
				case "Deployment":
					pod = o
				}
			}
			if len(pod.Spec.Template.Spec.Containers) != 1 {
				t.Fatal("there is not one container")
			}
			c := pod.Spec.Template.Spec.Containers[0]
			checkArguments(t, path, c.Args)
			env := map[string]string{}
			for _, e := range c.Env {
				env[e.Name] = e.Value
			}
			got := loadDeployed(t, file, env)
			for _, p := range c.Ports {
				want := map[string]string{"http": got.HTTP.Listen, "webhook": got.Webhook.Listen}[p.Name]
				if want != "0.0.0.0:"+p.ContainerPort {
					t.Errorf("port %s is %s, the program listens on %s", p.Name, p.ContainerPort, want)
				}
			}
		})
	}
}

// directives are those of a systemd unit, in order.
func directives(t *testing.T, path string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	section := ""
	for line := range strings.Lines(read(t, path)) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = line
		case !ok || section == "":
			t.Errorf("%s: %q is no directive", path, line)
		default:
			found[name] = append(found[name], value)
		}
	}
	return found
}

func TestUnitFitsTheProgram(t *testing.T) {
	unit := directives(t, "deploy/systemd/leadstream.service")
	if len(unit["ExecStart"]) != 1 {
		t.Fatalf("ExecStart = %v", unit["ExecStart"])
	}
	args := strings.Fields(unit["ExecStart"][0])
	if filepath.Base(args[0]) != "leadstream" {
		t.Errorf("it starts %s", args[0])
	}
	checkArguments(t, "unit", args[1:])
	env, credentials := map[string]string{}, map[string]bool{}
	for _, c := range unit["LoadCredential"] {
		name, _, _ := strings.Cut(c, ":")
		credentials[name] = true
	}
	for _, e := range unit["Environment"] {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
		if file, ok := strings.CutPrefix(value, "%d/"); ok && !credentials[file] {
			t.Errorf("%s names the credential %s, which is not loaded", name, file)
		}
	}
	c := loadDeployed(t, "linkedin: {client_id: my-app}\nregistry: {url: \"http://registry:8081\"}\n", env)
	if want := "%S/" + unit["StateDirectory"][0]; filepath.Dir(c.Token.File) != want {
		t.Errorf("the tokens go to %s, and only %s can be written to", c.Token.File, want)
	}
	if got := unit["RestartPreventExitStatus"]; len(got) != 1 || got[0] != "2" || exitUsage != 2 {
		t.Errorf("RestartPreventExitStatus = %v, want the exit code of a wrong setting", got)
	}
}

func TestUnitHasNoRightsItDoesNotNeed(t *testing.T) {
	unit := directives(t, "deploy/systemd/leadstream.service")
	for name, want := range map[string]string{
		"DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
		"PrivateDevices": "yes", "CapabilityBoundingSet": "", "MemoryDenyWriteExecute": "yes", "RestrictNamespaces": "yes",
		"RestrictAddressFamilies": "AF_INET AF_INET6", "UMask": "0077", "StateDirectoryMode": "0700", "LimitCORE": "0", "KeyringMode": "private",
	} {
		if got := unit[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s = %v, want %q", name, got, want)
		}
	}
	secret := regexp.MustCompile(`(?i)(secret|passphrase|password)=\S`)
	for _, e := range unit["Environment"] {
		if secret.MatchString(e) {
			t.Errorf("the environment holds a secret: %s", e)
		}
	}
}

// graces are how a deployment says how long the program may take to stop.
var graces = regexp.MustCompile(`(?m)(?:terminationGracePeriodSeconds: |stop_grace_period: |TimeoutStopSec=|Give it )(\d+)`)

// A program that is killed while LinkedIn replaces its refresh token has lost the
// consent.
func TestEveryDeploymentLetsARenewalOfTheTokensFinish(t *testing.T) {
	const slack = 5 * time.Second // for what comes after the renewal
	paths, err := filepath.Glob(repository + "/deploy/testdata/chart/*.golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	paths = append(paths, repository+"/deploy/helm/leadstream/templates/deployment.yaml", repository+"/deploy/kubernetes-sidecar.yaml",
		repository+"/deploy/systemd/leadstream.service", repository+"/docker-compose.yml", repository+"/docs/operations.md")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := graces.FindAllStringSubmatch(string(text), -1)
		if len(found) != 1 {
			t.Errorf("%s says %d times how long a stop may take, want once", path, len(found))
		}
		for _, m := range found {
			if seconds, err := strconv.Atoi(m[1]); err != nil || time.Duration(seconds)*time.Second != oauth.CloseTime+slack {
				t.Errorf("%s: %s; want %s", path, m[0], oauth.CloseTime+slack)
			}
		}
	}
}
