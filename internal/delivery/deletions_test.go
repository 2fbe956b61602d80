package delivery

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// delete records a deletion as a process does that LinkedIn tells of it.
func (w *world) delete(id string, at time.Time) {
	w.t.Helper()
	if err := NewDeletionLog(w.opts).Delete(w.t.Context(), Deletion{ID: id, Form: formID, At: at}); err != nil {
		w.t.Fatal(err)
	}
}

// apply carries out what was recorded.
func applyDeletions(t *testing.T, s *Store) int {
	t.Helper()
	if _, err := followed(t, s); err != nil {
		t.Fatal(err)
	}
	n, err := s.Deletions.Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// followed reads and takes in what was recorded, and what the topics say of it.
func followed(t *testing.T, s *Store) (pending int, err error) {
	t.Helper()
	recorded, err := s.Deletions.Read(t.Context())
	if err != nil {
		return 0, err
	}
	pending, scans := s.Deletions.Take(recorded)
	s.Deletions.Scan(t.Context(), scans)
	return pending, nil
}

func applying(t *testing.T, s *Store) error {
	t.Helper()
	_, err := s.Deletions.Apply(t.Context())
	return err
}

// holds is what a consumer that keeps the last record of each key sees: id to
// the time of submission.
func (w *world) holds(topic string) map[string]string {
	w.t.Helper()
	latest := map[string]string{}
	err := w.cluster.Reader.Read(w.t.Context(), topic, kafka.From{}, func(r *kafka.Record) error {
		delete(latest, string(r.Key))
		for _, h := range r.Headers {
			if r.Value != nil && h.Key == HeaderSubmittedAt {
				latest[string(r.Key)] = string(h.Value)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		w.t.Fatal(err)
	}
	return latest
}

func (w *world) wantHeld(topic string, want map[string]time.Time) {
	w.t.Helper()
	stamps := map[string]string{}
	for id, at := range want {
		stamps[id] = lead.FormatTime(at)
	}
	var got map[string]string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) { // markers come a moment after the commit
		if got = w.holds(topic); maps.Equal(got, stamps) {
			return
		}
	}
	w.t.Errorf("topic %s holds %v, want %v", topic, got, stamps)
}

func TestADeletedLeadIsGoneAndDoesNotComeBack(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at), response("b", at))
	live := s.NewView("")
	expect(t, ask(t, s, live, w.window(-2*time.Hour, 0), response("a", at)), 0, 1, 0, 0)
	w.delete("a", at.Add(time.Minute))
	if n := applyDeletions(t, s); n != 1 {
		t.Errorf("%d tombstones, want 1", n)
	}
	w.wantHeld(topic, map[string]time.Time{"b": at})
	explicit := w.window(-2*time.Hour, 0)
	explicit.Explicit = true
	expect(t, ask(t, s, live, w.window(-2*time.Hour, 0), response("a", at)), 0, 0, 0, 1)

	again, _ := w.epoch()
	if n := applyDeletions(t, again); n != 0 {
		t.Errorf("after a restart %d tombstones, want none: they are there", n)
	}
	for name, view := range map[string]*dedup.View{"missing": again.NewView(""), "all": again.NewView("replay-1")} {
		if v := ask(t, again, view, explicit, response("a", at)); v.Deleted != 1 || len(v.Missing) > 0 {
			t.Errorf("a replay in mode %s: %s, want it deleted", name, counts(v))
		}
	}
	// The checkpoint topic is lost, and the lead topic as well.
	w.remove(CheckpointTopic(w.opts.Name), topic)
	fresh, _ := w.epoch()
	if v := ask(t, fresh, fresh.NewView(""), explicit, response("a", at), response("b", at)); v.Deleted != 1 || len(v.Missing) != 1 {
		t.Errorf("without checkpoints and topic: %s, want one deleted and the other missing", counts(v))
	}
}

// remove deletes topics.
func (w *world) remove(topics ...string) {
	w.t.Helper()
	if err := w.cluster.Admin.DeleteTopics(w.t.Context(), topics); err != nil {
		w.t.Fatal(err)
	}
}

func TestADeletionBeforeItsLeadKeepsTheLeadOut(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	w.delete("a", at.Add(time.Minute))
	if n := applyDeletions(t, s); n != 0 {
		t.Errorf("%d tombstones for a topic that does not exist", n)
	}
	expect(t, ask(t, s, s.NewView(""), w.window(-2*time.Hour, 0), response("a", at)), 0, 0, 0, 1)
}

func TestARegistrationAfterTheDeletionStays(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	first, left, second := w.now.Add(-3*time.Hour), w.now.Add(-2*time.Hour), w.now.Add(-time.Hour)
	publish(t, s, "", response("a", first))
	publish(t, s, "", response("a", second))
	w.delete("a", left)
	if n := applyDeletions(t, s); n != 0 {
		t.Errorf("%d tombstones, want none: one would take the second registration away", n)
	}
	w.wantHeld(topic, map[string]time.Time{"a": second})
	// The other order: registered again once the tombstone is there.
	publish(t, s, "", response("b", first))
	w.delete("b", left)
	applyDeletions(t, s)
	v := ask(t, s, s.NewView(""), w.window(-4*time.Hour, 0), response("b", first), response("b", second))
	expect(t, v, 1, 0, 0, 1)
	publish(t, s, "", v.Missing...)
	w.wantHeld(topic, map[string]time.Time{"a": second, "b": second})
	next, _ := w.epoch()
	if n := applyDeletions(t, next); n != 0 {
		t.Errorf("after a restart %d tombstones", n)
	}
}

func TestADeletionOutlivesTheProcessThatTookIt(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at))
	w.delete("a", at.Add(time.Minute)) // and nobody carries it out
	next, _ := w.epoch()
	if n := applyDeletions(t, next); n != 1 {
		t.Errorf("%d tombstones in the next epoch, want 1", n)
	}
	w.wantHeld(topic, map[string]time.Time{})
	// Killed between the tombstone and the record of it.
	if err := next.Commit(t.Context(), Batch{Records: map[string]any{checkpoint.DeletionsKey: nil}}); err != nil {
		t.Fatal(err)
	}
	third, state := w.epoch()
	if len(state.Deletions.Next) != 0 {
		t.Fatalf("the record is still there: %v", state.Deletions)
	}
	if n := applyDeletions(t, third); n != 0 {
		t.Errorf("%d tombstones once more, want none", n)
	}
}

