package oauth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Status is the health of the connection to LinkedIn.
type Status struct {
	// Usable: LinkedIn accepts the token, or it can be renewed without a person.
	Usable bool `json:"usable"`
	// Problem and Todo say why not and what to do; empty when Usable.
	Problem string `json:"problem,omitempty"`
	Todo    string `json:"todo,omitempty"`
	// Note is what deserves attention although the connection works; may be empty.
	Note string `json:"note,omitempty"`
	// Fresh: parts of LinkedIn do not know yet the token that it just issued. Usable is
	// then true, and Note says it.
	Fresh bool `json:"-"`
	// LinkedIn is active, expired, revoked or unknown, as LinkedIn says;
	// empty when it was not or could not be asked.
	LinkedIn string `json:"linkedin,omitempty"`
	// AuthorizedAt is when the member consented.
	AuthorizedAt time.Time `json:"authorized_at,omitzero"`
	// AccessExpiresAt and RefreshExpiresAt end the two tokens; zero when that
	// is unknown or there is no such token. The days are whole ones left,
	// below 0 when past, nil with a zero time.
	AccessExpiresAt  time.Time `json:"access_expires_at,omitzero"`
	AccessDaysLeft   *int      `json:"access_days_left,omitempty"`
	RefreshExpiresAt time.Time `json:"refresh_expires_at,omitzero"`
	RefreshDaysLeft  *int      `json:"refresh_days_left,omitempty"`
	// Refreshable: LinkedIn gave a refresh token.
	Refreshable bool `json:"refreshable"`
	// Scopes are granted, Wanted are configured, Missing are wanted only.
	Scopes  []string `json:"scopes"`
	Wanted  []string `json:"wanted_scopes"`
	Missing []string `json:"missing_scopes"`
	// Unchecked is why LinkedIn could not be asked, nil when it was. The status then
	// follows from its last answer to this process, else from the stored dates alone.
	Unchecked error `json:"-"`
	// Unstored is why a renewed token could not be stored, so that LinkedIn is not asked
	// for one; nil when it could, as far as is known.
	Unstored error `json:"-"`
}

// Status is the health of the connection by the stored token and LinkedIn's
// introspection. It renews and stores nothing. The error is one of the Store. A missing
// token is a Status, not an error.
func (s *Session) Status(ctx context.Context) (Status, error) {
	i, err := s.inspect(ctx)
	return i.Status, err
}

// inspection is a Status with what it was made from.
type inspection struct {
	Status
	token Token         // as stored; zero when there is none
	said  Introspection // LinkedIn's answer, when Unchecked is nil
	// appRefused: LinkedIn refused the app and did not look at the token.
	appRefused bool
}

// dead reports that LinkedIn said that the access token is of no use.
func (i *inspection) dead() bool {
	return !i.token.IsZero() && i.Unchecked == nil && !i.appRefused && !i.Fresh && !i.said.Active
}

// inspect asks LinkedIn about the token that is stored.
func (s *Session) inspect(ctx context.Context) (inspection, error) {
	c, err := s.reload(ctx)
	if errors.Is(err, ErrNoToken) {
		i := s.noInspection()
		i.fail(&ConsentNeededError{Reason: NoToken})
		return i, nil
	}
	if err != nil {
		return inspection{}, err
	}
	in, err := s.introspect(ctx, c.token.Access)
	s.answered(ctx, introspected{access: c.token.Access, answer: in, err: err})
	return s.verdict(c.token, in, err), nil
}

func (s *Session) noInspection() inspection {
	return inspection{Status: Status{Wanted: s.opts.Scopes, Scopes: []string{}, Missing: []string{}}}
}

// verdict is the Status of a token by LinkedIn's answer about it, or by the error of
// asking.
func (s *Session) verdict(t Token, in Introspection, err error) inspection {
	c, i := s.view().of(t), s.noInspection()
	i.token, i.said, i.Unstored = t, in, s.cannotStore()
	app := (*AppRefusedError)(nil)
	i.appRefused = errors.As(err, &app) || c.introspection.err != nil
	if err != nil && app == nil {
		i.Unchecked = err
		in = c.lastAnswer()
	}
	if !in.ExpiresAt.IsZero() {
		t.AccessExpiresAt = in.ExpiresAt
	}
	if in.Scoped {
		t.Scopes = in.Scopes
	}
	i.describe(t, c.now)
	if err == nil {
		i.Fresh = c.tooEarly(in)
		i.LinkedIn = says(in)
	}
	if i.appRefused || c.exchange.err != nil {
		i.blameApp(t, c.now)
	} else {
		i.judge(c, in)
	}
	return i
}

// cannotStore is why tokens cannot be stored, as last tried, or as far as that is
// known without trying.
func (s *Session) cannotStore() error {
	err := s.view().storeErr
	if store, ok := s.opts.Store.(readOnlyStore); ok && err == nil && s.opts.ReadOnly {
		return store.saveWouldFail()
	}
	return err
}

// says is LinkedIn's answer as people read it.
func says(in Introspection) string {
	switch {
	case in.Active:
		return "active"
	case in.Status == "":
		return "unknown"
	}
	return in.Status
}

