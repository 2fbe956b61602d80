package linkedinsim

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Limits of the Rest.li protocol (API guide, URL limits), in bytes.
const (
	maxURL     = 8 << 10
	maxQuery   = 4 << 10
	maxSegment = 4 << 10
	maxRequest = 28 << 10
)

// call is one request to the API while it is answered.
type call struct {
	s       *Server
	at      location
	r       *http.Request
	sw      Switches
	raw     string // the query, also of a tunnelled request
	version string
	token   *token
	action  string // GET, BATCH_GET, FINDER-name
	query   params
}

// handler answers one method of one resource.
type handler struct {
	scopes []string // any of them will do; nil needs none
	answer func(*call) *answer
}

var (
	leadScopes  = []string{"r_marketing_leadgen_automation"}
	formScopes  = []string{"r_marketing_leadgen_automation", "r_ads", "rw_ads"}
	eventScopes = []string{"r_events", "rw_events"}
	adminScopes = []string{"r_organization_admin", "rw_organization_admin"}
)

var handlers = map[string]handler{
	"leadFormResponses.FINDER-owner":                  {leadScopes, (*call).findResponses},
	"leadFormResponses.GET":                           {leadScopes, (*call).getResponse},
	"leadForms.FINDER-owner":                          {formScopes, (*call).findForms},
	"leadForms.GET":                                   {formScopes, (*call).getForm},
	"leadForms.BATCH_GET":                             {formScopes, (*call).batchForms},
	"events.FINDER-organizerLeadGenFormEnabledEvents": {eventScopes, (*call).findFormEvents},
	"events.FINDER-eventsByOrganizer":                 {eventScopes, (*call).findEvents},
	"events.GET":                                      {eventScopes, (*call).getEvent},
	"organizationAcls.FINDER-roleAssignee":            {adminScopes, (*call).findOwnRoles},
	"organizationAcls.FINDER-organization":            {adminScopes, (*call).findRolesOn},
	"organizations.GET":                               {adminScopes, (*call).getOrganization},
	"organizations.FINDER-vanityName":                 {adminScopes, (*call).findVanityName},
	"leadNotifications.CREATE":                        {leadScopes, (*call).subscribe},
	"leadNotifications.GET":                           {leadScopes, (*call).getSubscription},
	"leadNotifications.FINDER-criteria":               {leadScopes, (*call).findSubscriptions},
	"leadNotifications.DELETE":                        {leadScopes, (*call).unsubscribe},
	"organizationsLookup.BATCH_GET":                   {adminScopes, (*call).lookUpOrganizations},
	"me.GET":                                          {[]string{"r_basicprofile", "r_liteprofile"}, (*call).me},
	"userinfo.GET":                                    {[]string{"openid"}, (*call).userInfo},
}

// api answers a request under /rest or /v2.
func (s *Server) api(at location, h http.Header, r *http.Request) *answer {
	c := &call{s: s, at: at, r: r, sw: s.Switches()}
	var refused *answer
	if c.raw, refused = c.tunnel(); refused != nil {
		return refused
	}
	if refused := c.authenticate(); refused != nil {
		return refused
	}
	if s.stats.spent(at.endpoint, c.sw.DailyBudget) {
		return s.dayThrottled()
	}
	if refused := c.protocol(h); refused != nil {
		return refused
	}
	if at.endpoint == endpointUnknown || at.deeper {
		return notFound("Resource " + at.endpoint)
	}
	values, fault, syntax := splitQuery(c.raw)
	switch {
	case syntax:
		return badSyntax(fault)
	case fault != "":
		return badParam(fault)
	}
	c.query.raw, c.query.read, c.query.lenient = values, map[string]bool{}, c.sw.AcceptEncodedUnion
	return c.dispatch()
}

func untilMidnight(now time.Time) time.Duration {
	return now.Truncate(day).Add(day).Sub(now)
}

