package linkedinsim

import (
	"cmp"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// route is a method of a resource.
type route struct {
	scopes []string           // any of them will do; nil needs none
	key    func(c *call) bool // reads the path key
	params []param            // in the order in which they are read
	handle func(*call) *answer
}

var (
	leadScopes  = []string{"r_marketing_leadgen_automation"}
	formScopes  = []string{"r_marketing_leadgen_automation", "r_ads", "rw_ads"}
	eventScopes = []string{"r_events", "rw_events"}
	adminScopes = []string{"r_organization_admin", "rw_organization_admin"}
)

// routes are the methods of the resources by name. Handlers are called with the
// world's lock held, for writing where the request writes.
var routes = map[string]route{
	"leadFormResponses.FINDER-owner": {leadScopes, nil, []param{
		leadTypeParam, ownerParam, {"submittedAtTimeRange", false, readTimeRange}, {"associatedEntity", false, readEvent},
		{"versionedLeadGenFormUrn", false, readForm}, {"limitedToTestLeads", false, func(c *call, raw string) bool { return c.boolean(&c.onlyTests, raw) }}, leadFieldsParam, startParam, countParam,
	}, findResponses},
	"leadFormResponses.GET":                           {leadScopes, textKey, []param{leadFieldsParam}, getResponse},
	"leadForms.FINDER-owner":                          {formScopes, nil, []param{{"owner", true, readPage}, fieldsParam, startParam, countParam}, findForms},
	"leadForms.GET":                                   {formScopes, numericKey, []param{fieldsParam}, getForm},
	"leadForms.BATCH_GET":                             {formScopes, nil, []param{idsParam, fieldsParam}, batchForms},
	"events.FINDER-organizerLeadGenFormEnabledEvents": {eventScopes, nil, []param{startParam, countParam, fieldsParam, {"organizer", true, readPageURN}}, findFormEvents},
	"events.FINDER-eventsByOrganizer": {eventScopes, nil, []param{
		{"excludeCancelled", false, func(c *call, raw string) bool { return c.boolean(&c.noCancelled, raw) }},
		{"timeBasedFilter", false, readLifeCycle},
		{"entryCriteria", false, func(c *call, raw string) bool { return c.oneOf(&c.entry, raw, "PUBLIC", "GATED") }},
		{"sortOrder", false, func(c *call, raw string) bool { return c.oneOf(&c.order, raw, "START_TIME_ASC", "END_TIME_DESC") }},
		startParam, countParam, fieldsParam, {"organizer", true, readPageURN},
	}, findEvents},
	"events.GET": {eventScopes, numericKey, []param{fieldsParam}, getEvent},
	"organizationAcls.FINDER-roleAssignee": {adminScopes, nil, []param{
		startParam, countParam, roleParam, stateParam, {"projection", false, readDecoration}, fieldsParam,
	}, findOwnRoles},
	"organizationAcls.FINDER-organization": {adminScopes, nil, []param{
		startParam, countParam, roleParam, stateParam, {"organization", true, readPageURN}, fieldsParam,
	}, findRolesOn},
	"organizations.GET": {adminScopes, numericKey, []param{fieldsParam}, getOrganization},
	"organizations.FINDER-vanityName": {adminScopes, nil, []param{
		startParam, countParam, {"vanityName", false, func(c *call, raw string) bool { return c.oneOf(&c.vanityName, raw) }}, fieldsParam,
	}, findVanityName},
	"organizationsLookup.BATCH_GET": {adminScopes, nil, []param{fieldsParam, idsParam}, lookUpOrganizations},
	"leadNotifications.CREATE":      {leadScopes, nil, nil, subscribe},
	"leadNotifications.GET":         {leadScopes, numericKey, []param{fieldsParam}, getSubscription},
	"leadNotifications.FINDER-criteria": {leadScopes, nil, []param{
		startParam, countParam, fieldsParam, leadTypeParam, {"owner", true, readNestedOwner},
	}, findSubscriptions},
	"leadNotifications.DELETE": {leadScopes, numericKey, nil, unsubscribe},
	"me.GET":                   {[]string{"r_basicprofile", "r_liteprofile"}, nil, nil, getMe},
	"userinfo.GET":             {[]string{"openid"}, nil, nil, getUserInfo},
}

// param is a parameter of a method. read reports whether it can be read. A
// required one that is missing is read as the empty text, which is always
// wrong.
type param struct {
	name     string
	required bool
	read     func(c *call, raw string) bool
}

var (
	startParam      = param{"start", false, func(c *call, raw string) bool { return c.number(&c.start, raw) }}
	countParam      = param{"count", false, readCount}
	fieldsParam     = param{"fields", false, readFields}
	leadFieldsParam = param{"fields", false, func(c *call, raw string) bool { return readFields(c, raw) && !c.w.switches.RefuseFields }}
	idsParam        = param{"ids", true, readIDs}
	roleParam       = param{"role", false, func(c *call, raw string) bool { return c.oneOf(&c.role, raw) }}
	stateParam      = param{"state", false, func(c *call, raw string) bool { return c.oneOf(&c.state, raw) }}
	leadTypeParam   = param{"leadType", true, readLeadType}
	ownerParam      = param{"owner", true, func(c *call, raw string) bool { return c.readUnion(raw, "") }}
)

// query is what the path key and the parameters of a request ask for.
type query struct {
	key       string
	id        int64    // of the path key
	ids       []string // numbers
	fields    projection
	selection // start and count, and of leads what the other parameters select
	// doubled: a URN was percent-encoded twice. LinkedIn then finds nothing.
	doubled bool

	owner       *Organization // nil when there is none
	kind        leadType
	role, state string
	decorated   bool // organizations are to be resolved
	vanityName  string
	onlyTests   bool
	noCancelled bool
	lifeCycle   string
	entry       string
	order       string
}

// unknown is the first parameter, by name, that the method does not know.
func (c *call) unknown(known []param) string {
	var unknown []string
	for name := range c.params {
		if name != "fields" && !(name == "q" && strings.HasPrefix(c.action, "FINDER-")) &&
			!slices.ContainsFunc(known, func(p param) bool { return p.name == name }) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return ""
	}
	return slices.Min(unknown)
}

func textKey(c *call) bool {
	key, err := url.PathUnescape(c.at.key)
	c.key = key
	return err == nil && !strings.HasPrefix(key, "urn:")
}

func numericKey(c *call) (ok bool) {
	key, _ := url.PathUnescape(c.at.key) // what cannot be decoded is no number either
	c.id, ok = parseID(key)
	return ok
}

func readCount(c *call, raw string) bool {
	sw := &c.w.switches
	most := map[string]int{"leadFormResponses": sw.MaxResponses, "leadForms": sw.MaxForms, "organizationAcls": sw.MaxACLs, "events": cmp.Or(sw.MaxEvents, 50)}
	return c.number(&c.count, raw) && c.count > 0 && c.count <= cmp.Or(most[c.at.endpoint], 100)
}

func readFields(c *call, raw string) (ok bool) {
	c.fields, ok = parseProjection(raw)
	return ok
}

func readIDs(c *call, raw string) (ok bool) {
	c.ids, ok = c.strings(raw)
	return ok && !slices.ContainsFunc(c.ids, func(s string) bool { _, ok := parseID(s); return !ok })
}

// oneOf reads a text: when there are allowed ones, one of these or the empty one.
func (c *call) oneOf(to *string, raw string, allowed ...string) (ok bool) {
	*to, ok = c.text(raw)
	return ok && (*to == "" || len(allowed) == 0 || slices.Contains(allowed, *to))
}

func readLifeCycle(c *call, raw string) bool {
	filter, ok := c.record(raw, "")
	c.lifeCycle = filter["lifeCycleState"]
	return ok && len(filter) == 1 && slices.Contains([]string{"UPCOMING", "ONGOING", "PAST"}, c.lifeCycle)
}

func readDecoration(c *call, raw string) bool {
	c.decorated = strings.Contains(raw, "~")
	return true
}

// readURN reads the number of a URN.
func (c *call) readURN(id *int64, urn, prefix string) (ok bool) {
	*id, ok = parseURN(urn, prefix)
	return ok || c.doubled
}

// pageOf reads the organization that a URN names.
func (c *call) pageOf(urn string) bool {
	var id int64
	ok := c.readURN(&id, urn, organizationPrefix)
	c.owner = c.pageByID(id)
	return ok
}

// pageByID is the organization of an id. A showcase page is none.
func (c *call) pageByID(id int64) *Organization {
	if o := c.w.org(id); o != nil && !o.Brand {
		return o
	}
	return nil
}

func readPageURN(c *call, raw string) bool {
	urn, ok := c.text(raw)
	return ok && c.pageOf(urn)
}

// readPage reads the owner of forms: (organization:URN).
func readPage(c *call, raw string) bool {
	owner, ok := c.record(raw, "")
	return ok && len(owner) == 1 && c.pageOf(owner["organization"])
}

func readLeadType(c *call, raw string) (known bool) {
	record, ok := c.record(raw, "")
	c.kind, known = parseLeadType(record["leadType"])
	return ok && known
}

// readNestedOwner reads the owner of subscriptions, one level deeper than that
// of the other finders: (value:(organization:URN)).
func readNestedOwner(c *call, raw string) bool { return c.readUnion(raw, "value") }

// readUnion reads the owner of leads, which must fit their type: page leads
// belong to organizations, sponsored ones to ad accounts. There are no ad
// accounts here.
func (c *call) readUnion(raw, wrapper string) bool {
	owner, ok := c.record(raw, wrapper)
	return ok && c.ownerOf(owner)
}

func (c *call) ownerOf(owner map[string]string) bool {
	account, sponsored := owner["sponsoredAccount"]
	urn, page := owner["organization"]
	if len(owner) != 1 || sponsored == page || sponsored != (c.kind == kindSponsored) {
		return false
	}
	if sponsored {
		return c.readURN(new(int64), account, "urn:li:sponsoredAccount:")
	}
	return c.pageOf(urn)
}

// readTimeRange reads a TimeRange, which includes its start and excludes its
// end; Switches.Bounds has the other readings.
func readTimeRange(c *call, raw string) bool {
	if raw == "" {
		return true
	}
	record, ok := c.record(raw, "")
	text, bounded := record["end"]
	start, err := strconv.ParseInt(record["start"], 10, 64)
	end, endErr := strconv.ParseInt(text, 10, 64)
	if c.from = start; strings.HasPrefix(c.w.switches.Bounds, "(") {
		c.from++
	}
	if !bounded {
		return ok && err == nil && len(record) == 1
	}
	if c.to = end; strings.HasSuffix(c.w.switches.Bounds, "]") {
		c.to++
	}
	return ok && err == nil && endErr == nil && len(record) == 2 && end >= start && end < math.MaxInt64
}

func readEvent(c *call, raw string) bool {
	union := strings.HasPrefix(raw, "(") || strings.HasPrefix(raw, "%28")
	if union && c.w.switches.AssociatedEntityParam == "" || !union && c.w.switches.AssociatedEntityParam == "union" {
		return false
	}
	var urn string
	var ok bool
	if union {
		var record map[string]string
		record, ok = c.record(raw, "")
		urn = record["event"]
	} else {
		urn, ok = c.text(raw)
	}
	var id int64
	ok = ok && c.readURN(&id, urn, eventPrefix)
	c.keep = append(c.keep, func(r *row) bool { return r.event != nil && r.event.ID == id })
	return ok
}

func readForm(c *call, raw string) bool {
	urn, ok := c.text(raw)
	id, number, known := parseFormURN(urn)
	version, err := c.w.formVersion(id, number)
	c.keep = append(c.keep, func(r *row) bool { return err == nil && r.version == version })
	return ok && (known && number != 0 || c.doubled)
}
