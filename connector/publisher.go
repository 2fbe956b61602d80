package connector

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"sync/atomic"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/forms"
	"leadstream/internal/lead"
)

// The publisher is one goroutine, the only one that commits. It owns the store of the
// producer epoch and the state that commits change, so that nobody publishes between its
// look at what the topics hold and its commit. It never reads Kafka: what it must know
// first it names in its answer, and whoever asked prepares that and asks again.
//
// Whoever wants something of it sends a message, which holds the answer as well. Live work
// goes before work that can wait.
type publisher struct {
	*Connector
	store *delivery.Store // the publisher's, but for what any goroutine may call
	forms *forms.Book

	live, bulk chan request
	ended      chan struct{} // closed once no message is taken any more
	stop       context.CancelFunc
	current    atomic.Pointer[moment]

	// marks counts what is read and what is recorded, so that nothing recorded is
	// taken for done because of what was read before.
	marks atomic.Uint64

	// The rest is touched by the publisher's goroutine alone.

	committed            map[lead.Source]time.Time // when the progress of a source was written last
	unsaved              map[lead.Source]bool      // its progress in memory is not in the topic yet
	saved                checkpoint.Organizations  // as the topic has them; unsavedOrganizations when the state has others
	unsavedOrganizations bool
	unfit                map[string]string // leads that Kafka refuses, and why
	out                  leftOut
	arena                []byte // of encoded values
}

// moment is the state at a moment; changed is closed when there is a newer one.
type moment struct {
	state   *checkpoint.State
	changed chan struct{}
}

// message is what the publisher is asked to do. The error is the answer to ask.
type message interface {
	handle(ctx context.Context, p *publisher) error
}

// request is a message on its way.
type request struct {
	message
	done chan error // has room for one
}

// newPublisher is the publisher of what was read of the checkpoint topic. It takes no messages
// before it is started.
func newPublisher(c *Connector, store *delivery.Store, state *checkpoint.State) *publisher {
	p := &publisher{Connector: c, store: store, committed: map[lead.Source]time.Time{}, unsaved: map[lead.Source]bool{},
		saved: state.Organizations, unfit: map[string]string{}}
	p.current.Store(&moment{state, make(chan struct{})})
	return p
}

// start has the publisher take messages until ctx ends or end is called.
func (p *publisher) start(ctx context.Context) {
	ctx, p.stop = context.WithCancel(ctx)
	p.live, p.bulk, p.ended = make(chan request), make(chan request), make(chan struct{})
	go func() {
		defer close(p.ended)
		for {
			select {
			case <-ctx.Done():
				return
			case r := <-p.live:
				r.done <- r.handle(ctx, p)
				continue
			default:
			}
			select {
			case <-ctx.Done():
				return
			case r := <-p.live:
				r.done <- r.handle(ctx, p)
			case r := <-p.bulk:
				r.done <- r.handle(ctx, p)
			}
		}
	}()
}

// end waits until the message at hand is done. Its owner may use the store then.
func (p *publisher) end() {
	p.stop()
	<-p.ended
}

// ask gives the publisher a message and waits for the answer in it. What the publisher has
// begun it ends, also when ctx is over.
func (p *publisher) ask(ctx context.Context, m message) error {
	inbox := p.live
	if lead.IsBackground(ctx) {
		inbox = p.bulk
	}
	r := request{m, make(chan error, 1)}
	select {
	case inbox <- r:
		return <-r.done
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.ended:
		return context.Canceled
	}
}

// state is what is known of progress, replays and deferred windows. It is never changed:
// whoever publishes replaces it once Kafka has acknowledged what makes it different.
func (p *publisher) state() *checkpoint.State { return p.current.Load().state }

// mark orders what is read from here on, or recorded, after all that was before.
func (p *publisher) mark() checkpoint.ReadMark { return checkpoint.ReadMark(p.marks.Add(1)) }

// become replaces the state, and wakes who waits for that.
func (p *publisher) become(next *checkpoint.State) {
	close(p.current.Swap(&moment{next, make(chan struct{})}).changed)
}

// loaded gives the views what was read for them.
type loaded struct{ loads []*delivery.Load }

func (m *loaded) handle(_ context.Context, p *publisher) (err error) {
	for _, l := range m.loads { // each is to be finished
		err = cmp.Or(err, p.store.Loaded(l))
	}
	return err
}

