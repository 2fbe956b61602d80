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
		t, err := s.once(ctx, renewing, func(ctx context.Context) (Token, error) {
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
		} // the flight that was joined gave just the token that has to go
	}
}

func (s *Session) refreshOnce(ctx context.Context, old Token) (Token, error) {
	c, err := s.reload(ctx)
	if err != nil || c.token.Access != old.Access {
		return c.token, err
	}
	if c.hasUnsaved() {
		return s.save(ctx, c.unsaved) // LinkedIn may have taken the refresh token of old back
	}
	if old.Refresh == "" {
		return Token{}, &ConsentNeededError{Reason: c.deathReason()}
	}
	if err := c.mayRenew(); err != nil {
		return Token{}, err
	}
	t, err := s.renewAndSave(ctx, old)
	var refused *refusedError
	if errors.As(err, &refused) {
		return s.refusedBy(ctx, old, refused)
	}
	return t, err
}

// renewAndSave asks LinkedIn only once it is sure, as far as that can be, that the
// new pair can be saved: LinkedIn may take the old refresh token back.
func (s *Session) renewAndSave(ctx context.Context, old Token) (Token, error) {
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
	if c, err := s.reload(ctx); err != nil || c.token.Access != old.Access {
		return c.token, err // another process had its turn
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) < requestTime {
		return Token{}, fmt.Errorf("refreshing the access token: reading the store has left no time for it: %w", context.DeadlineExceeded)
	}
	next, err := s.renew(ctx, old)
	s.answered(ctx, exchangeAnswered{err})
	if err != nil {
		return Token{}, err
	}
	s.apply(tokenIssued{next})
	return s.save(ctx, next)
}

// save makes a renewed token durable and only then hands it out. Until that works
// the token stays unsaved, and the next caller tries again.
func (s *Session) save(ctx context.Context, t Token) (Token, error) {
	err := s.opts.Store.Save(ctx, t)
	s.apply(storeTried{err})
	switch {
	case errors.Is(err, ErrSuperseded): // a newer consent, or a logout, came first
		s.apply(saveSuperseded{})
		c, err := s.reload(ctx)
		return c.token, err
	case err != nil:
		return Token{}, fmt.Errorf("storing the renewed token, which is not used before: %w", err)
	}
	s.log.Info("the LinkedIn access token was renewed", zap.Object("token", t))
	return s.adopt(t).token, nil
}

// lookAgain are the pauses in which a refused renewal looks for the pair that
// another process may just be saving: of two that renew at the same time LinkedIn
// refuses the second, when it rotates refresh tokens.
var lookAgain = [...]time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second}

// refusedBy settles a refusal: when another process has renewed the token
// meanwhile its token is used, else consent is needed.
func (s *Session) refusedBy(ctx context.Context, old Token, refused *refusedError) (Token, error) {
	reason := RefreshRefused
	switch c := s.view().of(old); {
	case c.deathReason() == AccessRevoked:
		reason = AccessRevoked
	case !c.now.Before(old.RefreshExpiresAt): // LinkedIn's refusal is the same for expired and revoked
		reason = RefreshExpired
	}
	c, err := s.reload(ctx)
	for _, pause := range lookAgain {
		if err != nil || c.token.Access != old.Access {
			return c.token, err
		}
		if reason != RefreshRefused || s.sleep(ctx, pause) != nil { // no other process explains it, or the time is up
			break
		}
		c, err = s.reload(ctx)
	}
	if err != nil || c.token.Access != old.Access {
		return c.token, err
	}
	return Token{}, s.noteRefusal(ctx, old, &ConsentNeededError{Reason: reason, Detail: refused.detail()})
}

// noteRefusal stores the refusal with the token, for commands and processes that
// did not see it. A pair that took the token's place meanwhile stays.
func (s *Session) noteRefusal(ctx context.Context, t Token, why *ConsentNeededError) error {
	t.Refused = Refusal{At: s.now(), Reason: why.Reason, Detail: why.Detail}
	s.apply(refreshRefused{t})
	if err := s.opts.Store.Save(ctx, t); err != nil && !errors.Is(err, ErrSuperseded) {
		s.log.Warn("LinkedIn's refusal to renew the token could not be kept with it", zap.Error(err),
			zap.String("todo", "consent again, which is needed in any case; see that the tokens can be stored"))
	}
	s.wake(ctx)
	return why
}

// postpone has the next attempt to renew a token wait while the token still works.
// Then nobody returns the error, so it is logged here, once.
func (s *Session) postpone(old Token, cause error) {
	before, after := s.apply(renewalFailed{old, cause})
	if !before.of(old).phase().usable() || errors.Is(cause, ErrNoToken) { // the callers get the error
		return
	}
	level := zap.WarnLevel
	switch {
	case !before.renewAt.IsZero():
		level = zap.DebugLevel // it was logged
	case errors.Is(cause, ErrConsentNeeded): // the heartbeat reports a refused app
		level = zap.ErrorLevel
	}
	s.log.Log(level, "renewing the LinkedIn access token ahead of its end did not work, it is used until then",
		zap.Time("access_expires_at", old.AccessExpiresAt), zap.Duration("retry_in", after.renewAt.Sub(after.now)), zap.Error(cause),
		zap.String("todo", cmp.Or(fault.TodoOf(cause), "nothing for now: it is tried again")))
}

// endedContext reports an error of a context that ended.
func endedContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
