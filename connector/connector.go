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
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/forms"
	"leadstream/internal/kafka"
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
	last      Status            // of the last session, when standing by
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

// leader is the work of one producer epoch: a session and what works in it.
type leader struct {
	*session
	since     time.Time // when it began
	group     *errgroup.Group
	discovery *discovery
	deletions *deletions
	deferrer  *deferrer
}

// sweepsAtOnce bounds the rows in memory: each sweep holds up to four slices.
const sweepsAtOnce = 2

// Run does the work of one producer epoch until ctx ends (nil), the work that
// --once asks for is done (nil), the session is lost (kafka.ErrEpochLost) or
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
	for src := range e.state().Sources { // polled at once, before discovery has answered
		if e.wantedSource(src) {
			e.start(ctx, src)
		}
	}
	work := []func(context.Context) error{e.discovery.run, e.forms.WatchRegistry, e.deferrer.run, e.deletions.run}
	if c.opts.Subscriber != nil && !c.opts.Once {
		work = append(work, (&subscriptions{e.session}).run)
	}
	if c.opts.Replay != nil {
		work = append(work, (&replayer{e.session, *c.opts.Replay}).run)
	}
	if c.opts.Once {
		work = append(work, e.untilFinished)
	}
	for _, run := range work {
		group.Go(func() error { return run(ctx) })
	}
	err = group.Wait()
	e.publisher.end()
	if err == nil || !kafka.EndsSession(err) {
		if kept := e.publisher.saveProgress(ctx); kept != nil {
			c.log.Warn("progress since the last commit is not kept; the next start looks back for it", zap.Error(kept), zap.String("todo", "nothing"))
		}
	}
	if err == nil || errors.Is(err, errFinished) || errors.Is(err, context.Canceled) {
		return nil
	}
	c.issues.ReportSilently("", leaderWork, err) // the process ends with it, or the group says who goes on
	return err
}

// leaderWork is the work of a session as a whole.
const leaderWork = "the work"

// open begins the session and reads its progress, as long as it takes: Kafka away
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
	e, err := c.newLeader(store, state, since)
	if err != nil {
		return nil, err
	}
	e.publisher.start(ctx)
	c.issues.resolveCleared()
	c.mu.Lock()
	c.current = e
	c.mu.Unlock()
	c.opts.Metrics.active.Set(1)
	backlog := 0
	for _, p := range state.Sources {
		backlog += len(p.Backlog)
	}
	c.log.Info("working", zap.Int("sources", len(state.Sources)), zap.Int("forms", len(e.forms.All())), zap.Int("deferred", len(state.Deferred)), zap.Int("backlog", backlog))
	return e, nil
}

// newLeader is the work of a store that was opened.
func (c *Connector) newLeader(store *delivery.Store, state *checkpoint.State, since time.Time) (*leader, error) {
	p := newPublisher(c, store, state)
	s := &session{Connector: c, publisher: p, store: store, live: store.NewView(""), sources: newSources(), catalog: newCatalog(state.Organizations),
		sweeping: make(chan struct{}, sweepsAtOnce), refused: make(chan struct{}, 1)}
	book, err := s.newForms(state.Forms)
	if err != nil {
		return nil, err
	}
	s.forms, p.forms = book, book
	state.Forms, state.Topics = nil, nil // the forms and the store have them now
	e := &leader{session: s, since: since, deferrer: &deferrer{session: s}, deletions: &deletions{session: s, recorded: make(chan struct{}, 1)}}
	e.discovery = &discovery{session: s, start: e.start}
	return e, nil
}

// start begins the work of a source, once.
func (l *leader) start(ctx context.Context, src lead.Source) {
	pending, added := l.sources.add(src)
	if !added {
		return
	}
	work := []func(context.Context) error{(&poller{session: l.session, src: src, onceFor: onceClock}).run, (&backfiller{l.session, src}).run}
	if l.opts.DeletionLog != nil {
		work = append(work, (&notified{l.session, src, pending}).run)
	}
	for _, run := range work {
		l.group.Go(func() error { return run(ctx) })
	}
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

// wantedSource reports whether the configuration asks for the source.
func (c *Connector) wantedSource(src lead.Source) bool {
	return c.wanted(src.Owner) && slices.Contains(c.opts.LeadTypes, src.Type)
}

func (c *Connector) wanted(owner string) bool {
	return len(c.opts.Organizations) == 0 || slices.Contains(c.opts.Organizations, owner)
}
