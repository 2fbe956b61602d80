package oauth

import (
	"cmp"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/fault"
)

// bearerOnly gives the world a token that cannot be renewed and that was issued
// age ago.
func (w *world) bearerOnly(age time.Duration) Token {
	tok := w.connect()
	at := w.now().Add(-age)
	tok.Refresh, tok.RefreshExpiresAt = "", time.Time{}
	tok.AuthorizedAt, tok.ObtainedAt, tok.AccessExpiresAt = at, at, at.Add(60*day)
	w.store.set(func(m *memory) { m.held = tok })
	return tok
}

// says has introspection and the API take a token for what status is.
func (p *provider) says(tok Token, status string) {
	p.set(func() { p.status[tok.Access] = status })
}

// LinkedIn may need longer than the first pauses to know a token everywhere.
func TestFreshTokenIsNotDeadBeforeLinkedInMustKnowIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeating(t, func(o *Options) { o.Now = nil })
		tok := b.bearerOnly(0)
		b.linkedin.says(tok, "revoked")
		time.AfterFunc(20*time.Second, func() { b.linkedin.says(tok, "active") })
		if status, err := b.get(t); status != http.StatusOK || err != nil {
			t.Errorf("API call = %d, %v; want its answer", status, err)
		}
		if n := b.linkedin.count(introspectPath); n != 0 {
			t.Errorf("introspections = %d, want none before the token is %v old", n, freshFor)
		}
	})
}

// A verdict is LinkedIn's last word, not the last word of all: a token that it
// calls active again is used again, without a restart and without a consent.
func TestTokenThatLinkedInCallsActiveAgainIsUsedAgain(t *testing.T) {
	tests := []struct {
		name   string
		age    time.Duration // of the token
		status string        // of the wrong verdict
	}{
		{"a fresh one that was not known for long", 0, "revoked"},
		{"not known for a moment", 30 * day, ""},
		{"revoked for a moment", 30 * day, "revoked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBeating(t, func(o *Options) { o.Now = nil })
				tok := b.bearerOnly(tt.age)
				b.linkedin.says(tok, tt.status)
				if _, err := b.get(t); !errors.Is(err, ErrConsentNeeded) {
					t.Fatalf("API call with a token that LinkedIn does not take = %v", err)
				}
				b.Check(t.Context())
				b.needsPerson(t, "meanwhile", map[string]string{"": string(AccessUnknown), "revoked": string(AccessRevoked)}[tt.status])
				b.linkedin.says(tok, "active")
				time.Sleep(problemEvery)
				b.look(t.Context())
				b.works(t, "a minute later")
				if status, err := b.get(t); status != http.StatusOK || err != nil {
					t.Errorf("API call = %d, %v; want its answer", status, err)
				}
				if b.regained != 1 || b.lines("works again") != 1 {
					t.Errorf("the work was told %d times to go on, the log %d times", b.regained, b.lines("works again"))
				}
			})
		})
	}
}

