//go:build integration

package kafka

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// TestRealTails: a read ends whatever stands at the end of the log, and an
// open transaction of somebody else hides nothing of ours.
func TestRealTails(t *testing.T) {
	c := real(t)
	topic := name(t, "a")
	create(t, c, 1, topic)
	if got := values(t, c, topic, From{}); len(got) != 0 {
		t.Errorf("an empty topic holds %v", got)
	}
	ours, other := producer(t, c, topic), producer(t, c, topic+"-other")
	tx := open(t, ours, message(topic, "never"))
	if err := tx.giveUp(t.Context(), errors.New("enough")); errors.Is(err, ErrEpochLost) {
		t.Fatal(err)
	}
	if got := values(t, c, topic, From{}); len(got) != 0 {
		t.Errorf("only aborted: %v", got)
	}
	open(t, other, message(topic, "other"))
	commit(t, ours, message(topic, "1"))
	if got := eventuallyValues(t, c, topic, 1); !slices.Equal(got, []string{"1"}) {
		t.Errorf("beside an open transaction: %v, want [1]", got)
	}
	if code, err := other.end(t.Context(), true); code != 0 || err != nil {
		t.Fatalf("end = %v, %v", code, err)
	}
	if got := eventuallyValues(t, c, topic, 2); !slices.Equal(got, []string{"1", "other"}) {
		t.Errorf("got %v, want the order of the commits", got)
	}
	// What a killed process left open ends with the next Init, not later.
	open(t, ours, message(topic, "left open"))
	next := producer(t, c, topic)
	commit(t, next, message(topic, "2"))
	if got := eventuallyValues(t, c, topic, 3); !slices.Equal(got, []string{"1", "other", "2"}) {
		t.Errorf("got %v, want [1 other 2]", got)
	}
}

// TestRealFromTime: every record whose time is at or after the asked one comes,
// also when times are out of order.
func TestRealFromTime(t *testing.T) {
	c := real(t)
	topic := name(t, "a")
	create(t, c, 3, topic)
	p := producer(t, c, topic)
	start := time.Now().Add(time.Second).Truncate(time.Second)
	times := map[string]time.Time{}
	for i := range 200 {
		m := message(topic, fmt.Sprintf("%03d", i))
		m.Time = start.Add(time.Duration(i) * time.Second)
		if i%10 == 3 {
			m.Time = m.Time.Add(-time.Minute) // late
		}
		times[string(m.Value)] = m.Time
		commit(t, p, m)
	}
	eventuallyValues(t, c, topic, 200)
	for _, after := range []int{0, 13, 100, 199, 250} {
		from := start.Add(time.Duration(after) * time.Second)
		got := values(t, c, topic, From{Time: from})
		for v, at := range times {
			if !at.Before(from) && !slices.Contains(got, v) {
				t.Errorf("from second %d: record %s is missing", after, v)
			}
		}
		if after == 199 && len(got) > 20 {
			t.Errorf("from the last second on %d records came, want few", len(got))
		}
	}
}

// TestRealCompaction: after it a read gives the last value of each key and
// ends, also where the last records of a batch are gone.
func TestRealCompaction(t *testing.T) {
	c := real(t)
	topic := name(t, "compacted")
	createWith(t, c, 1, map[string]string{
		"cleanup.policy": "compact", "segment.ms": "300", "min.cleanable.dirty.ratio": "0.001",
		"delete.retention.ms": "100", "max.compaction.lag.ms": "300",
	}, topic)
	p := producer(t, c, topic)
	latest, before := map[string]string{}, map[string]string{} // before the last transaction
	write := func(n int) {
		before = maps.Clone(latest)
		msgs := make([]Message, 0, 20)
		for i := range 20 {
			key, value := fmt.Sprint(i%7), fmt.Sprintf("%d.%d", n, i)
			msgs = append(msgs, Message{Topic: topic, Key: []byte(key), Value: []byte(value)})
			latest[key] = value
		}
		commit(t, p, msgs...)
	}
	for n := range 50 {
		write(n)
	}
	n, records := 50, 0
	eventually(t, "compaction", func() bool {
		write(n) // the active segment is never cleaned
		n++
		got := map[string]string{}
		records = 0
		err := c.Reader.Read(t.Context(), topic, From{}, func(r *Record) error {
			records++
			got[string(r.Key)] = string(r.Value)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// Compaction takes no key, and brings no value back that a later one has
		// replaced. Only the markers of the last transaction may not be written yet.
		if len(got) != 7 {
			t.Fatalf("keys left: %v, want all seven", got)
		}
		for key, value := range got {
			if value != latest[key] && value != before[key] {
				t.Fatalf("key %s = %s, want %s, or %s before that is readable", key, value, latest[key], before[key])
			}
		}
		return records < 20*n/2 || sleep(t.Context(), 100*time.Millisecond) != nil
	})
	eventually(t, "the last transaction", func() bool {
		got := map[string]string{}
		if err := c.Reader.Read(t.Context(), topic, From{}, func(r *Record) error { got[string(r.Key)] = string(r.Value); return nil }); err != nil {
			t.Fatal(err)
		}
		return maps.Equal(got, latest)
	})
	bounds, err := c.Reader.Offsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for at := range bounds[0].End {
		if at%97 == 0 { // from the midst of batches and of gaps
			values(t, c, topic, From{Offset: at})
		}
	}
	t.Logf("%d of %d records are left", records, 20*n)
}
