// Package connector decides which window to reconcile when, and what to do
// about each failure. One operation serves live polling, look-back, backfill,
// recovery, replay and the settling of deferred windows: read what LinkedIn has in a window
// of submission time, subtract what the topics hold, publish the rest together
// with the progress that says so.
package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/forms"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// LinkedIn is the reading side of the Lead Sync API. It has more than three
// methods because discovery reads four kinds of things; they share one
// implementation and one budget.
type LinkedIn interface {
	// Now is a lower bound of LinkedIn's clock; false before its first answer.
	Now() (time.Time, bool)
	// Moment is when to make a poll of the source that is meant for t, which it
	// gives a turn: later where LinkedIn's daily limit has requests spread, else the
	// time nearest to t at which a request makes Now more exact, as a poll reads up
	// to Now.
	Moment(src lead.Source, t time.Time) time.Time
	// Responses gives fn every response of the source in the window, a page at a
	// time, in any order, perhaps some twice. With a limit it may refuse a window
	// that holds more with an error that has TooMany() int, the rows it expects.
	Responses(ctx context.Context, src lead.Source, w lead.Window, limit int, fn func([]lead.Response) error) error
	// Response is one response by its id. Where it does not show the error is a
	// fault.Refusal: Gone, or Forbidden.
	Response(ctx context.Context, id string) (lead.Response, error)
	Organizations(ctx context.Context) ([]lead.Organization, error)
	Events(ctx context.Context, owner string) ([]lead.Event, error)
	Forms(ctx context.Context, owner string) ([]lead.Form, error)
	forms.LinkedIn
}

// Options say what a Connector does and with what.
type Options struct {
	LinkedIn LinkedIn
	Registry forms.Registry
	// Store makes the store of a new producer epoch.
	Store func() *delivery.Store
	// Requests and RestoreRequests carry the client's request counters over
	// restarts; both may be nil.
	Requests        func() json.RawMessage
	RestoreRequests func(json.RawMessage) error
	// DeletionLog are set where LinkedIn notifies this installation, Webhook and
	// Subscriber where it is to be asked to.
	DeletionLog *delivery.DeletionLog
	Webhook     string // URL
	Subscriber  Subscriber

	Organizations []string // URNs to restrict to; empty: all that are administered
	LeadTypes     []string
	Interval      time.Duration
	Discovery     time.Duration
	Lookback      time.Duration
	Backfill      time.Duration
	Choice        schema.Choice
	Concurrency   int
	Once          bool
	Replay        *ReplayOptions
	// Connection reports whether an error is about the connection to LinkedIn, which
	// another part of the program looks after, and whether that has said so in the
	// log; then the connector does not. It may be nil.
	Connection func(error) (about, said bool)
	// Process names this process in the checkpoint topic once it works; empty
	// leaves the topic without.
	Process string

	Metrics *Metrics
	Log     *zap.Logger
	Now     func() time.Time
}

// Connector runs the work of one installation. Each Run is one producer epoch.
type Connector struct {
	opts   Options
	ladder checkpoint.Ladder
	log    *zap.Logger

	issues    *Issues
	latencies latencies

	mu        sync.Mutex
	current   *leader           // nil while standing by
	last      Status            // of the last epoch, when standing by
	recovered chan struct{}     // closed and replaced by Resume
	said      map[string]string // what was logged of a thing last, see news
}

// New makes a connector. It does no I/O.
func New(o Options) *Connector {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	c := &Connector{opts: o, ladder: checkpoint.NewLadder(o.Interval, o.Lookback), log: o.Log, issues: NewIssues(o.Now, o.Log),
		recovered: make(chan struct{}), said: map[string]string{}}
	c.issues.connection = o.Connection
	c.last.Since = o.Now().UTC()
	o.Metrics.state.connector.Store(c)
	return c
}

