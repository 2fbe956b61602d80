package oauth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
)

const (
	// lookEvery is how often the heartbeat looks whether another token is
	// stored, which costs LinkedIn nothing.
	lookEvery = reloadEvery
	// wakeEvery is the least time between two checks that requests of the API
	// set off by being refused.
	wakeEvery = 5 * time.Second
	// problemEvery is how often LinkedIn is asked while a person must act, when
	// it is not asked more often anyway.
	problemEvery = time.Minute
	// retryFirst is the wait after a check that LinkedIn did not answer; it
	// doubles, up to the usual time between two checks.
	retryFirst = 10 * time.Second
	// othersFirst is how long a token that LinkedIn calls dead is left to
	// whoever uses it: the request that it is refused to renews it. What is added
	// by chance keeps processes that stand by from renewing it together.
	othersFirst = 3 * time.Second
	// checkTime bounds one check.
	checkTime = 45 * time.Second
)

// Fallback is a call of the API that tells whether LinkedIn takes the token,
// for when introspection does not answer.
type Fallback struct {
	// Name is the endpoint's.
	Name string
	// Ask is nil when LinkedIn took the token, whatever it says of its rights; a
	// *ConsentNeededError or an *AppRefusedError when only a person can help;
	// any other error decides nothing. It goes through Transport.
	Ask func(ctx context.Context) error
}

// HeartbeatOptions say how a Heartbeat works.
type HeartbeatOptions struct {
	// Every is the time between two checks with LinkedIn when nothing happens.
	Every time.Duration
	// Fallbacks are asked in turn when introspection does not answer.
	Fallbacks []Fallback
	// Page is the address of the page on which a person can consent; it is named
	// in the log.
	Page string
	// Regained, if not nil, is called when the token becomes usable again and
	// when another consent was given. It must return at once.
	Regained func()
	// Log may be nil.
	Log *zap.Logger
}

// Health is the connection to LinkedIn as the heartbeat last found it.
type Health struct {
	Status
	// Known: there was a look at it.
	Known bool
	// Unread is why the store could not be read, which Problem says, too; nil when
	// it could or when what is held in memory is used on.
	Unread error
	// CheckedAt is when LinkedIn last said something of the token, zero when it
	// has not yet; CheckedBy is the endpoint that it said it by.
	CheckedAt time.Time
	CheckedBy string
}

// Heartbeat looks after the connection of a Session while others use it: it
// asks LinkedIn about the token now and then and whenever a request was refused,
// notices consents and logouts of other processes, renews what LinkedIn calls
// dead if nobody else does, and tells in the log what a person has to do, once
// an hour. It works in processes that stand by, too. Make it with NewHeartbeat,
// then call Run once; its other methods are safe for concurrent use.
type Heartbeat struct {
	session *Session
	opts    HeartbeatOptions
	log     *zap.Logger

	working     sync.Mutex // guards what follows, and lets one look run at a time
	begun       bool
	last        Token     // that was checked last
	checked     time.Time // when that was
	due         time.Time // for the next check
	unanswered  int       // checks in a row
	dying       dying
	reported    reported
	cannotStore bool // tokens could not be stored when it was tried last

	mu     sync.Mutex
	health Health
}

// dying is a token that LinkedIn calls dead and that may be renewed.
type dying struct {
	access string
	until  time.Time // it is left to others
}

// NewHeartbeat makes a Heartbeat; it does nothing yet.
func NewHeartbeat(s *Session, o HeartbeatOptions) *Heartbeat {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return &Heartbeat{session: s, opts: o, log: o.Log}
}

// Health is the connection as last found. It costs nothing.
func (h *Heartbeat) Health() Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.health
}

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
	h.working.Lock()
	h.due = time.Time{}
	h.working.Unlock()
	h.look(ctx)
}

// hurry has the next check made as soon as the last one is wakeEvery past.
func (h *Heartbeat) hurry() {
	h.working.Lock()
	defer h.working.Unlock()
	if soon := h.checked.Add(wakeEvery); soon.Before(h.due) {
		h.due = soon
	}
}

// wait is the time until the next look.
func (h *Heartbeat) wait() time.Duration {
	h.working.Lock()
	defer h.working.Unlock()
	return max(min(h.due.Sub(h.session.now()), lookEvery), 0)
}

