package linkedinsim

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Subscription is one registration for notifications as leadNotifications shows
// it: of all leads of an owner and type, or only those of an event or of one
// version of a form.
type Subscription struct {
	ID               int64             `json:"id"`
	Webhook          string            `json:"webhook"`
	Owner            Owner             `json:"owner"`
	LeadType         string            `json:"leadType"`
	AssociatedEntity map[string]string `json:"associatedEntity,omitempty"`
	VersionedForm    string            `json:"versionedForm,omitempty"`

	owner   *Organization
	kind    leadType
	event   int64 // 0 for any
	form    int64 // 0 for any
	version int
	member  string // who made it
}

// wants reports whether the subscription is one for such a notice.
func (u *Subscription) wants(x notice) bool {
	return u.owner.ID == x.owner && u.kind == x.kind && (u.event == 0 || u.event == x.event) &&
		(u.form == 0 || u.form == x.form && u.version == x.version)
}

const (
	firstSubscription = 7012001
	maxSubscriptions  = 1500 // of one owner
	notificationName  = "Lead notification"
)

// subscribe is the CREATE of leadNotifications. The same subscription a second
// time is another one.
func subscribe(c *call) *answer {
	members, refused := c.jsonBody()
	if refused != nil {
		return refused
	}
	u, bad := c.readSubscription(members)
	switch {
	case bad != "":
		return badParam(bad)
	case !c.may(u.owner, leadRoles(u.kind)):
		return c.noRole()
	}
	if i := c.w.eventIndex(u.event); u.event != 0 && (i < 0 || c.w.events[i].org != u.owner) {
		return badParam("associatedEntity")
	}
	if v, err := c.w.formVersion(u.form, u.version); u.form != 0 && (err != nil || v.org != u.owner) {
		return badParam("versionedForm")
	}
	if c.w.switches.RefuseUnvalidated {
		c.w.mu.Unlock() // the world goes on during the handshake
		passed := c.w.notifier.handshake(c.r.Context(), u.Webhook)
		c.w.mu.Lock()
		if !passed {
			return badParam("webhook")
		}
	}
	own := slices.Clone(c.w.notifier.subscriptions)
	if own = slices.DeleteFunc(own, func(other *Subscription) bool { return other.owner != u.owner }); len(own) >= maxSubscriptions {
		return usual(http.StatusBadRequest, "The owner has %d notifications, the most allowed", maxSubscriptions)
	}
	c.w.notifier.subscribe(u)
	return (&answer{status: http.StatusCreated}).with("X-RestLi-Id", strconv.FormatInt(u.ID, 10))
}

// jsonBody is the body of a request as the members of one JSON object.
func (c *call) jsonBody() (members map[string]json.RawMessage, refused *answer) {
	switch {
	case !hasType(c.r.Header, "application/json"):
		return nil, refusal(http.StatusUnsupportedMediaType, "The Content-Type must be application/json")
	case len(c.body) > maxRequest:
		return nil, refusal(http.StatusRequestURITooLong, "Request too long")
	case json.Unmarshal(c.body, &members) != nil || members == nil:
		return nil, usual(http.StatusBadRequest, "The body is not a JSON object")
	}
	return members, nil
}

// readSubscription reads what a CREATE asks for; bad is the first member that
// is missing, unknown or wrong.
func (c *call) readSubscription(members map[string]json.RawMessage) (u *Subscription, bad string) {
	u = &Subscription{member: c.token.member}
	var owner, entity map[string]string
	targets := map[string]any{
		"webhook": &u.Webhook, "owner": &owner, "leadType": &u.LeadType,
		"associatedEntity": &entity, "versionedForm": &u.VersionedForm,
	}
	for name, text := range members {
		target, known := targets[name]
		if !known || json.Unmarshal(text, target) != nil {
			return nil, name
		}
	}
	ok := false
	if c.kind, ok = parseLeadType(u.LeadType); !ok {
		return nil, "leadType"
	}
	if !c.ownerOf(owner) {
		return nil, "owner"
	}
	u.kind, u.owner, u.Owner.Organization = c.kind, c.owner, owner["organization"]
	if !webhookAllowed(u.Webhook, c.w.switches.LocalWebhooks) {
		return nil, "webhook"
	}
	if _, given := members["associatedEntity"]; given {
		if u.event, ok = parseURN(entity["event"], eventPrefix); !ok || len(entity) != 1 {
			return nil, "associatedEntity"
		}
		u.AssociatedEntity = map[string]string{"event": eventURN(u.event)}
	}
	if _, given := members["versionedForm"]; given {
		if u.form, u.version, ok = parseFormURN(u.VersionedForm); !ok || u.version == 0 {
			return nil, "versionedForm"
		}
	}
	return u, ""
}

// ownSubscription is the subscription of the path key, or what is answered when
// there is none that the member may see.
func (c *call) ownSubscription() (*Subscription, *answer) {
	for _, u := range c.w.notifier.subscriptions {
		switch {
		case u.ID != c.id:
		case c.may(u.owner, leadRoles(u.kind)):
			return u, nil
		default:
			return nil, c.noRole()
		}
	}
	return nil, notFound(notificationName)
}

func getSubscription(c *call) *answer {
	u, refused := c.ownSubscription()
	if refused != nil {
		return refused
	}
	return success(c.project(u))
}

func unsubscribe(c *call) *answer {
	u, refused := c.ownSubscription()
	if refused != nil {
		return refused
	}
	c.w.notifier.unsubscribe(func(other *Subscription) bool { return other == u })
	return &answer{status: cmp.Or(c.w.switches.NotificationDeleteStatus, http.StatusNoContent)}
}

func findSubscriptions(c *call) *answer {
	if !c.may(c.owner, leadRoles(c.kind)) {
		return c.noRole()
	}
	var found [][]byte
	for _, u := range c.w.notifier.subscriptions {
		if u.owner == c.owner && u.kind == c.kind {
			found = append(found, c.project(u))
		}
	}
	return c.list(found)
}

// tunnels are hosts that LinkedIn refuses: they end at somebody's desk.
var tunnels = []string{"ngrok.io", "ngrok.app", "ngrok.dev", "ngrok-free.app", "ngrok-free.dev"}

// webhookAllowed reports whether LinkedIn takes a webhook: an HTTPS URL of a
// public host, without credentials. With local, any http or https URL will do.
func webhookAllowed(text string, local bool) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(text, "#") {
		return false
	}
	if local {
		return u.Scheme == "https" || u.Scheme == "http"
	}
	host := strings.ToLower(u.Hostname())
	tunnel := slices.ContainsFunc(tunnels, func(t string) bool { return host == t || strings.HasSuffix(host, "."+t) })
	addr, err := netip.ParseAddr(host)
	private := host == "localhost" || err == nil && (!addr.IsGlobalUnicast() || addr.IsPrivate())
	return u.Scheme == "https" && !tunnel && !private
}
