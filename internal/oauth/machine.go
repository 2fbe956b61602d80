package oauth

import (
	"errors"
	"time"

	"leadstream/internal/fault"
)

const (
	// freshFor is how long parts of LinkedIn may refuse a token that was just
	// issued. Several integrators have seen 401, 65601, for some seconds.
	freshFor = 30 * time.Second
	// refusalHolds is how long a refused refresh token is not sent again.
	refusalHolds = 5 * time.Minute
	// appHolds is how long refused credentials of the app are not sent to the
	// same endpoint again.
	appHolds = time.Minute
	// forceEvery separates renewals of a token that introspection calls active
	// while the API refuses it.
	forceEvery = 10 * time.Minute
	// oneResource is how long the API must have accepted no request before its
	// refusals concern the whole connection. A single resource that answers 401 is
	// a problem of its source.
	oneResource = 3 * time.Minute
)

// phase is the state of a connection. docs/design.md has the table of phases and
// events; it is made from transition.
type phase string

const (
	phaseNone     phase = "none"     // No token is stored.
	phaseValid    phase = "valid"    // The access token is used.
	phaseExpiring phase = "expiring" // A tenth of its life is left: it is renewed ahead, and used until that works.
	phaseRejected phase = "rejected" // The API refuses it although introspection calls it active. It is used: the API decides.
	phaseRefused  phase = "refused"  // LinkedIn refused to renew it. It is used until it ends.
	phaseExpired  phase = "expired"  // It has ended: it is renewed before the next request.
	phaseRevoked  phase = "revoked"  // LinkedIn revoked it or does not know it: it is renewed before the next request.
	phaseLost     phase = "lost"     // It has ended and cannot be renewed: a person must consent.
)

// usable reports that requests may carry the access token.
func (p phase) usable() bool {
	return p == phaseValid || p == phaseExpiring || p == phaseRejected || p == phaseRefused
}

// connection is what a process knows of the connection to LinkedIn. It is a value:
// transition makes the next one, and its methods decide by it alone.
type connection struct {
	now      time.Time // when it is looked at
	readOnly bool      // nothing is renewed

	token      Token     // as last read from the store, or saved to it
	issued     time.Time // when token was issued, by the clock of this machine
	unsaved    Token     // renewed by LinkedIn and not saved yet, hence not used
	readAt     time.Time // when the store was last read
	unreadable bool      // the store could not be read then
	storeErr   error     // why tokens cannot be stored, as last tried

	checked   introspected // the last introspection that decided something
	dead      bool         // checked says so of a token that the API had refused: it is not sent any more
	rejection rejection
	// exchange and introspection are refusals of the app by these endpoints.
	exchange, introspection appRefusal

	renewAt  time.Time // no renewal ahead of need before this
	forcedAt time.Time // last renewal of a token that introspection calls active
}

// rejection is a consent whose tokens the API refuses, renewed ones as well.
type rejection struct {
	consent time.Time // its AuthorizedAt
	since   time.Time // no request was accepted
}

// appRefusal is an endpoint's refusal of the app's credentials. It counts until the
// endpoint accepts them.
type appRefusal struct {
	err *AppRefusedError
	at  time.Time
}

// after is the refusal after another answer of the endpoint.
func (r appRefusal) after(answer error, now time.Time) appRefusal {
	switch app := (*AppRefusedError)(nil); {
	case errors.As(answer, &app):
		return appRefusal{err: app, at: now}
	case answer == nil, errors.As(answer, new(*refusedError)):
		return appRefusal{}
	}
	return r
}

// holds is the refusal while the endpoint need not be asked again, else nil.
func (r appRefusal) holds(now time.Time) error {
	if age := now.Sub(r.at); r.err == nil || age < 0 || age >= appHolds {
		return nil
	}
	return r.err
}

// event is something that changes what is known.
type event interface{ change(c *connection) }

type (
	// tokenStored: the store holds this token, which was read or just saved.
	tokenStored struct{ token Token }
	// tokenRemoved: the store holds no token.
	tokenRemoved struct{}
	// storeUnreadable: the store could not be read.
	storeUnreadable struct{}
	// storeTried: a token could be stored, or not.
	storeTried struct{ err error }
	// tokenIssued: LinkedIn gave a new pair, which has to be saved.
	tokenIssued struct{ token Token }
	// saveSuperseded: the pair that LinkedIn gave came too late for the store.
	saveSuperseded struct{}
	// refreshRefused: LinkedIn refused to renew the token, whose Refused says it.
	refreshRefused struct{ token Token }
	// renewalFailed: the token was not renewed, for whatever reason.
	renewalFailed struct {
		token Token
		cause error
	}
	// exchangeAnswered: LinkedIn's token endpoint answered.
	exchangeAnswered struct{ err error }
	// introspected: LinkedIn's introspection answered about an access token.
	introspected struct {
		access string
		answer Introspection
		err    error
		of401  bool // it was asked because the API had refused the token
	}
	// apiAccepted: the API accepted a token.
	apiAccepted struct{}
	// apiRejected: the API refused the token, and nothing helped.
	apiRejected struct{ token Token }
)

