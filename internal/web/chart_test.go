package web

import (
	"testing"
	"time"
)

func TestChartIsTheLastDayWhateverHoursAreKnown(t *testing.T) {
	running := noon.Truncate(time.Hour)
	c := chartOf([]Hour{
		{Start: running.Add(-30 * time.Hour), Leads: 1000}, // too old
		{Start: running.Add(-23 * time.Hour), Leads: 1},
		{Start: running.Add(-2 * time.Hour).In(time.FixedZone("", 7200)), Leads: 300},
		{Start: running.Add(-2 * time.Hour), Leads: 100}, // twice the same
		{Start: running.Add(-time.Hour), Leads: -5},      // nonsense
		{Start: running, Leads: 100},
		{Start: running.Add(time.Hour), Leads: 1000}, // ahead
	}, noon)
	if len(c.Bars) != 24 || c.Total != 501 || c.Peak != 400 {
		t.Fatalf("chart has %d bars, total %d, peak %d, want 24, 501, 400", len(c.Bars), c.Total, c.Peak)
	}
	for i, want := range map[int]bar{
		0:  {X: 1, Y: 98, Width: 8, Height: 2, Start: running.Add(-23 * time.Hour), Leads: 1}, // few is not none
		1:  {X: 11, Y: 100, Width: 8, Height: 0, Start: running.Add(-22 * time.Hour)},
		21: {X: 211, Y: 0, Width: 8, Height: 100, Start: running.Add(-2 * time.Hour), Leads: 400},
		22: {X: 221, Y: 100, Width: 8, Height: 0, Start: running.Add(-time.Hour)},
		23: {X: 231, Y: 75, Width: 8, Height: 25, Start: running, Leads: 100, Running: true},
	} {
		if c.Bars[i] != want {
			t.Errorf("bar %d = %+v, want %+v", i, c.Bars[i], want)
		}
	}
	if empty := chartOf(nil, noon); empty.Total != 0 || empty.Peak != 0 || len(empty.Bars) != 24 {
		t.Errorf("without leads the chart is %+v, want 24 empty bars", empty)
	}
}
