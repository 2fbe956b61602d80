//go:build integration

package delivery

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/internal/realstack"
)

// newRealWorld is a world on an Apache Kafka whose cleaner works at once.
func newRealWorld(t *testing.T) *world {
	t.Helper()
	jars, err := realstack.Jars()
	if err != nil {
		t.Fatal(err)
	}
	k, err := realstack.StartKafka(t.Context(), realstack.KafkaOptions{Jars: jars, Dir: t.TempDir(), Properties: map[string]string{"log.cleaner.backoff.ms": "200"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Kill(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, brokers: []string{k.Addr(realstack.PLAINTEXT)}, now: time.Now().UTC().Truncate(time.Millisecond)}
	if w.cluster, err = kafka.New(kafka.Config{Brokers: w.brokers, Log: zap.NewNop()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cluster.Close)
	w.opts = Options{Cluster: w.cluster, Name: "leadstream", Prefix: "linkedin.leads.", Partitions: 1, ReplicationFactor: 1,
		Lookback: 168 * time.Hour, Now: func() time.Time { return w.now }, Log: zap.NewNop()}
	return w
}

// createCompacted makes the lead topic so that compaction needs a second, not a
// day; tombstones stay for as long as is said.
func (w *world) createCompacted(tombstones time.Duration) {
	w.create(map[string]string{
		"cleanup.policy": "compact,delete", "segment.ms": "300", "min.cleanable.dirty.ratio": "0.001",
		"max.compaction.lag.ms": "300", "delete.retention.ms": millis(tombstones),
	})
}

// compact writes other leads until the topic holds n records of the id; the
// newest segment is never cleaned.
func (w *world) compact(id string, n int) {
	w.t.Helper()
	p := w.cluster.NewProducer("others", 15*time.Second)
	if err := p.Init(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(100 * time.Millisecond) {
		var msgs []kafka.Message
		for i := range 20 {
			msgs = append(msgs, record("leadstream", fmt.Sprint("other ", i), w.now, []byte("x")))
		}
		if _, err := p.Commit(w.t.Context(), msgs); err != nil {
			w.t.Fatal(err)
		}
		left := 0
		err := w.cluster.Reader.Read(w.t.Context(), topic, kafka.From{}, func(r *kafka.Record) error {
			if string(r.Key) == id {
				left++
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
		if left == n {
			return
		}
	}
	w.t.Fatalf("a minute of compaction does not leave %d records of %q", n, id)
}

func TestRealATombstoneKeepsItsLeadOutOnceCompactionTookTheLead(t *testing.T) {
	w := newRealWorld(t)
	w.createCompacted(168 * time.Hour)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at), response("b", at))
	w.foreign(record("leadstream", "a", w.now, nil)) // by hand
	w.compact("a", 1)
	s, _ = w.epoch()
	expect(t, ask(t, s, s.NewView(""), w.window(-2*time.Hour, 0), response("a", at), response("b", at)), 0, 1, 0, 1)
}

func TestRealASupersededSubmissionStaysSoOnceCompactionTookIt(t *testing.T) {
	w := newRealWorld(t)
	w.createCompacted(168 * time.Hour)
	s, _ := w.epoch()
	first, second := w.now.Add(-2*time.Hour), w.now.Add(-time.Hour)
	publish(t, s, "", response("a", first))
	publish(t, s, "", response("a", second))
	w.compact("a", 1)
	s, _ = w.epoch()
	v := ask(t, s, s.NewView(""), w.window(-3*time.Hour, time.Minute), response("a", first), response("a", second), response("a", w.now))
	expect(t, v, 1, 2, 0, 0)
}

// The tombstone is gone, and so would be the memory of the deletion, if it did
// not stand in the topic of deletions: a lost checkpoint, a look-back after a
// long outage or a replay would bring the lead back.
func TestRealARecordedDeletionOutlastsItsTombstone(t *testing.T) {
	w := newRealWorld(t)
	w.createCompacted(100 * time.Millisecond)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at), response("b", at))
	w.delete("a", at.Add(time.Minute))
	if n := applyDeletions(t, s); n != 1 {
		t.Fatalf("%d tombstones, want 1", n)
	}
	w.compact("a", 0)
	w.remove(CheckpointTopic(w.opts.Name))
	s, _ = w.epoch()
	a := w.window(-2*time.Hour, 0)
	for _, explicit := range []bool{false, true} {
		a.Explicit = explicit
		expect(t, ask(t, s, s.NewView(""), a, response("a", at), response("b", at)), 0, 1, 0, 1)
	}
	expect(t, ask(t, s, s.NewView("replay-1"), a, response("a", at), response("b", at)), 1, 0, 0, 1)
}

// TestRealADeletedLeadIsGoneOnceCompactionHasWorked from the partition where it was
// published before there were more of them.
func TestRealADeletedLeadIsGoneOnceCompactionHasWorked(t *testing.T) {
	w := newRealWorld(t)
	w.createCompacted(100 * time.Millisecond)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	var rs []*lead.Response
	for i := range 6 {
		rs = append(rs, response(fmt.Sprint("lead", i), at))
	}
	publish(t, s, "", rs...)
	w.addPartitions(topic, 3)
	until(t, "the partitions", func() bool {
		found, err := w.cluster.Admin.DescribeTopics(t.Context(), []string{topic})
		return err == nil && found[topic].Partitions == 3
	})
	s, _ = w.epoch()
	publish(t, s, "replay", rs[:2]...) // also where they belong now
	for _, r := range rs {
		w.delete(r.ID, at.Add(time.Minute))
	}
	if n := applyDeletions(t, s); n != len(rs) {
		t.Errorf("%d leads are removed, want %d", n, len(rs))
	}
	for _, r := range rs {
		w.compact(r.ID, 0)
	}
	w.epoch()
	if len(w.afterCompaction(topic)) != 20 { // those of compact
		t.Errorf("the topic holds %v", w.afterCompaction(topic))
	}
}

// TestRealACheckpointTopicThatAnotherMadeAnewCountsForNothing, with a broker's own way
// of deleting and making topics.
func TestRealACheckpointTopicThatAnotherMadeAnewCountsForNothing(t *testing.T) {
	anotherMadeAnew(t, newRealWorld(t))
}
