package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
)

const (
	// MaxPartitions is the most partitions that one transaction should touch.
	// Over 1,000 a transaction takes a quarter of a second on a broker at
	// leisure, but its markers were seen to take more than ten on a busy one
	// that wrote to these partitions for the first time; and no other
	// transaction of the id can begin before all are written.
	MaxPartitions = 200

	abortWithin = 3 * time.Second // bounds the effort for an abort; the broker aborts by itself in the end
	// settleWithin is how long a commit that was sent is still followed up
	// after the context has ended.
	settleWithin = 5 * time.Second
)

// errTimeUp ends the attempts to open a transaction, and those of one that
// would outlive its timeout.
var errTimeUp = errors.New("the time for the transaction is up")

// Commit writes all messages in ONE transaction and returns the offset of the
// last record of each partition. In each partition they stand in the order
// given. When it returns nil they are committed: read_committed consumers see
// all of them as soon as the markers are written, a few milliseconds later.
//
// Retries happen inside, with the same bytes, until the context ends or two
// thirds of the transaction timeout have passed since it was opened. Errors:
//   - ErrEpochLost: call Init and read back what the topics hold. Only with
//     InDoubt may the transaction have been committed.
//   - *TopicError: one topic refuses; nothing was written, the producer is good.
//   - anything else: nothing was written, the producer is good.
//
// A commit that was sent and not answered is repeated for as long as ctx
// lasts and a little longer; it is never turned into an abort.
func (p *Producer) Commit(ctx context.Context, msgs []Message) (map[TopicPartition]int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(msgs) == 0 {
		return nil, nil
	}
	if !p.live {
		return nil, p.lost("committing", 0, errors.New("not initialised since"))
	}
	defer p.tidy()
	for {
		offsets, err := p.transact(ctx, msgs)
		if refused, ok := errors.AsType[*TopicError](err); ok && refused.Index >= len(msgs) {
			refused.Index = -1 // the manifest, which the caller knows nothing of
		}
		refused, ok := errors.AsType[*batchTooLarge](err)
		if !ok {
			return offsets, err
		}
		// Aborted by now. Smaller batches are tried in a new transaction.
		if err := p.shrink(ctx, refused.share); err != nil {
			return nil, err
		}
	}
}

// keptArena is how much encoding memory an idle producer keeps.
const keptArena = 4 << 20

func (p *Producer) tidy() {
	if cap(p.arena) > keptArena {
		p.arena = nil
	}
}

// batchTooLarge is a batch above the limit of its topic.
type batchTooLarge struct{ share *share }

func (e *batchTooLarge) Error() string {
	return (&TopicError{Topic: e.share.tp.Topic, Code: codeMessageTooLarge, Index: -1}).Error()
}

// transaction is one attempt to write a plan.
type transaction struct {
	*Producer
	plan *plan
	// begun is when the broker's clock may have begun to run.
	begun time.Time
	// open: the coordinator may have added a partition, so that there is
	// something to end.
	open bool
}

func (p *Producer) transact(ctx context.Context, msgs []Message) (map[TopicPartition]int64, error) {
	pl, err := p.plan(ctx, msgs)
	if err != nil {
		return nil, err
	}
	if err := p.carryOut(ctx, pl); err != nil {
		return nil, err
	}
	last := make(map[TopicPartition]int64, len(pl.partitions))
	for i := range pl.shares {
		last[pl.shares[i].tp] = pl.shares[i].offset // rounds in turn
	}
	return last, nil
}

func (p *Producer) begin(pl *plan) *transaction {
	return &transaction{Producer: p, plan: pl, begun: time.Now()}
}

// carryOut makes a plan durable, or nothing of it.
func (p *Producer) carryOut(ctx context.Context, pl *plan) error {
	if err := p.settleEarlier(ctx, pl.partitions); err != nil {
		return err
	}
	t := p.begin(pl)
	err := t.add(ctx)
	if err == nil {
		err = t.write(ctx)
	}
	if errors.Is(err, errTimeUp) {
		late := &UnreachableError{Op: "writing a transaction", Err: err}
		if answer, ok := errors.AsType[*codeError](err); ok {
			late.Hint = answer.code.hint()
		}
		err = late
	}
	if err != nil {
		return t.giveUp(ctx, err)
	}
	return t.commit(ctx)
}

