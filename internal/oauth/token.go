package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
)

// Token is the pair that LinkedIn gave for one consent. Printing, logging or
// marshalling it never shows the two secrets; encodeToken keeps them.
type Token struct {
	// Access authorizes API calls; opaque, about 500 characters.
	Access string
	// Refresh renews Access. It is empty for apps that LinkedIn has not enabled for
	// programmatic refresh: then a new consent is due when Access expires.
	Refresh string
	// AccessExpiresAt is when Access ends, 60 days after it was issued. It is zero when
	// LinkedIn did not say.
	AccessExpiresAt time.Time
	// RefreshExpiresAt is when Refresh ends, 365 days after the consent. Renewing never
	// extends it. It is zero without a Refresh.
	RefreshExpiresAt time.Time
	// Scopes are those granted.
	Scopes []string
	// AuthorizedAt is when the member consented: the identity of the consent.
	AuthorizedAt time.Time
	// ObtainedAt is when this pair was issued: AuthorizedAt for the first, later for
	// each renewal of the same consent.
	ObtainedAt time.Time
	// Installation is the one that began the consent. It is "" for a token of an older
	// release, which did not store it.
	Installation string
	// Refused is LinkedIn's refusal to renew this pair; zero while there was none.
	Refused Refusal
}

// Refusal is LinkedIn's refusal to renew a token. It stands until a renewal works,
// and is stored with the token, so that other processes know of it.
type Refusal struct {
	At     time.Time `json:"at"`
	Reason Reason    `json:"reason"`
	Detail string    `json:"detail,omitempty"` // in LinkedIn's words, without secrets
}

// IsZero reports whether there was none.
func (r Refusal) IsZero() bool { return r.At.IsZero() }

// belongsTo is ErrForeign for a consent that another installation began.
func (t Token) belongsTo(installation string) error {
	if t.Installation == "" || installation == "" || t.Installation == installation {
		return nil
	}
	return fmt.Errorf("%w, %q", ErrForeign, t.Installation)
}

// filled is t as it is read back from a store.
func (t Token) filled() Token { return recordOf(t).token() }

// IsZero reports whether there is no token.
func (t Token) IsZero() bool { return t.Access == "" }

// Renewed reports whether the token came from a refresh, not from a consent.
func (t Token) Renewed() bool { return t.ObtainedAt.After(t.AuthorizedAt) }

// Supersedes is the rule by which every Store decides whether t may replace the
// token held. The newer consent wins, and within one consent the pair that was
// obtained later. So the late renewal of an older consent never overwrites a newer
// one. A renewal never fills an empty store (zero held): the token that it renewed
// was removed meanwhile, on purpose.
func (t Token) Supersedes(held Token) bool {
	if held.IsZero() {
		return !t.Renewed()
	}
	if !t.AuthorizedAt.Equal(held.AuthorizedAt) {
		return t.AuthorizedAt.After(held.AuthorizedAt)
	}
	return !t.ObtainedAt.Before(held.ObtainedAt)
}

// Equal reports whether both are the same pair with the same facts, apart from Refused.
func (t Token) Equal(o Token) bool {
	return t.Access == o.Access && t.Refresh == o.Refresh &&
		t.AccessExpiresAt.Equal(o.AccessExpiresAt) && t.RefreshExpiresAt.Equal(o.RefreshExpiresAt) &&
		slices.Equal(t.Scopes, o.Scopes) &&
		t.AuthorizedAt.Equal(o.AuthorizedAt) && t.ObtainedAt.Equal(o.ObtainedAt) && t.Installation == o.Installation
}

// String tells the dates and scopes, never the secrets.
func (t Token) String() string {
	if t.IsZero() {
		return "no token"
	}
	b := fmt.Sprintf("token of %s [redacted], access until %s", formatTime(t.AuthorizedAt), formatTime(t.AccessExpiresAt))
	if t.Refresh != "" {
		b += ", refresh until " + formatTime(t.RefreshExpiresAt)
	}
	return b + ", scopes " + strings.Join(t.Scopes, " ")
}

// Format prints String for every verb, so that %+v and %#v are safe too.
func (t Token) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(t.String())) // fmt gives a Formatter no way to report an error
}

// MarshalJSON gives what String gives: a token in a log or an answer shows no secret.
func (t Token) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// MarshalLogObject is zap's view of the token: dates and scopes only.
func (t Token) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddTime("authorized_at", t.AuthorizedAt)
	enc.AddTime("access_expires_at", t.AccessExpiresAt)
	enc.AddTime("refresh_expires_at", t.RefreshExpiresAt)
	enc.AddString("scopes", strings.Join(t.Scopes, " "))
	return nil
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.UTC().Format(time.RFC3339)
}

// Store keeps the one token of an installation. Implementations are safe for
// concurrent use, within a process and between processes that share them.
type Store interface {
	// Load gives the token held, or an error that is ErrNoToken when there is
	// none. After any other error nothing is known. It is called every few
	// seconds and must be cheap while nothing changes.
	Load(ctx context.Context) (Token, error)
	// Reserve makes sure, as far as it can, that a Save will work until release is
	// called: LinkedIn gives each token once. Where processes take turns, it is
	// this one's turn until then.
	Reserve(ctx context.Context) (release func(), err error)
	// Save makes t durable before it returns nil. When t does not supersede the
	// token held (Token.Supersedes) the error is ErrSuperseded and nothing changes.
	Save(ctx context.Context, t Token) error
	// Delete removes the token for good. The error is ErrNoToken when there was none.
	Delete(ctx context.Context) error
}

// trier is a Store that can try at little cost whether a Save would work.
type trier interface {
	Try(ctx context.Context) error
}

// readOnlyStore is a Store whose Load corrects how the token is kept, unless it was
// told not to.
type readOnlyStore interface {
	setReadOnly()
	// saveWouldFail is why a Save would not work, as far as that is known without trying.
	saveWouldFail() error
}

var (
	// ErrNoToken: the store holds no token.
	ErrNoToken = errors.New("no token is stored")
	// ErrCannotStore: a Reserve of the store failed.
	ErrCannotStore = errors.New("what LinkedIn gives could not be stored")
	// ErrSuperseded: the store holds a newer token, or the consent of the token was
	// removed.
	ErrSuperseded = errors.New("the store holds a newer token or the consent was removed")
	// ErrNotRenewed: the access token is of no use any more, and the Session is
	// read-only (Options.ReadOnly). With a renewal LinkedIn may give another refresh
	// token; if that is not stored, the connection can be lost.
	ErrNotRenewed = errors.New("the access token has to be renewed first, and what changes nothing renews none")
)

// Logout removes the token from the store; a running connector notices within
// seconds. It gives the token that was removed as far as it could be read, for its
// dates: LinkedIn accepts it until then, unless the member withdraws the app's
// permission on LinkedIn. The error is ErrNoToken when there was none.
func Logout(ctx context.Context, store Store) (Token, error) {
	held, loadErr := store.Load(ctx)
	if err := store.Delete(ctx); err != nil {
		return Token{}, fmt.Errorf("removing the token: %w", err)
	}
	if loadErr != nil {
		return Token{}, nil //nolint:nilerr // an unreadable token can be removed as well; only its dates are missing
	}
	return held, nil
}
