package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/fault"
)

// beating is a world with a heartbeat over it, which the test makes look.
type beating struct {
	*world
	*Heartbeat
	regained int
	answers  map[string]error // of the fallbacks
	asked    []string
}

const statusPage = "http://localhost:8480/"

func newBeating(t *testing.T, change func(*Options)) *beating {
	t.Helper()
	b := &beating{world: newWorld(t, change), answers: map[string]error{}}
	fallback := func(name string) Fallback {
		return Fallback{Name: name, Ask: func(context.Context) error {
			b.asked = append(b.asked, name)
			return b.answers[name]
		}}
	}
	b.Heartbeat = NewHeartbeat(b.Session, HeartbeatOptions{
		Every: 15 * time.Minute, Fallbacks: []Fallback{fallback("me"), fallback("organizationAcls")},
		Page: statusPage, Regained: func() { b.regained++ }, Log: b.Session.log,
	})
	return b
}

// after lets time pass and has the heartbeat look as Run would.
func (b *beating) after(t *testing.T, d time.Duration) Health {
	t.Helper()
	for end := b.clock.Now().Add(d); ; {
		step := min(b.wait(), end.Sub(b.clock.Now()))
		b.clock.Add(step)
		select {
		case <-b.Session.wakeup:
			b.hurry()
		default:
		}
		b.look(t.Context())
		if !b.clock.Now().Before(end) {
			return b.Health()
		}
		if b.wait() <= 0 {
			t.Fatal("the heartbeat does not rest")
		}
	}
}

// refuses has LinkedIn answer a path with a status.
func (b *beating) refuses(path string, status int) {
	b.linkedin.override(path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

// lines counts the log's lines that hold all of the words.
func (b *beating) lines(words ...string) int {
	n := 0
	for line := range strings.Lines(b.world.log.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			n++
		}
	}
	return n
}

func (b *beating) works(t *testing.T, when string) {
	t.Helper()
	if p := b.Health(); !p.Known || !p.Usable || p.Problem != "" || p.Todo != "" {
		t.Errorf("%s: %+v, want it usable", when, p.Status)
	}
}

func (b *beating) needsPerson(t *testing.T, when, problem string) {
	t.Helper()
	if p := b.Health(); !p.Known || p.Usable || !strings.HasPrefix(p.Problem, problem) || p.Todo == "" {
		t.Errorf("%s: usable %v, problem %q, todo %q; want %q", when, p.Usable, p.Problem, p.Todo, problem)
	}
	if b.lines(`"level":"error"`, "needs a person", problem, statusPage) == 0 {
		t.Errorf("%s: the log does not say %q and name the page: %s", when, problem, b.world.log)
	}
}

func TestHeartbeatAsksLinkedInAtItsPace(t *testing.T) {
	b := newBeating(t, nil)
	b.connect()
	if p := b.after(t, 0); p.CheckedAt != begin || p.CheckedBy != "introspectToken" {
		t.Errorf("checked at %v by %q", p.CheckedAt, p.CheckedBy)
	}
	b.works(t, "at the start")
	b.after(t, time.Hour)
	if n := b.linkedin.count(introspectPath); n != 5 {
		t.Errorf("LinkedIn was asked %d times in an hour, want 1 + 4", n)
	}
	if p := b.Health(); p.CheckedAt != begin.Add(time.Hour) {
		t.Errorf("checked at %v", p.CheckedAt)
	}
	if n := b.linkedin.count(tokenPath); n != 0 {
		t.Errorf("renewals = %d, want 0", n)
	}
}

// Each way in which a token dies is told apart, and what to do about it.
func TestHeartbeatTellsWhatAPersonMustDo(t *testing.T) {
	dead := func(status string) func(*beating, Token) {
		return func(b *beating, tok Token) {
			b.linkedin.set(func() { b.linkedin.status[tok.Access], b.linkedin.refresh = status, "" })
		}
	}
	tests := []struct {
		name    string
		store   func(Token) Token
		dies    func(*beating, Token)
		problem string // empty: nobody notices
	}{
		{"expired", nil, func(b *beating, tok Token) { b.linkedin.set(func() { b.linkedin.status[tok.Access] = "expired" }) }, ""},
		{"revoked, the refresh token not", nil, func(b *beating, tok Token) { b.linkedin.set(func() { b.linkedin.status[tok.Access] = "revoked" }) }, ""},
		{"revoked", nil, dead("revoked"), string(AccessRevoked)},
		{"not known", nil, dead(""), string(AccessUnknown)},
		{"expired, refresh refused", nil, dead("expired"), string(RefreshRefused)},
		{"expired, refresh token expired", func(tok Token) Token {
			tok.RefreshExpiresAt = begin.Add(time.Hour)
			return tok
		}, dead("expired"), string(RefreshExpired)},
		{"expired, no refresh token", func(tok Token) Token {
			tok.Refresh, tok.RefreshExpiresAt = "", time.Time{}
			return tok
		}, dead("expired"), string(AccessExpired)},
		{"removed", nil, func(b *beating, _ Token) { b.store.set(func(m *memory) { m.held = Token{} }) }, string(NoToken)},
		{"wrong app secret", nil, func(b *beating, _ Token) {
			b.linkedin.override(introspectPath, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401, "invalid_client", planted) })
		}, "LinkedIn refused the app's credentials"},
		{"scopes missing", nil, func(b *beating, _ Token) {
			b.linkedin.override(introspectPath, func(w http.ResponseWriter, _ *http.Request) {
				writeJSON(w, map[string]any{"active": true, "status": "active", "scope": "r_events"})
			})
		}, string(ScopesMissing) + ": r_marketing_leadgen_automation, r_organization_admin"},
	}
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
			if tt.problem == "" {
				b.works(t, "after it died")
				if n := b.linkedin.count(tokenPath); n != 1 || b.lines(`"level":"error"`)+b.lines(`"level":"warn"`) > 0 {
					t.Errorf("renewals = %d; want one, and nobody told: %s", n, b.world.log)
				}
				return
			}
			b.needsPerson(t, "after it died", tt.problem)

			// A person consents, whichever process takes the answer.
			before := b.regained
			b.linkedin.set(func() { clear(b.linkedin.overrides) })
			b.connect()
			b.after(t, lookEvery)
			b.works(t, "after the consent")
			if b.regained != before+1 || b.lines("works again") != 1 {
				t.Errorf("regained %d times, told %d times, want once", b.regained-before, b.lines("works again"))
			}
		})
	}
}

