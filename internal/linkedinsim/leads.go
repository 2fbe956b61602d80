package linkedinsim

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"
)

// AddLeads makes leads now and returns their ledger entries, in order. Either
// all of them are made or none.
func (w *World) AddLeads(specs ...LeadSpec) ([]LedgerEntry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	targets := make([]target, len(specs))
	for i, s := range specs {
		err := s.validate()
		if err == nil {
			targets[i], err = w.target(s)
		}
		if err != nil {
			return nil, fmt.Errorf("lead %d: %w", i, err)
		}
	}
	var rows []uint32
	for i, s := range specs {
		for j := range max(s.Count, 1) {
			n, err := w.addLead(s, targets[i], j)
			if err != nil {
				return nil, fmt.Errorf("lead %d: %w", i, err)
			}
			rows = append(rows, n)
		}
	}
	entries := make([]LedgerEntry, len(rows))
	for i, n := range rows {
		entries[i] = w.entry(n)
	}
	return entries, nil
}

// target is what a spec's leads belong to. Without a version each of them picks
// one of the events, and answers that event's form.
type target struct {
	version *formVersion
	events  []int32
}

func (w *World) target(s LeadSpec) (t target, err error) {
	owner, ok := reference(s.Owner, organizationPrefix)
	if !ok {
		return t, fmt.Errorf("owner %q is neither an id nor a URN", s.Owner)
	}
	eventID, ok := reference(s.Event, eventPrefix)
	if !ok {
		return t, fmt.Errorf("event %q is neither an id nor a URN", s.Event)
	}
	formID, version, ok := formReference(s.Form)
	if !ok {
		return t, fmt.Errorf("form %q is neither an id nor a URN", s.Form)
	}
	for _, i := range w.asking {
		e := w.events[i]
		if owner != 0 && e.org.ID != owner || eventID != 0 && e.ID != eventID || formID != 0 && eventID == 0 && e.form != formID {
			continue
		}
		if _, missing := w.formVersion(e.form, s.FormVersion); formID == 0 && missing != nil {
			continue
		}
		t.events = append(t.events, i)
	}
	switch {
	case formID != 0:
		t.version, err = w.formVersion(formID, cmp.Or(s.FormVersion, version))
	case len(t.events) == 0:
		err = errors.New("no event with such a form matches")
	}
	return t, err
}

// pick is the event and the form version of row n.
func (t target) pick(w *World, s LeadSpec, n uint32) (event int32, v *formVersion, err error) {
	switch {
	case t.version == nil:
		event = t.events[w.hash(n)>>20%uint64(len(t.events))]
		v, err = w.formVersion(w.events[event].form, s.FormVersion)
		return event, v, err
	case len(t.events) == 0:
		return -1, t.version, nil
	}
	return t.events[0], t.version, nil
}

// addLead makes the j-th lead of a spec.
func (w *World) addLead(s LeadSpec, t target, j int) (uint32, error) {
	n := uint32(len(w.rows))
	event, v, err := t.pick(w, s, n)
	if err != nil {
		return 0, err
	}
	now := w.clock.now()
	at := s.SubmittedAt
	if at.IsZero() {
		at = now.Add(-s.Age)
	}
	at = at.Add(-s.Every * time.Duration(max(s.Count, 1)-1-j))
	visible := at
	if s.VisibleAfter > 0 {
		if at.Before(now) {
			visible = now
		}
		visible = visible.Add(s.VisibleAfter)
	}
	kind, _ := parseLeadType(s.LeadType) // empty is EVENT, the rest was validated
	r := row{submitted: at.UnixMilli(), visible: visible.UnixMilli(), version: v.index, event: event, kind: kind}
	if s.TestLead {
		r.flags |= flagTest
	}
	n = w.register(r, w.extraOf(s, n, v))
	w.tell(n, actionCreated, r.submitted)
	return n, nil
}

// register adds a lead and, when its id exists already, marks the earlier
// submissions as replaced.
func (w *World) register(r row, x *extra) uint32 {
	if x == nil || x.ID == "" {
		return w.add(r, x)
	}
	for _, e := range w.locate(x.ID) {
		if w.rows[e].submitted > r.submitted {
			r.flags |= flagReplaced
		} else {
			w.rows[e].flags |= flagReplaced
			w.unlist(e)
		}
	}
	n := w.add(r, x)
	w.given[x.ID] = append(w.given[x.ID], n)
	return n
}

