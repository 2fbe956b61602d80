//go:build integration

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// subjects are those of the installation in the registry.
func (w *world) subjects() []string {
	w.t.Helper()
	b, err := get(w.registry + "/subjects")
	var all, ours []string
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		if strings.HasPrefix(s, w.prefix) {
			ours = append(ours, s)
		}
	}
	return ours
}

// topics are those of the installation in Kafka.
func (w *world) topics() []string {
	w.t.Helper()
	conn, err := kafka.Dial("tcp", w.brokers) // a connection of its own: clients remember what there was
	if err != nil {
		w.t.Fatal(err)
	}
	partitions, err := conn.ReadPartitions()
	if err := errors.Join(err, conn.Close()); err != nil {
		w.t.Fatal(err)
	}
	var ours []string
	for _, p := range partitions {
		if strings.HasPrefix(p.Topic, w.name+".") {
			ours = append(ours, p.Topic)
		}
	}
	return ours
}

// tearDown runs the command with --yes, which must work.
func (w *world) tearDown(flags ...string) {
	w.t.Helper()
	p := w.command(append([]string{"teardown", "--yes"}, flags...)...)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		w.t.Fatalf("teardown %v: exit %d: %s", flags, code, lastLines(withoutDebug(p.text()), 10))
	}
	time.Sleep(500 * time.Millisecond) // the data of topics goes a moment later
}

// TestTearDownAndRecreate: what the connector created goes, part by part and as a
// whole, and the next start builds it anew with every lead in it once.
func TestTearDownAndRecreate(t *testing.T) {
	t.Parallel()
	w, b := pushed(t, options{noConsent: true, simulate: []string{"--leads", "300", "--organizations", "1", "--forms", "3", "--events", "3"}})
	w.consent()
	c := b.hook(w, "leadstream")
	w.subscribed(1)
	w.await(30 * time.Second)
	refused := w.command("teardown", "--yes", "--all")
	if code := refused.cmd.ProcessState.ExitCode(); code != 2 || len(w.topics()) < 5 {
		t.Errorf("beside a running connector: exit %d, want 2 and nothing removed", code)
	}
	c.stop()
	w.settings["LEADSTREAM_WEBHOOK_URL"], w.settings["LEADSTREAM_WEBHOOK_LISTEN"] = b.URL, "127.0.0.1:0"

	w.tearDown("--schemas")
	if s := w.subjects(); len(s) > 0 {
		t.Errorf("after --schemas there are %v", s)
	}
	w.verify() // records of before decode: the schemas went softly
	w.linkedin.submit(object{"count": 30})
	w.once()
	if s := w.subjects(); len(s) != 3 {
		t.Errorf("a start after --schemas makes %v, want three subjects", s)
	}
	w.verify()

	w.tearDown("--topics")
	w.once()
	if got := consume(t, w.brokers, w.registry, w.prefix); len(got.records) > 0 {
		t.Errorf("a start after --topics publishes %d old leads by itself", len(got.records))
	}
	w.once("--replay-from", "365d", "--replay-id", "after the topics went")
	w.verify()

	w.tearDown("--webhooks")
	eventually(t, 10*time.Second, func() error {
		var hooks []struct{ Subscriptions []object }
		if err := w.linkedin.look("/sim/webhooks", &hooks); err != nil {
			return err
		}
		for _, h := range hooks {
			if len(h.Subscriptions) > 0 {
				return fmt.Errorf("after --webhooks there are subscriptions: %v", h.Subscriptions)
			}
		}
		return nil
	})

	w.tearDown("--all")
	if topics, subjects := w.topics(), w.subjects(); len(topics)+len(subjects) > 0 {
		t.Errorf("after --all there are %v and %v", topics, subjects)
	}
	if p := w.command("run", "--once"); p.cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("without tokens: exit %d, want 3", p.cmd.ProcessState.ExitCode())
	}
	w.consent()
	w.once()
	w.verify()
	if n := len(w.subjects()); n != 3 {
		t.Errorf("recreated: %d subjects, want 3", n)
	}
}
