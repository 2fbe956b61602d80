package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
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

	// openWithin is how long to wait until the transaction before has its
	// markers. None is open meanwhile, so the transaction timeout has no say.
	openWithin     = 30 * time.Second
	produceTimeout = 5 * time.Second // for the in-sync replicas to have a batch
	// requestBytes bounds one Produce request; brokers close the connection at
	// socket.request.max.bytes, 100 MiB, without a word.
	requestBytes = 16 << 20
	abortWithin  = 3 * time.Second // bounds the effort for an abort; the broker aborts by itself in the end
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
	t := &transaction{Producer: p, plan: pl, begun: time.Now()}
	if err = t.add(ctx); err == nil {
		err = t.write(ctx)
	}
	if errors.Is(err, errTimeUp) {
		err = &UnreachableError{Op: "writing a transaction", Err: err}
	}
	if err != nil {
		return nil, t.giveUp(ctx, err)
	}
	if err := t.commit(ctx); err != nil {
		return nil, err
	}
	last := make(map[TopicPartition]int64, len(pl.partitions))
	for i := range pl.shares {
		last[pl.shares[i].tp] = pl.shares[i].offset // rounds in turn
	}
	return last, nil
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

// add tells the coordinator of all partitions at once.
func (t *transaction) add(ctx context.Context) error {
	req := &addpartitionstotxn.Request{TransactionalID: t.id, ProducerID: t.pid, ProducerEpoch: t.epoch}
	at := map[string]int{}
	for _, tp := range t.plan.partitions {
		i, met := at[tp.Topic]
		if !met {
			i = len(req.Topics)
			at[tp.Topic] = i
			req.Topics = append(req.Topics, addpartitionstotxn.RequestTopic{Name: tp.Topic})
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, int32(tp.Partition))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, openWithin, errTimeUp)
	defer cancel()
	return t.repeat(ctx, "adding partitions to the transaction", func(ctx context.Context) error {
		if !t.open {
			t.begun = time.Now()
		}
		msg, err := t.ask(ctx, req, func(m protocol.Message) Code {
			_, code := refusedAdd(m.(*addpartitionstotxn.Response))
			return code
		})
		if err != nil {
			_, unanswered := errors.AsType[*transportError](err)
			t.open = t.open || unanswered || ctx.Err() != nil
			return err
		}
		topic, code := refusedAdd(msg.(*addpartitionstotxn.Response))
		if code == 0 {
			t.open = true
			return nil
		}
		return t.refusal(ctx, TopicPartition{Topic: topic}, code, "", -1)
	})
}

// refusedAdd is the code that stopped an AddPartitionsToTxn and a topic that
// has it: all or none are added, and the good ones carry code 55. A code that
// no repetition changes goes before one that may pass.
func refusedAdd(res *addpartitionstotxn.Response) (topic string, code Code) {
	for _, r := range res.Results {
		for _, p := range r.Results {
			got := Code(p.ErrorCode)
			if got == 0 || got == codeNotAttempted && code != 0 {
				continue
			}
			if code == 0 || code == codeNotAttempted || code.retriable() && !got.retriable() {
				topic, code = r.Name, got
			}
		}
	}
	return topic, code
}

// refusal gives a code about one partition its error.
func (t *transaction) refusal(ctx context.Context, tp TopicPartition, code Code, reason string, index int) error {
	switch {
	case code.epochLost():
		lost := t.lost("writing", code, nil)
		lost.Expired = t.expired()
		return lost
	case code == codeTopicAuthorization:
		return &TopicError{Topic: tp.Topic, Code: code, Index: -1, Err: topicPermission(tp.Topic, "Write")}
	case code == codeTxnIDAuthorization:
		return t.permission()
	case code == codeUnknownTopic:
		// Just created, or deleted: the metadata knows.
		topics, err := t.cluster.describe(ctx, []string{tp.Topic}, 0)
		if _, there := topics[tp.Topic]; err == nil && !there {
			return &TopicError{Topic: tp.Topic, Code: code, Index: -1, Err: ErrTopicMissing}
		}
		fallthrough
	case code.retriable():
		return &codeError{op: "writing to " + tp.Topic, code: code, reason: reason}
	default:
		return &TopicError{Topic: tp.Topic, Code: code, Reason: reason, Index: index}
	}
}

// expired reports whether the broker may have ended the transaction because
// its time was over.
func (t *transaction) expired() bool { return time.Since(t.begun) >= t.timeout*9/10 }

