package web

import (
	"context"
	"errors"
	"net/url"
)

// Consent does the consent at LinkedIn. Its methods are called concurrently.
type Consent interface {
	// AuthorizeURL is the address of LinkedIn's consent page, with a state that
	// is signed over browserBinding: an unguessable text that this server keeps
	// in a cookie of the browser.
	AuthorizeURL(browserBinding string) (string, error)
	// Callback finishes a consent from the parameters of the redirect.
	// browserBinding is the cookie's, "" when the browser sent none: a state
	// that was signed over a binding must then be refused, one that was issued
	// without (leadstream auth login) is good. The error is ErrForeignState for
	// a state that is not ours, a *ConsentError for what a person can mend; any
	// other is told as a failure whose cause stands in the log.
	Callback(ctx context.Context, params url.Values, browserBinding string) error
	// Disconnect removes the stored token.
	Disconnect(ctx context.Context) error
}

// ErrForeignState says that a callback does not belong to a consent that this
// browser began here. It is answered with 401.
var ErrForeignState = errors.New("the callback does not belong to a consent begun here")

// ConsentError says in words for the browser why there is no consent.
type ConsentError struct {
	Problem string // a sentence
	Todo    string // what to do, a sentence
	Err     error  // the cause; may be nil
}

// Error is the problem and what to do.
func (e *ConsentError) Error() string { return e.Problem + " " + e.Todo }

// Unwrap is the cause.
func (e *ConsentError) Unwrap() error { return e.Err }
