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

// reloadEvery is how old the view of the Store may be: a consent made by another
// process, and a logout, are noticed that soon.
const reloadEvery = 10 * time.Second

// view is what is known now.
func (s *Session) view() connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.known
	c.now = s.now()
	return c
}

// apply makes the transition of an event. It gives what was known before and what
// is known after it.
func (s *Session) apply(e event) (before, after connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.known
	before.now = s.now()
	s.known = transition(before, e)
	return before, s.known
}

// answered applies an answer of LinkedIn, and wakes the heartbeat when that changes
// whether the app is accepted. It gives what was known before.
func (s *Session) answered(ctx context.Context, e event) (before connection) {
	before, after := s.apply(e)
	if (before.exchange.err != nil) != (after.exchange.err != nil) || (before.introspection.err != nil) != (after.introspection.err != nil) {
		s.wake(ctx)
	}
	return before
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
	c, err := s.current(ctx)
	if err != nil {
		return Token{}, err
	}
	usable := c.phase().usable()
	if usable && !c.due() {
		return c.token, nil
	}
	next, err := s.refresh(ctx, c.token)
	if err == nil {
		return next, nil
	}
	if !usable || ctx.Err() != nil || errors.Is(err, ErrNoToken) {
		return Token{}, err
	}
	return c.token, nil // refresh has logged why
}

// current is what is known, with the token as the Store had it within reloadEvery.
// Once a token is in memory, one caller at a time reads the Store and the others
// go on.
func (s *Session) current(ctx context.Context) (connection, error) {
	c := s.view()
	if c.token.IsZero() {
		return s.reload(ctx)
	}
	if age := c.now.Sub(c.readAt); age >= 0 && age < reloadEvery || !s.reading.TryLock() {
		return c, nil
	}
	defer s.reading.Unlock()
	next, err := s.reload(ctx)
	if err == nil || errors.Is(err, ErrNoToken) {
		return next, err
	}
	if ctx.Err() == nil {
		if before, _ := s.apply(storeUnreadable{}); !before.unreadable {
			s.log.Warn("reading the stored token, going on with the one in memory", zap.Error(err),
				todoField(cmp.Or(fault.TodoOf(err), "see that the place where it is stored can be reached; a restart needs it")))
		}
	}
	return c, nil
}

// reload reads the Store and takes over what it holds.
func (s *Session) reload(ctx context.Context) (connection, error) {
	held, err := s.opts.Store.Load(ctx)
	if errors.Is(err, ErrNoToken) {
		s.forget()
		return connection{}, &ConsentNeededError{Reason: NoToken}
	}
	if err != nil {
		return connection{}, fmt.Errorf("reading the stored token: %w", err)
	}
	before := s.view().token
	c := s.adopt(held)
	switch {
	case before.IsZero():
		s.log.Debug("using the stored LinkedIn token", zap.Object("token", c.token))
	case !c.token.Equal(before):
		s.log.Info("using a newer LinkedIn token, stored by another process", zap.Object("token", c.token))
	}
	return c, nil
}

// adopt takes over a token that is durable, unless a newer one is known already.
func (s *Session) adopt(t Token) connection {
	before, after := s.apply(tokenStored{t})
	if before.unreadable {
		s.log.Info("the stored token can be read again")
	}
	return after
}

// forget drops the token from memory after it was removed from the Store.
func (s *Session) forget() {
	if before, _ := s.apply(tokenRemoved{}); !before.token.IsZero() {
		s.log.Info("the LinkedIn token was removed from the store")
	}
}

// The flights of a Session.
const (
	renewing     = "renewal"
	answering401 = "answer to a 401"
)

// errNoFlight ends a flight that only waited for the one before.
var errNoFlight = errors.New("no flight was under way")

// once merges concurrent calls into one that runs to its end even when every caller
// gives up: an exchange that was begun may already have replaced the refresh token
// at LinkedIn. It returns early with the caller's context.
func (s *Session) once(ctx context.Context, flight string, fn func(context.Context) (Token, error)) (Token, error) {
	for {
		done := s.flights.DoChan(flight, func() (any, error) { return fn(context.WithoutCancel(ctx)) })
		select {
		case r := <-done:
			if errors.Is(r.Err, errNoFlight) {
				continue
			}
			t, _ := r.Val.(Token)
			return t, r.Err
		case <-ctx.Done():
			return Token{}, fmt.Errorf("waiting for a new access token: %w", ctx.Err())
		}
	}
}

// awaitFlight returns when the flight that is under way, if any, has ended.
func (s *Session) awaitFlight(flight string) {
	<-s.flights.DoChan(flight, func() (any, error) { return nil, errNoFlight })
}
