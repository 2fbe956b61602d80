package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"leadstream/internal/fault"
)

var update = flag.Bool("update", false, "rewrite generated files")

const planted = "planted-secret"

// load reads a file without environment and flags.
func load(t *testing.T, path string) *Config {
	t.Helper()
	c, _, err := Load(LoadOptions{Path: path})
	if err != nil {
		t.Fatalf("Load(%s): %v", path, err)
	}
	return c
}

func problemsOf(t *testing.T, err error) []string {
	t.Helper()
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("error = %v, want an *InvalidError", err)
	}
	if fault.KindOf(err) != fault.Fatal {
		t.Errorf("kind = %v, want fatal", fault.KindOf(err))
	}
	var out []string
	for _, p := range invalid.Problems {
		if !strings.Contains(err.Error(), p.String()) {
			t.Errorf("the error's text lacks %q", p)
		}
		out = append(out, p.String())
	}
	return out
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s = %#v, want %#v", what, got, want)
	}
}

func TestGoodFilesLoad(t *testing.T) {
	files, err := filepath.Glob("testdata/*.good.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("good files: %v, %v", files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) { load(t, path) })
	}
}

// TestBadFilesAreRefusedWithEveryProblemAtOnce holds each file against the
// lines "# want:" in it; FILE there stands for its path.
func TestBadFilesAreRefusedWithEveryProblemAtOnce(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("bad files: %v, %v", files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(text)) {
				if w, ok := strings.CutPrefix(line, "# want: "); ok {
					want = append(want, strings.ReplaceAll(strings.TrimSpace(w), "FILE", path))
				}
			}
			c, _, err := Load(LoadOptions{Path: path})
			if c != nil {
				t.Error("a configuration came back with the error")
			}
			got := problemsOf(t, err)
			if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
				t.Errorf("problems:\n%s\nwant:\n%s", g, w)
			}
			if strings.Contains(err.Error(), planted) {
				t.Errorf("the error gives a secret away:\n%v", err)
			}
		})
	}
}

func TestEveryKeyIsReadFromTheFile(t *testing.T) {
	c := load(t, "testdata/everything.good.yaml")
	for _, v := range c.Values() {
		if !strings.HasPrefix(v.Source, "testdata/everything.good.yaml:") {
			t.Errorf("%s comes from %q, want the file", v.Key, v.Source)
		}
	}
	equal(t, "organizations", c.LinkedIn.Organizations, []string{"urn:li:organization:2414183", "urn:li:organization:9000123"})
	equal(t, "lookback", c.Poll.Lookback, 14*24*time.Hour)
	equal(t, "backfill", c.Poll.Backfill, time.Duration(0))
	equal(t, "topic_config", c.Kafka.TopicConfig, map[string]string{"retention.ms": "604800000", "cleanup.policy": "compact,delete"})
	equal(t, "internal_topic_config", c.Kafka.InternalTopicConfig, map[string]string{"segment.ms": "3600000"})
	equal(t, "replication_factor", c.Kafka.ReplicationFactor, 3)
	equal(t, "adopt_topics", c.Kafka.AdoptTopics, true)
	equal(t, "version", c.LinkedIn.Version, "202611")
	equal(t, "password", c.HTTP.Password.Reveal(), planted)
}

func TestListsAndMapsMayStandOnOneLine(t *testing.T) {
	c := load(t, "testdata/forms_of_lists.good.yaml")
	equal(t, "brokers", c.Kafka.Brokers, []string{"kafka-1:9092", "kafka-2:9092"})
	equal(t, "topic_config", c.Kafka.TopicConfig, map[string]string{"cleanup.policy": "compact,delete", "segment.ms": "3600000"})
	equal(t, "organizations", c.LinkedIn.Organizations, []string{})
}

