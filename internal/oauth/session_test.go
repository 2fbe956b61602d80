package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"leadstream/internal/fault"
)

const tokenPath, introspectPath = "/oauth/v2/accessToken", "/oauth/v2/introspectToken"

func TestNewNamesEveryProblemOfItsOptions(t *testing.T) {
	_, err := New(Options{AuthURL: "ftp://x", RedirectURL: "/relative"})
	if err == nil {
		t.Fatal("New accepted empty options")
	}
	for _, want := range []string{"client id", "client secret", "scopes", `"ftp://x"`, `"/relative"`, "store"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
}

func TestTokenIsRenewedWhenATenthOfItsLifeIsLeft(t *testing.T) {
	tests := []struct {
		name     string
		after    time.Duration
		want     string
		renewals int
	}{
		{"new", 0, "-access-1", 0},
		{"just before", 54*day - time.Second, "-access-1", 0},
		{"a tenth left", 54 * day, "-access-2", 1},
		{"expired", 61 * day, "-access-2", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.connect()
			w.clock.Add(tt.after)
			got, err := w.AccessToken(t.Context())
			if err != nil || got != planted+tt.want {
				t.Errorf("AccessToken = %q, %v; want %s", got, err, tt.want)
			}
			if n := w.linkedin.count(tokenPath); n != tt.renewals {
				t.Errorf("renewals = %d, want %d", n, tt.renewals)
			}
			if held := w.store.token().Access; held != planted+tt.want {
				t.Errorf("the store holds %s, want %s", held, tt.want)
			}
		})
	}
}

func TestTokenThatEndsWithItsRefreshTokenIsNotRenewedInVain(t *testing.T) {
	w := newWorld(t, nil)
	tok := w.connect()
	tok.RefreshExpiresAt = tok.AccessExpiresAt
	w.store.set(func(m *memory) { m.held = tok })
	w.clock.Add(59 * day)
	if got, err := w.AccessToken(t.Context()); err != nil || got != tok.Access {
		t.Errorf("AccessToken = %q, %v; want the token held", got, err)
	}
	if n := w.linkedin.count(tokenPath); n != 0 {
		t.Errorf("renewals = %d, want 0", n)
	}
}

func TestHundredCallersMakeOneRenewal(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	w.clock.Add(61 * day)
	release := make(chan struct{})
	w.linkedin.set(func() { w.linkedin.pause = release })
	var callers sync.WaitGroup
	for range 100 {
		callers.Go(func() {
			if got, err := w.AccessToken(t.Context()); err != nil || got != planted+"-access-2" {
				t.Errorf("AccessToken = %q, %v", got, err)
			}
		})
	}
	close(release)
	callers.Wait()
	if n := w.linkedin.count(tokenPath); n != 1 {
		t.Errorf("renewals = %d, want 1", n)
	}
}

func TestRenewedTokenIsNotUsedBeforeItIsDurable(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	w.clock.Add(61 * day)
	full := errors.New("disk full")
	w.store.set(func(m *memory) { m.saveErr = full })
	for range 3 {
		got, err := w.AccessToken(t.Context())
		if got != "" || !errors.Is(err, full) || fault.KindOf(err) != fault.Retry {
			t.Fatalf("AccessToken = %q, %v; want the store's error, to retry", got, err)
		}
		noSecret(t, "the error", err.Error())
	}
	// LinkedIn has replaced the refresh token: asking again would be refused.
	w.store.set(func(m *memory) { m.saveErr = nil })
	got, err := w.AccessToken(t.Context())
	if err != nil || got != planted+"-access-2" {
		t.Errorf("AccessToken once the store works = %q, %v; want -access-2", got, err)
	}
	if n := w.linkedin.count(tokenPath); n != 1 {
		t.Errorf("renewals = %d, want 1: the pair that was not stored must not be lost", n)
	}
}

