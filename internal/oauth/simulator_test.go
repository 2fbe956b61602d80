package oauth_test

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"leadstream/internal/fault"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/oauth"
)

const day = 24 * time.Hour

// scene is a session that talks to the simulated LinkedIn over HTTP.
type scene struct {
	*oauth.Session
	sim   *linkedinsim.Server
	api   string // the simulator's base URL
	store *oauth.FileStore
	seen  map[string]bool // every secret that the store ever held

	mu    sync.Mutex
	shift time.Duration // of both clocks
	log   strings.Builder
}

func (s *scene) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.shift)
}

func (s *scene) sleep(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shift += d
}

// Write is the log's sink.
func (s *scene) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func freePort(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func newScene(t *testing.T, sw linkedinsim.Switches, change func(*linkedinsim.Config, *oauth.Options)) *scene {
	t.Helper()
	s := &scene{store: oauth.NewFileStore(filepath.Join(t.TempDir(), "token"), ""), seen: map[string]bool{}}
	cfg := linkedinsim.Config{Organizations: 1, Switches: sw, Now: s.now}
	options := oauth.Options{
		ClientID: linkedinsim.DefaultClientID, ClientSecret: linkedinsim.DefaultClientSecret,
		RedirectURL: "http://localhost:" + freePort(t) + "/oauth/callback", Scopes: linkedinsim.DefaultScopes(),
		Store: s.store, Now: s.now,
		Log: zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(s), zap.DebugLevel)),
	}
	if change != nil {
		change(&cfg, &options)
	}
	sim, err := linkedinsim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if options.HTTP == nil { // a test that sets it runs under a virtual clock, without a network
		server := httptest.NewServer(sim)
		t.Cleanup(server.Close)
		s.api = server.URL
	}
	options.AuthURL = s.api
	if options.AuthURL == "" {
		options.AuthURL, options.HTTP = "http://linkedin.test", inProcess{sim}
	}
	if s.Session, err = oauth.New(options); err != nil {
		t.Fatal(err)
	}
	if s.api != "" { // then only the test moves the clock
		s.SetSleep(func(ctx context.Context, d time.Duration) error {
			s.sleep(d)
			return ctx.Err()
		})
	}
	s.sim = sim
	t.Cleanup(func() {
		s.Close()
		s.remember(t)
		s.seen[linkedinsim.DefaultClientSecret] = true
		s.mu.Lock()
		defer s.mu.Unlock()
		for secret := range s.seen {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("the log shows a secret: %s", s.log.String())
			}
		}
	})
	return s
}

// remember notes the secrets held now, and gives the token.
func (s *scene) remember(t *testing.T) oauth.Token {
	t.Helper()
	held, err := s.store.Load(t.Context())
	if err != nil && !errors.Is(err, oauth.ErrNoToken) && t.Context().Err() == nil {
		t.Fatal(err)
	}
	for _, secret := range []string{held.Access, held.Refresh} {
		if secret != "" {
			s.seen[secret] = true
		}
	}
	return held
}

type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	h.ServeHTTP(rec, in)
	return rec.Result(), nil
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// press opens the consent page as a browser, presses a button of its form and
// follows where that leads.
func press(t *testing.T, address, decision string) (status int, body string) {
	t.Helper()
	status, body = fetch(t, http.MethodGet, address, nil)
	if decision == "" {
		return status, body
	}
	form := url.Values{"decision": {decision}}
	for _, field := range hidden.FindAllStringSubmatch(body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	if len(form) < 5 {
		t.Fatalf("no consent form on the page: %d %s", status, body)
	}
	page, _, _ := strings.Cut(address, "?")
	return fetch(t, http.MethodPost, page, form)
}

func fetch(t *testing.T, method, address string, form url.Values) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if closeErr := resp.Body.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
	return resp.StatusCode, string(body)
}

// terminal passes on the lines that Login prints.
type terminal chan string

func (c terminal) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if strings.HasPrefix(line, "http") {
			c <- strings.TrimSpace(line)
		}
	}
	return len(p), nil
}

// login runs a whole consent and presses the button.
func (s *scene) login(t *testing.T, decision string) error {
	t.Helper()
	screen, done := make(terminal, 1), make(chan error, 1)
	go func() {
		_, err := s.Login(t.Context(), oauth.LoginOptions{Out: screen})
		done <- err
	}()
	press(t, <-screen, decision)
	err := <-done
	s.remember(t)
	return err
}

