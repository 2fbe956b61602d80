package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/internal/fault"
)

// TestCommitKeepsTheOrderOfEachPartition: and says where each one ends.
func TestCommitKeepsTheOrderOfEachPartition(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 3, "leads")
	create(t, c, 1, "progress")
	p := producer(t, c, "tx")
	var msgs []Message
	for i := range 300 {
		msgs = append(msgs, Message{Topic: "leads", Key: fmt.Appendf(nil, "key %d", i%10), Value: fmt.Appendf(nil, "%03d", i)})
	}
	msgs = append(msgs, message("progress", "done"))
	offsets := commit(t, p, msgs...)
	eventuallyValues(t, c, "leads", 300)
	last := map[string]string{}
	ends := map[TopicPartition]int64{}
	err := c.Reader.Read(t.Context(), "leads", From{}, func(r *Record) error {
		if before := last[string(r.Key)]; before > string(r.Value) {
			t.Errorf("%s: %s after %s", r.Key, r.Value, before)
		}
		last[string(r.Key)] = string(r.Value)
		ends[TopicPartition{r.Topic, r.Partition}] = r.Offset
		if want := partitionOf(r.Key, 3); r.Partition != want {
			t.Errorf("%s is in partition %d, want %d", r.Key, r.Partition, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for tp, end := range ends {
		if offsets[tp] != end {
			t.Errorf("Commit says that %v ends at %d, it ends at %d", tp, offsets[tp], end)
		}
	}
	if len(offsets) != 4 {
		t.Errorf("Commit named %d partitions, want 4", len(offsets))
	}
}

// TestRetriableAnswersAreWaitedFor: whatever passes by itself is not the
// caller's business, and nothing is written twice by it.
func TestRetriableAnswersAreWaitedFor(t *testing.T) {
	tests := map[string]struct {
		kind  protocol.ApiKey
		codes []Code
	}{
		"coordinator loads":      {protocol.AddPartitionsToTxn, []Code{14, 15, 16}},
		"previous one completes": {protocol.AddPartitionsToTxn, []Code{51, 51, 51, 51}},
		"new topic":              {protocol.AddPartitionsToTxn, []Code{3}},
		"leader moves":           {protocol.Produce, []Code{6, 5, 3, 74, 75}},
		"replicas missing":       {protocol.Produce, []Code{19, 20, 7}},
		"connection cut":         {protocol.Produce, []Code{-1, -1}},
		"end: coordinator moves": {protocol.EndTxn, []Code{16, 14, 15, 51}},
		"end: connection cut":    {protocol.EndTxn, []Code{-1, -1, -1}},
		"no coordinator":         {protocol.FindCoordinator, []Code{15, 15}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, f := fake(t)
			create(t, c, 1, "a", "b")
			p := producer(t, c, "tx")
			if tt.kind == protocol.FindCoordinator {
				clear(c.coordinators)
			}
			refuse(f, tt.kind, tt.codes...)
			commit(t, p, message("a", "1"), message("b", "1"))
			commit(t, p, message("a", "2"), message("b", "2"))
			for _, topic := range []string{"a", "b"} {
				if got := eventuallyValues(t, c, topic, 2); !slices.Equal(got, []string{"1", "2"}) {
					t.Errorf("%s holds %v, want [1 2]", topic, got)
				}
			}
		})
	}
}

// TestLostAnswersAreAskedForAgain: the broker did what it was asked, we do not
// know; the result is the same as if we did.
func TestLostAnswersAreAskedForAgain(t *testing.T) {
	for _, kind := range []protocol.ApiKey{protocol.AddPartitionsToTxn, protocol.Produce, protocol.EndTxn} {
		t.Run(kind.String(), func(t *testing.T) {
			c, _ := fake(t)
			create(t, c, 1, "a")
			p := producer(t, c, "tx")
			loseAnswers(t, c, kind, 3)
			commit(t, p, message("a", "1"))
			commit(t, p, message("a", "2"))
			if got := eventuallyValues(t, c, "a", 2); !slices.Equal(got, []string{"1", "2"}) {
				t.Errorf("holds %v, want [1 2]", got)
			}
		})
	}
}

// TestCommitSaysWhatWentWrong: each refusal by its type, with what it means
// for the producer.
func TestCommitSaysWhatWentWrong(t *testing.T) {
	const id = "tx"
	lost := func(doubt bool) func(error) error {
		return func(err error) error {
			e, ok := errors.AsType[*EpochLostError](err)
			if !ok || !errors.Is(err, ErrEpochLost) || e.InDoubt != doubt || e.TransactionalID != id {
				return fmt.Errorf("want a lost epoch with doubt %v", doubt)
			}
			return nil
		}
	}
	topic := func(code Code, within error) func(error) error {
		return func(err error) error {
			e, ok := errors.AsType[*TopicError](err)
			if !ok || e.Topic != "a" || e.Code != code || within != nil && !errors.Is(err, within) || errors.Is(err, ErrEpochLost) {
				return fmt.Errorf("want a *TopicError of topic a with code %d", code)
			}
			return nil
		}
	}
	permission := func(resource, name, operation string) func(error) error {
		return func(err error) error {
			e, ok := errors.AsType[*AuthorizationError](err)
			if want := (AuthorizationError{resource, name, operation}); !ok || *e != want {
				return fmt.Errorf("want %+v", want)
			}
			return nil
		}
	}
	tests := map[string]struct {
		kind  protocol.ApiKey
		codes []Code
		check func(error) error
		fault fault.Kind
		good  bool // the producer can go on
	}{
		"add: fenced":                 {protocol.AddPartitionsToTxn, []Code{90}, lost(false), fault.Retry, false},
		"add: id expired":             {protocol.AddPartitionsToTxn, []Code{49}, lost(false), fault.Retry, false},
		"add: no permission":          {protocol.AddPartitionsToTxn, []Code{29}, permission("topic", "a", "Write"), fault.Suspend, true},
		"add: id not permitted":       {protocol.AddPartitionsToTxn, []Code{53}, permission("transactional-id", id, "Write"), fault.Pause, true},
		"produce: fenced":             {protocol.Produce, []Code{47}, lost(false), fault.Retry, false},
		"produce: out of order":       {protocol.Produce, []Code{45}, lost(false), fault.Retry, false},
		"produce: no permission":      {protocol.Produce, []Code{29}, permission("topic", "a", "Write"), fault.Suspend, true},
		"produce: invalid record":     {protocol.Produce, []Code{87}, topic(87, nil), fault.Reject, true},
		"produce: invalid time":       {protocol.Produce, []Code{32}, topic(32, nil), fault.Reject, true},
		"produce: corrupt":            {protocol.Produce, []Code{2}, topic(2, nil), fault.Suspend, true},
		"end: fenced":                 {protocol.EndTxn, []Code{90}, lost(false), fault.Retry, false},
		"end: invalid state":          {protocol.EndTxn, []Code{48}, lost(false), fault.Retry, false},
		"end: no answer, then fenced": {protocol.EndTxn, []Code{-1, 47}, lost(true), fault.Retry, false},
		"end: moved, then fenced":     {protocol.EndTxn, []Code{16, 90}, lost(true), fault.Retry, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, f := fake(t)
			create(t, c, 1, "a")
			p := producer(t, c, id)
			refuse(f, tt.kind, tt.codes...)
			_, err := p.Commit(t.Context(), []Message{{Topic: "a", Key: []byte("secret-key"), Value: []byte("secret-value")}})
			if err == nil {
				t.Fatal("Commit = nil, want an error")
			}
			if wrong := tt.check(err); wrong != nil {
				t.Errorf("Commit = %v (%T): %v", err, err, wrong)
			}
			if got := fault.KindOf(err); got != tt.fault {
				t.Errorf("kind of %v = %v, want %v", err, got, tt.fault)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes the record: %v", err)
			}
			_, err = p.Commit(t.Context(), []Message{message("a", "next")})
			if tt.good != (err == nil) || !tt.good && !errors.Is(err, ErrEpochLost) {
				t.Errorf("the next Commit = %v, want good = %v", err, tt.good)
			}
			if !tt.good {
				if err := p.Init(t.Context()); err != nil {
					t.Fatal(err)
				}
				commit(t, p, message("a", "next"))
			}
			if got := eventuallyValues(t, c, "a", 1); !slices.Equal(got, []string{"next"}) {
				t.Errorf("a holds %v, want only the next one", got)
			}
		})
	}
}

// TestOneMissingTopicStopsNothingElse: nothing of the transaction is written,
// the topic is named, the others go on.
func TestOneMissingTopicStopsNothingElse(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a")
	p := producer(t, c, "tx")
	adds := count(f, protocol.AddPartitionsToTxn)
	_, err := p.Commit(t.Context(), []Message{message("a", "1"), message("gone", "1")})
	refused, ok := errors.AsType[*TopicError](err)
	if !ok || refused.Topic != "gone" || !errors.Is(err, ErrTopicMissing) || fault.KindOf(err) != fault.Suspend {
		t.Errorf("Commit = %v, want that topic gone is missing", err)
	}
	if n := adds.Load(); n != 0 {
		t.Errorf("%d transactions were opened for it", n)
	}
	commit(t, p, message("a", "2"))
	if got := eventuallyValues(t, c, "a", 1); !slices.Equal(got, []string{"2"}) {
		t.Errorf("a holds %v, want [2]", got)
	}
}

// TestTopicDeletedBehindOurBack: what is known of it is a few minutes old; the
// broker's answer counts.
func TestTopicDeletedBehindOurBack(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a", "b")
	p := producer(t, c, "tx")
	commit(t, p, message("a", "1"), message("b", "1"))
	other := connect(t, Config{Brokers: f.ListenAddrs()})
	if err := other.Admin.DeleteTopics(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Commit(t.Context(), []Message{message("a", "2"), message("b", "2")}); !errors.Is(err, ErrTopicMissing) {
		t.Errorf("Commit to a deleted topic = %v, want ErrTopicMissing", err)
	}
	commit(t, p, message("b", "3"))
	if got := eventuallyValues(t, c, "b", 2); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("b holds %v, want [1 3]", got)
	}
}

// TestLargeTransactionsAreCut: batches below the topic's limit, one of each
// partition at a time; still one transaction.
func TestLargeTransactionsAreCut(t *testing.T) {
	c, f := fake(t)
	createWith(t, c, 1, map[string]string{"max.message.bytes": "5000"}, "small")
	create(t, c, 2, "wide")
	p := producer(t, c, "tx")
	var msgs []Message
	want := []string{}
	for i := range 100 {
		value := incompressible(i, 300)
		want = append(want, value)
		msgs = append(msgs, message("small", value), message("wide", value))
	}
	ends := count(f, protocol.EndTxn)
	commit(t, p, msgs...)
	if got := eventuallyValues(t, c, "small", 100); !slices.Equal(got, want) {
		t.Errorf("the topic with small batches holds %d records in another order", len(got))
	}
	if got := eventuallyValues(t, c, "wide", 100); len(got) != 100 {
		t.Errorf("the other topic holds %d records, want 100", len(got))
	}
	if n := ends.Load(); n != 2 {
		t.Errorf("%d transactions were ended, want 2: the one that was refused, and the smaller one", n)
	}
	// The limit is known now.
	commit(t, p, msgs...)
	if n := ends.Load(); n != 3 {
		t.Errorf("%d transactions were ended, want 3", n)
	}
}

// TestRecordAboveTheLimitIsNamed: the one record, so that the others can go.
func TestRecordAboveTheLimitIsNamed(t *testing.T) {
	c, _ := fake(t)
	createWith(t, c, 1, map[string]string{"max.message.bytes": "5000"}, "small")
	create(t, c, 1, "a", "large")
	p := producer(t, c, "tx")
	for topic, size := range map[string]int{"small": 6000, "a": 2 << 20} {
		msgs := []Message{message("a", "1"), message(topic, "1"), message(topic, incompressible(1, size)), message(topic, "2")}
		_, err := p.Commit(t.Context(), msgs)
		refused, ok := errors.AsType[*TopicError](err)
		if !ok || refused.Index != 2 || refused.Topic != topic || refused.Code != codeMessageTooLarge || fault.KindOf(err) != fault.Reject {
			t.Errorf("Commit with %d bytes to %s = %v, want message 2 rejected as too large", size, topic, err)
		}
		commit(t, p, slices.Delete(msgs, 2, 3)...)
	}
	if got := eventuallyValues(t, c, "small", 2); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("small holds %d records, want 1 and 2", len(got))
	}
}

