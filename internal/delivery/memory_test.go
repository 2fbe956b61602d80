//go:build !race

// What memory takes is not what it takes under the race detector.

package delivery

import (
	"hash/maphash"
	"runtime"
	"testing"
)

// Two million leads of a look-back must fit 64 MiB.
func TestHeldOfTwoMillionLeadsFitsItsBudget(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var h index
	seed := maphash.MakeSeed()
	for i := range 2_000_000 {
		h.put(maphash.Comparable(seed, i), submitted(int64(i)))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := after.HeapAlloc - before.HeapAlloc; used > 64<<20 || h.len() != 2_000_000 {
		t.Errorf("%d leads take %d bytes, want at most 64 MiB", h.len(), used)
	}
	runtime.KeepAlive(&h)
}
