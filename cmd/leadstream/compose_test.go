package main

import (
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"leadstream/config"
	"leadstream/internal/linkedinsim"
)

// composition is as much of a compose file as these tests look at.
type composition struct {
	Services map[string]service
	Volumes  map[string]any
}

type service struct {
	Image       string
	Build       string
	Command     []string
	Environment map[string]string
	Ports       []string
	Volumes     []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct{ Test []string }
	ReadOnly    bool           `yaml:"read_only"`
	CapDrop     []string       `yaml:"cap_drop"`
	SecurityOpt []string       `yaml:"security_opt"`
	Ulimits     map[string]int // all of them
	Networks    map[string]struct{ Aliases []string }
}

func readComposition(t *testing.T) composition {
	t.Helper()
	text, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c composition
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// pinned is an image with a version, or one that is built here.
var pinned = regexp.MustCompile(`^([a-z0-9./-]+:v?\d+\.\d+\.\d+([.-][a-z0-9.]+)*(@sha256:[0-9a-f]{64})?|leadstream:compose)$`)

func TestComposeFileIsWholeAndPinned(t *testing.T) {
	c := readComposition(t)
	want := []string{"console", "kafka", "leadstream", "linkedin", "registry"}
	if got := slices.Sorted(maps.Keys(c.Services)); !slices.Equal(got, want) {
		t.Errorf("services = %v, want %v", got, want)
	}
	published := map[string]string{}
	for name, s := range c.Services {
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %q is not pinned to a version", name, s.Image)
		}
		if len(s.Healthcheck.Test) < 2 {
			t.Errorf("%s has no health check", name)
		}
		for other, d := range s.DependsOn {
			if _, ok := c.Services[other]; !ok || d.Condition != "service_healthy" {
				t.Errorf("%s depends on %s (%s), want a service and that it is healthy", name, other, d.Condition)
			}
		}
		for _, p := range s.Ports {
			parts := strings.Split(p, ":")
			if len(parts) != 3 || parts[0] != "127.0.0.1" {
				t.Errorf("%s publishes %s beyond this machine", name, p)
				continue
			}
			if other, taken := published[parts[1]]; taken {
				t.Errorf("%s and %s both publish port %s", name, other, parts[1])
			}
			published[parts[1]] = name
		}
		for _, v := range s.Volumes {
			volume, _, _ := strings.Cut(v, ":")
			if _, ok := c.Volumes[volume]; !ok {
				t.Errorf("%s mounts %s, which is not declared", name, volume)
			}
		}
	}
}