func TestAnOlderDeletionNeverTakesTheNewerOnesPlace(t *testing.T) {
	w := newWorld(t)
	at := w.now.Add(-time.Hour)
	older, newer := at.Add(time.Minute), at.Add(30*time.Minute)
	w.delete("a", newer) // by one process
	w.delete("a", older) // late, by another
	w.delete("a", newer) // LinkedIn repeats itself
	var values []string
	err := w.cluster.Reader.Read(t.Context(), DeletionsTopic(w.opts.Name), kafka.From{}, func(r *kafka.Record) error {
		values = append(values, string(r.Value))
		return nil
	})
	if want := []string{lead.FormatTime(newer)}; err != nil || !slices.Equal(values, want) {
		t.Errorf("the topic of deletions has %v (%v), want %v", values, err, want)
	}
	s, _ := w.epoch()
	expect(t, ask(t, s, s.NewView(""), w.window(-2*time.Hour, 0), response("a", at.Add(10*time.Minute))), 0, 0, 0, 1)
}

func TestTheDeadLetterOfADeletedLeadIsRemoved(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	deadLetters := func(ids ...string) (made []DeadLetter) {
		for _, id := range ids {
			made = append(made, DeadLetter{Response: response(id, at), Stage: "DECODE", Reason: "UnreadableElement", Error: "no time"})
		}
		return made
	}
	if err := s.Commit(t.Context(), Batch{DeadLetters: deadLetters("a", "b")}); err != nil {
		t.Fatal(err)
	}
	w.delete("a", at)
	applyDeletions(t, s)
	left := func() (keys []string) {
		dead := map[string]bool{}
		err := w.cluster.Reader.Read(t.Context(), s.DeadLetterTopic(), kafka.From{}, func(r *kafka.Record) error {
			dead[string(r.Key)] = r.Value != nil
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		maps.DeleteFunc(dead, func(_ string, there bool) bool { return !there })
		return slices.Sorted(maps.Keys(dead))
	}
	want := []string{"b@" + lead.FormatTime(at)}
	for deadline := time.Now().Add(10 * time.Second); !slices.Equal(left(), want) && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	if got := left(); !slices.Equal(got, want) {
		t.Errorf("dead letters are %v, want %v", got, want)
	}
	if again := s.DeadLetters.New(deadLetters("a", "b", "c")); len(again) != 1 || again[0].ID != "c" {
		t.Errorf("dead letters to write: %v, want c alone", again)
	}
}

// A topic that refuses its tombstones is tried again; the others do not wait.
func TestOneTopicThatRefusesKeepsNoOtherWaiting(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at))
	w.delete("a", at)
	if err := NewDeletionLog(w.opts).Delete(t.Context(), Deletion{ID: "z", Form: "7130000000000000002", At: at}); err != nil {
		t.Fatal(err)
	}
	// The topic of the second form refuses every record but the smallest.
	made, err := w.cluster.Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: "linkedin.leads.7130000000000000002", Partitions: 1, ReplicationFactor: 1,
		Configs: map[string]string{"max.message.bytes": "10"}}})
	if err != nil || made["linkedin.leads.7130000000000000002"] != nil {
		t.Fatal(err, made)
	}
	var refused *kafka.TopicError
	for range 2 {
		if _, err := followed(t, s); err != nil {
			t.Fatal(err)
		}
		err := applying(t, s)
		if !errors.As(err, &refused) || refused.Topic != "linkedin.leads.7130000000000000002" {
			t.Fatalf("ApplyDeletions = %v, want the refusal of the second topic", err)
		}
	}
	w.wantHeld(topic, map[string]time.Time{})
	next, _ := w.epoch()
	if pending, err := followed(t, next); err != nil || pending != 1 {
		t.Errorf("after a restart %d deletions are to be carried out (%v), want the refused one", pending, err)
	}
}

