package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/fault"
)

const code = planted + "-code"

// person reads what Login prints and acts on the consent page's address.
type person struct {
	mu      sync.Mutex
	text    strings.Builder
	address chan string
	told    chan string // lines other than the address that say "No browser"
}

func newPerson() *person {
	return &person{address: make(chan string, 1), told: make(chan string, 1)}
}

func (p *person) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "http") {
			p.address <- strings.TrimSpace(line)
		}
		if strings.HasPrefix(line, "No browser") {
			p.told <- line
		}
	}
	return p.text.Write(b)
}

func (p *person) read() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func stateOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("state")
}

// freeRedirect is a redirect URL on a loopback port that is free.
func freeRedirect(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return fmt.Sprintf("http://localhost:%d/oauth/callback", ln.Addr().(*net.TCPAddr).Port)
}

func request(t *testing.T, method, address string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if closeErr := resp.Body.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
	return resp.StatusCode, resp.Header, string(body)
}

type outcomeOfLogin struct {
	token Token
	err   error
}

func (w *world) startLogin(t *testing.T, o LoginOptions) <-chan outcomeOfLogin {
	t.Helper()
	done := make(chan outcomeOfLogin, 1)
	go func() {
		tok, err := w.Login(t.Context(), o)
		done <- outcomeOfLogin{tok, err}
	}()
	return done
}

func TestAuthorizeURLAsksForWhatTheFlowNeeds(t *testing.T) {
	w := newWorld(t, nil)
	u, err := url.Parse(w.AuthorizeURL(""))
	if err != nil || u.Scheme+"://"+u.Host+u.Path != "http://linkedin.test/oauth/v2/authorization" {
		t.Fatalf("address = %v, %v", u, err)
	}
	q := u.Query()
	want := map[string]string{
		"response_type": "code", "client_id": appID, "redirect_uri": "http://localhost:8480/oauth/callback",
		"scope": strings.Join(wanted, " "),
	}
	for k, v := range want {
		if q.Get(k) != v {
			t.Errorf("%s = %q, want %q", k, q.Get(k), v)
		}
	}
	if q.Get("state") == "" || len(q) != len(want)+1 {
		t.Errorf("parameters = %v", q)
	}
	noSecret(t, "the address", u.String())
}

func TestLoginTakesLinkedInsAnswerOnTheRedirectURL(t *testing.T) {
	redirect := freeRedirect(t)
	w := newWorld(t, func(o *Options) { o.RedirectURL = redirect })
	p := newPerson()
	opened := make(chan string, 1)
	done := w.startLogin(t, LoginOptions{Browser: true, Out: p, Open: func(a string) error { opened <- a; return nil }})
	address := <-p.address
	if got := <-opened; got != address {
		t.Errorf("the browser opened %q, want %q", got, address)
	}
	state := url.QueryEscape(stateOf(t, address))

	// What is not the answer changes nothing and does not end the login.
	for _, try := range []struct {
		method, path string
		want         int
	}{
		{"GET", "?code=" + code + "&state=forged", 401},
		{"GET", "?error=user_cancelled_login&state=forged", 401},
		{"GET", "?code=" + code, 401},
		{"POST", "?code=" + code + "&state=" + state, 405},
		{"GET", "/deeper?code=" + code + "&state=" + state, 404},
	} {
		status, _, body := request(t, try.method, redirect+try.path)
		if status != try.want {
			t.Errorf("%s %s = %d, want %d", try.method, try.path, status, try.want)
		}
		noSecret(t, "the page", body)
	}

	status, header, body := request(t, "GET", redirect+"?code="+code+"&state="+state)
	if status != 200 || !strings.Contains(body, "Connected to LinkedIn") {
		t.Errorf("the page: %d %s", status, body)
	}
	noSecret(t, "the page", body)
	if header.Get("Content-Security-Policy") != "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'" || header.Get("Cache-Control") != "no-store" || header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers = %v", header)
	}
	r := <-done
	if r.err != nil || r.token.Access != planted+"-access-1" || !w.store.token().Equal(r.token) {
		t.Errorf("Login = %v, %v; store %v", r.token, r.err, w.store.token())
	}
	noSecret(t, "the terminal", p.read())
	if _, err := w.AccessToken(t.Context()); err != nil {
		t.Errorf("AccessToken after the login: %v", err)
	}
}

