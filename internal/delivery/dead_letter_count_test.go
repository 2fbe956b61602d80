package delivery

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"leadstream/internal/kafka"
)

func TestDeadLettersAreCountedByKeyAndReason(t *testing.T) {
	w := newWorld(t)
	if got, err := CountDeadLetters(t.Context(), w.cluster, w.opts.Name); err != nil || got.Total != 0 {
		t.Fatalf("without a topic: %+v, %v; want none", got, err)
	}
	s, _ := w.epoch()
	deadLetter := func(id, reason string) DeadLetter {
		r := response(id, w.now)
		return DeadLetter{Response: r, Stage: "DECODE", Reason: reason, Error: "broken"}
	}
	commit := func(b Batch) {
		t.Helper()
		if err := s.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	commit(Batch{DeadLetters: []DeadLetter{deadLetter("a", "Unreadable"), deadLetter("b", "Unreadable"), deadLetter("c", "Refused")}})
	first := w.now
	w.now = w.now.Add(time.Hour)
	a := deadLetter("a", "Refused") // the same element, written again
	a.SubmittedAt = first
	commit(Batch{DeadLetters: []DeadLetter{a}})
	c := deadLetter("c", "")
	c.SubmittedAt = first
	commit(Batch{Resolved: []string{c.Key()}})
	got, err := CountDeadLetters(t.Context(), w.cluster, w.opts.Name)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"Unreadable": 1, "Refused": 1}; got.Total != 2 || got.More || !maps.Equal(got.Reasons, want) || !got.Last.Equal(w.now) {
		t.Errorf("counted %+v, want 2 for %v, the last at %v", got, want, w.now)
	}
}

func TestCountingDeadLettersTakesBoundedMemory(t *testing.T) {
	n := newCounter()
	for i := range maxDeadLetters + 1000 {
		n.take(&kafka.Record{Key: fmt.Appendf(nil, "%d", i), Value: []byte("x"),
			Headers: []kafka.Header{{Key: HeaderErrorException, Value: fmt.Appendf(nil, "reason %d", i%1000)}}})
	}
	got := n.count()
	if got.Total != maxDeadLetters || !got.More || len(got.Reasons) != maxReasons || got.Reasons[otherReasons] == 0 {
		t.Errorf("%d letters for %d reasons, more: %t; want %d for %d and more", got.Total, len(got.Reasons), got.More, maxDeadLetters, maxReasons)
	}
	sum := 0
	for _, count := range got.Reasons {
		sum += count
	}
	if sum != got.Total {
		t.Errorf("the reasons make %d, the letters %d", sum, got.Total)
	}
}