// describe fills in what is known of the token.
func (st *Status) describe(t Token, now time.Time) {
	st.AuthorizedAt = t.AuthorizedAt
	st.AccessExpiresAt, st.AccessDaysLeft = t.AccessExpiresAt, daysLeft(t.AccessExpiresAt, now)
	st.RefreshExpiresAt, st.RefreshDaysLeft = t.RefreshExpiresAt, daysLeft(t.RefreshExpiresAt, now)
	st.Refreshable = t.Refresh != ""
	st.Scopes = append(st.Scopes, t.Scopes...)
	st.Missing = append(st.Missing, missingScopes(st.Wanted, t.Scopes)...)
	end, left := st.consentEnds(now)
	switch {
	case !end.IsZero() && left > 0 && left <= soonest:
		st.Note = fmt.Sprintf("the consent ends %s, on %s: consent again before", inDays(left), formatTime(end))
	case !st.Refreshable:
		st.Note = fmt.Sprintf("LinkedIn gave no refresh token: a new consent is due before %s", formatTime(t.AccessExpiresAt))
	}
}

// soonest is how long before its end a consent is first warned of.
const soonest = 30 * 24 * time.Hour

// consentEnds is when the consent ends, which no renewal changes, and how long that is
// from now. It is zero when that is unknown.
func (st *Status) consentEnds(now time.Time) (end time.Time, left time.Duration) {
	end = st.AccessExpiresAt
	if st.Refreshable {
		end = st.RefreshExpiresAt
	}
	if end.IsZero() {
		return end, 0
	}
	return end, end.Sub(now)
}

func inDays(left time.Duration) string {
	switch days := int(left / (24 * time.Hour)); days {
	case 0:
		return "within a day"
	case 1:
		return "in 1 day"
	default:
		return fmt.Sprintf("in %d days", days)
	}
}

// blameApp says that LinkedIn refused the app's credentials.
func (st *Status) blameApp(t Token, now time.Time) {
	st.Problem, st.Todo = "LinkedIn refused the app's credentials", (&AppRefusedError{}).Todo()
	st.Note = ""
	if now.Before(t.AccessExpiresAt) {
		st.Note = fmt.Sprintf("the access token held goes on until %s, but cannot be renewed", formatTime(t.AccessExpiresAt))
	}
}

// judge decides whether the token is of use.
func (st *Status) judge(c connection, in Introspection) {
	refused := c.refusal()
	_, every := c.rejectedByAPI()
	renewable := st.Refreshable && refused == nil && c.now.Before(st.RefreshExpiresAt)
	switch {
	case !in.Active && !st.Fresh && (in.Status != "expired" || !renewable):
		st.fail(st.endOf(in, refused))
	case !in.Active && !st.Fresh && st.Unstored != nil:
		st.Problem, st.Todo = "the access token has expired, and a renewed one could not be stored", storeTodo
	case len(st.Missing) > 0:
		st.fail(&ConsentNeededError{Reason: ScopesMissing, Missing: st.Missing})
	case in.Active && every:
		st.fail(&ConsentNeededError{Reason: AccessRefused})
	default:
		st.Usable = true
	}
	switch {
	case !st.Usable:
	case st.Fresh:
		st.Note = "LinkedIn does not know the new access token everywhere yet"
	case !in.Active:
		st.Note = "the access token has expired and is renewed at its next use"
	case renewable && st.Unstored != nil:
		st.Note = fmt.Sprintf("it works until %s, but is not renewed, since a renewed token could not be stored: %s", formatTime(st.AccessExpiresAt), storeTodo)
	case refused != nil:
		st.Note = fmt.Sprintf("it works until %s, but LinkedIn refused to renew it: consent again before", formatTime(st.AccessExpiresAt))
	}
}

// storeTodo is what to do where tokens cannot be stored. It does not name the place,
// which the log does: everybody may read a Status.
const storeTodo = "let leadstream write where the tokens are kept; the log and `leadstream auth status` say what is in the way"

// endOf is why a token that is not active takes a new consent.
func (st *Status) endOf(in Introspection, refused *ConsentNeededError) *ConsentNeededError {
	switch {
	case in.Status != "expired":
		return &ConsentNeededError{Reason: in.Reason()}
	case refused != nil:
		return refused
	case st.Refreshable:
		return &ConsentNeededError{Reason: RefreshExpired}
	}
	return &ConsentNeededError{Reason: AccessExpired}
}

func (st *Status) fail(e *ConsentNeededError) {
	st.Problem, st.Todo = string(e.Reason), e.Todo()
	if e.Detail != "" {
		st.Problem += " (" + e.Detail + ")"
	}
	if len(e.Missing) > 0 {
		st.Problem += ": " + strings.Join(e.Missing, ", ")
	}
}

// daysLeft is the number of whole days from now to t, nil for the zero time.
func daysLeft(t, now time.Time) *int {
	if t.IsZero() {
		return nil
	}
	left := t.Sub(now)
	days := int(left / (24 * time.Hour))
	if left < 0 {
		days--
	}
	return &days
}
