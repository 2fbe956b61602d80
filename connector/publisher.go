package connector

import (
	"cmp"
	"context"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
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
	live, bulk chan request
	ended      chan struct{} // closed once no message is taken any more
	stop       context.CancelFunc
}

// message is what the publisher is asked to do. The error is the answer to ask.
type message interface {
	handle(ctx context.Context, e *leader) error
}

// request is a message on its way.
type request struct {
	message
	done chan error // has room for one
}

// startPublisher has the publisher take messages until ctx ends or endPublisher is called.
func (e *leader) startPublisher(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	e.publisher = publisher{live: make(chan request), bulk: make(chan request), ended: make(chan struct{}), stop: stop}
	go func() {
		defer close(e.publisher.ended)
		for {
			select {
			case <-ctx.Done():
				return
			case r := <-e.publisher.live:
				r.done <- r.handle(ctx, e)
				continue
			default:
			}
			select {
			case <-ctx.Done():
				return
			case r := <-e.publisher.live:
				r.done <- r.handle(ctx, e)
			case r := <-e.publisher.bulk:
				r.done <- r.handle(ctx, e)
			}
		}
	}()
}

// endPublisher waits until the message at hand is done. Its owner may use the store then.
func (e *leader) endPublisher() {
	e.publisher.stop()
	<-e.publisher.ended
}

// ask gives the publisher a message and waits for the answer in it. What the publisher has
// begun it ends, also when ctx is over.
func (e *leader) ask(ctx context.Context, m message) error {
	inbox := e.publisher.live
	if lead.IsBackground(ctx) {
		inbox = e.publisher.bulk
	}
	r := request{m, make(chan error, 1)}
	select {
	case inbox <- r:
		return <-r.done
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-e.publisher.ended:
		return context.Canceled
	}
}

// state is what is known of progress, replays and deferred windows. It is not to be changed.
func (e *leader) state() *checkpoint.State { return e.current.Load() }

// loaded gives the views what was read for them.
type loaded struct{ loads []*delivery.Load }

func (m *loaded) handle(_ context.Context, e *leader) (err error) {
	for _, l := range m.loads { // each is to be finished
		err = cmp.Or(err, e.store.Loaded(l))
	}
	return err
}

// load reads what views lack of the topics, while others publish.
func (e *leader) load(ctx context.Context, loads []*delivery.Load) error {
	for _, l := range loads {
		e.store.Read(ctx, l)
	}
	return e.ask(ctx, &loaded{loads})
}

// unknownTopics asks which topics of forms are not known to exist.
type unknownTopics struct {
	forms []string
	looks delivery.Looks
}

func (m *unknownTopics) handle(_ context.Context, e *leader) error {
	m.looks = e.store.Unknown(m.forms)
	return nil
}

// learnTopics takes topics into use.
type learnTopics struct {
	looks     delivery.Looks
	refused   map[string]error
	recreated []*delivery.TopicRecreatedError
}

func (m *learnTopics) handle(ctx context.Context, e *leader) (err error) {
	m.refused, err = e.store.Learn(ctx, m.looks)
	m.recreated = e.store.Recreated()
	return err
}

// ensureTopics makes the topics of these forms exist and be known. refused has an entry for
// each whose topic cannot be written to, recreated are those that are others than before.
func (e *leader) ensureTopics(ctx context.Context, forms []string) (refused map[string]error, recreated []*delivery.TopicRecreatedError, err error) {
	unknown := &unknownTopics{forms: forms}
	if err := e.ask(ctx, unknown); err != nil {
		return nil, nil, err
	}
	if err := e.store.LookAt(ctx, unknown.looks); err != nil {
		return nil, nil, err
	}
	learn := &learnTopics{looks: unknown.looks}
	err = e.ask(ctx, learn)
	return learn.refused, learn.recreated, err
}

// lookedUp takes in which elements that cannot be read were found published.
type lookedUp struct{ lookups delivery.Lookups }

func (m *lookedUp) handle(_ context.Context, e *leader) error {
	e.store.LookedUp(m.lookups)
	return nil
}

// lookUp looks for elements among the published leads, while others publish.
func (e *leader) lookUp(ctx context.Context, lookups delivery.Lookups) error {
	failed := e.store.LookUp(ctx, lookups)
	return cmp.Or(e.ask(ctx, &lookedUp{lookups}), failed)
}

// setProgress sets the progress of a source in memory.
type setProgress struct {
	source lead.Source
	to     checkpoint.Progress
}

func (m *setProgress) handle(_ context.Context, e *leader) error {
	next := e.state().Clone()
	next.Sources[m.source] = m.to
	e.current.Store(next)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.signal()
	return nil
}

// setReplay records where a replay stands.
type setReplay struct {
	id string
	to checkpoint.Replay
}

func (m *setReplay) handle(ctx context.Context, e *leader) error {
	if err := e.store.Commit(ctx, delivery.Batch{Records: checkpoint.Records{checkpoint.ReplayKey(m.id): m.to}}); err != nil {
		return err
	}
	next := e.state().Clone()
	next.Replays[m.id] = m.to
	e.current.Store(next)
	return nil
}

// resolveDeadLetter removes a dead letter that has been dealt with.
type resolveDeadLetter struct{ key string }

func (m *resolveDeadLetter) handle(ctx context.Context, e *leader) error {
	return e.store.Commit(ctx, delivery.Batch{Resolved: []string{m.key}})
}

// recordAccess records which organizations can be read.
type recordAccess struct{}

func (recordAccess) handle(ctx context.Context, e *leader) error {
	e.mu.Lock()
	batch := delivery.Batch{Records: checkpoint.Records{checkpoint.OrganizationsKey: e.shown.owners}}
	e.mu.Unlock()
	committed := e.addTopicState(&batch)
	err := e.store.Commit(ctx, batch)
	if err == nil {
		committed()
	}
	return err
}

// deletedOf asks which responses, given with when each was submitted, are deleted since.
type deletedOf struct {
	submitted map[string]time.Time
	ids       []string
}

func (m *deletedOf) handle(_ context.Context, e *leader) error {
	m.ids = e.store.Deleted(m.submitted)
	return nil
}

// takeDeletions takes in deletions that were recorded.
type takeDeletions struct {
	recorded   *delivery.Recorded
	pending    int
	scans      delivery.Scans // to be read before they are carried out
	unreadable error          // of an entry that cannot be read
}

func (m *takeDeletions) handle(_ context.Context, e *leader) error {
	m.pending, m.scans = e.store.TakeDeletions(m.recorded)
	m.unreadable = e.store.UnreadableDeletion()
	return nil
}

// carryOut carries out the pending deletions.
type carryOut struct{ applied int }

func (m *carryOut) handle(ctx context.Context, e *leader) (err error) {
	m.applied, err = e.store.ApplyDeletions(ctx)
	return err
}
