//go:build integration

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What may happen to the tokens, one test for each: what the page, the log, the
// metric and the strict probe say, and that no lead was lost.

// atWork starts the connector of a small world and waits until it reads.
func (w *world) atWork() *connector {
	w.t.Helper()
	c := w.run()
	c.awaitActive(30 * time.Second)
	c.connected(20 * time.Second)
	w.await(30 * time.Second)
	return c
}

var small = []string{"--leads", "30", "--organizations", "2", "--events", "2", "--forms", "2"}

// bothTokens kills the access token in one way and the refresh token, too.
func (l *linkedin) bothTokens(fault string) {
	l.t.Helper()
	l.goWrong(object{"kind": "revoke_refresh_token"})
	l.goWrong(object{"kind": fault})
}

// age makes the stored consent an hour old: of a younger token LinkedIn might
// not have heard everywhere, and a refusal is not believed for half a minute.
func (w *world) age() {
	w.t.Helper()
	path := filepath.Join(w.dir, "token")
	var token map[string]any
	eventually(w.t, 10*time.Second, func() error { // LinkedIn writes it once it is up
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &token)
	})
	hourAgo := time.Now().UTC().Add(-time.Hour).Truncate(time.Millisecond)
	token["authorized_at"], token["obtained_at"] = hourAgo, hourAgo
	text, err := json.Marshal(token)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// missed has members submit leads that cannot be read now, and sees to it that
// they are not.
func (w *world) missed() {
	w.t.Helper()
	before, err := w.seen.distinct()
	if err != nil {
		w.t.Fatal(err)
	}
	w.linkedin.submit(object{"count": 20})
	time.Sleep(1500 * time.Millisecond) // a poll and a half
	if after, err := w.seen.distinct(); err != nil || after != before {
		w.t.Errorf("%d leads were read without a consent (%v)", after-before, err)
	}
}

// recovered is the end of most of these tests: everything is well again, without a
// restart, and every lead is there once.
func (w *world) recovered(c *connector) {
	w.t.Helper()
	c.connected(20 * time.Second)
	w.await(20 * time.Second)
	w.linkedin.submit(object{"count": 5})
	w.await(20 * time.Second)
	w.verify()
	if n := w.seen.repeated(); n > 0 {
		w.t.Errorf("the consumer that followed saw %d records twice", n)
	}
}

func TestExpiredAccessTokensAreRenewedAndNobodyNotices(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small})
	c := w.atWork()
	authorized := c.least("leadstream_authorized")
	w.linkedin.post("/sim/switches", object{"accessLife": "3s", "refreshAnswer": "rotated"}) // of those that come
	w.linkedin.goWrong(object{"kind": "expire_token"})
	stop := w.linkedin.stream(3, 200*time.Millisecond)
	time.Sleep(7 * time.Second) // two lives and more
	stop()
	w.linkedin.post("/sim/switches", object{})
	w.recovered(c)
	if v := authorized(); v != 1 {
		t.Errorf("leadstream_authorized fell to %v", v)
	}
	if n := strings.Count(c.text(), "the LinkedIn access token was renewed"); n < 3 {
		t.Errorf("the token was renewed %d times, want three times or more", n)
	}
	if said := c.complaints("oken"); len(said) > 0 {
		t.Errorf("the log complains: %s", said)
	}
}

func TestRevokedTokenAsksForConsentAndGoesOnAfterIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small})
	w.age()
	c := w.atWork()
	w.linkedin.bothTokens("revoke_token")
	c.needsPerson(15*time.Second, "the access token was revoked", "press Connect or Reconnect LinkedIn on the status page")
	w.missed()
	w.consent()
	w.recovered(c)
}

func TestExpiredRefreshTokenAsksForConsentAndGoesOnAfterIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small, noConsent: true})
	w.linkedin.post("/sim/switches", object{"accessLife": "4s", "refreshLife": "9s"})
	w.consent()
	c := w.atWork()
	c.says(5*time.Second, `"level":"error"`, "comes to its end", "http://localhost:")
	c.needsPerson(25*time.Second, "the refresh token has expired", "Reconnect LinkedIn")
	w.missed()
	w.linkedin.post("/sim/switches", object{})
	w.consent()
	w.recovered(c)
}