// TestTopicWithRoomForMore: a record above the default limit passes where the
// topic allows it.
func TestTopicWithRoomForMore(t *testing.T) {
	c, _ := fake(t)
	createWith(t, c, 1, map[string]string{"max.message.bytes": "8000000"}, "large")
	p := producer(t, c, "tx")
	value := incompressible(1, 3<<20)
	commit(t, p, message("large", value))
	if got := eventuallyValues(t, c, "large", 1); got[0] != value {
		t.Error("the record came back changed")
	}
}

// incompressible is a text of n bytes in which zstd finds little.
func incompressible(seed, n int) string {
	out := make([]byte, n)
	x := uint64(seed)*2862933555777941757 + 3037000493
	for i := range out {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		out[i] = byte(x)
	}
	return string(out)
}

// TestEndOfContextAborts: before the commit is sent nothing is written and the
// producer is good; afterwards the commit is seen through.
func TestEndOfContextAborts(t *testing.T) {
	tests := map[string]struct {
		kind protocol.ApiKey
		want []string
	}{
		"while adding":     {protocol.AddPartitionsToTxn, []string{"next"}},
		"while writing":    {protocol.Produce, []string{"next"}},
		"while committing": {protocol.EndTxn, []string{"first", "next"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, f := fake(t)
			create(t, c, 1, "a")
			p := producer(t, c, "tx")
			ctx, cancel := context.WithCancel(t.Context())
			f.ControlKey(int16(tt.kind), func(req kmsg.Request) (kmsg.Response, error, bool) {
				cancel()
				return answerWith(req, int16(codeNotCoordinator)), nil, tt.kind != protocol.Produce
			})
			_, err := p.Commit(ctx, []Message{message("a", "first")})
			if committed := tt.kind == protocol.EndTxn; committed != (err == nil) {
				t.Errorf("Commit = %v", err)
			} else if !committed && !errors.Is(err, context.Canceled) {
				t.Errorf("Commit = %v, want it to name the end of the context", err)
			}
			if !p.live { // the answer to Produce may be lost, then so is the sequence
				if err := p.Init(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			commit(t, p, message("a", "next"))
			if got := eventuallyValues(t, c, "a", len(tt.want)); !slices.Equal(got, tt.want) {
				t.Errorf("a holds %v, want %v", got, tt.want)
			}
		})
	}
}

// TestTimeUpIsAnAbort: a transaction that the broker would end by itself soon
// is given up in time.
func TestTimeUpIsAnAbort(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a")
	p := c.NewProducer("tx", 1500*time.Millisecond) // a second of it is used
	if err := p.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.ControlKey(int16(protocol.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		return answerWith(req, int16(codeNotEnoughReplicas)), nil, true
	})
	start := time.Now()
	_, err := p.Commit(t.Context(), []Message{message("a", "1")})
	if _, away := errors.AsType[*UnreachableError](err); !away || fault.KindOf(err) != fault.Retry {
		t.Errorf("Commit = %v, want *UnreachableError", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestCommitWithoutInit: a producer that fenced nobody writes nothing.
func TestCommitWithoutInit(t *testing.T) {
	c, _ := fake(t)
	p := c.NewProducer("tx", time.Second)
	if _, err := p.Commit(t.Context(), []Message{message("a", "1")}); !errors.Is(err, ErrEpochLost) {
		t.Errorf("Commit = %v, want ErrEpochLost", err)
	}
	if offsets, err := p.Commit(t.Context(), nil); err != nil || offsets != nil {
		t.Errorf("Commit of nothing = %v, %v, want nothing", offsets, err)
	}
}

// TestInitSaysWhatWentWrong: as Commit does.
func TestInitSaysWhatWentWrong(t *testing.T) {
	tests := map[string]struct {
		code Code
		want string
		kind fault.Kind
	}{
		"no permission":      {53, `no permission for Write on transactional-id "tx"`, fault.Pause},
		"timeout too long":   {50, "50 (Invalid Transaction Timeout)", fault.Fatal},
		"fenced on the spot": {90, "the producer's epoch is lost", fault.Retry},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, f := fake(t)
			refuse(f, protocol.InitProducerId, tt.code)
			p := c.NewProducer("tx", time.Second)
			err := p.Init(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || fault.KindOf(err) != tt.kind {
				t.Errorf("Init = %v (%v), want %q (%v)", err, fault.KindOf(err), tt.want, tt.kind)
			}
			if err := p.Init(t.Context()); err != nil {
				t.Errorf("the next Init = %v", err)
			}
		})
	}
	t.Run("waits for what was left open", func(t *testing.T) {
		c, f := fake(t)
		refuse(f, protocol.InitProducerId, 51, 51, 14, -1)
		producer(t, c, "tx")
	})
}

// TestCoordinatorIsLookedUpOnce: not before each of a thousand requests.
func TestCoordinatorIsLookedUpOnce(t *testing.T) {
	c, f := fake(t, kfake.NumBrokers(3))
	create(t, c, 1, "a")
	lookups, all := count(f, protocol.FindCoordinator), count(f, protocol.Metadata)
	p := producer(t, c, "tx")
	before := all.Load()
	for range 20 {
		commit(t, p, message("a", "1"))
	}
	if n := lookups.Load(); n != 1 {
		t.Errorf("the coordinator was looked up %d times, want once", n)
	}
	if n := all.Load() - before; n > 1 {
		t.Errorf("the metadata was asked for %d times in 20 commits, want at most once", n)
	}
}