func TestLoginSaysInWordsWhatWasRefused(t *testing.T) {
	tests := []struct {
		name, query string
		prepare     func(*world)
		reason      Reason
		words       string
	}{
		{"not signed in", "error=user_cancelled_login&error_description=x", nil, Cancelled, "allow the access"},
		{"not allowed", "error=user_cancelled_authorize&error_description=x", nil, Cancelled, "allow the access"},
		{"scope", "error=unauthorized_scope_error&error_description=Scope+r_events+is+not+authorized", nil, ScopeNotAllowed, "Scope r_events is not authorized"},
		{"something new", "error=server_says_no", nil, CodeRefused, "server_says_no"},
		{"bad code", "code=" + planted + "-other", nil, CodeRefused, "linkedin.redirect_url"},
		{"no code", "x=y", nil, CodeRefused, "no code"},
		{"fewer scopes", "code=" + code, func(w *world) { w.linkedin.answer["scope"] = "r_events" }, ScopesMissing, "r_marketing_leadgen_automation, r_organization_admin"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.RedirectURL = freeRedirect(t) })
			if tt.prepare != nil {
				tt.prepare(w)
			}
			p := newPerson()
			done := w.startLogin(t, LoginOptions{Out: p})
			status, _, body := request(t, "GET", w.opts.RedirectURL+"?"+tt.query+"&state="+url.QueryEscape(stateOf(t, <-p.address)))
			if status != http.StatusForbidden || !strings.Contains(body, "Not connected") || strings.Contains(body, "server_says_no") {
				t.Errorf("the page: %d %s", status, body)
			}
			r := <-done
			if got := reasonOf(t, r.err); got != tt.reason || !strings.Contains(r.err.Error(), tt.words) {
				t.Errorf("error = %v, want %q with %q", r.err, tt.reason, tt.words)
			}
			if !w.store.token().IsZero() {
				t.Error("a token was stored")
			}
		})
	}
}

func TestLoginWithAWrongSecretNamesTheSetting(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.ClientSecret = planted + "-wrong" })
	state := w.states.issue(begin, "")
	_, err := w.Complete(t.Context(), url.Values{"state": {state}, "code": {code}}, "")
	var app *AppRefusedError
	if !errors.As(err, &app) || !strings.Contains(err.Error(), "linkedin.client_secret") || fault.KindOf(err) != fault.Pause {
		t.Fatalf("error = %v", err)
	}
	noSecret(t, "the error", err.Error())
}

func TestCallbackMayReachAnotherProcessButOnlyOnce(t *testing.T) {
	issuer := newWorld(t, nil)
	running := newWorld(t, nil) // same app, another process
	u, err := url.Parse(issuer.AuthorizeURL(""))
	if err != nil {
		t.Fatal(err)
	}
	answer := url.Values{"state": {u.Query().Get("state")}, "code": {code}}
	if _, err := running.Complete(t.Context(), answer, ""); err != nil {
		t.Errorf("the other process: %v", err)
	}
	if _, err := running.Complete(t.Context(), answer, ""); !errors.Is(err, ErrState) {
		t.Errorf("the same callback again = %v, want ErrState", err)
	}
}

func TestNewConsentWinsEvenWhenThisClockIsBehind(t *testing.T) {
	w := newWorld(t, nil)
	held := w.connect()
	held.AuthorizedAt = begin.Add(time.Hour)
	w.store.set(func(m *memory) { m.held = held })
	tok, err := w.completeCode(t.Context(), code)
	if err != nil || !w.store.token().Equal(tok) || !tok.AuthorizedAt.After(held.AuthorizedAt) {
		t.Errorf("completeCode = %v, %v; store %v", tok, err, w.store.token())
	}
}

func TestLoginBesideAConnectorNoticesWhatThatStored(t *testing.T) {
	store := NewFileStore(tokenFile(t), "")
	redirect := freeRedirect(t)
	u, err := url.Parse(redirect)
	if err != nil {
		t.Fatal(err)
	}
	running := newWorld(t, func(o *Options) { o.Store, o.RedirectURL = store, redirect })
	mux := http.NewServeMux()
	mux.Handle("/oauth/callback", running.Callback(nil))
	connector := httptest.NewUnstartedServer(mux)
	if err = connector.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	if connector.Listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+u.Port()); err != nil {
		t.Fatal(err)
	}
	connector.Start()
	defer connector.Close()

	command := newWorld(t, func(o *Options) {
		o.Store, o.RedirectURL = NewFileStore(store.path, ""), redirect
	})
	old := sample()
	old.AuthorizedAt, old.ObtainedAt = begin.Add(-time.Hour), begin.Add(-time.Hour)
	if err := store.Save(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	p := newPerson()
	done := command.startLogin(t, LoginOptions{Out: p})
	status, _, _ := request(t, "GET", "http://127.0.0.1:"+u.Port()+"/oauth/callback?code="+code+"&state="+url.QueryEscape(stateOf(t, <-p.address)))
	if status != 200 {
		t.Errorf("the connector's page = %d", status)
	}
	r := <-done
	if r.err != nil || !r.token.AuthorizedAt.Equal(begin) {
		t.Errorf("Login = %v, %v", r.token, r.err)
	}
	if !strings.Contains(p.read(), "cannot listen on") {
		t.Errorf("the terminal does not say that the port is taken: %s", p.read())
	}
}