// close records how the transaction ended.
func (t *transaction) close(committed bool) {
	for _, tp := range t.plan.partitions {
		t.ended[tp] = committed
	}
	for i := range t.plan.shares { // rounds in turn
		s := &t.plan.shares[i]
		delete(t.committed, s.tp) // what was there before was seen to be ended
		if s.offset >= 0 {
			t.awaiting[s.tp] = awaitingMarker{s.offset, time.Now()}
		}
	}
	if m := t.manifests; m != nil && committed {
		m.begun = m.begun || t.plan.manifest
		for _, w := range t.plan.written {
			t.committed[TopicPartition{w.Topic, w.Partition}] = w
		}
	}
}

// write writes all batches within the time that the broker gives.
func (t *transaction) write(ctx context.Context) error {
	ctx, cancel := context.WithDeadlineCause(ctx, t.begun.Add(t.timeout*2/3), errTimeUp)
	defer cancel()
	for round := range t.plan.rounds {
		if err := t.produce(ctx, round); err != nil {
			return err
		}
	}
	return context.Cause(ctx) // the last moment to turn back
}

// repeat does one step of the transaction until its error is not one that the
// same request may get over, or the time is up.
func (t *transaction) repeat(ctx context.Context, op string, do func(context.Context) error) error {
	pause := fault.NewBackoff(time.Millisecond, time.Second)
	for {
		err := do(ctx)
		if err == nil || !retriable(err) {
			return err
		}
		if pause.Wait(ctx, 0) != nil {
			return fmt.Errorf("%s: %w (last failure: %w)", op, context.Cause(ctx), err)
		}
	}
}

// expired reports whether the broker may have ended the transaction because
// its time was over.
func (t *transaction) expired() bool { return time.Since(t.begun) >= t.timeout*9/10 }

// commit ends the transaction for good. From the first request on there is no
// way back: without an answer it asks again until there is one.
func (t *transaction) commit(ctx context.Context) error {
	ending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		// A grace, so that a commit on its way is followed up.
		if fault.Sleep(ending, settleWithin) == nil {
			cancel()
		}
	})
	defer stop()
	pause := fault.NewBackoff(time.Millisecond, time.Second)
	warned := false
	for {
		code, err := t.end(ending, true)
		if err == nil && code == 0 {
			if warned {
				t.client.log.Info("kafka answered the commit", zap.String("transactional_id", t.id), zap.Int("attempts", pause.Attempts()+1))
			}
			t.close(true)
			return nil
		}
		if err == nil && !code.retriable() {
			return t.uncommitted(code, nil, pause.Attempts() > 0)
		}
		if err != nil && !retriable(err) && ending.Err() == nil {
			return t.uncommitted(0, err, true)
		}
		if time.Since(t.begun) > t.timeout && !warned {
			warned = true
			t.client.log.Warn("kafka does not answer a commit; it is repeated until it does",
				zap.String("transactional_id", t.id), zap.Stringer("code", code), zap.Error(err),
				zap.String("todo", "see that the brokers run, with enough replicas in sync"))
		}
		if pause.Wait(ending, 0) != nil {
			return t.uncommitted(code, errors.Join(context.Cause(ctx), err), true)
		}
	}
}

// uncommitted is a commit that was not confirmed. An answer to the very first
// request is certain; after that, an earlier one may have been carried out.
func (t *transaction) uncommitted(code Code, cause error, doubt bool) error {
	lost := t.lost("committing", code, cause)
	lost.InDoubt = doubt
	lost.Expired = t.expired()
	return lost
}

// giveUp aborts what was begun and returns the error to report. What it
// returns as anything but ErrEpochLost leaves the producer good.
func (t *transaction) giveUp(ctx context.Context, cause error) error {
	if errors.Is(cause, ErrEpochLost) {
		return cause
	}
	if !t.open {
		return cause
	}
	aborting, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortWithin)
	defer cancel()
	err := t.repeat(aborting, "aborting the transaction", func(ctx context.Context) error {
		code, err := t.end(ctx, false)
		if err == nil && code == 0 {
			t.close(false)
		}
		if err != nil || code == 0 {
			return err
		}
		if code.epochLost() {
			return t.lost("aborting", code, nil)
		}
		return &codeError{op: "aborting the transaction", code: code}
	})
	if err != nil {
		// The refusal that led here is met again after Init; it must not be
		// taken for one that leaves the producer good.
		lost := t.lost("aborting", 0, err)
		lost.Expired = t.expired()
		return lost
	}
	if slices.ContainsFunc(t.plan.shares, func(s share) bool { return s.unsure }) {
		// Aborted for certain, but the next sequence number is not known.
		if _, refused := errors.AsType[*TopicError](cause); refused {
			cause = errors.New(cause.Error()) // cut off, for the same reason as above
		}
		return t.lost("writing", 0, cause)
	}
	return cause
}
