package linkedinsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// AddLeads makes leads now and returns their ledger entries, in order. Either
// all of them are made or none.
func (w *World) AddLeads(specs ...LeadSpec) ([]LedgerEntry, error) {
	numbers, err := w.addLeads(specs)
	if err != nil {
		return nil, err
	}
	return w.entries(numbers)
}

func (w *World) addLeads(specs []LeadSpec) ([]uint32, error) {
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
	var numbers []uint32
	for i, s := range specs {
		for j := range max(s.Count, 1) {
			n, err := w.addLead(s, targets[i], j)
			if err != nil {
				return nil, fmt.Errorf("lead %d: %w", i, err)
			}
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// target is what a spec's leads belong to. fixed is false when each of them
// picks an event of its own.
type target struct {
	fixed   bool
	version int32
	event   int32
	events  []int32 // to pick from
}

func (w *World) target(s LeadSpec) (target, error) {
	owner, ok := reference(s.Owner, organizationPrefix)
	if !ok {
		return target{}, fmt.Errorf("owner %q is neither an id nor a URN", s.Owner)
	}
	event, ok := reference(s.Event, eventPrefix)
	if !ok {
		return target{}, fmt.Errorf("event %q is neither an id nor a URN", s.Event)
	}
	form, version, err := w.formReference(s)
	if err != nil {
		return target{}, err
	}
	t := target{event: -1}
	for _, i := range w.asking {
		e := w.events[i]
		if owner != 0 && w.orgs[e.org].ID != owner || event != 0 && e.ID != event || form != 0 && event == 0 && e.form != form {
			continue
		}
		if _, missing := w.versionIndex(e.form, s.FormVersion); form == 0 && missing != nil {
			continue
		}
		t.events = append(t.events, i)
	}
	if form != 0 {
		t.fixed = true
		t.version, err = w.versionIndex(form, version)
		if len(t.events) > 0 {
			t.event = t.events[0]
		}
		return t, err
	}
	if len(t.events) == 0 {
		return target{}, errors.New("no event with such a form matches")
	}
	return t, nil
}

func (w *World) formReference(s LeadSpec) (form int64, version int, err error) {
	if s.Form == "" {
		return 0, 0, nil
	}
	id, ok := parseID(s.Form)
	if !ok {
		id, version, ok = parseFormURN(s.Form)
	}
	if !ok {
		return 0, 0, fmt.Errorf("form %q is neither an id nor a URN", s.Form)
	}
	if s.FormVersion != 0 {
		version = s.FormVersion
	}
	return id, version, nil
}

// versionIndex is the index of a form's version, of the current one for 0.
func (w *World) versionIndex(form int64, version int) (int32, error) {
	state := w.forms[form]
	if state == nil {
		return 0, fmt.Errorf("there is no form %d", form)
	}
	if version == 0 {
		return state.current(), nil
	}
	for _, i := range state.versions {
		if w.versions[i].form.VersionID == version {
			return i, nil
		}
	}
	return 0, fmt.Errorf("form %d has no version %d", form, version)
}

func (w *World) addLead(s LeadSpec, t target, j int) (uint32, error) {
	n := uint32(len(w.rows))
	if !t.fixed {
		t.event = t.events[w.hash(n)>>20%uint64(len(t.events))]
		index, err := w.versionIndex(w.events[t.event].form, s.FormVersion)
		if err != nil {
			return 0, err
		}
		t.version = index
	}
	now := w.clock.now()
	at := s.SubmittedAt
	if at.IsZero() {
		at = now.Add(-s.Age)
	}
	at = at.Add(-s.Every * time.Duration(max(s.Count, 1)-1-j))
	visible := at
	if s.VisibleAfter > 0 {
		visible = now
		if at.After(now) {
			visible = at
		}
		visible = visible.Add(s.VisibleAfter)
	}
	kind, _ := parseLeadType(s.LeadType) // empty is EVENT, the rest was validated
	r := row{submitted: at.UnixMilli(), visible: visible.UnixMilli(), version: t.version, event: t.event, kind: kind}
	if s.TestLead {
		r.flags |= flagTest
	}
	x, err := w.extraOf(s, n, t.version)
	if err != nil {
		return 0, err
	}
	n = w.register(r, x)
	w.tell(n, actionCreated, r.submitted)
	return n, nil
}

// register adds a lead and, when its id exists already, marks the earlier
// submissions as replaced.
func (w *World) register(r row, x *extra) uint32 {
	if x == nil || x.id == "" {
		return w.add(r, x)
	}
	earlier := w.locate(x.id)
	latest := true
	for _, e := range earlier {
		if w.rows[e].submitted > r.submitted {
			latest = false
		} else {
			w.replace(e)
		}
	}
	if !latest {
		r.flags |= flagReplaced
	}
	n := w.add(r, x)
	w.given[x.id] = append(w.given[x.id], n)
	return n
}

func (w *World) replace(n uint32) {
	if w.rows[n].flags |= flagReplaced; !w.listable(w.rows[n], w.switches.Load()) {
		w.unlist(n)
	}
}

// extraOf is what the spec says beyond what a row holds, nil when nothing.
func (w *World) extraOf(s LeadSpec, n uint32, version int32) (*extra, error) {
	if s.ID == "" && s.Submitter == "" && s.Answers == nil && s.Consents == nil && s.Malformed == "" {
		return nil, nil
	}
	x := &extra{id: s.ID, submitter: s.Submitter, consents: slices.Clone(s.Consents), malformed: s.Malformed}
	x.answers = slices.Clone(s.Answers)
	v := w.versions[version]
	if x.answers == nil && s.Malformed != "" {
		made := v.appendAnswers([]byte{'['}, n, w.hash(n), true)
		if err := json.Unmarshal(append(made, ']'), &x.answers); err != nil {
			return nil, fmt.Errorf("making answers: %w", err)
		}
	}
	for i, a := range x.answers {
		x.answers[i].OptionTexts = v.form.optionTexts(a.QuestionID, a.Options)
	}
	x.answers = s.Malformed.bend(x.answers, v.form)
	return x, nil
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
		if w.drop(n) {
			last, found = n, true
		}
	}
	if found {
		w.tell(last, actionDeleted, w.gone[last])
	}
	return found
}

func (w *World) drop(n uint32) bool {
	if w.rows[n].flags.has(flagDeleted | flagFiller) {
		return false
	}
	w.rows[n].flags |= flagDeleted
	w.gone[n] = w.clock.millis()
	if !w.listable(w.rows[n], w.switches.Load()) {
		w.unlist(n)
	}
	return true
}

// DeleteNewest lets up to count members leave their events, those whose leads
// of the organization the finder lists first, and returns how many left. During
// a scan all rows behind theirs move up.
func (w *World) DeleteNewest(organization int64, count int) int {
	w.reveal()
	w.mu.Lock()
	defer w.mu.Unlock()
	first := slices.Clone(w.lists[source{w.orgIndex(organization), kindEvent}])
	if !w.switches.Load().OldestFirst {
		slices.Reverse(first)
	}
	left := 0
	for _, n := range first {
		if left < count && !w.rows[n].flags.has(flagFiller) && w.leave(w.leadID(w.pageRow(n))) {
			left++
		}
	}
	return left
}
