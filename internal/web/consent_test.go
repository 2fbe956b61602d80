package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestConnectBindsTheConsentToTheBrowser(t *testing.T) {
	consent := &fakeConsent{}
	s := newTestServer(t, func(o *Options) { o.Consent = consent })
	w := ask(t, s, http.MethodPost, "/oauth/login", nil)
	if w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "https://www.linkedin.com/oauth/v2/authorization") {
		t.Fatalf("connect = %d to %q, want 303 to LinkedIn", w.Code, w.Header().Get("Location"))
	}
	cookie := w.Result().Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge != 1800 {
		t.Errorf("cookie = %v, want HttpOnly, SameSite=Lax, 30 minutes", cookie)
	}
	if len(consent.begun) != 1 || consent.begun[0] != cookie.Value || len(cookie.Value) < 22 {
		t.Fatalf("the state is bound to %q and the cookie holds %q, want one unguessable text", consent.begun, cookie.Value)
	}
	again := ask(t, s, http.MethodPost, "/oauth/login", with(w)).Result().Cookies()[0]
	if again.Value == cookie.Value {
		t.Error("two consents have the same binding")
	}

	back := get(t, s, "/oauth/callback?code=c&state=s", with(w))
	if back.Code != http.StatusOK || !strings.Contains(back.Body.String(), "Connected to LinkedIn") {
		t.Errorf("callback = %d, want 200 and the news", back.Code)
	}
	if consent.finished[0] != cookie.Value || consent.params.Get("code") != "c" || consent.params.Get("state") != "s" {
		t.Errorf("the callback came with %q and %v, want the cookie's binding and LinkedIn's parameters", consent.finished[0], consent.params)
	}
	if c := back.Result().Cookies()[0]; c.MaxAge >= 0 || c.Name != cookie.Name {
		t.Errorf("after the consent the cookie is %v, want it removed", c)
	}
}

// Two processes of an installation on one machine have ports of their own, and
// LinkedIn knows only one of them.
func TestAConsentMayEndAtAnotherProcessThanItBegan(t *testing.T) {
	begins := newTestServer(t, func(o *Options) { o.Consent, o.Listen = &fakeConsent{}, "127.0.0.1:8481" })
	ends := &fakeConsent{}
	other := newTestServer(t, func(o *Options) { o.Consent, o.Listen = ends, "127.0.0.1:8480" })
	begun := ask(t, begins, http.MethodPost, "/oauth/login", nil)
	back := get(t, other, "/oauth/callback?code=c&state=s", with(begun))
	if binding := begun.Result().Cookies()[0].Value; back.Code != http.StatusOK || ends.finished[0] != binding {
		t.Errorf("callback = %d with %q, want 200 with the binding of the first process", back.Code, ends.finished)
	}
}

func TestGetNeverChangesAnything(t *testing.T) {
	consent := &fakeConsent{}
	s := newTestServer(t, func(o *Options) { o.Consent = consent })
	for path, button := range map[string]string{"/oauth/login": "Go to LinkedIn", "/oauth/disconnect": "Disconnect"} {
		w := get(t, s, path, nil)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), button) {
			t.Errorf("GET %s = %d, want a page with the button %q", path, w.Code, button)
		}
	}
	if len(consent.begun)+consent.disconnected > 0 {
		t.Error("a GET has changed something")
	}
}

func TestCallbackWithoutCookieHasNoBinding(t *testing.T) {
	consent := &fakeConsent{}
	s := newTestServer(t, func(o *Options) { o.Consent, o.Password = consent, secret })
	if w := get(t, s, "/oauth/callback?code=c&state=s", nil); w.Code != http.StatusOK {
		t.Errorf("callback of another program's login = %d, want 200 without any session", w.Code)
	}
	if len(consent.finished) != 1 || consent.finished[0] != "" {
		t.Errorf("bindings = %q, want one that is empty", consent.finished)
	}
}

func TestCallbackSaysWhyThereIsNoConnection(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
		says   []string
	}{
		{"foreign state", ErrForeignState, 401, []string{"This link is not valid", "Nothing has changed"}},
		{"wrapped foreign state", errors.Join(errors.New("x"), ErrForeignState), 401, []string{"This link is not valid"}},
		{"another installation's", &ConsentError{Problem: "It was begun for sales.", Todo: "Paste it there.", Err: ErrForeignState}, 401,
			[]string{"This link is not valid", "begun for sales", "Paste it there"}},
		{"refused", &ConsentError{Problem: "The consent was cancelled on LinkedIn's page.", Todo: "Allow the access."}, 403, []string{"cancelled on LinkedIn", "Allow the access", "Connect again"}},
		{"away", errors.New("dial tcp 192.0.2.1:443: connection refused"), 502, []string{"could not be finished", "log"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestServer(t, func(o *Options) { o.Consent = &fakeConsent{callback: c.err} })
			begun := ask(t, s, http.MethodPost, "/oauth/login", nil)
			w := get(t, s, "/oauth/callback?state=s&code=c", with(begun))
			if w.Code != c.status {
				t.Errorf("callback = %d, want %d", w.Code, c.status)
			}
			body := strings.ReplaceAll(w.Body.String(), "&#39;", "'")
			for _, text := range c.says {
				if !strings.Contains(body, text) {
					t.Errorf("the page does not say %q", text)
				}
			}
			if strings.Contains(body, "192.0.2.1") {
				t.Error("the page shows the error's text")
			}
			if len(w.Result().Cookies()) > 0 {
				t.Error("a failed callback takes the cookie of the consent that may still succeed")
			}
		})
	}
}

