package linkedinsim

import (
	"errors"
	"fmt"
	"slices"
)

// AddOrganization adds an organization, or replaces the one of the same id.
func (w *World) AddOrganization(o Organization) error {
	if o.ID <= 0 {
		return errors.New("an organization needs a positive id")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	added := o.withDefaults(w.cfg.Member, w.clock.millis())
	w.orgs = slices.Clone(w.orgs)
	if i := w.orgIndex(o.ID); i >= 0 {
		w.orgs[i] = added
	} else {
		w.orgs = append(w.orgs, added)
	}
	w.notifier.roleChanged(added)
	return nil
}

// orgIndex is the index of an organization, -1 when there is none.
func (w *World) orgIndex(id int64) int32 {
	return int32(slices.IndexFunc(w.orgs, func(o *Organization) bool { return o.ID == id }))
}

// SetRole gives the member an approved role on an organization, or takes all
// roles away (they are then REVOKED) when role is empty.
func (w *World) SetRole(organization int64, role string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.orgIndex(organization)
	if i < 0 {
		return fmt.Errorf("there is no organization %d", organization)
	}
	changed := *w.orgs[i]
	changed.Roles = slices.Clone(changed.Roles)
	given := false
	for j := range changed.Roles {
		r := &changed.Roles[j]
		switch {
		case role == "":
			r.State = stateRevoked
		case r.Role == role:
			r.State, given = stateApproved, true
		}
	}
	if role != "" && !given {
		changed.Roles = append(changed.Roles, Role{Role: role})
	}
	w.orgs = slices.Clone(w.orgs)
	w.orgs[i] = changed.withDefaults(w.cfg.Member, w.clock.millis())
	w.notifier.roleChanged(w.orgs[i])
	return nil
}

// AddForm adds a form. A form whose id exists becomes its next version; the
// version number is then counted on unless f has a greater one. It returns the
// version.
func (w *World) AddForm(f Form) (int, error) {
	copied, err := f.clone()
	if err != nil {
		return 0, err
	}
	if err := copied.validate(); err != nil {
		return 0, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addForm(copied)
}

func (w *World) addForm(f *Form) (int, error) {
	owner, _ := parseURN(f.Owner.Organization, organizationPrefix) // was validated
	org := w.orgIndex(owner)
	if org < 0 {
		return 0, fmt.Errorf("form %d: there is no organization %d", f.ID, owner)
	}
	state := w.forms[f.ID]
	last := 0
	if state != nil {
		last = w.versions[state.current()].form.VersionID
	}
	f.VersionID = max(f.VersionID, last+1)
	now := w.clock.millis()
	if f.Created == 0 {
		f.Created = now
	}
	if f.LastModified == 0 {
		f.LastModified = now
	}
	if f.State == "" {
		f.State = "PUBLISHED"
	}
	if f.CreationLocale == (Locale{}) {
		f.CreationLocale = Locale{Country: "US", Language: "en"}
	}
	v, err := compileVersion(f, org)
	if err != nil {
		return 0, err
	}
	if state == nil {
		state = &formState{}
		w.forms[f.ID] = state
		w.formIDs = append(w.formIDs, f.ID)
	}
	w.versions = append(w.versions, v)
	state.versions = append(state.versions, int32(len(w.versions)-1))
	return f.VersionID, nil
}

// ReviseForm changes the current version of a form into a new one, whose number
// it returns.
func (w *World) ReviseForm(id int64, change func(*Form) error) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	state := w.forms[id]
	if state == nil {
		return 0, fmt.Errorf("there is no form %d", id)
	}
	f, err := w.versions[state.current()].form.clone()
	if err != nil {
		return 0, err
	}
	if err := change(f); err != nil {
		return 0, fmt.Errorf("changing form %d: %w", id, err)
	}
	f.VersionID++
	f.LastModified = w.clock.millis()
	if err := f.validate(); err != nil {
		return 0, err
	}
	return w.addForm(f)
}

// RefuseForm answers every question about a form with a status such as 404, 410
// or 403, and takes it out of the finder; status 0 brings it back. Its leads
// stay.
func (w *World) RefuseForm(id int64, status int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	state := w.forms[id]
	if state == nil {
		return fmt.Errorf("there is no form %d", id)
	}
	state.status = status
	return nil
}

// AddEvent adds an event, or replaces the one of the same id. LeadGenForm names
// the form it asks for, by either URN; the version printed is always the
// form's current one.
func (w *World) AddEvent(e Event) error {
	if e.ID <= 0 {
		return errors.New("an event needs a positive id")
	}
	organizer, ok := parseURN(e.Organizer, organizationPrefix)
	if !ok {
		return fmt.Errorf("event %d: organizer is %q, want the URN of an organization", e.ID, e.Organizer)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	state := &eventState{Event: e, org: w.orgIndex(organizer)}
	if state.org < 0 {
		return fmt.Errorf("event %d: there is no organization %d", e.ID, organizer)
	}
	if e.LeadGenForm != "" {
		if state.form, _, ok = parseFormURN(e.LeadGenForm); !ok || w.forms[state.form] == nil {
			return fmt.Errorf("event %d: leadGenForm %q names no form", e.ID, e.LeadGenForm)
		}
	}
	w.events = slices.Clone(w.events)
	if i := slices.IndexFunc(w.events, func(x *eventState) bool { return x.ID == e.ID }); i >= 0 {
		w.events[i] = state
	} else {
		w.events = append(w.events, state)
	}
	w.asking = w.asking[:0:0]
	for i, x := range w.events {
		if x.form != 0 {
			w.asking = append(w.asking, int32(i))
		}
	}
	return nil
}
