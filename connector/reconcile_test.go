package connector

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

func TestTopicAndSubjectExistAsSoonAsDiscoverySawTheFormOnAnEvent(t *testing.T) {
	w := newWorld(t)
	w.start()
	found, err := w.cluster.Admin.DescribeTopics(t.Context(), []string{"linkedin.leads." + formID}, "cleanup.policy")
	if err != nil || found["linkedin.leads."+formID].Configs["cleanup.policy"] != "compact,delete" {
		t.Errorf("topics = %+v, %v; want the form's, compact,delete", found, err)
	}
	versions, err := w.registry.Versions(t.Context(), "linkedin.leads."+formID+"-value")
	if err != nil || len(versions) != 1 {
		t.Errorf("schema versions = %v, %v; want one", versions, err)
	}
}

func TestLiveLeadsBackfillAndLateLeadsEachGoOutOnce(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 300 * 24 * time.Hour
	at := w.now()
	w.linkedin.submit("old", at.Add(-200*24*time.Hour))
	w.linkedin.submit("older", at.Add(-299*24*time.Hour))
	e := w.start()
	w.tick(e, time.Minute)
	w.linkedin.submit("live", w.now().Add(30*time.Second))
	late := w.linkedin.submit("late", w.now().Add(10*time.Second))
	late.visible = w.now().Add(2 * time.Hour)
	w.tick(e, time.Minute)
	w.catchUp(e)
	for range 300 {
		w.tick(e, time.Minute)
	}
	w.expectIDs(formID, "old", "older", "live", "late")
	label := map[string]string{}
	for _, p := range w.topic(formID) {
		label[p.id] = p.via
	}
	want := map[string]string{"old": "backfill", "older": "backfill", "live": "live", "late": "late"}
	if !reflect.DeepEqual(label, want) {
		t.Errorf("delivery = %v, want %v", label, want)
	}
}

func TestAnIdlePollIsOneRequestAndAsksNoTopic(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	before := w.linkedin.requests
	for range 100 {
		w.tick(e, time.Minute)
	}
	if got := w.linkedin.requests - before; got != 100 {
		t.Errorf("100 idle polls made %d requests", got)
	}
}

func TestARestartPublishesNothingTwiceAndForgetsNothing(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 30 * 24 * time.Hour
	for i := range 20 {
		w.linkedin.submit(fmt.Sprint(i), w.now().Add(-time.Duration(i)*24*time.Hour))
	}
	for restart := range 4 {
		e := w.start()
		w.tick(e, time.Minute)
		w.catchUp(e)
		w.linkedin.submit(fmt.Sprint("live", restart), w.now().Add(time.Second))
		w.tick(e, time.Minute)
	}
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint(i))
	}
	w.expectIDs(formID, append(want, "live0", "live1", "live2", "live3")...)
}

func TestALostCheckpointTopicRepeatsNothing(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 30 * 24 * time.Hour
	w.linkedin.submit("a", w.now().Add(-24*time.Hour))
	e := w.start()
	w.tick(e, time.Minute)
	w.catchUp(e)
	before, err := w.registry.Versions(t.Context(), "linkedin.leads."+formID+"-value")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{"leadstream.checkpoints"}); err != nil {
		t.Fatal(err)
	}
	w.linkedin.forms, w.linkedin.onEvents = nil, nil // and LinkedIn lists the form no more
	w.linkedin.submit("b", w.now().Add(-time.Hour))
	e = w.start()
	w.tick(e, time.Minute)
	w.catchUp(e)
	w.expectIDs(formID, "a", "b")
	after, err := w.registry.Versions(t.Context(), "linkedin.leads."+formID+"-value")
	if err != nil || len(after) != len(before) {
		t.Errorf("schema versions %d before, %d after (%v): a lost checkpoint must forget no name", len(before), len(after), err)
	}
	for _, p := range w.topic(formID) {
		if p.value["name"] == nil {
			t.Errorf("lead %s lost its answer: %v", p.id, p.value)
		}
	}
}

func TestOurClockAheadOrBehindLosesNothing(t *testing.T) {
	for _, offset := range []time.Duration{5 * time.Minute, -5 * time.Minute} {
		t.Run(offset.String(), func(t *testing.T) {
			w := newWorld(t)
			w.offset = offset
			e := w.start()
			var want []string
			for i := range 30 {
				id := fmt.Sprint(i)
				w.linkedin.submit(id, w.now().Add(-offset).Add(500*time.Millisecond))
				want = append(want, id)
				w.tick(e, time.Second)
				if i%10 == 9 {
					e = w.start()
				}
			}
			w.tick(e, time.Minute)
			w.expectIDs(formID, want...)
		})
	}
}

