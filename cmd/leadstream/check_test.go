package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/internal/check"
	"leadstream/internal/linkedinsim"
)

// check runs "leadstream check -o json".
func (s *stack) check(over map[string]string, args ...string) (code int, findings []check.Finding) {
	s.t.Helper()
	got := s.run(s.t.Context(), over, append([]string{"check", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(got.stdout), &findings); err != nil {
		s.t.Fatalf("check printed %q and %q: %v", got.stdout, got.stderr, err)
	}
	return got.code, findings
}

// find is the first finding of a check.
func find(t *testing.T, findings []check.Finding, line string) check.Finding {
	t.Helper()
	i := slices.IndexFunc(findings, func(f check.Finding) bool { return f.Check == line })
	if i < 0 {
		t.Fatalf("no line %q in %+v", line, findings)
	}
	return findings[i]
}

// ready are settings under which nothing is left to be said but of replicas.
var ready = map[string]string{"LEADSTREAM_HTTP_LISTEN": "127.0.0.1:8480", "LEADSTREAM_LOG_LEVEL": "info"}

// TestCheckHasALineForEveryPrecondition, before the first start and after it.
func TestCheckHasALineForEveryPrecondition(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 2, Forms: 2, Leads: 20, Seed: 1})
	first := []string{"configuration", "lead types", "redirect URL", "token store", "kafka reachable", "kafka brokers", "kafka version",
		"kafka permissions", "kafka transactions", "kafka group", "checkpoints", "schema registry", "linkedin token", "linkedin scopes",
		"linkedin API", "clock", "organization urn:li:organization:9000123"}
	code, findings := s.check(ready)
	var checks []string
	for _, f := range findings {
		checks = append(checks, f.Check)
		if f.Result != check.Pass || f.Text == "" {
			t.Errorf("%+v, want PASS", f)
		}
	}
	if code != 0 || !slices.Equal(checks, first) {
		t.Errorf("exit code %d, lines %q, want 0 and %q", code, checks, first)
	}
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("run --once: %s", got.stderr)
	}
	code, findings = s.check(ready)
	if f := find(t, findings, "schemas"); code != 0 || f.Result != check.Pass {
		t.Errorf("exit code %d, %+v", code, f)
	}
	if f := find(t, findings, "4 topics"); f.Result != check.Warn || !strings.Contains(f.Text, "one replica") || !strings.Contains(f.Text, "leadstream.checkpoints") || f.Todo == "" {
		t.Errorf("%+v, want the topics with one replica on one line", f)
	}
}

// TestCheckChangesNothing: no topic is made and LinkedIn is only read.
func TestCheckChangesNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	var asked []string
	spy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		s.sim.ServeHTTP(w, r)
	}))
	defer spy.Close()
	if code, _ := s.check(map[string]string{"LEADSTREAM_LINKEDIN_API_URL": spy.URL, "LEADSTREAM_LINKEDIN_AUTH_URL": spy.URL}); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, request := range asked {
		if !strings.HasPrefix(request, "GET /rest/") && request != "POST /oauth/v2/introspectToken" {
			t.Errorf("LinkedIn was sent %s", request)
		}
	}
	topics := []string{"leadstream.checkpoints", "leadstream.deadletters", "leadstream.deletions", "linkedin.leads." + check.TrialTopic}
	if found, err := s.cluster().Admin.DescribeTopics(t.Context(), topics); err != nil || len(found) > 0 || len(asked) == 0 {
		t.Errorf("topics made: %v, %v; %d requests to LinkedIn", found, err, len(asked))
	}
}

