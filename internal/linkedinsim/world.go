package linkedinsim

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// World is what LinkedIn knows: organizations and roles, events, forms with
// their versions, and leads.
type World struct {
	clock    *clock
	cfg      Config
	switches atomic.Pointer[Switches]
	ids      identity
	seed     uint64
	notifier *notifier // set once, by New

	mu      sync.RWMutex
	orgs    []*Organization // replaced, never changed in place
	events  []*eventState   // replaced, never changed in place
	asking  []int32         // indices of the events that have a form
	forms   map[int64]*formState
	formIDs []int64 // in the order they were made
	// versions and rows only grow; rows' flags change under mu.
	versions []*formVersion
	rows     []row
	extras   map[uint32]*extra
	given    map[string][]uint32 // rows of ids that were given or given again
	gone     map[uint32]int64    // when deleted, epoch milliseconds
	// lists hold the rows of a source that the finder can list now, by
	// (submitted, number).
	lists   map[source][]uint32
	pending pending
	nextDue atomic.Int64 // epoch milliseconds at which pending has something
}

// source is what the finder reads: the leads of one type of one organization.
type source struct {
	org  int32
	kind leadType
}

type eventState struct {
	Event
	form int64 // 0 for none
	org  int32
}

type formState struct {
	versions []int32 // indices into World.versions, oldest first
	status   int     // with which LinkedIn refuses it, 0 when it does not
}

func (s *formState) current() int32 { return s.versions[len(s.versions)-1] }

func newWorld(cfg Config, c *clock) *World {
	w := &World{
		clock: c, cfg: cfg, seed: mix(cfg.Seed), ids: newIdentity(cfg.Seed),
		forms: map[int64]*formState{}, extras: map[uint32]*extra{}, given: map[string][]uint32{},
		gone: map[uint32]int64{}, lists: map[source][]uint32{},
	}
	switches := cfg.Switches
	w.switches.Store(&switches)
	w.nextDue.Store(math.MaxInt64)
	return w
}

// hash is the number that decides everything about row n that is made up.
func (w *World) hash(n uint32) uint64 { return mix(w.seed ^ uint64(n)<<16) }

// add makes a row. It is listed at once when it is visible, else later by reveal.
func (w *World) add(r row, x *extra) uint32 {
	n := uint32(len(w.rows))
	if x != nil {
		r.flags |= flagExtra
		w.extras[n] = x
	}
	w.rows = append(w.rows, r)
	if r.visible <= w.clock.millis() {
		w.list(n)
	} else {
		heap.Push(&w.pending, due{r.visible, n})
		w.nextDue.Store(w.pending[0].at)
	}
	return n
}

// list puts row n where the finder sees it, unless it went before it came.
func (w *World) list(n uint32) {
	if !w.listable(w.rows[n], w.switches.Load()) {
		return
	}
	src := w.source(n)
	list := w.lists[src]
	i := len(list)
	if i > 0 && !w.before(list[i-1], n) {
		i = sort.Search(i, func(j int) bool { return w.before(n, list[j]) })
	}
	w.lists[src] = slices.Insert(list, i, n)
}

func (w *World) unlist(n uint32) {
	src := w.source(n)
	list := w.lists[src]
	i := sort.Search(len(list), func(j int) bool { return !w.before(list[j], n) })
	if i < len(list) && list[i] == n {
		w.lists[src] = slices.Delete(list, i, i+1)
	}
}

// listable reports whether the switches let the finder list the row at all.
func (w *World) listable(r row, sw *Switches) bool {
	return !(r.flags.has(flagDeleted) && !sw.DeletedListed) && !(r.flags.has(flagReplaced) && sw.ReplacedVanish)
}

func (w *World) source(n uint32) source {
	r := w.rows[n]
	return source{w.versions[r.version].org, r.kind}
}

func (w *World) before(a, b uint32) bool {
	ra, rb := w.rows[a].submitted, w.rows[b].submitted
	return ra < rb || ra == rb && a < b
}

// reveal lists what has become visible since the last call.
func (w *World) reveal() {
	now := w.clock.millis()
	if now < w.nextDue.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.pending) > 0 && w.pending[0].at <= now {
		w.list(heap.Pop(&w.pending).(due).row)
	}
	w.nextDue.Store(math.MaxInt64)
	if len(w.pending) > 0 {
		w.nextDue.Store(w.pending[0].at)
	}
}

// relist makes the lists anew, after a switch that bears on them.
func (w *World) relist() {
	w.reveal()
	w.mu.Lock()
	defer w.mu.Unlock()
	now, sw := w.clock.millis(), w.switches.Load()
	w.lists = map[source][]uint32{}
	for n := range uint32(len(w.rows)) {
		if w.rows[n].visible <= now && w.listable(w.rows[n], sw) {
			w.lists[w.source(n)] = append(w.lists[w.source(n)], n)
		}
	}
	for _, list := range w.lists {
		slices.SortFunc(list, func(a, b uint32) int {
			return cmp.Or(cmp.Compare(w.rows[a].submitted, w.rows[b].submitted), cmp.Compare(a, b))
		})
	}
}

// locate is the rows that have this id, oldest made first.
func (w *World) locate(id string) []uint32 {
	var found []uint32
	if n, ok := w.ids.row(id); ok && int(n) < len(w.rows) && !w.rows[n].flags.has(flagFiller) && w.ownID(n) {
		found = append(found, n)
	}
	return append(found, w.given[id]...)
}

// ownID reports whether row n has the id that its number makes.
func (w *World) ownID(n uint32) bool {
	x := w.extras[n]
	return x == nil || x.id == ""
}

// pending is a heap of rows by the time at which they become visible.
type pending []due

type due struct {
	at  int64 // epoch milliseconds
	row uint32
}

func (p pending) Len() int           { return len(p) }
func (p pending) Less(i, j int) bool { return p[i].at < p[j].at }
func (p pending) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *pending) Push(x any)        { *p = append(*p, x.(due)) }
func (p *pending) Pop() any {
	last := len(*p) - 1
	x := (*p)[last]
	*p = (*p)[:last]
	return x
}
