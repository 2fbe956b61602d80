package linkedinsim

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Ids of a generated world count up from these.
const (
	firstOrganization = 9000123
	organizationStep  = 333
	firstEvent        = 7200000000000000123
	firstPlainEvent   = 7200000000000900000 // events without a form
	firstForm         = 7130000000000000001
	firstQuestion     = 510001
	firstLegalInfo    = 810001
)

// generate fills an empty world as its configuration says.
func (w *World) generate() error {
	start := w.clock.now()
	for i := range w.cfg.Organizations {
		if err := w.AddOrganization(w.makeOrganization(i)); err != nil {
			return err
		}
	}
	for i := range w.cfg.Forms {
		if err := w.makeForm(i, start); err != nil {
			return err
		}
	}
	for i := range w.cfg.Events {
		if err := w.AddEvent(w.makeEvent(i, start)); err != nil {
			return err
		}
	}
	for i := range w.cfg.Organizations {
		if err := w.AddEvent(w.makePlainEvent(i, start)); err != nil {
			return err
		}
	}
	if w.cfg.Leads == 0 {
		return nil
	}
	if len(w.asking) == 0 {
		return fmt.Errorf("no organization has both an event and a form: make Forms and Events at least 1, of an organization that has both")
	}
	w.makeLeads(start)
	return nil
}

func (w *World) organizationAt(i int) int64 {
	return firstOrganization + int64(i%w.cfg.Organizations)*organizationStep
}

// makeOrganization gives the member ADMINISTRATOR on most organizations and
// CONTENT_ADMINISTRATOR alone on every third; both read event leads.
func (w *World) makeOrganization(i int) Organization {
	o := Organization{
		ID:         w.organizationAt(i),
		Name:       fmt.Sprintf("Example Organization %d", i+1),
		VanityName: fmt.Sprintf("example-organization-%d", i+1),
		Roles:      []Role{{Role: roleAdministrator}},
	}
	switch i % 3 {
	case 1:
		o.Roles = append(o.Roles, Role{Role: "ANALYST"})
	case 2:
		o.Roles = []Role{{Role: roleContentAdministrator}}
	}
	return o
}

// makeForm adds form i with its older versions: the last questions were added
// one version after the other.
func (w *World) makeForm(i int, start time.Time) error {
	full := w.formContent(i, start)
	questions := full.Content.Questions
	for older := w.cfg.Revisions; older >= 0; older-- {
		f, err := full.clone()
		if err != nil {
			return err
		}
		f.VersionID = 0 // counted
		f.Content.Questions = f.Content.Questions[:max(1, len(questions)-older)]
		f.LastModified = start.Add(-w.cfg.Span * time.Duration(older) / time.Duration(w.cfg.Revisions+1)).UnixMilli()
		if _, err := w.AddForm(*f); err != nil {
			return err
		}
	}
	return nil
}

func english(text string) Localized { return Localized{Localized: map[string]string{"en_US": text}} }

func (w *World) makeEvent(i int, start time.Time) Event {
	// From past to future, so that every life cycle occurs.
	begins := start.Add(time.Duration(i%7-3) * 20 * day).Truncate(time.Hour).Add(30 * time.Minute)
	e := Event{
		ID:         firstEvent + int64(i),
		Name:       english(fmt.Sprintf("Example Event %d", i+1)),
		Organizer:  organizationURN(w.organizationAt(i)),
		VanityName: fmt.Sprintf("example-event-%d", i+1),
		StartsAt:   begins.UnixMilli(),
		Type:       EventType{Online: &Online{OnlineFormat{External: &Place{URL: "https://events.example.com/" + strconv.Itoa(i+1), EndsAt: begins.Add(8 * time.Hour).UnixMilli()}}}},
		Discovery:  "LISTED",
		Entry:      "PUBLIC",
		Created:    &Stamp{Time: start.Add(-w.cfg.Span).UnixMilli(), Actor: personPrefix + w.cfg.Member},
		Modified:   &Stamp{Time: start.Add(-w.cfg.Span).UnixMilli(), Actor: personPrefix + w.cfg.Member},
		Description: LocalizedLong{Localized: map[string]RawText{
			"en_US": {RawText: "A synthetic event, for trying things out."},
		}},
	}
	// Forms i, i+n, i+2n … belong to organization i of n, as the events do.
	own := (w.cfg.Forms - i%w.cfg.Organizations + w.cfg.Organizations - 1) / w.cfg.Organizations
	if own > 0 {
		k := (i / w.cfg.Organizations) % own
		e.LeadGenForm = formURN(firstForm + int64(i%w.cfg.Organizations+k*w.cfg.Organizations))
	}
	return e
}

