package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// refreshLife is the documented life of a refresh token (programmatic refresh
// tokens: 365 days). It is used when the answer gives none, or none that can be true.
const refreshLife = 365 * 24 * time.Hour

// refusedError is LinkedIn's refusal of a code or a refresh token, with the
// app's credentials accepted.
type refusedError struct {
	code, description string
}

func (e *refusedError) Error() string { return "LinkedIn refused: " + e.detail() }

func (e *refusedError) detail() string {
	if e.description == "" {
		return e.code
	}
	return e.code + ": " + e.description
}

// redeem trades an authorization code for the first token of a consent.
func (s *Session) redeem(ctx context.Context, code string) (Token, error) {
	answer, err := s.oauth.Exchange(s.withHTTP(ctx), code)
	if err != nil {
		return Token{}, fmt.Errorf("redeeming the authorization code: %w", s.exchangeError(err, code))
	}
	now := s.now()
	return s.read(answer, Token{AuthorizedAt: now, Scopes: s.opts.Scopes, Installation: s.opts.Installation}, now)
}

// renew trades the refresh token of old for a new pair.
func (s *Session) renew(ctx context.Context, old Token) (Token, error) {
	source := s.oauth.TokenSource(s.withHTTP(ctx), &oauth2.Token{RefreshToken: old.Refresh})
	answer, err := source.Token()
	if err != nil {
		return Token{}, fmt.Errorf("refreshing the access token: %w", s.exchangeError(err, old.Refresh))
	}
	next, err := s.read(answer, old, s.now())
	if err != nil {
		return Token{}, err
	}
	if !next.ObtainedAt.After(old.ObtainedAt) { // a clock that was set back does not make the new pair the older one
		next.ObtainedAt = old.ObtainedAt.Add(time.Millisecond)
	}
	return next, nil
}

func (s *Session) withHTTP(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, s.http)
}

// read makes a Token of an answer of /accessToken. What the answer leaves out is as in
// base: the refresh token, the scopes (RFC 6749 §5.1), the end of the refresh token. An
// answer with tokens that could be neither sent nor stored is an error.
func (s *Session) read(answer *oauth2.Token, base Token, now time.Time) (Token, error) {
	t := Token{
		Access: answer.AccessToken, Refresh: base.Refresh,
		Scopes: base.Scopes, AuthorizedAt: base.AuthorizedAt, ObtainedAt: now, Installation: base.Installation,
	}
	if answer.RefreshToken != "" {
		t.Refresh = answer.RefreshToken
	}
	if scope, ok := answer.Extra("scope").(string); ok && scope != "" {
		t.Scopes = splitScopes(scope)
	}
	life := time.Duration(answer.ExpiresIn) * time.Second
	if life > 0 {
		t.AccessExpiresAt = now.Add(life)
	}
	if t.Refresh != "" {
		t.RefreshExpiresAt = refreshEnd(answer, base, now, life)
	}
	if !fit(t.Access) || !fit(t.Refresh) || len(strings.Join(t.Scopes, " ")) > maxScopes {
		return Token{}, &AnswerError{Endpoint: "accessToken", Status: http.StatusOK, Code: "with a token that " + unfit}
	}
	return t, nil
}

// maxScopes bounds the scopes of an answer, in bytes: LinkedIn's are about 20 each.
const maxScopes = 16 << 10

// refreshEnd is when the refresh token ends. LinkedIn's number counts only when it is
// not shorter than the life of the access token: one of its samples is in minutes. A
// renewal never extends the life that the consent gave.
func refreshEnd(answer *oauth2.Token, base Token, now time.Time, accessLife time.Duration) time.Time {
	given, ok := answer.Extra("refresh_token_expires_in").(float64)
	const century = 100 * 365 * 24 * 3600
	var end time.Time
	if ok && given > 0 && given < century && time.Duration(given)*time.Second >= accessLife {
		end = now.Add(time.Duration(given) * time.Second)
	}
	known := base.RefreshExpiresAt
	switch {
	case end.IsZero() && known.IsZero():
		return base.AuthorizedAt.Add(refreshLife)
	case end.IsZero(), !known.IsZero() && known.Before(end):
		return known
	}
	return end
}

// exchangeError classifies the errors of /accessToken (authorization code flow;
// programmatic refresh tokens). An error of the transport is passed on. The library's
// own error is not: it quotes the whole body.
func (s *Session) exchangeError(err error, secret string) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return err
	}
	status := answer.Response.StatusCode
	code := clean(answer.ErrorCode, secret, s.opts.ClientSecret)
	switch {
	case code == "invalid_client", code == "unauthorized_client":
		return &AppRefusedError{Status: status, Code: code}
	case code != "" && (status == http.StatusBadRequest || status == http.StatusUnauthorized):
		return &refusedError{
			code:        answerName(status, code),
			description: clean(answer.ErrorDescription, secret, s.opts.ClientSecret),
		}
	}
	return &AnswerError{Endpoint: "accessToken", Status: status, Code: code, After: retryAfter(answer.Response)}
}
