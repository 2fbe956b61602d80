package kafka

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
)

// Producer writes transactions under one transactional id. Whoever called Init
// last owns the id; every earlier owner finds its epoch lost. It is safe for
// concurrent use; calls take turns.
type Producer struct {
	client  *Client
	id      string
	timeout time.Duration

	mu    sync.Mutex
	live  bool // initialised, and nothing in doubt since
	pid   int64
	epoch int16
	next  map[TopicPartition]int32 // next sequence number; goes on over aborts
	// ended says how this epoch's last transaction in a partition ended, true for
	// a commit, and inherited how that of the epoch before did: see EndHanging.
	ended     map[TopicPartition]bool
	inherited bool
	// inheritedOpen is, where the transaction of the epoch before was under way when
	// this one began, what it wrote to; else nil. What hangs elsewhere is older.
	inheritedOpen map[TopicPartition]struct{}
	awaiting      map[TopicPartition]awaitingMarker // what may have no marker yet
	manifests     *manifests                        // nil: none are kept
	// committed is what was committed and was not seen to be ended yet.
	committed map[TopicPartition]Written
	limits    map[string]int // max.message.bytes where it had to be asked for
	encoder   *encoder
	arena     []byte // encoded batches of the transaction under way
}

// NewProducer makes a producer; Init has to be called before Commit. timeout
// is transaction.timeout.ms: how long the broker lets a transaction be open.
func (c *Client) NewProducer(transactionalID string, timeout time.Duration) *Producer {
	return &Producer{client: c, id: transactionalID, timeout: timeout, limits: map[string]int{}}
}

// Init takes the transactional id over: it fences every other producer with
// it, has the broker end what was left open, and returns when that is done, so
// that what the topics hold of earlier transactions can be read. Errors:
// *AuthorizationError naming the transactional id, *AuthenticationError,
// *RefusedError (Fatal when the timeout is above the broker's bound),
// *UnreachableError, ErrEpochLost when another producer did the same at the
// same moment.
func (p *Producer) Init(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = false
	if p.encoder == nil {
		encoder, err := newEncoder()
		if err != nil {
			return fmt.Errorf("preparing compression: %w", err)
		}
		p.encoder = encoder
	}
	if err := p.client.retry(ctx, "initialising transactional id "+p.id, p.init); err != nil {
		return err
	}
	p.next, p.ended, p.awaiting = map[TopicPartition]int32{}, map[TopicPartition]bool{}, map[TopicPartition]awaitingMarker{}
	p.manifests, p.committed = nil, map[TopicPartition]Written{}
	p.live = true
	return nil
}

func (p *Producer) init(ctx context.Context) error {
	// Asked first: InitProducerId makes the coordinator forget it.
	committed, open, err := p.outcome(ctx)
	if err != nil {
		return err
	}
	msg, err := p.ask(ctx, &initproducerid.Request{
		TransactionalID: p.id, TransactionTimeoutMs: int32(p.timeout.Milliseconds()),
		ProducerID: -1, ProducerEpoch: -1,
	}, func(m protocol.Message) Code { return Code(m.(*initproducerid.Response).ErrorCode) })
	if err != nil {
		return err
	}
	res := msg.(*initproducerid.Response)
	switch code := Code(res.ErrorCode); {
	case code == 0:
		p.pid, p.epoch, p.inherited, p.inheritedOpen = res.ProducerID, res.ProducerEpoch, committed, open
		return nil
	case code == codeTxnIDAuthorization:
		return p.permission()
	case code.epochLost():
		return p.lost("initialising", code, nil)
	default:
		return &codeError{op: "initialising transactional id " + p.id, code: code}
	}
}

// ask sends req to the coordinator of the transactional id.
func (p *Producer) ask(ctx context.Context, req protocol.Message, code func(protocol.Message) Code) (protocol.Message, error) {
	return p.client.askCoordinator(ctx, coordinatorKey{kind: 1, id: p.id}, req, code)
}

// end asks the coordinator to end the transaction and returns its answer.
func (p *Producer) end(ctx context.Context, commit bool) (Code, error) {
	msg, err := p.ask(ctx, &endtxn.Request{
		TransactionalID: p.id, ProducerID: p.pid, ProducerEpoch: p.epoch, Committed: commit,
	}, func(m protocol.Message) Code { return Code(m.(*endtxn.Response).ErrorCode) })
	if err != nil {
		return 0, err
	}
	return Code(msg.(*endtxn.Response).ErrorCode), nil
}

// lost marks the producer as one that must be initialised again.
func (p *Producer) lost(op string, code Code, cause error) *EpochLostError {
	p.live = false
	return &EpochLostError{TransactionalID: p.id, Op: op, Code: code, Err: cause}
}

func (p *Producer) permission() *AuthorizationError {
	return &AuthorizationError{Resource: "transactional-id", Name: p.id, Operation: "Write"}
}

// advance is the sequence number n records after s; it goes on at 0 after the
// largest one. Source: Apache Kafka, DefaultRecordBatch.incrementSequence.
func advance(s int32, n int) int32 {
	return int32((int64(s) + int64(n)) & math.MaxInt32)
}
