package web

import (
	"context"
	"errors"
	"fmt"
	"io"
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

func TestSessionsAreSharedWithinAnInstallationAlone(t *testing.T) {
	one, other := newSessions("marketing", secret, 2, noon), newSessions("marketing", secret, 2, noon)
	changed, elsewhere := newSessions("marketing", "another", 2, noon), newSessions("sales", secret, 2, noon)
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
	if err := elsewhere.check(session, noon); err == nil {
		t.Error("the session opens another installation with the same password")
	}
	browser, err := one.browser.issue(noon)
	if err != nil {
		t.Fatal(err)
	}
	if other.browser.check(browser, noon) != nil || elsewhere.browser.check(browser, noon) == nil {
		t.Error("a known browser is not known to its installation alone")
	}
	for i := range session {
		forged := []byte(session)
		forged[i] ^= 1
		if err := one.check(string(forged), noon); err == nil {
			t.Errorf("a session with byte %d changed is accepted", i)
		}
	}
	for _, s := range []string{"", "x", session + "A", session[:len(session)-1], session[:9] + "\n" + session[9:], strings.Repeat("A", len(session))} {
		if err := one.check(s, noon); err == nil {
			t.Errorf("session %.20q is accepted", s)
		}
	}
}

// A copy of the cookie, from a shared machine or a backup of a browser, opens nothing
// after a logout: neither here nor after a restart, when nobody knows any more
// which sessions were ended.
func TestLogoutEndsTheSessionForWhoeverHasACopy(t *testing.T) {
	now := noon
	s := locked(t, &now)
	mine, theirs := logIn(t, s, "192.0.2.7:1", secret, ""), logIn(t, s, "192.0.2.8:1", secret, "")
	now = now.Add(time.Hour)
	w := ask(t, s, http.MethodPost, "/logout", with(mine))
	if c := w.Result().Cookies()[0]; w.Code != http.StatusSeeOther || c.MaxAge >= 0 || c.Value != "" {
		t.Errorf("logout = %d with cookie %v, want 303 and the cookie removed", w.Code, c)
	}
	for _, path := range []string{"/", "/api/status", "/oauth/login", "/oauth/disconnect"} {
		if got := get(t, s, path, with(mine)).Code; got == http.StatusOK {
			t.Errorf("GET %s with a copy of the session = %d", path, got)
		}
	}
	if got := get(t, s, "/", with(theirs)).Code; got != http.StatusOK {
		t.Errorf("the session of somebody else gives %d, want 200", got)
	}
	restarted := locked(t, &now)
	for name, session := range map[string]*httptest.ResponseRecorder{"ended": mine, "not ended": theirs} {
		if got := get(t, restarted, "/", with(session)).Code; got == http.StatusOK {
			t.Errorf("after a restart a session that was %s before gives %d", name, got)
		}
	}
	if got := get(t, restarted, "/", with(logIn(t, restarted, "192.0.2.7:1", secret, ""))).Code; got != http.StatusOK {
		t.Errorf("after a restart a new session gives %d, want 200", got)
	}
	// What was ended is forgotten when it would have ended by itself.
	now = now.Add(sessionLife)
	ask(t, s, http.MethodPost, "/logout", with(logIn(t, s, "192.0.2.7:1", secret, "")))
	ask(t, s, http.MethodPost, "/logout", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: s.cookieName("session"), Value: "forged"}) })
	if n := len(s.sessions.ended); n != 1 {
		t.Errorf("%d ended sessions are remembered, want the one that could still be used", n)
	}
}

func TestProgramsLogInByBasicAuthentication(t *testing.T) {
	now := noon
	s := locked(t, &now)
	basic := func(password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth("monitor", password) }
	}
	for range 100 { // right ones are not limited
		if w := get(t, s, "/api/status", basic(secret)); w.Code != http.StatusOK {
			t.Fatalf("the right password = %d, want 200", w.Code)
		}
	}
	w := get(t, s, "/api/status", basic("wrong"))
	if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("a wrong password = %d %q, want 401 that asks for Basic", w.Code, w.Header().Get("WWW-Authenticate"))
	}
	for range ofOne {
		w = get(t, s, "/api/status", basic("wrong"))
	}
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("wrong passwords in a row = %d, Retry-After %q, want 429 with one", w.Code, w.Header().Get("Retry-After"))
	}
}

// As many wrong passwords are answered that come at the same moment: those that need
// not wait, and those that do.
var (
	ofOne = answeredAtOnce(perGuesser)
	ofAll = answeredAtOnce(inAll)
)

func answeredAtOnce(l limit) int { return int(l.atOnce) + int(longestLine/l.every) }

