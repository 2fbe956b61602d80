package check

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/config"
	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
	"leadstream/internal/oauth"
	"leadstream/internal/webhook"
)

// find is the first finding of a check.
func find(t *testing.T, findings []Finding, check string) Finding {
	t.Helper()
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("no line %q in %+v", check, findings)
	}
	return findings[i]
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
	k := &checker{Parts: Parts{Session: session}}
	if err := k.token(t.Context()); err != nil || !k.usable {
		t.Error("nothing is asked with the token")
	}
	if f := find(t, k.findings, "linkedin token"); f.Result != Warn || !strings.Contains(f.Text, "new access token") || strings.Contains(f.Todo, "login") {
		t.Errorf("%+v, want a warning that asks for nothing but time", f)
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
		"right secret": {answering("sim-client-secret-0001").URL, Pass},
		"wrong secret": {answering("another").URL, Fail},
		"page":         {httptest.NewServer(http.NotFoundHandler()).URL, Fail},
		"nothing":      {"http://127.0.0.1:1", Warn},
		"not set":      {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, err := config.Load(config.LoadOptions{NoFile: true, Environ: []string{"LEADSTREAM_LINKEDIN_CLIENT_SECRET=sim-client-secret-0001"}})
			if err != nil {
				t.Fatal(err)
			}
			c.Webhook.URL, c.Webhook.Listen = tt.url, ":8443"
			k := &checker{Parts: Parts{Config: c}}
			if err := k.webhook(t.Context()); err != nil {
				t.Fatal(err)
			}
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
	k := &checker{Parts: Parts{Config: c}}
	k.missing(kafka.AuthorizationError{Resource: "topic", Name: "leadstream.checkpoints", Operation: "Write"}, "linkedin.leads.x")
	k.missing(kafka.AuthorizationError{Resource: "topic", Name: "linkedin.leads.x", Operation: "Create"}, "linkedin.leads.x")
	k.state.Forms = map[string]checkpoint.Form{"1": {}}
	c.Kafka.SASL.Mechanism, c.Kafka.SASL.Username = "PLAIN", "the connector's user"
	k.missing(kafka.AuthorizationError{Resource: "transactional-id", Name: "leadstream", Operation: "Describe"}, "linkedin.leads.x")
	k.missing(kafka.AuthorizationError{Resource: "topic", Name: "linkedin.leads.x", Operation: "Read"}, "linkedin.leads.x")
	want := []Finding{
		{Check: "kafka permission", Result: Fail, Text: "Write on topic leadstream.checkpoints is missing",
			Todo: "kafka-acls --bootstrap-server kafka-1:9092,kafka-2:9092 --add --allow-principal User:PRINCIPAL --topic leadstream.checkpoints --operation Write"},
		{Check: "kafka permission", Result: Fail, Text: "Create on topic linkedin.leads.* is missing",
			Todo: "kafka-acls --bootstrap-server kafka-1:9092,kafka-2:9092 --add --allow-principal User:PRINCIPAL --resource-pattern-type prefixed --topic linkedin.leads. --operation Create"},
		{Check: "kafka permission", Result: Fail, Text: "Describe on transactional-id leadstream is missing",
			Todo: `kafka-acls --bootstrap-server kafka-1:9092,kafka-2:9092 --command-config admin.properties --add --allow-principal 'User:the connector'\''s user' --transactional-id leadstream --operation Describe`},
		{Check: "kafka permission", Result: Warn, Text: "Read on topics linkedin.leads.* is missing: the topic of a new form needs it",
			Todo: `kafka-acls --bootstrap-server kafka-1:9092,kafka-2:9092 --command-config admin.properties --add --allow-principal 'User:the connector'\''s user' --resource-pattern-type prefixed --topic linkedin.leads. --operation Read`},
	}
	for i, f := range k.findings {
		if f != want[i] {
			t.Errorf("%+v\nwant\n%+v", f, want[i])
		}
	}
}

// TestForgetfulTopics holds the bounds of what is said of a lead topic's times.
func TestForgetfulTopics(t *testing.T) {
	const week, longest = "604800000", "9223372036854775807"
	for name, tt := range map[string]struct {
		policy, retention, deleteRetention string
		want                               int
	}{
		"as made":                      {"compact,delete", "31536000000", week, 0},
		"kept for ever":                {"compact,delete", "-1", week, 0},
		"the longest times":            {"compact,delete", longest, longest, 0},
		"deletions a little too short": {"compact,delete", longest, "604799999", 1},
		"both short":                   {"compact,delete", "1000", "1000", 2},
		"compacted alone":              {"compact", "1000", "1000", 1},
		"not compacted":                {"delete", week, "1000", 0},
		"not told":                     {"compact,delete", "", "", 0},
	} {
		r := &risks{}
		configs := map[string]string{"cleanup.policy": tt.policy, "retention.ms": tt.retention, "delete.retention.ms": tt.deleteRetention}
		r.look("t", kafka.TopicInfo{Configs: configs}, config.Default().Poll.Lookback, true)
		if len(*r) != tt.want {
			t.Errorf("%s: %d risks, want %d", name, len(*r), tt.want)
		}
	}
}
