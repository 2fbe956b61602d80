package connector

import (
	"leadstream/internal/checkpoint"
	"leadstream/internal/lead"
	"slices"
	"sync"
)

// catalog is what discovery has found. Safe for concurrent use; nothing in it is changed once
// it is there.
type catalog struct {
	mu     sync.Mutex
	orgs   []lead.Organization
	missed []lead.Organization      // that discovery should have found as well
	known  checkpoint.Organizations // all of them, as the checkpoint keeps them
	events map[string][]lead.Event  // by owner
	whole  bool                     // discovery has been through all organizations once
}

// newCatalog is what discovery has found before, in this process or in one before it.
func newCatalog(known checkpoint.Organizations) *catalog {
	return &catalog{known: known, events: map[string][]lead.Event{}}
}

// organizations are those that were found.
func (c *catalog) organizations() []lead.Organization {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.orgs
}

// all are those that were found, and those that should have been.
func (c *catalog) all() []lead.Organization {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Concat(c.orgs, c.missed)
}

// before are all of them as the checkpoint keeps them.
func (c *catalog) before() checkpoint.Organizations {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

// setOrganizations replaces all of it.
func (c *catalog) setOrganizations(found, missed []lead.Organization, known checkpoint.Organizations) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.orgs, c.missed, c.known = found, missed, known
}

// setEvents replaces the events of an organization.
func (c *catalog) setEvents(owner string, events []lead.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events[owner] = events
}

// eventNames are the names of the events that take each form.
func (c *catalog) eventNames() map[string][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := map[string][]string{}
	for _, list := range c.events {
		for _, ev := range list {
			names[ev.Form.ID] = append(names[ev.Form.ID], ev.Name)
		}
	}
	return names
}

// complete reports whether discovery has been through all organizations once.
func (c *catalog) complete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.whole
}

// finish takes in that discovery has been through all organizations.
func (c *catalog) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = true
}