// transition is what is known after an event. It is pure.
func transition(c connection, e event) connection {
	e.change(&c)
	return c
}

func (e tokenStored) change(c *connection) {
	t, first := e.token, c.readAt.IsZero()
	c.readAt, c.unreadable = c.now, false
	if c.unsaved.Access == t.Access || !c.unsaved.Supersedes(t) {
		c.unsaved = Token{}
	}
	if !c.token.IsZero() && !t.Supersedes(c.token) {
		return
	}
	if !t.Equal(c.token) {
		c.renewAt = time.Time{}
	}
	if t.Access != c.token.Access {
		c.exchange = appRefusal{} // a token was given: the app is accepted
		c.issued = c.now
		if first && t.ObtainedAt.Before(c.now) { // it was there before this process was
			c.issued = t.ObtainedAt
		}
	} else if c.token.Refused.At.After(t.Refused.At) {
		t.Refused = c.token.Refused
	}
	c.token = t
}

func (tokenRemoved) change(c *connection) {
	c.token, c.unsaved, c.readAt, c.unreadable = Token{}, Token{}, c.now, false
}

func (storeUnreadable) change(c *connection) { c.readAt, c.unreadable = c.now, true }

// A store that another process uses for the moment is no problem, and Kafka comes back
// by itself. A file that cannot be written needs a person.
func (e storeTried) change(c *connection) {
	passing := e.err != nil && fault.KindOf(e.err) == fault.Retry && !errors.As(e.err, new(*FileError))
	if !passing && !endedContext(e.err) && !errors.Is(e.err, ErrSuperseded) {
		c.storeErr = e.err
	}
}

func (e tokenIssued) change(c *connection) { c.unsaved = e.token }

func (saveSuperseded) change(c *connection) { c.unsaved = Token{} }

func (e refreshRefused) change(c *connection) {
	if e.token.Access == c.token.Access {
		c.token.Refused = e.token.Refused
	}
}

// The next attempt waits for a tenth of what is left: 5 minutes at most, an hour
// where a person must act. A token that is of no use is renewed at each request.
func (e renewalFailed) change(c *connection) {
	if !c.of(e.token).phase().usable() || errors.Is(e.cause, ErrNoToken) {
		return
	}
	wait := 5 * time.Minute
	if errors.Is(e.cause, ErrConsentNeeded) || errors.As(e.cause, new(*AppRefusedError)) {
		wait = time.Hour
	}
	if end := e.token.AccessExpiresAt; !end.IsZero() {
		wait = max(time.Second, min(wait, end.Sub(c.now)/10))
	}
	c.renewAt = c.now.Add(wait)
}

func (e exchangeAnswered) change(c *connection) { c.exchange = c.exchange.after(e.err, c.now) }

// An answer counts until LinkedIn gives another: an outage changes nothing. A token is
// dead only when the API refused it as well.
func (e introspected) change(c *connection) {
	was := c.introspection.err != nil
	c.introspection = c.introspection.after(e.err, c.now)
	if e.err != nil {
		if e.of401 && c.mayForce() && !errors.As(e.err, new(*AppRefusedError)) {
			c.forcedAt = c.now
		}
		return
	}
	if was {
		c.exchange = appRefusal{} // the same credentials may be accepted there as well
	}
	known := c.checked.access == e.access
	if e.of401 || !c.of(Token{Access: e.access}).tooEarly(e.answer) {
		c.checked, c.dead = e, !e.answer.Active && (e.of401 || known && c.dead)
	}
	if e.of401 && e.answer.Active && c.mayForce() {
		c.forcedAt = c.now
	}
}

func (apiAccepted) change(c *connection) { c.rejection = rejection{} }

// For a token that introspection calls dead as well, the reason of introspection counts.
func (e apiRejected) change(c *connection) {
	if !c.of(e.token).knownDead() && !c.rejection.consent.Equal(e.token.AuthorizedAt) {
		c.rejection = rejection{consent: e.token.AuthorizedAt, since: c.now}
	}
}

