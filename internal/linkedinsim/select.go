package linkedinsim

import (
	"math"
	"sort"
)

// selection is what a request to the finder of leadFormResponses asks for.
type selection struct {
	from, to     int64 // epoch milliseconds, from <= submitted < to
	oldestFirst  bool
	start, count int
	// keep, when not nil, passes the rows that the other parameters select.
	keep func(pageRow) bool
}

// pageRow is a copy of a row, to be rendered without the world's lock.
type pageRow struct {
	row
	n uint32
	x *extra
}

// view is what rendering rows needs; it holds for all rows that existed when it
// was taken.
type view struct {
	world    *World
	orgs     []*Organization
	versions []*formVersion
	events   []*eventState
}

func (w *World) view() view {
	return view{world: w, orgs: w.orgs, versions: w.versions, events: w.events}
}

// page is the rows of one page, fillers included, and how many rows the whole
// selection has. It costs the page alone unless keep is set.
func (w *World) page(src source, sel selection) ([]pageRow, int, view) {
	w.reveal()
	oldest := w.clock.now().Add(-retention).UnixMilli()
	w.mu.RLock()
	defer w.mu.RUnlock()
	list := w.lists[src]
	low := w.search(list, max(sel.from, oldest))
	high := max(low, w.search(list, sel.to))
	window := list[low:high]
	at := func(i int) pageRow {
		if !sel.oldestFirst {
			i = len(window) - 1 - i
		}
		return w.pageRow(window[i])
	}
	if sel.keep == nil {
		return pick(len(window), sel, at), len(window), w.view()
	}
	rows, total := []pageRow(nil), 0
	for i := range window {
		r := at(i)
		if !sel.keep(r) {
			continue
		}
		if total >= sel.start && len(rows) < sel.count {
			rows = append(rows, r)
		}
		total++
	}
	return rows, total, w.view()
}

func pick(total int, sel selection, at func(int) pageRow) []pageRow {
	if sel.start >= total {
		return nil
	}
	count := min(sel.count, total-sel.start)
	rows := make([]pageRow, count)
	for i := range rows {
		rows[i] = at(sel.start + i)
	}
	return rows
}

func (w *World) pageRow(n uint32) pageRow {
	r := pageRow{row: w.rows[n], n: n}
	if r.flags.has(flagExtra) {
		r.x = w.extras[n]
	}
	return r
}

// search is the index of the first row of list submitted at millis or later.
func (w *World) search(list []uint32, millis int64) int {
	if millis == math.MaxInt64 {
		return len(list)
	}
	return sort.Search(len(list), func(i int) bool { return w.rows[list[i]].submitted >= millis })
}

// single is the lead that a GET by id finds: the newest submission of the id
// that is visible. deleted tells that it is gone.
func (w *World) single(id string) (r pageRow, v view, found, deleted bool) {
	w.reveal()
	w.mu.RLock()
	defer w.mu.RUnlock()
	now := w.clock.millis()
	for _, n := range w.locate(id) {
		candidate := w.rows[n]
		if candidate.visible > now || candidate.submitted < now-retention.Milliseconds() || found && candidate.submitted < r.submitted {
			continue
		}
		r, found = w.pageRow(n), true
	}
	return r, w.view(), found, r.flags.has(flagDeleted)
}
