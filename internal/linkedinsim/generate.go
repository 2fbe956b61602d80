package linkedinsim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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
	for i := range w.cfg.Events + w.cfg.Organizations {
		if err := w.AddEvent(w.makeEvent(i, start)); err != nil {
			return err
		}
	}
	if w.cfg.Leads > 0 && len(w.asking) == 0 {
		return errors.New("no organization has both an event and a form: make Forms and Events at least 1, of an organization that has both")
	}
	w.makeLeads(start)
	return nil
}

// fromJSON is a T in the shape in which the API gives it.
func fromJSON[T any](format string, a ...any) (v T) {
	_ = json.Unmarshal(fmt.Appendf(nil, format, a...), &v) // the formats are below
	return v
}

func (w *World) organizationAt(i int) int64 {
	return firstOrganization + int64(i%w.cfg.Organizations)*organizationStep
}

// makeOrganization gives the member ADMINISTRATOR on most organizations and
// CONTENT_ADMINISTRATOR alone on every third; both read event leads.
func (w *World) makeOrganization(i int) Organization {
	roles := []string{`{"role":"ADMINISTRATOR"}`, `{"role":"ADMINISTRATOR"},{"role":"ANALYST"}`, `{"role":"CONTENT_ADMINISTRATOR"}`}[i%3]
	return fromJSON[Organization](`{"id":%d,"name":"Example Organization %[2]d","vanityName":"example-organization-%[2]d","roles":[%[3]s]}`,
		w.organizationAt(i), i+1, roles)
}

const eventFormat = `{"id":%d,"name":{"localized":{"en_US":"Example %s %d"}},"organizer":%q,"vanityName":"example-%[5]s-%[3]d","startsAt":%[6]d,
	"description":{"localized":{"en_US":{"rawText":"A synthetic event, for trying things out."}}},
	"type":{"online":{"format":{"external":{"url":"https://events.example.com/%[3]d","endsAt":%[7]d}}}},
	"discoveryMode":"LISTED","entryCriteria":"PUBLIC","created":{"time":%[8]d,"actor":%[9]q},"lastModified":{"time":%[8]d,"actor":%[9]q}}`

// makeEvent makes event i. Behind those with a form, each organization has one
// without.
func (w *World) makeEvent(i int, start time.Time) Event {
	id, name, slug, plain := int64(firstEvent), "Event", "event", i >= w.cfg.Events
	if plain {
		i -= w.cfg.Events
		id, name, slug = firstPlainEvent, "Event without a form", "event-without-form"
	}
	// From past to future, so that every life cycle occurs.
	begins := start.Add(time.Duration(i%7-3) * 20 * day).Truncate(time.Hour).Add(30 * time.Minute)
	e := fromJSON[Event](eventFormat, id+int64(i), name, i+1, organizationURN(w.organizationAt(i)), slug, begins.UnixMilli(),
		begins.Add(8*time.Hour).UnixMilli(), start.Add(-w.cfg.Span).UnixMilli(), personPrefix+w.cfg.Member)
	// Forms i, i+n, i+2n … belong to organization i of n, as the events do.
	own := (w.cfg.Forms - i%w.cfg.Organizations + w.cfg.Organizations - 1) / w.cfg.Organizations
	if own > 0 && !plain {
		k := (i / w.cfg.Organizations) % own
		e.LeadGenForm = formURN(firstForm + int64(i%w.cfg.Organizations+k*w.cfg.Organizations))
	}
	return e
}

const formFormat = `{"id":%d,"owner":{"organization":%q},"name":"Example Form %d","created":%d,"creationLocale":{"country":"US","language":"en"},
	"reviewInfo":{"reviewStatus":"NEEDS_REVIEW","rejectionReasons":[],"lastUpdated":%[4]d},
	"hiddenFields":[{"name":"utm_campaign","value":"example-%[3]d"},{"name":"utm_source","value":"linkedin"}],
	"content":{"headline":{"localized":{"en_US":"Register for example event %[3]d"}},"description":{"localized":{"en_US":"Tell us who you are."}},
		"postSubmissionInfo":{"message":{"localized":{"en_US":"Thank you, see you there."}},"callToAction":{
			"callToActionLabel":"VISIT_COMPANY_WEBSITE","callToActionTarget":{"landingPageUrl":"https://events.example.com/%[3]d"}}},
		"legalInfo":{"legalInfoId":%[5]d,"privacyPolicyUrl":"https://events.example.com/privacy",
			"legalDisclaimer":{"localized":{"en_US":"We use this to run the event."}},"consents":[
			{"id":0,"checkRequired":true,"consent":{"localized":{"en_US":"I agree to the terms of the event."}}},
			{"id":1,"consent":{"localized":{"en_US":"Send me news about later events."}}}]}}}`

// makeForm adds form i with its older versions: the last questions were added
// one version after the other.
func (w *World) makeForm(i int, start time.Time) error {
	f := fromJSON[Form](formFormat, firstForm+int64(i), organizationURN(w.organizationAt(i)), i+1, start.Add(-w.cfg.Span).UnixMilli(), firstLegalInfo+i)
	if i%4 == 3 { // a form made in German, with a second language beside it
		f.CreationLocale = Locale{Country: "DE", Language: "de"}
		f.Content.Headline.Localized["de_DE"] = fmt.Sprintf("Anmeldung zur Beispielveranstaltung %d", i+1)
	}
	var questions []Question
	for j := range w.cfg.Questions {
		questions = append(questions, makeQuestion(i, j, f.CreationLocale))
	}
	for older := w.cfg.Revisions; older >= 0; older-- {
		f.Content.Questions = questions[:max(1, len(questions)-older)]
		f.LastModified = start.Add(-w.cfg.Span * time.Duration(older) / time.Duration(w.cfg.Revisions+1)).UnixMilli()
		if _, err := w.AddForm(f); err != nil {
			return err
		}
	}
	return nil
}

