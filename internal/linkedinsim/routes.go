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
		{"leadType", readLeadType}, {"owner", readOwner}, {"submittedAtTimeRange", readTimeRange}, {"associatedEntity", readEvent},
		{"versionedLeadGenFormUrn", readForm}, {"limitedToTestLeads", readTestLeads}, {"fields", readResponseFields}, startParam, countParam,
	}, findResponses},
	"leadFormResponses.GET":                           {leadScopes, textKey, []param{{"fields", readResponseFields}}, getResponse},
	"leadForms.FINDER-owner":                          {formScopes, nil, []param{{"owner", readPage}, fieldsParam, startParam, countParam}, findForms},
	"leadForms.GET":                                   {formScopes, numericKey, []param{fieldsParam}, getForm},
	"leadForms.BATCH_GET":                             {formScopes, nil, []param{{"ids", readIDs}, fieldsParam}, batchForms},
	"events.FINDER-organizerLeadGenFormEnabledEvents": {eventScopes, nil, []param{startParam, countParam, fieldsParam, {"organizer", readPageURN}}, findFormEvents},
	"events.FINDER-eventsByOrganizer": {eventScopes, nil, []param{
		{"excludeCancelled", readExcludeCancelled}, {"timeBasedFilter", readLifeCycle}, {"entryCriteria", readEntry}, {"sortOrder", readSortOrder},
		startParam, countParam, fieldsParam, {"organizer", readPageURN},
	}, findEvents},
	"events.GET":                           {eventScopes, numericKey, []param{fieldsParam}, getEvent},
	"organizationAcls.FINDER-roleAssignee": {adminScopes, nil, []param{startParam, countParam, roleParam, stateParam, {"projection", readDecoration}, fieldsParam}, findOwnRoles},
	"organizationAcls.FINDER-organization": {adminScopes, nil, []param{startParam, countParam, roleParam, stateParam, {"organization", readPageURN}, fieldsParam}, findRolesOn},
	"organizations.GET":                    {adminScopes, numericKey, []param{fieldsParam}, getOrganization},
	"organizations.FINDER-vanityName":      {adminScopes, nil, []param{startParam, countParam, {"vanityName", readVanityName}, fieldsParam}, findVanityName},
	"organizationsLookup.BATCH_GET":        {adminScopes, nil, []param{fieldsParam, {"ids", readIDs}}, lookUpOrganizations},
	"leadNotifications.CREATE":             {leadScopes, nil, nil, subscribe},
	"leadNotifications.GET":                {leadScopes, numericKey, []param{fieldsParam}, getSubscription},
	"leadNotifications.FINDER-criteria":    {leadScopes, nil, []param{startParam, countParam, fieldsParam, {"leadType", readLeadType}, {"owner", readNestedOwner}}, findSubscriptions},
	"leadNotifications.DELETE":             {leadScopes, numericKey, nil, unsubscribe},
	"me.GET":                               {[]string{"r_basicprofile", "r_liteprofile"}, nil, nil, getMe},
	"userinfo.GET":                         {[]string{"openid"}, nil, nil, getUserInfo},
}

// param is a parameter of a method. read reports whether it can be read; what
// is not given is read too, as it may be needed.
type param struct {
	name string
	read func(c *call, raw string, given bool) bool
}

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
	noCancelled bool
	lifeCycle   string
	entry       string
	order       string
}

var (
	startParam  = param{"start", func(c *call, raw string, given bool) bool { return c.number(&c.start, raw, given) }}
	countParam  = param{"count", readCount}
	fieldsParam = param{"fields", readFields}
	roleParam   = param{"role", func(c *call, raw string, given bool) bool { return c.optional(&c.role, raw, given) }}
	stateParam  = param{"state", func(c *call, raw string, given bool) bool { return c.optional(&c.state, raw, given) }}
)

