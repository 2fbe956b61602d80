package linkedinsim

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// World is what LinkedIn knows: organizations and roles, events, forms with
// their versions, leads, tokens and subscriptions. One lock guards all of it.
// Exported methods take it; the others are called with it held, and say so
// where they want it free.
type World struct {
	cfg   Config // does not change
	clock clock
	seed  uint64
	ids   identity

	mu       sync.RWMutex
	switches Switches
	live     map[string]bool // values of LinkedIn-Version
	auth     *auth
	notifier *notifier
	faults   []*scheduled
	stats    Stats
	today    string // of Stats.Today, UTC

	orgs    []*Organization
	events  []*Event
	asking  []*Event // those that have a form
	forms   map[int64]*form
	formIDs []int64 // in the order they were made

	rows  []row
	given map[string][]uint32 // rows of ids that were given or given again
	lists map[source][]uint32 // the rows of a source, in the order of their submission
	// views are what the finder lists, made when it is asked. The lock may be taken
	// while mu is held for reading.
	viewing sync.Mutex
	views   map[source]view
}

// source is what the finder reads: the leads of one type of one organization.
type source struct {
	org  *Organization
	kind leadType
}

// clock is LinkedIn's clock: the base clock and an offset that can change.
type clock struct {
	base   func() time.Time
	offset atomic.Int64 // nanoseconds
}

func (c *clock) now() time.Time { return c.base().Add(time.Duration(c.offset.Load())).UTC() }

func (c *clock) millis() int64 { return c.now().UnixMilli() }

func newWorld(cfg Config) *World {
	w := &World{
		cfg: cfg, seed: mix(cfg.Seed), ids: newIdentity(cfg.Seed), switches: cfg.Switches, live: map[string]bool{},
		forms: map[int64]*form{}, given: map[string][]uint32{}, lists: map[source][]uint32{}, views: map[source]view{},
	}
	w.stats = Stats{ByEndpoint: map[string]uint64{}, ByStatus: map[int]uint64{}, Today: map[string]int{}}
	w.clock.base = cfg.Now
	w.clock.offset.Store(int64(cfg.ClockOffset))
	for _, v := range cfg.Versions {
		w.live[v] = true
	}
	w.auth = newAuth(w)
	w.notifier = newNotifier(w)
	return w
}

// hash is the number that decides everything about row n that is made up.
func (w *World) hash(n uint32) uint64 { return mix(w.seed ^ uint64(n)<<16) }

// add makes a row.
func (w *World) add(r row) uint32 {
	n := uint32(len(w.rows))
	w.rows = append(w.rows, r)
	clear(w.views)
	src := source{r.version.org, r.kind}
	w.lists[src] = insert(w.lists[src], n, func(a, b uint32) bool { return w.rows[a].submitted < w.rows[b].submitted })
	return n
}

// insert puts x behind all in the ordered list that do not come after it.
func insert[T any](list []T, x T, before func(a, b T) bool) []T {
	return slices.Insert(list, sort.Search(len(list), func(i int) bool { return before(x, list[i]) }), x)
}

// listed reports whether the finder lists row n at a moment in epoch milliseconds.
func (w *World) listed(n uint32, now int64) bool {
	r := &w.rows[n]
	return (r.visible <= now || r.flags.has(flagShown)) && !(r.deleted != 0 && !w.switches.DeletedListed) &&
		!(r.flags.has(flagReplaced) && w.switches.ReplacedVanish)
}

// view is what the finder lists of a source, until the time at which more of it
// becomes visible. Whatever else changes it clears World.views.
type view struct {
	rows  []uint32
	until int64 // epoch milliseconds
}

// view is the rows that the finder lists of a source now.
func (w *World) view(src source) []uint32 {
	now := w.clock.millis()
	w.viewing.Lock()
	defer w.viewing.Unlock()
	v, known := w.views[src]
	if known && now < v.until {
		return v.rows
	}
	v = view{until: math.MaxInt64}
	for _, n := range w.lists[src] {
		if w.listed(n, now) {
			v.rows = append(v.rows, n)
		} else if visible := w.rows[n].visible; visible > now {
			v.until = min(v.until, visible)
		}
	}
	w.views[src] = v
	return v.rows
}

// locate is the rows that have this id, oldest made first.
func (w *World) locate(id string) []uint32 {
	var found []uint32
	if n, ok := w.ids.row(id); ok && int(n) < len(w.rows) && !w.rows[n].flags.has(flagFiller) && w.rows[n].extra.ID == "" {
		found = append(found, n)
	}
	return append(found, w.given[id]...)
}

// leadID is the id of row n.
func (w *World) leadID(n uint32) string {
	return cmp.Or(w.rows[n].extra.ID, w.ids.id(n))
}

// submitter is the URN of the member who is row n.
func (w *World) submitter(n uint32) string {
	return cmp.Or(w.rows[n].extra.Submitter, personPrefix+"SimLead"+leadNumber(n))
}

// Now is LinkedIn's clock, which the Date header shows.
func (w *World) Now() time.Time { return w.clock.now() }

// SetClockOffset sets how far LinkedIn's clock is ahead of the base clock.
func (w *World) SetClockOffset(d time.Duration) {
	w.shiftClock(d-time.Duration(w.clock.offset.Load()), false)
}

// shiftClock moves LinkedIn's clock from where it is. With keepTokens the times
// of tokens and codes move too, as if only what the clock shows had changed;
// without, they are so much older. It takes the lock.
func (w *World) shiftClock(d time.Duration, keepTokens bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.millis()
	for i := range w.rows {
		if r := &w.rows[i]; d < 0 && r.visible <= now {
			r.flags |= flagShown
		}
	}
	w.clock.offset.Add(int64(d))
	clear(w.views)
	if keepTokens {
		w.auth.move(d)
	}
	w.notifier.stir()
}

// Switches are the switches in force.
func (w *World) Switches() Switches {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.switches
}

// SetSwitches puts other switches in force.
func (w *World) SetSwitches(sw Switches) error {
	if err := sw.validate(); err != nil {
		return fmt.Errorf("setting switches: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.switches = sw
	clear(w.views)
	w.notifier.stir()
	return nil
}

// SetVersion makes a value of LinkedIn-Version live, or retires it.
func (w *World) SetVersion(version string, live bool) error {
	if !versionFormat.MatchString(version) {
		return fmt.Errorf("version %q is not of the form YYYYMM", version)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live[version] = live
	return nil
}