// An outage leaves the verdict as it was, however long it takes and whatever of
// LinkedIn fails.
func TestOutageDoesNotBringADeadConnectionBackToLife(t *testing.T) {
	bearer := func(tok Token) Token {
		tok.Refresh, tok.RefreshExpiresAt = "", time.Time{}
		return tok
	}
	dies := func(status string) func(*beating, Token) {
		return func(b *beating, tok Token) {
			b.linkedin.says(tok, status)
			b.linkedin.set(func() { b.linkedin.refresh = "" })
		}
	}
	everything := []string{introspectPath, tokenPath}
	tests := []struct {
		name    string
		store   func(Token) Token
		dies    func(*beating, Token)
		fails   []string // paths that answer 503
		problem string
	}{
		{"revoked", nil, dies("revoked"), everything, string(AccessRevoked)},
		{"revoked, no refresh token", bearer, dies("revoked"), everything, string(AccessRevoked)},
		{"not known", bearer, dies(""), everything, string(AccessUnknown)},
		{"expired, refresh refused", nil, dies("expired"), everything, string(RefreshRefused)},
		{"expired, refresh refused, then only renewing fails", nil, dies("expired"), []string{tokenPath}, string(RefreshRefused)},
		{"revoked, then only renewing fails", nil, dies("revoked"), []string{tokenPath}, string(AccessRevoked)},
		{"scopes missing", nil, func(b *beating, _ Token) {
			b.linkedin.override(introspectPath, func(w http.ResponseWriter, _ *http.Request) {
				writeJSON(w, map[string]any{"active": true, "status": "active", "scope": "r_events"})
			})
		}, everything, string(ScopesMissing)},
		{"wrong app secret", nil, func(b *beating, _ Token) { b.wrongSecret() }, everything, "LinkedIn refused the app's credentials"},
	}
	away := fault.As(fault.Retry, errors.New("no route to LinkedIn"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBeating(t, nil)
			tok := b.connect()
			if tt.store != nil {
				tok = tt.store(tok)
				b.store.set(func(m *memory) { m.held = tok })
			}
			b.after(t, 2*time.Hour)
			tt.dies(b, tok)
			b.after(t, 16*time.Minute)
			b.needsPerson(t, "before", tt.problem)
			told, regained := b.lines("needs a person"), b.regained

			for _, path := range tt.fails {
				b.refuses(path, http.StatusServiceUnavailable)
			}
			b.answers["me"], b.answers["organizationAcls"] = away, away
			for range 20 {
				b.after(t, time.Minute)
				b.needsPerson(t, "during the outage", tt.problem)
			}
			if b.Health().Unchecked == nil || b.Health().Note == "" {
				t.Errorf("the health does not say that LinkedIn cannot be asked: %+v", b.Health())
			}
			if n := b.lines("needs a person"); n != told || b.lines("works again") != 0 || b.regained != regained {
				t.Errorf("told %d times more, regained %d times: %s", n-told, b.regained-regained, b.world.log)
			}
		})
	}
}

// Renewing the token does not bring scopes back: that it is under way is no
// reason to call the connection usable for a moment.
func TestRenewalOfATokenWithoutScopesIsNoNews(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.connect()
	status := map[string]string{tok.Access: "expired"}
	b.linkedin.override(introspectPath, func(w http.ResponseWriter, r *http.Request) {
		s := cmp.Or(status[r.FormValue("token")], "active")
		writeJSON(w, map[string]any{"active": s == "active", "status": s, "scope": "r_events"})
	})
	b.after(t, 15*time.Minute)
	b.needsPerson(t, "afterwards", string(ScopesMissing))
	if n := b.linkedin.count(tokenPath); n != 1 || b.lines("works again") != 0 || b.lines("needs a person") != 1 || b.regained != 0 {
		t.Errorf("renewals = %d, regained %d times: %s", n, b.regained, b.world.log)
	}
}

// While introspection is away the API's own answer counts: it withdraws the
// verdict on the token, and leaves alone what was known of its scopes.
func TestAPIThatTakesTheTokenWithdrawsAVerdictDuringAnOutage(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.bearerOnly(time.Hour)
	b.linkedin.says(tok, "revoked")
	b.after(t, time.Minute)
	b.needsPerson(t, "before", string(AccessRevoked))
	b.refuses(introspectPath, http.StatusServiceUnavailable)
	b.after(t, problemEvery)
	b.works(t, "when the API takes it")

	b = newBeating(t, nil)
	b.connect()
	b.linkedin.override(introspectPath, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"active": true, "status": "active", "scope": "r_events"})
	})
	b.after(t, time.Minute)
	b.refuses(introspectPath, http.StatusServiceUnavailable)
	b.after(t, problemEvery)
	b.needsPerson(t, "when the API takes it", string(ScopesMissing))
}