// call asks the API who the member is. The app has no profile scope, so that
// 403 means that the token was accepted.
func (s *scene) call(t *testing.T) (int, error) {
	t.Helper()
	base, transport := s.api, s.Transport(nil)
	if base == "" {
		base, transport = "http://linkedin.test", s.Transport(inProcess{s.sim})
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v2/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	s.remember(t)
	return resp.StatusCode, nil
}

func (s *scene) accepted(t *testing.T, when string) {
	t.Helper()
	if status, err := s.call(t); err != nil || status != http.StatusForbidden {
		t.Errorf("%s: API call = %d, %v; want 403, the token accepted", when, status, err)
	}
}

func reason(err error) oauth.Reason {
	var needed *oauth.ConsentNeededError
	if errors.As(err, &needed) {
		return needed.Reason
	}
	return ""
}

func TestWholeConsentThroughTheConsentPage(t *testing.T) {
	s := newScene(t, linkedinsim.Switches{}, nil)
	if err := s.login(t, "approve"); err != nil {
		t.Fatal(err)
	}
	s.accepted(t, "after the consent")
	st, err := s.Status(t.Context())
	if err != nil || st.LinkedIn != "active" || len(st.Scopes) != 3 || !st.Usable || *st.AccessDaysLeft != 59 || *st.RefreshDaysLeft < 364 || len(st.Missing) != 0 {
		t.Errorf("Status = %+v, %v", st, err)
	}
}

func TestConsentThatIsNotGiven(t *testing.T) {
	for decision, want := range map[string]oauth.Reason{"cancel": oauth.Cancelled, "cancel_login": oauth.Cancelled} {
		s := newScene(t, linkedinsim.Switches{}, nil)
		if err := s.login(t, decision); reason(err) != want {
			t.Errorf("%s: Login = %v, want %q", decision, err, want)
		}
	}
	s := newScene(t, linkedinsim.Switches{}, func(_ *linkedinsim.Config, o *oauth.Options) { o.Scopes = append(o.Scopes, "w_everything") })
	if err := s.login(t, ""); reason(err) != oauth.ScopeNotAllowed || !strings.Contains(err.Error(), "w_everything") {
		t.Errorf("unknown scope: Login = %v", err)
	}
}

func TestLinkedInRefusesTheWrongSecretInWords(t *testing.T) {
	s := newScene(t, linkedinsim.Switches{}, func(_ *linkedinsim.Config, o *oauth.Options) { o.ClientSecret = "no-such-secret" })
	err := s.login(t, "approve")
	var app *oauth.AppRefusedError
	if !errors.As(err, &app) || app.Code != "invalid_client" || strings.Contains(err.Error(), "no-such-secret") {
		t.Errorf("Login = %v", err)
	}
}

// A year of one consent: renewed six times and more, whatever LinkedIn leaves
// open, until the refresh token ends.
func TestOneConsentLastsAYearUnderEveryReadingOfTheDocumentation(t *testing.T) {
	tests := map[string]linkedinsim.Switches{
		"as documented":             {},
		"rotated":                   {RefreshAnswer: "rotated"},
		"refresh token left out":    {RefreshAnswer: "absent"},
		"life in minutes":           {RefreshLifeInMinutes: true},
		"spaces in scope":           {SpacesInScope: true},
		"bare introspection":        {IntrospectionBare: true},
		"refresh tokens introspect": {IntrospectRefresh: true},
		"consent skipped":           {SkipConsent: true},
	}
	for name, sw := range tests {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, sw, nil)
			if err := s.login(t, "approve"); err != nil {
				t.Fatal(err)
			}
			first := s.remember(t)
			tokens := map[string]bool{}
			for d := range 365 {
				s.accepted(t, first.AuthorizedAt.Add(time.Duration(d)*day).Format(time.DateOnly))
				tokens[s.remember(t).Access] = true
				s.sleep(day)
			}
			if len(tokens) < 6 || len(tokens) > 12 {
				t.Errorf("access tokens in a year = %d, want about 7", len(tokens))
			}
			held := s.remember(t)
			if off := held.RefreshExpiresAt.Sub(first.AuthorizedAt.Add(365 * day)).Abs(); off > 5*time.Second {
				t.Errorf("the refresh token ends %v, want 365 days after the consent", held.RefreshExpiresAt)
			}
			if _, err := s.call(t); reason(err) != oauth.RefreshExpired || fault.KindOf(err) != fault.Pause {
				t.Errorf("after a year: %v, want %q", err, oauth.RefreshExpired)
			}
		})
	}
}

