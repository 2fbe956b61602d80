//go:build integration

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"leadstream/internal/realstack"
)

// world is one scenario: an installation of its own on a Kafka and a registry,
// and a LinkedIn of its own.
type world struct {
	t        testing.TB
	dir      string // logs, tokens
	name     string
	prefix   string
	brokers  string
	registry string
	linkedin *linkedin
	seen     *continuous
	settings map[string]string // over those every process has
	logins   int               // runs of "auth login" so far
}

// options of a world; the zero value is the shared Kafka and registry, a small
// LinkedIn and the consent given.
type options struct {
	simulate  []string // flags of "leadstream simulate"
	noConsent bool
	brokers   string
	registry  string
	settings  map[string]string
}

func newWorld(t testing.TB, o options) *world {
	t.Helper()
	w := &world{t: t, dir: logDirectory(t), brokers: o.brokers, registry: o.registry, settings: o.settings}
	w.name = strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(t.Name(), "-"))
	w.prefix = w.name + ".leads."
	if w.brokers == "" {
		w.brokers = stack.kafka.Addr(realstack.PLAINTEXT)
	}
	if w.registry == "" {
		w.registry = stack.registry.URL()
	}
	w.linkedin = startLinkedIn(t, w.dir, !o.noConsent, o.simulate...)
	t.Cleanup(w.closing)
	w.seen = follow(t, w.brokers, w.registry, w.prefix)
	return w
}

// logDirectory is where the scenario's processes write.
func logDirectory(t testing.TB) string {
	t.Helper()
	kept := os.Getenv("LEADSTREAM_TEST_LOGS")
	if kept == "" {
		return t.TempDir()
	}
	dir := filepath.Join(kept, strings.ReplaceAll(t.Name(), "/", "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// closing looks through the logs of all processes of the scenario: nothing in
// them may be a secret or an answer; and shows their ends if something failed.
func (w *world) closing() {
	logs, err := filepath.Glob(filepath.Join(w.dir, "*.log"))
	if err != nil {
		w.t.Error(err)
	}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			w.t.Error(err)
			continue
		}
		if found := personal(text); found != "" {
			w.t.Errorf("%s tells a secret or an answer: %s", filepath.Base(path), found)
		}
		if bytes.Contains(text, []byte("DATA RACE")) || bytes.Contains(text, []byte("panic:")) {
			w.t.Errorf("%s tells of a crash or a data race:\n%s", filepath.Base(path), lastLines(string(text), 60))
		}
		if w.t.Failed() {
			w.t.Logf("the end of %s:\n%s", filepath.Base(path), lastLines(withoutDebug(string(text)), 40))
		}
	}
}

func withoutDebug(log string) string {
	var kept strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"level":"debug"`) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// planted are texts that are in every world and that no log may hold: the
// secret, tokens and codes of the simulated LinkedIn, answers and names.
var planted = []*regexp.Regexp{
	regexp.MustCompile(regexp.QuoteMeta(clientSecret)),
	regexp.MustCompile(`AQ[XWT][A-Za-z0-9_-]{20,}`),
	regexp.MustCompile(`lead\.\d{6}@example\.com`),
	regexp.MustCompile(`\+1 555 0100`),
	regexp.MustCompile(`linkedin\.example/in/lead-`),
	regexp.MustCompile(`Head of Platform|Data Engineer|Muster & S|O'Example|Schöne Grüße|Exactly-once, please|How to keep order`),
	regexp.MustCompile(plantedAnswer),
	regexp.MustCompile(limitedPassword),
	regexp.MustCompile(plantedPassphrase),
	regexp.MustCompile(plantedPassword),
}

const plantedAnswer, plantedPassphrase, plantedPassword = "Ludmilla Plantedova", "planted-passphrase", "planted-password"

func personal(log []byte) string {
	for line := range bytes.Lines(log) {
		for _, p := range planted {
			if found := p.Find(line); found != nil {
				return fmt.Sprintf("%.20q… in %.200q", found, line)
			}
		}
	}
	return ""
}

// connector is a run of "leadstream run".
type connector struct {
	*program
	http string
}

// env is the configuration of a process of this installation.
func (w *world) env(listen string) map[string]string {
	env := map[string]string{
		"LEADSTREAM_NAME":                    w.name,
		"LEADSTREAM_LINKEDIN_CLIENT_ID":      clientID,
		"LEADSTREAM_LINKEDIN_CLIENT_SECRET":  clientSecret,
		"LEADSTREAM_LINKEDIN_API_URL":        w.linkedin.url,
		"LEADSTREAM_LINKEDIN_AUTH_URL":       w.linkedin.url,
		"LEADSTREAM_LINKEDIN_REDIRECT_URL":   "http://" + strings.Replace(listen, "127.0.0.1", "localhost", 1) + "/oauth/callback",
		"LEADSTREAM_TOKEN_FILE":              filepath.Join(w.dir, "token"),
		"LEADSTREAM_POLL_INTERVAL":           "1s",
		"LEADSTREAM_POLL_DISCOVERY_INTERVAL": "3s",
		"LEADSTREAM_KAFKA_BROKERS":           w.brokers,
		"LEADSTREAM_KAFKA_TOPIC_PREFIX":      w.prefix,
		"LEADSTREAM_REGISTRY_URL":            w.registry,
		"LEADSTREAM_HTTP_LISTEN":             listen,
		"LEADSTREAM_LOG_LEVEL":               "debug",
		"LEADSTREAM_LOG_FORMAT":              "json",
	}
	maps.Copy(env, w.settings)
	return env
}

// run starts the connector.
func (w *world) run(flags ...string) *connector {
	w.t.Helper()
	return w.runAs("leadstream", flags...)
}

// runAs starts the connector with a log of that name.
func (w *world) runAs(name string, flags ...string) *connector {
	w.t.Helper()
	return w.runWith(name, nil, flags...)
}

// runWith is runAs with settings of this process alone.
func (w *world) runWith(name string, settings map[string]string, flags ...string) *connector {
	w.t.Helper()
	listen := freeAddress(w.t)
	env := w.env(listen)
	maps.Copy(env, settings)
	args := append([]string{stack.binary, "run"}, flags...)
	return &connector{launch(w.t, w.dir, name, env, nil, args...), "http://" + listen}
}

// command runs another command to its end.
func (w *world) command(args ...string) *program {
	w.t.Helper()
	p := launch(w.t, w.dir, "command-"+filepath.Base(w.name), w.env(freeAddress(w.t)), strings.NewReader(""), append([]string{stack.binary}, args...)...)
	p.end(60 * time.Second)
	return p
}

// metric is the sum of the values of a metric, 0 without any.
func (c *connector) metric(name string) (float64, error) {
	b, err := get(c.http + "/metrics")
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == ' ' || rest[0] == '{') {
			v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			if err != nil {
				return 0, err
			}
			sum += v
		}
	}
	return sum, nil
}