func TestConsentBeginsWhereLinkedInWillSendTheBrowser(t *testing.T) {
	for _, c := range []struct {
		name, redirect, host, path, want string
	}{
		{"by address", "http://localhost:8480/oauth/callback", "127.0.0.1:8480", "/oauth/login", "http://localhost:8480/oauth/login?here"},
		{"by the right name", "http://localhost:8480/oauth/callback", "localhost:8480", "/oauth/login", "https://www.linkedin.com/oauth/v2/authorization?state=s"},
		{"by another port of the right name", "http://localhost:8480/oauth/callback", "localhost:9999", "/oauth/login", "https://www.linkedin.com/oauth/v2/authorization?state=s"},
		{"below a prefix", "http://leads.localhost/ls/oauth/callback", "localhost:8480", "/oauth/login", "http://leads.localhost/ls/oauth/login?here"},
		{"sent already", "http://localhost:8480/oauth/callback", "127.0.0.1:8480", "/oauth/login?here", "https://www.linkedin.com/oauth/v2/authorization?state=s"},
		{"a callback elsewhere", "https://other.example.com/callback", "127.0.0.1:8480", "/oauth/login", "https://www.linkedin.com/oauth/v2/authorization?state=s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestServer(t, func(o *Options) { o.RedirectURL = c.redirect })
			w := ask(t, s, http.MethodPost, c.path, from("127.0.0.1:1", c.host))
			if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != c.want {
				t.Errorf("connect = %d to %q, want 303 to %q", w.Code, got, c.want)
			}
		})
	}
}

func TestDisconnectRemovesTheConnection(t *testing.T) {
	consent := &fakeConsent{}
	s := newTestServer(t, func(o *Options) { o.Consent = consent })
	w := ask(t, s, http.MethodPost, "/oauth/disconnect", nil)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "../" || consent.disconnected != 1 {
		t.Errorf("disconnect = %d to %q, %d times, want 303 to ../, once", w.Code, w.Header().Get("Location"), consent.disconnected)
	}
	consent.disconnect = errors.New("read-only file system")
	if w := ask(t, s, http.MethodPost, "/oauth/disconnect", nil); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "read-only") {
		t.Errorf("a failing disconnect = %d %q, want 500 without the cause", w.Code, w.Body)
	}
}

// slowConsent takes all the time that it is given.
type slowConsent struct{ fakeConsent }

func (*slowConsent) Callback(ctx context.Context, _ url.Values, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

func (*slowConsent) Disconnect(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// deadlines is a connection that notes until when an answer can be written.
type deadlines struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.until = t
	return nil
}

// Also when LinkedIn or the place of the tokens keeps it waiting.
func TestWhoConsentsOrDisconnectsIsAnsweredBeforeTheConnectionIsCut(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/oauth/callback?code=c&state=s", http.StatusBadGateway},
		{http.MethodPost, "/oauth/disconnect", http.StatusInternalServerError},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newTestServer(t, func(o *Options) { o.Consent = &slowConsent{} })
			w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
			r := httptest.NewRequest(c.method, "http://localhost:8480"+c.path, nil)
			r.RemoteAddr = "127.0.0.1:5"
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			s.Handler().ServeHTTP(w, r)
			if left := time.Until(w.until); w.Code != c.status || left < answerTime {
				t.Errorf("%s %s = %d, %v before the connection is cut; want %d and %v", c.method, c.path, w.Code, left, c.status, answerTime)
			}
		})
	}
}

// brokenConsent cannot make an address.
type brokenConsent struct {
	fakeConsent
	err error
}

func (c *brokenConsent) AuthorizeURL(context.Context, string) (string, error) { return "", c.err }

func TestConnectThatCannotBeginSetsNoCookie(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{errors.New("no client id"), http.StatusInternalServerError, "went wrong"},
		{&ConsentError{Problem: "The tokens could not be stored.", Todo: "Make room.", Err: errors.New("/secret/place is full")}, http.StatusForbidden, "could not be stored"},
	} {
		s := newTestServer(t, func(o *Options) { o.Consent = &brokenConsent{err: c.err} })
		w := ask(t, s, http.MethodPost, "/oauth/login", nil)
		if w.Code != c.status || len(w.Result().Cookies()) > 0 || !strings.Contains(w.Body.String(), c.says) || strings.Contains(w.Body.String(), "/secret") {
			t.Errorf("connect = %d with cookies %v: %s; want %d with none and %q", w.Code, w.Result().Cookies(), w.Body, c.status, c.says)
		}
	}
}

var _ Consent = (*fakeConsent)(nil)
