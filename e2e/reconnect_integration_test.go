//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"
)

// browser keeps cookies and follows nothing by itself.
func browser(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// atLocalhost is the address of a process as the redirect URL names its host.
func atLocalhost(c *connector) string { return strings.Replace(c.http, "127.0.0.1", "localhost", 1) }

// reconnect presses the button on the page of c, allows the access and follows
// LinkedIn's redirect, wherever it leads.
func (w *world) reconnect(c *connector) {
	w.t.Helper()
	person := browser(w.t)
	res, err := person.PostForm(atLocalhost(c)+"/oauth/login", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // of no interest
	consent, err := res.Location()
	if err != nil {
		w.t.Fatalf("the button leads to %s: %v", res.Status, err)
	}
	res, err = person.Get(allow(w.t, consent.String()).String())
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := body(res)
	if err != nil || !strings.Contains(string(text), "Connected to LinkedIn") {
		w.t.Fatalf("LinkedIn's answer gives %.500s (%v), want it connected", text, err)
	}
}

// runAt starts the connector on an address, with settings of its own.
func (w *world) runAt(name, listen string, settings map[string]string) *connector {
	w.t.Helper()
	env := w.env(listen)
	maps.Copy(env, settings)
	return &connector{launch(w.t, w.dir, name, env, nil, stack.binary, "run"), "http://" + listen}
}

// The end of a consent is announced before it comes: 30, 7 and 1 days.
func TestConsentIsWarnedOfThirtySevenAndOneDaysBeforeItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small, noConsent: true})
	c := w.run()
	c.awaitActive(30 * time.Second)
	c.needsPerson(15*time.Second, "no token is stored", "press Connect")
	for _, tt := range []struct {
		left  string
		days  int
		level string
		note  string
	}{
		{"696h", 28, "warn", "in 28 days"}, {"160h", 6, "warn", "in 6 days"}, {"20h", 0, "error", "within a day"},
	} {
		w.linkedin.post("/sim/switches", object{"refreshLife": tt.left})
		w.reconnect(c)
		c.connected(5 * time.Second)
		eventually(t, 5*time.Second, func() error {
			s, err := c.status()
			if err != nil || s.Connection.State != "warning" || !strings.Contains(s.Connection.Note, tt.note) {
				return fmt.Errorf("the connection is %s with the note %q (%v), want a warning and %q", s.Connection.State, s.Connection.Note, err, tt.note)
			}
			page, err := c.page()
			if err != nil || !strings.Contains(page, tt.note) || !strings.Contains(page, "Reconnect soon") || !strings.Contains(page, "Connected, look soon") {
				return fmt.Errorf("the page does not say %q (%v): %.900s", tt.note, err, page)
			}
			return nil
		})
		c.says(2*time.Second, `"level":"`+tt.level+`"`, "comes to its end", fmt.Sprintf(`"days_left":%d,`, tt.days), "http://localhost:")
		b, err := get(c.http + "/metrics")
		if err != nil || !strings.Contains(string(b), `leadstream_token_expiry_timestamp_seconds{token="refresh"}`) {
			t.Errorf("the metrics do not tell when the refresh token ends (%v)", err)
		}
	}
	if n := strings.Count(c.text(), "comes to its end"); n != 3 {
		t.Errorf("it was warned %d times, want once for each of three consents", n)
	}
	w.await(20 * time.Second)
	w.verify()
}

// Whichever process LinkedIn sends the browser back to: the one that works goes
// on within seconds.
func TestConsentWhoseCallbackReachesAStandby(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small, noConsent: true})
	one, two := freeAddress(t), freeAddress(t)
	redirect := map[string]string{"LEADSTREAM_LINKEDIN_REDIRECT_URL": "http://localhost:" + two[strings.LastIndexByte(two, ':')+1:] + "/oauth/callback"}
	active := w.runAt("a", one, redirect)
	active.awaitActive(30 * time.Second)
	standby := w.runAt("b", two, redirect)
	standby.says(20*time.Second, `"standing by"`)
	for _, c := range []*connector{active, standby} { // both know, and say it
		c.needsPerson(15*time.Second, "no token is stored", "press Connect")
	}
	w.reconnect(active)
	standby.says(time.Second, "LinkedIn consent given")
	standby.connected(5 * time.Second)
	w.recovered(active)
	if standby.active() {
		t.Error("the standby has the work now")
	}
}

// The connector serves the redirect URL, so that the command cannot.
func TestAuthLoginBesideARunningConnectorThatHoldsThePort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small, noConsent: true})
	c := w.run()
	c.awaitActive(30 * time.Second)
	c.needsPerson(15*time.Second, "no token is stored", "auth login")
	w.missed()
	p, page := w.login(strings.TrimPrefix(c.http, "http://"), nil, "--no-browser")
	res, err := http.Get(allow(t, page).String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := body(res); err != nil {
		t.Errorf("LinkedIn's answer at the connector: %v", err)
	}
	if code := p.end(10 * time.Second); code != 0 || !strings.Contains(p.results(), "stored by another process, which got LinkedIn's answer") {
		t.Errorf("auth login: exit %d: %s%s", code, p.results(), p.text())
	}
	w.recovered(c)
}

