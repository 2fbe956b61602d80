package dedup

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

func at(millis int64) At { return Submitted(time.UnixMilli(millis)) }

func TestAnIndexAnswersLikeAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var x, other Index
	want := map[uint64]At{}
	for i := range 200_000 {
		hash := r.Uint64N(60_000) * odd // with hash 0 among them, and many repeats
		v := at(r.Int64N(1 << 40))
		if r.IntN(10) == 0 {
			v |= 1
		}
		if i%3 == 0 {
			other.Put(hash, v)
		} else {
			x.Put(hash, v)
		}
		hash = used(hash)
		want[hash] = max(want[hash], v)
	}
	x.Merge(&other)
	if x.Len() != len(want) {
		t.Fatalf("Len = %d, want %d", x.Len(), len(want))
	}
	for hash, v := range want {
		if got, ok := x.Get(hash); !ok || got != v {
			t.Fatalf("Get(%x) = %v, %v; want %v", hash, got, ok, v)
		}
	}
	for range 10_000 {
		hash := r.Uint64()
		if _, known := want[hash]; !known {
			if got, ok := x.Get(hash); ok {
				t.Fatalf("Get(%x) = %v of a hash never put", hash, got)
			}
		}
	}
}

func TestAnIndexKeepsOnlyWhatItIsToldTo(t *testing.T) {
	var x Index
	for i := range 10_000 {
		x.Put(uint64(i+1)*odd, at(int64(i)))
	}
	x.Keep(func(a At) bool { return a.Millis() >= 9_000 })
	if x.Len() != 1000 {
		t.Fatalf("Len = %d, want 1000", x.Len())
	}
	for i := range 10_000 {
		if _, ok := x.Get(uint64(i+1) * odd); ok != (i >= 9_000) {
			t.Fatalf("entry %d found: %v", i, ok)
		}
	}
}

func TestTwoMillionLeadsFitTheirBudget(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var x Index
	for i := range 2_000_000 {
		x.Put(uint64(i+1)*odd, at(int64(i)))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := (after.HeapAlloc - before.HeapAlloc) >> 20; used >= 64 {
		t.Errorf("2,000,000 leads take %d MiB, want under 64", used)
	}
	runtime.KeepAlive(&x)
}
