package linkedinsim

import (
	"encoding/json"
	"net/http"
)

const formName = "Lead form"

// readForm is the current version of a form, or how LinkedIn refuses it.
func (c *call) readForm(id int64) (*formVersion, *Organization, int) {
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	state := c.s.forms[id]
	if state == nil {
		return nil, nil, http.StatusNotFound
	}
	v := c.s.versions[state.current()]
	return v, c.s.orgs[v.org], state.status
}

// getForm is leadForms/{id}; the key is a bare number. It is always the current
// version: an older one cannot be asked for.
func (c *call) getForm() *answer {
	id, ok := c.numericKey()
	p := c.query.projection()
	if !ok {
		return badParam("id")
	}
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	v, owner, status := c.readForm(id)
	if status != 0 {
		return refusal(status, formName)
	}
	if !owner.grants(c.token.member, pageRoles) {
		return c.noRole()
	}
	return &answer{status: http.StatusOK, body: v.project(p)}
}

// batchForms is leadForms?ids=List(…).
func (c *call) batchForms() *answer {
	ids, p := c.query.list("ids"), c.query.projection()
	found, missing := map[string]json.RawMessage{}, map[string]int{}
	for _, text := range ids {
		id, ok := parseID(text)
		if !ok {
			c.query.refuse("ids")
			break
		}
		v, owner, status := c.readForm(id)
		switch {
		case status != 0:
			missing[text] = status
		case !owner.grants(c.token.member, pageRoles):
			missing[text] = http.StatusForbidden
		default:
			found[text] = v.project(p)
		}
	}
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	return batch(found, missing)
}

// findForms is leadForms?q=owner.
func (c *call) findForms() *answer {
	owner := c.query.record("owner")
	p := c.query.projection()
	s := c.span(orDefault(c.sw.MaxForms, 100))
	urn := owner["organization"]
	if _, ok := parseURN(urn, organizationPrefix); len(owner) != 1 || !ok && !c.query.doubled {
		c.query.refuse("owner")
	}
	if c.query.doubled {
		return c.page(nil, s, true)
	}
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	o, index := c.org(urn)
	if o == nil || !o.grants(c.token.member, pageRoles) {
		return c.noRole()
	}
	var elements []json.RawMessage
	for _, v := range c.s.formsOf(index) {
		elements = append(elements, v.project(p))
	}
	return c.page(elements, s, true)
}

// formsOf are the current versions of an organization's forms.
func (w *World) formsOf(org int32) []*formVersion {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var list []*formVersion
	for _, id := range w.formIDs {
		state := w.forms[id]
		if v := w.versions[state.current()]; v.org == org && state.status == 0 {
			list = append(list, v)
		}
	}
	return list
}
