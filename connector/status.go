package connector

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/internal/forms"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// Status is a snapshot of the work, for the status page, /readyz and commands.
// It holds no answer of any lead.
type Status struct {
	Active bool
	// Since is when this process began to work or to stand by.
	Since time.Time
	// Worker is the process that began the newest session, as the checkpoint topic
	// names it; only StatusOf knows.
	Worker        checkpoint.Process
	Organizations []OrganizationStatus
	Sources       []SourceStatus
	Forms         []FormStatus
	Deferred      []DeferredStatus
	Replay        *ReplayStatus
	// Hours are the leads committed in each hour of the last day.
	Hours   checkpoint.Hours
	Latency Latency
}

// OrganizationStatus is one organization with what the member may do there.
type OrganizationStatus struct {
	URN           string
	Name          string
	Roles         []string
	Problem, Todo string
	// Incidental: nobody asked for the page; its Problem is no failure.
	Incidental bool
}

// SourceStatus is how a source fares.
type SourceStatus struct {
	Owner    string
	LeadType string
	Live     time.Time
	Success  time.Time // zero when this session has not read it yet
	Backlog  []checkpoint.Range
	// Problem is why it cannot be read until somebody acts, Todo what to do.
	Problem, Todo string
	// Waits: the problem is none of its own, but one for which everything waits,
	// such as the consent.
	Waits bool
	// Err is why it could not be read the last time, also where time fixes that; nil
	// when it could.
	Err error
	// Notified: LinkedIn notifies of its leads, by webhook.
	Notified bool
}

// FormStatus is one form with its topic.
type FormStatus struct {
	ID            string
	Name          string
	Owner         string
	Events        []string
	Topic         string
	SchemaID      int
	SchemaVersion int // 0 when not known
	Fields        int // columns of the schema
	Leads         int64
	LastLead      time.Time
	// Lost are the schema ids of its records that the registry does not know, or has
	// given to other schemas.
	Lost          []int
	State         string // ok, suspended or gone
	Problem, Todo string
	unreadable    *forms.LostError
	// Cause is the part that the problem is about: registry, schemas, or else the
	// form's own.
	Cause string
}

// Suspended reports whether the form's leads wait until it is recovered.
func (f *FormStatus) Suspended() bool { return f.State == formSuspended }

// Gone reports whether LinkedIn no longer shows the form.
func (f *FormStatus) Gone() bool { return f.State == formGone }

// DeferredStatus is what is deferred of a suspended form.
type DeferredStatus struct {
	Owner  string
	Form   string
	From   time.Time
	To     time.Time
	Since  time.Time
	Reason string
}

// ReplayStatus is how far a replay is.
type ReplayStatus struct {
	ID       string
	From, To time.Time // zero before it has begun
	Ratio    float64
	Leads    int64 // published by it
	Done     bool
}

// polling begins the name of a poll's work.
const polling = "polling "

// Status is a snapshot of the work of this process; of its last session while it
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

// Issues are what went wrong of late. Parts of the program that work for the
// connector tell of theirs there as well.
func (c *Connector) Issues() *Issues { return c.issues }

func (l *leader) status() Status {
	topics, events, now := l.store.Topics(), l.catalog.eventNames(), l.state()
	s := Status{Active: true, Since: l.since, Hours: now.Hours, Latency: l.latencies.figures()}
	for _, o := range l.catalog.all() {
		s.Organizations = append(s.Organizations, OrganizationStatus(o))
	}
	for _, src := range l.sources.list() {
		p := now.Sources[src]
		state, _ := l.sources.get(src)
		row := SourceStatus{Owner: src.Owner, LeadType: src.Type, Live: p.Live, Success: state.success, Backlog: p.Backlog, Notified: state.notified,
			Err: l.issues.failing(polling + src.String())}
		if state.err != nil {
			row.Problem, row.Todo = Told(state.err)
			row.Waits = fault.KindOf(state.err) == fault.Pause
		}
		s.Sources = append(s.Sources, row)
	}
	for _, f := range l.forms.All() {
		s.Forms = append(s.Forms, l.formStatus(f, events[f.ID], topics))
	}
	for id, d := range now.Deferred {
		s.Deferred = append(s.Deferred, deferredStatus(id, d))
	}
	if o := l.opts.Replay; o != nil {
		s.Replay = &ReplayStatus{ID: o.ID}
		if r, begun := now.Replays[o.ID]; begun {
			*s.Replay = replayStatus(o.ID, r)
		}
	}
	s.sort()
	return s
}

// The states of a form that people are shown.
const (
	formOK        = "ok"
	formSuspended = "suspended" // what is deferred of it is recorded
	formGone      = "gone"      // LinkedIn no longer shows it
)

