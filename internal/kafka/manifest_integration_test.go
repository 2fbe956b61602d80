//go:build integration

package kafka

import (
	"slices"
	"testing"

	"leadstream/internal/realstack"
)

// loseMarkers commits the messages; those of the topic "lead" get no marker, for the
// coordinator does not know that they belong to the transaction. The broker must not
// verify that they do.
func loseMarkers(t *testing.T, p *Producer, msgs ...Message) {
	t.Helper()
	whole, err := p.plan(t.Context(), msgs)
	if err != nil {
		t.Fatal(err)
	}
	tx := p.begin(&plan{partitions: slices.DeleteFunc(slices.Clone(whole.partitions), func(tp TopicPartition) bool { return tp.Topic == "lead" })})
	if err := tx.add(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx.plan = whole
	if err := tx.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tx.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRealACommitWithoutAMarkerOutlivesProcessesThatWereKilled: its progress counts,
// its leads hang, and the next transaction was under way when the process was killed.
// What the coordinator still knows of it is different each time.
func TestRealACommitWithoutAMarkerOutlivesProcessesThatWereKilled(t *testing.T) {
	k := own(t, realstack.KafkaOptions{Properties: map[string]string{"transaction.partition.verification.enable": "false"}})
	c := func() *Client { return connect(t, Config{Brokers: []string{k.Addr(realstack.PLAINTEXT)}}) }
	first := c()
	create(t, first, 1, "lead", "other", "progress")
	p := producer(t, first, "tx")
	keeps(t, first, p)
	want := []string{}
	for name, die := range map[string]func(){
		"in the next transaction":     func() { open(t, p, message("other", "never")) },
		"before the next transaction": func() {},
		"after a start that got no further": func() {
			open(t, p, message("other", "never"))
			producer(t, c(), "tx")
		},
		"after an abort of its own": func() {
			if err := open(t, p, message("other", "never")).giveUp(t.Context(), errMarked); err == nil {
				t.Fatal("it was not given up")
			}
		},
	} {
		loseMarkers(t, p, message("lead", name), message("progress", name))
		want = append(want, name)
		die()
		cluster := c() // another process
		p = producer(t, cluster, "tx")
		if _, err := p.EndHanging(t.Context(), []string{"progress"}); err != nil {
			t.Fatal(err)
		}
		keeps(t, cluster, p)
		ended, err := p.EndHanging(t.Context(), []string{"lead", "other"})
		if err != nil || len(ended) != 1 || ended[0].Topic != "lead" {
			t.Errorf("%s: EndHanging = %v, %v; want that of lead", name, ended, err)
		}
		if got := values(t, cluster, "lead", From{}); !slices.Equal(got, want) {
			t.Fatalf("%s: topic lead holds %v, want %v", name, got, want)
		}
	}
}