func TestAnOutageLongerThanTheLookbackIsCaughtUpWithItsLateLeads(t *testing.T) {
	w := newWorld(t)
	w.opts.Lookback = 24 * time.Hour
	e := w.start()
	for range 2000 {
		w.tick(e, time.Minute)
	}
	late := w.linkedin.submit("late across", w.now().Add(-3*time.Hour))
	late.visible = w.now().Add(time.Hour)
	w.linkedin.submit("during", w.now().Add(20*24*time.Hour))
	w.linkedin.clock = w.linkedin.clock.Add(40 * 24 * time.Hour)
	e = w.start()
	w.tick(e, time.Minute)
	w.catchUp(e)
	w.expectIDs(formID, "late across", "during")
}

func TestTwentyThousandLeadsOfOneMillisecond(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 24 * time.Hour
	at := w.now().Add(-time.Hour)
	var want []string
	for i := range 20_000 {
		id := fmt.Sprintf("same-%05d", i)
		w.linkedin.submit(id, at)
		want = append(want, id)
	}
	live := w.now().Add(30 * time.Second)
	e := w.start()
	for i := range 5_000 {
		id := fmt.Sprintf("live-%05d", i)
		w.linkedin.submit(id, live)
		want = append(want, id)
	}
	w.tick(e, time.Minute)
	w.catchUp(e)
	w.expectIDs(formID, want...)
}

func TestAnElementWithoutIdIsOneDeadLetterAndTheOthersGoOut(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	r := w.linkedin.submit("", w.now().Add(time.Second))
	r.Unreadable, r.Raw = "no id", []byte(`{"secret answer":"planted@example.com"}`)
	w.linkedin.submit("good", w.now().Add(time.Second))
	for range 10 {
		w.tick(e, 2*time.Second)
	}
	w.expectIDs(formID, "good")
	n := 0
	err := w.cluster.Reader.Read(t.Context(), "leadstream.deadletters", kafka.From{}, func(*kafka.Record) error { n++; return nil })
	if err != nil || n != 1 {
		t.Errorf("dead letters = %d, %v; want one", n, err)
	}
	for _, entry := range w.logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, "planted") {
			t.Errorf("the log quotes the element: %s", text)
		}
	}
}

func TestOptionTextsAreThoseOfTheVersionThatWasAnswered(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = time.Hour
	w.linkedin.forms[formID][2] = formVersion(2) // current; version 1 is only found through its leads
	choose := func(r *row, version int, option int64) {
		r.Form.Version = version
		r.Answers = []lead.Answer{{QuestionID: 2, Kind: lead.ChoiceAnswer, Options: []int64{option}}}
	}
	choose(w.linkedin.submit("v1", w.now().Add(-time.Minute)), 1, 0)
	choose(w.linkedin.submit("v2", w.now().Add(-time.Minute)), 2, 0)
	choose(w.linkedin.submit("unknown option", w.now().Add(-time.Minute)), 2, 9)
	choose(w.linkedin.submit("unknown version", w.now().Add(-time.Minute)), 7, 0)
	e := w.start()
	w.tick(e, time.Second)
	w.catchUp(e)
	want := map[string]string{"v1": "[track of v1]", "v2": "[track of v2]", "unknown option": "[9]", "unknown version": "[0]"}
	for _, p := range w.topic(formID) {
		if got := fmt.Sprint(p.value["track"]); got != want[p.id] {
			t.Errorf("track of %s = %s, want %s", p.id, got, want[p.id])
		}
	}
	w.expectIDs(formID, "v1", "v2", "unknown option", "unknown version")
}

func TestAFormThatLinkedInNoLongerShowsStillGetsItsLeads(t *testing.T) {
	w := newWorld(t)
	w.linkedin.forms, w.linkedin.onEvents = nil, nil
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	records := w.topic(formID)
	if len(records) != 1 {
		t.Fatalf("records = %v, want one", records)
	}
	if text := fmt.Sprint(records[0].value["unmapped"]); !strings.Contains(text, "answer of a") {
		t.Errorf("unmapped = %s, want the answer as it came", text)
	}
}