// formStatus is a form with the events that take it and what is recorded of its topic.
func (l *leader) formStatus(f *forms.Form, events []string, topics map[string]checkpoint.Topic) FormStatus {
	s := FormStatus{ID: f.ID, Name: f.Name, Owner: f.Owner, Events: events, Topic: l.store.TopicName(f.ID),
		SchemaID: f.SchemaID, SchemaVersion: f.Version, State: formOK}
	if f.Fields != nil {
		s.Fields = f.Fields.Len()
	}
	switch {
	case f.State == forms.Suspended:
		s.State = formSuspended
		s.Problem, s.Todo = Told(f.Why)
		s.Cause = partOf(f.ID, forms.Work(f.ID), f.Why)
	case f.Gone:
		s.State = formGone
	}
	t := topics[s.Topic]
	s.Leads, s.LastLead = t.Leads, t.LastLead
	s.lose(f.Lost, t)
	return s
}

// lose says of the form that records of it cannot be read, unless something else is
// said of it already.
func (f *FormStatus) lose(lost []checkpoint.LostSchema, t checkpoint.Topic) {
	if len(lost) == 0 {
		return
	}
	e := forms.NewLost(lost[0].Since)
	e.Add(f.ID, lost, t)
	f.Lost, f.unreadable = e.IDs[f.ID], e
	if f.Problem == "" {
		f.Problem, f.Todo, f.Cause = e.Error(), e.Todo(), PartSchemas
	}
}

// Unreadable are the ids of the forms with records whose schema the registry has lost, and what
// to do about all of them; none when there are no such records.
func (s *Status) Unreadable() (ids []string, todo string) {
	var all *forms.LostError
	for _, f := range s.Forms {
		if f.unreadable == nil {
			continue
		}
		ids = append(ids, f.ID)
		if all == nil {
			all = forms.NewLost(f.unreadable.From)
		}
		all.From = lead.Earlier(all.From, f.unreadable.From)
	}
	if all == nil {
		return nil, ""
	}
	return ids, all.Todo()
}

func deferredStatus(id checkpoint.DeferredID, d checkpoint.DeferredWindow) DeferredStatus {
	return DeferredStatus{Owner: id.Source.Owner, Form: id.Form, From: d.From, To: d.To, Since: d.Since, Reason: d.Reason}
}

func replayStatus(id string, r checkpoint.Replay) ReplayStatus {
	return ReplayStatus{ID: id, From: r.From, To: r.To, Ratio: r.Ratio(), Leads: r.Leads, Done: r.Done()}
}

// sort gives every list an order that does not change from look to look.
func (s *Status) sort() {
	slices.SortFunc(s.Organizations, func(a, b OrganizationStatus) int { return strings.Compare(a.URN, b.URN) })
	slices.SortFunc(s.Sources, func(a, b SourceStatus) int { return strings.Compare(a.Owner+a.LeadType, b.Owner+b.LeadType) })
	slices.SortFunc(s.Forms, func(a, b FormStatus) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Deferred, func(a, b DeferredStatus) int {
		return cmp.Or(strings.Compare(a.Form, b.Form), strings.Compare(a.Owner, b.Owner), a.From.Compare(b.From))
	})
	for i := range s.Forms {
		slices.Sort(s.Forms[i].Events)
	}
}

// StatusOf is what the checkpoint topic says of the work, whoever does it: what
// only the process that works knows is missing. prefix is that of the topics.
func StatusOf(state checkpoint.State, prefix string) Status {
	s := Status{Worker: state.Process, Hours: state.Hours}
	for _, o := range state.Organizations.Known {
		s.Organizations = append(s.Organizations, OrganizationStatus(o))
	}
	for src, p := range state.Sources {
		s.Sources = append(s.Sources, SourceStatus{Owner: src.Owner, LeadType: src.Type, Live: p.Live, Backlog: p.Backlog})
	}
	deferred := map[string]string{} // reasons by form
	known := map[string]checkpoint.Form{}
	for id, d := range state.Deferred {
		s.Deferred = append(s.Deferred, deferredStatus(id, d))
		deferred[id.Form] = d.Reason
		known[id.Form] = checkpoint.Form{Owner: id.Source.Owner} // one that could not be read yet has no record
	}
	maps.Copy(known, state.Forms)
	for id, f := range known {
		t := state.Topics[id]
		form := FormStatus{ID: id, Name: f.Name, Owner: f.Owner, Topic: prefix + id, SchemaID: f.SchemaID, SchemaVersion: f.SchemaVersion,
			Fields: columns(f), Leads: t.Leads, LastLead: t.LastLead, State: formOK}
		if reason, ok := deferred[id]; ok {
			form.State, form.Problem, form.Todo = formSuspended, reason, "the page of the active process says what to do"
		}
		form.lose(f.Lost, t)
		s.Forms = append(s.Forms, form)
	}
	// Of the replays of all times, the latest.
	latest := ""
	for id, r := range state.Replays {
		if latest == "" || r.Created.After(state.Replays[latest].Created) {
			latest = id
		}
	}
	if latest != "" {
		r := replayStatus(latest, state.Replays[latest])
		s.Replay = &r
	}
	s.sort()
	return s
}

// columns is how many a form's schema has, 0 when that cannot be read.
func columns(f checkpoint.Form) int {
	fields := new(schema.Fields)
	if json.Unmarshal(f.Fields, fields) != nil {
		return 0
	}
	return fields.Len()
}