// tunnel is the raw query, from the URL or, of a tunnelled request, from the
// body (API guide, query tunnelling).
func (c *call) tunnel() (string, *answer) {
	r := c.r
	tooLong := envelope{Status: http.StatusRequestURITooLong, Message: "Request URI too long"}
	uri := r.URL.EscapedPath()
	if len(uri)+len(r.URL.RawQuery) > maxURL || len(r.URL.RawQuery) > maxQuery {
		return "", tooLong.answer()
	}
	for part := range strings.SplitSeq(uri, "/") {
		if len(part) > maxSegment {
			return "", tooLong.answer()
		}
	}
	if r.Method == http.MethodGet || c.writes() {
		return r.URL.RawQuery, nil
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || r.Header.Get("X-HTTP-Method-Override") != http.MethodGet || r.URL.RawQuery != "" ||
		err != nil || mediaType != "application/x-www-form-urlencoded" {
		return "", envelope{Status: http.StatusMethodNotAllowed, Message: "Method " + r.Method + " is not supported here"}.answer()
	}
	if r.ContentLength < 0 {
		return "", envelope{Status: http.StatusLengthRequired, Message: "Content-Length is required"}.answer()
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil {
		return "", envelope{Status: http.StatusBadRequest, Message: "The body cannot be read"}.answer()
	}
	if len(body)+len(uri) > maxRequest {
		return "", tooLong.answer()
	}
	return string(body), nil
}

func (c *call) authenticate() *answer {
	bearer, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	if !ok || strings.TrimSpace(bearer) == "" {
		return unauthorized(http.StatusUnauthorized, "", "Empty oauth2_access_token")
	}
	var refused *answer
	c.token, refused = c.s.auth.accept(strings.TrimSpace(bearer))
	return refused
}

// protocol checks the version headers and answers with the protocol's version.
func (c *call) protocol(h http.Header) *answer {
	switch v := c.r.Header.Get("X-Restli-Protocol-Version"); v {
	case "2.0.0":
	case "", "1.0.0":
		c.query.v1 = true
	default:
		return envelope{Status: http.StatusBadRequest, Message: "Rest.li protocol version " + shorten(v) + " is not supported"}.answer()
	}
	h.Set("X-Restli-Protocol-Version", "2.0.0")
	if c.query.v1 {
		h.Set("X-Restli-Protocol-Version", "1.0.0")
	}
	if c.at.root == "v2" {
		c.version = "NO_VERSION"
		return nil
	}
	v := c.r.Header.Get("LinkedIn-Version")
	if v == "" {
		missing := envelope{Status: http.StatusBadRequest, Code: "VERSION_MISSING", Message: "A version must be present. Please specify a version by adding the LinkedIn-Version header."}
		if c.sw.VersionMissingBare {
			missing.Code = ""
		}
		return missing.answer()
	}
	if !c.s.versionLive(v) {
		return envelope{
			Status: http.StatusUpgradeRequired, Code: "NONEXISTENT_VERSION",
			Message: "Requested version " + shorten(v) + "01 is not active",
		}.answer()
	}
	c.version = v + "01"
	return nil
}

// shorten keeps an echo of what the client sent small.
func shorten(s string) string { return s[:min(len(s), 40)] }

// dispatch finds out which method is meant and answers it.
func (c *call) dispatch() *answer {
	method := c.restMethod()
	if method == "" {
		return badParam("q")
	}
	if said := c.r.Header.Get("X-RestLi-Method"); said != "" && !strings.EqualFold(said, method) ||
		said == "" && method == "BATCH_GET" && c.at.endpoint == "leadForms" {
		return envelope{Status: http.StatusBadRequest, Code: "ILLEGAL_ARGUMENT", Message: "X-RestLi-Method " + shorten(said) + " does not fit the request"}.answer()
	}
	name := c.at.endpoint + "." + c.action
	h, ok := handlers[name]
	if !ok || c.at.endpoint == "organizations" && method == "FINDER" && !c.sw.VanityNameFinder {
		return badParam("q")
	}
	if !c.token.has(h.scopes) && !c.rolesAnyway() {
		return c.denied()
	}
	c.query.read["fields"] = true
	if unknown := c.query.unknown(); unknown != "" && c.sw.RefuseUnknown && c.writes() { // before anything is done
		return badParam(unknown)
	}
	answer := h.answer(c)
	if unknown := c.query.unknown(); unknown != "" && c.sw.RefuseUnknown && answer.status == http.StatusOK {
		answer.release()
		return badParam(unknown)
	}
	return answer
}

// restMethod is the Rest.li method of the request; it sets action too.
func (c *call) restMethod() string {
	switch {
	case c.writes() && c.r.Method == http.MethodPost:
		c.action = "CREATE"
		return c.action
	case c.writes():
		c.action = "DELETE"
		return c.action
	case c.at.key != "" || c.at.endpoint == "me" || c.at.endpoint == "userinfo":
		c.action = "GET"
		return c.action
	}
	if _, ok := c.query.raw["ids"]; ok {
		c.action = "BATCH_GET"
		return c.action
	}
	if finder := c.query.text("q"); finder != "" {
		c.action = "FINDER-" + finder
		return "FINDER"
	}
	return ""
}

// rolesAnyway: whether organizationAcls needs a scope of its own is not
// documented for apps that read event leads.
func (c *call) rolesAnyway() bool {
	return c.at.endpoint == "organizationAcls" && c.sw.RolesWithoutAdminScope && c.token.has(leadScopes)
}

// noRole answers that the member holds no role that would do.
func (c *call) noRole() *answer {
	return c.denial(orDefault(c.sw.RoleMissingStatus, http.StatusForbidden))
}

// denied answers that a scope is missing.
func (c *call) denied() *answer { return c.denial(http.StatusForbidden) }

func (c *call) denial(status int) *answer {
	return envelope{
		Status: status, ServiceCode: 100, Code: "ACCESS_DENIED",
		Message: fmt.Sprintf("Not enough permissions to access: %s.%s.%s", c.at.endpoint, shorten(c.action), c.version),
	}.answer()
}

// key is the decoded path key.
func (c *call) key() (string, bool) {
	key, err := url.PathUnescape(c.at.key)
	return key, err == nil
}

// numericKey is the path key when it is a bare number.
func (c *call) numericKey() (int64, bool) {
	key, ok := c.key()
	if !ok {
		return 0, false
	}
	return parseID(key)
}

// org is the organization that a URN names and its index.
func (c *call) org(urn string) (*Organization, int32) {
	id, ok := parseURN(urn, organizationPrefix)
	if !ok {
		return nil, -1
	}
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	i := c.s.orgIndex(id)
	if i < 0 || c.s.orgs[i].Brand {
		return nil, -1
	}
	return c.s.orgs[i], i
}