func TestDefaultsAreThoseOfTheDocumentation(t *testing.T) {
	want := map[string]string{
		"name":                        "leadstream",
		"linkedin.client_id":          "",
		"linkedin.client_secret":      "",
		"linkedin.redirect_url":       "http://localhost:8480/oauth/callback",
		"linkedin.api_url":            "https://api.linkedin.com",
		"linkedin.auth_url":           "https://www.linkedin.com",
		"linkedin.version":            "202607",
		"linkedin.organizations":      "",
		"linkedin.lead_types":         "EVENT",
		"linkedin.scopes":             "r_marketing_leadgen_automation,r_events,r_organization_admin",
		"linkedin.daily_budget":       "0",
		"token.store":                 "file",
		"token.file":                  "leadstream-token",
		"token.passphrase":            "",
		"poll.interval":               "1m",
		"poll.discovery_interval":     "15m",
		"poll.lookback":               "7d",
		"poll.backfill":               "365d",
		"poll.page_size":              "100",
		"poll.concurrency":            "4",
		"kafka.brokers":               "localhost:9092",
		"kafka.tls.enabled":           "false",
		"kafka.tls.ca_file":           "",
		"kafka.tls.cert_file":         "",
		"kafka.tls.key_file":          "",
		"kafka.tls.server_name":       "",
		"kafka.sasl.mechanism":        "",
		"kafka.sasl.username":         "",
		"kafka.sasl.password":         "",
		"kafka.topic_prefix":          "linkedin.leads.",
		"kafka.partitions":            "1",
		"kafka.replication_factor":    "-1",
		"kafka.topic_config":          "",
		"kafka.internal_topic_config": "",
		"kafka.adopt_topics":          "false",
		"registry.url":                "",
		"registry.username":           "",
		"registry.password":           "",
		"registry.ca_file":            "",
		"schema.multiple_choice":      "array",
		"http.listen":                 "127.0.0.1:8480",
		"http.hosts":                  "",
		"http.password":               "",
		"webhook.listen":              "",
		"webhook.signature":           "documented",
		"webhook.url":                 "",
		"log.level":                   "info",
		"log.format":                  "auto",
	}
	got := map[string]string{}
	for _, v := range Default().Values() {
		got[v.Key] = v.Value
		if source := map[bool]string{true: "not set", false: "default"}[v.Value == ""]; v.Source != source {
			t.Errorf("source of %s = %q, want %q", v.Key, v.Source, source)
		}
	}
	equal(t, "defaults", got, want)
	if _, found := resolve(layer{}); len(found) > 0 {
		t.Errorf("the defaults break their own bounds: %v", found)
	}
}

func TestEveryBoundInTheTagsCanBeRead(t *testing.T) {
	for _, s := range settings {
		low, isNumber := s.tag.Lookup("min")
		if s.kind == durationType && (mustDuration(low) < 0 || mustDuration(s.tag.Get("max")) <= 0) {
			t.Errorf("%s: bounds %q and %q are no durations", s.Path, low, s.tag.Get("max"))
		}
		if s.kind.Kind() == reflect.Int && s.kind != durationType {
			if _, reason := s.parse(raw{text: low}); !isNumber || reason != "" {
				t.Errorf("%s refuses its own bound %q: %s", s.Path, low, reason)
			}
			if _, reason := s.parse(raw{text: s.tag.Get("max")}); reason != "" {
				t.Errorf("%s refuses its own bound %q: %s", s.Path, s.tag.Get("max"), reason)
			}
		}
		if name, ok := s.tag.Lookup("rule"); ok && rules[name].ok == nil {
			t.Errorf("%s: there is no rule %q", s.Path, name)
		}
		if s.Doc == "" {
			t.Errorf("%s is not documented", s.Path)
		}
	}
}