// waitingLogin is a login that listens, without the sockets that a virtual clock
// would wait for.
func (w *world) waitingLogin(o LoginOptions) *login {
	return &login{session: w.Session, LoginOptions: o, served: make(chan result, 1)}
}

// auth login in a container whose redirect port is free there, while the browser
// reaches the connector by a mapped port, or a standby elsewhere.
func TestALoginThatListensNoticesAConsentThatAnotherProcessFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		var out logBuffer
		time.AfterFunc(10*time.Second, func() { w.connect() })
		start := time.Now()
		tok, err := w.waitingLogin(LoginOptions{Out: &out}).run(t.Context(), "")
		if err != nil || !tok.Equal(w.store.token()) || time.Since(start) > 10*time.Second+watchEvery {
			t.Errorf("Login = %v, %v after %v; want what was stored after 10 s", tok, err, time.Since(start))
		}
		if !strings.Contains(out.String(), "stored by another process") {
			t.Errorf("the terminal: %s", &out)
		}
	})
}

// lingering is a Store whose Save returns a while after the token can be read.
type lingering struct{ *memory }

func (s lingering) Save(ctx context.Context, t Token) error {
	err := s.memory.Save(ctx, t)
	time.Sleep(3 * watchEvery)
	return err
}

func TestALoginDoesNotTakeItsOwnConsentForAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.opts.Store = lingering{w.store}
		var out logBuffer
		l := w.waitingLogin(LoginOptions{Out: &out})
		query := url.Values{"state": {w.states.issue(begin, "")}, "code": {code}}
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			l.callback().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/oauth/callback?"+query.Encode(), nil))
		}()
		tok, err := l.run(t.Context(), "")
		if err != nil || tok.IsZero() || strings.Contains(out.String(), "another process") {
			t.Errorf("Login = %v, %v; the terminal: %s", tok, err, &out)
		}
		<-answered
	})
}

func TestALoginOutlastsAHiccupOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.RedirectURL = "https://leads.example.com/oauth/callback" })
		var out logBuffer
		time.AfterFunc(10*time.Second, func() {
			w.store.set(func(m *memory) { m.loadErr = fault.As(fault.Retry, errors.New("a broker restarts")) })
		})
		time.AfterFunc(time.Minute, func() {
			w.store.set(func(m *memory) { m.loadErr = nil })
			w.connect()
		})
		if tok, err := w.Login(t.Context(), LoginOptions{Out: &out}); err != nil || tok.IsZero() {
			t.Errorf("Login = %v, %v", tok, err)
		}
		if n := strings.Count(out.String(), "cannot be read at the moment (a broker restarts)"); n != 1 {
			t.Errorf("the hiccup is told %d times, want once: %s", n, &out)
		}
	})
}

func TestALoginEndsWhenWhatAnotherStoredCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.RedirectURL = "https://leads.example.com/oauth/callback" })
		time.AfterFunc(10*time.Second, func() {
			w.store.set(func(m *memory) { m.loadErr = &RecordError{Key: "k", Err: ErrPassphrase} })
		})
		start := time.Now()
		if _, err := w.Login(t.Context(), LoginOptions{Out: io.Discard}); !errors.Is(err, ErrPassphrase) || time.Since(start) > time.Minute {
			t.Errorf("Login = %v after %v, want ErrPassphrase at once", err, time.Since(start))
		}
	})
}

