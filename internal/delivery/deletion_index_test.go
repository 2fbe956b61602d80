package delivery

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/internal/dedup"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// enter writes an entry of the deletions as a person does; nil lifts one.
func (w *world) enter(id string, value []byte) {
	w.t.Helper()
	err := w.cluster.Append(w.t.Context(), kafka.Message{Topic: DeletionsTopic(w.opts.Name), Key: []byte(id), Value: value, Time: w.now,
		Headers: []kafka.Header{{Key: HeaderForm, Value: []byte(formID)}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// explicit is what a replay of the last two hours asks.
func (w *world) explicit() dedup.Query {
	a := w.window(-2*time.Hour, 0)
	a.Explicit = true
	return a
}

func TestAnEntryWithoutAValueLiftsADeletion(t *testing.T) {
	w := newWorld(t)
	running, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	w.delete("a", at.Add(time.Minute))
	applyDeletions(t, running)
	w.enter("a", nil)
	if _, err := followed(t, running); err != nil {
		t.Fatal(err)
	}
	expect(t, ask(t, running, running.NewView(""), w.explicit(), response("a", at)), 1, 0, 0, 0)
	s, _ := w.epoch()
	expect(t, ask(t, s, s.NewView(""), w.explicit(), response("a", at)), 1, 0, 0, 0)
	// Entries count in their order: lifted before it is carried out, and told again.
	publish(t, s, "", response("b", at))
	w.enter("b", lead.AppendTime(nil, at.Add(time.Minute)))
	w.enter("b", nil)
	if n := applyDeletions(t, s); n != 0 {
		t.Errorf("%d tombstones of a deletion that was lifted", n)
	}
	w.enter("b", lead.AppendTime(nil, at.Add(time.Second)))
	if n := applyDeletions(t, s); n != 1 {
		t.Errorf("%d tombstones of a deletion that was told again, want 1", n)
	}
}

// What was lifted and is told again is recorded again, or it would be forgotten
// once compaction has taken the first record.
func TestADeletionThatIsToldAgainAfterItWasLiftedIsRecordedAgain(t *testing.T) {
	w := newWorld(t)
	w.epoch()
	n := NewDeletionLog(w.opts)
	d := Deletion{ID: "a", Form: formID, At: w.now.Add(-time.Hour)}
	tell := func() {
		t.Helper()
		n.read = time.Time{}                             // long ago
		if err := n.Delete(t.Context(), d); err != nil { // nil: LinkedIn is told that it is durable
			t.Fatal(err)
		}
	}
	for _, said := range [][]byte{nil, []byte("yesterday")} {
		tell()
		w.enter("a", said)
		tell()
		var last string
		err := w.cluster.Reader.Read(t.Context(), DeletionsTopic(w.opts.Name), kafka.From{}, func(r *kafka.Record) error {
			last = string(r.Value)
			return nil
		})
		if err != nil || last != lead.FormatTime(d.At) {
			t.Errorf("after %q the newest record, which is all that compaction leaves, says %q (%v), want the deletion", said, last, err)
		}
	}
}

// A deletion is durable when the topic that there is now has it.
func TestADeletionThatATopicTookWithItIsRecordedAgain(t *testing.T) {
	for name, looked := range map[string]bool{"seen in the topic": true, "only written to it": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			n := NewDeletionLog(w.opts)
			d := Deletion{ID: "a", Form: formID, At: w.now.Add(-time.Hour)}
			tell := func() {
				t.Helper()
				n.read = time.Time{} // long ago
				if err := n.Delete(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}
			tell()
			if looked {
				tell()
			}
			w.remove(DeletionsTopic(w.opts.Name))
			w.now = w.now.Add(time.Second)
			w.delete("b", d.At) // by another process, which makes the topic anew: it is as long as it was
			tell()
			var ids []string
			err := w.cluster.Reader.Read(t.Context(), DeletionsTopic(w.opts.Name), kafka.From{}, func(r *kafka.Record) error {
				ids = append(ids, string(r.Key))
				return nil
			})
			if err != nil || !slices.Equal(ids, []string{"b", "a"}) {
				t.Errorf("the topic has %q (%v), want a, of which LinkedIn was told that it is durable, as well", ids, err)
			}
		})
	}
}

// People write entries by hand (docs/records.md).
func TestAnUnreadableDeletionIsNamedAndHoldsUpItsOwnLeadAlone(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at), response("b", at))
	w.delete("b", at.Add(time.Minute))
	w.enter("a", []byte("yesterday"))
	if n := applyDeletions(t, s); n != 1 {
		t.Errorf("%d tombstones, want that of the other deletion", n)
	}
	w.wantHeld(topic, map[string]time.Time{"a": at})
	next, _ := w.epoch()
	for name, s := range map[string]*Store{"in the process that works": s, "after a restart": next} {
		t.Run(name, func(t *testing.T) {
			expect(t, ask(t, s, s.NewView("replay-1"), w.explicit(), response("a", at)), 0, 0, 0, 1)
			err := s.Deletions.Unreadable()
			var unreadable *UnreadableDeletionError
			if !errors.As(err, &unreadable) || unreadable.Key != "a" || unreadable.Offset != 1 || unreadable.Topic != DeletionsTopic(w.opts.Name) {
				t.Fatalf("UnreadableDeletion = %v, want the entry", err)
			}
			if strings.Contains(err.Error(), "yesterday") || fault.KindOf(err) != fault.Pause {
				t.Errorf("the error is %v of kind %v, want one for a person, without the value", err, fault.KindOf(err))
			}
		})
	}
	for _, said := range []string{"", "2026-11-25T10:00:00Z", "2026-11-25T11:00:00.5+01:00", "2026-11-25T10:00:00.123456Z"} {
		w.enter("a", []byte("yesterday"))
		value := []byte(said)
		if said == "" {
			value = nil
		}
		w.enter("a", value)
		if _, err := followed(t, next); err != nil {
			t.Fatal(err)
		}
		if err := next.Deletions.Unreadable(); err != nil {
			t.Errorf("after the entry was superseded by %q: %v", said, err)
		}
	}
}

// The form that only an earlier entry names is found again by the next process,
// which reads from where the deletions are not carried out yet.
func TestADeletionKeepsItsFormOverAnEntryWithoutOne(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", at))
	w.delete("a", at.Add(time.Minute))
	byHand := kafka.Message{Topic: DeletionsTopic(w.opts.Name), Key: []byte("a"), Value: []byte(lead.FormatTime(at.Add(2 * time.Minute))), Time: w.now}
	if err := w.cluster.Append(t.Context(), byHand); err != nil {
		t.Fatal(err)
	}
	if _, err := followed(t, s); err != nil {
		t.Fatal(err)
	}
	s.Deletions.refuses(topic, errors.New("too large"))
	var refused *RefusedError
	if err := applying(t, s); !errors.As(err, &refused) {
		t.Fatalf("ApplyDeletions = %v, want it refused", err)
	}
	next, _ := w.epoch()
	if n := applyDeletions(t, next); n != 1 {
		t.Errorf("%d tombstones, want 1", n)
	}
}
