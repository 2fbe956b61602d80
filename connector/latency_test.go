package connector

import (
	"testing"
	"time"
)

func TestLatencyIsThatOfTheLatestLeads(t *testing.T) {
	var l latencies
	if got := l.figures(); got.Leads != 0 {
		t.Fatalf("of no leads: %+v", got)
	}
	l.add(3 * time.Second)
	if got := l.figures(); got.P50 != 3*time.Second || got.P99 != 3*time.Second || got.Leads != 1 {
		t.Errorf("of one lead: %+v, want its own", got)
	}
	for range 10 * latencyWindow {
		l.add(time.Hour)
	}
	for i := range latencyWindow { // 1 ms … 1,000 ms
		l.add(time.Duration(latencyWindow-i) * time.Millisecond)
	}
	if got := l.figures(); got.P50 != 500*time.Millisecond || got.P99 != 990*time.Millisecond || got.Leads != latencyWindow {
		t.Errorf("of the last thousand: %+v, want 500 ms, 990 ms", got)
	}
}
