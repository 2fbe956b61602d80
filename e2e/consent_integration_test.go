//go:build integration

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// login starts "auth login" and waits for the address of the consent page.
func (w *world) login(listen string, stdin io.Reader, flags ...string) (p *program, page string) {
	w.t.Helper()
	args := append([]string{stack.binary, "auth", "login"}, flags...)
	w.logins++ // each has its own address
	p = launch(w.t, w.dir, fmt.Sprintf("login-%d", w.logins), w.env(listen), stdin, args...)
	address := regexp.MustCompile(`(?m)^http://\S+/oauth/v2/authorization\?\S+$`)
	eventually(w.t, 20*time.Second, func() error {
		if page = address.FindString(p.results()); page == "" {
			return errors.New("auth login does not print the address of the consent page")
		}
		return nil
	})
	return p, page
}

// allow is what a member does in the browser: it opens the page and presses
// Allow, unless LinkedIn does not ask. It gives the address that LinkedIn sends
// the browser to.
func allow(t testing.TB, page string) *url.URL {
	t.Helper()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := browser.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	if target, err := res.Location(); err == nil {
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return target
	}
	html, err := body(res)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"decision": {"approve"}}
	for _, field := range regexp.MustCompile(`type="hidden" name="([^"]+)" value="([^"]*)"`).FindAllStringSubmatch(string(html), -1) {
		form.Set(field[1], strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`).Replace(field[2]))
	}
	res, err = browser.PostForm(res.Request.URL.Scheme+"://"+res.Request.URL.Host+"/oauth/v2/authorization", form)
	if err != nil {
		t.Fatal(err)
	}
	target, err := res.Location()
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatalf("LinkedIn answers the consent with %s: %v", res.Status, err)
	}
	return target
}

// TestConsentOnAMachineOfItsOwn: the redirect URL is served by auth login.
func TestConsentOnAMachineOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{
		noConsent: true, simulate: []string{"--leads", "20"},
		settings: map[string]string{"LEADSTREAM_TOKEN_PASSPHRASE": plantedPassphrase},
	})
	if p := w.command("auth", "status"); p.cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("auth status without a token: exit %d, want 3", p.cmd.ProcessState.ExitCode())
	}
	if p := w.command("run", "--once"); p.cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("run --once without a token: exit %d, want 3", p.cmd.ProcessState.ExitCode())
	}
	p, page := w.login(freeAddress(t), nil, "--no-browser")
	if _, err := get(allow(t, page).String()); err != nil {
		t.Errorf("following LinkedIn's redirect: %v", err)
	}
	if code := p.end(20 * time.Second); code != 0 {
		t.Errorf("auth login: exit %d, want 0", code)
	}
	file, err := os.Stat(w.env("")["LEADSTREAM_TOKEN_FILE"])
	if err != nil || file.Mode().Perm() != 0o600 {
		t.Errorf("the token file: %v, %v; want mode 0600", file, err)
	}
	if text, err := os.ReadFile(w.env("")["LEADSTREAM_TOKEN_FILE"]); err != nil || personal(text) != "" {
		t.Errorf("the token file is not encrypted (%v)", err)
	}
	if p := w.command("auth", "status"); p.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("auth status: exit %d, want 0", p.cmd.ProcessState.ExitCode())
	}
	if p := w.command("run", "--once"); p.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("run --once: exit %d, want 0", p.cmd.ProcessState.ExitCode())
	}
	w.verify()
}

// consent gives the consent beside a running connector, by pasting.
func (w *world) consent() {
	w.t.Helper()
	typed, line := io.Pipe()
	p, page := w.login(freeAddress(w.t), typed, "--paste")
	if _, err := fmt.Fprintln(line, allow(w.t, page)); err != nil {
		w.t.Fatal(err)
	}
	if err := line.Close(); err != nil {
		w.t.Fatal(err)
	}
	if code := p.end(20 * time.Second); code != 0 {
		w.t.Fatalf("auth login --paste: exit %d, want 0: %s", code, p.text())
	}
}
