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
)

const (
	// openWithin is how long to wait until the transaction before has its
	// markers. None is open meanwhile, so the transaction timeout has no say.
	openWithin     = 30 * time.Second
	produceTimeout = 5 * time.Second // for the in-sync replicas to have a batch
	// requestBytes bounds one Produce request; brokers close the connection at
	// socket.request.max.bytes, 100 MiB, without a word.
	requestBytes = 16 << 20
)

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
		topics, err := t.client.describe(ctx, []string{tp.Topic}, 0)
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
			leader, err := t.client.leader(ctx, s.tp)
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
	msg, err := t.client.askBroker(ctx, leader, t.request(shares))
	if err != nil {
		for _, s := range shares {
			s.unsure = true
			t.client.forget(s.tp.Topic) // another may lead now
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
			t.client.forget(s.tp.Topic)
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
