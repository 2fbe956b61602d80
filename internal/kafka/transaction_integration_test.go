//go:build integration

package kafka

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"

	"leadstream/internal/fault"
	"leadstream/internal/realstack"
)

// TestRealFencing: whoever initialises last owns the id; the other one writes
// nothing more, at whatever point it is.
func TestRealFencing(t *testing.T) {
	c := real(t)
	tests := map[string]func(zombie *Producer, begun *transaction) error{
		"before its next transaction": func(z *Producer, _ *transaction) error {
			_, err := z.Commit(t.Context(), []Message{message(z.id, "zombie")})
			return err
		},
		"between writing and committing": func(_ *Producer, tx *transaction) error { return tx.commit(t.Context()) },
		"between two batches":            func(_ *Producer, tx *transaction) error { return tx.produce(t.Context(), 0) },
	}
	for at, act := range tests {
		t.Run(at, func(t *testing.T) {
			topic := name(t, "a")
			create(t, c, 1, topic)
			zombie := producer(t, c, topic)
			commit(t, zombie, message(topic, "1"))
			begun := open(t, zombie, message(topic, "zombie"))
			owner := producer(t, c, topic)
			err := act(zombie, begun)
			lost, ok := errors.AsType[*EpochLostError](err)
			if !ok || lost.InDoubt || !lost.byAnother() || fault.KindOf(err) != fault.Retry {
				t.Errorf("the zombie got %v, want that it was fenced, without doubt", err)
			}
			commit(t, owner, message(topic, "2"))
			if got := eventuallyValues(t, c, topic, 2); !slices.Equal(got, []string{"1", "2"}) {
				t.Errorf("topic holds %v, want [1 2]", got)
			}
		})
	}
}

// TestRealSequencesGoOnOverAborts: a sequence that began anew would be answered
// with success, and the record would be lost.
// The coordinator forgets with an InitProducerId how the last transaction was
// ended; a process that has to begin again knows it all the same.
func TestRealACommitIsRememberedOverRepeatedStarts(t *testing.T) {
	c := real(t)
	topic := name(t, "a")
	create(t, c, 1, topic)
	p := producer(t, c, topic)
	if p.inherited {
		t.Error("a commit is inherited of nobody")
	}
	commit(t, p, message(topic, "1"))
	for range 3 {
		if p = producer(t, c, topic); !p.inherited {
			t.Errorf("with epoch %d the commit is forgotten", p.epoch)
		}
	}
	if err := open(t, p, message(topic, "2")).giveUp(t.Context(), errMarked); !errors.Is(err, errMarked) {
		t.Fatal(err)
	}
	for range 2 {
		if p = producer(t, c, topic); p.inherited {
			t.Errorf("with epoch %d an abort counts as a commit", p.epoch)
		}
	}
}

func TestRealSequencesGoOnOverAborts(t *testing.T) {
	c := real(t)
	topic := name(t, "a")
	createWith(t, c, 1, map[string]string{"max.message.bytes": "5000"}, topic)
	p := producer(t, c, topic)
	want := []string{}
	for i := range 20 {
		good := message(topic, fmt.Sprint(i))
		if i%3 == 1 {
			_, err := p.Commit(t.Context(), []Message{good, message(topic, incompressible(1, 6000))})
			refused, ok := errors.AsType[*TopicError](err)
			if !ok || refused.Index != 1 || refused.Code != codeMessageTooLarge {
				t.Fatalf("Commit = %v, want message 1 too large", err)
			}
		}
		if i%3 == 2 {
			tx := open(t, p, message(topic, "never"))
			if err := tx.giveUp(t.Context(), errors.New("enough")); errors.Is(err, ErrEpochLost) {
				t.Fatal(err)
			}
		}
		commit(t, p, good)
		want = append(want, fmt.Sprint(i))
	}
	if got := eventuallyValues(t, c, topic, 20); !slices.Equal(got, want) {
		t.Errorf("topic holds %v", got)
	}
}

// TestRealRefusedRecords: the broker's own checks, each named, and the
// producer good after it.
func TestRealRefusedRecords(t *testing.T) {
	c := real(t)
	compacted, plain := name(t, "compacted"), name(t, "plain")
	createWith(t, c, 1, map[string]string{"cleanup.policy": "compact"}, compacted)
	create(t, c, 1, plain)
	p := producer(t, c, compacted)
	future := message(plain, "future")
	future.Time = time.Now().Add(5 * time.Hour)
	tests := map[string]struct {
		bad  Message
		code Code
	}{
		"no key in a compacted topic": {Message{Topic: compacted, Value: []byte("x")}, codeInvalidRecord},
		"time in the future":          {future, codeInvalidTimestamp},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			good := []Message{message(compacted, "k"), message(plain, "k")}
			_, err := p.Commit(t.Context(), append(slices.Clone(good), tt.bad))
			refused, ok := errors.AsType[*TopicError](err)
			if !ok || refused.Code != tt.code || refused.Index != 2 || fault.KindOf(err) != fault.Reject {
				t.Errorf("Commit = %v, want message 2 rejected with %v", err, tt.code)
			}
			commit(t, p, good...)
		})
	}
	if got := eventuallyValues(t, c, plain, 2); !slices.Equal(got, []string{"k", "k"}) {
		t.Errorf("topic holds %v, want the two good ones", got)
	}
}

