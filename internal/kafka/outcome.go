package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/segmentio/kafka-go/protocol"
)

// describeTransactions is a request that kafka-go does not have. Kafka has it
// from 3.0 on.
const describeTransactions protocol.ApiKey = 65

// answerLimit guards the memory against an answer that is not one.
const answerLimit = 4 << 20

// outcome reports whether the last transaction of the id was committed, as far as
// its coordinator knows: one that is open or being ended is asked for again when
// InitProducerId, which is answered only after that, is repeated. What the
// coordinator forgot because of an InitProducerId of ours is remembered. False
// stands for an id without a transaction as well, and for a Kafka that cannot be
// asked. open are the partitions of one that was under way when it was first asked
// for, which InitProducerId aborts, else nil.
func (p *Producer) outcome(ctx context.Context) (committed bool, open map[TopicPartition]struct{}, err error) {
	msg, err := p.ask(ctx, &outcomeRequest{clientID: p.client.pool.dialer.clientID, id: p.id},
		func(m protocol.Message) Code { return m.(*outcomeResponse).code })
	if err != nil {
		return false, nil, err
	}
	switch res := msg.(*outcomeResponse); {
	case res.code == 0:
		return p.client.outcomes.lastCommitted(p.id, res), p.client.outcomes.lastOpen(p.id, res), nil
	case res.code == codeTxnIDAuthorization:
		return false, nil, p.permission()
	case res.code.retriable():
		return false, nil, &codeError{op: "asking for the last transaction of " + p.id, code: res.code}
	default:
		return false, nil, nil // no such id, or a broker that does not answer this
	}
}

// outcomes are what coordinators said of the last transactions, by transactional id. They outlive
// a producer. Safe for concurrent use.
type outcomes struct {
	mu      sync.Mutex
	commits map[string]producerEpoch
	opened  map[string]openTransaction
}

func newOutcomes() *outcomes {
	return &outcomes{commits: map[string]producerEpoch{}, opened: map[string]openTransaction{}}
}

// lastCommitted takes in what a coordinator said, and reports whether the last
// transaction of the id was committed. InitProducerId leaves the state empty, one
// epoch on: an attempt that was answered too late, or a start that got no further,
// must not have the next one take a commit for an abort.
func (o *outcomes) lastCommitted(id string, said *outcomeResponse) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	known, remembered := o.commits[id]
	switch said.state {
	case "PrepareCommit", "CompleteCommit":
	case "Empty":
		step := said.epoch - known.epoch
		if !remembered || said.pid != known.pid || step < 0 || step > 1 {
			delete(o.commits, id) // others were about
			return false
		}
	default:
		delete(o.commits, id)
		return false
	}
	o.commits[id] = producerEpoch{said.pid, said.epoch}
	return true
}

// openTransaction is one that was under way when a coordinator was asked.
type openTransaction struct {
	producerEpoch
	partitions map[TopicPartition]struct{}
}

// lastOpen takes in what a coordinator said, and gives the partitions of the last
// transaction of the id where that was under way, also when it was aborted because of
// an InitProducerId of ours since, which moves the epoch on by two.
func (o *outcomes) lastOpen(id string, said *outcomeResponse) map[TopicPartition]struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	known, remembered := o.opened[id]
	step := said.epoch - known.epoch
	switch said.state {
	case "Ongoing", "PrepareEpochFence", "PrepareAbort":
		if !remembered || said.pid != known.pid || step < 0 || step > 1 {
			known = openTransaction{said.producerEpoch, said.partitions}
		}
		o.opened[id] = known
	case "CompleteAbort", "Empty":
		if !remembered || said.pid != known.pid || step < 0 || step > 2 {
			delete(o.opened, id)
			return nil
		}
	default:
		delete(o.opened, id)
		return nil
	}
	return known.partitions
}

// producerEpoch is an epoch of a producer id.
type producerEpoch struct {
	pid   int64
	epoch int16
}

// outcomeRequest asks for the state of one transactional id. Source of the
// layout and of the states' names: Apache Kafka protocol guide,
// DescribeTransactions v0, and TransactionState.
type outcomeRequest struct {
	clientID, id string
	unserved     bool // the broker on this connection does not know it
}

type outcomeResponse struct {
	code  Code
	state string
	producerEpoch
	partitions map[TopicPartition]struct{} // of a transaction that is under way
}

func (*outcomeRequest) ApiKey() protocol.ApiKey  { return describeTransactions }
func (*outcomeResponse) ApiKey() protocol.ApiKey { return describeTransactions }

// Required makes kafka-go's connection call RawExchange.
func (r *outcomeRequest) Required(versions map[protocol.ApiKey]int16) bool {
	_, served := versions[describeTransactions]
	r.unserved = !served
	return true
}

// RawExchange writes the request and reads the answer. A broker would close the
// connection over a request that it does not know, so that it gets none.
func (r *outcomeRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if r.unserved {
		return &outcomeResponse{code: codeUnsupportedVersion}, nil
	}
	out := rawRequest(describeTransactions, 0, r.clientID, 16+len(r.id))
	out = append(out, 0)   // tags of the header
	out = append(out, 1+1) // one id
	out = binary.AppendUvarint(out, uint64(len(r.id)+1))
	out = append(out, r.id...)
	out = append(out, 0) // tags
	answer, _, err := exchangeRaw(rw, out, nil, answerLimit)
	if err != nil {
		return nil, err
	}
	return decodeOutcome(answer)
}

func decodeOutcome(data []byte) (*outcomeResponse, error) {
	in := fields{data: data}
	if tags := in.take(1); in.bad || tags[0] != 0 {
		return nil, fmt.Errorf("%w to DescribeTransactions", errAnswer)
	}
	in.take(4) // throttle time
	if in.compact() == 0 {
		return nil, fmt.Errorf("%w to DescribeTransactions", errAnswer)
	}
	res := &outcomeResponse{code: Code(in.int16())}
	in.take(in.compact()) // the id
	res.state = string(in.take(in.compact()))
	in.take(4 + 8) // timeout and begin
	res.pid = in.int64()
	res.epoch = in.int16()
	if in.bad {
		return nil, fmt.Errorf("%w to DescribeTransactions", errAnswer)
	}
	res.partitions = map[TopicPartition]struct{}{}
	for range in.compact() {
		topic := string(in.take(in.compact()))
		for range in.compact() {
			res.partitions[TopicPartition{topic, int(in.int32())}] = struct{}{}
		}
		skipTags(&in)
	}
	return res, nil
}