// makePlainEvent is the one event of an organization that has no form.
func (w *World) makePlainEvent(i int, start time.Time) Event {
	e := w.makeEvent(i, start)
	e.ID = firstPlainEvent + int64(i)
	e.Name = english(fmt.Sprintf("Example Event without a form %d", i+1))
	e.VanityName = fmt.Sprintf("example-event-without-form-%d", i+1)
	e.LeadGenForm = ""
	return e
}

// makeLeads spreads the leads evenly over the span, each somewhere in its part.
func (w *World) makeLeads(start time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rows = make([]row, 0, w.cfg.Leads+int(float64(w.cfg.Leads)*w.cfg.HiddenShare*1.2)+16)
	slot := w.cfg.Span / time.Duration(w.cfg.Leads)
	for i := range w.cfg.Leads {
		from := start.Add(-w.cfg.Span + slot*time.Duration(i))
		revision := i * (w.cfg.Revisions + 1) / w.cfg.Leads
		w.makeLead(from, slot, revision)
	}
}

// makeLead makes one lead somewhere in [from, from+slot), and now and then a
// filler row beside it. revision is the place of its form's version, counted
// from the oldest; past the last one means the current.
func (w *World) makeLead(from time.Time, slot time.Duration, revision int) uint32 {
	n := uint32(len(w.rows))
	h := w.hash(n)
	at := from
	if slot > 0 {
		at = at.Add(time.Duration(mix(h) % uint64(slot)))
	}
	event := w.asking[h>>20%uint64(len(w.asking))]
	versions := w.forms[w.events[event].form].versions
	r := row{
		submitted: at.UnixMilli(), visible: at.UnixMilli(), event: event,
		version: versions[min(revision, len(versions)-1)].index,
	}
	if chance(mix(h+1), w.cfg.LateProbability) {
		r.visible += int64(mix(h+2)%uint64(max(w.cfg.LateBy.Milliseconds(), 1))) + 1
	}
	if chance(mix(h+3), w.cfg.TestShare) {
		r.flags |= flagTest
	}
	w.add(r, nil)
	w.tell(n, actionCreated, r.submitted)
	if chance(mix(h+4), w.cfg.HiddenShare) {
		r.flags = flagFiller
		w.add(r, nil)
	}
	return n
}

// generateLeads makes count leads submitted now, of all events, as Run does.
func (w *World) generateLeads(count int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.asking) == 0 {
		return fmt.Errorf("no event has a form, so nobody can submit one")
	}
	now := w.clock.now()
	for range count {
		w.makeLead(now, 0, int(^uint(0)>>1))
	}
	return nil
}

// makeNew makes leads at the configured rate; without a rate it only waits.
func (w *World) makeNew(ctx context.Context) error {
	if w.cfg.Rate <= 0 {
		<-ctx.Done()
		return nil
	}
	each := time.Duration(float64(time.Minute) / w.cfg.Rate)
	tick := time.NewTicker(max(each, 10*time.Millisecond))
	defer tick.Stop()
	start, made := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		owed := int(float64(time.Since(start))/float64(time.Minute)*w.cfg.Rate) - made
		if owed <= 0 {
			continue
		}
		if err := w.generateLeads(owed); err != nil {
			return fmt.Errorf("making new leads: %w", err)
		}
		made += owed
	}
}
