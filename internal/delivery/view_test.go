package delivery

import (
	"fmt"
	"testing"
	"time"

	"leadstream/internal/dedup"
	"leadstream/internal/lead"
)

// TestABrokerThatStampsRecordsByAClockBehindOursHidesNothing: with LogAppendTime
// a record may be older than its lead, by as much as the broker's clock is behind.
func TestABrokerThatStampsRecordsByAClockBehindOursHidesNothing(t *testing.T) {
	w := newWorld(t)
	w.create(nil)
	at := w.now.Add(-time.Second)
	stamped := record("leadstream", "a", at, []byte("x"))
	stamped.Time = w.now.Add(-59 * time.Minute) // as the embedded broker does not do by itself
	w.foreign(stamped)
	s, _ := w.epoch()
	expect(t, ask(t, s, s.NewView(""), w.window(-time.Minute, 0), response("a", at), response("b", at)), 1, 1, 0, 0)
}

// TestALateLeadThatTheTopicWouldHaveForgottenStaysOut: in the topic's own time,
// not only on first sight of it, something older than its retention may have been
// published and removed.
func TestALateLeadThatTheTopicWouldHaveForgottenStaysOut(t *testing.T) {
	w := newWorld(t)
	w.opts.TopicConfig = map[string]string{"retention.ms": "3600000"}
	s, _ := w.epoch()
	l := s.NewView("")
	publish(t, s, "", response("first", w.now))
	w.now = w.now.Add(3 * time.Hour)
	publish(t, s, "", response("later", w.now.Add(-time.Minute)))
	a := dedup.Query{Window: lead.Window{From: w.now.Add(-3 * time.Hour), To: w.now}, Fresh: freshFrom(w.now.Add(-time.Minute))}
	rs := []*lead.Response{response("older", w.now.Add(-time.Hour-time.Second)), response("younger", w.now.Add(-time.Hour+time.Second))}
	v := ask(t, s, l, a, rs...)
	expect(t, v, 1, 0, 1, 0)
	if len(v.Missing) == 1 && v.Missing[0].ID != "younger" {
		t.Errorf("missing is %s, want the one that the topic would still hold", v.Missing[0].ID)
	}
	a.Explicit = true
	expect(t, ask(t, s, l, a, rs...), 2, 0, 0, 0)
}

// TestAnOutageLongerThanTheRetentionLosesNothing: what was never looked at cannot
// have been published, also where the topic is older than we are.
func TestAnOutageLongerThanTheRetentionLosesNothing(t *testing.T) {
	w := newWorld(t)
	w.create(map[string]string{"retention.ms": "3600000"})
	w.foreign(record("leadstream", "old", w.now.Add(-time.Minute), []byte("x")))
	s, _ := w.epoch()
	l := s.NewView("")
	seen := w.now
	expect(t, ask(t, s, l, w.window(-time.Hour, 0), response("old", w.now.Add(-time.Minute))), 0, 1, 0, 0)
	w.now = w.now.Add(5 * time.Hour)
	a := dedup.Query{Window: lead.Window{From: seen, To: w.now}, Fresh: freshFrom(seen)}
	expect(t, ask(t, s, l, a, response("delayed", seen.Add(time.Minute))), 1, 0, 0, 0)
}

// TestWhatATopicHadForgottenOnFirstSightIsWrittenDown: its retention may be raised
// later, and the next process reads only what stands there.
func TestWhatATopicHadForgottenOnFirstSightIsWrittenDown(t *testing.T) {
	w := newWorld(t)
	w.create(map[string]string{"retention.ms": "3600000"})
	w.foreign(record("leadstream", "old", w.now.Add(-time.Minute), []byte("x")))
	s, _ := w.epoch()
	expect(t, ask(t, s, s.NewView(""), w.window(-time.Hour, 0), response("old", w.now.Add(-time.Minute))), 0, 1, 0, 0)
	_, state := w.epoch()
	if got := state.Topics[formID]; !got.Existed || !got.Horizon.Equal(w.now.Add(-time.Hour)) || !got.Seen.Equal(w.now) {
		t.Errorf("the topic is recorded as %+v, want one that existed and forgot what is older than an hour", got)
	}
}

// TestTheEndOfATopicIsRecordedWithItsMarkers: by less, a topic that somebody made
// anew would pass for the one before a little longer.
func TestTheEndOfATopicIsRecordedWithItsMarkers(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	publish(t, s, "", response("a", w.now), response("b", w.now))
	publish(t, s, "", response("c", w.now))
	if _, state := w.epoch(); state.Topics[formID].EndOffset != 5 {
		t.Errorf("the end is recorded as %d, want 5: three leads and two markers", state.Topics[formID].EndOffset)
	}
}

// TestAReplayOfAllIsWholeWithLittleMemory: a lead that stands in the part of the
// topic that memory does not hold is published again like the others, once.
func TestAReplayOfAllIsWholeWithLittleMemory(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	var all []*lead.Response
	for i := range 100 {
		all = append(all, response(fmt.Sprint(i), w.now.Add(time.Duration(i-100)*time.Minute)))
	}
	publish(t, s, "", all...)
	w.opts.MaxHeld = 20
	s, _ = w.epoch()
	a := w.window(-101*time.Minute, 0)
	a.Explicit = true
	v := ask(t, s, s.NewView("again"), a, all...)
	expect(t, v, 100, 0, 0, 0)
	publish(t, s, "again", v.Missing...)
	expect(t, ask(t, s, s.NewView("again"), a, all...), 0, 100, 0, 0)
}

// TestMemoryThatGaveWayKnowsThatItDid: what was forgotten of one topic in favour of
// another is read again, not taken for missing.
func TestMemoryThatGaveWayKnowsThatItDid(t *testing.T) {
	const other = "7130000000000000002"
	w := newWorld(t)
	s, _ := w.epoch()
	var large, small []*lead.Response
	for i := range 100 {
		at := w.now.Add(time.Duration(i-100) * time.Minute)
		large = append(large, response(fmt.Sprint(i), at))
		if i%10 == 9 {
			r := response(fmt.Sprint("other-", i), at)
			r.Form.ID = other
			small = append(small, r)
		}
	}
	if refused, err := ensured(t, s, []string{other}); err != nil || len(refused) > 0 {
		t.Fatalf("EnsureTopics: %v, %v", refused, err)
	}
	publish(t, s, "", append(large, small...)...)
	w.opts.MaxHeld = 30
	s, _ = w.epoch()
	if refused, err := ensured(t, s, []string{other}); err != nil || len(refused) > 0 {
		t.Fatalf("EnsureTopics: %v, %v", refused, err)
	}
	l := s.NewView("")
	a := w.window(-101*time.Minute, 0)
	expect(t, ask(t, s, l, a, small...), 0, 10, 0, 0)
	expect(t, ask(t, s, l, a, large...), 0, 100, 0, 0)
	expect(t, ask(t, s, l, a, small...), 0, 10, 0, 0)
}

// TestMemoryHasItsBounds: the defaults, of which README tells how much they take.
func TestMemoryHasItsBounds(t *testing.T) {
	w := newWorld(t)
	s := New(w.opts)
	if s.opts.MaxHeld != 2_200_000 || s.opts.MaxDeadLetter != 512<<10 {
		t.Errorf("%d ids and %d bytes of a dead letter, want 2,200,000 and 512 KiB", s.opts.MaxHeld, s.opts.MaxDeadLetter)
	}
	halved := 0
	for s.DeadLetters.Shrink() && halved < 100 {
		halved++
	}
	if halved != 10 {
		t.Errorf("a dead letter is halved %d times, want 10 times, to 512 bytes", halved)
	}
}
