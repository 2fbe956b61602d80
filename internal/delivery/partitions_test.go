package delivery

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// afterCompaction is what is left in each partition of a topic once compaction has done
// its work, which keeps the last record of a key within a partition and drops
// tombstones: "key in partition" to when it was submitted.
func (w *world) afterCompaction(topic string) map[string]string {
	w.t.Helper()
	left := map[string]string{}
	err := w.cluster.Reader.Read(w.t.Context(), topic, kafka.From{}, func(r *kafka.Record) error {
		place := fmt.Sprintf("%s in partition %d", r.Key, r.Partition)
		delete(left, place)
		for _, h := range r.Headers {
			if r.Value != nil && (h.Key == HeaderSubmittedAt || h.Key == HeaderErrorStage) {
				left[place] = string(h.Value)
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return left
}

// tombstones are how many a topic holds.
func (w *world) tombstones(topic string) (n int) {
	w.t.Helper()
	err := w.cluster.Reader.Read(w.t.Context(), topic, kafka.From{}, func(r *kafka.Record) error {
		if r.Value == nil {
			n++
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// until waits for what a commit shows: its markers come a moment later.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestADeletedLeadIsGoneFromEveryPartitionThatHoldsIt: the topic was given more
// partitions, once or twice, since its leads were published, and some were published
// again since by a replay. Where a key belongs now is only one of its places.
func TestADeletedLeadIsGoneFromEveryPartitionThatHoldsIt(t *testing.T) {
	for _, restart := range []bool{true, false} {
		for name, counts := range map[string][]int32{"from 1 to 6": {1, 6}, "from 2 to 3 to 7": {2, 3, 7}} {
			t.Run(fmt.Sprint(name, ", and a restart: ", restart), func(t *testing.T) {
				w := newWorld(t)
				w.opts.Partitions = int(counts[0])
				s, _ := w.epoch()
				at := w.now.Add(-time.Hour)
				var all []*lead.Response
				for i, count := range counts {
					if i > 0 {
						w.addPartitions(topic, count)
						s, _ = w.epoch()
					}
					var rs []*lead.Response
					for j := range 12 {
						rs = append(rs, response(fmt.Sprintf("lead%d.%d", i, j), at))
					}
					publish(t, s, "", rs...)
					publish(t, s, fmt.Sprint("replay", i), append(all, rs[0])...) // stand in several partitions
					all = append(all, rs...)
				}
				if restart {
					s, _ = w.epoch()
				}
				for _, r := range all {
					w.delete(r.ID, at.Add(time.Minute))
				}
				if n := applyDeletions(t, s); n != len(all) {
					t.Errorf("%d leads are removed, want %d", n, len(all))
				}
				until(t, "everything to be gone", func() bool { return len(w.afterCompaction(topic)) == 0 })
				for range 2 {
					if s, _ = w.epoch(); applyDeletions(t, s) != 0 {
						t.Error("some are still to be removed")
					}
				}
			})
		}
	}
}

// TestARegistrationAfterTheDeletionStaysInItsPartition, and what was submitted before
// the deletion goes from the one where it stands.
func TestARegistrationAfterTheDeletionStaysInItsPartition(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	id := ""
	for i := 0; kafka.PartitionOf([]byte(id), 6) == 0; i++ {
		id = fmt.Sprint("lead", i)
	}
	before, after := w.now.Add(-time.Hour), w.now.Add(-time.Minute)
	publish(t, s, "", response(id, before))
	w.addPartitions(topic, 6)
	s, _ = w.epoch()
	publish(t, s, "", response(id, after))
	w.delete(id, w.now.Add(-30*time.Minute))
	applyDeletions(t, s)
	want := map[string]string{fmt.Sprintf("%s in partition %d", id, kafka.PartitionOf([]byte(id), 6)): lead.FormatTime(after)}
	until(t, "the older one alone to be gone", func() bool { return fmt.Sprint(w.afterCompaction(topic)) == fmt.Sprint(want) })
	s, _ = w.epoch()
	if n := applyDeletions(t, s); n != 0 || w.tombstones(topic) != 1 {
		t.Errorf("%d are removed again, with %d tombstones in all, want none and one", n, w.tombstones(topic))
	}
}

// TestATopicThatAlwaysHadItsPartitionsGetsOneTombstoneALead and is not read whole for it.
func TestATopicThatAlwaysHadItsPartitionsGetsOneTombstoneALead(t *testing.T) {
	w := newWorld(t)
	w.opts.Partitions = 5
	s, _ := w.epoch()
	var rs []*lead.Response
	for i := range 20 {
		rs = append(rs, response(fmt.Sprint("lead", i), w.now.Add(-time.Hour)))
	}
	publish(t, s, "", rs...)
	s, state := w.epoch()
	if made := state.Topics[formID].Made; made != 5 {
		t.Errorf("the topic was made with %d partitions, as its record says, want 5", made)
	}
	for _, r := range rs {
		w.delete(r.ID, w.now)
	}
	if n := applyDeletions(t, s); n != len(rs) {
		t.Errorf("%d leads are removed, want %d", n, len(rs))
	}
	until(t, "the tombstones", func() bool { return w.tombstones(topic) == len(rs) })
	scan := newTopicScan(s, topic, nil)
	if s.Deletions.Scan(t.Context(), Scans{scan}); scan.mixed {
		t.Error("its partitions would be read whole")
	}
}

// TestADeadLetterIsResolvedInEveryPartitionThatHoldsIt: it would come back once the
// tombstone elsewhere is compacted away.
func TestADeadLetterIsResolvedInEveryPartitionThatHoldsIt(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	var deadLetters []DeadLetter
	var keys []string
	for i := range 10 {
		deadLetters = append(deadLetters, DeadLetter{Response: response(fmt.Sprint("lead", i), w.now), Stage: "DECODE"})
		keys = append(keys, deadLetters[i].Key())
	}
	write := func(b Batch) {
		t.Helper()
		if err := s.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	write(Batch{DeadLetters: deadLetters})
	w.addPartitions("leadstream.deadletters", 5)
	s, _ = w.epoch()
	write(Batch{DeadLetters: deadLetters[:3]}) // also where they belong now
	write(Batch{Resolved: keys})
	until(t, "them to be gone", func() bool { return len(w.afterCompaction("leadstream.deadletters")) == 0 })
	n, err := CountDeadLetters(t.Context(), w.cluster, "leadstream")
	if err != nil || n.Total != 0 {
		t.Errorf("%d dead letters are counted, %v", n.Total, err)
	}
}

// TestAnEntryThatLiftsADeletionCountsInAnyPartition of a topic that was given more, by
// when it was written.
func TestAnEntryThatLiftsADeletionCountsInAnyPartition(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	id := ""
	for i := 0; kafka.PartitionOf([]byte(id), 2) != 1 || kafka.PartitionOf([]byte(id), 3) != 0; i++ {
		id = fmt.Sprint("lead", i)
	}
	at := w.now.Add(-time.Hour)
	if err := EnsureDeletions(t.Context(), w.opts); err != nil {
		t.Fatal(err)
	}
	w.addPartitions("leadstream.deletions", 2)
	w.delete(id, at) // in the second of two
	w.addPartitions("leadstream.deletions", 3)
	w.now = w.now.Add(time.Second)
	w.enter(id, nil) // in the first of three, which is read before
	for range 2 {
		expect(t, ask(t, s, s.NewView(""), w.explicit(), response(id, at)), 1, 0, 0, 0)
		if n := applyDeletions(t, s); n != 0 {
			t.Errorf("%d tombstones of a deletion that was lifted", n)
		}
		s, _ = w.epoch()
	}
}

// TestManyEntriesOfOneLeadTakeLittleMemory: a batch of a few kilobytes holds millions.
func TestManyEntriesOfOneLeadTakeLittleMemory(t *testing.T) {
	all := entries{}
	at := time.Now().UTC()
	for i := range 100_000 {
		e := deletionEntry{Deletion: Deletion{ID: "a", Form: formID, At: at.Add(time.Duration(i) * time.Millisecond)}, offset: int64(i), lifted: i%3 == 0, unreadable: i%5 == 1}
		all.add(e)
	}
	var kept []deletionEntry
	all.inOrder(func(e deletionEntry) { kept = append(kept, e) })
	if len(kept) > 3 || kept[len(kept)-1].offset != 99_999 {
		t.Errorf("%d entries are kept, to offset %d", len(kept), kept[len(kept)-1].offset)
	}
}

// TestWhatIsKeptOfTheEntriesSaysTheSame as all of them, whatever their order.
func TestWhatIsKeptOfTheEntriesSaysTheSame(t *testing.T) {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	kinds := []deletionEntry{
		{lifted: true}, {unreadable: true, time: at.Add(time.Hour)},
		{Deletion: Deletion{Form: formID, At: at}}, {Deletion: Deletion{At: at.Add(time.Minute)}}, {Deletion: Deletion{Form: formID, At: at.Add(-time.Minute)}},
	}
	for code := range 5 * 5 * 5 * 5 * 5 {
		said, kept, all := newDeletionIndex(), newDeletionIndex(), entries{}
		var sequence []int
		for i := range 5 {
			kind := code % 5
			code /= 5
			e := kinds[kind]
			e.ID, e.offset = "a", int64(i)
			sequence = append(sequence, kind)
			said.enter(e)
			all.add(e)
		}
		all.inOrder(kept.enter)
		for _, millis := range []int64{at.Add(-2 * time.Minute).UnixMilli(), at.UnixMilli(), at.Add(time.Minute).UnixMilli(), at.Add(time.Hour).UnixMilli()} {
			if said.since("a", millis) != kept.since("a", millis) || said.sure("a", millis) != kept.sure("a", millis) {
				t.Fatalf("entries %v: what is kept says another thing", sequence)
			}
		}
	}
}

// TestTombstonesOfManyPartitionsAreSeveralTransactions: each marks them all.
func TestTombstonesOfManyPartitionsAreSeveralTransactions(t *testing.T) {
	var open []Deletion
	for i := range 3 * maxPartitions {
		open = append(open, Deletion{ID: "a", Partition: &i}, Deletion{ID: "b", Partition: &i})
	}
	var sizes []int
	for part := range tombstonesAtOnce(open) {
		sizes = append(sizes, len(part))
	}
	if !slices.Equal(sizes, []int{2 * maxPartitions, 2 * maxPartitions, 2 * maxPartitions}) {
		t.Errorf("transactions of %v tombstones", sizes)
	}
}
