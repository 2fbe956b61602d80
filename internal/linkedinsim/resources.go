package linkedinsim

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
)

// project is the JSON of a value cut down to what the request asks for.
func (c *call) project(v any) []byte { return c.fields.apply(mustJSON(v)) }

// may reports whether the member holds one of the roles on an organization.
func (c *call) may(o *Organization, roles []string) bool { return o.grants(c.token.member, roles) }

// selects reports whether the role and state parameters select a role.
func (c *call) selects(r Role) bool {
	return (c.role == "" || r.Role == c.role) && (c.state == "" || r.State == c.state)
}

// roleRow is a role as organizationAcls gives it. LinkedIn's samples name the
// organization in two ways.
func (c *call) roleRow(o *Organization, r Role) []byte {
	organization := "organization"
	if c.w.switches.OrganizationTarget {
		organization = "organizationTarget"
	}
	return c.project(object{
		"roleAssignee": personPrefix + r.Member, "role": r.Role, "state": r.State, organization: o.URN(),
		"created": r.Created, "lastModified": r.LastModified,
	})
}

// findOwnRoles is organizationAcls?q=roleAssignee: one row per organization and
// role that the member holds. A request that wants organizations resolved fails
// as a whole when one of the rows is not approved, as it does at LinkedIn.
func findOwnRoles(c *call) *answer {
	var rows [][]byte
	for _, o := range c.w.orgs {
		for _, r := range o.Roles {
			if r.Member != c.token.member || !c.selects(r) {
				continue
			}
			if c.decorated && r.State != stateApproved {
				return usual(http.StatusForbidden, "Viewer don't have permission to the ADMIN_ONLY VisibilityReduction for %s", o.URN())
			}
			rows = append(rows, c.roleRow(o, r))
		}
	}
	return c.list(rows)
}

func findRolesOn(c *call) *answer {
	if !c.may(c.owner, adminRoles) {
		return c.noRole()
	}
	var rows [][]byte
	for _, r := range c.owner.Roles {
		if c.selects(r) {
			rows = append(rows, c.roleRow(c.owner, r))
		}
	}
	return c.list(rows)
}

func getOrganization(c *call) *answer {
	o := c.pageByID(c.id)
	switch {
	case o == nil:
		return notFound("Organization")
	case !c.may(o, adminRoles):
		return c.noRole()
	}
	return success(c.project(object{
		"id": o.ID, "localizedName": o.Name, "vanityName": o.VanityName, "primaryOrganizationType": "NONE",
		"name": object{"localized": map[string]string{"en_US": o.Name}, "preferredLocale": localeUS},
	}))
}

// summary is an organization as anybody may see it.
func (c *call) summary(o *Organization) []byte {
	return c.project(object{"id": o.ID, "localizedName": o.Name, "vanityName": o.VanityName})
}

func findVanityName(c *call) *answer {
	var found [][]byte
	for _, o := range c.w.orgs {
		if o.VanityName == c.vanityName && c.vanityName != "" {
			found = append(found, c.summary(o))
		}
	}
	return c.list(found)
}

func lookUpOrganizations(c *call) *answer {
	return c.batch(func(id int64) ([]byte, int) {
		if o := c.pageByID(id); o != nil {
			return c.summary(o), 0
		}
		return nil, http.StatusNotFound
	})
}

// batch answers a BATCH_GET: with what was found, and a status for the rest.
func (c *call) batch(read func(id int64) ([]byte, int)) *answer {
	found, statuses, errors := map[string]json.RawMessage{}, map[string]int{}, map[string]json.RawMessage{}
	for _, text := range c.ids {
		id, _ := parseID(text) // was read before
		if body, status := read(id); status == 0 {
			found[text] = body
		} else {
			statuses[text], errors[text] = status, unreadable(status, "The entity").body
		}
	}
	return jsonAnswer(object{"results": found, "statuses": statuses, "errors": errors})
}

