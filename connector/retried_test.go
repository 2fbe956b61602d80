package connector

import (
	"testing"
	"time"

	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// deadLetters are the keys of those that are left.
func (w *world) deadLetters() []string {
	w.t.Helper()
	alive := map[string]bool{}
	err := w.cluster.Reader.Read(w.t.Context(), "leadstream.deadletters", kafka.From{}, func(r *kafka.Record) error {
		alive[string(r.Key)] = r.Value != nil
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	var left []string
	for key, is := range alive {
		if is {
			left = append(left, key)
		}
	}
	return left
}

// TestADeadLetterThatHasGoneOutDoesNotComeBack while LinkedIn still shows the element
// that could not be read: its lead is in its topic. One of an older submission under
// the same id is another lead.
func TestADeadLetterThatHasGoneOutDoesNotComeBack(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	at := w.now().Add(50 * time.Second)
	bad := w.linkedin.submit("bad", at)
	bad.Unreadable = "its answers are no list"
	w.tick(e, time.Minute)
	if left := w.deadLetters(); len(left) != 1 {
		t.Fatalf("dead letters %v, want one", left)
	}
	fixed := bad.Response
	fixed.Unreadable, fixed.Type = "", "EVENT"
	out, err := New(w.opts).Republish(t.Context(), []StoredDeadLetter{{Key: "bad@" + lead.FormatTime(at), Response: fixed}})
	if err != nil || len(out) != 1 || out[0].Problem != "" {
		t.Fatalf("Republish = %v, %v", out, err)
	}
	for range 2 { // starts
		e = w.start()
		for range 5 {
			w.tick(e, time.Minute)
		}
	}
	if left := w.deadLetters(); len(left) != 0 {
		t.Errorf("dead letters %v, though the lead is in its topic", left)
	}
	w.expectIDs(formID, "bad")
	again := w.linkedin.submit("bad", w.now().Add(-10*time.Second)) // the member registers again
	again.Unreadable = "its answers are no list either"
	w.tick(e, time.Minute)
	if left := w.deadLetters(); len(left) != 1 || left[0] != "bad@"+lead.FormatTime(again.SubmittedAt) {
		t.Errorf("dead letters %v, want that of the second registration", left)
	}
}

// TestAnElementThatBreaksAgainAfterItsLeadWentOutIsNoDeadLetter: LinkedIn shows it whole
// for a while.
func TestAnElementThatBreaksAgainAfterItsLeadWentOutIsNoDeadLetter(t *testing.T) {
	w := newWorld(t)
	e := w.start() // it has read nothing of the topic when it meets the element
	shown := func(why string) {
		t.Helper()
		w.linkedin.mu.Lock()
		w.linkedin.rows[0].Unreadable = why
		w.linkedin.mu.Unlock()
		for range 3 { // the shortest look-back reaches it
			w.tick(e, 5*time.Second)
		}
	}
	w.linkedin.submit("flickers", w.now().Add(time.Second))
	shown("its answers are no list")
	if left := w.deadLetters(); len(left) != 1 {
		t.Fatalf("dead letters %v, want one", left)
	}
	shown("")
	w.expectIDs(formID, "flickers")
	if left := w.deadLetters(); len(left) != 0 {
		t.Errorf("dead letters %v, though the lead has gone out", left)
	}
	shown("its answers are no list")
	if left := w.deadLetters(); len(left) != 0 {
		t.Errorf("dead letters %v, though the lead is in its topic", left)
	}
}
