package linkedinsim

import (
	"cmp"
	"errors"
	"fmt"
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
	first := len(w.rows)
	for i, s := range specs {
		for j := range max(s.Count, 1) {
			w.addLead(s, targets[i], j)
		}
	}
	entries := []LedgerEntry{}
	for n := range w.rows[first:] {
		entries = append(entries, w.entry(uint32(first+n)))
	}
	return entries, nil
}

// target is what a spec's leads belong to. Without a version each of them picks
// one of the events, and answers that event's form.
type target struct {
	version *Form
	events  []*Event
}

func (w *World) target(s LeadSpec) (t target, err error) {
	owner, isOwner := reference(s.Owner, organizationPrefix)
	eventID, isEvent := reference(s.Event, eventPrefix)
	formID, version, isForm := formReference(s.Form)
	switch {
	case !isOwner:
		return t, fmt.Errorf("owner %q is neither an id nor a URN", s.Owner)
	case !isEvent:
		return t, fmt.Errorf("event %q is neither an id nor a URN", s.Event)
	case !isForm:
		return t, fmt.Errorf("form %q is neither an id nor a URN", s.Form)
	}
	for _, e := range w.asking {
		if owner != 0 && e.org.ID != owner || eventID != 0 && e.ID != eventID || formID != 0 && eventID == 0 && e.form != formID {
			continue
		}
		if _, missing := w.formVersion(e.form, s.FormVersion); formID != 0 || missing == nil {
			t.events = append(t.events, e)
		}
	}
	switch {
	case formID != 0:
		t.version, err = w.formVersion(formID, cmp.Or(s.FormVersion, version))
	case len(t.events) == 0:
		err = errors.New("no event with such a form matches")
	}
	return t, err
}

// addLead makes the j-th lead of a spec.
func (w *World) addLead(s LeadSpec, t target, j int) {
	n, now := uint32(len(w.rows)), w.clock.now()
	r := row{version: t.version}
	switch {
	case r.version == nil:
		r.event = t.events[w.hash(n)>>20%uint64(len(t.events))]
		r.version, _ = w.formVersion(r.event.form, s.FormVersion) // target left out those without
	case len(t.events) > 0:
		r.event = t.events[0]
	}
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
	r.submitted, r.visible = at.UnixMilli(), visible.UnixMilli()
	r.kind, _ = parseLeadType(s.LeadType) // empty is EVENT, the rest was validated
	r.extra = w.extraOf(s, n, r.version)
	if s.TestLead {
		r.flags |= flagTest
	}
	w.tell(w.register(r), actionCreated, r.submitted)
}

// register adds a lead and, when its id exists already, marks the earlier
// submissions as replaced.
func (w *World) register(r row) uint32 {
	id := r.extra.ID
	if id == "" {
		return w.add(r)
	}
	for _, e := range w.locate(id) {
		if w.rows[e].submitted > r.submitted {
			r.flags |= flagReplaced
		} else {
			w.rows[e].flags |= flagReplaced // add clears the views
		}
	}
	n := w.add(r)
	w.given[id] = append(w.given[id], n)
	return n
}

// extraOf is what the spec says beyond what a row holds.
func (w *World) extraOf(s LeadSpec, n uint32, v *Form) *extra {
	if s.ID == "" && s.Submitter == "" && s.Answers == nil && s.Consents == nil && s.Malformed == "" {
		return &noExtra
	}
	x := &extra{s, defectOf(s.Malformed)}
	x.Answers = slices.Clone(s.Answers)
	if x.defect != nil && x.defect.answers != nil {
		if x.Answers == nil {
			x.Answers = v.makeAnswers(n, w.hash(n))
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
		if w.rows[n].deleted == 0 {
			w.rows[n].deleted = w.clock.millis()
			last, found = n, true
		}
	}
	if found {
		clear(w.views)
		w.tell(last, actionDeleted, w.rows[last].deleted)
	}
	return found
}

// DeleteNewest lets up to count members leave their events, those whose leads
// of the organization the finder lists first, and returns how many left. During
// a scan all rows behind theirs move up.
func (w *World) DeleteNewest(organization int64, count int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := slices.Clone(w.view(source{w.org(organization), kindEvent}))
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
	window := w.view(src)
	window = window[w.search(window, max(sel.from, w.oldest())):]
	window = window[:w.search(window, sel.to)] // in the time range
	i, end := min(sel.start, len(window)), min(sel.start+sel.count, len(window))
	if total = len(window); len(sel.keep) > 0 {
		i, end, total = 0, len(window), 0
	}
	for ; i < end; i++ {
		n := window[i]
		if !w.switches.OldestFirst {
			n = window[len(window)-1-i]
		}
		switch {
		case len(sel.keep) == 0:
			rows = append(rows, n)
		case !slices.ContainsFunc(sel.keep, func(keep func(*row) bool) bool { return !keep(&w.rows[n]) }):
			if total >= sel.start && len(rows) < sel.count {
				rows = append(rows, n)
			}
			total++
		}
	}
	return rows, total
}

// oldest is the time of submission of the oldest leads that are still kept, in
// epoch milliseconds.
func (w *World) oldest() int64 { return w.clock.now().Add(-retention).UnixMilli() }

// search is the index of the first row of list submitted at millis or later.
func (w *World) search(list []uint32, millis int64) int {
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
