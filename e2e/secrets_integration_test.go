//go:build integration

package e2e

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pages are what a browser may ask for, with what a stranger may try.
func pages() []string {
	bad := url.Values{"error": {"user_cancelled_authorize"}, "state": {"x"}, "code": {"y"}}
	return []string{"/", "/api/status", "/metrics", "/readyz?strict=1", "/healthz", "/oauth/login", "/oauth/disconnect",
		"/oauth/callback", "/oauth/callback?" + bad.Encode(), "/login", "/nowhere"}
}

// Whatever happens, at debug level: tokens, codes, the app's secret, the
// passphrase and the password stand in no page, metric, error, log or crash.
// The end of every scenario looks through the logs.
func TestSecretsAreShownNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small, noConsent: true, settings: map[string]string{
		"LEADSTREAM_TOKEN_STORE": "kafka", "LEADSTREAM_TOKEN_PASSPHRASE": plantedPassphrase, "LEADSTREAM_HTTP_PASSWORD": plantedPassword,
	}})
	c := w.run()
	c.awaitActive(30 * time.Second)
	person := browser(t)
	looked := 0
	look := func(res *http.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close() //nolint:errcheck // read to its end
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		looked++
		if found := personal(text); found != "" {
			t.Errorf("%s tells a secret or an answer: %s", res.Request.URL.Path, found)
		}
	}
	everywhere := func() {
		t.Helper()
		for _, path := range pages() {
			look(http.Get(c.http + path)) // a stranger
			look(person.Get(atLocalhost(c) + path))
		}
	}
	everywhere()
	look(person.PostForm(atLocalhost(c)+"/login", url.Values{"password": {"wrong-" + plantedPassword}}))
	look(person.PostForm(atLocalhost(c)+"/login", url.Values{"password": {plantedPassword}}))
	res, err := person.PostForm(atLocalhost(c)+"/oauth/login", nil)
	if err != nil {
		t.Fatal(err)
	}
	consent, err := res.Location()
	if err != nil || res.Body.Close() != nil {
		t.Fatalf("the button leads to %s: %v", res.Status, err)
	}
	callback := allow(t, consent.String()).String()
	look(person.Get(callback + "x")) // not the state it was
	w.linkedin.goWrong(object{"kind": "status", "status": 500, "endpoint": "accessToken", "count": 1})
	look(person.Get(callback)) // LinkedIn fails
	look(person.Get(callback)) // used before
	w.linkedin.goWrong(object{"kind": "change_secret", "secret": "another-secret"})
	look(person.Get(allow(t, consent.String()).String())) // the state again
	w.linkedin.goWrong(object{"kind": "change_secret", "secret": clientSecret})
	everywhere()
	w.consent()
	w.await(30 * time.Second)
	everywhere()
	for _, fault := range []string{"expire_token", "revoke_token", "revoke_refresh_token", "expire_token"} {
		w.linkedin.goWrong(object{"kind": fault})
		time.Sleep(1200 * time.Millisecond)
	}
	everywhere()
	for _, args := range [][]string{{"auth", "status"}, {"config"}, {"check"}, {"checkpoints", "list"}, {"auth", "logout"}, {"auth", "status"}} {
		p := w.command(args...)
		if found := personal([]byte(p.results() + p.text())); found != "" {
			t.Errorf("%s tells a secret or an answer: %s", strings.Join(args, " "), found)
		}
	}
	everywhere()
	c.signal(syscall.SIGQUIT) // as a crash would, it prints what every goroutine does
	if code := c.end(10 * time.Second); code != 1 || !strings.Contains(c.text(), "goroutine ") {
		t.Errorf("SIGQUIT: exit %d, want a crash", code)
	}
	if looked < 80 {
		t.Errorf("only %d answers were looked through", looked)
	}
}
