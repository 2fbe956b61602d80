package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusalIsRememberedForSomeMinutes(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	w.linkedin.set(func() { w.linkedin.refresh = "another" })
	w.clock.Add(61 * day)
	for range 5 {
		if _, err := w.AccessToken(t.Context()); reasonOf(t, err) != RefreshRefused {
			t.Errorf("error = %v", err)
		}
	}
	if n := w.linkedin.count(tokenPath); n != 1 {
		t.Errorf("LinkedIn was asked %d times, want 1", n)
	}
	w.clock.Add(refusalHolds)
	w.linkedin.set(func() { w.linkedin.refresh = planted + "-refresh-1" })
	if _, err := w.AccessToken(t.Context()); err != nil {
		t.Errorf("AccessToken once LinkedIn accepts = %v", err)
	}
}

// LinkedIn may give the same refresh token again: what it refused once and then
// took is as good as ever.
func TestRefusalIsForgottenWhenARenewalWorks(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	w.linkedin.set(func() {
		w.linkedin.refresh = "another"
		w.linkedin.answer = map[string]any{"refresh_token": nil, "refresh_token_expires_in": nil}
	})
	w.clock.Add(55 * day)
	if _, err := w.AccessToken(t.Context()); err != nil {
		t.Errorf("AccessToken while the old token lasts = %v", err)
	}
	w.clock.Add(2 * time.Hour)
	if st, err := w.Status(t.Context()); err != nil || !st.Usable || !strings.Contains(st.Note, "refused to renew") {
		t.Errorf("for as long as it is refused: %+v, %v", st, err)
	}
	w.linkedin.set(func() { w.linkedin.refresh = planted + "-refresh-1" })
	if got, err := w.AccessToken(t.Context()); err != nil || got != planted+"-access-2" {
		t.Errorf("AccessToken once LinkedIn accepts = %q, %v", got, err)
	}
	if st, err := w.Status(t.Context()); err != nil || !st.Usable || st.Note != "" {
		t.Errorf("afterwards: %+v, %v", st, err)
	}
}

func TestRenewalNeverBringsBackAConsentThatWasRemoved(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	w.clock.Add(61 * day)
	w.linkedin.override(tokenPath, func(rw http.ResponseWriter, r *http.Request) {
		w.store.set(func(m *memory) { m.held = Token{} }) // a logout while LinkedIn answers
		w.linkedin.serveToken(rw, r)
	})
	_, err := w.AccessToken(t.Context())
	if got := reasonOf(t, err); got != NoToken {
		t.Errorf("reason = %q, want %q", got, NoToken)
	}
	if !w.store.token().IsZero() {
		t.Error("the token came back into the store")
	}
}

func TestRenewalOfAnOlderConsentGivesWayToANewerOne(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	w.clock.Add(61 * day)
	var newer Token
	w.linkedin.override(tokenPath, func(rw http.ResponseWriter, r *http.Request) {
		w.linkedin.serveToken(rw, r)
		newer = w.connect() // a consent while LinkedIn's answer is on its way
	})
	got, err := w.AccessToken(t.Context())
	if err != nil || got != newer.Access || w.store.token().Access != newer.Access {
		t.Errorf("AccessToken = %q, %v, store %v; want the newer consent", got, err, w.store.token().Access)
	}
}

func TestRefusalAfterAnotherProcessRenewedIsNoReasonForConsent(t *testing.T) {
	w := newWorld(t, nil)
	old := w.connect()
	w.clock.Add(61 * day)
	other := old
	w.linkedin.override(tokenPath, func(rw http.ResponseWriter, _ *http.Request) {
		other.Access, other.Refresh = planted+"-access-other", planted+"-refresh-other"
		other.ObtainedAt, other.AccessExpiresAt = w.clock.Now(), w.clock.Now().Add(60*day)
		w.store.set(func(m *memory) { m.held = other })
		refuse(rw, 400, "invalid_request", "rotated")
	})
	if got, err := w.AccessToken(t.Context()); err != nil || got != other.Access {
		t.Errorf("AccessToken = %q, %v; want the other process's token", got, err)
	}
}

// slowStore is a Store whose Save takes a while, as Kafka's may.
type slowStore struct {
	*memory
	takes time.Duration
}

func (s *slowStore) Save(ctx context.Context, t Token) error {
	time.Sleep(s.takes)
	return s.memory.Save(ctx, t)
}