// look checks the connection if it is time or another token is stored, and says
// what is to be said.
func (h *Heartbeat) look(ctx context.Context) {
	h.working.Lock()
	defer h.working.Unlock()
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

// check asks LinkedIn and takes the answer over.
func (h *Heartbeat) check(parent context.Context) {
	ctx, cancel := context.WithTimeout(context.WithValue(parent, quiet{}, true), checkTime)
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
	if i.Unchecked != nil {
		h.retry(i.Unchecked)
	} else {
		h.answered()
	}
	refused, _ := h.session.view().of(i.token).rejectedByAPI()
	switch {
	case i.Fresh:
		h.sooner(wakeEvery)
	case !i.Usable, refused, h.cannotStore:
		h.sooner(problemEvery)
	}
	h.publish(i, by)
}

// tryStore finds out whether tokens could be stored, long before it matters, and
// says so when it changes.
func (h *Heartbeat) tryStore(ctx context.Context) {
	store, ok := h.session.opts.Store.(trier)
	if !ok || h.session.opts.ReadOnly {
		return
	}
	err := store.Try(ctx)
	h.session.apply(storeTried{err})
	cannot := h.session.cannotStore() != nil
	switch {
	case cannot && !h.cannotStore:
		h.log.Error("LinkedIn's tokens could not be stored where they are kept: none is renewed and no consent is taken until that is mended",
			zap.Error(err), todoField(fault.TodoOf(err)))
	case !cannot && h.cannotStore:
		h.log.Info("LinkedIn's tokens can be stored again")
	}
	h.cannotStore = cannot
}

// sooner brings the next check forward.
func (h *Heartbeat) sooner(d time.Duration) {
	if at := h.checked.Add(d); at.Before(h.due) {
		h.due = at
	}
}

// publish makes the answer the health.
func (h *Heartbeat) publish(i inspection, by string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := Health{Status: i.Status, Known: true, CheckedAt: h.health.CheckedAt, CheckedBy: h.health.CheckedBy}
	switch {
	case i.token.IsZero():
		next.CheckedAt, next.CheckedBy = time.Time{}, ""
	case i.Unchecked == nil:
		next.CheckedAt, next.CheckedBy = h.checked, by
	default:
		switch {
		case !next.Usable:
			next.Note = "LinkedIn cannot be asked at the moment whether that is still so"
		case next.Note == "":
			next.Note = "LinkedIn could not be asked about the token; it is used on"
		}
	}
	h.health = next
}

// unreadable takes note that nothing is known of the token: the one before
// stands, unless a person must mend the store.
func (h *Heartbeat) unreadable(err error) {
	h.sooner(retryFirst)
	h.mu.Lock()
	defer h.mu.Unlock()
	person := fault.KindOf(err) == fault.Pause
	if !h.health.Known || person {
		todo := fault.TodoOf(err)
		problem := strings.TrimSuffix(err.Error(), "; "+todo)
		h.health = Health{Known: person, Unread: err, Status: Status{Problem: problem, Todo: todo, Wanted: h.session.opts.Scopes, Scopes: []string{}, Missing: []string{}}}
	}
}

// renewDead does for a token that LinkedIn calls dead what a request would do: it
// leaves the token to others for a moment, and then renews it.
func (h *Heartbeat) renewDead(ctx context.Context, i *inspection) {
	s, t := h.session, i.token
	c := s.view().of(t)
	now := c.now
	if t.Refresh == "" || c.mayRenew() != nil || !now.Before(t.RefreshExpiresAt) {
		return
	}
	if h.dying.access != t.Access {
		h.dying = dying{access: t.Access, until: now.Add(othersFirst + rand.N(othersFirst))}
	}
	if now.Before(h.dying.until) {
		s.assumeUsable(i)
		h.sooner(h.dying.until.Sub(now))
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

// assumeUsable takes a token for usable that LinkedIn calls dead, for it is being
// renewed. Where that was refused before, or scopes are missing anyway, a person
// is needed until it has worked.
func (s *Session) assumeUsable(i *inspection) {
	if c := s.view().of(i.token); c.exchange.err != nil || c.refusal() != nil || len(i.Missing) > 0 {
		return
	}
	i.Usable, i.Problem, i.Todo = true, "", ""
	i.Note = fmt.Sprintf("LinkedIn calls the access token %s; it is being renewed", i.LinkedIn)
}

// fallBack asks the API itself whether it takes the token. It gives the name of
// the endpoint that settled it.
func (h *Heartbeat) fallBack(ctx context.Context, i *inspection) string {
	var why []error
	for _, f := range h.opts.Fallbacks {
		err := f.Ask(ctx)
		var app *AppRefusedError
		var needed *ConsentNeededError
		switch {
		case err == nil:
			c, err := h.session.current(ctx) // it may have been renewed for this
			if err != nil {
				return f.Name
			}
			in := c.lastAnswer()
			in.Active, in.Status = true, "active"
			*i = h.session.verdict(c.token, in, nil)
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
	i.Unchecked = errors.Join(append([]error{i.Unchecked}, why...)...)
	return ""
}