// readForm is the current version of a form, and the status with which LinkedIn
// refuses it, 0 when it does not.
func (c *call) readForm(id int64) (*Form, int) {
	f := c.w.forms[id]
	if f == nil {
		return nil, http.StatusNotFound
	}
	return f.current(), f.status
}

// getForm is leadForms/{id}; the key is a bare number. It is always the current
// version: an older one cannot be asked for.
func getForm(c *call) *answer {
	v, status := c.readForm(c.id)
	if status != 0 {
		return unreadable(status, "Lead form")
	}
	if !c.may(v.org, pageRoles) {
		return c.noRole()
	}
	return success(c.fields.apply(v.json))
}

func batchForms(c *call) *answer {
	return c.batch(func(id int64) ([]byte, int) {
		v, status := c.readForm(id)
		switch {
		case status != 0:
			return nil, status
		case !c.may(v.org, pageRoles):
			return nil, http.StatusForbidden
		}
		return c.fields.apply(v.json), 0
	})
}

func findForms(c *call) *answer {
	if !c.may(c.owner, pageRoles) {
		return c.noRole()
	}
	var found [][]byte
	for _, v := range c.w.formsOf(c.owner) {
		found = append(found, c.fields.apply(v.json))
	}
	return c.list(found)
}

// printEvent is the event as LinkedIn prints it.
func (c *call) printEvent(e *Event) []byte {
	printed := *e
	printed.LeadGenForm, printed.Cancelled = "", false
	if e.form != 0 {
		printed.LeadGenForm = c.w.forms[e.form].current().URN()
		if c.w.switches.UnversionedEventForm {
			printed.LeadGenForm = formURN(e.form)
		}
	}
	return c.project(&printed)
}

// eventPage is the page of the organizer's events that keep passes.
func (c *call) eventPage(keep func(*Event) bool) *answer {
	if !c.may(c.owner, eventRoles) {
		return c.noRole()
	}
	var kept []*Event
	for _, e := range c.w.events {
		if e.org == c.owner && keep(e) {
			kept = append(kept, e)
		}
	}
	switch c.order {
	case "START_TIME_ASC":
		slices.SortStableFunc(kept, func(a, b *Event) int { return cmp.Compare(a.StartsAt, b.StartsAt) })
	case "END_TIME_DESC":
		slices.SortStableFunc(kept, func(a, b *Event) int { return cmp.Compare(b.endsAt(), a.endsAt()) })
	}
	found := make([][]byte, len(kept))
	for i := c.start; i < min(c.start+c.count, len(kept)); i++ { // the others are not on this page
		found[i] = c.printEvent(kept[i])
	}
	return c.list(found)
}

func findFormEvents(c *call) *answer {
	now := c.w.clock.millis()
	return c.eventPage(func(e *Event) bool {
		return e.form != 0 && !(c.w.switches.FormFinderDropsPast && (e.Cancelled || e.lifeCycle(now) == "PAST"))
	})
}

func findEvents(c *call) *answer {
	now := c.w.clock.millis()
	return c.eventPage(func(e *Event) bool {
		return !(c.noCancelled && e.Cancelled) && (c.entry == "" || e.Entry == c.entry) &&
			(c.lifeCycle == "" || e.lifeCycle(now) == c.lifeCycle)
	})
}

func getEvent(c *call) *answer {
	i := c.w.eventIndex(c.id)
	switch {
	case i < 0:
		return notFound("Event")
	case !c.may(c.w.events[i].org, eventRoles):
		return c.noRole()
	}
	return success(c.printEvent(c.w.events[i]))
}

func getMe(c *call) *answer {
	return jsonAnswer(map[string]string{"id": c.token.member, "localizedFirstName": "Sim", "localizedLastName": "Member"})
}

func getUserInfo(c *call) *answer {
	return jsonAnswer(map[string]string{"sub": c.token.member, "name": "Sim Member"})
}
