package dedup

import "math/bits"

// Index is what is known of many ids: of each, by a fingerprint, the latest submission
// or deletion. It is an open-addressing table of 16 bytes an entry, cut into shards that
// grow one at a time and by little, so that its memory stays near 22 bytes an entry even
// while it grows. The zero value is empty.
//
// Two ids share a fingerprint with a chance of 2^-64 per pair. Fingerprints are seeded
// per process, so that nobody can provoke it.
type Index struct {
	shards [shardCount]shard
	n      int
}

const (
	shardCount = 256
	firstSlots = 8
	// A shard is at most four fifths full and then grows by a seventh.
	maxLoadNum, maxLoadDen = 4, 5
	growthDen              = 7
)

type shard struct {
	slots []slot
	n     int
}

// slot is one entry. Hash 0 is an empty slot.
type slot struct {
	hash uint64
	at   At
}

// used is the hash under which an entry is kept: 0 marks an empty slot.
func used(hash uint64) uint64 { return max(hash, 1) }

// Put keeps the later of at and what is known.
func (x *Index) Put(hash uint64, at At) {
	hash = used(hash)
	s := &x.shards[hash%shardCount]
	if (s.n+1)*maxLoadDen > len(s.slots)*maxLoadNum {
		s.refill(max(firstSlots, len(s.slots)+len(s.slots)/growthDen+1), all)
	}
	if s.insert(hash, at) {
		x.n++
	}
}

// Get is the latest that is known.
func (x *Index) Get(hash uint64) (At, bool) {
	hash = used(hash)
	s := &x.shards[hash%shardCount]
	if s.n == 0 {
		return 0, false
	}
	for i := s.home(hash); ; i++ {
		if i == len(s.slots) {
			i = 0
		}
		switch e := &s.slots[i]; e.hash {
		case hash:
			return e.at, true
		case 0:
			return 0, false
		}
	}
}

// Len is the number of ids.
func (x *Index) Len() int { return x.n }

// Merge enters everything that other knows. Other is not to be used any more.
func (x *Index) Merge(other *Index) {
	if x.n == 0 {
		*x, *other = *other, Index{}
		return
	}
	for i := range other.shards {
		for _, e := range other.shards[i].slots {
			if e.hash != 0 {
				x.Put(e.hash, e.at)
			}
		}
		other.shards[i] = shard{} // its memory is free before the next shard grows
	}
	other.n = 0
}

// Keep drops every entry for which it answers false.
func (x *Index) Keep(ok func(At) bool) {
	x.n = 0
	for i := range x.shards {
		s := &x.shards[i]
		left := 0
		for _, e := range s.slots {
			if e.hash != 0 && ok(e.at) {
				left++
			}
		}
		if left != s.n {
			s.refill(max(firstSlots, left*maxLoadDen/maxLoadNum+1), ok)
		}
		x.n += s.n
	}
}

func all(At) bool { return true }

// home is the first slot to look at: the hash's high bits, scaled to the size, which
// need not be a power of two.
func (s *shard) home(hash uint64) int {
	hi, _ := bits.Mul64(hash, uint64(len(s.slots)))
	return int(hi)
}

func (s *shard) insert(hash uint64, at At) (added bool) {
	for i := s.home(hash); ; i++ {
		if i == len(s.slots) {
			i = 0
		}
		switch e := &s.slots[i]; e.hash {
		case hash:
			e.at = max(e.at, at)
			return false
		case 0:
			*e = slot{hash, at}
			s.n++
			return true
		}
	}
}

func (s *shard) refill(size int, ok func(At) bool) {
	old := s.slots
	s.slots, s.n = make([]slot, size), 0
	for _, e := range old {
		if e.hash != 0 && ok(e.at) {
			s.insert(e.hash, e.at)
		}
	}
}