// A refused request is looked into at once, however rare the checks are.
func TestHeartbeatLooksAtOnceWhenARequestIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, tok := runBeating(t)
		time.Sleep(time.Minute)
		b.works(t, "before")
		b.linkedin.set(func() { b.linkedin.status[tok.Access], b.linkedin.refresh = "revoked", "" })
		if resp, err := b.get(t); !errors.Is(err, ErrConsentNeeded) {
			t.Errorf("API call = %v, %v", resp, err)
		}
		synctest.Wait()
		b.needsPerson(t, "at once", string(AccessRevoked))
	})
}

// runBeating is a heartbeat that runs until the test ends, on the bubble's clock,
// over a token of an hour ago. Fallbacks take the place of its usual ones.
func runBeating(t *testing.T, fallbacks ...Fallback) (*beating, Token) {
	t.Helper()
	b := newBeating(t, func(o *Options) { o.Now = nil })
	now := time.Now()
	tok := b.connect()
	tok.AuthorizedAt, tok.ObtainedAt = now.Add(-time.Hour), now.Add(-time.Hour)
	tok.AccessExpiresAt, tok.RefreshExpiresAt = now.Add(59*day), now.Add(364*day)
	b.store.set(func(m *memory) { m.held = tok })
	if len(fallbacks) > 0 {
		b.opts.Fallbacks = fallbacks
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		b.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return b, tok
}

// get makes one request of the API.
func (b *beating) get(t *testing.T) (int, error) {
	t.Helper()
	return b.request(t.Context(), "/rest/x")
}

func (b *beating) request(ctx context.Context, path string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://linkedin.test"+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Client{Transport: b.Session.Transport(inProcess{b.linkedin})}).Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// A 403 may mean that a scope is gone.
func TestHeartbeatIsWokenByRefusalsButNotTooOften(t *testing.T) {
	b := newBeating(t, nil)
	b.connect()
	b.after(t, time.Minute)
	b.refuses("/rest/x", http.StatusForbidden)
	for range 100 {
		if status, err := b.get(t); status != http.StatusForbidden || err != nil {
			t.Fatalf("API call = %d, %v", status, err)
		}
		b.after(t, 100*time.Millisecond)
	}
	if n := b.linkedin.count(introspectPath); n < 3 || n > 4 {
		t.Errorf("LinkedIn was asked %d times in 10 s, want once in 5 s", n-1)
	}
}

// LinkedIn refuses most tokens /me, which proves that it takes them. While the
// heartbeat has to ask there, that 403 must not set off its next check.
func TestTheFallbacksOwn403DoesNotWakeTheHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const mePath = "/v2/me"
		var b *beating
		b, _ = runBeating(t, Fallback{Name: "me", Ask: func(ctx context.Context) error {
			status, err := b.request(ctx, mePath)
			if err == nil && status != http.StatusForbidden {
				err = fmt.Errorf("status %d", status)
			}
			return err
		}})
		time.Sleep(time.Minute)
		b.refuses(introspectPath, http.StatusServiceUnavailable)
		b.refuses(mePath, http.StatusForbidden)
		time.Sleep(time.Hour)
		if n := b.linkedin.count(mePath); n != 4 {
			t.Errorf("/me was asked %d times in an hour, want every 15 minutes", n)
		}
		if p := b.Health(); !p.Usable || p.CheckedBy != "me" {
			t.Errorf("checked by %q: %+v", p.CheckedBy, p.Status)
		}
	})
}