// inKafka has the tokens kept in the checkpoint topic; a file would not do.
var inKafka = map[string]string{
	"LEADSTREAM_TOKEN_STORE": "kafka", "LEADSTREAM_TOKEN_PASSPHRASE": plantedPassphrase,
	"LEADSTREAM_TOKEN_FILE": "/nowhere/token",
}

// Two processes that share nothing but Kafka: a consent at the one serves both,
// also after the first has died, and what the one renews the other uses.
func TestProcessesWithoutACommonDiskShareTheTokensInKafka(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small, noConsent: true, settings: inKafka})
	w.linkedin.post("/sim/switches", object{"refreshAnswer": "rotated"})
	active, standby := w.pair()
	active.needsPerson(15*time.Second, "no token is stored", "press Connect")
	w.missed()
	w.reconnect(standby)
	w.await(20 * time.Second)
	active.connected(10 * time.Second)

	w.linkedin.goWrong(object{"kind": "expire_token"})
	active.says(15*time.Second, "the LinkedIn access token was renewed")
	standby.says(15*time.Second, "using a newer LinkedIn token, stored by another process")
	active.kill()
	w.linkedin.submit(object{"count": 10})
	standby.awaitActive(30 * time.Second)
	w.await(20 * time.Second)
	again := w.runAs("c") // one that has just started knows them as well
	again.connected(15 * time.Second)
	w.recovered(standby)

	p := w.command("checkpoints", "list", "token/", "-o", "json")
	var rows []struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal([]byte(p.results()), &rows); err != nil || len(rows) != 1 || !strings.Contains(string(rows[0].Value), "[encrypted]") {
		t.Errorf("checkpoints list token/ prints %.500s (%v), want one record without its content", p.results(), err)
	}
	if fenced := len(standby.complaints("fenced")); fenced > 0 {
		t.Error("writing tokens fenced the connector")
	}
}

// A renewal that LinkedIn answers late meets a newer consent, and then a logout.
func TestALateRenewalNeverOverwritesANewerConsentNorUndoesALogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small, noConsent: true, settings: inKafka})
	w.consent()
	c := w.atWork()
	held := func() (at time.Time) {
		t.Helper()
		s, err := c.status()
		if err != nil {
			t.Fatal(err)
		}
		return s.Connection.AuthorizedAt
	}
	first := held()
	const slow = 4 * time.Second
	renewLate := func() {
		t.Helper()
		w.linkedin.goWrong(object{"kind": "latency", "endpoint": "accessToken", "latency": slow.String(), "count": 1})
		w.linkedin.goWrong(object{"kind": "expire_token"})
		eventually(t, 10*time.Second, func() error { return w.linkedin.taken("latency") }) // by the renewal
	}
	renewLate()
	w.consent()
	time.Sleep(slow)
	w.recovered(c)
	second := held()
	if !second.After(first) {
		t.Errorf("the consent in use is of %v, want the newer one than %v", second, first)
	}
	if n := strings.Count(c.text(), "the LinkedIn access token was renewed"); n != 0 {
		t.Errorf("%d renewals were stored, want none", n)
	}

	renewLate()
	if p := w.command("auth", "logout"); p.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("auth logout: exit %d: %s", p.cmd.ProcessState.ExitCode(), p.text())
	}
	time.Sleep(slow)
	c.needsPerson(15*time.Second, "no token is stored", "press Connect")
	if p := w.command("auth", "status"); p.cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("auth status after the logout: exit %d, want 3: %s", p.cmd.ProcessState.ExitCode(), p.results())
	}
	w.linkedin.submit(object{"count": 5})
	w.consent()
	w.recovered(c)
}

// With the checkpoint topic the tokens are gone, too; who knows them writes them
// again, and nobody has to consent.
func TestTokensOutliveTheCheckpointTopicWhileAProcessRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small, noConsent: true, settings: inKafka})
	w.consent()
	c := w.atWork()
	w.removeTopic(w.name + ".checkpoints")
	w.linkedin.submit(object{"count": 10})
	c.says(30*time.Second, `"level":"warn"`, "the record of the LinkedIn tokens was gone and is written again")
	w.recovered(c)
	if code, _ := c.stop(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	w.linkedin.submit(object{"count": 10})
	w.recovered(w.run())
}

// taken is nil once no fault of that kind waits for a request any more.
func (l *linkedin) taken(kind string) error {
	b, err := get(l.url + "/sim/faults")
	if err != nil {
		return err
	}
	var left []struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(b, &left); err != nil {
		return err
	}
	for _, f := range left {
		if f.Kind == kind {
			return fmt.Errorf("the fault %s has met no request yet", kind)
		}
	}
	return nil
}
