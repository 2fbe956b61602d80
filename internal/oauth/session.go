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

const (
	// reloadEvery is how old the view of the Store may be: a consent made by
	// another process, and a logout, are noticed that soon.
	reloadEvery = 10 * time.Second
	// refusalHolds is how long LinkedIn's refusal of a refresh token is taken
	// as known before it is asked once more.
	refusalHolds = 5 * time.Minute
	// forceEvery separates renewals of a token that LinkedIn's introspection
	// calls good while its API refuses it.
	forceEvery = 10 * time.Minute
)

// refusal is LinkedIn's refusal of a refresh token.
type refusal struct {
	refresh string
	at      time.Time
	err     *ConsentNeededError
}

// AccessToken gives an access token that is durable in the Store and, as far
// as is known, good. It is renewed when a tenth of its life is left (6 days of
// 60), and callers go on with the old one while that does not work. The error
// is a *ConsentNeededError, an *AppRefusedError, an error of the Store, or one
// to retry.
func (s *Session) AccessToken(ctx context.Context) (string, error) {
	t, err := s.usable(ctx)
	return t.Access, err
}

func (s *Session) usable(ctx context.Context) (Token, error) {
	t, err := s.current(ctx)
	if err != nil {
		return Token{}, err
	}
	alive := s.alive(t)
	if alive && !s.due(t) {
		return t, nil
	}
	next, err := s.refresh(ctx, t)
	if err == nil {
		return next, nil
	}
	if !alive || ctx.Err() != nil || errors.Is(err, ErrNoToken) {
		return Token{}, err
	}
	return t, nil // refresh has logged why
}

// alive reports whether t can be used: not expired, not known to be dead.
func (s *Session) alive(t Token) bool {
	if s.condemned(t) {
		return false
	}
	return t.AccessExpiresAt.IsZero() || s.now().Before(t.AccessExpiresAt)
}

// due reports whether t should be renewed ahead of need: a tenth of its life
// is left, the last attempt is long enough ago, and there is something to
// gain. Near the end of the refresh token both end together, and a new access
// token would end then, too. Two things are reasons at any time: a pair that was
// given and could not be stored, whose refresh token goes with the process, and
// that the app was refused, since nothing else shows that it is taken again.
func (s *Session) due(t Token) bool {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.ReadOnly || t.Refresh == "" || now.Before(s.retryAt) {
		return false
	}
	if !s.pending.IsZero() && s.pending.Supersedes(t) {
		return true
	}
	if s.appAtExchange.err != nil && s.appAtExchange.holds(now) == nil {
		return true
	}
	if t.AccessExpiresAt.IsZero() || !t.RefreshExpiresAt.After(t.AccessExpiresAt.Add(time.Second)) {
		return false
	}
	left, life := t.AccessExpiresAt.Sub(now), t.AccessExpiresAt.Sub(t.ObtainedAt)
	return left <= life/10
}

// current is the token held, as the Store had it within reloadEvery. With a
// token in memory one caller at a time looks at the Store, the others go on.
func (s *Session) current(ctx context.Context) (Token, error) {
	s.mu.Lock()
	t, age := s.token, s.now().Sub(s.loadedAt)
	s.mu.Unlock()
	if t.IsZero() {
		return s.reload(ctx)
	}
	if age >= 0 && age < reloadEvery || !s.reading.TryLock() {
		return t, nil
	}
	defer s.reading.Unlock()
	next, err := s.reload(ctx)
	if err != nil && !errors.Is(err, ErrNoToken) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.loadedAt = s.now()
		if !s.unread && ctx.Err() == nil {
			s.unread = true
			s.log.Warn("reading the stored token, going on with the one in memory", zap.Error(err),
				todoField(cmp.Or(fault.TodoOf(err), "see that the place where it is stored can be reached; a restart needs it")))
		}
		return t, nil
	}
	return next, err
}

// reload reads the Store and takes over what it holds.
func (s *Session) reload(ctx context.Context) (Token, error) {
	held, err := s.opts.Store.Load(ctx)
	if errors.Is(err, ErrNoToken) {
		s.forget()
		return Token{}, &ConsentNeededError{Reason: NoToken}
	}
	if err != nil {
		return Token{}, fmt.Errorf("reading the stored token: %w", err)
	}
	s.mu.Lock()
	before := s.token
	s.mu.Unlock()
	t := s.adopt(held)
	switch {
	case before.IsZero():
		s.log.Debug("using the stored LinkedIn token", zap.Object("token", t))
	case !t.Equal(before):
		s.log.Info("using a newer LinkedIn token, stored by another process", zap.Object("token", t))
	}
	return t, nil
}

// adopt takes t over unless memory holds a newer one already, and gives what
// memory holds then. t is durable.
func (s *Session) adopt(t Token) Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	appeared := s.appeared(t)
	s.loadedAt = s.now()
	if s.unread {
		s.unread = false
		s.log.Info("the stored token can be read again")
	}
	if !s.token.IsZero() && !t.Supersedes(s.token) {
		return s.token
	}
	if !t.Equal(s.token) {
		s.retryAt = time.Time{}
	}
	if t.Access != s.token.Access {
		s.newSince = appeared
		s.refused, s.appAtExchange = refusal{}, appRefusal{} // what was refused has worked
	}
	if r := t.Refused; !r.IsZero() && r.At.After(s.refused.at) {
		s.refused = refusal{refresh: t.Refresh, at: r.At, err: &ConsentNeededError{Reason: r.Reason, Detail: r.Detail}}
	}
	s.token = t
	return t
}

// forget drops the token from memory after it was removed from the Store.
func (s *Session) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.token.IsZero() {
		s.log.Info("the LinkedIn token was removed from the store")
	}
	s.token, s.pending, s.loadedAt, s.unread = Token{}, Token{}, s.now(), false
}