// TestRealBatchesAreCut: a topic with a small limit, found out by being refused.
func TestRealBatchesAreCut(t *testing.T) {
	c := real(t)
	topic := name(t, "small")
	createWith(t, c, 1, map[string]string{"max.message.bytes": "5000"}, topic)
	p := producer(t, c, topic)
	var msgs []Message
	want := []string{}
	for i := range 100 {
		want = append(want, incompressible(i, 300))
		msgs = append(msgs, message(topic, want[i]))
	}
	commit(t, p, msgs...)
	if got := eventuallyValues(t, c, topic, 100); !slices.Equal(got, want) {
		t.Errorf("%d records, or in another order", len(got))
	}
}

// TestRealLostAnswers: what is repeated is done once.
func TestRealLostAnswers(t *testing.T) {
	for _, kind := range []protocol.ApiKey{protocol.AddPartitionsToTxn, protocol.Produce, protocol.EndTxn} {
		t.Run(kind.String(), func(t *testing.T) {
			c := real(t)
			topic := name(t, "a")
			create(t, c, 1, topic)
			p := producer(t, c, topic)
			loseAnswers(t, c, kind, 3)
			for _, v := range []string{"1", "2", "3"} {
				commit(t, p, message(topic, v))
			}
			if got := eventuallyValues(t, c, topic, 3); !slices.Equal(got, []string{"1", "2", "3"}) {
				t.Errorf("topic holds %v, want [1 2 3]", got)
			}
		})
	}
}

// TestRealTopicMadeAnew: a topic that was deleted and created again takes the
// next records; at most an epoch is lost over it, never a record.
func TestRealTopicMadeAnew(t *testing.T) {
	c := real(t)
	topic, other := name(t, "a"), name(t, "b")
	create(t, c, 1, topic, other)
	p := producer(t, c, topic)
	for range 3 {
		commit(t, p, message(topic, "old"), message(other, "x"))
	}
	second := real(t)
	if err := second.Admin.DeleteTopics(t.Context(), []string{topic}); err != nil {
		t.Fatal(err)
	}
	_, err := p.Commit(t.Context(), []Message{message(topic, "none"), message(other, "none")})
	if !errors.Is(err, ErrTopicMissing) {
		t.Errorf("Commit to a deleted topic = %v, want ErrTopicMissing", err)
	}
	commit(t, p, message(other, "x"))
	create(t, second, 1, topic)
	if _, err = p.Commit(t.Context(), []Message{message(topic, "new")}); err != nil {
		t.Logf("first Commit to the new topic = %v", err)
		if !errors.Is(err, ErrEpochLost) {
			t.Fatal(err)
		}
		if err := p.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		commit(t, p, message(topic, "new"))
	}
	if got := eventuallyValues(t, c, topic, 1); !slices.Equal(got, []string{"new"}) {
		t.Errorf("topic holds %v, want [new]", got)
	}
	if got := eventuallyValues(t, c, other, 4); len(got) != 4 {
		t.Errorf("the other topic holds %v, want 4 records", got)
	}
}

// TestRealManyTopics: a transaction over MaxPartitions topics holds, and so
// does one over a thousand.
func TestRealManyTopics(t *testing.T) {
	c := real(t)
	topics := topicNames(name(t, "t"), 1000)
	create(t, c, 1, topics...)
	p := producer(t, c, topics[0])
	for _, n := range []int{MaxPartitions, MaxPartitions, 1000, 1000} {
		start := time.Now()
		commit(t, p, leads(n, topics[:n]...)...)
		t.Logf("a transaction over %d topics took %v", n, time.Since(start))
	}
}

