//go:build integration

package kafka

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAppendBesideATransactionOnARealBroker: a record outside any transaction is
// readable while another producer's is open on the same partition, and that one
// goes on. A compacted topic refuses a record without a key, by its code.
func TestAppendBesideATransactionOnARealBroker(t *testing.T) {
	c := real(t)
	topic := name(t, "a")
	createWith(t, c, 1, map[string]string{"cleanup.policy": "compact"}, topic)
	p := producer(t, c, name(t, "tx"))
	commit(t, p, message(topic, "1"))
	tx := open(t, p, message(topic, "2"))
	if err := c.Append(t.Context(), message(topic, "beside it")); err != nil {
		t.Fatal(err)
	}
	tailer := c.Tailer(topic)
	if got, _ := follow(t, tailer); !slices.Contains(got, "beside it") || slices.Contains(got, "2") {
		t.Errorf("beside an open transaction %q is read, want what was appended", got)
	}
	if err := tx.commit(t.Context()); err != nil {
		t.Fatalf("committing the transaction: %v", err)
	}
	if got := eventuallyValues(t, c, topic, 3); !slices.Equal(got, []string{"1", "beside it", "2"}) {
		t.Errorf("%q is read, want all three in the order in which they became visible", got)
	}
	if err := c.Append(t.Context(), Message{Topic: topic, Value: []byte("x")}); err == nil || !strings.Contains(err.Error(), "87") {
		t.Errorf("without a key Append = %v, want the broker's refusal", err)
	}
}

// TestAnExactFollowerOnARealBroker: a topic that was deleted and made anew as long
// as it was before is another one, and nothing else is. One that was deleted is
// gone on every broker's word.
func TestAnExactFollowerOnARealBroker(t *testing.T) {
	c := real(t)
	topic := name(t, "a")
	tailer := c.Tailer(topic).DetectRecreation()
	write := func(value string) {
		t.Helper()
		m := message(topic, value)
		m.Key, m.Time = []byte(value), time.Now()
		if err := c.Append(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string, wantAnew bool) {
		t.Helper()
		if got, anew := follow(t, tailer); strings.Join(got, " ") != want || anew != wantAnew {
			t.Errorf("%q is read (anew %v), want %q (%v)", got, anew, want, wantAnew)
		}
	}
	made := map[string]string{"cleanup.policy": "compact"}
	createWith(t, c, 1, made, topic)
	write("1")
	expect("1", false)
	write("2")
	expect("2", false)
	expect("", false)
	if gone, err := c.Admin.Gone(t.Context(), topic, name(t, "b")); err != nil || !slices.Equal(gone, []string{name(t, "b")}) {
		t.Errorf("Gone = %v, %v, want the topic that never was", gone, err)
	}
	if err := c.Admin.DeleteTopics(t.Context(), []string{topic}); err != nil {
		t.Fatal(err)
	}
	if gone, err := c.Admin.Gone(t.Context(), topic); err != nil || !slices.Equal(gone, []string{topic}) {
		t.Errorf("Gone = %v, %v, want the topic that was deleted", gone, err)
	}
	createWith(t, c, 1, made, topic)
	write("3")
	write("4")
	expect("3 4", true)
	expect("", false)
	if err := c.Admin.DeleteTopics(t.Context(), []string{topic}); err != nil {
		t.Fatal(err)
	}
	expect("", true)
}
