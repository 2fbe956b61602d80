package linkedinsim

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strings"
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
	w       *World
	at      location
	r       *http.Request
	body    []byte
	raw     string            // the query, also of a tunnelled request
	params  map[string]string // of the query, still encoded
	version string
	token   *token
	action  string           // GET, BATCH_GET, FINDER-name
	v1      bool             // Rest.li protocol 1.0.0, where complex values look otherwise
	forms   map[*Form][]byte // cut down to be printed in leads
	query
}

// api answers a request under /rest or /v2. h are the answer's headers.
func (w *World) api(at location, h http.Header, r *http.Request) *answer {
	c := &call{w: w, at: at, r: r, forms: map[*Form][]byte{}}
	if refused := c.readQuery(); refused != nil {
		return refused
	}
	if c.writes() {
		w.mu.Lock()
		defer w.mu.Unlock()
	} else {
		w.mu.RLock()
		defer w.mu.RUnlock()
	}
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if bearer = strings.TrimSpace(bearer); !ok || bearer == "" {
		return unauthorized(http.StatusUnauthorized, "", "Empty oauth2_access_token")
	}
	var refused *answer
	if c.token, refused = w.auth.accept(bearer); refused != nil {
		return refused
	}
	if budget := w.switches.DailyBudget; budget > 0 && w.stats.Today[at.endpoint] > budget {
		return w.dayThrottled()
	}
	if refused := c.protocol(h); refused != nil {
		return refused
	}
	if at.endpoint == endpointUnknown || at.deeper {
		return notFound("Resource " + at.endpoint)
	}
	params, bad, syntax := splitQuery(c.raw)
	switch {
	case syntax:
		return refusal(http.StatusBadRequest, "java.net.URISyntaxException: Illegal character in query at parameter "+bad)
	case bad != "":
		return badParam(bad)
	}
	c.params = params
	return c.dispatch()
}

// writes reports whether the request makes or deletes something, which only
// leadNotifications allows. A tunnelled GET is a POST by its looks alone.
func (c *call) writes() bool {
	return c.at.endpoint == "leadNotifications" && c.r.Header.Get("X-HTTP-Method-Override") == "" &&
		(c.r.Method == http.MethodPost && c.at.key == "" || c.r.Method == http.MethodDelete && c.at.key != "")
}

// readQuery reads the query from the URL or, of a tunnelled request, from the
// body (API guide, query tunnelling).
func (c *call) readQuery() *answer {
	r, uri := c.r, c.r.URL.EscapedPath()
	if len(uri)+len(r.URL.RawQuery) > maxURL || len(r.URL.RawQuery) > maxQuery {
		return tooLong()
	}
	for part := range strings.SplitSeq(uri, "/") {
		if len(part) > maxSegment {
			return tooLong()
		}
	}
	if c.raw = r.URL.RawQuery; r.Method == http.MethodGet {
		return nil
	}
	tunnelled := r.Method == http.MethodPost && r.Header.Get("X-HTTP-Method-Override") == http.MethodGet && c.raw == "" && hasType(r.Header, formType)
	switch {
	case c.writes():
	case !tunnelled:
		return methodNotAllowed(r.Method)
	case r.ContentLength < 0:
		return refusal(http.StatusLengthRequired, "Content-Length is required")
	}
	var err error
	if c.body, err = io.ReadAll(io.LimitReader(r.Body, maxRequest+1)); err != nil {
		return refusal(http.StatusBadRequest, "The body cannot be read")
	}
	if !tunnelled {
		return nil
	}
	if len(c.body)+len(uri) > maxRequest {
		return tooLong()
	}
	c.raw = string(c.body)
	return nil
}

const formType = "application/x-www-form-urlencoded"

// hasType reports whether the body is of a media type.
func hasType(h http.Header, want string) bool {
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && mediaType == want
}

