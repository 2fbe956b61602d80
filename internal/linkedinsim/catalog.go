package linkedinsim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// form is the versions of a form.
type form struct {
	versions []*Form // oldest first
	status   int     // with which LinkedIn refuses it, 0 when it does not
}

// current is the newest version; nil when there is no form.
func (f *form) current() *Form {
	if f == nil {
		return nil
	}
	return f.versions[len(f.versions)-1]
}

// AddOrganization adds an organization, or replaces the one of the same id.
func (w *World) AddOrganization(o Organization) error {
	if o.ID <= 0 {
		return errors.New("an organization needs a positive id")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	known := w.org(o.ID)
	if known == nil {
		known = &Organization{}
		w.orgs = append(w.orgs, known)
	}
	o.Roles = slices.Clone(o.Roles)
	*known = o
	w.completeRoles(known)
	return nil
}

// completeRoles fills in what the roles of an organization leave out, after a
// change of them.
func (w *World) completeRoles(o *Organization) {
	for i := range o.Roles {
		r := &o.Roles[i]
		r.Member = cmp.Or(r.Member, w.cfg.Member)
		r.State = cmp.Or(r.State, stateApproved)
		for _, stamp := range []*Stamp{&r.Created, &r.LastModified} {
			if stamp.Actor == "" {
				stamp.Actor, stamp.Time = personPrefix+r.Member, w.clock.millis()
			}
		}
	}
	w.notifier.roleChanged(o)
}

// org is the organization of an id, nil when there is none.
func (w *World) org(id int64) *Organization {
	for _, o := range w.orgs {
		if o.ID == id {
			return o
		}
	}
	return nil
}

// form is the form of an id.
func (w *World) form(id int64) (*form, error) {
	f := w.forms[id]
	if f == nil {
		return nil, fmt.Errorf("there is no form %d", id)
	}
	return f, nil
}

// SetRole gives the member an approved role on an organization, or takes all
// roles away (they are then REVOKED) when role is empty.
func (w *World) SetRole(organization int64, role string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.org(organization)
	if o == nil {
		return fmt.Errorf("there is no organization %d", organization)
	}
	had := false
	for i := range o.Roles {
		if r := &o.Roles[i]; role == "" {
			r.State = stateRevoked
		} else if r.Role == role {
			r.State, had = stateApproved, true
		}
	}
	if role != "" && !had {
		o.Roles = append(o.Roles, Role{Role: role})
	}
	w.completeRoles(o)
	return nil
}

// AddForm adds a form. A form whose id exists becomes its next version; the
// version number is then counted on unless f has a greater one. It returns the
// version.
func (w *World) AddForm(f Form) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addForm(f.clone())
}

func (w *World) addForm(f *Form) (int, error) {
	if err := f.validate(); err != nil {
		return 0, err
	}
	owner, _ := parseURN(f.Owner.Organization, organizationPrefix) // was validated
	org := w.org(owner)
	if org == nil {
		return 0, fmt.Errorf("form %d: there is no organization %d", f.ID, owner)
	}
	known, last := w.forms[f.ID], 0
	if known == nil {
		known = &form{}
		w.forms[f.ID] = known
		w.formIDs = append(w.formIDs, f.ID)
	} else {
		last = known.current().VersionID
	}
	f.VersionID = max(f.VersionID, last+1)
	f.Created, f.LastModified = cmp.Or(f.Created, w.clock.millis()), cmp.Or(f.LastModified, w.clock.millis())
	f.State, f.CreationLocale = cmp.Or(f.State, "PUBLISHED"), cmp.Or(f.CreationLocale, localeUS)
	f.org, f.json = org, mustJSON(f)
	for i := range f.Content.Questions {
		f.Content.Questions[i].print()
	}
	known.versions = append(known.versions, f)
	return f.VersionID, nil
}

// ReviseForm changes the current version of a form into a new one, whose number
// it returns.
func (w *World) ReviseForm(id int64, change func(*Form) error) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	known, err := w.form(id)
	if err != nil {
		return 0, err
	}
	f := known.current().clone()
	if err := change(f); err != nil {
		return 0, fmt.Errorf("changing form %d: %w", id, err)
	}
	f.VersionID++
	f.LastModified = w.clock.millis()
	return w.addForm(f)
}

// RefuseForm answers every question about a form with a status such as 404, 410
// or 403, and takes it out of the finder; status 0 brings it back. Its leads
// stay.
func (w *World) RefuseForm(id int64, status int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	known, err := w.form(id)
	if err == nil {
		known.status = status
	}
	return err
}

// formVersion is a version of a form, the current one for 0.
func (w *World) formVersion(id int64, version int) (*Form, error) {
	known, err := w.form(id)
	if err != nil || version == 0 {
		return known.current(), err
	}
	for _, v := range known.versions {
		if v.VersionID == version {
			return v, nil
		}
	}
	return nil, fmt.Errorf("form %d has no version %d", id, version)
}

// formsOf are the current versions of an organization's forms.
func (w *World) formsOf(org *Organization) []*Form {
	var list []*Form
	for _, id := range w.formIDs {
		if f := w.forms[id]; f.status == 0 && f.current().org == org {
			list = append(list, f.current())
		}
	}
	return list
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
	added := &e
	e.form, e.org = 0, w.org(organizer)
	if e.Type == nil {
		e.Type = object{}
	}
	if added.org == nil {
		return fmt.Errorf("event %d: there is no organization %d", e.ID, organizer)
	}
	if e.LeadGenForm != "" {
		if added.form, _, ok = parseFormURN(e.LeadGenForm); !ok || w.forms[added.form] == nil {
			return fmt.Errorf("event %d: leadGenForm %q names no form", e.ID, e.LeadGenForm)
		}
	}
	if i := w.eventIndex(e.ID); i >= 0 {
		*w.events[i] = *added
	} else {
		w.events = append(w.events, added)
	}
	w.asking = w.asking[:0]
	for _, x := range w.events {
		if x.form != 0 {
			w.asking = append(w.asking, x)
		}
	}
	return nil
}

// eventIndex is the place of an event, -1 when there is none.
func (w *World) eventIndex(id int64) int {
	return slices.IndexFunc(w.events, func(e *Event) bool { return e.ID == id })
}
