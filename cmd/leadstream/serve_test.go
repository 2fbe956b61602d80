package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/linkedinsim"
	"leadstream/internal/oauth"
	"leadstream/internal/web"
)

// browse asks the pages of a web.Server as a browser on this machine does.
func browse(server *web.Server, method, target string, cookies []*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost:8480"+target, nil)
	r.RemoteAddr = "127.0.0.1:5"
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	server.Handler().ServeHTTP(w, r)
	return w
}

// The usual slip of a first setup.
func TestAWrongSecretIsToldToWhoConsentsInTheBrowser(t *testing.T) {
	t.Parallel()
	const wrong = "a-wrong-secret"
	world := bareStack(t, linkedinsim.Config{Organizations: 1, Seed: 1, AutoConsent: true})
	s := world.system(map[string]string{"LEADSTREAM_LINKEDIN_CLIENT_SECRET": wrong})
	server, err := web.New(web.Options{
		Listen: "127.0.0.1:8480", RedirectURL: s.config.LinkedIn.RedirectURL, AuthURL: s.config.LinkedIn.AuthURL,
		Consent: &webConsent{session: s.session, heartbeat: s.newHeartbeat(func() {})},
		View:    func(context.Context) web.View { return web.View{} },
		Ready:   func() web.Readiness { return web.Readiness{} },
		Metrics: http.NotFoundHandler(), Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	begun := browse(server, http.MethodPost, "/oauth/login", nil)
	ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, begun.Header().Get("Location"), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(ask) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	_, query, allowed := strings.Cut(answer.Header.Get("Location"), "?")
	if !allowed {
		t.Fatalf("LinkedIn sent the browser to %q (%s)", answer.Header.Get("Location"), answer.Status)
	}
	back := browse(server, http.MethodGet, "/oauth/callback?"+query, begun.Result().Cookies())
	page := back.Body.String()
	for _, text := range []string{"linkedin.client_secret is wrong", "Auth page", "restart leadstream"} {
		if !strings.Contains(page, text) {
			t.Errorf("callback = %d without %q: %s", back.Code, text, page)
		}
	}
	if back.Code != http.StatusForbidden || strings.Contains(page, wrong) {
		t.Errorf("callback = %d, want 403 and a page without the secret: %s", back.Code, page)
	}
}

// silence is a LinkedIn that answers only when it is told to.
type silence chan struct{}

func (s silence) RoundTrip(r *http.Request) (*http.Response, error) {
	<-s
	return nil, r.Context().Err()
}

func TestABrowserDoesNotWaitForAHeartbeatThatLinkedInKeepsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		linkedin := make(silence)
		store := oauth.NewFileStore(filepath.Join(t.TempDir(), "token"), "")
		now := time.Now()
		if err := store.Save(t.Context(), oauth.Token{Access: "access", AccessExpiresAt: now.Add(time.Hour), AuthorizedAt: now, ObtainedAt: now}); err != nil {
			t.Fatal(err)
		}
		session, err := oauth.New(oauth.Options{
			ClientID: "id", ClientSecret: "secret", AuthURL: "https://linkedin.example.com", RedirectURL: "http://localhost:8480/oauth/callback",
			Scopes: []string{"r_events"}, HTTP: linkedin, Store: store,
		})
		if err != nil {
			t.Fatal(err)
		}
		consent := &webConsent{session: session, heartbeat: oauth.NewHeartbeat(session, oauth.HeartbeatOptions{Every: time.Hour})}
		start := time.Now()
		consent.look(t.Context())
		if took := time.Since(start); took != lookPatience {
			t.Errorf("the browser waited for %v, want %v", took, lookPatience)
		}
		close(linkedin)
		consent.looks.Wait()
	})
}