// active reports whether this process has the work.
func (c *connector) active() bool {
	v, err := c.metric("leadstream_active")
	return err == nil && v == 1
}

// awaitActive waits until it has the work.
func (c *connector) awaitActive(within time.Duration) {
	c.t.Helper()
	eventually(c.t, within, func() error {
		if !c.running() {
			c.t.Fatalf("%s ended with %d", c.name, c.cmd.ProcessState.ExitCode())
		}
		if !c.active() {
			return fmt.Errorf("%s does not become active", c.name)
		}
		return nil
	})
}

// await waits until consumers have seen every lead.
func (w *world) await(within time.Duration) {
	w.t.Helper()
	eventually(w.t, within, func() error {
		want := w.linkedin.leads()
		got, err := w.seen.distinct()
		if err != nil {
			w.t.Fatal(err)
		}
		if got < want {
			return fmt.Errorf("consumers saw %d of %d leads", got, want)
		}
		return nil
	})
}

// pair starts two processes, of which one has the work.
func (w *world) pair() (active, standby *connector) {
	w.t.Helper()
	first := w.runAs("a")
	first.awaitActive(30 * time.Second)
	second := w.runAs("b")
	second.says(10*time.Second, `"standing by"`)
	return oneActive(w.t, 30*time.Second, first, second)
}

// oneActive waits until exactly one of two has the work, and gives it first.
func oneActive(t testing.TB, within time.Duration, a, b *connector) (active, standby *connector) {
	t.Helper()
	eventually(t, within, func() error {
		for _, c := range []*connector{a, b} {
			if !c.running() {
				t.Fatalf("%s ended with %d", c.name, c.cmd.ProcessState.ExitCode())
			}
		}
		if a.active() == b.active() {
			return fmt.Errorf("%s is active: %v, %s is active: %v", a.name, a.active(), b.name, b.active())
		}
		return nil
	})
	if b.active() {
		return b, a
	}
	return a, b
}

// within holds durations to a limit and tells them.
func within(t testing.TB, what string, took []time.Duration, limit time.Duration) {
	t.Helper()
	slices.Sort(took)
	t.Logf("%s: %d times, median %v, slowest %v", what, len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if slowest := took[len(took)-1]; slowest > limit {
		t.Errorf("%s took up to %v, want at most %v", what, slowest, limit)
	}
}