// extraOf is what the spec says beyond what a row holds, nil when nothing.
func (w *World) extraOf(s LeadSpec, n uint32, v *formVersion) *extra {
	if s.ID == "" && s.Submitter == "" && s.Answers == nil && s.Consents == nil && s.Malformed == "" {
		return nil
	}
	x := &extra{s, defectOf(s.Malformed)}
	x.Answers = slices.Clone(s.Answers)
	if x.defect != nil && x.defect.answers != nil {
		if x.Answers == nil {
			x.Answers = makeAnswers(v.form, n, w.hash(n))
		}
		x.Answers = x.defect.answers(x.Answers)
	}
	return x
}

// DeleteLead deletes every submission of an id, as when the member leaves the
// event, and reports whether there was one.
func (w *World) DeleteLead(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leave(id)
}

// leave deletes what a member submitted under an id. They leave once, however
// often they registered.
func (w *World) leave(id string) bool {
	last, found := uint32(0), false
	for _, n := range w.locate(id) {
		if w.rows[n].flags.has(flagDeleted) {
			continue
		}
		w.rows[n].flags |= flagDeleted
		w.gone[n] = w.clock.millis()
		w.unlist(n)
		last, found = n, true
	}
	if found {
		w.tell(last, actionDeleted, w.gone[last])
	}
	return found
}

// DeleteNewest lets up to count members leave their events, those whose leads
// of the organization the finder lists first, and returns how many left. During
// a scan all rows behind theirs move up.
func (w *World) DeleteNewest(organization int64, count int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revealDue()
	first := slices.Clone(w.lists[source{w.org(organization), kindEvent}])
	if !w.switches.OldestFirst {
		slices.Reverse(first)
	}
	left := 0
	for _, n := range first {
		if left < count && !w.rows[n].flags.has(flagFiller) && w.leave(w.leadID(n)) {
			left++
		}
	}
	return left
}

// Leads is how many leads there are, visible or not.
func (w *World) Leads() int {
	w.mu.RLock()
	defer w.mu.RUnlock()
	leads := 0
	for _, r := range w.rows {
		if !r.flags.has(flagFiller) {
			leads++
		}
	}
	return leads
}

// selection is what a request to the finder of leadFormResponses asks for.
type selection struct {
	from, to     int64 // epoch milliseconds, from <= submitted < to
	start, count int
	keep         []func(*row) bool // passes the rows that the other parameters select
}

// find is the rows of one page, fillers included, and how many rows the whole
// selection has. It costs the page alone unless keep is set.
func (w *World) find(src source, sel selection) (rows []uint32, total int) {
	list := w.lists[src]
	low := w.search(list, max(sel.from, w.oldest()))
	window := list[low:max(low, w.search(list, sel.to))]
	at := func(i int) uint32 {
		if !w.switches.OldestFirst {
			i = len(window) - 1 - i
		}
		return window[i]
	}
	rows = make([]uint32, 0, min(sel.count, len(window)))
	if len(sel.keep) == 0 {
		for i := sel.start; i < min(len(window), sel.start+sel.count); i++ {
			rows = append(rows, at(i))
		}
		return rows, len(window)
	}
	for i := range window {
		r := &w.rows[at(i)]
		if slices.ContainsFunc(sel.keep, func(keep func(*row) bool) bool { return !keep(r) }) {
			continue
		}
		if total >= sel.start && len(rows) < sel.count {
			rows = append(rows, at(i))
		}
		total++
	}
	return rows, total
}

// oldest is the time of submission of the oldest leads that are still kept, in
// epoch milliseconds.
func (w *World) oldest() int64 { return w.clock.now().Add(-retention).UnixMilli() }

// search is the index of the first row of list submitted at millis or later.
func (w *World) search(list []uint32, millis int64) int {
	if millis == math.MaxInt64 {
		return len(list)
	}
	return sort.Search(len(list), func(i int) bool { return w.rows[list[i]].submitted >= millis })
}

// single is the lead that a GET by id finds: the newest submission of the id
// that is visible.
func (w *World) single(id string) (n uint32, found bool) {
	for _, candidate := range w.locate(id) {
		r := w.rows[candidate]
		if r.visible <= w.clock.millis() && r.submitted >= w.oldest() && !(found && r.submitted < w.rows[n].submitted) {
			n, found = candidate, true
		}
	}
	return n, found
}
