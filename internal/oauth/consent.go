package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.uber.org/zap"
)

// AuthorizeURL is the address of LinkedIn's consent page, with a state of its
// own that is good for 30 minutes and for one consent, in every process that
// has the same app secret.
func (s *Session) AuthorizeURL() string {
	return s.AuthorizeURLFor("")
}

// AuthorizeURLFor is AuthorizeURL for one browser: binding is an unguessable
// text that only it will send along with the callback.
func (s *Session) AuthorizeURLFor(binding string) string {
	return s.oauth.AuthCodeURL(s.states.issue(s.now(), binding))
}

// Complete finishes a consent from the parameters with which LinkedIn sent the
// browser to the redirect URL: it checks the state, redeems the code, checks
// the scopes and stores the token. The error is a *StateError (answer it with
// 401; nothing has changed), a *ConsentNeededError that says what the member
// or LinkedIn refused, or one of AccessToken's.
func (s *Session) Complete(ctx context.Context, callback url.Values) (Token, error) {
	return s.CompleteFor(ctx, callback, "")
}

// CompleteFor is Complete for a callback that came with a binding. A state that
// was issued without one (the login of a command) is good with any.
func (s *Session) CompleteFor(ctx context.Context, callback url.Values, binding string) (Token, error) {
	if err := s.states.take(callback.Get("state"), binding, s.now()); err != nil {
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

// Ready reports what stands in the way of a consent on this side: that what comes
// of it could not be stored. A person is better told before LinkedIn's page.
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

// reserve has the store see to it that a token can be kept, before LinkedIn is
// asked for one: it gives each once.
func (s *Session) reserve(ctx context.Context) (release func(), err error) {
	release, err = s.opts.Store.Reserve(ctx)
	if err != nil {
		err = fmt.Errorf("%w, so that it is not asked: %w", ErrCannotStore, err)
	}
	s.apply(storeTried{err})
	return release, err
}

// completeCode redeems the code of a consent whose state was taken.
func (s *Session) completeCode(ctx context.Context, code string) (Token, error) {
	if code == "" {
		return Token{}, &ConsentNeededError{Reason: CodeRefused, Detail: "the callback carries no code"}
	}
	release, err := s.reserve(ctx)
	if err != nil {
		return Token{}, err
	}
	defer release()
	// From here on it must not be cut short: a code works once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeTime)
	defer cancel()
	held, missing := s.opts.Store.Load(ctx)
	if missing != nil && !errors.Is(missing, ErrNoToken) {
		return Token{}, fmt.Errorf("reading the stored token before it is replaced: %w", missing)
	}
	t, err := s.redeem(ctx, code)
	var app *AppRefusedError
	// That the app was refused is told to the person, and concerns no token that is
	// held: whether LinkedIn takes the app for that, introspection and the renewal say.
	if errors.As(err, &app) {
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
		// This consent was just given, whatever the clocks of two machines say.
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

// Logout is Logout of this session's store, and this process forgets the token
// at once.
func (s *Session) Logout(ctx context.Context) (Token, error) {
	held, err := Logout(ctx, s.opts.Store)
	if err == nil || errors.Is(err, ErrNoToken) {
		s.forget()
		s.wake(ctx)
	}
	return held, err
}
