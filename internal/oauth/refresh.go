package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
)

// refresh gives a durable token other than old: one that is there already,
// else a renewal at LinkedIn, of which there is one however many callers ask.
func (s *Session) refresh(ctx context.Context, old Token) (Token, error) {
	for {
		t, err := s.renewing.do(ctx, func(ctx context.Context) (Token, error) {
			ctx, cancel := context.WithTimeout(ctx, exchangeTime)
			defer cancel()
			t, err := s.refreshOnce(ctx, old)
			if err != nil {
				s.postpone(old, err)
			}
			return t, err
		})
		if err != nil || t.Access != old.Access {
			return t, err
		} // the run that was joined made just the token that has to go
	}
}

func (s *Session) refreshOnce(ctx context.Context, old Token) (Token, error) {
	held, err := s.reload(ctx)
	if err != nil || held.Access != old.Access {
		return held, err
	}
	s.mu.Lock()
	pending := s.pending
	s.mu.Unlock()
	if !pending.IsZero() && pending.Supersedes(old) {
		return s.keep(ctx, pending) // old's refresh token may be gone at LinkedIn
	}
	if old.Refresh == "" {
		return Token{}, &ConsentNeededError{Reason: s.deathOf(old)}
	}
	if known := s.justRefused(old); known != nil {
		return Token{}, known
	}
	if known := s.appHeld(); known != nil {
		return Token{}, known
	}
	t, err := s.renewAndKeep(ctx, old)
	var refused *refusedError
	if errors.As(err, &refused) {
		return s.refusedBy(ctx, old, refused)
	}
	return t, err
}

// renewAndKeep asks LinkedIn only once it is sure, as far as that can be, that what
// it gives can be stored: the refresh token it takes may be gone then.
func (s *Session) renewAndKeep(ctx context.Context, old Token) (Token, error) {
	if s.opts.ReadOnly {
		return Token{}, ErrNotRenewed
	}
	reserving, cancel := context.WithTimeout(ctx, reserveTime)
	defer cancel()
	release, err := s.reserve(reserving)
	if err != nil {
		return Token{}, err
	}
	defer release()
	if held, err := s.reload(ctx); err != nil || held.Access != old.Access {
		return held, err // another process had the turn
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) < requestTime {
		return Token{}, fmt.Errorf("refreshing the access token: reading the store has left no time for it: %w", context.DeadlineExceeded)
	}
	next, err := s.renew(ctx, old)
	if s.noteExchange(err) {
		s.wake(ctx)
	}
	if err != nil {
		return Token{}, err
	}
	return s.keep(ctx, next)
}

// keep makes a renewed token durable and only then hands it out. Until that
// has worked it stays pending, and the next caller tries to store it again.
func (s *Session) keep(ctx context.Context, t Token) (Token, error) {
	s.mu.Lock()
	s.pending = t
	s.mu.Unlock()
	err := s.noteStoring(s.opts.Store.Save(ctx, t))
	if err != nil && !errors.Is(err, ErrSuperseded) {
		return Token{}, fmt.Errorf("storing the renewed token, which is not used before: %w", err)
	}
	s.mu.Lock()
	s.pending = Token{}
	s.mu.Unlock()
	if err != nil {
		return s.reload(ctx) // a newer consent, or a logout, came first
	}
	s.log.Info("the LinkedIn access token was renewed", zap.Object("token", t))
	return s.adopt(t), nil
}

// lookAgain are the pauses in which a refused renewal looks for the pair that
// another process may just be storing: of two that renew at the same time
// LinkedIn refuses the second, when it rotates refresh tokens.
var lookAgain = [...]time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second}

// refusedBy settles a refusal: when another process has renewed the token
// meanwhile its token is used, else consent is needed.
func (s *Session) refusedBy(ctx context.Context, old Token, refused *refusedError) (Token, error) {
	reason := RefreshRefused
	switch {
	case s.deathOf(old) == AccessRevoked:
		reason = AccessRevoked
	case !s.now().Before(old.RefreshExpiresAt): // LinkedIn's refusal is the same for expired and revoked
		reason = RefreshExpired
	}
	held, err := s.reload(ctx)
	for _, pause := range lookAgain {
		if err != nil || held.Access != old.Access {
			return held, err
		}
		if reason != RefreshRefused || s.sleep(ctx, pause) != nil { // it has a reason of its own, or the time is up
			break
		}
		held, err = s.reload(ctx)
	}
	if err != nil || held.Access != old.Access {
		return held, err
	}
	needed := &ConsentNeededError{Reason: reason, Detail: refused.detail()}
	s.mu.Lock()
	s.refused = refusal{refresh: old.Refresh, at: s.now(), err: needed}
	s.mu.Unlock()
	s.noteRefusal(ctx, old)
	s.wake(ctx)
	return Token{}, needed
}

// noteRefusal keeps the refusal with the token, for commands and processes that
// did not see it. A pair that took the token's place meanwhile stays.
func (s *Session) noteRefusal(ctx context.Context, t Token) {
	s.mu.Lock()
	t.Refused = Refusal{At: s.refused.at, Reason: s.refused.err.Reason, Detail: s.refused.err.Detail}
	s.mu.Unlock()
	if err := s.opts.Store.Save(ctx, t); err != nil && !errors.Is(err, ErrSuperseded) {
		s.log.Warn("LinkedIn's refusal to renew the token could not be kept with it", zap.Error(err),
			zap.String("todo", "consent again, which is needed in any case; see that the tokens can be stored"))
	}
}

// refusalOf is LinkedIn's refusal of the token's refresh part, else nil. It
// stands until a renewal works; asked again LinkedIn may be before.
func (s *Session) refusalOf(t Token) *ConsentNeededError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Refresh == "" || s.refused.refresh != t.Refresh {
		return nil
	}
	return s.refused.err
}

// justRefused is refusalOf while LinkedIn need not be asked again.
func (s *Session) justRefused(t Token) *ConsentNeededError {
	known := s.refusalOf(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Sub(s.refused.at) >= refusalHolds {
		return nil
	}
	return known
}

// postpone notes a failed renewal. While the old token still works nobody
// returns the error, so it is logged here, once, and the next attempt waits: a
// tenth of what is left, up to 5 minutes, or an hour where a person must act.
func (s *Session) postpone(old Token, cause error) {
	if !s.alive(old) || errors.Is(cause, ErrNoToken) { // then the callers get the error
		return
	}
	wait, level := 5*time.Minute, zap.WarnLevel
	var app *AppRefusedError
	if errors.Is(cause, ErrConsentNeeded) || errors.As(cause, &app) {
		wait = time.Hour
	}
	if errors.Is(cause, ErrConsentNeeded) { // of the app's credentials the heartbeat tells
		level = zap.ErrorLevel
	}
	if !old.AccessExpiresAt.IsZero() {
		wait = max(time.Second, min(wait, old.AccessExpiresAt.Sub(s.now())/10))
	}
	s.mu.Lock()
	if !s.retryAt.IsZero() {
		level = zap.DebugLevel // it was said
	}
	s.retryAt = s.now().Add(wait)
	s.mu.Unlock()
	s.log.Log(level, "renewing the LinkedIn access token ahead of its end did not work, it is used until then",
		zap.Time("access_expires_at", old.AccessExpiresAt), zap.Duration("retry_in", wait), zap.Error(cause),
		zap.String("todo", cmp.Or(fault.TodoOf(cause), "nothing for now: it is tried again")))
}
