package oauth

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// call makes one API request through the session's transport.
func (w *world) call(t *testing.T, method, body string) (int, string, error) {
	t.Helper()
	return w.callThrough(t, inProcess{w.linkedin}, method, body)
}

func (w *world) callThrough(t *testing.T, base http.RoundTripper, method, body string) (int, string, error) {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://api.linkedin.test/rest/x", reader)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: w.Transport(base)}).Do(req)
	if err != nil {
		noSecret(t, "the error", err.Error())
		return 0, "", err
	}
	text, err := io.ReadAll(resp.Body)
	if closeErr := resp.Body.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
	if req.Header.Get("Authorization") != "" {
		t.Error("the caller's request was changed")
	}
	return resp.StatusCode, string(text), nil
}

func TestRequestsCarryTheToken(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	status, text, err := w.call(t, http.MethodPost, "body")
	if err != nil || status != 200 || text != "hello body" {
		t.Errorf("%d %q %v", status, text, err)
	}
}

func TestRefusedTokenIsRenewedAndTheRequestSentAgain(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t, nil)
			tok := w.connect()
			w.linkedin.set(func() { w.linkedin.status[tok.Access] = "expired" })
			w.clock.Add(time.Hour)
			body := map[string]string{http.MethodPost: "body"}[method]
			status, text, err := w.call(t, method, body)
			if err != nil || status != 200 || text != "hello "+body {
				t.Errorf("%d %q %v, want the answer to the renewed token", status, text, err)
			}
			if n := w.linkedin.count("/rest/x"); n != 2 {
				t.Errorf("API calls = %d, want 2", n)
			}
		})
	}
}

func TestHundredRefusedRequestsMakeOneRenewal(t *testing.T) {
	w := newWorld(t, nil)
	tok := w.connect()
	w.linkedin.set(func() { w.linkedin.status[tok.Access] = "expired" })
	w.clock.Add(time.Hour)
	var callers sync.WaitGroup
	for range 100 {
		callers.Go(func() {
			if status, _, err := w.call(t, http.MethodGet, ""); err != nil || status != 200 {
				t.Errorf("%d %v", status, err)
			}
		})
	}
	callers.Wait()
	if n := w.linkedin.count(tokenPath); n != 1 {
		t.Errorf("renewals = %d, want 1", n)
	}
}

func TestRevokedTokenAsksForConsentAndStopsCalling(t *testing.T) {
	w := newWorld(t, nil)
	tok := w.connect()
	w.linkedin.set(func() { w.linkedin.status[tok.Access], w.linkedin.refresh = "revoked", "gone" })
	w.clock.Add(time.Hour)
	for range 5 {
		_, _, err := w.call(t, http.MethodGet, "")
		if got := reasonOf(t, err); got != AccessRevoked {
			t.Errorf("reason = %q, want %q", got, AccessRevoked)
		}
	}
	if api, token := w.linkedin.count("/rest/x"), w.linkedin.count(tokenPath); api != 1 || token != 1 {
		t.Errorf("API calls = %d, renewals tried = %d; want 1 and 1: the token is known to be dead", api, token)
	}
	w.clock.Add(reloadEvery)
	w.connect() // a new consent
	if status, _, err := w.call(t, http.MethodGet, ""); err != nil || status != 200 {
		t.Errorf("after a new consent: %d %v", status, err)
	}
}

func TestRefusedBearerOnlyTokenNamesLinkedInsVerdict(t *testing.T) {
	for status, want := range map[string]Reason{"revoked": AccessRevoked, "expired": AccessExpired, "": AccessUnknown} {
		w := newWorld(t, nil)
		tok := w.connect()
		tok.Refresh, tok.RefreshExpiresAt = "", time.Time{}
		w.store.set(func(m *memory) { m.held = tok })
		w.linkedin.set(func() { w.linkedin.status[tok.Access] = status })
		w.clock.Add(time.Hour)
		_, _, err := w.call(t, http.MethodGet, "")
		if got := reasonOf(t, err); got != want {
			t.Errorf("introspection %q: reason = %q, want %q", status, got, want)
		}
	}
}

func TestFreshTokenIsTriedAgainWhileLinkedInLearnsOfIt(t *testing.T) {
	tests := []struct {
		name  string
		lag   int
		takes time.Duration
		api   int
	}{
		{"one", 1, time.Second, 2},
		{"three", 3, 7 * time.Second, 4},
		{"all four", 4, 15 * time.Second, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(o *Options) { o.Now = time.Now })
				w.clock.t = time.Now()
				tok := w.connect()
				w.linkedin.set(func() { w.linkedin.lag[tok.Access] = tt.lag })
				start := time.Now()
				status, _, err := w.call(t, http.MethodGet, "")
				if err != nil || status != 200 || time.Since(start) != tt.takes {
					t.Errorf("%d %v after %v, want 200 after %v", status, err, time.Since(start), tt.takes)
				}
				if api, renewals := w.linkedin.count("/rest/x"), w.linkedin.count(tokenPath); api != tt.api || renewals != 0 {
					t.Errorf("API calls = %d, renewals = %d; want %d, 0", api, renewals, tt.api)
				}
			})
		})
	}
}

// Another consent invalidates a token that is still fresh: what is there now is
// used, and the lag of the old one is not outwaited.
func TestFreshTokenThatWasReplacedIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeating(t, func(o *Options) { o.Now = nil })
		tok := b.bearerOnly(0)
		b.linkedin.says(tok, "revoked")
		time.AfterFunc(5*time.Second, func() { b.bearerOnly(0) })
		begun := time.Now()
		if status, err := b.get(t); status != http.StatusOK || err != nil {
			t.Errorf("API call = %d, %v", status, err)
		}
		if took := time.Since(begun); took > 5*time.Second+reloadEvery {
			t.Errorf("it took %v, want no longer than the store is left alone", took)
		}
	})
}

func TestRenewedTokenMayLagAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Now = time.Now })
		w.clock.t = time.Now()
		tok := w.connect()
		w.linkedin.set(func() {
			w.linkedin.status[tok.Access] = "expired"
			w.linkedin.lag[planted+"-access-2"] = 2
		})
		time.Sleep(time.Hour)
		if status, _, err := w.call(t, http.MethodGet, ""); err != nil || status != 200 {
			t.Errorf("%d %v", status, err)
		}
	})
}

func TestAPIThatRefusesGoodTokensIsNotAnsweredByEndlessRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Now = time.Now })
		w.clock.t = time.Now()
		w.connect()
		w.linkedin.override("/rest/x", func(rw http.ResponseWriter, _ *http.Request) { refuse(rw, 401, "x", "") })
		time.Sleep(time.Hour)
		for range 5 {
			_, _, err := w.call(t, http.MethodGet, "")
			if got := reasonOf(t, err); got != AccessRefused {
				t.Errorf("reason = %q, want %q", got, AccessRefused)
			}
			time.Sleep(time.Minute)
		}
		if n := w.linkedin.count(tokenPath); n != 1 {
			t.Errorf("renewals = %d, want 1 in ten minutes", n)
		}
		w.linkedin.override("/rest/x", nil)
		if status, _, err := w.call(t, http.MethodGet, ""); err != nil || status != 200 {
			t.Errorf("once the API is well: %d %v", status, err)
		}
	})
}

func TestUnreachableIntrospectionIsNoVerdict(t *testing.T) {
	w := newWorld(t, nil)
	tok := w.connect()
	w.linkedin.set(func() { w.linkedin.status[tok.Access] = "expired" })
	w.linkedin.override(introspectPath, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) })
	w.clock.Add(time.Hour)
	if status, _, err := w.call(t, http.MethodGet, ""); err != nil || status != 200 {
		t.Errorf("%d %v, want the renewed token's answer", status, err)
	}
}

func TestOtherFailuresOfTheAPIAreTheCallers(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	for _, want := range []int{403, 429, 500, 503} {
		w.linkedin.override("/rest/x", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(want) })
		if status, _, err := w.call(t, http.MethodGet, ""); err != nil || status != want {
			t.Errorf("%d %v, want %d", status, err, want)
		}
	}
	if n := w.linkedin.count(introspectPath); n != 0 {
		t.Errorf("introspections = %d: only a 401 speaks of the token", n)
	}
	if _, _, err := w.callThrough(t, unreachable{}, http.MethodGet, ""); !errors.Is(err, errAway) {
		t.Errorf("error = %v, want the transport's", err)
	}
}

func TestBodyThatCannotBeSentTwiceGetsThe401(t *testing.T) {
	w := newWorld(t, nil)
	tok := w.connect()
	w.linkedin.set(func() { w.linkedin.status[tok.Access] = "expired" })
	w.clock.Add(time.Hour)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://api.linkedin.test/rest/x", io.MultiReader(strings.NewReader("once")))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: w.Transport(inProcess{w.linkedin})}).Do(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("%v %v, want the 401", resp, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestTokenNeverFollowsARedirect(t *testing.T) {
	var leaked []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		leaked = append(leaked, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	api := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer api.Close()
	w := newWorld(t, nil)
	w.connect()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: w.Transport(nil)}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if len(leaked) != 1 || leaked[0] != "" {
		t.Errorf("the redirect's target saw %q, want one request without a token", leaked)
	}
}

func TestRequestBodyIsClosedWithoutAToken(t *testing.T) {
	w := newWorld(t, nil)
	body := &closing{Reader: strings.NewReader("x")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://api.linkedin.test/rest/x", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.Transport(inProcess{w.linkedin}).RoundTrip(req)
	if err == nil {
		t.Fatal(resp.Body.Close(), "no error")
	}
	if !body.closed {
		t.Error("the body was left open")
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

// A 401 that speaks of a role is not a dead token.
func TestDeniedRoleThatComesAs401LeavesTheTokenAlone(t *testing.T) {
	for _, body := range []string{`{"status":401,"code":"ACCESS_DENIED"}`, `{"status":401,"serviceErrorCode":100}`} {
		b := newBeating(t, nil)
		b.connect()
		b.after(t, time.Minute)
		b.linkedin.override("/rest/x", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			_, _ = w.Write([]byte(body))
		})
		if status, err := b.get(t); status != 401 || err != nil {
			t.Errorf("API call = %d, %v; want LinkedIn's answer", status, err)
		}
		if n := b.linkedin.count(tokenPath); n != 0 {
			t.Errorf("renewals = %d, want 0", n)
		}
	}
}

// What LinkedIn calls expired is renewed at once, however fresh it is: only a
// token that parts of LinkedIn have not heard of is worth waiting for.
func TestExpiredTokenIsNotWaitedForEvenWhenItIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeating(t, nil)
		tok := b.connect()
		b.linkedin.set(func() { b.linkedin.status[tok.Access] = "expired" })
		b.linkedin.override("/rest/x", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+tok.Access {
				b.linkedin.serveAPI(w, r)
				return
			}
			w.WriteHeader(401)
			_, _ = w.Write([]byte(`{"status":401,"serviceErrorCode":65602}`))
		})
		begun := time.Now()
		if status, err := b.get(t); status != http.StatusOK || err != nil {
			t.Errorf("API call = %d, %v", status, err)
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}