func TestWorkingTokenIsUsedWhileItsRenewalFails(t *testing.T) {
	w := newWorld(t, nil)
	tok := w.connect()
	w.linkedin.override(tokenPath, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(503) })
	w.clock.Add(55 * day)
	for range 3 {
		if got, err := w.AccessToken(t.Context()); err != nil || got != tok.Access {
			t.Fatalf("AccessToken = %q, %v; want the old token", got, err)
		}
	}
	if n := w.linkedin.count(tokenPath); n != 1 {
		t.Errorf("attempts = %d, want 1 until some minutes have passed", n)
	}
	if !strings.Contains(w.log.String(), "did not work") {
		t.Error("the failed renewal was not logged")
	}
	for range 3 {
		w.clock.Add(6 * time.Minute)
		if _, err := w.AccessToken(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(w.log.String(), `"level":"warn"`); n != 1 || w.linkedin.count(tokenPath) != 4 {
		t.Errorf("it was tried %d times and told %d times, want 4 and 1", w.linkedin.count(tokenPath), n)
	}
	w.clock.Add(6 * time.Minute)
	w.linkedin.override(tokenPath, nil)
	if got, err := w.AccessToken(t.Context()); err != nil || got != planted+"-access-2" {
		t.Errorf("AccessToken later = %q, %v; want the renewed one", got, err)
	}
}

func TestOnlyARefusalOfLinkedInAsksForConsent(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(status)
			_, _ = rw.Write([]byte(body))
		}
	}
	refusal := `{"error":"invalid_request","error_description":"invalid, expired or revoked: PLANTED-refresh-1"}`
	tests := []struct {
		name   string
		answer http.HandlerFunc
		after  time.Duration
		consent,
		app bool
		reason Reason
		kind   fault.Kind
	}{
		{name: "refused", answer: answer(400, refusal), after: 61 * day, consent: true, reason: RefreshRefused, kind: fault.Pause},
		{name: "refused after its life", answer: answer(400, refusal), after: 366 * day, consent: true, reason: RefreshExpired, kind: fault.Pause},
		{name: "wrong secret", answer: answer(401, `{"error":"invalid_client","error_description":"PLANTED-app-secret"}`), after: 61 * day, app: true, kind: fault.Pause},
		{name: "500", answer: answer(500, `{"error":"server_error"}`), after: 61 * day, kind: fault.Retry},
		{name: "503 of a proxy", answer: answer(503, `<html>PLANTED</html>`), after: 61 * day, kind: fault.Retry},
		{name: "400 that is not LinkedIn's", answer: answer(400, `<html>PLANTED</html>`), after: 61 * day, kind: fault.Retry},
		{name: "throttled", answer: answer(429, `{}`), after: 61 * day, kind: fault.Retry},
		{name: "200 without a token", answer: answer(200, `{"expires_in":1}`), after: 61 * day, kind: fault.Retry},
		{name: "truncated", answer: answer(200, `{"access_token":"PLANTED`), after: 61 * day, kind: fault.Retry},
		{name: "redirect", answer: func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, after: 61 * day, kind: fault.Retry},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.connect()
			w.clock.Add(tt.after)
			w.linkedin.override(tokenPath, tt.answer)
			_, err := w.AccessToken(t.Context())
			if err == nil {
				t.Fatal("AccessToken gave a token")
			}
			noSecret(t, "the error", err.Error())
			if got := errors.Is(err, ErrConsentNeeded); got != tt.consent {
				t.Errorf("consent needed = %v, want %v: %v", got, tt.consent, err)
			}
			if tt.consent {
				if got := reasonOf(t, err); got != tt.reason {
					t.Errorf("reason = %q, want %q", got, tt.reason)
				}
			}
			var app *AppRefusedError
			if got := errors.As(err, &app); got != tt.app {
				t.Errorf("app refused = %v, want %v: %v", got, tt.app, err)
			}
			if tt.app && !strings.Contains(err.Error(), "linkedin.client_secret") {
				t.Errorf("error %q does not name the setting", err)
			}
			if got := fault.KindOf(err); got != tt.kind {
				t.Errorf("kind = %v, want %v", got, tt.kind)
			}
			if w.linkedin.count("/elsewhere") != 0 {
				t.Error("the app's secret followed a redirect")
			}
		})
	}
}