func TestRefusedRefreshAsksForConsentAndGoesOnAfterIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small})
	c := w.atWork()
	w.linkedin.bothTokens("expire_token")
	c.needsPerson(15*time.Second, "LinkedIn refused to refresh the token", "Reconnect LinkedIn")
	w.missed()
	w.consent()
	w.recovered(c)
}

// A scope that one kind of lead needs does not stop the others.
func TestMissingScopesAreNamedAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small, settings: map[string]string{
		"LEADSTREAM_LINKEDIN_SCOPES": "r_marketing_leadgen_automation,r_events,r_organization_admin,r_ads",
	}})
	c := w.run() // with the consent of before r_ads was wanted
	c.awaitActive(30 * time.Second)
	c.needsPerson(15*time.Second, "the consent lacks scopes: r_ads", "linkedin.scopes")
	w.linkedin.submit(object{"count": 10})
	w.await(20 * time.Second)
	w.consent()
	w.recovered(c)
}

// The secret was changed in LinkedIn's portal: what can go on does, and once
// the right one is in place that is noticed.
func TestWrongAppSecretIsToldFromADeadToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small})
	c := w.atWork()
	w.linkedin.goWrong(object{"kind": "change_secret", "secret": "another-secret"})
	const problem, todo = "LinkedIn refused the app's credentials", "linkedin.client_secret"
	c.needsPerson(15*time.Second, problem, todo)
	w.linkedin.submit(object{"count": 10})
	w.await(20 * time.Second) // the access token is good
	w.linkedin.goWrong(object{"kind": "expire_token"})
	w.missed()
	c.needsPerson(15*time.Second, problem, todo)
	w.linkedin.goWrong(object{"kind": "change_secret", "secret": clientSecret})
	w.recovered(c)
	if strings.Contains(c.text(), "needs a person") && strings.Contains(c.text(), "was revoked") {
		t.Error("the log speaks of a revoked token")
	}
}

// A failure of LinkedIn's is never taken for a dead token.
func TestLinkedInsOwnFaultIsNoReasonForConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small})
	c := w.atWork()
	authorized := c.least("leadstream_authorized")
	fails := func(endpoint string) {
		w.linkedin.goWrong(object{"kind": "status", "status": 503, "endpoint": endpoint, "count": -1})
	}
	fails("introspectToken")
	time.Sleep(4 * time.Second) // a heartbeat, which asks the API itself
	c.connected(time.Second)
	fails("accessToken")
	w.linkedin.goWrong(object{"kind": "expire_token"})
	c.says(15*time.Second, `"level":"warn"`, "LinkedIn could not be asked about the token")
	w.missed()
	w.linkedin.wellAgain()
	fails("") // the API, while OAuth is well
	time.Sleep(2 * time.Second)
	w.linkedin.wellAgain()
	w.recovered(c)
	if v := authorized(); v != 1 {
		t.Errorf("leadstream_authorized fell to %v", v)
	}
	if said := c.complaints("needs a person"); len(said) > 0 {
		t.Errorf("the log asks for a person: %s", said)
	}
}

// For some seconds LinkedIn may refuse a token that it has just given.
func TestFreshTokenThatLinkedInDoesNotKnowYetIsNotADeadOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small})
	c := w.atWork()
	authorized := c.least("leadstream_authorized")
	w.linkedin.post("/sim/switches", object{"freshTokenLag": "4s"})
	w.linkedin.goWrong(object{"kind": "expire_token"})
	w.linkedin.submit(object{"count": 10})
	c.says(15*time.Second, "a fresh access token was refused, trying it again")
	w.await(20 * time.Second)
	w.linkedin.post("/sim/switches", object{}) // the test's own token is used at once
	w.recovered(c)
	if v := authorized(); v != 1 {
		t.Errorf("leadstream_authorized fell to %v", v)
	}
	if said := c.complaints("oken"); len(said) > 0 {
		t.Errorf("the log complains: %s", said)
	}
}