// While every request ends in "consent needed" the heartbeat does not call the
// connection usable, whatever introspection says. The renewals that are tried
// meanwhile are no news.
func TestTokenThatTheAPIRefusesIsNotCalledUsable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := runBeating(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		regained := b.regained
		b.linkedin.override("/rest/x", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401, "INVALID_ACCESS_TOKEN", "no") })
		polls := func(minutes int) {
			for range minutes {
				if status, err := b.get(t); err == nil {
					t.Errorf("API call = %d", status)
				}
				time.Sleep(time.Minute)
			}
		}
		polls(1)
		time.Sleep(3 * time.Minute) // nobody asks: the heartbeat looks by itself
		b.needsPerson(t, "within five minutes", string(AccessRefused))
		polls(25)
		synctest.Wait()
		b.needsPerson(t, "for as long as it lasts", string(AccessRefused))
		if n := b.lines("needs a person"); n != 1 || b.lines("works again") != 0 || b.regained != regained {
			t.Errorf("told %d times, regained %d times: %s", n, b.regained-regained, b.world.log)
		}
		b.refuses(introspectPath, http.StatusServiceUnavailable)
		polls(5)
		b.needsPerson(t, "while introspection is away", string(AccessRefused))
		b.linkedin.set(func() { clear(b.linkedin.overrides) })
		if status, err := b.get(t); status != http.StatusOK || err != nil {
			t.Errorf("API call = %d, %v", status, err)
		}
		time.Sleep(2 * time.Minute)
		b.works(t, "once the API takes it")
	})
}

// One resource that refuses the token, while others take it, is not the
// connection.
func TestOneResourceThatRefusesTheTokenIsNotTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := runBeating(t)
		b.linkedin.override("/rest/x", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401, "INVALID_ACCESS_TOKEN", "no") })
		for range 30 {
			if _, err := b.get(t); !errors.Is(err, ErrConsentNeeded) {
				t.Errorf("API call = %v", err)
			}
			time.Sleep(2 * wakeEvery)
			b.works(t, "once the heartbeat has looked")
			if status, err := b.request(t.Context(), "/rest/y"); status != http.StatusOK || err != nil {
				t.Errorf("another API call = %d, %v", status, err)
			}
			time.Sleep(time.Minute)
			b.works(t, "meanwhile")
		}
	})
}

// A command that looks just after the consent of another one says what the
// heartbeat would.
func TestStatusDoesNotCallAFreshTokenDead(t *testing.T) {
	for _, status := range []string{"revoked", ""} {
		w := newWorld(t, nil)
		tok := w.connect()
		w.linkedin.says(tok, status)
		w.clock.Add(2 * time.Second)
		if st, err := w.Status(t.Context()); err != nil || !st.Usable || !st.Fresh || st.Note == "" {
			t.Errorf("2 s after the consent: %+v, %v", st, err)
		}
		w.clock.Add(freshFor)
		if st, err := w.Status(t.Context()); err != nil || st.Usable || st.Fresh || st.Problem == "" {
			t.Errorf("after the lag: %+v, %v", st, err)
		}
	}
}

// ObtainedAt is by the clock of the machine that was given the token. Whether a
// token is fresh must not depend on how far that one is off ours.
func TestFreshIsMeasuredByOneClock(t *testing.T) {
	for _, off := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		b := newBeating(t, nil)
		b.connect()
		b.after(t, time.Hour)
		tok := b.bearerOnly(-off) // of another machine's consent
		b.linkedin.says(tok, "revoked")
		b.after(t, lookEvery)
		b.works(t, "just issued")
		b.after(t, freshFor+wakeEvery)
		b.needsPerson(t, "after the lag", string(AccessRevoked))
	}
	// A process that starts sees no token come: a time to come is no issue time.
	b := newBeating(t, nil)
	tok := b.bearerOnly(-10 * time.Minute)
	b.linkedin.says(tok, "revoked")
	b.after(t, freshFor+wakeEvery)
	b.needsPerson(t, "after the lag", string(AccessRevoked))
}
