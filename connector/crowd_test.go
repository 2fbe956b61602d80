package connector

import (
	"fmt"
	"testing"
	"time"
)

// TestTwelveThousandLeadsOfOneMillisecond: no window is short enough to split
// them, live or in the backfill. Each goes out once, also across a restart.
func TestTwelveThousandLeadsOfOneMillisecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Backfill = 24 * time.Hour
	past, live := w.now().Add(-time.Hour), w.now().Add(30*time.Second)
	const each = 12000
	for i := range each {
		w.linkedin.submit(fmt.Sprint("past", i), past)
		w.linkedin.submit(fmt.Sprint("live", i), live)
	}
	for range 2 {
		e := w.start()
		w.tick(e, time.Minute)
		w.catchUp(e)
	}
	times := map[string]int{}
	for _, id := range ids(w.topic(formID)) {
		times[id]++
	}
	if len(times) != 2*each {
		t.Errorf("%d leads, want %d", len(times), 2*each)
	}
	for id, n := range times {
		if n != 1 {
			t.Fatalf("%s went out %d times", id, n)
		}
	}
}
