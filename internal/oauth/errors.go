package oauth

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"leadstream/internal/fault"
)

// ErrConsentNeeded matches every *ConsentNeededError.
var ErrConsentNeeded = errors.New("LinkedIn consent is needed")

// Reason is why a person must consent again.
type Reason string

// The reasons for a new consent.
const (
	NoToken         Reason = "no token is stored"
	AccessExpired   Reason = "the access token has expired and cannot be refreshed"
	AccessRevoked   Reason = "the access token was revoked"
	AccessUnknown   Reason = "LinkedIn does not know the access token for this app"
	AccessRefused   Reason = "LinkedIn's API refuses the access token although it should be valid"
	RefreshExpired  Reason = "the refresh token has expired"
	RefreshRefused  Reason = "LinkedIn refused to refresh the token"
	ScopesMissing   Reason = "the consent lacks scopes"
	Cancelled       Reason = "the consent was cancelled on LinkedIn's page"
	ScopeNotAllowed Reason = "the LinkedIn app may not ask for these scopes"
	CodeRefused     Reason = "LinkedIn refused the consent or its authorization code"
	NotGiven        Reason = "no consent was given within 30 minutes"
)

// ConsentNeededError says that only a new consent of the member helps.
type ConsentNeededError struct {
	Reason Reason
	// Missing are the scopes that were not granted, for ScopesMissing.
	Missing []string
	// Detail is LinkedIn's own text, without secrets; may be empty.
	Detail string
}

// Error names the reason and what to do.
func (e *ConsentNeededError) Error() string {
	b := ErrConsentNeeded.Error() + ": " + string(e.Reason)
	if len(e.Missing) > 0 {
		b += " (" + strings.Join(e.Missing, ", ") + ")"
	}
	if e.Detail != "" {
		b += " (" + e.Detail + ")"
	}
	return b + "; " + e.Todo()
}

// Todo is what to do about it.
func (e *ConsentNeededError) Todo() string {
	switch e.Reason {
	case ScopesMissing, ScopeNotAllowed:
		return "have the products that give these scopes added to the LinkedIn app (developer portal, Products and Auth), " +
			"compare linkedin.scopes, then press Reconnect LinkedIn on the status page, or run `leadstream auth login`"
	case CodeRefused:
		return "check that linkedin.redirect_url stands exactly so in the LinkedIn app (Auth), then consent again; a code lives 30 minutes and works once"
	case Cancelled:
		return "consent again and allow the access"
	default:
		return "press Connect or Reconnect LinkedIn on the status page, or run `leadstream auth login`"
	}
}

// Is makes errors.Is true for ErrConsentNeeded, and for ErrNoToken when that
// is the reason.
func (e *ConsentNeededError) Is(target error) bool {
	return target == ErrConsentNeeded || (target == ErrNoToken && e.Reason == NoToken)
}

// Fault is Pause: a person must act.
func (e *ConsentNeededError) Fault() fault.Kind { return fault.Pause }

// AppRefusedError says that LinkedIn does not accept the app's credentials. It has
// nothing to do with the member's consent.
type AppRefusedError struct {
	Status int    // HTTP status
	Code   string // LinkedIn's error code; may be empty
}

// Error names the settings to compare.
func (e *AppRefusedError) Error() string {
	return fmt.Sprintf("LinkedIn refused the app's credentials (%s); %s", answerName(e.Status, e.Code), e.Todo())
}

// Todo is what to do about it, read by fault.TodoOf.
func (e *AppRefusedError) Todo() string {
	return "compare linkedin.client_id and linkedin.client_secret with the app's Auth page"
}

// Fault is Pause: a person must act.
func (e *AppRefusedError) Fault() fault.Kind { return fault.Pause }

// AnswerError is an answer of LinkedIn's OAuth endpoints that decides nothing: a failure
// on its side, throttling, or a proxy in between. It never means that a token is dead.
type AnswerError struct {
	Endpoint string // accessToken or introspectToken
	Status   int    // HTTP status
	Code     string // LinkedIn's error code; may be empty
	// After is the least wait that the answer asked for, 0 when none.
	After time.Duration
}

// Error names the endpoint and the answer.
func (e *AnswerError) Error() string {
	return fmt.Sprintf("LinkedIn's %s answered %s", e.Endpoint, answerName(e.Status, e.Code))
}

// Fault is Retry.
func (e *AnswerError) Fault() fault.Kind { return fault.Retry }

// RetryAfter is read by fault.DelayOf.
func (e *AnswerError) RetryAfter() time.Duration { return e.After }

func answerName(status int, code string) string {
	if code == "" {
		return fmt.Sprint(status)
	}
	return fmt.Sprintf("%d %s", status, code)
}

// clean makes a text of LinkedIn fit for an error: printable, short, and without the
// secrets that it might repeat.
func clean(text string, secrets ...string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200]) + "…"
	}
	return strings.TrimSpace(text)
}
