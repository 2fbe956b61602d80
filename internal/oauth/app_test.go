package oauth

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

// wrongSecret has LinkedIn refuse the app's credentials everywhere.
func (w *world) wrongSecret() {
	wrong := func(rw http.ResponseWriter, _ *http.Request) { refuse(rw, 401, "invalid_client", planted) }
	w.linkedin.override(tokenPath, wrong)
	w.linkedin.override(introspectPath, wrong)
}

// tries is how often the work asks for a token within a minute: ten sources,
// each of which tries again every ten seconds.
func (b *beating) tries(t *testing.T, try func() error) {
	t.Helper()
	for range 60 {
		if err := try(); !errors.As(err, new(*AppRefusedError)) {
			t.Fatalf("= %v, want that the app was refused", err)
		}
		b.after(t, time.Second)
	}
}

// A wrong secret stays wrong until a person acts: it is sent once a minute,
// however many requests wait for it, and what fixes it is noticed by itself.
func TestWrongSecretIsSentOnceAMinuteAndCorrectedWithoutARestart(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.connect()
	b.after(t, time.Hour)
	b.wrongSecret()
	tok.AccessExpiresAt = b.clock.Now()
	b.linkedin.says(tok, "expired")
	b.store.set(func(m *memory) { m.held = tok })
	b.after(t, time.Minute)
	tokens, introspections := b.linkedin.count(tokenPath), b.linkedin.count(introspectPath)
	b.tries(t, func() error { _, err := b.AccessToken(t.Context()); return err })
	if n := b.linkedin.count(tokenPath) - tokens; n != 1 {
		t.Errorf("the secret was sent %d times in a minute to renew, want once", n)
	}
	if n := b.linkedin.count(introspectPath) - introspections; n > 2 {
		t.Errorf("LinkedIn was asked %d times about the token, want once in a minute", n)
	}
	b.needsPerson(t, "meanwhile", "LinkedIn refused the app's credentials")
	if n := b.lines(`"level":"error"`); n != 1 {
		t.Errorf("it was told %d times, want once: %s", n, b.world.log)
	}
	b.linkedin.set(func() { clear(b.linkedin.overrides) })
	b.after(t, time.Minute)
	b.works(t, "once LinkedIn takes it")
	if got, err := b.AccessToken(t.Context()); err != nil || got == tok.Access {
		t.Errorf("AccessToken = %q, %v; want a renewed one", got, err)
	}
}

// Requests that the API refuses meanwhile do not send the secret, either.
func TestRefusedRequestsDoNotSendAWrongSecretAgainAndAgain(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.connect()
	b.after(t, time.Hour)
	b.wrongSecret()
	b.linkedin.says(tok, "expired")
	before := b.linkedin.count(introspectPath)
	b.tries(t, func() error { _, err := b.get(t); return err })
	if n := b.linkedin.count(introspectPath) - before; n > 3 { // once for the requests, and by the heartbeat
		t.Errorf("the secret was sent %d times in a minute", n)
	}
}

// An app that may introspect and not renew is refused, too, and LinkedIn's word
// that the token has expired is no promise to renew it.
func TestAppThatMayNotRenewIsNotCalledUsable(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.connect()
	b.after(t, time.Hour)
	b.linkedin.says(tok, "expired")
	b.linkedin.override(tokenPath, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "unauthorized_client", planted) })
	if _, err := b.get(t); !errors.As(err, new(*AppRefusedError)) {
		t.Errorf("API call = %v, want that the app was refused", err)
	}
	for range 10 {
		b.after(t, time.Minute)
		b.needsPerson(t, "while it is refused", "LinkedIn refused the app's credentials")
	}
	if n := b.linkedin.count(tokenPath); n > 11 || b.lines("works again") > 0 || b.lines("needs a person") != 1 {
		t.Errorf("tried %d times in ten minutes: %s", n, b.world.log)
	}
	b.linkedin.override(tokenPath, nil)
	b.after(t, 2*time.Minute)
	b.works(t, "once LinkedIn takes it")
}

// While the old token lasts nobody renews it for an hour after a refusal. That
// the secret is right again is seen before.
func TestSecretThatIsRightAgainIsSeenWhileTheOldTokenLasts(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.connect()
	b.clock.Add(55 * day)
	b.wrongSecret()
	if got, err := b.AccessToken(t.Context()); err != nil || got != tok.Access {
		t.Errorf("AccessToken = %q, %v; want the old token", got, err)
	}
	b.after(t, time.Minute)
	b.needsPerson(t, "meanwhile", "LinkedIn refused the app's credentials")
	b.linkedin.set(func() { clear(b.linkedin.overrides) })
	b.after(t, 2*time.Minute)
	b.works(t, "once LinkedIn takes it")
}

// That LinkedIn refused the app when a person consented anew takes nothing from the
// token that is held, for which nobody asks accessToken for weeks.
func TestConsentThatFailsOnTheAppLeavesTheTokenHeldUsable(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.connect()
	b.after(t, time.Hour)
	b.linkedin.override(tokenPath, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "unauthorized_client", planted) })
	if _, err := b.completeCode(t.Context(), planted+"-code"); !errors.As(err, new(*AppRefusedError)) {
		t.Fatalf("completeCode = %v, want that the app was refused", err)
	}
	b.after(t, time.Hour)
	b.works(t, "afterwards")
	if got, err := b.AccessToken(t.Context()); err != nil || got != tok.Access {
		t.Errorf("AccessToken = %q, %v; want the one held", got, err)
	}
	// A secret that is wrong everywhere is seen at once, as introspection says so, too.
	b.wrongSecret()
	if _, err := b.completeCode(t.Context(), planted+"-code"); !errors.As(err, new(*AppRefusedError)) {
		t.Fatalf("completeCode = %v, want that the app was refused", err)
	}
	b.after(t, 2*wakeEvery)
	b.needsPerson(t, "with a wrong secret", "LinkedIn refused the app's credentials")
}

// The app was refused when a token had to be replaced that turned out to be good
// after all: nobody needs to renew it for weeks.
func TestAppThatIsTakenAgainIsSeenLongBeforeTheTokenIsDue(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.connect()
	b.after(t, time.Hour)
	b.linkedin.says(tok, "revoked")
	b.linkedin.override(tokenPath, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "unauthorized_client", planted) })
	if _, err := b.get(t); !errors.As(err, new(*AppRefusedError)) {
		t.Errorf("API call = %v, want that the app was refused", err)
	}
	b.linkedin.says(tok, "active")
	before := b.linkedin.count(tokenPath)
	works := func(minutes int) {
		for range minutes {
			b.after(t, time.Minute)
			if _, err := b.AccessToken(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	works(125)
	b.needsPerson(t, "while it is refused", "LinkedIn refused the app's credentials")
	if n := b.linkedin.count(tokenPath) - before; n > 4 {
		t.Errorf("asked %d times in two hours whether the app is taken, want once an hour", n)
	}
	b.linkedin.override(tokenPath, nil)
	works(60)
	b.works(t, "an hour after LinkedIn takes it")
}
