package delivery

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"leadstream/internal/dedup"
	"leadstream/internal/embedded"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// deleteRecords has everything before the offset removed; -1 is all there is.
func (w *world) deleteRecords(topic string, partition int, offset int64) {
	w.t.Helper()
	if err := embedded.DeleteRecords(w.t.Context(), w.brokers[0], topic, partition, offset); err != nil {
		w.t.Fatal(err)
	}
}

func TestRecordsDeletedByHandDoNotComeBackByThemselves(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := func(minutes int) time.Time { return w.now.Add(-time.Duration(minutes) * time.Minute) }
	begin := w.now
	for _, minutes := range []int{60, 40, 20} { // each published when it was submitted
		w.now = begin.Add(-time.Duration(minutes) * time.Minute)
		publish(t, s, "", response(lead.FormatTime(w.now), w.now))
	}
	w.now = begin
	old := []*lead.Response{response(lead.FormatTime(at(60)), at(60)), response(lead.FormatTime(at(40)), at(40)), response(lead.FormatTime(at(20)), at(20))}
	w.deleteRecords(topic, 0, 4) // two leads and their markers
	s, _ = w.epoch()
	a := w.window(-2*time.Hour, time.Minute)
	a.Fresh = freshFrom(w.now)
	late := response("late", at(10))
	expect(t, ask(t, s, s.NewView(""), a, append([]*lead.Response{late, response("new", w.now)}, old...)...), 2, 1, 2, 0)

	w.deleteRecords(topic, 0, -1) // all of it
	s, _ = w.epoch()
	expect(t, ask(t, s, s.NewView(""), a, append([]*lead.Response{late, response("new", w.now)}, old...)...), 2, 0, 3, 0) // late is younger than all of it
	a.Explicit = true
	expect(t, ask(t, s, s.NewView(""), a, old...), 3, 0, 0, 0)
}

func TestWhatIsRemovedWhileWeRunDoesNotComeBackEither(t *testing.T) {
	for name, remove := range map[string]func(w *world){
		"records deleted by hand": func(w *world) { w.deleteRecords(topic, 0, -1) },
		"topic deleted and made again by hand": func(w *world) {
			if err := w.cluster.Admin.DeleteTopics(w.t.Context(), []string{topic}); err != nil {
				w.t.Fatal(err)
			}
			w.create(nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s, _ := w.epoch()
			old := w.now.Add(-2 * time.Hour)
			publish(t, s, "", response("a", old))
			s, _ = w.epoch()
			l := s.NewView("")
			expect(t, ask(t, s, l, w.window(-time.Minute, 0), response("n", w.now.Add(-time.Second))), 1, 0, 0, 0)
			remove(w)
			wide := w.window(-4*time.Hour, 0)
			wide.Fresh = freshFrom(w.now.Add(-time.Minute))
			expect(t, w.askAgain(s, l, wide, response("a", old)), 0, 0, 1, 0)
		})
	}
}

// askAgain is ask with the second try that the connector makes when a topic
// turns out to be another one.
func (w *world) askAgain(s *Store, l *dedup.View, a dedup.Query, rs ...*lead.Response) dedup.Diff {
	w.t.Helper()
	for range 3 {
		if _, err := ensured(w.t, s, []string{formID}); err != nil {
			w.t.Fatal(err)
		}
		v, err := asked(w.t, s, l, a, rs...)
		if err == nil {
			return v
		}
		if !errors.Is(err, kafka.ErrTopicMissing) {
			w.t.Fatal(err)
		}
	}
	w.t.Fatal("the topic stays missing")
	return dedup.Diff{}
}

func TestWhatIsRemovedDuringABackfillOverAnExistingTopicStaysOut(t *testing.T) {
	for name, remove := range map[string]func(w *world){
		"by hand":                         func(w *world) { w.deleteRecords(topic, 0, -1) },
		"by retention, as soon as may be": func(w *world) { w.now = w.now.Add(45 * time.Minute); w.deleteRecords(topic, 0, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(map[string]string{"retention.ms": "3600000"})
			at, seen := w.now.Add(-30*time.Minute), w.now
			w.foreign(record("leadstream", "x", at, []byte("x"))) // published by ourselves, before the checkpoint was lost
			w.foreign(record("leadstream", "y", seen, []byte("x")))
			s, _ := w.epoch()
			if _, err := ensured(t, s, []string{formID}); err != nil { // first sight: discovery
				t.Fatal(err)
			}
			remove(w) // while the backfill works through the year before
			for range 2 {
				a := w.window(-3*time.Hour, time.Minute) // the backfill gets here; it is fresh from its beginning on
				expect(t, ask(t, s, s.NewView(""), a, response("x", at), response("new", seen.Add(time.Second))), 1, 0, 1, 0)
				s, _ = w.epoch()
			}
		})
	}
}

