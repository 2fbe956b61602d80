package linkedinsim

import (
	"math"
	"net/http"
	"strconv"
	"strings"
)

// findResponses is leadFormResponses?q=owner.
func (c *call) findResponses() *answer {
	src, owner, refused := c.responseSource()
	if refused != nil {
		return refused
	}
	sel, p := c.responseSelection()
	s := c.span(orDefault(c.sw.MaxResponses, 100))
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	if c.query.doubled {
		return c.page(nil, s, true)
	}
	if owner == nil || !owner.grants(c.token.member, leadRoles(src.kind)) {
		return c.noRole()
	}
	sel.start, sel.count, sel.oldestFirst = s.start, s.count, c.sw.OldestFirst
	rows, total, v := c.s.page(src, sel)
	return c.responsePage(rows, total, s, newRenderer(v, c.sw, p))
}

// responsePage renders the rows of a page and leaves out those that LinkedIn
// drops at this point, which is what makes a page short.
func (c *call) responsePage(rows []pageRow, total int, s span, r *renderer) *answer {
	shown := rows[:0]
	for _, row := range rows {
		if !row.flags.has(flagFiller) {
			shown = append(shown, row)
		}
	}
	buffer := buffers.Get().(*[]byte)
	body := c.pageHead((*buffer)[:0], s, len(shown), total, true)
	for i, row := range shown {
		if i > 0 {
			body = append(body, ',')
		}
		body = r.element(body, row)
	}
	return &answer{status: http.StatusOK, body: append(body, "]}"...), pooled: buffer}
}

// responseSource reads owner and leadType, which must fit each other: page leads
// belong to organizations, sponsored ones to ad accounts.
func (c *call) responseSource() (source, *Organization, *answer) {
	kind, ok := parseLeadType(c.query.record("leadType")["leadType"])
	if !ok {
		c.query.refuse("leadType")
	}
	owner := c.query.record("owner")
	account, sponsored := owner["sponsoredAccount"]
	urn, page := owner["organization"]
	if len(owner) != 1 || sponsored == page || sponsored != (kind == kindSponsored) {
		c.query.refuse("owner")
	}
	if c.query.bad != "" {
		return source{}, nil, badParam(c.query.bad)
	}
	if c.query.doubled {
		return source{}, nil, nil
	}
	if sponsored { // there are no ad accounts here, so no role on one
		if _, ok := parseURN(account, "urn:li:sponsoredAccount:"); !ok {
			return source{}, nil, badParam("owner")
		}
		return source{}, nil, nil
	}
	if _, ok := parseURN(urn, organizationPrefix); !ok {
		return source{}, nil, badParam("owner")
	}
	o, i := c.org(urn)
	return source{i, kind}, o, nil
}

// responseSelection reads the parameters that select among the owner's leads.
func (c *call) responseSelection() (selection, projection) {
	sel := selection{from: math.MinInt64, to: math.MaxInt64}
	if raw, given := c.query.raw["submittedAtTimeRange"]; given && raw != "" {
		c.timeRange(&sel)
	}
	var keep []func(pageRow) bool
	for _, k := range []func(pageRow) bool{c.keepEvent(), c.keepForm(), c.keepTest()} {
		if k != nil {
			keep = append(keep, k)
		}
	}
	if len(keep) > 0 {
		sel.keep = func(r pageRow) bool {
			for _, k := range keep {
				if !k(r) {
					return false
				}
			}
			return true
		}
	}
	p := c.query.projection()
	if p != nil && c.sw.RefuseFields {
		c.query.refuse("fields")
	}
	return sel, p
}

// timeRange reads submittedAtTimeRange. LinkedIn's TimeRange includes its start
// and excludes its end; Switches.Bounds has the other readings.
func (c *call) timeRange(sel *selection) {
	const name = "submittedAtTimeRange"
	record := c.query.record(name)
	for member := range record {
		if member != "start" && member != "end" {
			c.query.refuse(name)
		}
	}
	start, err := strconv.ParseInt(record["start"], 10, 64)
	if err != nil {
		c.query.refuse(name)
	}
	sel.from = start
	if strings.HasPrefix(c.sw.Bounds, "(") {
		sel.from++
	}
	text, bounded := record["end"]
	if !bounded {
		return
	}
	end, err := strconv.ParseInt(text, 10, 64)
	if err != nil || end < start || end == math.MaxInt64 {
		c.query.refuse(name)
		return
	}
	sel.to = end
	if strings.HasSuffix(c.sw.Bounds, "]") {
		sel.to++
	}
}

func (c *call) keepEvent() func(pageRow) bool {
	const name = "associatedEntity"
	raw, given := c.query.raw[name]
	if !given {
		return nil
	}
	urn := ""
	union := strings.HasPrefix(raw, "(") || strings.HasPrefix(raw, "%28")
	switch {
	case union && c.sw.AssociatedEntityParam == "", !union && c.sw.AssociatedEntityParam == "union":
		c.query.refuse(name)
	case union:
		urn = c.query.record(name)["event"]
	default:
		urn = c.query.text(name)
	}
	id, ok := parseURN(urn, eventPrefix)
	if !ok && !c.query.doubled {
		c.query.refuse(name)
	}
	c.s.mu.RLock()
	events := c.s.events
	c.s.mu.RUnlock()
	return func(r pageRow) bool {
		return r.event >= 0 && int(r.event) < len(events) && events[r.event].ID == id
	}
}

func (c *call) keepForm() func(pageRow) bool {
	const name = "versionedLeadGenFormUrn"
	if _, given := c.query.raw[name]; !given {
		return nil
	}
	id, version, ok := parseFormURN(c.query.text(name))
	if (!ok || version == 0) && !c.query.doubled {
		c.query.refuse(name)
	}
	c.s.mu.RLock()
	index, err := c.s.versionIndex(id, version)
	c.s.mu.RUnlock()
	return func(r pageRow) bool { return err == nil && r.version == index }
}

func (c *call) keepTest() func(pageRow) bool {
	only, given := c.query.boolean("limitedToTestLeads")
	if only {
		return func(r pageRow) bool { return r.flags.has(flagTest) }
	}
	if c.sw.TestLeads == "omitted_excludes" || c.sw.TestLeads == "false_excludes" && given {
		return func(r pageRow) bool { return !r.flags.has(flagTest) }
	}
	return nil
}

// getResponse is leadFormResponses/{id}. What the member may not read looks as
// if it were not there.
func (c *call) getResponse() *answer {
	id, ok := c.key()
	if !ok || strings.HasPrefix(id, "urn:") {
		return badParam("id")
	}
	p := c.query.projection()
	if p != nil && c.sw.RefuseFields {
		c.query.refuse("fields")
	}
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	const what = "Lead form response"
	row, v, found, deleted := c.s.single(id)
	if !found {
		return notFound(what)
	}
	if deleted {
		return refusal(orDefault(c.sw.DeletedStatus, http.StatusNotFound), what)
	}
	if !v.orgs[v.versions[row.version].org].grants(c.token.member, leadRoles(row.kind)) {
		return c.noRole()
	}
	return &answer{status: http.StatusOK, body: newRenderer(v, c.sw, p).element(nil, row)}
}