func TestLinkedInsWaitIsPassedOn(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	w.clock.Add(61 * day)
	w.linkedin.override(tokenPath, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", "90")
		rw.WriteHeader(429)
	})
	_, err := w.AccessToken(t.Context())
	if got := fault.DelayOf(err); got != 90*time.Second {
		t.Errorf("delay = %v, want 90s: %v", got, err)
	}
}

func TestUnreachableLinkedInIsNoReasonForConsent(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.HTTP = unreachable{} })
	w.connect()
	w.clock.Add(61 * day)
	_, err := w.AccessToken(t.Context())
	if !errors.Is(err, errAway) || fault.KindOf(err) != fault.Retry {
		t.Errorf("error = %v (%v), want the transport's, to retry", err, fault.KindOf(err))
	}
	noSecret(t, "the error", err.Error())
}

var errAway = errors.New("no route to host")

type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) { return nil, errAway }

func TestBearerOnlyTokenServesUntilItExpires(t *testing.T) {
	w := newWorld(t, nil)
	tok := w.connect()
	tok.Refresh, tok.RefreshExpiresAt = "", time.Time{}
	w.store.set(func(m *memory) { m.held = tok })
	w.clock.Add(60*day - time.Second)
	if got, err := w.AccessToken(t.Context()); err != nil || got != tok.Access {
		t.Errorf("AccessToken = %q, %v; want the token", got, err)
	}
	w.clock.Add(time.Second)
	_, err := w.AccessToken(t.Context())
	if got := reasonOf(t, err); got != AccessExpired {
		t.Errorf("reason = %q, want %q", got, AccessExpired)
	}
	if n := w.linkedin.count(tokenPath); n != 0 {
		t.Errorf("LinkedIn was asked %d times to renew what cannot be renewed", n)
	}
}

func TestWithoutATokenConsentIsNeeded(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.AccessToken(t.Context())
	if got := reasonOf(t, err); got != NoToken || !errors.Is(err, ErrNoToken) {
		t.Errorf("error = %v, want %q", err, NoToken)
	}
	if !strings.Contains(err.Error(), "leadstream auth login") {
		t.Errorf("error %q does not say what to do", err)
	}
}

func TestConsentAndLogoutOfAnotherProcessAreNoticed(t *testing.T) {
	w := newWorld(t, nil)
	first := w.connect()
	if got, err := w.AccessToken(t.Context()); err != nil || got != first.Access {
		t.Fatalf("AccessToken = %q, %v", got, err)
	}
	w.clock.Add(reloadEvery)
	second := w.connect()
	if got, err := w.AccessToken(t.Context()); err != nil || got != second.Access {
		t.Errorf("AccessToken after another consent = %q, %v; want %s", got, err, second.Access)
	}
	w.clock.Add(reloadEvery)
	w.store.set(func(m *memory) { m.held = Token{} })
	_, err := w.AccessToken(t.Context())
	if got := reasonOf(t, err); got != NoToken {
		t.Errorf("reason after logout = %q, want %q", got, NoToken)
	}
}

func TestUnreadableStoreIsNotAMissingToken(t *testing.T) {
	broken := errors.New("input/output error")
	w := newWorld(t, nil)
	w.store.set(func(m *memory) { m.loadErr = broken })
	if _, err := w.AccessToken(t.Context()); !errors.Is(err, broken) || errors.Is(err, ErrConsentNeeded) {
		t.Errorf("error = %v, want the store's", err)
	}
	// With a token in memory the work goes on.
	w.store.set(func(m *memory) { m.loadErr = nil })
	tok := w.connect()
	if _, err := w.AccessToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.store.set(func(m *memory) { m.loadErr = broken })
	w.clock.Add(time.Hour)
	if got, err := w.AccessToken(t.Context()); err != nil || got != tok.Access {
		t.Errorf("AccessToken = %q, %v; want the token in memory", got, err)
	}
}

