package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"leadstream/internal/oauth"
)

// secretWord is in everything that must not be seen in these tests.
const secretWord = "PLANTED"

// consentServer is as much of LinkedIn's OAuth as the command needs: whoever
// opens the consent page has allowed the access.
type consentServer struct {
	*httptest.Server
	mu     sync.Mutex
	active string // status of every token
	asked  int    // for tokens
	status int    // answered to introspection when not 0
	token  map[string]any
}

func newConsentServer(t *testing.T) *consentServer {
	s := &consentServer{active: "active", token: map[string]any{
		"access_token": secretWord + "-access", "expires_in": 5184000, "refresh_token": secretWord + "-refresh",
		"refresh_token_expires_in": 31536000, "scope": "r_marketing_leadgen_automation,r_events,r_organization_admin",
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth/v2/authorization", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		http.Redirect(w, r, q.Get("redirect_uri")+"?code="+secretWord+"-code&state="+url.QueryEscape(q.Get("state")), http.StatusFound)
	})
	answer := func(w http.ResponseWriter, r *http.Request, status int, body map[string]any) {
		if r.FormValue("client_secret") != secretWord+"-app" {
			status, body = 401, map[string]any{"error": "invalid_client"}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	mux.HandleFunc("POST /oauth/v2/accessToken", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked++
		answer(w, r, 200, s.token)
	})
	mux.HandleFunc("POST /oauth/v2/introspectToken", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		answer(w, r, max(s.status, 200), map[string]any{"active": s.active == "active", "status": s.active})
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *consentServer) says(active string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active, s.status = active, status
}

// authRun runs the program with the settings of a test.
type authRun struct {
	environ []string
	file    string
}

func newAuthRun(t *testing.T, s *consentServer) *authRun {
	t.Helper()
	t.Chdir(t.TempDir())
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }() // the port is free again, which is what it was opened for
	file := filepath.Join(t.TempDir(), "token")
	return &authRun{file: file, environ: []string{
		"LEADSTREAM_LINKEDIN_CLIENT_ID=86app", "LEADSTREAM_LINKEDIN_CLIENT_SECRET=" + secretWord + "-app",
		"LEADSTREAM_LINKEDIN_AUTH_URL=" + s.URL, "LEADSTREAM_TOKEN_FILE=" + file,
		fmt.Sprintf("LEADSTREAM_LINKEDIN_REDIRECT_URL=http://localhost:%d/oauth/callback", ln.Addr().(*net.TCPAddr).Port),
		"LEADSTREAM_LOG_LEVEL=debug",
	}}
}

// do runs one command; what it printed must be free of secrets.
func (r *authRun) do(t *testing.T, stdin io.Reader, stdout io.Writer, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	if stdout == nil {
		stdout = io.Discard
	}
	code = run(t.Context(), process{args: args, environ: r.environ, stdin: stdin, stdout: io.MultiWriter(&o, stdout), stderr: &e})
	if text := o.String() + e.String(); strings.Contains(text, secretWord) {
		t.Errorf("%v shows a secret: %s", args, text)
	}
	return code, o.String(), e.String()
}

// login runs "auth login" and opens the page it prints as a browser would.
func (r *authRun) login(t *testing.T) (code int, out, errs string) {
	t.Helper()
	terminal, screen := io.Pipe()
	var browser sync.WaitGroup
	browser.Go(func() {
		for lines := bufio.NewScanner(terminal); lines.Scan(); {
			if !strings.HasPrefix(lines.Text(), "http") {
				continue
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, lines.Text(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
		}
	})
	code, out, errs = r.do(t, nil, screen, "auth", "login", "--no-browser")
	_ = screen.Close()
	browser.Wait()
	return code, out, errs
}

func TestAuthLoginStatusLogout(t *testing.T) {
	r := newAuthRun(t, newConsentServer(t))
	if code, out, errs := r.do(t, nil, nil, "auth", "status"); code != exitConsent || !strings.Contains(out, "leadstream auth login") {
		t.Errorf("status before the login = %d\n%s%s", code, out, errs)
	}
	if code, out, errs := r.login(t); code != exitDone || !strings.Contains(out, "Connected to LinkedIn") || !strings.Contains(out, r.file+" (not encrypted") {
		t.Fatalf("login = %d\n%s%s", code, out, errs)
	}
	code, out, errs := r.do(t, nil, nil, "auth", "status")
	if code != exitDone || !strings.Contains(out, "59 days left") || !strings.Contains(out, "364 days left") {
		t.Errorf("status = %d\n%s%s", code, out, errs)
	}
	code, out, errs = r.do(t, nil, nil, "auth", "status", "-o", "json")
	var st struct {
		Usable, Checked bool
		LinkedIn        string
		Days            int      `json:"refresh_days_left"`
		Missing         []string `json:"missing_scopes"`
	}
	if err := json.Unmarshal([]byte(out), &st); err != nil || code != exitDone || !st.Usable || !st.Checked || st.LinkedIn != "active" || st.Days != 364 || st.Missing == nil {
		t.Errorf("status -o json = %d, %v\n%s%s", code, err, out, errs)
	}
	code, out, errs = r.do(t, nil, nil, "auth", "logout")
	if code != exitDone || !strings.Contains(out, "goes on accepting the access token until") {
		t.Errorf("logout = %d\n%s%s", code, out, errs)
	}
	if _, err := os.Stat(r.file); !os.IsNotExist(err) {
		t.Errorf("the token file is still there: %v", err)
	}
	if code, out, _ := r.do(t, nil, nil, "auth", "logout"); code != exitDone || !strings.Contains(out, "There is no token") {
		t.Errorf("second logout = %d\n%s", code, out)
	}
}

// age makes the stored consent one of a while ago.
func (r *authRun) age(t *testing.T, by time.Duration) {
	t.Helper()
	r.change(t, func(tok *oauth.Token) {
		tok.AuthorizedAt, tok.ObtainedAt, tok.AccessExpiresAt = tok.AuthorizedAt.Add(-by), tok.ObtainedAt.Add(-by), tok.AccessExpiresAt.Add(-by)
	})
}

// change changes the stored token.
func (r *authRun) change(t *testing.T, change func(*oauth.Token)) {
	t.Helper()
	store := oauth.NewFileStore(r.file, "")
	tok, err := oauth.Logout(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	change(&tok)
	if err := store.Save(t.Context(), tok); err != nil {
		t.Fatal(err)
	}
}

func TestAuthStatusExitCodeSaysWhetherAPersonMustAct(t *testing.T) {
	tests := []struct {
		name   string
		active string
		status int
		want   int
		text   string
	}{
		{"active", "active", 0, exitDone, "yes"},
		{"revoked", "revoked", 0, exitConsent, "revoked"},
		{"LinkedIn fails", "active", 503, exitUnreachable, "could not be asked"},
	}
	s := newConsentServer(t)
	r := newAuthRun(t, s)
	if code, out, errs := r.login(t); code != exitDone {
		t.Fatalf("login = %d\n%s%s", code, out, errs)
	}
	r.age(t, time.Hour)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.says(tt.active, tt.status)
			if code, out, errs := r.do(t, nil, nil, "auth", "status"); code != tt.want || !strings.Contains(out, tt.text) {
				t.Errorf("status = %d, want %d with %q\n%s%s", code, tt.want, tt.text, out, errs)
			}
		})
	}
}

// A connector was refused the renewal; whoever asks afterwards is told so, with the
// access token still good for a while and without.
func TestAuthStatusKnowsOfARefusedRenewal(t *testing.T) {
	s := newConsentServer(t)
	r := newAuthRun(t, s)
	if code, out, errs := r.login(t); code != exitDone {
		t.Fatalf("login = %d\n%s%s", code, out, errs)
	}
	r.change(t, func(tok *oauth.Token) {
		tok.Refused = oauth.Refusal{At: time.Now(), Reason: oauth.RefreshRefused, Detail: "400 invalid_request"}
	})
	for _, tt := range []struct {
		by     time.Duration
		active string
		code   int
		says   string
	}{
		{59 * 24 * time.Hour, "active", exitDone, "refused to renew it: consent again before"},
		{2 * 24 * time.Hour, "expired", exitConsent, "LinkedIn refused to refresh the token"},
	} {
		r.age(t, tt.by)
		s.says(tt.active, 0)
		for _, args := range [][]string{{"auth", "status"}, {"auth", "status", "-o", "json"}} {
			if code, out, errs := r.do(t, nil, nil, args...); code != tt.code || !strings.Contains(out, tt.says) {
				t.Errorf("%v = %d, want %d with %q\n%s%s", args, code, tt.code, tt.says, out, errs)
			}
		}
	}
}

// A person is not led through a consent whose outcome could not be kept.
func TestAuthLoginSaysBeforeTheConsentThatNothingCouldBeStored(t *testing.T) {
	s := newConsentServer(t)
	r := newAuthRun(t, s)
	for name, file := range map[string]string{
		"create the directory": filepath.Join(t.TempDir(), "away", "token"), "not a regular file": t.TempDir(),
	} {
		r.environ = append(r.environ, "LEADSTREAM_TOKEN_FILE="+file)
		code, out, errs := r.do(t, strings.NewReader(""), nil, "auth", "login", "--paste")
		if code != exitUsage || out != "" || !strings.Contains(errs, name) || !strings.Contains(errs, file) {
			t.Errorf("%s: exit code %d\n%s%s", file, code, out, errs)
		}
	}
	if s.asked != 0 {
		t.Errorf("LinkedIn was asked %d times", s.asked)
	}
}

// paste runs "auth login --paste" and pastes what answer makes of the state in
// the address that it prints.
func (r *authRun) paste(t *testing.T, answer func(state string) string) (code int, out, errs string) {
	t.Helper()
	terminal, screen := io.Pipe()
	typed, keyboard := io.Pipe()
	var person sync.WaitGroup
	person.Go(func() {
		for lines := bufio.NewScanner(terminal); lines.Scan(); {
			if u, err := url.Parse(lines.Text()); err == nil && strings.HasPrefix(lines.Text(), "http") {
				_, _ = io.WriteString(keyboard, answer(u.Query().Get("state"))+"\n")
				break
			}
		}
		_ = keyboard.Close()
		_, _ = io.Copy(io.Discard, terminal)
	})
	code, out, errs = r.do(t, typed, screen, "auth", "login", "--paste")
	_ = typed.Close()
	_ = screen.Close()
	person.Wait()
	return code, out, errs
}

// answered is the address that a browser ends at after the consent.
func answered(state string) string {
	return "http://localhost/oauth/callback?code=" + secretWord + "-code&state=" + url.QueryEscape(state)
}

func TestAuthLoginByPastedAddress(t *testing.T) {
	r := newAuthRun(t, newConsentServer(t))
	r.environ = append(r.environ, "LEADSTREAM_TOKEN_PASSPHRASE="+secretWord+"-passphrase")
	code, out, errs := r.paste(t, answered)
	if code != exitDone || !strings.Contains(out, "(encrypted)") {
		t.Fatalf("login = %d\n%s%s", code, out, errs)
	}
	if kept, err := os.ReadFile(r.file); err != nil || strings.Contains(string(kept), secretWord) {
		t.Errorf("the token file is not encrypted: %v", err)
	}
}

// Two names with the same app and the same redirect URL, as a person meets them:
// two terminals, and the address of the one pasted into the other.
func TestAConsentOfAnotherNameIsNotTakenHere(t *testing.T) {
	server := newConsentServer(t)
	sales, marketing := newAuthRun(t, server), newAuthRun(t, server)
	sales.environ = append(sales.environ, "LEADSTREAM_NAME=sales")
	marketing.environ = append(marketing.environ, "LEADSTREAM_NAME=marketing")
	code, out, errs := sales.paste(t, func(own string) string {
		_, foreign, _ := marketing.paste(t, func(string) string { return "" }) // the address that it prints, and no answer
		_, foreign, _ = strings.Cut(foreign, "&state=")
		foreign, _, _ = strings.Cut(foreign, "\n")
		return "http://localhost/oauth/callback?code=" + secretWord + "-code&state=" + foreign + "\n" + secretWord + "-code\n" + "code=" + secretWord + "-code"
	})
	if code != exitUnexpected || !strings.Contains(out, `installation "marketing"`) || !strings.Contains(out, `this is installation "sales"`) || !strings.Contains(out, "whole address") {
		t.Errorf("a foreign address, then only codes: exit code %d\n%s%s", code, out, errs)
	}
	if _, err := os.Stat(sales.file); !os.IsNotExist(err) {
		t.Errorf("something was stored: %v", err)
	}
	if code, out, errs := sales.paste(t, answered); code != exitDone {
		t.Errorf("its own address: exit code %d\n%s%s", code, out, errs)
	}
}

func TestAuthErrorsHaveTheirExitCodes(t *testing.T) {
	r := newAuthRun(t, newConsentServer(t))
	without := &authRun{file: r.file, environ: nil}
	with := func(setting string) *authRun { // the last of equal variables counts
		return &authRun{file: r.file, environ: append(slices.Clone(r.environ), setting)}
	}
	wrong := with("LEADSTREAM_LINKEDIN_CLIENT_SECRET=" + secretWord + "-other")
	away := with("LEADSTREAM_LINKEDIN_AUTH_URL=http://127.0.0.1:1")
	openFile := filepath.Join(t.TempDir(), "open")
	open := with("LEADSTREAM_TOKEN_FILE=" + openFile)
	if err := os.WriteFile(openFile, []byte("{}"), 0o644); err != nil { //nolint:gosec // readable by others on purpose
		t.Fatal(err)
	}
	login := []string{"auth", "login", "--paste"}
	tests := []struct {
		name string
		run  *authRun
		args []string
		want int
		text string
	}{
		{"no client id", without, login, exitUsage, "linkedin.client_id"},
		{"unknown flag", r, []string{"auth", "login", "--what"}, exitUsage, "--what"},
		{"unknown command", r, []string{"auth", "logon"}, exitUsage, "login"},
		{"wrong secret", wrong, login, exitUsage, "linkedin.client_secret"},
		{"LinkedIn away", away, login, exitUnreachable, "127.0.0.1:1"},
		{"token file readable by others", open, []string{"auth", "status"}, exitUsage, "chmod 600 " + openFile},
		{"input ends", r, login, exitUnexpected, "input ended"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			do := func() (int, string, string) { return tt.run.do(t, strings.NewReader(""), nil, tt.args...) }
			if tt.run == wrong || tt.run == away {
				do = func() (int, string, string) { return tt.run.paste(t, answered) }
			}
			code, out, errs := do()
			if code != tt.want || !strings.Contains(errs, tt.text) {
				t.Errorf("exit code %d, want %d with %q\n%s%s", code, tt.want, tt.text, out, errs)
			}
		})
	}
}
