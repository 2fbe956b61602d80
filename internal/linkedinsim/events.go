package linkedinsim

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
)

// printEvent is the event as LinkedIn prints it.
func (c *call) printEvent(e *eventState) (json.RawMessage, error) {
	urn := ""
	if e.form != 0 {
		urn = formURN(e.form)
		if !c.sw.UnversionedEventForm {
			c.s.mu.RLock()
			urn = c.s.versions[c.s.forms[e.form].current()].form.URN()
			c.s.mu.RUnlock()
		}
	}
	return e.wire(urn)
}

// organizer reads the organizer parameter. A nil organization with a nil reply
// means that nothing is found.
func (c *call) organizer(s span) (*Organization, int32, *answer) {
	urn := c.query.text("organizer")
	if _, ok := parseURN(urn, organizationPrefix); !ok && !c.query.doubled {
		c.query.refuse("organizer")
	}
	if c.query.bad != "" {
		return nil, 0, badParam(c.query.bad)
	}
	if c.query.doubled {
		return nil, 0, c.page(nil, s, true)
	}
	o, index := c.org(urn)
	if o == nil || !o.grants(c.token.member, eventRoles) {
		return nil, 0, c.noRole()
	}
	return o, index, nil
}

// eventPage is the page of an organizer's events that keep passes.
func (c *call) eventPage(keep func(*eventState) bool, compare func(a, b *eventState) int) *answer {
	s := c.span(orDefault(c.sw.MaxEvents, 50))
	p := c.query.projection()
	_, org, refused := c.organizer(s)
	if refused != nil {
		return refused
	}
	c.s.mu.RLock()
	events := c.s.events
	c.s.mu.RUnlock()
	var kept []*eventState
	for _, e := range events {
		if e.org == org && keep(e) {
			kept = append(kept, e)
		}
	}
	if compare != nil {
		slices.SortStableFunc(kept, compare)
	}
	elements := make([]json.RawMessage, len(kept))
	for i, e := range kept {
		if i < s.start || i >= s.start+s.count {
			continue // not on this page
		}
		text, err := c.printEvent(e)
		if err != nil {
			return envelope{Status: http.StatusInternalServerError, Message: "the event cannot be printed"}.answer()
		}
		elements[i] = p.apply(text)
	}
	return c.page(elements, s, true)
}

// findFormEvents is events?q=organizerLeadGenFormEnabledEvents.
func (c *call) findFormEvents() *answer {
	now := c.s.clock.millis()
	return c.eventPage(func(e *eventState) bool {
		return e.form != 0 && !(c.sw.FormFinderDropsPast && (e.Cancelled || e.lifeCycle(now) == "PAST"))
	}, nil)
}

// findEvents is events?q=eventsByOrganizer.
func (c *call) findEvents() *answer {
	noCancelled, _ := c.query.boolean("excludeCancelled")
	cycle, entry := "", c.query.text("entryCriteria")
	if filter := c.query.record("timeBasedFilter"); filter != nil {
		cycle = filter["lifeCycleState"]
		if !slices.Contains([]string{"UPCOMING", "ONGOING", "PAST"}, cycle) || len(filter) != 1 {
			c.query.refuse("timeBasedFilter")
		}
	}
	if !slices.Contains([]string{"", "PUBLIC", "GATED"}, entry) {
		c.query.refuse("entryCriteria")
	}
	var compare func(a, b *eventState) int
	switch c.query.text("sortOrder") {
	case "":
	case "START_TIME_ASC":
		compare = func(a, b *eventState) int { return cmp.Compare(a.StartsAt, b.StartsAt) }
	case "END_TIME_DESC":
		compare = func(a, b *eventState) int { return cmp.Compare(b.endsAt(), a.endsAt()) }
	default:
		c.query.refuse("sortOrder")
	}
	now := c.s.clock.millis()
	return c.eventPage(func(e *eventState) bool {
		return !(noCancelled && e.Cancelled) && (entry == "" || e.Entry == entry) && (cycle == "" || e.lifeCycle(now) == cycle)
	}, compare)
}

// getEvent is events/{id}.
func (c *call) getEvent() *answer {
	id, ok := c.numericKey()
	p := c.query.projection()
	if !ok {
		return badParam("id")
	}
	if c.query.bad != "" {
		return badParam(c.query.bad)
	}
	c.s.mu.RLock()
	events, orgs := c.s.events, c.s.orgs
	c.s.mu.RUnlock()
	i := slices.IndexFunc(events, func(e *eventState) bool { return e.ID == id })
	if i < 0 {
		return notFound("Event")
	}
	if !orgs[events[i].org].grants(c.token.member, eventRoles) {
		return c.noRole()
	}
	text, err := c.printEvent(events[i])
	if err != nil {
		return envelope{Status: http.StatusInternalServerError, Message: "the event cannot be printed"}.answer()
	}
	return &answer{status: http.StatusOK, body: p.apply(text)}
}