// A failure of LinkedIn is never taken for a dead token.
func TestLinkedInsOwnFaultLeavesTheConnectionUsable(t *testing.T) {
	away := fault.As(fault.Retry, errors.New("me is away"))
	tests := []struct {
		name      string
		me, roles error
		by        string
		asked     int
		unchecked bool
	}{
		{"the member's name is there", nil, away, "me", 1, false},
		{"roles are there", away, nil, "organizationAcls", 2, false},
		{"nothing is there", away, away, "introspectToken", 2, true}, // by the check before
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBeating(t, nil)
			b.connect()
			b.after(t, 0)
			b.answers["me"], b.answers["organizationAcls"] = tt.me, tt.roles
			b.refuses(introspectPath, 503)
			p := b.after(t, 15*time.Minute)
			b.works(t, "while introspection fails")
			if p.CheckedBy != tt.by || len(b.asked) != tt.asked || (p.Unchecked != nil) != tt.unchecked || (p.Note != "") != tt.unchecked {
				t.Errorf("checked by %q, asked %v, unchecked %v, note %q", p.CheckedBy, b.asked, p.Unchecked, p.Note)
			}
			if tt.unchecked {
				// Until LinkedIn answers it is asked more often, and that is said once.
				b.after(t, 2*time.Minute)
				if n := b.linkedin.count(introspectPath); n < 4 || n > 6 || b.lines("could not be asked") != 1 {
					t.Errorf("asked %d times, told %d times", n, b.lines("could not be asked"))
				}
				noSecret(t, "the reason", fmt.Sprint(p.Unchecked))
			}
			b.linkedin.override(introspectPath, nil)
			b.after(t, 15*time.Minute)
			if p := b.Health(); p.CheckedBy != "introspectToken" || p.Unchecked != nil || p.Note != "" {
				t.Errorf("afterwards: %+v", p)
			}
			if b.lines("needs a person")+b.lines(`"level":"error"`) > 0 || b.regained != 1 { // at the start
				t.Errorf("regained %d times: %s", b.regained, b.world.log)
			}
		})
	}
}

func TestFallbacksTellADeadTokenAndAWrongSecret(t *testing.T) {
	for problem, err := range map[string]error{
		string(RefreshRefused):                   &ConsentNeededError{Reason: RefreshRefused},
		"LinkedIn refused the app's credentials": &AppRefusedError{Status: 401},
	} {
		b := newBeating(t, nil)
		b.connect()
		b.after(t, 0)
		b.refuses(introspectPath, 503)
		b.answers["me"] = fmt.Errorf("asking: %w", err)
		b.after(t, 15*time.Minute)
		b.needsPerson(t, "by the API", problem)
	}
}

// An answer that LinkedIn gives of a token which parts of it do not know yet is
// not believed.
func TestFreshTokenIsNotCalledDead(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.connect()
	b.linkedin.set(func() { b.linkedin.status[tok.Access] = "revoked" })
	b.after(t, 20*time.Second)
	b.works(t, "within the lag")
	if n := b.linkedin.count(tokenPath); n != 0 || b.lines(`"level":"error"`) > 0 {
		t.Errorf("renewals = %d: %s", n, b.world.log)
	}
	b.linkedin.set(func() { b.linkedin.status[tok.Access] = "active" })
	b.after(t, 20*time.Second)
	if p := b.Health(); !p.Usable || p.Note != "" {
		t.Errorf("after the lag: %+v", p.Status)
	}
}

