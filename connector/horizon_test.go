package connector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	kafkago "github.com/segmentio/kafka-go"

	"leadstream/internal/checkpoint"
	"leadstream/internal/embedded"
	"leadstream/internal/lead"
)

// expire does what retention does: everything in the partitions is gone.
func (w *world) expire(topic string, partitions ...int) {
	w.t.Helper()
	brokers, err := w.cluster.Admin.Brokers(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range partitions {
		if err := embedded.DeleteRecords(w.t.Context(), brokers[0].Address, topic, p, -1); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) leadTopic() string { return "linkedin.leads." + formID }

// TestALeadThatShowsSecondsLateIsNotLostOnATopicThatRetentionEmptied: retention
// is 7 days (kafka.topic_config, or a topic that existed), and took all that one
// partition held. The process was restarted. The first lead that it meets shows 5
// seconds after its submission, just after a poll: it was never published. It is
// younger than anything that retention can have taken; still it counts as forgotten.
func TestALeadThatShowsSecondsLateIsNotLostOnATopicThatRetentionEmptied(t *testing.T) {
	second := func(n int) string { // the n-th key that belongs to the second of two partitions
		for i := 0; ; i++ {
			key := fmt.Sprint("busy", i)
			if (kafkago.Murmur2Balancer{Consistent: true}).Balance(kafkago.Message{Key: []byte(key)}, 0, 1) == 1 {
				if n--; n < 0 {
					return key
				}
			}
		}
	}
	for _, test := range []struct {
		name       string
		partitions int
		removed    bool
	}{{"retention took nothing", 2, false}, {"one partition, quiet for a week", 1, true}, {"two partitions, one of them in use", 2, true}} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.store.Partitions = test.partitions
			w.store.TopicConfig = map[string]string{"retention.ms": fmt.Sprint((7 * 24 * time.Hour).Milliseconds())}
			e := w.start()
			w.tick(e, time.Minute)
			for i := range 8 {
				w.linkedin.submit(fmt.Sprint("early", i), w.now().Add(time.Second))
			}
			w.tick(e, time.Minute)
			for hour := range 8 * 24 {
				if test.partitions == 2 && hour%40 == 0 { // the last one 32 hours before the restart
					w.linkedin.submit(second(hour/40), w.now().Add(time.Second))
				}
				w.tick(e, time.Hour)
			}
			if test.removed {
				w.expire(w.leadTopic(), 0)
			}
			e = w.start() // a rolling update
			w.tick(e, time.Minute)
			at := w.now().Add(58 * time.Second)
			late := w.linkedin.submit("late", at)
			late.visible = at.Add(5 * time.Second)
			w.tick(e, time.Minute)
			for range 3 * 24 * 60 { // three days of look-back
				w.tick(e, time.Minute)
			}
			if !w.has("late", at) {
				t.Error("the lead that showed 5 s after its submission is not in its topic, and nothing brings it by itself")
			}
		})
	}
}