// of is what is known about t, which another token may have replaced meanwhile.
func (c connection) of(t Token) connection {
	if t.Access != c.token.Access {
		c.token, c.issued = t, time.Time{}
	}
	return c
}

// phase is the state that the token is in.
func (c connection) phase() phase {
	ended := c.knownDead() || c.pastEnd()
	some, _ := c.rejectedByAPI()
	switch {
	case c.token.IsZero():
		return phaseNone
	case ended && (c.token.Refresh == "" || c.refusal() != nil):
		return phaseLost
	case c.knownDead() && c.checked.answer.Status != "expired":
		return phaseRevoked
	case ended:
		return phaseExpired
	case c.refusal() != nil:
		return phaseRefused
	case some:
		return phaseRejected
	case c.nearEnd():
		return phaseExpiring
	}
	return phaseValid
}

func (c connection) knownDead() bool { return c.dead && c.checked.access == c.token.Access }

func (c connection) pastEnd() bool {
	return !c.token.AccessExpiresAt.IsZero() && !c.now.Before(c.token.AccessExpiresAt)
}

// nearEnd reports that a tenth of the access token's life is left and that a
// renewal would lengthen it: near the end of the refresh token both end together.
func (c connection) nearEnd() bool {
	t := c.token
	if t.Refresh == "" || t.AccessExpiresAt.IsZero() || !t.RefreshExpiresAt.After(t.AccessExpiresAt.Add(time.Second)) {
		return false
	}
	return t.AccessExpiresAt.Sub(c.now) <= t.AccessExpiresAt.Sub(t.ObtainedAt)/10
}

// due reports that the token should be renewed ahead of need. Two more things than
// its end are reasons: a pair that was given and could not be saved, and a refused
// app, since nothing else shows that LinkedIn accepts it again.
func (c connection) due() bool {
	if c.readOnly || c.token.Refresh == "" || c.now.Before(c.renewAt) {
		return false
	}
	return c.hasUnsaved() || c.exchange.err != nil && c.exchange.holds(c.now) == nil || c.nearEnd()
}

// hasUnsaved reports that LinkedIn gave a pair for the token that could not be saved.
func (c connection) hasUnsaved() bool { return !c.unsaved.IsZero() && c.unsaved.Supersedes(c.token) }

// mayForce reports that a token which introspection calls active was not renewed lately.
func (c connection) mayForce() bool { return c.now.Sub(c.forcedAt) >= forceEvery }

// fresh reports that the token was issued less than freshFor ago. ObtainedAt may be
// by the clock of another machine, which can be minutes off.
func (c connection) fresh() bool {
	age := c.now.Sub(c.issued)
	return age >= 0 && age < freshFor
}

// tooEarly reports that the answer decides nothing: parts of LinkedIn may not know a
// fresh token yet. Once a request has waited for them, the answer counts.
func (c connection) tooEarly(in Introspection) bool {
	return !in.Active && in.Status != "expired" && c.fresh() && !c.knownDead()
}

// lastAnswer is what counts while LinkedIn cannot be asked: its last answer about the
// token, and the date at which the token ends.
func (c connection) lastAnswer() Introspection {
	in := Introspection{Active: true}
	if c.checked.access == c.token.Access {
		in = c.checked.answer
	}
	if in.Active && c.pastEnd() {
		in.Active, in.Status = false, "expired"
	}
	return in
}

// deathReason is why the access token is of no use.
func (c connection) deathReason() Reason {
	switch {
	case c.knownDead():
		return c.checked.answer.Reason()
	case c.pastEnd():
		return AccessExpired
	}
	return AccessRefused
}

// refusal is LinkedIn's refusal to renew the token, else nil. It counts until a renewal
// works.
func (c connection) refusal() *ConsentNeededError {
	r := c.token.Refused
	if c.token.Refresh == "" || r.IsZero() {
		return nil
	}
	return &ConsentNeededError{Reason: r.Reason, Detail: r.Detail}
}

// mayRenew is nil, or why LinkedIn is not asked to renew the token now: the last
// refusal was just given.
func (c connection) mayRenew() error {
	if r := c.refusal(); r != nil && c.now.Sub(c.token.Refused.At) < refusalHolds {
		return r
	}
	return c.exchange.holds(c.now)
}

// rejectedByAPI reports whether the API has refused a token of this consent since it
// last accepted one, and whether that concerns the whole connection.
func (c connection) rejectedByAPI() (some, every bool) {
	some = !c.rejection.consent.IsZero() && c.rejection.consent.Equal(c.token.AuthorizedAt)
	return some, some && c.now.Sub(c.rejection.since) >= oneResource
}
