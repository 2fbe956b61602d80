package kafka

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestASealedPartitionShowsACommitWhoseMarkersWereLost(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a", "b")
	p := producer(t, c, "tx")
	commit(t, p, message("a", "1"), message("b", "1"))
	eventuallyValues(t, c, "a", 1)
	var swallowed atomic.Bool
	f.ControlKey(int16(protocol.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
		swallowed.Store(true)
		return answerWith(req, 0), nil, true // decided, and the markers never come
	})
	commit(t, p, message("a", "2"), message("b", "2"))
	if !swallowed.Load() {
		t.Fatal("the commit came through")
	}
	last := map[int]int64{0: 2} // behind 1 and its marker
	if decided, err := c.Decided(t.Context(), "a", last); err != nil || decided {
		t.Fatalf("Decided = %v, %v; want it undecided", decided, err)
	}
	if err := p.Seal(t.Context(), []TopicPartition{{"a", 0}, {"b", 0}}); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"a", "b"} {
		if got := eventuallyValues(t, c, topic, 2); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("topic %s holds %v, want both", topic, got)
		}
	}
	commit(t, p, message("a", "3")) // the producer is good
	if err := p.Seal(t.Context(), []TopicPartition{{"a", 0}, {"b", 0}}); err != nil {
		t.Errorf("Seal of what is decided = %v", err)
	}
	if got := eventuallyValues(t, c, "a", 3); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("topic a holds %v", got)
	}
}