func TestNoTwoKeysShareAVariable(t *testing.T) {
	seen := map[string]string{}
	for _, name := range names() {
		if other, twice := seen[envName(name)]; twice {
			t.Errorf("%s and %s are both %s", name, other, envName(name))
		}
		seen[envName(name)] = name
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	o := LoadOptions{Path: "testdata/everything.good.yaml"}
	steps := []struct {
		set          func()
		name, source string
	}{
		{func() { o.Path, o.NoFile = "", true }, "leadstream", "default"},
		{func() { o.Path, o.NoFile = "testdata/everything.good.yaml", false }, "leads.eu-1", "testdata/everything.good.yaml:1"},
		{func() { o.Environ = []string{"LEADSTREAM_NAME=from-env"} }, "from-env", "environment LEADSTREAM_NAME"},
		{func() { o.Flags = map[string]string{"name": "from-flag"} }, "from-flag", "flag"},
	}
	for _, step := range steps {
		step.set()
		c, _, err := Load(o)
		if err != nil {
			t.Fatalf("%s: %v", step.source, err)
		}
		equal(t, "name", c.Name, step.name)
		equal(t, "source", c.Values()[0].Source, step.source)
	}
}

func TestWithoutAFileNamedTheWorkingDirectoryIsLookedAt(t *testing.T) {
	t.Chdir(t.TempDir())
	if c, _, err := Load(LoadOptions{}); err != nil || c.Name != "leadstream" {
		t.Fatalf("without a file: %v, %v", c, err)
	}
	if err := os.WriteFile("leadstream.yaml", []byte("name: here"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := Load(LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "name", c.Name, "here")
}

func TestAFileThatWasNamedMustBeThere(t *testing.T) {
	_, _, err := Load(LoadOptions{Path: "testdata/absent.yaml"})
	equal(t, "problems", problemsOf(t, err), []string{"reading the configuration: open testdata/absent.yaml: no such file or directory"})
}

func TestAnEndlessFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(path, []byte(strings.Repeat("#\n", maxFile)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Load(LoadOptions{Path: path})
	equal(t, "problems", problemsOf(t, err), []string{"reading the configuration: read " + path + ": larger than 1048576 bytes"})
}

func TestWhatACommandRequiresIsReportedWithTheRest(t *testing.T) {
	require := []string{"linkedin.client_id", "linkedin.client_secret", "registry.url", "kafka.brokers"}
	_, _, err := Load(LoadOptions{NoFile: true, Require: require, Environ: []string{"LEADSTREAM_REGISTRY_URL=nowhere", "LEADSTREAM_POLL_PAGE_SIZE=0"}})
	equal(t, "problems", problemsOf(t, err), []string{
		`poll.page_size = "0": must be 10 to 100 (environment LEADSTREAM_POLL_PAGE_SIZE)`,
		`registry.url = "nowhere": must be an http or https URL without user, query and fragment (environment LEADSTREAM_REGISTRY_URL)`,
		"linkedin.client_id: is needed; set it in the file, or as LEADSTREAM_LINKEDIN_CLIENT_ID",
		"linkedin.client_secret: is needed; set it in the file, or as LEADSTREAM_LINKEDIN_CLIENT_SECRET, or put it into a file and name that in linkedin.client_secret_file",
	})
	if _, _, err := Load(LoadOptions{Path: "testdata/minimal.good.yaml", Require: require}); err != nil {
		t.Errorf("with all of it set: %v", err)
	}
}

func TestDoubtfulSettingsAreWarnings(t *testing.T) {
	tests := []struct {
		name string
		env  []string
		want string
	}{
		{"listener beyond loopback without password", []string{"LEADSTREAM_HTTP_LISTEN=:8480"},
			"http.listen: :8480 is reachable from other machines and http.password is not set: only /healthz, /readyz and /metrics are served there"},
		{"listener beyond loopback with password", []string{"LEADSTREAM_HTTP_LISTEN=:8480", "LEADSTREAM_HTTP_PASSWORD=" + planted}, ""},
		{"listener on the other loopback", []string{"LEADSTREAM_HTTP_LISTEN=[::1]:8480"}, ""},
		{"password in the clear to Kafka", []string{"LEADSTREAM_KAFKA_SASL_MECHANISM=PLAIN", "LEADSTREAM_KAFKA_SASL_USERNAME=me", "LEADSTREAM_KAFKA_SASL_PASSWORD=" + planted},
			"kafka.sasl.mechanism: PLAIN without kafka.tls.enabled sends the password readable over the network"},
		{"tokens in the clear to the API", []string{"LEADSTREAM_LINKEDIN_API_URL=http://proxy.example.com"},
			"linkedin.api_url: http://proxy.example.com is not https: tokens are readable on the network"},
		{"tokens in the clear to the log-in", []string{"LEADSTREAM_LINKEDIN_AUTH_URL=http://proxy.example.com"},
			"linkedin.auth_url: http://proxy.example.com is not https: tokens are readable on the network"},
		{"password in the clear to the registry", []string{"LEADSTREAM_REGISTRY_URL=http://registry.example.com", "LEADSTREAM_REGISTRY_USERNAME=me", "LEADSTREAM_REGISTRY_PASSWORD=" + planted},
			"registry.url: http://registry.example.com is not https: registry.password is readable on the network"},
		{"deletions forgotten before the look-back", []string{"LEADSTREAM_KAFKA_TOPIC_CONFIG=delete.retention.ms=86400000", "LEADSTREAM_POLL_LOOKBACK=25h"},
			"kafka.topic_config: delete.retention.ms (86400000) is shorter than poll.lookback (90000000): leads that are deleted in a topic may come back"},
		{"deletions kept for the look-back", []string{"LEADSTREAM_KAFKA_TOPIC_CONFIG=delete.retention.ms=86400000", "LEADSTREAM_POLL_LOOKBACK=24h"}, ""},
		{"all on this machine", []string{"LEADSTREAM_LINKEDIN_API_URL=http://127.0.0.1:1", "LEADSTREAM_LINKEDIN_AUTH_URL=http://localhost:1", "LEADSTREAM_REGISTRY_URL=http://localhost:2"}, ""},
		{"a variable that is none", []string{"LEADSTREAM_KAFKA_BROKER=" + planted},
			"LEADSTREAM_KAFKA_BROKER: is ignored, there is no such setting, did you mean LEADSTREAM_KAFKA_BROKERS?"},
		{"a variable that is like none", []string{"LEADSTREAM_FOO=1"}, "LEADSTREAM_FOO: is ignored, there is no such setting"},
		{"others' variables", []string{"LEADSTREAMER=1", "PATH=/bin", "=odd", "odd"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, warnings, err := Load(LoadOptions{NoFile: true, Environ: test.env})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range warnings {
				got = append(got, w.String())
			}
			equal(t, "warnings", strings.Join(got, "\n"), test.want)
		})
	}
}