func TestThePastedAddressIsEnoughAndTheCodeAloneIsNot(t *testing.T) {
	tests := []struct {
		name  string
		lines func(state string) string
		want  error
	}{
		{"address", func(s string) string { return "http://localhost:8480/oauth/callback?code=" + code + "&state=" + s }, nil},
		{"address with blanks around", func(s string) string { return "  https://x.test/cb?state=" + s + "&code=" + code + "#frag  " }, nil},
		{"query alone", func(s string) string { return "code=" + code + "&state=" + s }, nil},
		{"after the code alone", func(s string) string { return code + "\ncode=" + code + "\n?code=" + code + "&state=" + s }, nil},
		{"after another installation's", func(s string) string {
			other := newWorld(t, func(o *Options) { o.Installation = "sales" })
			foreign := stateOf(t, other.AuthorizeURL(""))
			return "http://localhost/?code=" + code + "&state=" + url.QueryEscape(foreign) + "\nhttp://localhost/?code=" + code + "&state=" + s
		}, nil},
		{"after mistakes", func(s string) string {
			return "\nwhat?\nhttp://localhost/?x=1\nhttp://localhost/?code=" + code + "&state=forged\n" + "?code=" + code + "&state=" + s
		}, nil},
		{"cancelled", func(s string) string { return "http://localhost/?error=user_cancelled_login&state=" + s }, ErrConsentNeeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			p := newPerson()
			in, keyboard := io.Pipe()
			done := w.startLogin(t, LoginOptions{Paste: true, In: in, Out: p})
			lines := tt.lines(url.QueryEscape(stateOf(t, <-p.address)))
			if _, err := io.WriteString(keyboard, lines+"\n"); err != nil {
				t.Fatal(err)
			}
			if r := <-done; !errors.Is(r.err, tt.want) || (r.err == nil) == w.store.token().IsZero() || w.linkedin.count("/oauth/v2/accessToken") > 1 {
				t.Errorf("Login = %v, want %v", r.err, tt.want)
			}
			noSecret(t, "the terminal", p.read())
			_ = keyboard.Close() // lets the reading end
		})
	}
}

func TestEndOfInputEndsAPastedLogin(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.Login(t.Context(), LoginOptions{Paste: true, In: strings.NewReader("nonsense\n"), Out: io.Discard}); err == nil {
		t.Error("no error")
	}
}

func TestLoginGivesUpWhenTheCodeWouldBeTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.RedirectURL, o.Now = "https://leads.example.com/oauth/callback", time.Now })
		start := time.Now()
		_, err := w.Login(t.Context(), LoginOptions{Out: io.Discard})
		if got := reasonOf(t, err); got != NotGiven || time.Since(start) != stateLife {
			t.Errorf("error = %v after %v, want %q after 30 minutes", err, time.Since(start), NotGiven)
		}
	})
}

func TestLoginEndsWithItsContext(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.RedirectURL = freeRedirect(t) })
	ctx, cancel := context.WithCancel(t.Context())
	p := newPerson()
	go func() { <-p.address; cancel() }()
	if _, err := w.Login(ctx, LoginOptions{Out: p}); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}

func TestUnreadableStoreIsToldBeforeTheConsentIsSpent(t *testing.T) {
	w := newWorld(t, nil)
	w.store.set(func(m *memory) { m.loadErr = ErrPassphrase })
	var out strings.Builder
	if _, err := w.Login(t.Context(), LoginOptions{Out: &out}); !errors.Is(err, ErrPassphrase) || out.Len() > 0 {
		t.Errorf("error = %v, printed %q", err, out.String())
	}
}

func TestMissingBrowserIsToldAndTheLoginGoesOn(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.RedirectURL = freeRedirect(t) })
	p := newPerson()
	done := w.startLogin(t, LoginOptions{Browser: true, Out: p, Open: func(string) error { return errors.New("no display") }})
	address := <-p.address
	if line := <-p.told; !strings.Contains(line, "no display") {
		t.Errorf("told %q, want the cause", line)
	}
	request(t, "GET", w.opts.RedirectURL+"?code="+code+"&state="+url.QueryEscape(stateOf(t, address)))
	if r := <-done; r.err != nil {
		t.Errorf("Login = %v", r.err)
	}
}

func TestCallbackServedAtTheRoot(t *testing.T) {
	for raw, want := range map[string]string{
		"http://localhost": "/{$}", "http://localhost/": "/{$}", "http://localhost/a/": "/a/{$}", "http://localhost/a/b": "/a/b",
	} {
		u, err := url.Parse(raw)
		if err != nil || callbackPath(u) != want {
			t.Errorf("callbackPath(%s) = %s, %v; want %s", raw, callbackPath(u), err, want)
		}
	}
}
