package oauth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
)

const (
	// lookEvery is how often the heartbeat looks whether another token is
	// stored, which costs LinkedIn nothing.
	lookEvery = reloadEvery
	// wakeEvery is the least time between two checks that refused requests of the
	// API cause.
	wakeEvery = 5 * time.Second
	// problemEvery is how often LinkedIn is asked while a person must act, when
	// it is not asked more often anyway.
	problemEvery = time.Minute
	// retryFirst is the wait after a check that LinkedIn did not answer. It
	// doubles, up to the usual time between two checks.
	retryFirst = 10 * time.Second
	// othersFirst is how long a token that LinkedIn calls dead is left to the
	// processes that use it: the request that is refused renews it. A random part
	// is added, so that standby processes do not renew it together.
	othersFirst = 3 * time.Second
	// checkTime bounds one check.
	checkTime = 45 * time.Second
)

// Fallback is a call of the API that tells whether LinkedIn accepts the token, for
// when introspection does not answer.
type Fallback struct {
	// Name is the endpoint's.
	Name string
	// Ask returns nil when LinkedIn accepted the token, whatever it says of its
	// rights, and a *ConsentNeededError or an *AppRefusedError when only a person can
	// help. Any other error decides nothing. The call goes through Transport.
	Ask func(ctx context.Context) error
}

// HeartbeatOptions say how a Heartbeat works.
type HeartbeatOptions struct {
	// Every is the time between two checks with LinkedIn when nothing happens.
	Every time.Duration
	// Fallbacks are asked in turn when introspection does not answer.
	Fallbacks []Fallback
	// Page is the address of the page where a person can consent. The log names it.
	Page string
	// Regained, if not nil, is called when the token becomes usable again and when
	// another consent was given. It must return at once.
	Regained func()
	// Log may be nil.
	Log *zap.Logger
}

// Health is the connection to LinkedIn as the heartbeat last found it.
type Health struct {
	Status
	// Known: it was looked at.
	Known bool
	// Unread is why the store could not be read, which Problem says as well. It is
	// nil when the store could be read and when the token in memory is used on.
	Unread error
	// CheckedAt is when LinkedIn last said something of the token, and CheckedBy
	// the endpoint. CheckedAt is zero when it has not yet.
	CheckedAt time.Time
	CheckedBy string
}

// Heartbeat looks after the connection of a Session while others use it. It asks
// LinkedIn about the token now and then and whenever a request was refused, notices
// consents and logouts of other processes, and renews a token that LinkedIn calls
// dead if nobody else does. It logs once an hour what a person has to do. It works in
// standby processes, too. Make it with NewHeartbeat, then call Run once; its other
// methods are safe for concurrent use.
type Heartbeat struct {
	session *Session
	opts    HeartbeatOptions
	log     *zap.Logger
	health  atomic.Pointer[Health]

	looking     sync.Mutex // guards what follows, and lets one look run at a time
	begun       bool
	last        Token     // that was checked last
	checked     time.Time // when that was
	due         time.Time // for the next check
	unanswered  int       // checks in a row
	dead        deadToken
	reported    reported
	cannotStore bool // tokens could not be stored when that was tried last
}

// deadToken is a token that LinkedIn calls dead and that may be renewed.
type deadToken struct {
	access string
	until  time.Time // it is left to others
}

// NewHeartbeat makes a Heartbeat; it does nothing yet.
func NewHeartbeat(s *Session, o HeartbeatOptions) *Heartbeat {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	h := &Heartbeat{session: s, opts: o, log: o.Log}
	h.health.Store(&Health{})
	return h
}

// Health is the connection as last found. It costs nothing.
func (h *Heartbeat) Health() Health { return *h.health.Load() }

// Run looks after the connection until ctx ends.
func (h *Heartbeat) Run(ctx context.Context) {
	for {
		h.look(ctx)
		timer := time.NewTimer(h.wait())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-h.session.wakeup:
			timer.Stop()
			h.hurry()
		case <-timer.C:
		}
	}
}