// arguments are those of a command in the compose file, checked against the
// command tree.
func checkArguments(t *testing.T, name string, args []string) {
	t.Helper()
	cmd, rest, err := newRoot(&app{}).Find(args)
	if err != nil || !cmd.Runnable() || !cmd.HasParent() {
		t.Errorf("%s: %v is no command: %v", name, args, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: %v: %v", name, args, err)
		return
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Errorf("%s: %v: %v", name, args, err)
	}
}

func TestComposeCallsCommandsThatExist(t *testing.T) {
	checked := 0
	for name, s := range readComposition(t).Services {
		if s.Build == "" {
			continue
		}
		checked++
		checkArguments(t, name, s.Command)
		probe := s.Healthcheck.Test
		if len(probe) < 2 || probe[0] != "CMD" || probe[1] != "/leadstream" {
			t.Errorf("%s: the health check is %v, but the image holds /leadstream alone", name, probe)
			continue
		}
		checkArguments(t, name, probe[2:])
	}
	if checked != 2 {
		t.Errorf("%d services run leadstream, want 2", checked)
	}
}

// composeConfig is the configuration that the compose file gives leadstream.
func composeConfig(t *testing.T, c composition) *config.Config {
	t.Helper()
	var environ []string
	for k, v := range c.Services["leadstream"].Environment {
		environ = append(environ, k+"="+v)
	}
	loaded, warnings, err := config.Load(config.LoadOptions{
		NoFile: true, Environ: environ, Require: []string{"linkedin.client_id", "linkedin.client_secret", "registry.url"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		if strings.HasPrefix(w.Key, "LEADSTREAM_") {
			t.Errorf("the compose file sets what is no setting: %s", w)
		}
	}
	return loaded
}

func TestComposePartsFindEachOther(t *testing.T) {
	c := readComposition(t)
	got := composeConfig(t, c)
	if got.LinkedIn.ClientID != linkedinsim.DefaultClientID || got.LinkedIn.ClientSecret.Reveal() != linkedinsim.DefaultClientSecret {
		t.Error("leadstream does not know the simulator's app")
	}
	kafka := c.Services["kafka"].Environment
	inside := strings.TrimPrefix(strings.Split(kafka["KAFKA_ADVERTISED_LISTENERS"], ",")[0], "INTERNAL://")
	for what, address := range map[string]string{
		"leadstream": got.Kafka.Brokers[0],
		"registry":   c.Services["registry"].Environment["APICURIO_KAFKASQL_BOOTSTRAP_SERVERS"],
		"console":    c.Services["console"].Environment["KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS"],
	} {
		if address != inside {
			t.Errorf("%s reaches Kafka at %s, which advertises %s", what, address, inside)
		}
	}
	if at := c.Services["console"].Environment["KAFKA_CLUSTERS_0_SCHEMAREGISTRY"]; at != got.Registry.URL {
		t.Errorf("console uses registry %s, leadstream %s", at, got.Registry.URL)
	}
	simulator := c.Services["linkedin"]
	names := append(simulator.Networks["default"].Aliases, "linkedin")
	for _, what := range []string{got.LinkedIn.APIURL, got.LinkedIn.AuthURL} {
		u, err := url.Parse(what)
		if err != nil || !slices.Contains(names, u.Hostname()) || !slices.Contains(simulator.Command, "--listen=0.0.0.0:"+u.Port()) {
			t.Errorf("LinkedIn is looked for at %s and runs as %v, known as %v", what, simulator.Command, names)
		}
	}
	// The browser of whoever reconnects stands outside.
	if u, err := url.Parse(got.LinkedIn.AuthURL); err != nil || !strings.HasSuffix(u.Hostname(), ".localhost") || !slices.Contains(simulator.Ports, "127.0.0.1:"+u.Port()+":"+u.Port()) {
		t.Errorf("a browser on this machine does not find %s; the ports are %v", got.LinkedIn.AuthURL, simulator.Ports)
	}
	if !slices.Contains(simulator.Command, "--token-file="+got.Token.File) {
		t.Errorf("leadstream reads its tokens from %s, the simulator runs as %v", got.Token.File, simulator.Command)
	}
	if mine := c.Services["leadstream"].Volumes; !slices.Equal(mine, simulator.Volumes) || !strings.HasPrefix(got.Token.File, strings.SplitN(mine[0], ":", 2)[1]) {
		t.Errorf("the token file %s is not on the shared volume %v", got.Token.File, mine)
	}
}

func TestComposeGivesLeadstreamNoRightsItDoesNotNeed(t *testing.T) {
	confined := 0
	for name, s := range readComposition(t).Services {
		if s.Build == "" {
			continue
		}
		confined++
		core, bounded := s.Ulimits["core"]
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) || !bounded || core != 0 {
			t.Errorf("%s: read only %t, capabilities but %v, %v, limits %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt, s.Ulimits)
		}
	}
	if confined != 2 {
		t.Errorf("%d services run leadstream, want 2", confined)
	}
}

func TestImageIsPinnedStaticAndWithoutRoot(t *testing.T) {
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(text), -1)
	if len(stages) != 2 || !pinned.MatchString(stages[0][1]) || stages[1][1] != "scratch" {
		t.Errorf("stages = %v, want a pinned one and scratch", stages)
	}
	for _, want := range []string{"CGO_ENABLED=0", "-trimpath", "\nUSER 65532:65532\n", `HEALTHCHECK`, `ENTRYPOINT ["/leadstream"]`, "-X main.release="} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the Dockerfile lacks %q", want)
		}
	}
	probe := regexp.MustCompile(`HEALTHCHECK .* CMD \["/leadstream", "(\w+)"\]`).FindStringSubmatch(string(text))
	if probe == nil {
		t.Fatal("the health check does not call /leadstream")
	}
	checkArguments(t, "image", probe[1:])
}
