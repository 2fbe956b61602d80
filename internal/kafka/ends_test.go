package kafka

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTheEndsOfManyTopicsAreOneRequestToEachLeader(t *testing.T) {
	c, f := fake(t) // of three brokers
	var topics []string
	for i := range 30 {
		topics = append(topics, fmt.Sprintf("topic-%02d", i))
	}
	create(t, c, 2, topics...)
	p := producer(t, c, "tx")
	commit(t, p, message("topic-07", "x"), message("topic-07", "y"))
	eventuallyValues(t, c, "topic-07", 2)
	var asked atomic.Int64
	f.ControlKey(int16(protocol.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		asked.Add(1)
		return nil, nil, false
	})
	ends, err := c.Reader.Ends(t.Context(), append(topics, "missing"))
	if err != nil || len(ends) != 60 {
		t.Fatalf("Ends = %d partitions, %v; want 60", len(ends), err)
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("it took %d requests, want one to each of three brokers", n)
	}
	var sum int64
	for tp, end := range ends {
		if end > 0 && tp.Topic != "topic-07" {
			t.Errorf("%v ends at %d, want it empty", tp, end)
		}
		sum += end
	}
	if sum < 3 {
		t.Errorf("the topic that was written to ends at %d in all, want two records and their markers", sum)
	}
	refuse(f, protocol.ListOffsets, codeNotLeader, -1)
	if again, err := c.Reader.Ends(t.Context(), topics); err != nil || len(again) != 60 {
		t.Errorf("after issues Ends = %d partitions, %v", len(again), err)
	}
	if err := f.DeleteTopic("topic-07"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if left, err := c.Reader.Ends(t.Context(), topics); err != nil || len(left) != 58 {
			t.Errorf("without one topic Ends = %d partitions, %v; want 58", len(left), err)
		}
	}
}
