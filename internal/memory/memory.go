// Package memory bounds the memory that the program takes beyond what it needs.
package memory

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

const (
	// floor is the memory that Go manages from which on garbage is collected
	// early. The program itself, mapped from its file, comes on top: about 24 MiB.
	floor = 64 << 20
	// spare is what is granted on top of twice the live heap where that is
	// more: a limit near what is live would be a collector that never rests.
	spare = 24 << 20
	// window is over how many looks the live heap is judged. The least counts:
	// what is allocated while a collection runs passes for live, and is much on a
	// busy machine.
	window = 5
	every  = time.Second

	quietBytes = 1 << 20  // allocated between two looks, at most, when little is done
	quietLooks = 5        // in a row, and then memory is given back
	worthBytes = 16 << 20 // allocated since it was last given back
)

// look is what the runtime says of its memory.
type look struct {
	live      uint64 // marked by the last collection
	allocated uint64 // since the start
}

// limiter decides how much memory to use. A connector often runs beside the
// program that it serves: what it took for a backfill, or to get a thousand
// forms ready, it does not keep.
type limiter struct {
	lives     []uint64
	before    look
	quiet     int
	givenBack uint64 // allocated when memory was last given back
}

// next is the soft limit from now on, and whether to give memory back.
func (l *limiter) next(now look) (limit int64, giveBack bool) {
	if l.lives = append(l.lives, now.live); len(l.lives) > window {
		l.lives = l.lives[1:]
	}
	limit = max(floor, 2*int64(slices.Min(l.lives))+spare)
	if l.quiet++; now.allocated-l.before.allocated > quietBytes {
		l.quiet = 0
	}
	l.before = now
	if l.quiet < quietLooks || now.allocated-l.givenBack < worthBytes {
		return limit, false
	}
	l.givenBack = now.allocated
	return limit, true
}

// Limit bounds the garbage that waits to be collected, and gives memory back
// to the system after a burst of work, until ctx ends. A limit that was set by
// GOMEMLIMIT stands.
func Limit(ctx context.Context) error {
	given := debug.SetMemoryLimit(-1)
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for l := (limiter{}); ; {
		metrics.Read(samples)
		limit, giveBack := l.next(look{samples[0].Value.Uint64(), samples[1].Value.Uint64()})
		if given == math.MaxInt64 {
			debug.SetMemoryLimit(limit)
		}
		if giveBack {
			debug.FreeOSMemory()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