func TestExchangeGoesOnWhenItsCallerGivesUp(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	w.clock.Add(61 * day)
	begun, release := make(chan struct{}), make(chan struct{})
	w.linkedin.override(tokenPath, func(rw http.ResponseWriter, r *http.Request) {
		close(begun)
		<-release
		w.linkedin.serveToken(rw, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := w.AccessToken(ctx)
		gaveUp <- err
	}()
	<-begun
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	close(release)
	w.Close()
	if got := w.store.token().Access; got != planted+"-access-2" {
		t.Errorf("after Close the store holds %s, want the renewed token", got)
	}
}

func TestAnswerIsReadAsLinkedInMeansIt(t *testing.T) {
	at := begin.Add(61 * day)
	ends := begin.Add(365 * day) // of the consent
	tests := []struct {
		name    string
		answer  map[string]any
		refresh string
		access  time.Time
		ends    time.Time
		scopes  string
	}{
		{"as documented", map[string]any{"refresh_token_expires_in": 26265600}, "-refresh-2", at.Add(60 * day), at.Add(304 * day), "3"},
		{"a renewal never extends the refresh token", nil, "-refresh-2", at.Add(60 * day), ends, "3"},
		{"without a refresh token the old one stays", map[string]any{"refresh_token": nil, "refresh_token_expires_in": nil}, "-refresh-1", at.Add(60 * day), ends, "3"},
		{"minutes instead of seconds", map[string]any{"refresh_token_expires_in": 525600}, "-refresh-2", at.Add(60 * day), ends, "3"},
		{"no life", map[string]any{"expires_in": nil}, "-refresh-2", time.Time{}, ends, "3"},
		{"life as text", map[string]any{"expires_in": "5183999"}, "-refresh-2", at.Add(60*day - time.Second), ends, "3"},
		{"scopes with blanks", map[string]any{"scope": "a b"}, "-refresh-2", at.Add(60 * day), ends, "a b"},
		{"scopes with commas and blanks", map[string]any{"scope": "a, b,c"}, "-refresh-2", at.Add(60 * day), ends, "a b c"},
		{"scopes left out", map[string]any{"scope": nil}, "-refresh-2", at.Add(60 * day), ends, "3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.connect()
			w.clock.Add(61 * day)
			w.linkedin.set(func() { w.linkedin.answer = tt.answer })
			if _, err := w.AccessToken(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := w.store.token()
			if got.Refresh != planted+tt.refresh || !got.AccessExpiresAt.Equal(tt.access) || !got.RefreshExpiresAt.Equal(tt.ends) {
				t.Errorf("refresh %s until %v, access until %v; want %s, %v, %v",
					got.Refresh, got.RefreshExpiresAt, got.AccessExpiresAt, tt.refresh, tt.ends, tt.access)
			}
			want := tt.scopes
			if want == "3" {
				want = strings.Join(wanted, " ")
			}
			if s := strings.Join(got.Scopes, " "); s != want {
				t.Errorf("scopes = %q, want %q", s, want)
			}
			if !got.AuthorizedAt.Equal(begin) || !got.ObtainedAt.Equal(at) {
				t.Errorf("authorized %v, obtained %v", got.AuthorizedAt, got.ObtainedAt)
			}
		})
	}
}

func TestClockSetBackDoesNotMakeANewPairTheOlderOne(t *testing.T) {
	w := newWorld(t, nil)
	tok := w.connect()
	tok.ObtainedAt = begin.Add(time.Hour)
	tok.AccessExpiresAt = begin.Add(-time.Second)
	w.store.set(func(m *memory) { m.held = tok })
	if got, err := w.AccessToken(t.Context()); err != nil || got != planted+"-access-2" || w.store.token().Access != got {
		t.Errorf("AccessToken = %q, %v; want the renewed one, stored", got, err)
	}
	if got := w.store.token().AccessExpiresAt; !got.Equal(begin.Add(60 * day)) { // by the clock that it is compared with
		t.Errorf("the renewed token ends %v, want 60 days from now", got)
	}
}