func TestGuessingIsSlow(t *testing.T) {
	now := noon
	s := locked(t, &now)
	waited := time.Duration(0)
	s.attempts.wait = func(_ context.Context, d time.Duration) error {
		waited, now = waited+d, now.Add(d)
		return nil
	}
	const guesses = 1000
	for i := range guesses {
		if w := logIn(t, s, "192.0.2.7:1", "wrong", ""); w.Code != http.StatusUnauthorized {
			t.Fatalf("wrong password %d = %d, want 401", i+1, w.Code)
		}
	}
	if least := (guesses - time.Duration(perGuesser.atOnce)) * perGuesser.every; waited < least {
		t.Errorf("a thousand guesses took %v, want %v", waited, least)
	}
}

func TestGuessesThatWouldWaitTooLongAreNotLookedAt(t *testing.T) {
	now := noon
	s := locked(t, &now)
	for i := range ofOne {
		if w := logIn(t, s, "192.0.2.7:1", "wrong", ""); w.Code != http.StatusUnauthorized {
			t.Fatalf("wrong password %d = %d, want 401", i+1, w.Code)
		}
	}
	w := logIn(t, s, "192.0.2.7:2", secret, "")
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "6" {
		t.Errorf("the next guess = %d, Retry-After %q, want 429 and 6", w.Code, w.Header().Get("Retry-After"))
	}
	if w := logIn(t, s, "198.51.100.9:1", secret, ""); w.Code != http.StatusSeeOther {
		t.Errorf("somebody else meanwhile = %d, want 303", w.Code)
	}
	now = now.Add(perGuesser.every)
	if w := logIn(t, s, "192.0.2.7:3", secret, ""); w.Code != http.StatusSeeOther {
		t.Errorf("after the wait = %d, want 303", w.Code)
	}
}

func TestWhoGoesAwayInTheLineIsNotLookedAt(t *testing.T) {
	now := noon
	s := locked(t, &now)
	gone := errors.New("gone")
	s.attempts.wait = func(context.Context, time.Duration) error { return gone }
	g, looked := guesser{id: "a"}, 0
	for range 100 {
		s.attempts.try(t.Context(), g, func() bool { looked++; return false })
	}
	if looked != int(perGuesser.atOnce) {
		t.Errorf("%d guesses were looked at, want the %v that need not wait", looked, perGuesser.atOnce)
	}
}

func TestGuessingFromManyAddressesIsSlowToo(t *testing.T) {
	now := noon
	s := locked(t, &now)
	refused := 0
	for i := range 10 * ofAll {
		remote := "[2001:db8:0:" + string(rune('a'+i%6)) + string(rune('0'+i%10)) + "::1]:1"
		if logIn(t, s, remote, "wrong", "").Code == http.StatusTooManyRequests {
			refused++
		}
	}
	if answered := 10*ofAll - refused; answered > ofAll {
		t.Errorf("%d guesses were answered at once, want at most %d", answered, ofAll)
	}
	now = now.Add(time.Hour)
	logIn(t, s, "192.0.2.7:1", "wrong", "")
	if n := len(s.attempts.of); n != 1 {
		t.Errorf("%d addresses are remembered an hour later, want 1", n)
	}
}

// Somebody guesses, each second and for an hour, under the same address or under a new
// one each time. Whoever knows the password is let in within seconds, with whatever
// he comes, and so is the monitor that sends it each time.
func TestAGuesserEachSecondLocksOutNobodyWhoKnowsThePassword(t *testing.T) {
	basic := func(s *Server, remote, password string) int {
		return get(t, s, "/api/status", func(r *http.Request) {
			from(remote, "198.51.100.1:8480")(r)
			r.SetBasicAuth("monitor", password)
		}).Code
	}
	form := func(s *Server, remote, password string) int { return logIn(t, s, remote, password, "").Code }
	for name, guess := range map[string]func(s *Server, i int){
		"the same address":           func(s *Server, _ int) { form(s, "192.0.2.7:1", "guess") },
		"the same address, by Basic": func(s *Server, _ int) { basic(s, "192.0.2.7:1", "guess") },
		"another address each time":  func(s *Server, i int) { form(s, fmt.Sprintf("203.0.%d.%d:1", i/250, i%250), "guess") },
		"twice a second from everywhere": func(s *Server, i int) {
			form(s, fmt.Sprintf("203.0.%d.%d:1", i/250, i%250), "guess")
			form(s, "192.0.2.7:1", "guess")
		},
	} {
		t.Run(name, func(t *testing.T) {
			now := noon
			s := locked(t, &now)
			var waited time.Duration // by the one who asks
			s.attempts.wait = func(_ context.Context, d time.Duration) error { waited += d; return nil }
			for i := range 3600 {
				guess(s, i)
				now = now.Add(300 * time.Millisecond)
				waited = 0
				for _, knows := range []int{form(s, "192.0.2.7:1", secret) - http.StatusSeeOther, basic(s, "192.0.2.7:1", secret) - http.StatusOK, basic(s, "192.0.2.9:1", secret) - http.StatusOK} {
					if knows != 0 {
						t.Fatalf("after %d guesses the right password is refused", i+1)
					}
				}
				if waited > 3*time.Second {
					t.Fatalf("after %d guesses the right password waits for %v", i+1, waited)
				}
				now = now.Add(700 * time.Millisecond)
			}
		})
	}
}

