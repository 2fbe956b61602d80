package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	appID = "86testclient"
	// Whatever is secret in these tests contains this word.
	planted   = "PLANTED"
	appSecret = "PLANTED-app-secret"
	day       = 24 * time.Hour
)

var (
	wanted = []string{"r_marketing_leadgen_automation", "r_events", "r_organization_admin"}
	begin  = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// provider is a LinkedIn of a few lines whose every answer a test can change.
// It issues PLANTED-access-1, -2, … and rotates refresh tokens.
type provider struct {
	mu        sync.Mutex
	issued    int
	refresh   string            // the only refresh token it takes
	status    map[string]string // access token → active, expired, revoked
	lag       map[string]int    // access token → how many API calls refuse it yet
	calls     map[string]int    // by path
	overrides map[string]http.HandlerFunc
	answer    map[string]any // replaces fields of token answers; nil removes one
	pause     chan struct{}  // token requests wait for it
}

func newProvider() *provider {
	return &provider{
		status: map[string]string{}, lag: map[string]int{}, calls: map[string]int{},
		overrides: map[string]http.HandlerFunc{}, answer: map[string]any{},
	}
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.calls[r.URL.Path]++
	override, pause := p.overrides[r.URL.Path], p.pause
	p.mu.Unlock()
	if override != nil {
		override(w, r)
		return
	}
	switch r.URL.Path {
	case "/oauth/v2/accessToken":
		if pause != nil {
			<-pause
		}
		p.serveToken(w, r)
	case "/oauth/v2/introspectToken":
		p.serveIntrospection(w, r)
	default:
		p.serveAPI(w, r)
	}
}

func (p *provider) serveToken(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.FormValue("client_id") != appID || r.FormValue("client_secret") != appSecret:
		refuse(w, 401, "invalid_client", "Client authentication failed for "+r.FormValue("client_secret"))
		return
	case r.FormValue("grant_type") == "refresh_token" && r.FormValue("refresh_token") != p.refresh:
		refuse(w, 400, "invalid_request", "The refresh token "+r.FormValue("refresh_token")+" is invalid, expired or revoked")
		return
	case r.FormValue("grant_type") == "authorization_code" && r.FormValue("code") != planted+"-code":
		refuse(w, 401, "invalid_request", "authorization code "+r.FormValue("code")+" not found")
		return
	}
	writeJSON(w, p.issue())
}

// issue makes the next pair; the caller holds the lock.
func (p *provider) issue() map[string]any {
	p.issued++
	access := fmt.Sprintf(planted+"-access-%d", p.issued)
	p.refresh = fmt.Sprintf(planted+"-refresh-%d", p.issued)
	p.status[access] = "active"
	body := map[string]any{
		"access_token": access, "expires_in": 5184000, "refresh_token": p.refresh,
		"refresh_token_expires_in": 31536000, "scope": strings.Join(wanted, ","), "token_type": "Bearer",
	}
	for k, v := range p.answer {
		if body[k] = v; v == nil {
			delete(body, k)
		}
	}
	return body
}

func (p *provider) serveIntrospection(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.FormValue("client_secret") != appSecret {
		refuse(w, 401, "invalid_client", "wrong secret "+r.FormValue("client_secret"))
		return
	}
	status := p.status[r.FormValue("token")]
	if status == "" {
		writeJSON(w, map[string]any{"active": false})
		return
	}
	writeJSON(w, map[string]any{"active": status == "active", "status": status, "scope": strings.Join(wanted, ",")})
}

func (p *provider) serveAPI(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	access, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if p.lag[access] > 0 {
		p.lag[access]--
		refuse(w, 401, "REVOKED_ACCESS_TOKEN", "not known yet")
		return
	}
	if p.status[access] != "active" {
		refuse(w, 401, "EXPIRED_ACCESS_TOKEN", "no good")
		return
	}
	body := make([]byte, 64)
	n, _ := r.Body.Read(body)
	_, _ = w.Write([]byte("hello " + string(body[:n])))
}

func (p *provider) count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[path]
}

func (p *provider) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *provider) override(path string, h http.HandlerFunc) {
	p.set(func() { p.overrides[path] = h })
}

func refuse(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": code, "error_description": description})
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// inProcess serves requests without a network, so that tests may run under a
// virtual clock.
type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	h.ServeHTTP(rec, in)
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

// memory is a Store that can be made to fail.
type memory struct {
	mu               sync.Mutex
	held             Token
	loadErr, saveErr error
	roomErr          error // of Reserve
	saves, reserved  int
}

func (m *memory) Reserve(context.Context) (func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.roomErr != nil {
		return nil, m.roomErr
	}
	m.reserved++
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.reserved--
	}, nil
}

func (m *memory) Load(context.Context) (Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loadErr != nil {
		return Token{}, m.loadErr
	}
	if m.held.IsZero() {
		return Token{}, ErrNoToken
	}
	return m.held, nil
}

func (m *memory) Save(_ context.Context, t Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saves++
	if m.saveErr != nil {
		return m.saveErr
	}
	if !t.Supersedes(m.held) {
		return ErrSuperseded
	}
	m.held = t
	return nil
}

func (m *memory) Delete(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = Token{}
	return nil
}

func (m *memory) set(f func(*memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func (m *memory) token() Token {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held
}

// world is a session with everything around it.
type world struct {
	*Session
	linkedin *provider
	store    *memory
	clock    *clock
	log      *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newWorld makes a session without a token. At the end of the test the log
// must be free of secrets.
func newWorld(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w := &world{linkedin: newProvider(), store: &memory{}, clock: &clock{t: begin}, log: &logBuffer{}}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(w.log), zap.DebugLevel)
	o := Options{
		Installation: "marketing",
		ClientID:     appID, ClientSecret: appSecret, AuthURL: "http://linkedin.test",
		RedirectURL: "http://localhost:8480/oauth/callback", Scopes: wanted,
		Store: w.store, HTTP: inProcess{w.linkedin}, Log: zap.New(core), Now: w.clock.Now,
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if o.Now != nil && o.Now().Equal(begin) { // the test's own clock, which nobody else moves
		s.sleep = func(ctx context.Context, d time.Duration) error {
			w.clock.Add(d)
			return ctx.Err()
		}
	}
	w.Session = s
	t.Cleanup(func() {
		s.Close()
		noSecret(t, "the log", w.log.String())
	})
	return w
}

// connect gives the world a first token, as a consent now would.
func (w *world) connect() Token {
	var t Token
	w.linkedin.set(func() {
		body := w.linkedin.issue()
		t = Token{
			Access: body["access_token"].(string), Refresh: w.linkedin.refresh,
			AccessExpiresAt: w.clock.Now().Add(60 * day), RefreshExpiresAt: w.clock.Now().Add(365 * day),
			Scopes: wanted, AuthorizedAt: w.clock.Now(), ObtainedAt: w.clock.Now(),
		}
	})
	w.store.set(func(m *memory) { m.held = t })
	return t
}

// noSecret fails the test when text shows something planted.
func noSecret(t *testing.T, where, text string) {
	t.Helper()
	if strings.Contains(text, planted) {
		t.Errorf("%s shows a secret: %s", where, text)
	}
}

// reasonOf is the reason of the consent that err asks for.
func reasonOf(t *testing.T, err error) Reason {
	t.Helper()
	if err != nil {
		noSecret(t, "the error", err.Error())
	}
	var needed *ConsentNeededError
	if !errors.As(err, &needed) {
		t.Fatalf("error = %v, want a *ConsentNeededError", err)
	}
	return needed.Reason
}