// Check looks at the connection now and returns when that is done, for a page
// that shows it next.
func (h *Heartbeat) Check(ctx context.Context) {
	h.looking.Lock()
	h.due = time.Time{}
	h.looking.Unlock()
	h.look(ctx)
}

// hurry has the next check made as soon as the last one is wakeEvery past.
func (h *Heartbeat) hurry() {
	h.looking.Lock()
	defer h.looking.Unlock()
	h.sooner(wakeEvery)
}

// wait is the time until the next look.
func (h *Heartbeat) wait() time.Duration {
	h.looking.Lock()
	defer h.looking.Unlock()
	return max(min(h.due.Sub(h.session.now()), lookEvery), 0)
}

// sooner has the next check made d after the last one, unless it comes earlier.
func (h *Heartbeat) sooner(d time.Duration) {
	if at := h.checked.Add(d); at.Before(h.due) {
		h.due = at
	}
}

// look checks the connection if it is time or another token is stored, and reports
// what is new.
func (h *Heartbeat) look(ctx context.Context) {
	h.looking.Lock()
	defer h.looking.Unlock()
	c, err := h.session.current(ctx)
	if ctx.Err() != nil {
		return
	}
	changed := (err == nil || errors.Is(err, ErrNoToken)) && !c.token.Equal(h.last)
	if !h.begun || changed || !h.session.now().Before(h.due) {
		h.begun = true
		h.check(ctx)
	}
	if ctx.Err() == nil {
		h.report()
	}
}

// check asks LinkedIn and publishes what is known then.
func (h *Heartbeat) check(parent context.Context) {
	ctx, cancel := context.WithTimeout(context.WithValue(parent, byHeartbeat{}, true), checkTime)
	defer cancel()
	h.tryStore(ctx)
	i, err := h.session.inspect(ctx)
	h.checked = h.session.now()
	h.due = h.checked.Add(h.opts.Every)
	if err != nil {
		if parent.Err() == nil {
			h.unreadable(err)
		}
		return
	}
	by := "introspectToken"
	if i.dead() {
		h.renewDead(ctx, &i)
	}
	if i.Unchecked != nil {
		by = h.fallBack(ctx, &i)
	}
	if parent.Err() != nil {
		return // what was found then says nothing
	}
	h.last = i.token
	h.reportAnswer(i.Unchecked)
	rejected, _ := h.session.view().of(i.token).rejectedByAPI()
	switch {
	case i.Fresh:
		h.sooner(wakeEvery)
	case !i.Usable, rejected, h.cannotStore:
		h.sooner(problemEvery)
	}
	h.publish(i, by)
}

// tryStore finds out whether tokens could be stored, long before it matters, and
// logs it when that changes.
func (h *Heartbeat) tryStore(ctx context.Context) {
	store, ok := h.session.opts.Store.(trier)
	if !ok || h.session.opts.ReadOnly {
		return
	}
	err := store.Try(ctx)
	_, c := h.session.apply(storeTried{err})
	cannot := c.storeErr != nil
	switch {
	case cannot && !h.cannotStore:
		h.log.Error("LinkedIn's tokens could not be stored where they are kept: none is renewed and no consent is taken until that is fixed",
			zap.Error(err), todoField(fault.TodoOf(err)))
	case !cannot && h.cannotStore:
		h.log.Info("LinkedIn's tokens can be stored again")
	}
	h.cannotStore = cannot
}

// publish makes what was found the health of the connection.
func (h *Heartbeat) publish(i inspection, by string) {
	last := h.Health()
	next := &Health{Status: i.Status, Known: true, CheckedAt: last.CheckedAt, CheckedBy: last.CheckedBy}
	switch {
	case i.token.IsZero():
		next.CheckedAt, next.CheckedBy = time.Time{}, ""
	case i.Unchecked == nil:
		next.CheckedAt, next.CheckedBy = h.checked, by
	case !next.Usable:
		next.Note = "LinkedIn cannot be asked at the moment whether that is still so"
	case next.Note == "":
		next.Note = "LinkedIn could not be asked about the token; it is used on"
	}
	h.health.Store(next)
}

