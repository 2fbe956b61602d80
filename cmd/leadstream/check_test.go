package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedin"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/oauth"
	"leadstream/internal/webhook"
)

// check runs "leadstream check -o json".
func (s *stack) check(over map[string]string, args ...string) (code int, findings []finding) {
	s.t.Helper()
	got := s.run(s.t.Context(), over, append([]string{"check", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(got.stdout), &findings); err != nil {
		s.t.Fatalf("check printed %q and %q: %v", got.stdout, got.stderr, err)
	}
	return got.code, findings
}

// find is the first finding of a check.
func find(t *testing.T, findings []finding, check string) finding {
	t.Helper()
	i := slices.IndexFunc(findings, func(f finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("no line %q in %+v", check, findings)
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
		if f.Result != resultPass || f.Text == "" {
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
	if f := find(t, findings, "schemas"); code != 0 || f.Result != resultPass {
		t.Errorf("exit code %d, %+v", code, f)
	}
	if f := find(t, findings, "4 topics"); f.Result != resultWarn || !strings.Contains(f.Text, "one replica") || !strings.Contains(f.Text, "leadstream.checkpoints") || f.Todo == "" {
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
	topics := []string{"leadstream.checkpoints", "leadstream.deadletters", "leadstream.deletions", "linkedin.leads." + trialTopic}
	if found, err := s.cluster().DescribeTopics(t.Context(), topics); err != nil || len(found) > 0 || len(asked) == 0 {
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
		{"invalid setting", map[string]string{"LEADSTREAM_POLL_INTERVAL": "soon"}, nil, 2, "configuration", resultFail, "poll.interval", "config --example"},
		{"doubtful setting", map[string]string{"LEADSTREAM_HTTP_LISTEN": "0.0.0.0:8480"}, nil, 0, "configuration", resultWarn, "http.password", ""},
		{"SPONSORED", map[string]string{"LEADSTREAM_LINKEDIN_LEAD_TYPES": "EVENT,SPONSORED"}, nil, 2, "configuration", resultFail, "linkedin.lead_types", ""},
		{"another port", map[string]string{"LEADSTREAM_HTTP_LISTEN": "127.0.0.1:9999"}, nil, 0, "redirect URL", resultWarn, "port 8480", "9999"},
		{"another path", map[string]string{"LEADSTREAM_LINKEDIN_REDIRECT_URL": "https://leads.example.com/back"}, nil, 0, "redirect URL", resultWarn, "/back", callbackPath},
		{"behind a proxy", map[string]string{"LEADSTREAM_LINKEDIN_REDIRECT_URL": "https://leads.example.com/oauth/callback"}, nil, 0, "redirect URL", resultPass, "a proxy", ""},
		{"no directory for the token", map[string]string{"LEADSTREAM_TOKEN_FILE": filepath.Join(t.TempDir(), "none", "token")}, nil, 6, "token store", resultFail, "none", "token.file"},
		{"no token", map[string]string{"LEADSTREAM_TOKEN_FILE": filepath.Join(t.TempDir(), "token")}, nil, 6, "linkedin token", resultFail, "no token", "auth login"},
		{"brokers away", map[string]string{"LEADSTREAM_KAFKA_BROKERS": "127.0.0.1:1"}, nil, 6, "kafka reachable", resultFail, "refused", "kafka.brokers"},
		{"brokers away, with the tokens", map[string]string{"LEADSTREAM_KAFKA_BROKERS": "127.0.0.1:1", "LEADSTREAM_TOKEN_STORE": "kafka", "LEADSTREAM_TOKEN_PASSPHRASE": "p"}, nil, 6,
			"linkedin token", resultFail, "kept in Kafka, which cannot be reached", "kafka.brokers"},
		{"too many replicas", map[string]string{"LEADSTREAM_KAFKA_REPLICATION_FACTOR": "7"}, nil, 6, "kafka topics", resultFail, "leadstream.checkpoints", "kafka.replication_factor"},
		{"registry away", map[string]string{"LEADSTREAM_REGISTRY_URL": "http://127.0.0.1:1"}, nil, 6, "schema registry", resultFail, "127.0.0.1:1", "registry.url"},
		{"version retired", map[string]string{"LEADSTREAM_LINKEDIN_VERSION": "202501"}, nil, 6, "linkedin API", resultFail, "426", "linkedin.version"},
		{"foreign organization", map[string]string{"LEADSTREAM_LINKEDIN_ORGANIZATIONS": "123"}, nil, 6, "organization urn:li:organization:123", resultFail, "no role", "linkedin.organizations"},
		{"clock an hour ahead", nil, func() { s.sim.SetClockOffset(-61 * time.Minute) }, 6, "clock", resultFail, "1h1m", "NTP"},
		{"clock minutes behind", nil, func() { s.sim.SetClockOffset(5 * time.Minute) }, 0, "clock", resultWarn, "from LinkedIn's", "NTP"},
		{"leads not to be read", nil, func() {
			s.fault(linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 403, Endpoint: "leadFormResponses", Count: -1})
		}, 6, org, resultFail, "EVENT leads", "the role"},
		{"role lost", map[string]string{"LEADSTREAM_LINKEDIN_ORGANIZATIONS": "9000123"}, func() { s.fault(linkedinsim.Fault{Kind: linkedinsim.LoseRole, Owner: "urn:li:organization:9000123"}) }, 6, org, resultFail, "no role", "ADMINISTRATOR"},
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

// TestCheckDoesNotSendAPersonToConsentAgainForAFreshToken: LinkedIn may need
// some seconds to know it.
func TestCheckDoesNotSendAPersonToConsentAgainForAFreshToken(t *testing.T) {
	unknowing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"active":false}`)
	}))
	defer unknowing.Close()
	now := time.Now()
	store := oauth.NewFileStore(filepath.Join(t.TempDir(), "token"), "")
	if err := store.Save(t.Context(), oauth.Token{Access: "fresh", AccessExpiresAt: now.Add(time.Hour), AuthorizedAt: now, ObtainedAt: now, Scopes: []string{"r_events"}}); err != nil {
		t.Fatal(err)
	}
	session, err := oauth.New(oauth.Options{
		ClientID: "id", ClientSecret: "secret", AuthURL: unknowing.URL, RedirectURL: "http://localhost:8480/oauth/callback",
		Scopes: []string{"r_events"}, Store: store,
	})
	if err != nil {
		t.Fatal(err)
	}
	k := &checker{system: &system{session: session}}
	if !k.token(t.Context()) {
		t.Error("nothing is asked with the token")
	}
	if f := find(t, k.findings, "linkedin token"); f.Result != resultWarn || !strings.Contains(f.Text, "new access token") || strings.Contains(f.Todo, "login") {
		t.Errorf("%+v, want a warning that asks for nothing but time", f)
	}
}

// fault has the simulated LinkedIn misbehave.
func (s *stack) fault(f linkedinsim.Fault) {
	s.t.Helper()
	if err := s.sim.Schedule(f); err != nil {
		s.t.Fatal(err)
	}
}

// TestCheckAsksTheWebhookAsLinkedInDoes: with a challenge that only the app's
// secret answers.
func TestCheckAsksTheWebhookAsLinkedInDoes(t *testing.T) {
	answering := func(secret string) *httptest.Server {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != webhook.Path {
				http.NotFound(w, r)
				return
			}
			code := r.URL.Query().Get("challengeCode")
			sum := hmac.New(sha256.New, []byte(secret))
			_, _ = sum.Write([]byte(code))
			_, _ = fmt.Fprintf(w, `{"challengeCode":%q,"challengeResponse":%q}`, code, hex.EncodeToString(sum.Sum(nil)))
		}))
		t.Cleanup(server.Close)
		return server
	}
	for name, tt := range map[string]struct{ url, want string }{
		"right secret": {answering("sim-client-secret-0001").URL, resultPass},
		"wrong secret": {answering("another").URL, resultFail},
		"page":         {httptest.NewServer(http.NotFoundHandler()).URL, resultFail},
		"nothing":      {"http://127.0.0.1:1", resultWarn},
		"not set":      {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, err := config.Load(config.LoadOptions{NoFile: true, Environ: []string{"LEADSTREAM_LINKEDIN_CLIENT_SECRET=sim-client-secret-0001"}})
			if err != nil {
				t.Fatal(err)
			}
			c.Webhook.URL, c.Webhook.Listen = tt.url, ":8443"
			k := &checker{system: &system{config: c, log: zap.NewNop()}}
			k.webhook(t.Context())
			if tt.want == "" && len(k.findings) == 0 {
				return
			}
			if f := find(t, k.findings, "webhook"); f.Result != tt.want || strings.Contains(f.Text+f.Todo, "sim-client-secret-0001") {
				t.Errorf("%+v, want %s", f, tt.want)
			}
		})
	}
}

// TestAMissingPermissionIsAWholeCommand: as a shell and kafka-acls take it.
func TestAMissingPermissionIsAWholeCommand(t *testing.T) {
	c := config.Default()
	c.Kafka.Brokers = []string{"kafka-1:9092", "kafka-2:9092"}
	k := &checker{system: &system{config: c}}
	k.missing(kafka.AuthorizationError{Resource: "topic", Name: "leadstream.checkpoints", Operation: "Write"}, "linkedin.leads.x", false)
	k.missing(kafka.AuthorizationError{Resource: "topic", Name: "linkedin.leads.x", Operation: "Create"}, "linkedin.leads.x", false)
	c.Kafka.SASL.Mechanism, c.Kafka.SASL.Username = "PLAIN", "the connector's user"
	k.missing(kafka.AuthorizationError{Resource: "transactional-id", Name: "leadstream", Operation: "Describe"}, "linkedin.leads.x", true)
	k.missing(kafka.AuthorizationError{Resource: "topic", Name: "linkedin.leads.x", Operation: "Read"}, "linkedin.leads.x", true)
	want := []finding{
		{Check: "kafka permission", Result: resultFail, Text: "Write on topic leadstream.checkpoints is missing",
			Todo: "kafka-acls --bootstrap-server kafka-1:9092,kafka-2:9092 --add --allow-principal User:PRINCIPAL --topic leadstream.checkpoints --operation Write"},
		{Check: "kafka permission", Result: resultFail, Text: "Create on topic linkedin.leads.* is missing",
			Todo: "kafka-acls --bootstrap-server kafka-1:9092,kafka-2:9092 --add --allow-principal User:PRINCIPAL --resource-pattern-type prefixed --topic linkedin.leads. --operation Create"},
		{Check: "kafka permission", Result: resultFail, Text: "Describe on transactional-id leadstream is missing",
			Todo: `kafka-acls --bootstrap-server kafka-1:9092,kafka-2:9092 --command-config admin.properties --add --allow-principal 'User:the connector'\''s user' --transactional-id leadstream --operation Describe`},
		{Check: "kafka permission", Result: resultWarn, Text: "Read on topics linkedin.leads.* is missing: the topic of a new form needs it",
			Todo: `kafka-acls --bootstrap-server kafka-1:9092,kafka-2:9092 --command-config admin.properties --add --allow-principal 'User:the connector'\''s user' --resource-pattern-type prefixed --topic linkedin.leads. --operation Read`},
	}
	for i, f := range k.findings {
		if f != want[i] {
			t.Errorf("%+v\nwant\n%+v", f, want[i])
		}
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
	i := slices.IndexFunc(p.Observations, func(o linkedin.Observation) bool { return o.Point == "2" })
	if i < 0 || p.Observations[i].Verdict != linkedin.Differs || p.Observations[i].Observed != "oldest first" || p.Requests < 20 {
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
