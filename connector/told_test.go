package connector

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
)

func TestLeadsThatCouldNotBePublishedAreOneErrorWithTheirNumberAndWhatToDo(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	for i := range 8 {
		r := w.linkedin.submit(fmt.Sprint("broken ", i), w.now().Add(time.Second))
		r.Unreadable, r.Raw = "its answers are not a list", []byte(fmt.Sprintf(`{"n":%d,"a":"planted@example.com"}`, i))
	}
	w.linkedin.submit("good", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	w.tick(e, time.Minute) // looks back at them, and finds nothing new
	said := w.logs.FilterLevelExact(zap.ErrorLevel).All()
	if len(said) != 1 {
		t.Fatalf("%d errors, want one: %+v", len(said), said)
	}
	fields := said[0].ContextMap()
	keys := fields["keys"].([]any)
	if fields["leads"] != int64(8) || fields["reason"] != reasonUnreadable || len(keys) != keysSaid || !strings.Contains(fields["todo"].(string), "leadstream deadletters retry") {
		t.Errorf("said %v, want eight leads, why, some of their keys and what to do", fields)
	}
	if text := fmt.Sprint(said[0].Message, fields); strings.Contains(text, "planted") {
		t.Errorf("the log holds an answer: %s", text)
	}
}

func TestThatALeadTopicWasDeletedIsSaidOnce(t *testing.T) {
	for _, madeAgain := range []string{"by leadstream", "by hand"} {
		w := newWorld(t)
		e := w.start()
		w.linkedin.submit("before", w.now().Add(time.Second))
		w.tick(e, time.Minute)
		topic := "linkedin.leads." + formID
		if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{topic}); err != nil {
			t.Fatal(err)
		}
		if madeAgain == "by hand" {
			w.makeTopic(topic)
		}
		w.linkedin.submit("after", w.now().Add(time.Second))
		w.linkedin.clock = w.linkedin.clock.Add(time.Minute)
		for range 3 { // the new topic may not know the producer's sequence
			if err := e.poller(src).poll(t.Context()); err == nil {
				break
			}
			e = w.start()
		}
		w.tick(e, time.Minute)
		w.expectIDs(formID, "after")
		said := w.logs.FilterMessageSnippet("a lead topic was deleted").All()
		if len(said) != 1 || said[0].Level != zap.ErrorLevel || said[0].ContextMap()["topic"] != topic || said[0].ContextMap()["leads_before"] != int64(1) ||
			!strings.Contains(said[0].ContextMap()["todo"].(string), "--replay-from") {
			t.Errorf("made again %s: said %+v, want once that it was deleted, and how to have the leads again", madeAgain, said)
		}
	}
}

func TestAReplayThatIsDoneSaysWhatItHasPublished(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		w.linkedin.submit(fmt.Sprint(i), w.now().Add(-time.Duration(i+1)*time.Hour))
	}
	w.opts.Replay = &ReplayOptions{ID: "r", From: w.now().Add(-10 * time.Hour), To: w.now(), Mode: checkpoint.Missing}
	for range 2 { // and the same flags again
		e := w.start()
		if err := e.replayer().run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	done := slices.Concat(w.logs.FilterMessage("replay done").All(), w.logs.FilterMessageSnippet("this replay is done").All())
	if len(done) != 2 {
		t.Fatalf("said %+v, want that it is done, and that it was", done)
	}
	for _, e := range done {
		if f := e.ContextMap(); f["leads"] != int64(7) || f["window"] == nil || f["replay"] != "r" {
			t.Errorf("%s: %v, want its window and seven leads", e.Message, f)
		}
	}
}

// makeTopic makes a lead topic as a person would.
func (w *world) makeTopic(name string) {
	w.t.Helper()
	made, err := w.cluster.Admin.CreateTopics(w.t.Context(), []kafka.TopicSpec{{Name: name, Partitions: 1, ReplicationFactor: 1}})
	if err != nil || made[name] != nil {
		w.t.Fatal(err, made)
	}
}