// unreadable handles a store that could not be read. What was known before stands,
// unless a person must fix the store.
func (h *Heartbeat) unreadable(err error) {
	h.sooner(retryFirst)
	person := fault.KindOf(err) == fault.Pause
	if h.Health().Known && !person {
		return
	}
	next := &Health{Status: h.session.noInspection().Status, Known: person, Unread: err}
	next.Todo = fault.TodoOf(err)
	next.Problem = strings.TrimSuffix(err.Error(), "; "+next.Todo)
	h.health.Store(next)
}

// renewDead does for a token that LinkedIn calls dead what a refused request would
// do. It leaves the token to others for a moment, and then renews it.
func (h *Heartbeat) renewDead(ctx context.Context, i *inspection) {
	s, t := h.session, i.token
	c := s.view().of(t)
	if t.Refresh == "" || c.mayRenew() != nil || !c.now.Before(t.RefreshExpiresAt) {
		return
	}
	if h.dead.access != t.Access {
		h.dead = deadToken{access: t.Access, until: c.now.Add(othersFirst + rand.N(othersFirst))}
	}
	if c.now.Before(h.dead.until) {
		s.assumeUsable(i)
		h.sooner(h.dead.until.Sub(c.now))
		return
	}
	_, err := s.replace(ctx, t)
	if again, failed := s.inspect(ctx); failed == nil {
		*i = again
	}
	if err != nil && fault.KindOf(err) == fault.Retry && i.dead() && s.cannotStore() == nil {
		s.assumeUsable(i)
		i.Unchecked = err
	}
}

// assumeUsable calls a token usable that LinkedIn calls dead, since it is being
// renewed. Where renewing was refused before, or scopes are missing anyway, a person
// is needed until it has worked.
func (s *Session) assumeUsable(i *inspection) {
	if c := s.view().of(i.token); c.exchange.err != nil || c.refusal() != nil || len(i.Missing) > 0 {
		return
	}
	i.Usable, i.Problem, i.Todo = true, "", ""
	i.Note = fmt.Sprintf("LinkedIn calls the access token %s; it is being renewed", i.LinkedIn)
}

// fallBack asks the API itself whether it accepts the token. It gives the name of
// the endpoint that decided it.
func (h *Heartbeat) fallBack(ctx context.Context, i *inspection) string {
	why := []error{i.Unchecked}
	for _, f := range h.opts.Fallbacks {
		err := f.Ask(ctx)
		var app *AppRefusedError
		var needed *ConsentNeededError
		switch {
		case err == nil:
			if c, err := h.session.current(ctx); err == nil { // the token may have been renewed for this
				in := c.lastAnswer()
				in.Active, in.Status = true, "active"
				*i = h.session.verdict(c.token, in, nil)
			}
			return f.Name
		case errors.As(err, &app):
			*i = h.session.verdict(i.token, Introspection{}, app)
			return f.Name
		case errors.As(err, &needed):
			i.Usable, i.Unchecked, i.Note = false, nil, ""
			i.fail(needed)
			return f.Name
		}
		why = append(why, err)
	}
	i.Unchecked = errors.Join(why...)
	return ""
}

// byHeartbeat marks the context of a Heartbeat's own requests.
type byHeartbeat struct{}

// wake has a Heartbeat look at the connection at once, except on account of its own
// requests: it looks at their outcome in any case.
func (s *Session) wake(ctx context.Context) {
	if ctx.Value(byHeartbeat{}) != nil {
		return
	}
	select {
	case s.wakeup <- struct{}{}:
	default: // it will look already
	}
}
