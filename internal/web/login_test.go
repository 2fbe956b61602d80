package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

const secret = "correct horse battery staple"

// locked is a server with a password and a clock that the test moves.
func locked(t *testing.T, now *time.Time) *Server {
	t.Helper()
	return newTestServer(t, func(o *Options) {
		o.Password = secret
		o.Now = func() time.Time { return *now }
	})
}

// logIn posts the login form.
func logIn(t *testing.T, s *Server, remote, password, next string) *httptest.ResponseRecorder {
	t.Helper()
	form := url.Values{"password": {password}, "next": {next}}.Encode()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr, r.Host = remote, "198.51.100.1:8480"
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// with carries the cookies of an earlier answer.
func with(earlier *httptest.ResponseRecorder) func(*http.Request) {
	return func(r *http.Request) {
		for _, c := range earlier.Result().Cookies() {
			r.AddCookie(c)
		}
	}
}

func TestPasswordOpensThePageForTwelveHours(t *testing.T) {
	now := noon
	s := locked(t, &now)
	w := logIn(t, s, "192.0.2.7:1", secret, "")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "./" {
		t.Fatalf("the right password = %d to %q, want 303 to ./", w.Code, w.Header().Get("Location"))
	}
	for _, path := range []string{"/", "/api/status", "/oauth/login", "/oauth/disconnect"} {
		if got := get(t, s, path, with(w)).Code; got != http.StatusOK {
			t.Errorf("GET %s with the session = %d, want 200", path, got)
		}
	}
	now = noon.Add(sessionLife - time.Second)
	if got := get(t, s, "/", with(w)).Code; got != http.StatusOK {
		t.Errorf("a second before the end the session gives %d, want 200", got)
	}
	now = noon.Add(sessionLife)
	if got := get(t, s, "/", with(w)).Code; got != http.StatusSeeOther {
		t.Errorf("at its end the session gives %d, want 303", got)
	}
}

func TestNothingPrivateIsSeenWithoutThePassword(t *testing.T) {
	now := noon
	s := locked(t, &now)
	for _, c := range []struct {
		method, path, location string
		status                 int
	}{
		{http.MethodGet, "/", "login", 303},
		{http.MethodGet, "/oauth/login", "../login?next=consent", 303},
		{http.MethodGet, "/oauth/disconnect", "../login?next=disconnect", 303},
		{http.MethodPost, "/oauth/login", "../login?next=consent", 303},
		{http.MethodPost, "/oauth/disconnect", "../login?next=disconnect", 303},
		{http.MethodGet, "/api/status", "", 401},
		{http.MethodGet, "/healthz", "", 200},
		{http.MethodGet, "/readyz", "", 200},
		{http.MethodGet, "/metrics", "", 200},
		{http.MethodGet, "/login", "", 200},
	} {
		w := ask(t, s, c.method, c.path, nil)
		if w.Code != c.status || w.Header().Get("Location") != c.location {
			t.Errorf("%s %s = %d to %q, want %d to %q", c.method, c.path, w.Code, w.Header().Get("Location"), c.status, c.location)
		}
		if strings.Contains(w.Body.String(), "Alpenblick") {
			t.Errorf("%s %s tells of an organization", c.method, c.path)
		}
	}
	if n := len(s.opts.Consent.(*fakeConsent).begun) + s.opts.Consent.(*fakeConsent).disconnected; n > 0 {
		t.Errorf("%d changes were made without the password, want none", n)
	}
}

func TestLoginLeadsNowhereButToOurselves(t *testing.T) {
	now := noon
	s := locked(t, &now)
	for next, want := range map[string]string{
		"": "./", "consent": "oauth/login", "disconnect": "oauth/disconnect",
		"https://evil.example.net": "./", "//evil.example.net": "./", "../x": "./", "/metrics": "./",
	} {
		if got := logIn(t, s, "192.0.2.7:1", secret, next).Header().Get("Location"); got != want {
			t.Errorf("login with next %q leads to %q, want %q", next, got, want)
		}
	}
}

func TestSessionCookieIsForThisServerAlone(t *testing.T) {
	now := noon
	plain := locked(t, &now)
	proxied := newTestServer(t, func(o *Options) {
		o.Password, o.RedirectURL, o.Hosts = secret, "https://leads.example.com/oauth/callback", []string{"198.51.100.1"}
	})
	c := logIn(t, plain, "192.0.2.7:1", secret, "").Result().Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Path != "/" || c.Domain != "" || c.MaxAge != 12*60*60 {
		t.Errorf("cookie over HTTP = %v, want HttpOnly, SameSite=Lax, Path=/, no domain, 12 hours", c)
	}
	for name, change := range map[string]func(*http.Request){
		"by the public name": from("192.0.2.7:1", "leads.example.com"),
		"by the proxy":       from("192.0.2.7:1", "198.51.100.1", "X-Forwarded-Proto", "https"),
	} {
		w := ask(t, proxied, http.MethodPost, "/logout", change)
		if c := w.Result().Cookies()[0]; !c.Secure {
			t.Errorf("cookie over HTTPS, told %s = %v, want Secure", name, c)
		}
	}
}

func TestSessionsAreSharedByPasswordAlone(t *testing.T) {
	one, other, changed := newSessions(secret, 2), newSessions(secret, 2), newSessions("another", 2)
	session, err := one.issue(noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.check(session, noon); err != nil {
		t.Errorf("another process with the same password says %v, want nil", err)
	}
	if err := changed.check(session, noon); err == nil {
		t.Error("the session outlives a change of the password")
	}
	for i := range session {
		forged := []byte(session)
		forged[i] ^= 1
		if err := one.check(string(forged), noon); err == nil {
			t.Errorf("a session with byte %d changed is accepted", i)
		}
	}
	for _, s := range []string{"", "x", session + "A", session[:len(session)-1], strings.Repeat("A", len(session))} {
		if err := one.check(s, noon); err == nil {
			t.Errorf("session %.20q is accepted", s)
		}
	}
}

func TestLogoutEndsTheSessionInTheBrowser(t *testing.T) {
	now := noon
	w := ask(t, locked(t, &now), http.MethodPost, "/logout", nil)
	if c := w.Result().Cookies()[0]; w.Code != http.StatusSeeOther || c.MaxAge >= 0 || c.Value != "" {
		t.Errorf("logout = %d with cookie %v, want 303 and the cookie removed", w.Code, c)
	}
}

func TestProgramsLogInByBasicAuthentication(t *testing.T) {
	now := noon
	s := locked(t, &now)
	basic := func(password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth("monitor", password) }
	}
	for range 3 * guessesPerAddress { // right ones are not limited
		if w := get(t, s, "/api/status", basic(secret)); w.Code != http.StatusOK {
			t.Fatalf("the right password = %d, want 200", w.Code)
		}
	}
	w := get(t, s, "/api/status", basic("wrong"))
	if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("a wrong password = %d %q, want 401 that asks for Basic", w.Code, w.Header().Get("WWW-Authenticate"))
	}
	for range guessesPerAddress {
		w = get(t, s, "/api/status", basic("wrong"))
	}
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("wrong passwords in a row = %d, Retry-After %q, want 429 with one", w.Code, w.Header().Get("Retry-After"))
	}
}