// behind posts the login form through the proxy that ends TLS on this machine.
func behind(t *testing.T, s *Server, client, password string, earlier *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, s, http.MethodPost, "/login", func(r *http.Request) {
		from("127.0.0.1:40000", "leads.example.com", "Content-Type", "application/x-www-form-urlencoded")(r)
		if client != "" {
			r.Header.Set("X-Forwarded-For", client)
		}
		r.Body = io.NopCloser(strings.NewReader(url.Values{"password": {password}}.Encode()))
		if earlier != nil {
			with(earlier)(r)
		}
	})
}

// Of everybody behind a proxy one may guess without a pause: the others still get in.
func TestOneGuesserBehindAProxyDoesNotLockOutTheOthers(t *testing.T) {
	for _, c := range []struct {
		name            string
		guesser, honest string // as the proxy names them
		known           bool   // the honest one has logged in with this browser before
	}{
		{"two addresses", "203.0.113.66", "198.51.100.5", false},
		{"two addresses, of which the guesser forges one", "198.51.100.5, 203.0.113.66", "198.51.100.5", false},
		{"a proxy that names nobody, in a known browser", "", "", true},
		{"one address, in a known browser", "203.0.113.66", "203.0.113.66", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := noon
			s := newTestServer(t, func(o *Options) {
				o.Password, o.RedirectURL, o.Now = secret, "https://leads.example.com/oauth/callback", func() time.Time { return now }
			})
			var before *httptest.ResponseRecorder
			if c.known {
				before = behind(t, s, c.honest, secret, nil)
			}
			answered := 0
			for range 60 { // 25 minutes, four guesses a second
				for range 101 {
					if behind(t, s, c.guesser, "guess", nil).Code == http.StatusUnauthorized {
						answered++
					}
					now = now.Add(250 * time.Millisecond)
				}
				if w := behind(t, s, c.honest, secret, before); w.Code != http.StatusSeeOther {
					t.Fatalf("the right password = %d after %v of somebody else's guesses", w.Code, now.Sub(noon))
				}
			}
			if most := ofOne + int(now.Sub(noon)/perGuesser.every) + 1; answered > most {
				t.Errorf("%d guesses of one guesser were answered, want at most %d", answered, most)
			}
		})
	}
}

// What a forged X-Forwarded-For gains is bounded, and a known browser guesses no
// faster than a stranger.
func TestNobodyGuessesFasterForWhatHeSaysHeIs(t *testing.T) {
	now := noon
	s := newTestServer(t, func(o *Options) {
		o.Password, o.RedirectURL, o.Now = secret, "https://leads.example.com/oauth/callback", func() time.Time { return now }
	})
	known := behind(t, s, "", secret, nil)
	answered := func(try func(i int) int) (n int) {
		for i := range 10 * ofAll {
			if try(i) == http.StatusUnauthorized {
				n++
			}
		}
		return n
	}
	if n := answered(func(i int) int { return behind(t, s, fmt.Sprintf("198.51.%d.%d", i/250, i%250), "guess", nil).Code }); n != ofAll {
		t.Errorf("under 700 names %d guesses are answered at once, want %d", n, ofAll)
	}
	if n := answered(func(int) int { return behind(t, s, "", "guess", known).Code }); n != ofOne {
		t.Errorf("from a known browser %d guesses are answered at once, want %d", n, ofOne)
	}
	if n := answered(func(i int) int { return logIn(t, s, fmt.Sprintf("203.0.%d.%d:1", i/250, i%250), "guess", "").Code }); n != 0 {
		t.Errorf("%d more are answered from elsewhere, want none", n)
	}
	session := known.Result().Cookies()[0]
	for _, c := range known.Result().Cookies()[1:] { // the known browser's cookie is no session
		c.Name = session.Name
		if w := get(t, s, "/", func(r *http.Request) { from("127.0.0.1:1", "leads.example.com")(r); r.AddCookie(c) }); w.Code != http.StatusSeeOther {
			t.Errorf("the cookie of a known browser opens the page: %d", w.Code)
		}
	}
}

func TestOneIPv6NetworkIsOneGuesser(t *testing.T) {
	now := noon
	s := locked(t, &now)
	for i := range ofOne {
		logIn(t, s, fmt.Sprintf("[2001:db8::%d]:1", i+1), "wrong", "")
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