// leader is the work of one producer epoch: everything that memory knows dies
// with it.
type leader struct {
	*Connector
	publisher publisher
	store     *delivery.Store // the publisher's, but for what any goroutine may call
	live      *dedup.View
	forms     *forms.Book
	since     time.Time // when it began
	shown     shown

	// current is progress, replays and deferred windows. A State is never changed: whoever
	// publishes replaces it once Kafka has acknowledged what makes it different.
	current atomic.Pointer[checkpoint.State]
	// unfit are the leads that Kafka refuses, and why; arena holds encoded values. Both are the
	// publisher's.
	unfit map[string]string
	arena []byte

	mu      sync.Mutex
	sources map[lead.Source]*sourceState
	orgs    []lead.Organization
	missed  []lead.Organization     // that discovery should have found as well
	events  map[string][]lead.Event // by owner
	// discovered: discovery has been through all organizations once.
	discovered bool
	// strangers are sources that LinkedIn notified of and that are not read.
	strangers map[lead.Source]bool

	group *errgroup.Group
	// sweeping has room for the backlogs that are worked through at once.
	sweeping chan struct{}
	// deferredWork lets one round of settling deferred windows run at a time.
	deferredWork sync.Mutex
	// refused has one while LinkedIn refused something since the roles were read.
	refused chan struct{}
	// marks counts what is read and what is recorded, so that nothing recorded is
	// taken for done because of what was read before.
	marks atomic.Uint64
	// until is the moment of LinkedIn's clock up to which --once reads.
	until time.Time
	out   leftOut
	apart atomic.Bool // our clock and LinkedIn's are
	// wake is closed and replaced when there may be new work for a backlog.
	wake chan struct{}
	// notice holds one when a deletion was recorded here. applied says that those of
	// before have been carried out, or tried as often as --once does, and pending deletions in
	// which topics some have not been.
	notice           chan struct{}
	deletionsApplied bool
	unappliedTopics  map[string]*unapplied
	// unreadableDeletion is why an entry of the deletions cannot be read, nil while all can.
	unreadableDeletion error
}

// sourceState is how a source fares.
type sourceState struct {
	success   time.Time
	polledTo  time.Time // end of the last window that was polled in this epoch
	advanced  time.Time // when its progress moved last, by our clock
	committed time.Time
	unsaved   bool  // progress in memory that is not in the topic yet
	err       error // why it cannot be read until somebody acts; nil while it can
	stuck     error // why --once has given its backlog up
	inbox     *pendingNotifications
	notified  bool // LinkedIn has a subscription to our webhook for it
}

// sweepsAtOnce bounds the rows in memory: each sweep holds up to four slices.
const sweepsAtOnce = 2