func TestGuessingIsSlow(t *testing.T) {
	now := noon
	s := locked(t, &now)
	for i := range guessesPerAddress {
		if w := logIn(t, s, "192.0.2.7:1", "wrong", ""); w.Code != http.StatusUnauthorized {
			t.Fatalf("wrong password %d = %d, want 401", i+1, w.Code)
		}
	}
	w := logIn(t, s, "192.0.2.7:2", secret, "")
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "12" {
		t.Errorf("the next guess = %d, Retry-After %q, want 429 and 12", w.Code, w.Header().Get("Retry-After"))
	}
	if w := logIn(t, s, "198.51.100.9:1", secret, ""); w.Code != http.StatusSeeOther {
		t.Errorf("somebody else meanwhile = %d, want 303", w.Code)
	}
	now = now.Add(guessEvery)
	if w := logIn(t, s, "192.0.2.7:3", secret, ""); w.Code != http.StatusSeeOther {
		t.Errorf("after the wait = %d, want 303", w.Code)
	}
}

func TestGuessingFromManyAddressesIsSlowToo(t *testing.T) {
	now := noon
	s := locked(t, &now)
	refused := 0
	for i := range 10 * guessesInAll {
		remote := "[2001:db8:0:" + string(rune('a'+i%6)) + string(rune('0'+i%10)) + "::1]:1"
		if logIn(t, s, remote, "wrong", "").Code == http.StatusTooManyRequests {
			refused++
		}
	}
	if answered := 10*guessesInAll - refused; answered > guessesInAll {
		t.Errorf("%d guesses were answered at once, want at most %d", answered, guessesInAll)
	}
	now = now.Add(time.Hour)
	logIn(t, s, "192.0.2.7:1", "wrong", "")
	if n := len(s.guesses.of); n != 1 {
		t.Errorf("%d addresses are remembered an hour later, want 1", n)
	}
}

func TestOneIPv6NetworkIsOneGuesser(t *testing.T) {
	now := noon
	s := locked(t, &now)
	for i := range guessesPerAddress {
		logIn(t, s, "[2001:db8::"+string(rune('1'+i))+"]:1", "wrong", "")
	}
	if w := logIn(t, s, "[2001:db8::ffff]:1", "wrong", ""); w.Code != http.StatusTooManyRequests {
		t.Errorf("another address of the network = %d, want 429", w.Code)
	}
}

func TestThePasswordAndSessionsAreInNoLogAndOnNoPage(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	s := newTestServer(t, func(o *Options) { o.Password, o.Log = secret, zap.New(core) })
	near := "wrong " + secret
	answers := []*httptest.ResponseRecorder{logIn(t, s, "192.0.2.7:1", near, near), logIn(t, s, "192.0.2.7:1", secret, "")}
	session := answers[1].Result().Cookies()[0].Value
	answers = append(answers, get(t, s, "/", with(answers[1])), get(t, s, "/?password="+url.QueryEscape(secret), with(answers[1])),
		get(t, s, "/oauth/callback?code=planted-code&state=planted-state", with(answers[1])))
	var told strings.Builder
	for _, a := range answers {
		told.WriteString(a.Body.String())
	}
	for _, entry := range logs.All() {
		told.WriteString(entry.Message)
		for name, value := range entry.ContextMap() {
			told.WriteString(name + "=" + strings.TrimSpace(strings.Join(strings.Fields(anyText(value)), " ")))
		}
	}
	if logs.Len() == 0 {
		t.Fatal("nothing was logged: this test would find nothing")
	}
	for _, planted := range []string{secret, session, "planted-code", "planted-state"} {
		if strings.Contains(told.String(), planted) {
			t.Errorf("%q is told", planted)
		}
	}
}
