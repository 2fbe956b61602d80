package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"leadstream/config"
	"leadstream/internal/oauth"
	"leadstream/internal/web"
)

func TestTheLogNamesThePageWherePeopleFindIt(t *testing.T) {
	for _, tt := range []struct{ redirect, listen, want string }{
		{"http://localhost:8480/oauth/callback", "0.0.0.0:8480", "http://localhost:8480/"},
		{"https://leads.example.com/leadstream/oauth/callback", "0.0.0.0:8480", "https://leads.example.com/leadstream/"},
		{"https://leads.example.com/other", "127.0.0.1:8481", "http://127.0.0.1:8481/"},
		{"https://leads.example.com/other", ":8481", "http://localhost:8481/"},
	} {
		c := config.Default()
		c.LinkedIn.RedirectURL, c.HTTP.Listen = tt.redirect, tt.listen
		if got := pageAddress(c); got != tt.want {
			t.Errorf("redirect %s, listen %s: %s, want %s", tt.redirect, tt.listen, got, tt.want)
		}
	}
}

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
			view := connectionView(tt.health, at)
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
