package delivery

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"testing"
)

func TestHeldAnswersLikeAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h index
	want := map[uint64]entryTime{}
	for range 200_000 {
		hash := r.Uint64N(60_000) * 0x9e3779b97f4a7c15 // with hash 0 among them, and many repeats
		v := submitted(r.Int64N(1 << 40))
		if r.IntN(10) == 0 {
			v = deleted(v.millis())
		}
		h.put(hash, v)
		if hash == 0 {
			hash = 1
		}
		want[hash] = max(want[hash], v)
	}
	if h.len() != len(want) {
		t.Fatalf("len = %d, want %d", h.len(), len(want))
	}
	for hash, v := range want {
		if got, ok := h.get(hash); !ok || got != v {
			t.Fatalf("get(%x) = %v, %v; want %v", hash, got, ok, v)
		}
	}
	for range 10_000 {
		hash := r.Uint64()
		if _, known := want[hash]; !known {
			if got, ok := h.get(hash); ok {
				t.Fatalf("get(%x) = %v of a hash never put", hash, got)
			}
		}
	}
}

func TestHeldKeepsOnlyWhatItIsToldTo(t *testing.T) {
	var h index
	for i := range 10_000 {
		h.put(uint64(i+1)*0x9e3779b97f4a7c15, submitted(int64(i)))
	}
	h.keep(func(s entryTime) bool { return s.millis() >= 9_000 })
	if h.len() != 1000 {
		t.Fatalf("len = %d, want 1000", h.len())
	}
	for i := range 10_000 {
		_, ok := h.get(uint64(i+1) * 0x9e3779b97f4a7c15)
		if ok != (i >= 9_000) {
			t.Fatalf("entry %d found: %v", i, ok)
		}
	}
}

func TestStampTellsSubmissionFromDeletion(t *testing.T) {
	for _, ms := range []int64{0, 1, 1793012345000, 1 << 50} {
		if s := submitted(ms); s.millis() != ms || s.isDeleted() {
			t.Errorf("submitted(%d) = %d, deleted %v", ms, s.millis(), s.isDeleted())
		}
		if s := deleted(ms); s.millis() != ms || !s.isDeleted() {
			t.Errorf("deleted(%d) = %d, deleted %v", ms, s.millis(), s.isDeleted())
		}
		if deleted(ms) < submitted(ms) {
			t.Errorf("a deletion at the moment of the submission must win")
		}
	}
}

func BenchmarkHeld(b *testing.B) {
	ids := make([]string, 1_000_000)
	for i := range ids {
		ids[i] = fmt.Sprintf("8f0c2b9e-41d7-4c55-9e0b-%012d-6", i)
	}
	seed := maphash.MakeSeed()
	b.Run("put_1000000", func(b *testing.B) {
		for b.Loop() {
			var h index
			for i, id := range ids {
				h.put(maphash.String(seed, id), submitted(int64(i)))
			}
		}
	})
	b.Run("get", func(b *testing.B) {
		var h index
		for i, id := range ids {
			h.put(maphash.String(seed, id), submitted(int64(i)))
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, ok := h.get(maphash.String(seed, ids[i%len(ids)])); !ok {
				b.Fatal("missing")
			}
		}
	})
}
