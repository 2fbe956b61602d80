package memory

import (
	"context"
	"math"
	"runtime/debug"
	"testing"
)

const mib = 1 << 20

// looks feeds a lean with looks at a live heap and what was allocated since the
// look before, all in MiB.
func looks(l *limiter, live, allocated uint64, times int) (limit int64, givenBack int) {
	for range times {
		var giveBack bool
		limit, giveBack = l.next(look{live * mib, l.before.allocated + allocated*mib})
		if giveBack {
			givenBack++
		}
	}
	return limit / mib, givenBack
}

func TestLimitFollowsTheLiveHeapNotItsPeaks(t *testing.T) {
	var l limiter
	if limit, _ := looks(&l, 22, 200, 1); limit != 68 {
		t.Errorf("with 22 MiB alive the limit is %d MiB, want 68", limit)
	}
	if limit, _ := looks(&l, 10, 200, 1); limit != 64 {
		t.Errorf("with 10 MiB alive the limit is %d MiB, want 64", limit)
	}
	if limit, _ := looks(&l, 50, 200, window-1); limit != 64 {
		t.Errorf("a heap that was 50 MiB for a moment raises the limit to %d MiB", limit)
	}
	if limit, _ := looks(&l, 50, 200, 1); limit != 124 {
		t.Errorf("with 50 MiB alive for long the limit is %d MiB, want 124", limit)
	}
}

func TestMemoryIsGivenBackOnceAfterABurst(t *testing.T) {
	var l limiter
	if _, n := looks(&l, 8, 100, 20); n != 0 {
		t.Errorf("given back %d times while at work", n)
	}
	if _, n := looks(&l, 8, 0, quietLooks-1); n != 0 {
		t.Errorf("given back %d times after a short pause", n)
	}
	if _, n := looks(&l, 8, 0, 1000); n != 1 {
		t.Errorf("given back %d times while idle, want once", n)
	}
	if _, n := looks(&l, 8, 1, 64); n != 4 { // slow work: each time when 16 MiB have come together
		t.Errorf("given back %d times over 64 MiB of slow work, want 4", n)
	}
}

func TestALimitOfTheOperatorStands(t *testing.T) {
	before := debug.SetMemoryLimit(1 << 30)
	defer debug.SetMemoryLimit(before)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Limit(ctx); err != nil {
		t.Fatal(err)
	}
	if got := debug.SetMemoryLimit(-1); got != 1<<30 {
		t.Errorf("the limit of 1 GiB became %d", got)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if err := Limit(ctx); err != nil {
		t.Fatal(err)
	}
	if got := debug.SetMemoryLimit(-1); got < floor || got == math.MaxInt64 {
		t.Errorf("without one, the limit is %d", got)
	}
}