func TestAPartitionThatWasEmptiedByHandGivesNothingBack(t *testing.T) {
	w := newWorld(t)
	w.opts.Partitions = 2
	s, _ := w.epoch()
	var rs []*lead.Response
	for i := range 20 {
		rs = append(rs, response(fmt.Sprint(i), w.now))
	}
	publish(t, s, "", rs...)
	w.now = w.now.Add(time.Hour)
	w.deleteRecords(topic, 1, -1)
	s, _ = w.epoch()
	a := w.window(-4*time.Hour, 0)
	a.Fresh = freshFrom(w.now)
	if v := ask(t, s, s.NewView(""), a, rs...); len(v.Missing) != 0 || v.Held == 20 {
		t.Errorf("%s; want none missing, and some of them expired", counts(v))
	}
}

// Partitions lose their records at different times: the one that remembers the
// least decides.
func TestThePartitionThatForgotTheMostSaysWhatMayComeBack(t *testing.T) {
	w := newWorld(t)
	w.opts.Partitions = 2
	s, _ := w.epoch()
	batch := func(name string) (rs []*lead.Response) {
		for i := range 20 {
			rs = append(rs, response(fmt.Sprint(name, i), w.now))
		}
		return rs
	}
	before := batch("before")
	publish(t, s, "", before...)
	bounds, err := w.cluster.Reader.Offsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Hour)
	publish(t, s, "", batch("behind")...)
	w.deleteRecords(topic, 0, bounds[0].End) // what came an hour later is its oldest
	w.deleteRecords(topic, 1, 1)
	s, _ = w.epoch()
	a := w.window(-4*time.Hour, 0)
	a.Fresh = freshFrom(w.now)
	if v := ask(t, s, s.NewView(""), a, before...); len(v.Missing) != 0 || len(v.Expired) == 0 {
		t.Errorf("%s; want none missing, and some of them expired", counts(v))
	}
}

func TestANewLeadThatFindsItsTopicDeletedGoesOut(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	if _, err := ensured(t, s, []string{formID}); err != nil {
		t.Fatal(err)
	}
	s, _ = w.epoch() // restarted before the topic's first lead
	publish(t, s, "", response("a", w.now.Add(-time.Hour)))
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{topic}); err != nil {
		t.Fatal(err)
	}
	s, _ = w.epoch()
	v := ask(t, s, s.NewView(""), w.window(-time.Minute, 0), response("new", w.now.Add(-10*time.Second)))
	expect(t, v, 1, 0, 0, 0)
}

func TestACrashInATopicsFirstTransactionHidesNoBackfill(t *testing.T) {
	w := newWorld(t)
	w.opts.TopicConfig = map[string]string{"retention.ms": "86400000"}
	s, _ := w.epoch()
	if _, err := ensured(t, s, []string{formID}); err != nil {
		t.Fatal(err)
	}
	w.foreign(kafka.Message{Topic: topic, Key: []byte("x"), Value: []byte("x"), Time: w.now}) // what an aborted transaction leaves
	s, _ = w.epoch()
	v := ask(t, s, s.NewView(""), w.window(-300*24*time.Hour, 0), response("never published", w.now.Add(-200*24*time.Hour)))
	expect(t, v, 1, 0, 0, 0)
}

func TestATopicMadeAgainDoesNotHoldEverythingUp(t *testing.T) {
	w := newWorld(t)
	w.opts.VisibleTime = 50 * time.Millisecond
	s, _ := w.epoch()
	old := w.now.Add(-time.Hour)
	publish(t, s, "", response("a", old), response("b", old))
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{topic}); err != nil {
		t.Fatal(err)
	}
	w.create(nil)
	a := w.window(-2*time.Hour, 0)
	a.Fresh = freshFrom(w.now)
	expect(t, w.askAgain(s, s.NewView(""), a, response("a", old)), 0, 0, 1, 0)
}
