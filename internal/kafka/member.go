package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"go.uber.org/zap"

	"leadstream/internal/fault"
)

// inARow: two fencings with more time between them are two incidents, not a
// fight over the transactional id.
const inARow = 10 * time.Minute

// Member is a member of a group that shares out work. All of it but its connections and its
// assignment belongs to the goroutine of Run.
type Member struct {
	client     *Client
	cfg        GroupConfig
	work       func(context.Context) error
	heartbeat  func(context.Context, *kafkago.Generation) bool // asks whether a generation is still ours
	leaveGroup func(ctx context.Context, member string) error  // says that a member is gone
	conns      groupConns
	balancer   sticky

	// generation is the current one, nil between two; held says whether the
	// last one gave us the work.
	generation   *kafkago.Generation
	id           string         // the member id, to leave with; empty when there is none
	staleMembers sync.WaitGroup // on the way to say that former ids are gone
	held         bool
	waits        bool        // stands by, and has said so
	lost         *time.Timer // fires when the group has been silent for too long
	confirm      *time.Timer // fires when it is time to ask whether the work is still ours

	cancel   context.CancelFunc // ends the work under way; nil when none is
	done     chan error         // what the work returned
	yielding bool               // its context was cancelled by us
	doubted  bool               // work lost its epoch and is not confirmed yet

	fencedAt time.Time // the last fencing although the group confirmed us
	fenced   *EpochLostError
	failures int // to reach the group, in a row

	over    bool // ends as soon as no work is running, with failure
	failure error
}

// groupEvent is what the watcher reports: exactly one of its fields is set.
type groupEvent struct {
	began *kafkago.Generation
	ended *kafkago.Generation
	err   error
}

// Member is a member that runs work while the group says that the work is its own.
func (c *Client) Member(cfg GroupConfig, work func(context.Context) error) *Member {
	if cfg.Session == 0 {
		cfg.Session = defaultSession
	}
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = defaultHeartbeat
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.OnState == nil {
		cfg.OnState = func(bool) {}
	}
	cfg.Log = cfg.Log.With(zap.String("group", cfg.ID))
	if cfg.OnReach == nil {
		cfg.OnReach = func(err error) { sayReach(cfg.Log, err) }
	}
	m := &Member{client: c, cfg: cfg, work: work, heartbeat: c.stillMember, done: make(chan error, 1)}
	m.leaveGroup = func(ctx context.Context, member string) error { return c.leaveGroup(ctx, cfg.ID, member) }
	m.lost, m.confirm = time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	m.lost.Stop()
	m.confirm.Stop()
	return m
}

// Run joins the group and runs work while this member holds the topic's
// partitions. Another member's coming and going does not disturb it. When the
// work is given to somebody else, or nothing was heard from the group for
// longer than the session, work's context is cancelled and, after work has
// returned, this member stands by; work may be called again later.
//
// What work returns decides: nil ends the membership and Run returns
// nil. An error that matches ErrEpochLost: this member stands by until the
// group has confirmed who holds the work; where that is still this one, work is
// run again, but after two fencings in a row confirmed like this Run
// returns a *FencedError. Any other error is returned after leaving. An error
// that work returns once its context was cancelled is not looked at, unless
// its kind is Fatal.
//
// When ctx ends, work's context ends, and Run returns nil after work has
// returned and the group has been left. While the group is unreachable it
// waits, however long, and says so once. Other errors: ErrTopicMissing when the
// topic does not exist at the start, *AuthorizationError naming the group or
// the topic, *AuthenticationError.
//
// A group only shares out work: two members may both believe that they hold it
// for a moment. What keeps the second from writing is the transactional id.
func (m *Member) Run(ctx context.Context) error {
	if err := m.await(ctx); err != nil || ctx.Err() != nil {
		return stopped(ctx, err)
	}
	group, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID: m.cfg.ID, Brokers: m.client.addresses(), Dialer: m.conns.dialer(&m.client.pool.dialer), Topics: []string{m.cfg.Topic},
		GroupBalancers:    []kafkago.GroupBalancer{&m.balancer},
		HeartbeatInterval: m.cfg.Heartbeat, SessionTimeout: m.cfg.Session, RebalanceTimeout: m.cfg.Session,
		JoinGroupBackoff: m.cfg.Heartbeat, Timeout: groupTimeout,
	})
	if err != nil {
		return fmt.Errorf("preparing to join group %s: %w", m.cfg.ID, err)
	}
	return m.serve(ctx, group)
}

// serve lives until the work is over or ctx ends.
func (m *Member) serve(ctx context.Context, group *kafkago.ConsumerGroup) error {
	events := make(chan groupEvent)
	watching, stop := context.WithCancel(context.WithoutCancel(ctx)) // events are needed until the work has returned
	watcher := make(chan struct{})
	go func() {
		defer close(watcher)
		watch(watching, group, events)
	}()
	err := m.loop(ctx, watching, events)
	stop()
	m.leave(ctx, group)
	<-watcher
	m.staleMembers.Wait()
	return err
}

