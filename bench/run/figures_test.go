package main

import "testing"

func TestFiguresAreOrderedBeforeTheyAreCounted(t *testing.T) {
	tests := []struct {
		name        string
		s           series
		median, p99 float64
	}{
		{"none", nil, 0, 0},
		{"one", series{7}, 7, 7},
		{"two", series{4, 2}, 3, 4},
		{"odd", series{9, 1, 5}, 5, 9},
	}
	for _, test := range tests {
		if got := test.s.median(); got != test.median {
			t.Errorf("%s: median = %v, want %v", test.name, got, test.median)
		}
		if got := test.s.quantile(0.99); got != test.p99 {
			t.Errorf("%s: 99 %% = %v, want %v", test.name, got, test.p99)
		}
	}
	hundreds := make(series, 300)
	for i := range hundreds {
		hundreds[len(hundreds)-1-i] = float64(i)
	}
	if got := hundreds.quantile(0.99); got != 297 {
		t.Errorf("99 %% of 0 to 299 = %v, want 297", got)
	}
}

func TestSpreadShowsTheBoundsWithoutTheUnit(t *testing.T) {
	if got, want := spread(series{1, 3, 2}, "%.1f MiB"), "2.0 MiB (1.0–3.0)"; got != want {
		t.Errorf("spread = %q, want %q", got, want)
	}
	if got, want := spread(series{1}, "%.0f"), "1"; got != want {
		t.Errorf("spread = %q, want %q", got, want)
	}
}

func TestFieldReadsTheKernelsLines(t *testing.T) {
	const status = "Name:\tbare\nVmHWM:\t   33792 kB\nVmRSS:\t   31000 kB\nThreads:\t9\n"
	if got, ok := field(status, "VmHWM"); !ok || got != 33792 {
		t.Errorf("VmHWM = %d, %v; want 33792", got, ok)
	}
	if got, ok := field(status, "VmSwap"); ok {
		t.Errorf("VmSwap = %d, want none", got)
	}
}
