//go:build integration

package kafka

import (
	"slices"
	"strings"
	"testing"
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
	follower := c.Follower(topic)
	if got, _ := follow(t, follower); !slices.Contains(got, "beside it") || slices.Contains(got, "2") {
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
