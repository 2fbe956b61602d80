//go:build integration

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// admin speaks to a broker without anything of ours.
func admin(address string) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(address), Timeout: 20 * time.Second}
}

// removeTopic deletes a topic and waits until it is gone.
func (w *world) removeTopic(topic string) {
	w.t.Helper()
	client := admin(w.brokers)
	res, err := client.DeleteTopics(w.t.Context(), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err == nil {
		err = res.Errors[topic]
	}
	if err != nil {
		w.t.Fatalf("deleting topic %s: %v", topic, err)
	}
	time.Sleep(500 * time.Millisecond) // its data goes a moment later
}

// once runs "run --once" with flags to its end, which must be good. What was
// submitted before it belongs to its window.
func (w *world) once(flags ...string) *program {
	w.t.Helper()
	time.Sleep(2 * time.Second) // LinkedIn's clock, the Date header, has whole seconds
	p := launch(w.t, w.dir, "leadstream", w.env(freeAddress(w.t)), nil, append([]string{stack.binary, "run", "--once"}, flags...)...)
	if code := p.end(90 * time.Second); code != 0 {
		w.t.Fatalf("run --once %s: exit %d, want 0", strings.Join(flags, " "), code)
	}
	return p
}

// committed are the records of one form's topic.
func (w *world) committed(form string) []record {
	w.t.Helper()
	return consume(w.t, w.brokers, w.registry, w.prefix+form).records
}

// TestReplayAfterATopicWasDeleted: what was in the topic comes back by an
// explicit replay only, once; in mode all everything comes once more, marked.
func TestReplayAfterATopicWasDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: []string{"--leads", "2000"}})
	w.once()
	w.verify()
	form := w.linkedin.ledger()[0].FormID

	w.removeTopic(w.prefix + form)
	w.linkedin.submit(object{"form": form, "count": 7})
	w.once().says(time.Second, `"level":"error"`, "a lead topic was deleted", w.prefix+form, "--replay-from")
	if got := len(w.committed(form)); got != 7 {
		t.Errorf("the topic that was deleted holds %d records, want the 7 new ones alone", got)
	}
	const window = "340d"
	w.once("--replay-from", window).says(time.Second, "replay done", `"leads":`)
	before := w.verify()
	again := w.once("--replay-from", window)
	again.says(time.Second, "this replay is done")
	if after := w.verify(); len(after.records) != len(before.records) {
		t.Errorf("the same replay again published %d records", len(after.records)-len(before.records))
	}

	w.once("--replay-from", window, "--replay-mode", "all")
	doubled := w.verifyTimes(2)
	w.once("--replay-from", window, "--replay-mode", "all")
	if after := w.verifyTimes(2); len(after.records) != len(doubled.records) {
		t.Errorf("the same replay of all again published %d records", len(after.records)-len(doubled.records))
	}
	marked := map[identity]int{}
	for i := range doubled.records {
		if r := &doubled.records[i]; r.header("leadstream.replay") != "" {
			marked[r.identity()]++
		}
	}
	for id, n := range marked {
		if n != 1 {
			t.Errorf("lead %s was published %d times by the replay of all", id.id, n)
		}
	}
	if want := w.linkedin.leads(); len(marked) != want {
		t.Errorf("the replay of all marked %d leads, want %d", len(marked), want)
	}
}

// TestCheckpointTopicLost: a start without any progress is a first start, and
// repeats nothing.
func TestCheckpointTopicLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: []string{"--leads", "3000"}})
	w.once()
	w.removeTopic(w.name + ".checkpoints")
	w.linkedin.submit(object{"count": 20})
	w.once()
	w.verify()
	w.removeTopic(w.name + ".checkpoints")
	c := w.run()
	w.linkedin.submit(object{"count": 20})
	w.await(30 * time.Second)
	c.says(30*time.Second, "backlog range done")
	w.verify()
	if code, _ := c.stop(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}