// unknownTopics asks which topics of forms are not known to exist.
type unknownTopics struct {
	forms []string
	looks delivery.Looks
}

func (m *unknownTopics) handle(_ context.Context, p *publisher) error {
	m.looks = p.store.Unknown(m.forms)
	return nil
}

// learnTopics takes topics into use.
type learnTopics struct {
	looks     delivery.Looks
	refused   map[string]error
	recreated []*delivery.TopicRecreatedError
}

func (m *learnTopics) handle(ctx context.Context, p *publisher) (err error) {
	m.refused, err = p.store.Learn(ctx, m.looks)
	m.recreated = p.store.Recreated()
	return err
}

// lookedUp takes in which elements that cannot be read were found published.
type lookedUp struct{ lookups delivery.Lookups }

func (m *lookedUp) handle(_ context.Context, p *publisher) error {
	p.store.DeadLetters.LookedUp(m.lookups)
	return nil
}

// setProgress sets the progress of a source in memory.
type setProgress struct {
	source lead.Source
	to     checkpoint.Progress
}

func (m *setProgress) handle(_ context.Context, p *publisher) error {
	next := p.state().Clone()
	next.Sources[m.source] = m.to
	p.become(next)
	return nil
}

// setReplay records where a replay stands.
type setReplay struct {
	id string
	to checkpoint.Replay
}

func (m *setReplay) handle(ctx context.Context, p *publisher) error {
	if err := p.store.Commit(ctx, delivery.Batch{Records: checkpoint.Records{checkpoint.ReplayKey(m.id): m.to}}); err != nil {
		return err
	}
	next := p.state().Clone()
	next.Replays[m.id] = m.to
	p.become(next)
	return nil
}

// resolveDeadLetter removes a dead letter that has been dealt with.
type resolveDeadLetter struct{ key string }

func (m *resolveDeadLetter) handle(ctx context.Context, p *publisher) error {
	return p.store.Commit(ctx, delivery.Batch{Resolved: []string{m.key}})
}

// setOrganizations takes in which organizations there are. They are written with the next
// transaction; that one can be read, or cannot any more, is worth one of its own, since nothing
// else may be committed where the only one has lost its role, and processes that stand by would
// go on calling it readable.
type setOrganizations struct{ to checkpoint.Organizations }

func (m *setOrganizations) handle(ctx context.Context, p *publisher) error {
	if !reflect.DeepEqual(p.state().Organizations, m.to) {
		next := p.state().Clone()
		next.Organizations = m.to
		p.unsavedOrganizations = true
		p.become(next)
	}
	if maps.Equal(problems(m.to), problems(p.saved)) {
		return nil
	}
	err := p.store.Commit(ctx, delivery.Batch{Records: checkpoint.Records{checkpoint.OrganizationsKey: m.to}})
	if err == nil {
		p.saved, p.unsavedOrganizations = m.to, false
	}
	return err
}

// problems are the reasons why organizations that are wanted cannot be read.
func problems(owners checkpoint.Organizations) map[string]string {
	of := map[string]string{}
	for _, o := range owners.Known {
		if o.Problem != "" && !o.Incidental {
			of[o.URN] = o.Problem
		}
	}
	return of
}

// deletedOf asks which responses, given with when each was submitted, are deleted since.
type deletedOf struct {
	submitted map[string]time.Time
	ids       []string
}

func (m *deletedOf) handle(_ context.Context, p *publisher) error {
	m.ids = p.store.Deletions.After(m.submitted)
	return nil
}

// takeDeletions takes in deletions that were recorded.
type takeDeletions struct {
	recorded   *delivery.Recorded
	pending    int
	scans      delivery.Scans // to be read before they are carried out
	unreadable error          // of an entry that cannot be read
}

func (m *takeDeletions) handle(_ context.Context, p *publisher) error {
	m.pending, m.scans = p.store.Deletions.Take(m.recorded)
	m.unreadable = p.store.Deletions.Unreadable()
	return nil
}

// carryOut carries out the pending deletions.
type carryOut struct{ applied int }

func (m *carryOut) handle(ctx context.Context, p *publisher) (err error) {
	m.applied, err = p.store.Deletions.Apply(ctx)
	return err
}