// Run does the work of one producer epoch until ctx ends (nil), the work that
// --once asks for is done (nil), the epoch is lost (kafka.ErrEpochLost) or
// something fatal happens.
func (c *Connector) Run(ctx context.Context) error {
	e, err := c.open(ctx)
	if err != nil {
		c.issues.resolveCleared() // to begin is another's work now
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer c.leave()
	group, ctx := errgroup.WithContext(ctx)
	e.group = group
	for _, src := range e.known() {
		e.start(ctx, src)
	}
	group.Go(func() error { return e.discoverLoop(ctx) })
	group.Go(func() error { return e.forms.WatchRegistry(ctx) })
	group.Go(func() error { return e.deferredLoop(ctx) })
	group.Go(func() error { return e.noticeLoop(ctx) })
	if c.opts.Subscriber != nil && !c.opts.Once {
		group.Go(func() error { return e.subscribeLoop(ctx) })
	}
	if c.opts.Replay != nil {
		group.Go(func() error { return e.replayLoop(ctx) })
	}
	if c.opts.Once {
		group.Go(func() error { return e.untilFinished(ctx) })
	}
	err = group.Wait()
	e.endPublisher()
	if err == nil || !endsLeadership(err) {
		if kept := e.saveProgress(ctx); kept != nil {
			c.log.Warn("progress since the last commit is not kept; the next start looks back for it", zap.Error(kept), zap.String("todo", "nothing"))
		}
	}
	if err == nil || errors.Is(err, errFinished) || errors.Is(err, context.Canceled) {
		return nil
	}
	c.issues.ReportSilently("", leaderWork, err) // the process ends with it, or the group says who goes on
	return err
}

// leaderWork is the work of an epoch as a whole.
const leaderWork = "the work"

// open begins the epoch and reads its progress, as long as it takes: Kafka away
// is waited for.
func (c *Connector) open(ctx context.Context) (*leader, error) {
	var state *checkpoint.State
	var store *delivery.Store
	since := c.opts.Now().UTC()
	err := c.retry(ctx, "", "opening the store", func(ctx context.Context) (err error) {
		store = c.opts.Store().As(c.opts.Process)
		store.TellTimeBy(c.opts.LinkedIn.Now)
		state, err = store.Open(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if c.opts.RestoreRequests != nil && state.Requests.Counters != nil {
		if err = c.opts.RestoreRequests(state.Requests.Counters); err != nil {
			return nil, fault.As(fault.Fatal, fmt.Errorf("restoring the request counters: %w", err))
		}
	}
	e := &leader{
		Connector: c, store: store, live: store.NewView(""), since: since, shown: newShown(state),
		sources: map[lead.Source]*sourceState{}, events: map[string][]lead.Event{}, wake: make(chan struct{}), sweeping: make(chan struct{}, sweepsAtOnce),
		notice: make(chan struct{}, 1), refused: make(chan struct{}, 1), unappliedTopics: map[string]*unapplied{}, unfit: map[string]string{}, strangers: map[lead.Source]bool{},
	}
	if e.forms, err = e.newForms(state.Forms); err != nil {
		return nil, err
	}
	state.Forms, state.Topics = nil, nil // the forms and the store have them now
	e.current.Store(state)
	e.startPublisher(ctx)
	c.issues.resolveCleared()
	c.mu.Lock()
	c.current = e
	c.mu.Unlock()
	c.opts.Metrics.active.Set(1)
	backlog := 0
	for _, p := range state.Sources {
		backlog += len(p.Backlog)
	}
	c.log.Info("working", zap.Int("sources", len(state.Sources)), zap.Int("forms", len(state.Forms)), zap.Int("deferred", len(state.Deferred)), zap.Int("backlog", backlog))
	return e, nil
}

func (c *Connector) leave() {
	status := c.Status()
	status.Active, status.Since = false, c.opts.Now().UTC()
	c.mu.Lock()
	c.current, c.last = nil, status
	c.mu.Unlock()
	c.issues.resolveCleared() // whatever it was, another's work meets it now
	c.opts.Metrics.active.Set(0)
	c.log.Info("no longer working")
}

// known are the sources of the checkpoint that are still wanted: they are
// polled at once, before discovery has answered.
func (e *leader) known() []lead.Source {
	e.mu.Lock()
	defer e.mu.Unlock()
	var sources []lead.Source
	for src := range e.state().Sources {
		if e.wantedSource(src) {
			sources = append(sources, src)
		}
	}
	return sources
}

// wantedSource reports whether the configuration asks for the source.
func (c *Connector) wantedSource(src lead.Source) bool {
	return c.wanted(src.Owner) && slices.Contains(c.opts.LeadTypes, src.Type)
}

// readOnce reports whether leads of the owner were read before: where that is
// refused now, a role was lost. The caller holds the mutex.
func (e *leader) readOnce(owner string) bool {
	for src := range e.state().Sources {
		if src.Owner == owner {
			return true
		}
	}
	return false
}

func (c *Connector) wanted(owner string) bool {
	return len(c.opts.Organizations) == 0 || slices.Contains(c.opts.Organizations, owner)
}

// start begins the work of a source, once.
func (e *leader) start(ctx context.Context, src lead.Source) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, running := e.sources[src]; running {
		return
	}
	pending := newPendingNotifications()
	e.sources[src] = &sourceState{inbox: pending}
	e.group.Go(func() error { return e.pollLoop(ctx, src) })
	e.group.Go(func() error { return e.backlogLoop(ctx, src) })
	if e.opts.DeletionLog != nil {
		e.group.Go(func() error { return e.pushLoop(ctx, src, pending) })
	}
}

// mark orders what is read from here on, or recorded, after all that was before.
func (e *leader) mark() checkpoint.ReadMark { return checkpoint.ReadMark(e.marks.Add(1)) }

// signal wakes the loops that wait for backlog.
func (e *leader) signal() {
	close(e.wake)
	e.wake = make(chan struct{})
}