func TestBearerOnlyAppConsentsAgainEverySixtyDays(t *testing.T) {
	s := newScene(t, linkedinsim.Switches{BearerOnly: true}, nil)
	for range 2 {
		if err := s.login(t, "approve"); err != nil {
			t.Fatal(err)
		}
		s.sleep(59 * day)
		s.accepted(t, "after 59 days")
		s.sleep(2 * day)
		if _, err := s.call(t); reason(err) != oauth.AccessExpired {
			t.Errorf("after 61 days: %v, want %q", err, oauth.AccessExpired)
		}
	}
}

func TestTokensThatDieEarly(t *testing.T) {
	tests := []struct {
		name string
		dies func(*linkedinsim.Server)
		want oauth.Reason // empty: nobody notices
	}{
		{"access expired", (*linkedinsim.Server).ExpireTokens, ""},
		{"access revoked, refresh good", (*linkedinsim.Server).RevokeTokens, ""},
		{"refresh revoked alone", (*linkedinsim.Server).RevokeRefreshTokens, ""},
		{"both revoked", func(s *linkedinsim.Server) { s.RevokeTokens(); s.RevokeRefreshTokens() }, oauth.AccessRevoked},
		{"access expired, refresh revoked", func(s *linkedinsim.Server) { s.ExpireTokens(); s.RevokeRefreshTokens() }, oauth.RefreshRefused},
		{"revoked by other scopes", func(s *linkedinsim.Server) { s.IssueToken("r_events") }, oauth.AccessRevoked},
	}
	for _, sw := range []linkedinsim.Switches{{}, {IntrospectionBare: true}} {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				s := newScene(t, sw, nil)
				if err := s.login(t, "approve"); err != nil {
					t.Fatal(err)
				}
				s.sleep(time.Hour)
				tt.dies(s.sim)
				if tt.want == "" {
					s.accepted(t, "at once")
					return
				}
				_, err := s.call(t)
				if reason(err) != tt.want {
					t.Errorf("API call = %v, want %q", err, tt.want)
				}
				if err := s.login(t, "approve"); err != nil {
					t.Fatal(err)
				}
				s.accepted(t, "after a new consent")
			})
		}
	}
}

func TestFailuresOfLinkedInNeverCostTheConsent(t *testing.T) {
	for _, kind := range linkedinsim.FaultKinds(linkedinsim.AnswerFaults) {
		if kind == linkedinsim.Stall || kind == linkedinsim.Latency || kind == linkedinsim.NoElements {
			continue // bounded by the requests' time limit; no failure; not for this endpoint
		}
		t.Run(string(kind), func(t *testing.T) {
			s := newScene(t, linkedinsim.Switches{RefreshAnswer: "absent"}, nil)
			if err := s.login(t, "approve"); err != nil {
				t.Fatal(err)
			}
			s.sleep(61 * day)
			if err := s.sim.Schedule(linkedinsim.Fault{Kind: kind, Endpoint: "accessToken", Status: 503, Size: 2 << 20, Count: 1}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.call(t); err == nil || fault.KindOf(err) != fault.Retry || errors.Is(err, oauth.ErrConsentNeeded) {
				t.Errorf("API call = %v (%v), want one to retry", err, fault.KindOf(err))
			}
			s.sim.ClearFaults()
			s.accepted(t, "once LinkedIn is well")
		})
	}
}

func TestFreshTokenLagOfLinkedInIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, linkedinsim.Switches{FreshTokenLag: 12 * time.Second, RefreshAnswer: "rotated"},
			func(c *linkedinsim.Config, o *oauth.Options) { c.AutoConsent, o.HTTP = true, http.DefaultTransport })
		for range 2 { // after a consent, and after a renewal
			if s.remember(t).IsZero() {
				location := redirectOf(t, s)
				if _, err := s.Complete(t.Context(), location.Query(), ""); err != nil {
					t.Fatal(err)
				}
			}
			start := time.Now()
			s.accepted(t, "a fresh token")
			if took := time.Since(start); took != 15*time.Second { // 1 + 2 + 4 + 8
				t.Errorf("took %v, want 15s", took)
			}
			time.Sleep(time.Hour)
			s.sim.ExpireTokens()
		}
	})
}

// redirectOf is where a consent page without a person leads.
func redirectOf(t *testing.T, s *scene) *url.URL {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.AuthorizeURL(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := inProcess{s.sim}.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	location, err := url.Parse(resp.Header.Get("Location"))
	if closeErr := resp.Body.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
	return location
}
