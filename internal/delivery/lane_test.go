package delivery

import (
	"testing"
	"time"

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
	expect(t, ask(t, s, s.Lane(""), w.window(-time.Minute, 0), response("a", at), response("b", at)), 1, 1, 0, 0)
}

// TestALateLeadThatTheTopicWouldHaveForgottenStaysOut: in the topic's own time,
// not only on first sight of it, something older than its retention may have been
// published and removed.
func TestALateLeadThatTheTopicWouldHaveForgottenStaysOut(t *testing.T) {
	w := newWorld(t)
	w.opts.TopicConfig = map[string]string{"retention.ms": "3600000"}
	s, _ := w.epoch()
	l := s.Lane("")
	publish(t, s, "", response("first", w.now))
	w.now = w.now.Add(3 * time.Hour)
	a := Ask{Window: lead.Window{From: w.now.Add(-3 * time.Hour), To: w.now}, Fresh: w.now.Add(-time.Minute)}
	rs := []*lead.Response{response("older", w.now.Add(-time.Hour-time.Second)), response("younger", w.now.Add(-time.Hour+time.Second))}
	v := ask(t, s, l, a, rs...)
	expect(t, v, 1, 0, 1, 0)
	if len(v.Missing) == 1 && v.Missing[0].ID != "younger" {
		t.Errorf("missing is %s, want the one that the topic would still hold", v.Missing[0].ID)
	}
	a.Explicit = true
	expect(t, ask(t, s, l, a, rs...), 2, 0, 0, 0)
}