// TestADeferredWindowOfAReplayBringsNothingElseBack: the form is suspended; a replay of ONE
// old day is deferred, and so is a live lead. The deferred window is their hull and explicit: what
// was submitted between them, published long ago and taken by retention, comes back.
func TestADeferredWindowOfAReplayBringsNothingElseBack(t *testing.T) {
	w := newWorld(t)
	w.store.TopicConfig = map[string]string{"retention.ms": fmt.Sprint((7 * 24 * time.Hour).Milliseconds())}
	begin := w.now()
	w.linkedin.submit("asked for", begin.Add(time.Minute))
	w.linkedin.submit("not asked for", begin.Add(10*24*time.Hour))
	e := w.start()
	w.tick(e, 2*time.Minute)
	w.tick(e, 11*24*time.Hour)
	w.expectIDs(formID, "asked for", "not asked for") // a consumer has both
	w.linkedin.mu.Lock()
	w.linkedin.clock = begin.Add(30 * 24 * time.Hour)
	w.linkedin.mu.Unlock()
	w.expire(w.leadTopic(), 0)
	w.opts.Replay = &ReplayOptions{ID: "one day", From: begin, To: begin.Add(24 * time.Hour), Mode: checkpoint.Missing}
	e = w.start()
	w.tick(e, time.Minute)
	w.expectIDs(formID) // nothing comes back by itself
	e.forms.Suspend(formID, errors.New("the registry is away"))
	r, err := e.replayer().begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.replayer().all(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.linkedin.submit("live", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if err := e.deferrer.round(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	w.expectIDs(formID, "asked for", "live")
}

// TestAPushedLeadIsNotPublishedAgainAfterRetention: pushes publish beside the
// progress. The process dies before the next poll and is away for longer than the
// topic's retention: what was pushed counts as never reconciled.
func TestAPushedLeadIsNotPublishedAgainAfterRetention(t *testing.T) {
	w := newWorld(t).notified()
	w.store.TopicConfig = map[string]string{"retention.ms": fmt.Sprint((7 * 24 * time.Hour).Milliseconds())}
	e := w.start()
	w.tick(e, time.Minute)
	at := w.now()
	w.linkedin.submit("pushed", at)
	if err := e.Notify(t.Context(), notification(lead.Created, "pushed", at)); err != nil {
		t.Fatal(err)
	}
	w.pushNow(e)
	w.expectIDs(formID, "pushed") // consumers have it
	// kill -9; 8 days later:
	w.linkedin.mu.Lock()
	w.linkedin.clock = w.linkedin.clock.Add(8 * 24 * time.Hour)
	w.linkedin.mu.Unlock()
	w.expire(w.leadTopic(), 0)
	e = w.start()
	w.tick(e, time.Minute)
	w.expectIDs(formID) // it was there, and must not come back by itself
}

// TestALookBackIntoTheBackfillIsNotPublishedAgain: on a first start the look-back
// steps reach into what the backfill has still to do. What they published there and
// retention (or a person) removed is published again when the backfill gets to it.
func TestALookBackIntoTheBackfillIsNotPublishedAgain(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 30 * 24 * time.Hour
	w.store.TopicConfig = map[string]string{"retention.ms": fmt.Sprint(time.Hour.Milliseconds())}
	w.linkedin.submit("a", w.now().Add(-3*time.Minute))
	e := w.start()
	for range 20 {
		w.tick(e, time.Minute)
	}
	w.expectIDs(formID, "a") // by the look-back; the backfill is still busy with the year before
	for range 70 {
		w.tick(e, time.Minute)
	}
	w.expire(w.leadTopic(), 0)
	w.catchUp(e)
	w.expectIDs(formID)
}

// TestOurClockAheadLosesNothingOverATopicThatRetentionEmptied: a first start (as
// after a lost checkpoint) over a topic that retention emptied, our clock 5 minutes
// ahead: leads that are submitted and shown after the start are taken for older.
func TestOurClockAheadLosesNothingOverATopicThatRetentionEmptied(t *testing.T) {
	for _, offset := range []time.Duration{0, 5 * time.Minute} {
		t.Run(offset.String(), func(t *testing.T) {
			w := newWorld(t)
			w.offset = offset
			e := w.start()
			w.tick(e, time.Minute)
			w.linkedin.submit("old", w.linkedin.clock.Add(time.Second))
			w.tick(e, time.Minute)
			w.tick(e, 10*24*time.Hour)
			w.expire(w.leadTopic(), 0)
			if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{"leadstream.checkpoints"}); err != nil {
				t.Fatal(err)
			}
			e = w.start()
			w.tick(e, time.Minute)
			var lost []string
			for i := range 10 {
				at := w.linkedin.clock.Add(30 * time.Second) // and shows at once
				id := fmt.Sprint("live", i)
				w.linkedin.submit(id, at)
				w.tick(e, time.Minute)
				if !w.has(id, at) {
					lost = append(lost, id)
				}
			}
			for range 600 {
				w.tick(e, time.Minute)
			}
			if len(lost) > 0 {
				t.Errorf("live leads are lost: %v; the topic holds %v", lost, ids(w.topic(formID)))
			}
		})
	}
}

// TestALeadThatStaysOutWithinTheLookBackIsToldOfOnce: in the log, by a metric, and as
// a problem that names the command, until a replay has published it.
func TestALeadThatStaysOutWithinTheLookBackIsToldOfOnce(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	w.linkedin.submit("before", w.now().Add(time.Second))
	at := w.now().Add(500 * time.Millisecond)
	late := w.linkedin.submit("late", at)
	late.visible = at.Add(3 * time.Hour)
	w.tick(e, 4*time.Minute)
	w.expire(w.leadTopic(), 0)
	e = w.start()
	for range 24 * 60 {
		w.tick(e, time.Minute)
	}
	w.expectIDs(formID) // neither comes back by itself
	told := w.logs.FilterMessage("leads stay out of their topic").All()
	if len(told) != 2 || !strings.Contains(fmt.Sprint(told[1].ContextMap()), "2 leads submitted between "+lead.FormatTime(at)) {
		t.Errorf("said: %v, want one line for each that is met", told)
	}
	if n := testutil.ToFloat64(e.opts.Metrics.expired.WithLabelValues(formID)); n != 2 {
		t.Errorf("leadstream_expired_total = %v, want 2", n)
	}
	open := func() (texts []string) {
		for _, x := range e.issues.List() {
			if !x.Resolved && x.Part == formID {
				texts = append(texts, x.Text+": "+x.Todo)
			}
		}
		return texts
	}
	if got := open(); len(got) != 1 || !strings.Contains(got[0], "--replay-from "+lead.FormatTime(at)) {
		t.Errorf("problems: %v, want one that names the replay", got)
	}
	w.opts.Replay = &ReplayOptions{ID: "again", From: at, To: at.Add(time.Hour), Mode: checkpoint.Missing}
	e.opts.Replay = w.opts.Replay
	r, err := e.replayer().begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.replayer().all(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for range 24 * 60 {
		w.tick(e, time.Minute)
	}
	w.expectIDs(formID, "before", "late")
	if got := open(); len(got) != 0 {
		t.Errorf("problems after the replay: %v, want none", got)
	}
}

// TestAnOvertakenLeadIsCountedAndNotCalledHeld: the newer registration went out first.
func TestAnOvertakenLeadIsCountedAndNotCalledHeld(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	older, newer := w.now().Add(time.Second), w.now().Add(30*time.Second)
	late := w.linkedin.submit("a", older)
	late.visible = newer.Add(time.Hour)
	w.linkedin.submit("a", newer)
	both := w.now().Add(40 * time.Second)
	w.linkedin.submit("b", both)
	w.tick(e, time.Minute)
	w.linkedin.submit("b", both.Add(2*time.Minute)) // registered again, and the first went out before
	for range 24 * 60 {
		w.tick(e, time.Minute)
	}
	w.expectIDs(formID, "a", "b", "b")
	if n := testutil.ToFloat64(e.opts.Metrics.overtaken.WithLabelValues(formID)); n != 1 {
		t.Errorf("leadstream_overtaken_total = %v, want 1: the first submission of a alone", n)
	}
	retried := lead.Response{ID: "a", SubmittedAt: older, Owner: owner, Type: "EVENT", Form: lead.FormRef{ID: formID, Version: 1}, Raw: []byte(`{}`)}
	out, err := New(w.opts).Republish(t.Context(), []StoredDeadLetter{{Key: "a@" + lead.FormatTime(older), Response: retried}})
	if err != nil || !strings.Contains(out[0].Problem, "overtaken") {
		t.Errorf("retrying it gives %v, %v; want the problem that it is overtaken", out, err)
	}
}

// TestADeadLetterOfASuspendedFormStays: what would be deferred of it is read from LinkedIn
// later, which may not show the element any more.
func TestADeadLetterOfASuspendedFormStays(t *testing.T) {
	w := newWorld(t)
	w.linkedin.onEvents = nil
	w.linkedin.formDown[formID] = errors.New("503")
	deadLetter := StoredDeadLetter{Key: "a@" + lead.FormatTime(w.now()), Response: lead.Response{ID: "a", SubmittedAt: w.now(), Owner: owner, Type: "EVENT",
		Form: lead.FormRef{ID: formID, Version: 1}, Raw: []byte(`{}`)}}
	out, err := New(w.opts).Republish(t.Context(), []StoredDeadLetter{deadLetter})
	if err != nil || !strings.Contains(out[0].Problem, "is suspended") {
		t.Errorf("retrying it gives %v, %v; want the problem that its form is suspended", out, err)
	}
	if e := w.start(); len(e.state().Deferred) != 0 {
		t.Errorf("deferred windows = %v, want none: LinkedIn may not show the element any more", e.state().Deferred)
	}
	delete(w.linkedin.formDown, formID)
	out, err = New(w.opts).Republish(t.Context(), []StoredDeadLetter{deadLetter})
	if err != nil || out[0].Problem != "" {
		t.Errorf("retrying it once the form goes on gives %v, %v", out, err)
	}
	w.expectIDs(formID, "a")
}

// afterwards is LinkedIn that has something done once a window is read.
type afterwards struct {
	*fakeLinkedIn
	read func(lead.Window)
}

func (a *afterwards) Responses(ctx context.Context, s lead.Source, w lead.Window, limit int, fn func([]lead.Response) error) error {
	err := a.fakeLinkedIn.Responses(ctx, s, w, limit, fn)
	if a.read != nil {
		a.read(w)
	}
	return err
}

// TestARangeThatAPollLeftWhileAPartWasOnItsWayIsReadAgain: what is recorded as still to
// be done is not taken for done by who had read before.
func TestARangeThatAPollLeftWhileAPartWasOnItsWayIsReadAgain(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 2 * time.Hour
	h := &afterwards{fakeLinkedIn: w.linkedin}
	w.opts.LinkedIn = h
	e := w.start()
	begin := w.now()
	w.tick(e, time.Minute)
	var once sync.Once
	h.read = func(read lead.Window) {
		if read.From.After(begin.Add(-time.Hour)) { // the poll, not the backfill
			return
		}
		once.Do(func() {
			// The part is read, and not published yet. A poll finds too much, and
			// leaves what shows only now to the backlog.
			w.linkedin.submit("late", begin.Add(-20*time.Minute)).visible = begin
			p := e.state().Sources[src].Defer(lead.Window{From: begin.Add(-30 * time.Minute), To: begin}, begin, e.mark())
			if err := e.ask(t.Context(), &setProgress{src, p}); err != nil {
				t.Error(err)
			}
		})
	}
	w.catchUp(e)
	w.expectIDs(formID, "late")
}