// watch reports the group's generations until ctx ends.
func watch(ctx context.Context, group *kafkago.ConsumerGroup, events chan<- groupEvent) {
	report := func(e groupEvent) {
		select {
		case events <- e:
		case <-ctx.Done():
		}
	}
	for {
		gen, err := group.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			report(groupEvent{err: err})
			continue
		}
		ended := make(chan struct{})
		gen.Start(func(ctx context.Context) {
			<-ctx.Done()
			close(ended)
		})
		report(groupEvent{began: gen})
		select {
		case <-ended:
			report(groupEvent{ended: gen})
		case <-ctx.Done():
			return // leaving ends the generation
		}
	}
}

// await waits until Kafka can be reached and the topic is known to exist.
func (m *Member) await(ctx context.Context) error {
	pause := fault.NewBackoff(m.cfg.Heartbeat, 10*time.Second)
	for {
		topics, err := m.client.Admin.DescribeTopics(ctx, []string{m.cfg.Topic})
		if err == nil {
			m.reached()
			if _, ok := topics[m.cfg.Topic]; !ok {
				return &TopicError{Topic: m.cfg.Topic, Index: -1, Err: ErrTopicMissing}
			}
			return nil
		}
		if _, away := errors.AsType[*UnreachableError](err); !away || ctx.Err() != nil {
			return err
		}
		m.failures = silentAfter - 1 // this one took patience already
		m.unreached(err)
		if err := pause.Wait(ctx, 0); err != nil {
			return err
		}
	}
}

func (m *Member) unreached(err error) {
	if m.failures++; m.failures != silentAfter {
		return
	}
	if todo := refusedByGroup(err); todo != "" {
		err = &GroupRefusedError{Group: m.cfg.ID, What: todo, Err: err}
	} else if _, known := errors.AsType[*UnreachableError](err); !known {
		err = &UnreachableError{Op: "reaching the consumer group", Err: err}
	}
	m.cfg.OnReach(err)
}

// refusedByGroup is what to do about an answer of the group that time does not fix;
// empty for any other error.
func refusedByGroup(err error) string {
	switch {
	case errors.Is(err, kafkago.InconsistentGroupProtocol):
		return "another program is a member of the group: give it, or this installation, another name"
	case errors.Is(err, kafkago.InvalidGroupId):
		return "give the installation another name"
	case errors.Is(err, kafkago.InvalidSessionTimeout):
		return "let the brokers take a session of 6 s: group.min.session.timeout.ms, group.max.session.timeout.ms"
	case errors.Is(err, kafkago.GroupMaxSizeReached):
		return "stop other members of the group, or raise the brokers' group.max.size"
	}
	return ""
}

func sayReach(log *zap.Logger, err error) {
	refused, ok := errors.AsType[*GroupRefusedError](err)
	switch {
	case err == nil:
		log.Info("the consumer group is back")
	case ok:
		log.Error("the consumer group does not take this process; trying again until it does", zap.Error(refused.Err), zap.String("todo", refused.Todo()))
	default:
		log.Warn("the consumer group is unreachable; trying again until it is back", zap.Error(err),
			zap.String("todo", "see that the brokers run; it goes on by itself once they answer"))
	}
}

func (m *Member) reached() {
	if m.failures >= silentAfter {
		m.cfg.OnReach(nil)
	}
	m.failures = 0
}

// loop handles one event after another; it returns once the membership is over
// and no work is running. ctx is the caller's; watching lasts until then.
func (m *Member) loop(ctx, watching context.Context, events <-chan groupEvent) error {
	stopping := ctx.Done()
	for !m.over || m.cancel != nil {
		select {
		case <-stopping:
			stopping = nil
			m.end(nil)
		case e := <-events:
			m.observe(ctx, e)
			if e.err != nil && !errors.Is(e.err, kafkago.RebalanceInProgress) {
				m.abandon(watching)
			}
		case <-m.lost.C:
			m.held = false
			m.balancer.held.Store(0)
			m.yield("the group has not been heard of for a session")
		case <-m.confirm.C:
			m.reconsider(ctx)
		case err := <-m.done:
			m.returned(err)
			m.start(ctx)
		}
	}
	return stopped(ctx, m.failure)
}

// end has the membership end with err as soon as the work has returned.
func (m *Member) end(err error) {
	if !m.over {
		m.over, m.failure = true, err
	}
	m.yield("")
}

// observe takes in what the group said.
func (m *Member) observe(ctx context.Context, e groupEvent) {
	switch {
	case errors.Is(e.err, kafkago.GroupAuthorizationFailed):
		m.end(&AuthorizationError{Resource: "group", Name: m.cfg.ID, Operation: "Read"})
	case errors.Is(e.err, kafkago.TopicAuthorizationFailed):
		m.end(&TopicError{Topic: m.cfg.Topic, Code: codeTopicAuthorization, Index: -1, Err: topicPermission(m.cfg.Topic, "Read")})
	case errors.Is(e.err, kafkago.RebalanceInProgress):
		// kafka-go joins again at once.
	case e.err != nil:
		m.unreached(e.err)
	case e.ended != nil:
		m.generation = nil
		m.confirm.Stop()
		// A rebalance is over within a heartbeat, or within the session of a
		// member that died.
		m.lost.Reset(m.cfg.Session + m.cfg.Heartbeat)
	case e.began != nil:
		m.reached()
		m.lost.Stop()
		m.joined(ctx, e.began)
	}
}