// questionTemplates come in this order; a form with more questions starts over
// with the custom ones. Equal texts, emoji and the empty text are meant.
var questionTemplates = []struct {
	predefined, text string
	options          []string
}{
	{"FIRST_NAME", "First name", nil},
	{"LAST_NAME", "Last name", nil},
	{"EMAIL", "Email address", nil},
	{"", "Which tracks interest you?", []string{"Connectors", "Operations", "Stream processing", "None of these"}},
	{"", "What do you want to learn?", nil},
	{"COMPANY_NAME", "Company", nil},
	{"JOB_TITLE", "Job title", nil},
	{"", "Will you join the dinner? 🍝", []string{"Yes", "No"}},
	{"", "Anything else?", nil},
	{"PHONE_NUMBER", "Phone number", nil},
	{"LINKEDIN_PROFILE_LINK", "LinkedIn profile", nil},
	{"INDUSTRY", "Industry", nil},
	{"", "Anything else?", nil},
	{"WORK_EMAIL", "Work email", nil},
	{"", "Größe Ihres Teams", []string{"1–10", "11–50", "51 und mehr"}},
	{"COUNTRY", "Country", nil},
	{"", "👩‍💻 or 📈?", nil},
	{"SENIORITY", "Seniority", nil},
	{"WORK_PHONE_NUMBER", "Work phone", nil},
	{"JOB_FUNCTION", "Job function", nil},
}

// makeQuestion is question j of form i.
func makeQuestion(i, j int, locale Locale) Question {
	t, round := questionTemplates[j%len(questionTemplates)], j/len(questionTemplates)
	if t.predefined != "" && round > 0 { // a predefined field occurs once on a form
		t.predefined, t.text = "", fmt.Sprintf("%s (%d)", t.text, round+1)
	}
	text := func(s string) Localized {
		l := Localized{Localized: map[string]string{locale.String(): s}}
		if locale.Language != "en" {
			l.Localized["en_US"] = s + " (en)"
		}
		return l
	}
	q := Question{
		ID: firstQuestion + int64(i)*100 + int64(j), Name: fmt.Sprintf("Custom question %d", j), Question: text(t.text),
		PredefinedField: t.predefined, ResponseRequired: j < 3, ResponseEditable: true, Details: textDetails(),
	}
	if t.predefined != "" {
		q.Name = t.text
	}
	if t.options != nil {
		q.Details = QuestionDetails{Choice: &ChoiceDetails{}}
	}
	for id, option := range t.options {
		q.Details.Choice.Options = append(q.Details.Choice.Options, Option{ID: id, Text: text(option)})
	}
	return q
}

// makeLeads spreads the leads evenly over the span, each somewhere in its part.
func (w *World) makeLeads(start time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := w.cfg.Leads
	w.rows = make([]row, 0, count+int(float64(count)*w.cfg.HiddenShare*1.2)+16)
	for i := range count {
		slot := w.cfg.Span / time.Duration(count)
		w.makeLead(start.Add(-w.cfg.Span+slot*time.Duration(i)), slot, i*(w.cfg.Revisions+1)/count)
	}
}

// makeLead makes one lead somewhere in [from, from+slot), and now and then a
// filler row beside it. revision is the place of its form's version, counted
// from the oldest; past the last one means the current.
func (w *World) makeLead(from time.Time, slot time.Duration, revision int) {
	n := uint32(len(w.rows))
	h := w.hash(n)
	if slot > 0 {
		from = from.Add(time.Duration(mix(h) % uint64(slot)))
	}
	event := w.asking[h>>20%uint64(len(w.asking))]
	versions := w.forms[event.form].versions
	r := row{
		submitted: from.UnixMilli(), visible: from.UnixMilli(), event: event,
		version: versions[min(revision, len(versions)-1)], extra: &noExtra,
	}
	if chance(mix(h+1), w.cfg.LateProbability) {
		r.visible += int64(mix(h+2)%uint64(max(w.cfg.LateBy.Milliseconds(), 1))) + 1
	}
	if chance(mix(h+3), w.cfg.TestShare) {
		r.flags |= flagTest
	}
	w.add(r)
	w.tell(n, actionCreated, r.submitted)
	if chance(mix(h+4), w.cfg.HiddenShare) {
		r.flags = flagFiller
		w.add(r)
	}
}

// makeNew makes leads submitted now, of all events, at the configured rate,
// until ctx ends; without a rate it only waits.
func (w *World) makeNew(ctx context.Context) error {
	if w.cfg.Rate <= 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(max(time.Duration(float64(time.Minute)/w.cfg.Rate), 10*time.Millisecond))
	defer tick.Stop()
	for start, made := time.Now(), 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		w.mu.Lock()
		if len(w.asking) == 0 {
			w.mu.Unlock()
			return errors.New("making new leads: no event has a form, so nobody can submit one")
		}
		for due := int(time.Since(start).Minutes() * w.cfg.Rate); made < due; made++ {
			w.makeLead(w.clock.now(), 0, math.MaxInt)
		}
		w.mu.Unlock()
	}
}
