package status

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"leadstream/internal/linkedin"
	"leadstream/internal/oauth"
	"leadstream/internal/web"
)

func TestPageAndProbeSayHowTheConnectionIs(t *testing.T) {
	at := time.Unix(1800000000, 0)
	secret := errors.New("token file /data/token: others may read it")
	known := func(s oauth.Status) oauth.Health { return oauth.Health{Known: true, Status: s} }
	tests := []struct {
		name   string
		health oauth.Health
		state  web.State
		reason string // of the probe; empty when it says nothing
	}{
		{"not looked at yet", oauth.Health{}, web.Waiting, ""},
		{"works", oauth.Health{Known: true, CheckedAt: at, Status: oauth.Status{Usable: true, AuthorizedAt: at, Note: "ends soon"}}, web.OK, ""},
		{"the consent ends in 31 days", known(oauth.Status{Usable: true, Refreshable: true, AccessExpiresAt: at.Add(time.Hour), RefreshExpiresAt: at.Add(31 * 24 * time.Hour)}), web.OK, ""},
		{"the consent ends in 30 days", known(oauth.Status{Usable: true, Refreshable: true, AccessExpiresAt: at.Add(time.Hour), RefreshExpiresAt: at.Add(30 * 24 * time.Hour)}), web.Warning, ""},
		{"nothing renews the token, which ends in 30 days", known(oauth.Status{Usable: true, AccessExpiresAt: at.Add(30 * 24 * time.Hour)}), web.Warning, ""},
		{"when the consent ends is not known", known(oauth.Status{Usable: true, Refreshable: true, AccessExpiresAt: at.Add(time.Hour)}), web.OK, ""},
		{"consent needed, of one that would end soon", known(oauth.Status{Problem: "it was revoked", Todo: "consent", AccessExpiresAt: at.Add(time.Hour)}), web.Failing, "it was revoked"},
		{"consent needed", oauth.Health{Known: true, Status: oauth.Status{Problem: "it was revoked", Todo: "consent"}}, web.Failing, "it was revoked"},
		{"store away", oauth.Health{Unread: secret, Status: oauth.Status{Problem: secret.Error()}}, web.Failing, "the stored tokens cannot be read"},
		{"store to be recovered", oauth.Health{Known: true, Unread: secret, Status: oauth.Status{Problem: secret.Error()}}, web.Failing, "the stored tokens cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			view := connection(tt.health, at)
			if view.State != tt.state || view.Problem != tt.health.Problem || view.Todo != tt.health.Todo || view.Note != tt.health.Note ||
				view.CheckedAt != tt.health.CheckedAt || view.Stored != (!tt.health.AuthorizedAt.IsZero() || tt.health.Unread != nil) {
				t.Errorf("the page shows %+v", view)
			}
			d, degraded := consentDegraded(tt.health)
			if degraded != (tt.reason != "") || d.Reason != tt.reason || degraded && d.Todo == "" {
				t.Errorf("the probe says %+v, %v; want %q", d, degraded, tt.reason)
			}
			if strings.Contains(d.Reason+d.Todo, "/data") {
				t.Error("the probe tells strangers where the tokens are")
			}
		})
	}
}

func TestMetricsTellOfTheConsent(t *testing.T) {
	access, refresh := time.Unix(1800000000, 0), time.Unix(1900000000, 0)
	const tokens = `# HELP leadstream_token_expiry_timestamp_seconds When a token ends, Unix time: access is renewed until refresh ends, which takes a new consent.
# TYPE leadstream_token_expiry_timestamp_seconds gauge
`
	const authorized = `# HELP leadstream_authorized 1 while LinkedIn takes the tokens or they can be renewed without a person, 0 when a person must act.
# TYPE leadstream_authorized gauge
`
	const accessLine = "leadstream_token_expiry_timestamp_seconds{token=\"access\"} 1.8e+09\n"
	tests := []struct {
		name   string
		status *oauth.Status
		want   string
	}{
		{"not looked at yet", nil, ""},
		{"usable", &oauth.Status{Usable: true, AccessExpiresAt: access, RefreshExpiresAt: refresh},
			authorized + "leadstream_authorized 1\n" + tokens + accessLine + "leadstream_token_expiry_timestamp_seconds{token=\"refresh\"} 1.9e+09\n"},
		{"without a refresh token", &oauth.Status{Usable: true, AccessExpiresAt: access},
			authorized + "leadstream_authorized 1\n" + tokens + accessLine},
		{"revoked", &oauth.Status{AccessExpiresAt: access}, authorized + "leadstream_authorized 0\n" + tokens + accessLine},
		{"no token", &oauth.Status{}, authorized + "leadstream_authorized 0\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			health := oauth.Health{}
			if tt.status != nil {
				health = oauth.Health{Known: true, Status: *tt.status}
			}
			m := NewConnectionMetrics(func() oauth.Health { return health })
			if err := testutil.CollectAndCompare(m, strings.NewReader(tt.want)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestThePageSaysThatRequestsArePaced(t *testing.T) {
	client, err := linkedin.New(linkedin.Options{Version: "202607", HTTP: http.DefaultTransport})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	client.Restore(linkedin.Counters{Day: now.Format(time.DateOnly), Requests: map[string]int{"leadFormResponses": 12, "events": 3},
		Throttled: map[string]int{"events": 2},
		Limits:    map[string]linkedin.DailyLimit{"leadFormResponses": {Allowed: 5000, Limit: 5000, Day: "2026-11-01"}}})
	got := budget(client.Budget())
	if !got.Paced || !strings.Contains(got.Note, "paced to 4500 requests a day") || !got.Resets.After(now) || len(got.Endpoints) != 2 {
		t.Fatalf("budget = %+v", got)
	}
	if e := got.Endpoints[1]; e.Name != "leadFormResponses" || e.Used != 12 || e.Limit != 4500 {
		t.Errorf("leadFormResponses = %+v", e)
	}
	if e := got.Endpoints[0]; e.Name != "events" || e.Used != 3 || e.Limit != 0 || e.Throttled != 2 {
		t.Errorf("events = %+v", e)
	}
}