// abandon has the coordinator forget our member id. After a failure kafka-go
// joins under a new one, and a broker that comes back still knows the old one:
// everybody would wait until its session is over.
func (m *Member) abandon(ctx context.Context) {
	if m.id == "" {
		return
	}
	id := m.id
	m.id = ""
	m.staleMembers.Go(func() {
		pause := fault.NewBackoff(10*time.Millisecond, time.Second)
		for m.leaveGroup(ctx, id) != nil {
			if pause.Wait(ctx, 0) != nil {
				return
			}
		}
	})
}

// joined takes in a new generation.
func (m *Member) joined(ctx context.Context, gen *kafkago.Generation) {
	m.generation, m.id = gen, gen.MemberID
	m.held = len(gen.Assignments[m.cfg.Topic]) > 0
	if !m.held {
		m.balancer.held.Store(0)
		if m.cancel == nil && !m.waits {
			m.cfg.Log.Info("standing by", zap.String("reason", "another member has the work"), note(m.cfg.StandbyNote))
		}
		m.waits = true
		m.yield("another member has the work")
		return
	}
	m.waits = false
	m.balancer.held.Store(gen.ID)
	m.doubted = false // asked anew, and the work is ours
	m.start(ctx)
}

// note is a field of the log that is left out when there is nothing to say.
func note(text string) zap.Field {
	if text == "" {
		return zap.Skip()
	}
	return zap.String("note", text)
}

// start runs the work if it is ours to run and is not running.
func (m *Member) start(ctx context.Context) {
	if !m.held || m.generation == nil || m.cancel != nil || m.doubted || m.over || ctx.Err() != nil {
		return
	}
	m.cfg.Log.Info("active", zap.Int32("generation", m.generation.ID))
	m.cfg.OnState(true)
	working, cancel := context.WithCancel(ctx)
	m.cancel, m.yielding = cancel, false
	go func() { m.done <- m.work(working) }()
}

// yield has the work end, if it is running; why is for the log.
func (m *Member) yield(why string) {
	if m.cancel == nil || m.yielding {
		return
	}
	m.yielding = true
	m.cancel()
	if why != "" {
		m.cfg.Log.Info("standing by", zap.String("reason", why))
	}
}

// returned handles the end of the work.
func (m *Member) returned(err error) {
	m.cancel()
	m.cancel = nil
	m.cfg.OnState(false)
	switch {
	case m.yielding && fault.KindOf(err) == fault.Fatal, !m.yielding && !errors.Is(err, ErrEpochLost):
		m.end(err)
	case m.yielding:
	default:
		m.doubted = true
		m.fenced, _ = errors.AsType[*EpochLostError](err)
		m.cfg.Log.Warn("standing by until the group says whose the work is", zap.Error(err),
			zap.String("todo", "nothing: the work goes on here or in another process"))
		m.confirm.Reset(m.cfg.Heartbeat)
	}
}

// reconsider asks the group, after an epoch was lost, whether the work is
// still ours, and goes on if so. A group that has moved on ends our generation
// by itself, which settles the question.
func (m *Member) reconsider(ctx context.Context) {
	if m.generation == nil || !m.doubted {
		return
	}
	asking, cancel := context.WithTimeout(ctx, groupTimeout)
	defer cancel()
	if !m.heartbeat(asking, m.generation) {
		m.confirm.Reset(m.cfg.Heartbeat)
		return
	}
	m.doubted = false
	if m.fenced == nil || m.fenced.byAnother() {
		if !m.fencedAt.IsZero() && time.Since(m.fencedAt) < inARow {
			m.end(&FencedError{Group: m.cfg.ID, Err: fencing(m.fenced)})
			return
		}
		m.fencedAt = time.Now()
	}
	m.start(ctx)
}

func fencing(lost *EpochLostError) error {
	if lost == nil {
		return ErrEpochLost
	}
	return lost
}

// byAnother reports whether the loss looks like the work of another producer:
// the broker refused the epoch although the transaction had time left.
func (e *EpochLostError) byAnother() bool {
	return !e.Expired && (e.Code == codeProducerFenced || e.Code == codeProducerFencedOld)
}

// leave ends the membership and waits for it: the others are told at once,
// instead of waiting for the session to pass. A join that does not come to an
// end is cut off.
func (m *Member) leave(ctx context.Context, group *kafkago.ConsumerGroup) {
	timer := time.AfterFunc(leaveWithin, m.conns.close)
	err := group.Close()
	timer.Stop()
	if m.id == "" {
		return
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	if err := errors.Join(err, m.leaveGroup(leaving, m.id)); err != nil {
		m.cfg.Log.Warn("leaving the consumer group failed; the others wait for the session to pass", zap.Error(err), zap.String("todo", "nothing"))
	}
}