func TestAFormThatFailsForTheMomentIsDeferredAndDeliveredOnceRecovered(t *testing.T) {
	w := newWorld(t)
	other := "7130000000000000002"
	w.linkedin.forms[other] = map[int]lead.Form{1: {FormRef: lead.FormRef{ID: other, Version: 1}, Owner: owner, Name: "Other"}}
	w.linkedin.onEvents = nil
	w.linkedin.formDown[formID] = errors.New("503")
	e := w.start()
	w.linkedin.submit("deferred", w.now().Add(time.Second))
	w.linkedin.submit("other", w.now().Add(2*time.Second)).Form.ID = other
	w.tick(e, time.Minute)
	w.expectIDs(other, "other")
	if len(e.state().Deferred) != 1 {
		t.Fatalf("deferred windows = %v, want one", e.state().Deferred)
	}
	e = w.start() // the deferred window outlives a restart
	id := checkpoint.DeferredID{Source: src, Form: formID}
	if _, ok := e.state().Deferred[id]; !ok {
		t.Fatalf("deferred windows after restart = %v, want %v", e.state().Deferred, id)
	}
	delete(w.linkedin.formDown, formID)
	w.linkedin.clock = w.linkedin.clock.Add(300 * 24 * time.Hour)
	w.settle(e)
	w.expectIDs(formID, "deferred")
	w.expectIDs(other, "other")
	if e = w.start(); len(e.state().Deferred) != 0 {
		t.Errorf("deferred windows after settling and a restart = %v, want none", e.state().Deferred)
	}
}

