package checkpoint

import (
	"testing"
	"time"
)

// counted is h as counts by hour.
func counted(h Hours) map[time.Time]int64 {
	counts := map[time.Time]int64{}
	for start, n := range h.All() {
		counts[start] = n
	}
	return counts
}

func TestHoursAreThoseOfTheLastDay(t *testing.T) {
	var h Hours
	h = h.Add(t0.Add(59*time.Minute), 3)
	h = h.Add(t0.Add(61*time.Minute), 4)
	h = h.Add(t0.Add(62*time.Minute), 5)
	if got := counted(h); len(got) != 2 || got[t0] != 3 || got[t0.Add(time.Hour)] != 9 {
		t.Fatalf("hours = %v, want 3 in the first and 9 in the second", got)
	}
	h = h.Add(t0.Add(24*time.Hour), 7)
	if got := counted(h); len(got) != HoursKept || got[t0] != 3 || got[t0.Add(time.Hour)] != 9 || got[t0.Add(24*time.Hour)] != 7 {
		t.Errorf("a day later the hours are %v", got)
	}
	h = h.Add(t0.Add(25*time.Hour), 1)
	if got := counted(h); len(got) != HoursKept || got[t0] != 0 || got[t0.Add(time.Hour)] != 9 {
		t.Errorf("what is older than a day is kept, or what is not is lost: %v", got)
	}
	if h = h.Add(t0.AddDate(1, 0, 0), 2); len(h.Leads) != 1 {
		t.Errorf("after a year without leads: %v", counted(h))
	}
}

func TestHoursAreKeptByAProcessWhoseClockIsBehind(t *testing.T) {
	ahead := Hours{}.Add(t0, 100)
	h := ahead.Add(t0.Add(-time.Second), 1)
	if got := counted(h); got[t0] != 101 {
		t.Errorf("a second before the hour that was counted last: %v, want 101 in it", got)
	}
	if h = ahead.Add(t0.Add(-48*time.Hour), 1); len(h.Leads) != 1 || counted(h)[t0.Add(-48*time.Hour)] != 1 {
		t.Errorf("two days before what a wrong clock counted: %v, want only what is counted now", counted(h))
	}
}

func TestHoursOfAnyRecordStayBounded(t *testing.T) {
	odd := Hours{First: t0.Add(7 * time.Minute), Leads: make([]int64, 1000)}
	for i := range odd.Leads {
		odd.Leads[i] = 1
	}
	h := odd.Add(t0.Add(30*time.Hour), 1)
	if len(h.Leads) != HoursKept || !h.First.Equal(t0.Add(6*time.Hour)) {
		t.Errorf("%d hours from %v on, want %d from %v on", len(h.Leads), h.First, HoursKept, t0.Add(6*time.Hour))
	}
}
