package linkedinsim

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// roleFilter passes the rows that the role and state parameters select.
func (c *call) roleFilter() func(Role) bool {
	role, state := c.query.text("role"), c.query.text("state")
	return func(r Role) bool { return (role == "" || r.Role == role) && (state == "" || r.State == state) }
}

// findOwnRoles is organizationAcls?q=roleAssignee: one row per organization and
// role that the member holds. A request that wants organizations resolved fails
// as a whole when one of the rows is not approved, as it does at LinkedIn.
func (c *call) findOwnRoles() *answer {
	s, keep := c.span(orDefault(c.sw.MaxACLs, 100)), c.roleFilter()
	decorated := strings.Contains(c.query.raw["projection"], "~")
	c.query.read["projection"] = true
	p := c.query.projection()
	c.s.mu.RLock()
	orgs := c.s.orgs
	c.s.mu.RUnlock()
	var rows []json.RawMessage
	for _, o := range orgs {
		for _, r := range o.Roles {
			if r.Member != c.token.member || !keep(r) {
				continue
			}
			if decorated && r.State != stateApproved {
				return envelope{
					Status: http.StatusForbidden, ServiceCode: 100, Code: "ACCESS_DENIED",
					Message: "Viewer don't have permission to the ADMIN_ONLY VisibilityReduction for " + o.URN(),
				}.answer()
			}
			rows = append(rows, p.apply(mustJSON(o.aclRow(r, c.sw.OrganizationTarget))))
		}
	}
	return c.page(rows, s, false)
}

// findRolesOn is organizationAcls?q=organization: who holds roles on a page.
func (c *call) findRolesOn() *answer {
	s, keep := c.span(orDefault(c.sw.MaxACLs, 100)), c.roleFilter()
	urn, p := c.query.text("organization"), c.query.projection()
	if c.query.doubled {
		return c.page(nil, s, false)
	}
	if _, ok := parseURN(urn, organizationPrefix); !ok {
		c.query.refuse("organization")
	}
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	o, _ := c.org(urn)
	if o == nil || !o.grants(c.token.member, adminRoles) {
		return c.noRole()
	}
	var rows []json.RawMessage
	for _, r := range o.Roles {
		if keep(r) {
			rows = append(rows, p.apply(mustJSON(o.aclRow(r, c.sw.OrganizationTarget))))
		}
	}
	return c.page(rows, s, false)
}

// getOrganization is organizations/{id}, for administrators of the page.
func (c *call) getOrganization() *answer {
	id, ok := c.numericKey()
	p := c.query.projection()
	if !ok {
		return badParam("id")
	}
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	o, _ := c.org(organizationURN(id))
	if o == nil {
		return notFound("Organization")
	}
	if !o.grants(c.token.member, adminRoles) {
		return c.noRole()
	}
	return &answer{status: http.StatusOK, body: p.apply(mustJSON(o.wire()))}
}

// findVanityName is organizations?q=vanityName, where it is offered.
func (c *call) findVanityName() *answer {
	s, name, p := c.span(100), c.query.text("vanityName"), c.query.projection()
	c.s.mu.RLock()
	orgs := c.s.orgs
	c.s.mu.RUnlock()
	var found []json.RawMessage
	for _, o := range orgs {
		if o.VanityName == name && name != "" {
			found = append(found, p.apply(mustJSON(o.summary())))
		}
	}
	return c.page(found, s, false)
}

// lookUpOrganizations is organizationsLookup?ids=List(…), which needs no role.
func (c *call) lookUpOrganizations() *answer {
	found, missing := map[string]json.RawMessage{}, map[string]int{}
	p := c.query.projection()
	for _, text := range c.query.list("ids") {
		id, ok := parseID(text)
		if !ok {
			c.query.refuse("ids")
			break
		}
		if o, _ := c.org(organizationURN(id)); o != nil {
			found[strconv.FormatInt(id, 10)] = p.apply(mustJSON(o.summary()))
		} else {
			missing[text] = http.StatusNotFound
		}
	}
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	return batch(found, missing)
}

// me is /v2/me, for tokens that have a profile scope.
func (c *call) me() *answer {
	return jsonAnswer(map[string]string{"id": c.token.member, "localizedFirstName": "Sim", "localizedLastName": "Member"})
}

// userInfo is /v2/userinfo, for tokens that have the openid scope.
func (c *call) userInfo() *answer {
	return jsonAnswer(map[string]string{"sub": c.token.member, "name": "Sim Member"})
}