// settle lets the suspended forms be recovered and paid.
func (w *world) settle(e *leader) {
	w.t.Helper()
	if err := e.forms.Recover(w.t.Context(), true); err != nil {
		w.t.Fatal(err)
	}
	if err := e.deferrer.deliverAll(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestSomebodyElsesSubjectSuspendsThatFormAlone(t *testing.T) {
	w := newWorld(t)
	other := "7130000000000000002"
	w.linkedin.forms[other] = map[int]lead.Form{1: {FormRef: lead.FormRef{ID: other, Version: 1}, Owner: owner, Name: "Other"}}
	theirs := `{"type":"record","name":"Order","fields":[{"name":"amount","type":"int"}]}`
	if _, err := w.registry.Ensure(t.Context(), "linkedin.leads."+formID+"-value", theirs); err != nil {
		t.Fatal(err)
	}
	e := w.start()
	w.linkedin.submit("deferred", w.now().Add(time.Second))
	w.linkedin.submit("other", w.now().Add(2*time.Second)).Form.ID = other
	w.tick(e, time.Minute)
	w.expectIDs(other, "other")
	if err := e.forms.Suspended(formID); err == nil || fault.KindOf(err) != fault.Suspend {
		t.Fatalf("form suspended because of %v, want the incompatible subject", err)
	}
	w.settle(e)
	if len(e.state().Deferred) != 1 {
		t.Errorf("deferred windows = %v, want them to stay while the subject is theirs", e.state().Deferred)
	}
	for _, permanent := range []bool{false, true} {
		if err := w.registry.Delete(t.Context(), "linkedin.leads."+formID+"-value", permanent); err != nil {
			t.Fatal(err)
		}
	}
	w.settle(e)
	w.expectIDs(formID, "deferred")
}

func TestTheSameIdSubmittedAgainIsAnotherLead(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	first, second := w.now().Add(time.Second), w.now().Add(90*time.Second)
	w.linkedin.submit("a", first)
	w.tick(e, time.Minute)
	w.linkedin.submit("a", second)
	for range 300 {
		w.tick(e, time.Minute)
	}
	e = w.start()
	w.tick(e, time.Minute)
	w.expectIDs(formID, "a", "a")
}

func TestATopicDeletedWhileRunningIsMadeAgainAndGetsOnlyNewLeads(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.linkedin.submit("before", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{"linkedin.leads." + formID}); err != nil {
		t.Fatal(err)
	}
	w.linkedin.submit("after", w.now().Add(time.Second))
	w.linkedin.clock = w.linkedin.clock.Add(time.Minute)
	if err := e.poller(src).poll(t.Context()); err != nil {
		if !errors.Is(err, kafka.ErrEpochLost) { // the new topic may not know the producer's sequence
			t.Fatal(err)
		}
		e = w.start()
	}
	for range 10 {
		w.tick(e, time.Minute)
	}
	w.expectIDs(formID, "after")
}

func TestReplayMissingRepairsATopicAndIsANoOpOnceDone(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 10 * 24 * time.Hour
	var want []string
	for i := range 10 {
		w.linkedin.submit(fmt.Sprint(i), w.now().Add(-time.Duration(i+1)*time.Hour))
		want = append(want, fmt.Sprint(i))
	}
	e := w.start()
	w.tick(e, time.Second)
	w.catchUp(e)
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{"linkedin.leads." + formID}); err != nil {
		t.Fatal(err)
	}
	w.opts.Replay = &ReplayOptions{ID: "r", From: w.now().Add(-11 * time.Hour), To: w.now(), Mode: checkpoint.Missing}
	for range 3 { // the same flags, three starts
		e = w.start()
		live := e.state().Sources[src].Live
		if err := e.replayer().run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !e.state().Replays["r"].Done() || !e.state().Sources[src].Live.Equal(live) {
			t.Errorf("replay done %v, live moved from %v to %v", e.state().Replays["r"].Done(), live, e.state().Sources[src].Live)
		}
		w.expectIDs(formID, want...)
	}
	w.opts.Replay = &ReplayOptions{ID: "all", From: w.now().Add(-6 * time.Hour), To: w.now(), Mode: checkpoint.All}
	for range 2 {
		e = w.start()
		if err := e.replayer().run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	marked := 0
	for _, p := range w.topic(formID) {
		if p.replay == "all" && p.via == "replay" {
			marked++
		}
	}
	if records := len(w.topic(formID)); marked != 5 || records != 15 {
		t.Errorf("%d records, %d of them marked; want 15 and 5", records, marked)
	}
}

func TestAQuestionAddedWithoutANewVersionIsFetchedAtOnce(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	changed := formVersion(1)
	changed.Questions = append(changed.Questions, lead.Question{ID: 3, Text: "Extra", Kind: lead.TextAnswer})
	w.linkedin.forms[formID][1] = changed
	r := w.linkedin.submit("a", w.now().Add(time.Second))
	r.Answers = append(r.Answers, lead.Answer{QuestionID: 3, Kind: lead.TextAnswer, Text: "more"})
	w.tick(e, time.Minute)
	if got := w.topic(formID); len(got) != 1 || fmt.Sprint(got[0].value["extra"]) != "more" {
		t.Errorf("records = %v, want one with the new question's answer", got)
	}
}

func TestALostEpochWritesNothingMore(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	w.start() // another process takes over
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.linkedin.clock = w.linkedin.clock.Add(time.Minute)
	if err := e.poller(src).poll(t.Context()); !kafka.EndsSession(err) {
		t.Errorf("poll of the fenced epoch = %v, want one that ends the epoch", err)
	}
	w.expectIDs(formID)
}

func TestACheckpointTopicRemovedWhileRunningIsAFirstStart(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 24 * time.Hour
	w.linkedin.submit("old", w.now().Add(-time.Hour))
	e := w.start()
	w.tick(e, time.Minute)
	w.catchUp(e)
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{"leadstream.checkpoints"}); err != nil {
		t.Fatal(err)
	}
	w.linkedin.submit("new", w.now().Add(time.Second))
	w.linkedin.clock = w.linkedin.clock.Add(time.Minute)
	if err := e.poller(src).poll(t.Context()); !kafka.EndsSession(err) {
		t.Fatalf("poll = %v, want the end of the epoch", err)
	}
	e = w.start()
	w.tick(e, time.Minute)
	w.catchUp(e)
	w.expectIDs(formID, "old", "new")
}

// TestWhatWasDeferredOutlivesATopicThatTheTokenStoreMadeAnew: the checkpoint topic is
// deleted under the connector, and the token store makes it again before the next
// commit, which succeeds. What was deferred of a suspended form stands in neither.
func TestWhatWasDeferredOutlivesATopicThatTheTokenStoreMadeAnew(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 24 * time.Hour
	e := w.start()
	w.linkedin.submit("before", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	e.forms.Suspend(formID, errors.New("its schema is not compatible"))
	for i := range 5 {
		w.linkedin.submit(fmt.Sprint("deferred", i), w.now().Add(time.Second))
		w.tick(e, time.Minute)
	}
	w.expectIDs(formID, "before")
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{"leadstream.checkpoints"}); err != nil {
		t.Fatal(err)
	}
	if err := delivery.NewTokens(w.store).Put(t.Context(), "a/b", []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	w.linkedin.submit("after", w.now().Add(time.Second))
	w.linkedin.clock = w.linkedin.clock.Add(time.Minute)
	if err := e.poller(src).poll(t.Context()); !kafka.EndsSession(err) {
		t.Fatalf("poll = %v, want the end of the epoch", err)
	}
	for range 2 { // also where the process is killed before it has caught up
		e = w.start()
		w.tick(e, time.Minute)
	}
	w.catchUp(e)
	w.expectIDs(formID, "before", "deferred0", "deferred1", "deferred2", "deferred3", "deferred4", "after")
}
