package linkedinsim

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
)

const notificationName = "Lead notification"

// writes reports whether the request makes or deletes something, which only
// leadNotifications allows. A tunnelled GET is a POST by its looks alone.
func (c *call) writes() bool {
	return c.at.endpoint == "leadNotifications" && c.r.Header.Get("X-HTTP-Method-Override") == "" &&
		(c.r.Method == http.MethodPost && c.at.key == "" || c.r.Method == http.MethodDelete && c.at.key != "")
}

// subscribe is the CREATE of leadNotifications. The same subscription a second
// time is another one.
func (c *call) subscribe() *answer {
	members, refused := c.jsonBody()
	if refused != nil {
		return refused
	}
	u, bad := c.readSubscription(members)
	if bad != "" {
		return badParam(bad)
	}
	if u.owner == 0 { // of an ad account; there is none, so no role on one
		return c.noRole()
	}
	o, index := c.org(u.Owner.Organization)
	if o == nil || !o.grants(c.token.member, leadRoles(u.kind)) {
		return c.noRole()
	}
	if !c.eventOf(u.event, index) {
		return badParam("associatedEntity")
	}
	if !c.formOf(u, index) {
		return badParam("versionedForm")
	}
	if c.sw.RefuseUnvalidated && !c.s.notifier.passes(c.r.Context(), u.Webhook) {
		return badParam("webhook")
	}
	if !c.s.notifier.subscribe(u, c.sw.RefuseUnvalidated) {
		return envelope{
			Status: http.StatusBadRequest, Code: "ILLEGAL_ARGUMENT",
			Message: "The owner has " + strconv.Itoa(maxSubscriptions) + " notifications, the most allowed",
		}.answer()
	}
	return &answer{status: http.StatusCreated, restliID: strconv.FormatInt(u.ID, 10)}
}

// jsonBody is the body of a request as the members of one JSON object.
func (c *call) jsonBody() (map[string]json.RawMessage, *answer) {
	mediaType, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" {
		return nil, envelope{Status: http.StatusUnsupportedMediaType, Message: "The Content-Type must be application/json"}.answer()
	}
	body, err := io.ReadAll(io.LimitReader(c.r.Body, maxRequest+1))
	if err != nil {
		return nil, envelope{Status: http.StatusBadRequest, Message: "The body cannot be read"}.answer()
	}
	if len(body) > maxRequest {
		return nil, envelope{Status: http.StatusRequestURITooLong, Message: "Request too long"}.answer()
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return nil, envelope{Status: http.StatusBadRequest, Code: "ILLEGAL_ARGUMENT", Message: "The body is not a JSON object"}.answer()
	}
	return members, nil
}

// readSubscription reads what a CREATE asks for; bad is the first member that
// is missing, unknown or wrong.
func (c *call) readSubscription(members map[string]json.RawMessage) (u *subscription, bad string) {
	u = &subscription{member: c.token.member}
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
	kind, ok := parseLeadType(u.LeadType)
	if !ok {
		return nil, "leadType"
	}
	u.kind = kind
	if bad := u.readOwner(owner); bad != "" {
		return nil, bad
	}
	if !webhookAllowed(u.Webhook, c.sw.LocalWebhooks) {
		return nil, "webhook"
	}
	if _, given := members["associatedEntity"]; given {
		if u.event, ok = parseURN(entity["event"], eventPrefix); !ok || len(entity) != 1 {
			return nil, "associatedEntity"
		}
		u.AssociatedEntity = &LeadEntity{Event: eventURN(u.event)}
	}
	if _, given := members["versionedForm"]; given {
		if u.form, u.version, ok = parseFormURN(u.VersionedForm); !ok || u.version == 0 {
			return nil, "versionedForm"
		}
	}
	return u, ""
}

// readOwner reads the owner union, which must fit the lead type.
func (u *subscription) readOwner(owner map[string]string) (bad string) {
	account, sponsored := owner["sponsoredAccount"]
	urn, page := owner["organization"]
	if len(owner) != 1 || sponsored == page || sponsored != (u.kind == kindSponsored) {
		return "owner"
	}
	ok := false
	if sponsored {
		_, ok = parseURN(account, "urn:li:sponsoredAccount:")
	} else {
		u.owner, ok = parseURN(urn, organizationPrefix)
		u.Owner.Organization = urn
	}
	if !ok {
		return "owner"
	}
	return ""
}

// eventOf reports whether the event is one of the organization's; 0 is any.
func (c *call) eventOf(id int64, org int32) bool {
	if id == 0 {
		return true
	}
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	for _, e := range c.s.events {
		if e.ID == id {
			return e.org == org
		}
	}
	return false
}

// formOf reports whether the form version is one of the organization's; none is
// any.
func (c *call) formOf(u *subscription, org int32) bool {
	if u.form == 0 {
		return true
	}
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	i, err := c.s.versionIndex(u.form, u.version)
	return err == nil && c.s.versions[i].org == org
}

// ownSubscription is the subscription of the path key, or what is answered
// when there is none that the member may see.
func (c *call) ownSubscription() (*subscription, *answer) {
	id, ok := c.numericKey()
	if !ok {
		return nil, badParam("id")
	}
	u := c.s.notifier.subscription(id)
	if u == nil {
		return nil, notFound(notificationName)
	}
	if o, _ := c.org(u.Owner.Organization); o == nil || !o.grants(c.token.member, leadRoles(u.kind)) {
		return nil, c.noRole()
	}
	return u, nil
}

// getSubscription is leadNotifications/{id}.
func (c *call) getSubscription() *answer {
	p := c.query.projection()
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	u, refused := c.ownSubscription()
	if refused != nil {
		return refused
	}
	return &answer{status: http.StatusOK, body: p.apply(mustJSON(u.Subscription))}
}

// unsubscribe is the DELETE of leadNotifications/{id}.
func (c *call) unsubscribe() *answer {
	u, refused := c.ownSubscription()
	if refused != nil {
		return refused
	}
	if !c.s.notifier.unsubscribe(func(other *subscription) bool { return other.ID == u.ID }) {
		return notFound(notificationName)
	}
	return &answer{status: orDefault(c.sw.NotificationDeleteStatus, http.StatusNoContent)}
}

// findSubscriptions is leadNotifications?q=criteria. Its owner is one level
// deeper than that of the other finders: (value:(organization:urn)).
func (c *call) findSubscriptions() *answer {
	s, p := c.span(100), c.query.projection()
	kind, ok := parseLeadType(c.query.record("leadType")["leadType"])
	if !ok {
		c.query.refuse("leadType")
	}
	owner := c.query.nested("owner", "value")
	u := subscription{kind: kind}
	bad := u.readOwner(owner)
	switch {
	case c.query.doubled && c.query.bad == "":
		return c.page(nil, s, true)
	case bad != "":
		c.query.refuse(bad)
	}
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	o, _ := c.org(u.Owner.Organization)
	if o == nil || !o.grants(c.token.member, leadRoles(kind)) {
		return c.noRole()
	}
	var elements []json.RawMessage
	for _, found := range c.s.notifier.subscriptionsTo(u.owner, kind) {
		elements = append(elements, p.apply(mustJSON(found)))
	}
	return c.page(elements, s, true)
}