func TestWhatOneProcessIsToldReachesTheOneThatWorks(t *testing.T) {
	w := newWorld(t)
	w.epoch()
	standby, active := NewDeletionLog(w.opts), NewDeletionLog(w.opts)
	create := func(ids ...string) {
		t.Helper()
		var passing sync.WaitGroup
		for _, id := range ids {
			passing.Go(func() {
				if err := standby.Create(t.Context(), src, checkpoint.Pushed{Response: id, At: w.now}); err != nil {
					t.Error(err)
				}
			})
		}
		passing.Wait()
	}
	create("long ago")
	w.now = w.now.Add(forwardedSpan + time.Minute)
	create("while nobody worked")
	w.now = w.now.Add(forwardedSpan / 2)
	forwarded, err := active.Forwarded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	create("a", "b")
	for _, want := range [][]string{{"a", "b", "while nobody worked"}, nil} {
		var got []string
		err = forwarded.Next(t.Context(), func(s lead.Source, p checkpoint.Pushed) {
			if s == src {
				got = append(got, p.Response)
			}
		})
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("told of %q (%v), want %q", got, err, want)
		}
	}
	// A storm makes one record in a while, not one for each notification.
	var many []string
	for i := range 500 {
		many = append(many, strconv.Itoa(i))
	}
	create(many...)
	told, records := 0, 0
	if err := forwarded.Next(t.Context(), func(lead.Source, checkpoint.Pushed) { told++ }); err != nil {
		t.Fatal(err)
	}
	err = w.cluster.Reader.Read(t.Context(), CheckpointTopic(w.opts.Name), kafka.From{}, func(*kafka.Record) error { records++; return nil })
	if err != nil || told != 500 || records > 50 {
		t.Errorf("told of %d of 500 in %d records (%v)", told, records, err)
	}
	// The checkpoint topic is read as before.
	if _, err := ReadState(t.Context(), w.cluster, w.opts.Name); err != nil {
		t.Errorf("ReadState = %v", err)
	}
}

func TestATopicOfDeletionsThatForgetsIsRefused(t *testing.T) {
	w := newWorld(t)
	name := DeletionsTopic(w.opts.Name)
	made, err := w.cluster.Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: name, Partitions: 1, ReplicationFactor: 1,
		Configs: map[string]string{"cleanup.policy": "delete"}}})
	if err != nil || made[name] != nil {
		t.Fatal(err, made)
	}
	var refused *PolicyError
	if err := EnsureDeletions(t.Context(), w.opts); !errors.As(err, &refused) || refused.Topic != name {
		t.Errorf("Ensure = %v, want a *PolicyError", err)
	}
}

// TestARegistrationThatABrokerStampedEarlierThanTheDeletionStays: its clock may be
// behind LinkedIn's, and a tombstone would take the lead away.
func TestARegistrationThatABrokerStampedEarlierThanTheDeletionStays(t *testing.T) {
	w := newWorld(t)
	w.create(nil)
	at := w.now.Add(-time.Minute)
	again := record("leadstream", "a", at.Add(time.Second), []byte("x"))
	again.Time = at.Add(-50 * time.Minute)
	w.foreign(again)
	s, _ := w.epoch()
	w.delete("a", at)
	if n := applyDeletions(t, s); n != 0 {
		t.Errorf("%d tombstones, want none", n)
	}
	w.wantHeld(topic, map[string]time.Time{"a": at.Add(time.Second)})
}

func TestATombstoneIsNeverOlderThanItsDeletion(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	ahead := w.now.Add(5 * time.Minute) // our clock is behind LinkedIn's
	if m := s.tombstone(Deletion{ID: "a", Form: formID, At: ahead}, w.now); !m.Time.Equal(ahead) || m.Value != nil {
		t.Errorf("the tombstone is of %v, want %v", m.Time, ahead)
	}
	if m := s.tombstone(Deletion{ID: "a", Form: formID, At: w.now.Add(-time.Hour)}, w.now); !m.Time.Equal(w.now) {
		t.Errorf("the tombstone is of %v, want our clock", m.Time)
	}
}

// TestWhatWasPassedOnWhileNobodyWorkedIsRead: of the last two minutes, which a
// takeover does not take.
func TestWhatWasPassedOnWhileNobodyWorkedIsRead(t *testing.T) {
	w := newWorld(t)
	w.epoch()
	n := NewDeletionLog(w.opts)
	if err := n.Create(t.Context(), src, checkpoint.Pushed{Response: "a", At: w.now}); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(110 * time.Second)
	forwarded, err := n.Forwarded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := forwarded.Next(t.Context(), func(_ lead.Source, p checkpoint.Pushed) { got = append(got, p.Response) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"a"}) {
		t.Errorf("passed on: %v, want a", got)
	}
}