// TestCheckSaysWhatFailsAndWhatToDo.
func TestCheckSaysWhatFailsAndWhatToDo(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Leads: 20, Seed: 1})
	const org = "organization urn:li:organization:9000123"
	tests := []struct {
		name       string
		env        map[string]string
		before     func()
		code       int
		check      string
		result     string
		text, todo string
	}{
		{"invalid setting", map[string]string{"LEADSTREAM_POLL_INTERVAL": "soon"}, nil, 2, "configuration", check.Fail, "poll.interval", "config --example"},
		{"doubtful setting", map[string]string{"LEADSTREAM_HTTP_LISTEN": "0.0.0.0:8480"}, nil, 0, "configuration", check.Warn, "http.password", ""},
		{"SPONSORED", map[string]string{"LEADSTREAM_LINKEDIN_LEAD_TYPES": "EVENT,SPONSORED"}, nil, 2, "configuration", check.Fail, "linkedin.lead_types", ""},
		{"another port", map[string]string{"LEADSTREAM_HTTP_LISTEN": "127.0.0.1:9999"}, nil, 0, "redirect URL", check.Warn, "port 8480", "9999"},
		{"another path", map[string]string{"LEADSTREAM_LINKEDIN_REDIRECT_URL": "https://leads.example.com/back"}, nil, 0, "redirect URL", check.Warn, "/back", check.CallbackPath},
		{"behind a proxy", map[string]string{"LEADSTREAM_LINKEDIN_REDIRECT_URL": "https://leads.example.com/oauth/callback"}, nil, 0, "redirect URL", check.Pass, "a proxy", ""},
		{"no directory for the token", map[string]string{"LEADSTREAM_TOKEN_FILE": filepath.Join(t.TempDir(), "none", "token")}, nil, 6, "token store", check.Fail, "none", "token.file"},
		{"no token", map[string]string{"LEADSTREAM_TOKEN_FILE": filepath.Join(t.TempDir(), "token")}, nil, 6, "linkedin token", check.Fail, "no token", "auth login"},
		{"brokers away", map[string]string{"LEADSTREAM_KAFKA_BROKERS": "127.0.0.1:1"}, nil, 6, "kafka reachable", check.Fail, "refused", "kafka.brokers"},
		{"brokers away, with the tokens", map[string]string{"LEADSTREAM_KAFKA_BROKERS": "127.0.0.1:1", "LEADSTREAM_TOKEN_STORE": "kafka", "LEADSTREAM_TOKEN_PASSPHRASE": "p"}, nil, 6,
			"linkedin token", check.Fail, "kept in Kafka, which cannot be reached", "kafka.brokers"},
		{"too many replicas", map[string]string{"LEADSTREAM_KAFKA_REPLICATION_FACTOR": "7"}, nil, 6, "kafka topics", check.Fail, "leadstream.checkpoints", "kafka.replication_factor"},
		{"registry away", map[string]string{"LEADSTREAM_REGISTRY_URL": "http://127.0.0.1:1"}, nil, 6, "schema registry", check.Fail, "127.0.0.1:1", "registry.url"},
		{"version retired", map[string]string{"LEADSTREAM_LINKEDIN_VERSION": "202501"}, nil, 6, "linkedin API", check.Fail, "426", "linkedin.version"},
		{"foreign organization", map[string]string{"LEADSTREAM_LINKEDIN_ORGANIZATIONS": "123"}, nil, 6, "organization urn:li:organization:123", check.Fail, "no role", "linkedin.organizations"},
		{"clock an hour ahead", nil, func() { s.sim.SetClockOffset(-61 * time.Minute) }, 6, "clock", check.Fail, "1h1m", "NTP"},
		{"clock minutes behind", nil, func() { s.sim.SetClockOffset(5 * time.Minute) }, 0, "clock", check.Warn, "from LinkedIn's", "NTP"},
		{"leads not to be read", nil, func() {
			s.fault(linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 403, Endpoint: "leadFormResponses", Count: -1})
		}, 6, org, check.Fail, "EVENT leads", "the role"},
		{"role lost", map[string]string{"LEADSTREAM_LINKEDIN_ORGANIZATIONS": "9000123"}, func() { s.fault(linkedinsim.Fault{Kind: linkedinsim.LoseRole, Owner: "urn:li:organization:9000123"}) }, 6, org, check.Fail, "no role", "ADMINISTRATOR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.before != nil {
				tt.before()
				defer func() { s.sim.SetClockOffset(0); s.sim.ClearFaults() }()
			}
			env := map[string]string{"LEADSTREAM_HTTP_LISTEN": "127.0.0.1:8480"}
			for k, v := range tt.env {
				env[k] = v
			}
			code, findings := s.check(env)
			f := find(t, findings, tt.check)
			if code != tt.code || f.Result != tt.result || !strings.Contains(f.Text, tt.text) || !strings.Contains(f.Todo, tt.todo) {
				t.Errorf("exit code %d, %+v; want %d, %s, %q and %q", code, f, tt.code, tt.result, tt.text, tt.todo)
			}
		})
	}
}

// fault has the simulated LinkedIn misbehave.
func (s *stack) fault(f linkedinsim.Fault) {
	s.t.Helper()
	if err := s.sim.Schedule(f); err != nil {
		s.t.Fatal(err)
	}
}

// TestProbeShowsWhatLinkedInDoesAndEndsWell, also where it differs; only what
// would break the connector does not.
func TestProbeShowsWhatLinkedInDoesAndEndsWell(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 2, Forms: 2, Leads: 50, Seed: 1, Switches: linkedinsim.Switches{OldestFirst: true}})
	got := s.run(t.Context(), nil, "check", "--probe", "-o", "json")
	var p probed
	if err := json.Unmarshal([]byte(got.stdout), &p); err != nil || got.code != 0 {
		t.Fatalf("exit code %d, %q: %v", got.code, got.stderr, err)
	}
	i := slices.IndexFunc(p.Observations, func(o check.Observation) bool { return o.Point == "2" })
	if i < 0 || p.Observations[i].Verdict != check.Differs || p.Observations[i].Observed != "oldest first" || p.Requests < 20 {
		t.Errorf("%d requests, %+v", p.Requests, p.Observations)
	}
	table := s.run(t.Context(), nil, "check", "--probe").stdout
	for _, want := range []string{"POINT", "oldest first", "not told", "requests to LinkedIn, all of them GET."} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	s.env["LEADSTREAM_TOKEN_FILE"] = filepath.Join(t.TempDir(), "token")
	if got := s.run(t.Context(), nil, "check", "--probe"); got.code != 3 || !strings.Contains(got.stderr, "auth login") {
		t.Errorf("without a token: exit code %d, %q", got.code, got.stderr)
	}
}
