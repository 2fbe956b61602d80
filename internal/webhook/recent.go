package webhook

import (
	"hash/maphash"
	"strconv"
	"sync"

	"leadstream/internal/lead"
)

// recentSize is how many deliveries are remembered at least, and half of how
// many at most: 32 bytes each. LinkedIn repeats a delivery within hours.
const recentSize = 32 << 10

// recent remembers the deliveries that were carried out lately: LinkedIn sends
// each at least once. It forgets the older half when it is full. Safe for
// concurrent use.
type recent struct {
	seed maphash.Seed
	size int

	mu       sync.Mutex
	new, old map[uint64]struct{}
}

func newRecent(size int) *recent {
	return &recent{seed: maphash.MakeSeed(), size: size, new: map[uint64]struct{}{}}
}

// key is what makes two deliveries the same.
func (r *recent) key(n lead.Notification) uint64 {
	return maphash.String(r.seed, string(n.Action)+" "+strconv.FormatInt(n.OccurredAt.UnixMilli(), 10)+" "+n.ResponseID)
}

func (r *recent) has(n lead.Notification) bool {
	k := r.key(n)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, isNew := r.new[k]
	_, isOld := r.old[k]
	return isNew || isOld
}

func (r *recent) add(n lead.Notification) {
	k := r.key(n)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.new) >= r.size {
		r.new, r.old = map[uint64]struct{}{}, r.new
	}
	r.new[k] = struct{}{}
}
