package connector

import (
	"slices"
	"strings"
	"time"

	"leadstream/internal/checkpoint"
)

// Status is a snapshot of the work, for the status page, /readyz and commands.
// It holds no answer of any lead.
type Status struct {
	Active        bool                 `json:"active"`
	Organizations []OrganizationStatus `json:"organizations"`
	Sources       []SourceStatus       `json:"sources"`
	Forms         []FormStatus         `json:"forms"`
	Debts         []DebtStatus         `json:"debts"`
	Replay        *ReplayStatus        `json:"replay,omitempty"`
}

// OrganizationStatus is one organization with what the member may do there.
type OrganizationStatus struct {
	URN     string   `json:"urn"`
	Name    string   `json:"name"`
	Roles   []string `json:"roles"`
	Problem string   `json:"problem,omitempty"`
	// Incidental: nobody asked for the page; its Problem is no failure.
	Incidental bool `json:"incidental,omitempty"`
}

// SourceStatus is how a source fares.
type SourceStatus struct {
	Owner    string             `json:"owner"`
	LeadType string             `json:"lead_type"`
	Live     time.Time          `json:"live"`
	Success  time.Time          `json:"last_success,omitzero"`
	Backlog  []checkpoint.Range `json:"backlog,omitempty"`
	Problem  string             `json:"problem,omitempty"`
}

// FormStatus is one form with its topic.
type FormStatus struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Owner    string    `json:"owner"`
	Events   []string  `json:"events,omitempty"`
	Topic    string    `json:"topic"`
	SchemaID int       `json:"schema_id,omitempty"`
	Leads    int64     `json:"leads"`
	LastLead time.Time `json:"last_lead,omitzero"`
	State    string    `json:"state"`
	Problem  string    `json:"problem,omitempty"`
}

// DebtStatus is what a suspended form is owed.
type DebtStatus struct {
	Owner  string    `json:"owner"`
	Form   string    `json:"form"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

// ReplayStatus is how far a replay is.
type ReplayStatus struct {
	ID    string  `json:"id"`
	Ratio float64 `json:"ratio"`
	Done  bool    `json:"done"`
}

// Status is a snapshot of the work of this process; of its last epoch while it
// stands by.
func (c *Connector) Status() Status {
	c.mu.Lock()
	e, last := c.current, c.last
	c.mu.Unlock()
	if e == nil {
		return last
	}
	return e.status()
}

func (e *epoch) status() Status {
	topics := e.store.Topics()
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Status{Active: true}
	for _, o := range e.orgs {
		s.Organizations = append(s.Organizations, OrganizationStatus{URN: o.URN, Name: o.Name, Roles: o.Roles, Problem: o.Problem, Incidental: o.Incidental})
	}
	for src, state := range e.sources {
		p := e.progress[src]
		row := SourceStatus{Owner: src.Owner, LeadType: src.Type, Live: p.Live, Success: state.success, Backlog: p.Backlog}
		if state.err != nil {
			row.Problem = state.err.Error()
		}
		s.Sources = append(s.Sources, row)
	}
	slices.SortFunc(s.Sources, func(a, b SourceStatus) int { return strings.Compare(a.Owner+a.LeadType, b.Owner+b.LeadType) })
	events := map[string][]string{}
	for _, list := range e.events {
		for _, ev := range list {
			events[ev.Form.ID] = append(events[ev.Form.ID], ev.Name)
		}
	}
	s.Forms = e.forms.status(events, topics)
	for id, d := range e.debts {
		s.Debts = append(s.Debts, DebtStatus{Owner: id.Source.Owner, Form: id.Form, From: d.From, To: d.To, Since: d.Since, Reason: d.Reason})
	}
	if o := e.opts.Replay; o != nil {
		r, begun := e.replays[o.ID]
		s.Replay = &ReplayStatus{ID: o.ID, Ratio: r.Ratio(), Done: begun && r.Done()}
		if !begun {
			s.Replay.Ratio = 0
		}
	}
	return s
}

func (b *formBook) status(events map[string][]string, topics map[string]checkpoint.Topic) []FormStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]FormStatus, 0, len(b.forms))
	for _, f := range b.forms {
		s := FormStatus{ID: f.id, Name: f.name, Owner: f.owner, Events: events[f.id],
			Topic: b.epoch.store.TopicName(f.id), SchemaID: f.schemaID, State: f.state()}
		if f.why != nil {
			s.Problem = f.why.Error()
		}
		t := topics[s.Topic]
		s.Leads, s.LastLead = t.Leads, t.LastLead
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b FormStatus) int { return strings.Compare(a.ID, b.ID) })
	return list
}