// Two processes renew at the same moment and LinkedIn rotates the refresh token:
// the second is refused while the first is still storing what it was given.
func TestRefusalWhileAnotherProcessStoresItsPairIsNoReasonForConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := func(o *Options) { o.Now = time.Now }
		first, second := newWorld(t, now), newWorld(t, now)
		tok := first.connect()
		tok.AuthorizedAt, tok.ObtainedAt = time.Now().Add(-61*day), time.Now().Add(-61*day)
		tok.AccessExpiresAt, tok.RefreshExpiresAt = time.Now().Add(-time.Second), time.Now().Add(300*day)
		first.store.set(func(m *memory) { m.held = tok })
		store := &slowStore{first.store, 5 * time.Second}
		first.Session.opts.Store, second.Session.opts.Store = store, store
		second.Session.http.Transport = inProcess{first.linkedin}
		stored := make(chan struct{})
		go func() {
			defer close(stored)
			if _, err := first.AccessToken(t.Context()); err != nil {
				t.Errorf("the first: %v", err)
			}
		}()
		time.Sleep(time.Second) // LinkedIn has answered it
		got, err := second.AccessToken(t.Context())
		if err != nil || got != planted+"-access-2" {
			t.Errorf("the second = %q, %v; want what the first was given", got, err)
		}
		<-stored
		if n := first.linkedin.count(tokenPath); n != 2 {
			t.Errorf("LinkedIn was asked %d times to renew, want once by each", n)
		}
	})
}

// Where the refusal has a reason nobody is kept waiting.
func TestRefusalWithAReasonOfItsOwnIsToldAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.connect()
	w.clock.Add(366 * day)
	begun := w.clock.Now()
	w.linkedin.set(func() { w.linkedin.refresh = "" })
	if _, err := w.AccessToken(t.Context()); reasonOf(t, err) != RefreshExpired || !w.clock.Now().Equal(begun) {
		t.Errorf("AccessToken = %v after %v", err, w.clock.Now().Sub(begun))
	}
	w = newWorld(t, nil)
	tok := w.connect()
	w.clock.Add(time.Hour)
	begun = w.clock.Now()
	w.linkedin.says(tok, "revoked")
	w.linkedin.set(func() { w.linkedin.refresh = "" })
	if _, _, err := w.call(t, http.MethodGet, ""); reasonOf(t, err) != AccessRevoked || !w.clock.Now().Equal(begun) {
		t.Errorf("API call = %v after %v", err, w.clock.Now().Sub(begun))
	}
}

// The process ends before a pair that LinkedIn gave could be stored: it is tried once
// more, and what is lost is told.
func TestWhatCouldNotBeStoredIsTriedOnceMoreAtTheEnd(t *testing.T) {
	for _, recovered := range []bool{true, false} {
		w := newWorld(t, nil)
		w.connect()
		w.clock.Add(61 * day)
		w.store.set(func(m *memory) { m.saveErr = errors.New("away") })
		if _, err := w.AccessToken(t.Context()); err == nil {
			t.Fatal("the renewed token was used before it was durable")
		}
		if recovered {
			w.store.set(func(m *memory) { m.saveErr = nil })
		}
		w.Close()
		if got := w.store.token().Refresh == w.linkedin.refresh; got != recovered {
			t.Errorf("stored at the end: %v, want %v", got, recovered)
		}
		if told := strings.Contains(w.log.String(), "could not be stored and ends with the process"); told == recovered {
			t.Errorf("told of a loss: %v, want %v", told, !recovered)
		}
	}
}

// A token that the API refused was renewed and could not be stored, and then turns
// out to be good: LinkedIn takes only the new refresh token, which a restart must not
// lose, and the old pair is not due for weeks.
func TestARenewedPairThatCouldNotBeStoredIsStoredOnceItCan(t *testing.T) {
	w := newBeating(t, nil)
	old := w.connect()
	w.linkedin.set(func() { w.linkedin.lag[old.Access] = 1 })
	w.clock.Add(time.Hour)
	w.store.set(func(m *memory) { m.saveErr = errors.New("no space left on device") })
	if _, err := w.get(t); err == nil {
		t.Fatal("the renewed token was used before it was durable")
	}
	w.store.set(func(m *memory) { m.saveErr = nil })
	for range 6 {
		w.clock.Add(time.Minute)
		if _, err := w.AccessToken(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if held := w.store.token(); held.Refresh == old.Refresh || held.Refresh != w.linkedin.refresh {
		t.Errorf("stored: %v renewed %v, want the pair that LinkedIn gave last", held, held.Renewed())
	}
	if n := w.linkedin.count(tokenPath); n != 1 {
		t.Errorf("renewals = %d, want the one", n)
	}
}
