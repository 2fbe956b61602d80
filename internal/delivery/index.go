package delivery

import "math/bits"

// index is a set of fingerprints: for each id that a topic holds, the latest
// submission (or deletion) of it. It is an open-addressing table of 16 bytes an
// entry, cut into shards that grow one at a time and by little, so that its
// memory stays near 22 bytes an entry even while it grows.
//
// Two ids share a fingerprint with a chance of 2^-64 per pair; hashes are seeded
// per process, so nobody can provoke it.
type index struct {
	shards [shardCount]shard
	n      int
}

const (
	shardCount = 256
	firstSlots = 8
	// A table is at most four fifths full and then grows by a seventh.
	maxLoadNum, maxLoadDen = 4, 5
	growthDen              = 7
)

type shard struct {
	slots []slot
	n     int
}

// slot is one entry; hash 0 is an empty slot.
type slot struct {
	hash  uint64
	value entryTime
}

// entryTime is a moment in epoch milliseconds and what happened to the id then.
type entryTime int64

func submitted(millis int64) entryTime { return entryTime(millis << 1) }
func deleted(millis int64) entryTime   { return entryTime(millis<<1 | 1) }

func (s entryTime) millis() int64   { return int64(s) >> 1 }
func (s entryTime) isDeleted() bool { return s&1 == 1 }

// put keeps the later of v and what is known for the hash.
func (h *index) put(hash uint64, v entryTime) {
	if hash == 0 {
		hash = 1
	}
	s := &h.shards[hash%shardCount]
	if (s.n+1)*maxLoadDen > len(s.slots)*maxLoadNum {
		s.grow(max(firstSlots, len(s.slots)+len(s.slots)/growthDen+1))
	}
	if s.insert(hash, v) {
		h.n++
	}
}

// get is the latest stamp known for the hash.
func (h *index) get(hash uint64) (entryTime, bool) {
	if hash == 0 {
		hash = 1
	}
	s := &h.shards[hash%shardCount]
	if s.n == 0 {
		return 0, false
	}
	for i := s.home(hash); ; i++ {
		if i == len(s.slots) {
			i = 0
		}
		switch e := &s.slots[i]; e.hash {
		case hash:
			return e.value, true
		case 0:
			return 0, false
		}
	}
}

// len is the number of ids.
func (h *index) len() int { return h.n }

// keep drops every entry for which it answers false.
func (h *index) keep(ok func(entryTime) bool) {
	h.n = 0
	for i := range h.shards {
		s := &h.shards[i]
		left := 0
		for _, e := range s.slots {
			if e.hash != 0 && ok(e.value) {
				left++
			}
		}
		if left != s.n {
			s.refill(max(firstSlots, left*maxLoadDen/maxLoadNum+1), ok)
		}
		h.n += s.n
	}
}

// home is the first slot to look at: the hash's high bits, scaled to the size,
// which need not be a power of two.
func (s *shard) home(hash uint64) int {
	hi, _ := bits.Mul64(hash, uint64(len(s.slots)))
	return int(hi)
}

func (s *shard) insert(hash uint64, v entryTime) (added bool) {
	for i := s.home(hash); ; i++ {
		if i == len(s.slots) {
			i = 0
		}
		switch e := &s.slots[i]; e.hash {
		case hash:
			e.value = max(e.value, v)
			return false
		case 0:
			*e = slot{hash, v}
			s.n++
			return true
		}
	}
}

func (s *shard) grow(size int) {
	s.refill(size, func(entryTime) bool { return true })
}

func (s *shard) refill(size int, ok func(entryTime) bool) {
	old := s.slots
	s.slots, s.n = make([]slot, size), 0
	for _, e := range old {
		if e.hash != 0 && ok(e.value) {
			s.insert(e.hash, e.value)
		}
	}
}