// produce writes one batch of each partition: one request per leader, one
// leader after another. Requests of one transaction that run at the same time
// are answered with code 19 while the broker verifies the other's partition.
func (t *transaction) produce(ctx context.Context, round int) error {
	var pending []*share
	for i := range t.plan.shares {
		if s := &t.plan.shares[i]; s.round == round {
			pending = append(pending, s)
		}
	}
	return t.repeat(ctx, "writing the records of the transaction", func(ctx context.Context) error {
		byLeader := map[int32][]*share{}
		for _, s := range pending {
			leader, err := t.cluster.leader(ctx, s.tp)
			if err != nil {
				return err
			}
			byLeader[leader] = append(byLeader[leader], s)
		}
		pending = pending[:0]
		var again error
		for _, leader := range slices.Sorted(maps.Keys(byLeader)) {
			for _, part := range portions(byLeader[leader]) {
				left, err := t.send(ctx, leader, part)
				if err != nil && !retriable(err) {
					return err
				}
				if err != nil {
					pending, again = append(pending, left...), err
				}
			}
		}
		return again
	})
}

// portions cuts the batches for one leader into requests of bounded size.
func portions(shares []*share) [][]*share {
	var all [][]*share
	start, size := 0, 0
	for i, s := range shares {
		if n := s.to - s.from; i > start && size+n > requestBytes {
			all = append(all, shares[start:i])
			start, size = i, n
		} else {
			size += n
		}
	}
	return append(all, shares[start:])
}

// send makes one Produce request and returns the batches to be sent again,
// with the reason.
func (t *transaction) send(ctx context.Context, leader int32, shares []*share) (left []*share, again error) {
	msg, err := t.cluster.askBroker(ctx, leader, t.request(shares))
	if err != nil {
		for _, s := range shares {
			s.unsure = true
			t.cluster.forget(s.tp.Topic) // another may lead now
		}
		return shares, err
	}
	answers := answersOf(msg.(*produce.Response))
	var refused error
	for _, s := range shares {
		a, ok := answers[s.tp]
		if !ok {
			return shares, t.lost("writing", 0, fmt.Errorf("no answer for %s", s.tp))
		}
		code := Code(a.ErrorCode)
		if code == 0 {
			s.offset, s.unsure = a.BaseOffset+int64(len(s.chosen))-1, false
			t.next[s.tp] = advance(s.sequence, len(s.chosen))
			continue
		}
		err := t.produceRefusal(ctx, s, a)
		if retriable(err) {
			t.cluster.forget(s.tp.Topic)
			// With these the batch may stand in the log.
			s.unsure = s.unsure || code == codeRequestTimedOut || code == codeNetworkException || code == codeNotEnoughAfterAppend
			left, again = append(left, s), err
		} else if refused == nil || errors.Is(err, ErrEpochLost) {
			refused = err
		}
	}
	if refused != nil {
		return nil, refused
	}
	return left, again
}

func (t *transaction) request(shares []*share) *rawproduce.Request {
	req := &rawproduce.Request{TransactionalID: t.id, Acks: -1, Timeout: int32(produceTimeout.Milliseconds())}
	for _, s := range shares {
		part := rawproduce.RequestPartition{
			Partition: int32(s.tp.Partition),
			RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(t.arena[s.from:s.to])},
		}
		if n := len(req.Topics); n > 0 && req.Topics[n-1].Topic == s.tp.Topic {
			req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, part)
			continue
		}
		req.Topics = append(req.Topics, rawproduce.RequestTopic{Topic: s.tp.Topic, Partitions: []rawproduce.RequestPartition{part}})
	}
	return req
}

func answersOf(res *produce.Response) map[TopicPartition]*produce.ResponsePartition {
	answers := map[TopicPartition]*produce.ResponsePartition{}
	for _, t := range res.Topics {
		for i := range t.Partitions {
			answers[TopicPartition{t.Topic, int(t.Partitions[i].Partition)}] = &t.Partitions[i]
		}
	}
	return answers
}

// produceRefusal gives the answer about one batch its error.
func (t *transaction) produceRefusal(ctx context.Context, s *share, a *produce.ResponsePartition) error {
	code := Code(a.ErrorCode)
	if code == codeMessageTooLarge {
		return &batchTooLarge{share: s}
	}
	reason, index := a.ErrorMessage, -1
	if len(s.chosen) == 1 && (code == codeInvalidRecord || code == codeInvalidTimestamp) {
		index = int(s.chosen[0])
	}
	if len(a.RecordErrors) > 0 {
		// The broker's words about a record name its place, not its content.
		if at := int(a.RecordErrors[0].BatchIndex); at >= 0 && at < len(s.chosen) {
			index = int(s.chosen[at])
		}
	}
	return t.refusal(ctx, s.tp, code, reason, index)
}

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
				t.cluster.log.Info("kafka answered the commit", zap.String("transactional_id", t.id), zap.Int("attempts", pause.Attempts()+1))
			}
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
			t.cluster.log.Warn("kafka does not answer a commit; it is repeated until it does",
				zap.String("transactional_id", t.id), zap.Stringer("code", code), zap.Error(err))
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
