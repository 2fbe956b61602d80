package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.uber.org/zap"
)

// AuthorizeURL is the address of LinkedIn's consent page. Its state is good for 30
// minutes and for one consent, in every process of the installation. The binding is
// an unguessable text that only one browser sends along with the callback; "" binds
// the state to no browser.
func (s *Session) AuthorizeURL(binding string) string {
	return s.oauth.AuthCodeURL(s.states.issue(s.now(), binding))
}

// Complete finishes a consent from the parameters with which LinkedIn sent the
// browser to the redirect URL. It checks the state, redeems the code, checks the
// scopes and stores the token. A state without a binding (the login of a command) is
// good with any. The error is a *StateError (answer it with 401; nothing has
// changed), a *ConsentNeededError that says what the member or LinkedIn refused, or
// one of AccessToken's.
func (s *Session) Complete(ctx context.Context, callback url.Values, binding string) (Token, error) {
	if err := s.states.accept(callback.Get("state"), binding, s.now()); err != nil {
		return Token{}, err
	}
	if code := callback.Get("error"); code != "" {
		return Token{}, consentError(code, callback.Get("error_description"))
	}
	return s.completeCode(ctx, callback.Get("code"))
}

// consentError is LinkedIn's refusal of a consent (authorization code flow,
// "application is rejected").
func consentError(code, description string) error {
	e := &ConsentNeededError{Reason: CodeRefused, Detail: clean(code)}
	if description != "" {
		e.Detail += ": " + clean(description)
	}
	switch code {
	case "user_cancelled_login", "user_cancelled_authorize":
		e.Reason, e.Detail = Cancelled, clean(code)
	case "unauthorized_scope_error":
		e.Reason = ScopeNotAllowed
	}
	return e
}

// Ready is why a consent could not be stored, so that a person learns it before they
// see LinkedIn's page.
func (s *Session) Ready(ctx context.Context) error {
	if _, err := s.opts.Store.Load(ctx); err != nil && !errors.Is(err, ErrNoToken) {
		return fmt.Errorf("reading the stored token before the login: %w", err)
	}
	release, err := s.reserve(ctx)
	if err != nil {
		return err
	}
	release()
	return nil
}

// reserve has the store make sure that a token can be saved, before LinkedIn is asked
// for one: it gives each once.
func (s *Session) reserve(ctx context.Context) (release func(), err error) {
	release, err = s.opts.Store.Reserve(ctx)
	if err != nil {
		err = fmt.Errorf("%w, so that it is not asked: %w", ErrCannotStore, err)
	}
	s.apply(storeTried{err})
	return release, err
}

// completeCode redeems the code of a consent whose state was accepted.
func (s *Session) completeCode(ctx context.Context, code string) (Token, error) {
	if code == "" {
		return Token{}, &ConsentNeededError{Reason: CodeRefused, Detail: "the callback carries no code"}
	}
	release, err := s.reserve(ctx)
	if err != nil {
		return Token{}, err
	}
	defer release()
	// A code works once: from here on the caller cannot cut it short.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeTime)
	defer cancel()
	held, missing := s.opts.Store.Load(ctx)
	if missing != nil && !errors.Is(missing, ErrNoToken) {
		return Token{}, fmt.Errorf("reading the stored token before it is replaced: %w", missing)
	}
	t, err := s.redeem(ctx, code)
	if errors.As(err, new(*AppRefusedError)) {
		// The person is told. It says nothing of the token held: whether LinkedIn
		// accepts the app for that, introspection and the renewal find out.
		s.wake(ctx)
	} else {
		s.answered(ctx, exchangeAnswered{err})
	}
	var refused *refusedError
	if errors.As(err, &refused) {
		return Token{}, &ConsentNeededError{Reason: CodeRefused, Detail: refused.detail()}
	}
	if err != nil {
		return Token{}, err
	}
	if lacking := missingScopes(s.opts.Scopes, t.Scopes); len(lacking) > 0 {
		return Token{}, &ConsentNeededError{Reason: ScopesMissing, Missing: lacking}
	}
	before := held.AuthorizedAt
	if removed := (*RemovedError)(nil); errors.As(missing, &removed) {
		before = removed.AuthorizedAt
	}
	if !t.AuthorizedAt.After(before) {
		// The consent was given just now, whatever the clocks of two machines say.
		t.AuthorizedAt = before.Add(time.Millisecond)
		t.ObtainedAt = t.AuthorizedAt
	}
	if err := s.opts.Store.Save(ctx, t); err != nil {
		s.apply(storeTried{err})
		return Token{}, fmt.Errorf("storing the token of the new consent: %w", err)
	}
	s.log.Info("LinkedIn consent given", zap.Object("token", t))
	s.wake(ctx)
	return s.adopt(t).token, nil
}

// Logout removes the token from this session's store, as Logout does, and this
// process forgets it at once.
func (s *Session) Logout(ctx context.Context) (Token, error) {
	held, err := Logout(ctx, s.opts.Store)
	if err == nil || errors.Is(err, ErrNoToken) {
		s.forget()
		s.wake(ctx)
	}
	return held, err
}