// noRole answers that the member holds no role that would do.
func (c *call) noRole() *answer {
	return c.denied(cmp.Or(c.w.switches.RoleMissingStatus, http.StatusForbidden))
}

func (c *call) denied(status int) *answer {
	message := fmt.Sprintf("Not enough permissions to access: %s.%s.%s", c.at.endpoint, shorten(c.action), c.version)
	return envelope{Status: status, ServiceCode: 100, Code: "ACCESS_DENIED", Message: message}.answer()
}

// protocol checks the version headers and answers with the protocol's version.
func (c *call) protocol(h http.Header) *answer {
	v := c.r.Header.Get("X-Restli-Protocol-Version")
	switch v {
	case "2.0.0":
	case "", "1.0.0":
		c.v1, v = true, "1.0.0"
	default:
		return refusal(http.StatusBadRequest, "Rest.li protocol version "+shorten(v)+" is not supported")
	}
	h.Set("X-Restli-Protocol-Version", v)
	if c.at.root == "v2" {
		c.version = "NO_VERSION"
		return nil
	}
	v = c.r.Header.Get("LinkedIn-Version")
	c.version = v + "01"
	switch {
	case v == "":
		missing := envelope{Status: http.StatusBadRequest, Code: "VERSION_MISSING", Message: "A version must be present. Please specify a version by adding the LinkedIn-Version header."}
		if c.w.switches.VersionMissingBare {
			missing.Code = ""
		}
		return missing.answer()
	case !c.w.live[v]:
		message := "Requested version " + shorten(v) + "01 is not active"
		return envelope{Status: http.StatusUpgradeRequired, Code: "NONEXISTENT_VERSION", Message: message}.answer()
	}
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
		return usual(http.StatusBadRequest, "X-RestLi-Method %s does not fit the request", shorten(said))
	}
	route, ok := routes[c.at.endpoint+"."+c.action]
	if !ok || c.at.endpoint == "organizations" && method == "FINDER" && !c.w.switches.VanityNameFinder {
		return badParam("q")
	}
	// Whether organizationAcls needs a scope of its own is not documented for apps
	// that read event leads.
	rolesAnyway := c.at.endpoint == "organizationAcls" && c.w.switches.RolesWithoutAdminScope && c.token.has(leadScopes)
	if !c.token.has(route.scopes) && !rolesAnyway {
		return c.denied(http.StatusForbidden)
	}
	unknown := ""
	if c.w.switches.RefuseUnknown {
		unknown = c.unknown(route.params)
	}
	if unknown != "" && c.writes() { // before anything is done
		return badParam(unknown)
	}
	a := c.answer(route)
	if unknown != "" && a.status == http.StatusOK {
		return badParam(unknown)
	}
	return a
}

// answer reads the parameters and has the request answered. For a URN that was
// percent-encoded twice LinkedIn finds nothing.
func (c *call) answer(route route) *answer {
	if route.key != nil && !route.key(c) {
		return badParam("id")
	}
	c.from, c.to, c.count = math.MinInt64, math.MaxInt64, 10 // API guide, pagination
	for _, p := range route.params {
		if raw, given := c.params[p.name]; (given || p.required) && !p.read(c, raw) {
			return badParam(p.name)
		}
	}
	if c.doubled {
		return c.list(nil)
	}
	return route.handle(c)
}

// restMethod is the Rest.li method of the request; it sets action too.
func (c *call) restMethod() string {
	_, batch := c.params["ids"]
	switch {
	case c.writes() && c.r.Method == http.MethodPost:
		c.action = "CREATE"
	case c.writes():
		c.action = "DELETE"
	case c.at.key != "" || c.at.endpoint == "me" || c.at.endpoint == "userinfo":
		c.action = "GET"
	case batch:
		c.action = "BATCH_GET"
	default:
		finder, ok := c.text(c.params["q"])
		if !ok || finder == "" {
			return ""
		}
		c.action = "FINDER-" + finder
		return "FINDER"
	}
	return c.action
}