// unknown is the first parameter, by name, that the method does not know.
func (c *call) unknown(known []param) string {
	first := ""
	for name := range c.params {
		if name == "fields" || name == "q" && strings.HasPrefix(c.action, "FINDER-") ||
			slices.ContainsFunc(known, func(p param) bool { return p.name == name }) {
			continue
		}
		if first == "" || name < first {
			first = name
		}
	}
	return first
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

func readCount(c *call, raw string, given bool) bool {
	most := 100
	switch sw := &c.w.switches; c.at.endpoint {
	case "leadFormResponses":
		most = cmp.Or(sw.MaxResponses, most)
	case "leadForms":
		most = cmp.Or(sw.MaxForms, most)
	case "organizationAcls":
		most = cmp.Or(sw.MaxACLs, most)
	case "events":
		most = cmp.Or(sw.MaxEvents, 50)
	}
	c.count = 10 // API guide, pagination
	return c.number(&c.count, raw, given) && c.count > 0 && c.count <= most
}

func readFields(c *call, raw string, given bool) (ok bool) {
	if !given {
		return true
	}
	c.fields, ok = parseProjection(raw)
	return ok
}

func readResponseFields(c *call, raw string, given bool) bool {
	return readFields(c, raw, given) && !(given && c.w.switches.RefuseFields)
}

func readIDs(c *call, raw string, _ bool) (ok bool) {
	c.ids, ok = c.strings(raw)
	return ok && !slices.ContainsFunc(c.ids, func(s string) bool { _, ok := parseID(s); return !ok })
}

// optional reads a string that may be left out. When there are allowed ones, it
// is one of these or empty.
func (c *call) optional(to *string, raw string, given bool, allowed ...string) (ok bool) {
	if !given {
		return true
	}
	*to, ok = c.text(raw)
	return ok && (*to == "" || len(allowed) == 0 || slices.Contains(allowed, *to))
}

func readVanityName(c *call, raw string, given bool) bool {
	return c.optional(&c.vanityName, raw, given)
}

func readEntry(c *call, raw string, given bool) bool {
	return c.optional(&c.entry, raw, given, "PUBLIC", "GATED")
}

func readSortOrder(c *call, raw string, given bool) bool {
	return c.optional(&c.order, raw, given, "START_TIME_ASC", "END_TIME_DESC")
}

func readLifeCycle(c *call, raw string, given bool) bool {
	if !given {
		return true
	}
	filter, ok := c.record(raw, "")
	c.lifeCycle = filter["lifeCycleState"]
	return ok && len(filter) == 1 && slices.Contains([]string{"UPCOMING", "ONGOING", "PAST"}, c.lifeCycle)
}

// boolean reads true or false.
func (c *call) boolean(to *bool, raw string, given bool) bool {
	if !given || c.v1 && raw == "" {
		return true
	}
	s, ok := c.text(raw)
	*to = s == "true"
	return ok && (s == "true" || s == "false")
}

func readExcludeCancelled(c *call, raw string, given bool) bool {
	return c.boolean(&c.noCancelled, raw, given)
}

func readDecoration(c *call, raw string, _ bool) bool {
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

func readPageURN(c *call, raw string, _ bool) bool {
	urn, ok := c.text(raw)
	return ok && c.pageOf(urn)
}

// readPage reads the owner of forms: (organization:URN).
func readPage(c *call, raw string, _ bool) bool {
	owner, ok := c.record(raw, "")
	return ok && len(owner) == 1 && c.pageOf(owner["organization"])
}

func readLeadType(c *call, raw string, _ bool) bool {
	record, ok := c.record(raw, "")
	kind, known := parseLeadType(record["leadType"])
	c.kind = kind
	return ok && known
}

func readOwner(c *call, raw string, _ bool) bool { return c.readUnion(raw, "") }

// readNestedOwner reads the owner of subscriptions, one level deeper than that
// of the other finders: (value:(organization:URN)).
func readNestedOwner(c *call, raw string, _ bool) bool { return c.readUnion(raw, "value") }

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
func readTimeRange(c *call, raw string, _ bool) bool {
	c.from, c.to = math.MinInt64, math.MaxInt64
	if raw == "" {
		return true
	}
	record, ok := c.record(raw, "")
	start, err := strconv.ParseInt(record["start"], 10, 64)
	c.from = start
	if strings.HasPrefix(c.w.switches.Bounds, "(") {
		c.from++
	}
	text, bounded := record["end"]
	if !bounded {
		return ok && err == nil && len(record) == 1
	}
	end, endErr := strconv.ParseInt(text, 10, 64)
	c.to = end
	if strings.HasSuffix(c.w.switches.Bounds, "]") {
		c.to++
	}
	return ok && err == nil && endErr == nil && len(record) == 2 && end >= start && end < math.MaxInt64
}

func readEvent(c *call, raw string, given bool) bool {
	if !given {
		return true
	}
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
	c.keep = append(c.keep, func(r *row) bool { return r.event >= 0 && c.w.events[r.event].ID == id })
	return ok
}

func readForm(c *call, raw string, given bool) bool {
	if !given {
		return true
	}
	urn, ok := c.text(raw)
	id, number, known := parseFormURN(urn)
	version, err := c.w.formVersion(id, number)
	c.keep = append(c.keep, func(r *row) bool { return err == nil && r.version == version.index })
	return ok && (known && number != 0 || c.doubled)
}

func readTestLeads(c *call, raw string, given bool) bool {
	only := false
	ok := c.boolean(&only, raw, given)
	excluded := c.w.switches.TestLeads == "omitted_excludes" || c.w.switches.TestLeads == "false_excludes" && given
	if only || excluded {
		c.keep = append(c.keep, func(r *row) bool { return r.flags.has(flagTest) == only })
	}
	return ok
}