// What a request has found out, after it outwaited the lag, is believed.
func TestFreshTokenThatARequestFoundDeadIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeating(t, nil)
		tok := b.connect()
		b.after(t, time.Second)
		b.linkedin.set(func() { b.linkedin.status[tok.Access], b.linkedin.refresh = "revoked", "" })
		if status, err := b.get(t); !errors.Is(err, ErrConsentNeeded) {
			t.Errorf("API call = %d, %v", status, err)
		}
		b.after(t, wakeEvery)
		b.needsPerson(t, "at once", string(AccessRevoked))
	})
}

// While requests renew the token the heartbeat only watches, so that several
// processes do not renew it all at once.
func TestHeartbeatLeavesRenewingToWhoUsesTheToken(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.connect()
	b.after(t, time.Minute)
	b.linkedin.set(func() { b.linkedin.status[tok.Access] = "expired" })
	b.Check(t.Context())
	b.works(t, "meanwhile")
	if n := b.linkedin.count(tokenPath); n != 0 || b.Health().Note == "" {
		t.Errorf("renewals = %d at once, note %q", n, b.Health().Note)
	}
	if status, err := b.get(t); status != http.StatusOK || err != nil {
		t.Fatalf("API call = %d, %v", status, err)
	}
	b.after(t, time.Minute)
	b.works(t, "renewed")
	if n := b.linkedin.count(tokenPath); n != 1 || b.Health().Note != "" {
		t.Errorf("renewals = %d, note %q", n, b.Health().Note)
	}
}

func TestRenewalThatFailsForTheMomentIsNoReasonForConsent(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.connect()
	b.after(t, time.Minute)
	b.linkedin.set(func() { b.linkedin.status[tok.Access] = "revoked" })
	b.refuses(tokenPath, 500)
	b.Check(t.Context())
	b.after(t, 2*time.Minute)
	b.works(t, "while LinkedIn fails")
	if b.lines(`"level":"error"`) > 0 {
		t.Errorf("the log: %s", b.world.log)
	}
	b.linkedin.override(tokenPath, nil)
	b.after(t, 15*time.Minute)
	b.works(t, "afterwards")
	if b.store.token().Access == tok.Access {
		t.Error("the token was not renewed")
	}
}

func TestUnreadableStoreIsToldAndTheTokenInMemoryUsedOn(t *testing.T) {
	b := newBeating(t, nil)
	tok := b.connect()
	b.after(t, 0)
	away := fault.As(fault.Retry, errors.New("kafka is away"))
	b.store.set(func(m *memory) { m.loadErr = away })
	b.after(t, time.Hour)
	b.works(t, "while the store is away")
	if got, err := b.AccessToken(t.Context()); err != nil || got != tok.Access {
		t.Errorf("AccessToken = %q, %v; want the token in memory", got, err)
	}
	if n := b.lines("going on with the one in memory"); n != 1 {
		t.Errorf("told %d times, want once: %s", n, b.world.log)
	}
	b.store.set(func(m *memory) { m.loadErr = nil })
	b.after(t, lookEvery)
	if b.lines("can be read again") != 1 {
		t.Errorf("its end was not told: %s", b.world.log)
	}
	b.store.set(func(m *memory) { m.loadErr = &RecordError{Key: "k", Err: ErrPassphrase} })
	b.after(t, 15*time.Minute)
	if p := b.Health(); p.Usable || !strings.Contains(p.Todo, "token.passphrase") || strings.Contains(p.Problem, "token.passphrase") {
		t.Errorf("with another passphrase: %+v", p.Status)
	}
	if b.lines("needs a person") != 1 || b.lines(`"todo": ""`) > 0 || b.lines(`"todo":""`) > 0 {
		t.Errorf("what the problem says to do stands there once, and no empty todo: %s", b.world.log)
	}
}

func TestUnreadableStoreAtTheStartIsNotAMissingConsent(t *testing.T) {
	b := newBeating(t, nil)
	b.store.set(func(m *memory) { m.loadErr = fault.As(fault.Retry, errors.New("kafka is away")) })
	if p := b.after(t, time.Minute); p.Known || !strings.Contains(p.Problem, "kafka is away") || p.Unread == nil {
		t.Errorf("health = %+v, want nothing known and why", p)
	}
	b.store.set(func(m *memory) { m.loadErr = nil })
	b.connect()
	b.after(t, retryFirst)
	b.works(t, "afterwards")
}