// TestBrokerKilledInTransaction: at each step of one. It ends as a commit, and
// the records are there once.
func TestBrokerKilledInTransaction(t *testing.T) {
	k := own(t, realstack.KafkaOptions{QuickRestart: true})
	c := connect(t, Config{Brokers: []string{k.Addr(realstack.PLAINTEXT)}})
	create(t, c, 1, "a", "b")
	p := c.NewProducer("tx", time.Minute)
	if err := p.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	commit(t, p, message("a", "before"), message("b", "before"))
	restart := func(t *testing.T) {
		if err := k.Kill(); err != nil {
			t.Fatal(err)
		}
		started := make(chan error, 1)
		go func() { started <- k.Start(t.Context()) }()
		t.Cleanup(func() {
			if err := <-started; err != nil {
				t.Error(err)
			}
		})
	}
	want := []string{"before"}
	t.Run("before the commit", func(t *testing.T) {
		tx := open(t, p, message("a", "1"), message("b", "1"))
		restart(t)
		if err := tx.commit(t.Context()); err != nil {
			t.Fatalf("commit = %v", err)
		}
		want = append(want, "1")
	})
	t.Run("after the commit, its answer lost", func(t *testing.T) {
		loseAnswers(t, c, protocol.EndTxn, 1)
		tx := open(t, p, message("a", "2"), message("b", "2"))
		if code, err := p.end(t.Context(), true); err == nil {
			t.Fatalf("end = %v, want no answer", code)
		}
		restart(t)
		if err := tx.commit(t.Context()); err != nil {
			t.Fatalf("commit = %v", err)
		}
		want = append(want, "2")
	})
	t.Run("between two transactions", func(t *testing.T) {
		restart(t)
		commit(t, p, message("a", "3"), message("b", "3"))
		want = append(want, "3")
	})
	for _, topic := range []string{"a", "b"} {
		if got := eventuallyValues(t, c, topic, len(want)); !slices.Equal(got, want) {
			t.Errorf("%s holds %v, want %v", topic, got, want)
		}
	}
}

// TestBrokerKilledOverAndOver: numbered transactions over five partitions go
// on through four kills, without a gap, a repetition or a change of order.
func TestBrokerKilledOverAndOver(t *testing.T) {
	k := own(t, realstack.KafkaOptions{QuickRestart: true})
	c := connect(t, Config{Brokers: []string{k.Addr(realstack.PLAINTEXT)}})
	topics := topicNames("t", 5)
	create(t, c, 1, topics...)
	p := c.NewProducer("tx", time.Minute)
	if err := p.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for range 4 {
			err := sleep(t.Context(), 2*time.Second)
			if err == nil {
				err = k.Kill()
			}
			if err == nil {
				err = k.Start(t.Context())
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	want := []string{}
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		v := fmt.Sprint(len(want))
		msgs := []Message{}
		for _, topic := range topics {
			msgs = append(msgs, message(topic, v))
		}
		commitThrough(t, p, msgs)
		want = append(want, v)
	}
	for _, topic := range topics {
		if got := eventuallyValues(t, c, topic, len(want)); !slices.Equal(got, want) {
			t.Errorf("%s holds %d records, want %d in order", topic, len(got), len(want))
		}
	}
	t.Logf("%d transactions through 4 kills", len(want))
}

// commitThrough repeats a commit as a caller would whose transaction was
// certainly not committed.
func commitThrough(t *testing.T, p *Producer, msgs []Message) {
	t.Helper()
	for {
		_, err := p.Commit(t.Context(), msgs)
		lost, isLost := errors.AsType[*EpochLostError](err)
		switch {
		case err == nil:
			return
		case isLost && lost.InDoubt:
			t.Fatalf("in doubt, though the timeout is long: %v", err)
		case isLost:
			for p.Init(t.Context()) != nil {
			}
		case fault.KindOf(err) != fault.Retry:
			t.Fatal(err)
		}
	}
}

// TestRealTransactionTimeout: the broker ended the transaction; nothing of it
// is seen, and the loss does not pass for a fencing.
func TestRealTransactionTimeout(t *testing.T) {
	k := own(t, realstack.KafkaOptions{Properties: map[string]string{"transaction.abort.timed.out.transaction.cleanup.interval.ms": "200"}})
	c := connect(t, Config{Brokers: []string{k.Addr(realstack.PLAINTEXT)}})
	create(t, c, 1, "a")
	p := c.NewProducer("tx", time.Second)
	if err := p.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx := open(t, p, message("a", "late"))
	eventually(t, "the broker's abort", func() bool {
		bounds, err := c.Reader.Offsets(t.Context(), "a")
		return err == nil && bounds[0].End == 2
	})
	err := tx.commit(t.Context())
	lost, ok := errors.AsType[*EpochLostError](err)
	if !ok || lost.byAnother() || !lost.Expired || lost.InDoubt {
		t.Errorf("commit = %v, want an epoch lost by expiry, without doubt", err)
	}
	if err := p.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	commit(t, p, message("a", "next"))
	if got := eventuallyValues(t, c, "a", 1); !slices.Equal(got, []string{"next"}) {
		t.Errorf("topic holds %v, want [next]", got)
	}
	long := c.NewProducer("tx", 24*time.Hour)
	if err := long.Init(t.Context()); fault.KindOf(err) != fault.Fatal {
		t.Errorf("Init with a timeout of a day = %v, want a fatal error", err)
	}
}
