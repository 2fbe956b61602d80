package linkedinsim

import (
	"fmt"
	"strconv"
	"time"
)

// questionTemplate is how a generated question looks.
type questionTemplate struct {
	predefined string
	text       string
	options    []string
}

// templates come in this order; a form with more questions starts over with
// the custom ones. Equal texts, emoji and the empty text are meant.
var templates = []questionTemplate{
	{predefined: "FIRST_NAME", text: "First name"},
	{predefined: "LAST_NAME", text: "Last name"},
	{predefined: "EMAIL", text: "Email address"},
	{text: "Which tracks interest you?", options: []string{"Connectors", "Operations", "Stream processing", "None of these"}},
	{text: "What do you want to learn?"},
	{predefined: "COMPANY_NAME", text: "Company"},
	{predefined: "JOB_TITLE", text: "Job title"},
	{text: "Will you join the dinner? 🍝", options: []string{"Yes", "No"}},
	{text: "Anything else?"},
	{predefined: "PHONE_NUMBER", text: "Phone number"},
	{predefined: "LINKEDIN_PROFILE_LINK", text: "LinkedIn profile"},
	{predefined: "INDUSTRY", text: "Industry"},
	{text: "Anything else?"},
	{predefined: "WORK_EMAIL", text: "Work email"},
	{text: "Größe Ihres Teams", options: []string{"1–10", "11–50", "51 und mehr"}},
	{predefined: "COUNTRY", text: "Country"},
	{text: "👩‍💻 or 📈?"},
	{predefined: "SENIORITY", text: "Seniority"},
	{predefined: "WORK_PHONE_NUMBER", text: "Work phone"},
	{predefined: "JOB_FUNCTION", text: "Job function"},
}

// formContent is the newest version of generated form i.
func (w *World) formContent(i int, start time.Time) *Form {
	created := start.Add(-w.cfg.Span).UnixMilli()
	f := &Form{
		ID:             firstForm + int64(i),
		Owner:          Owner{Organization: organizationURN(w.organizationAt(i))},
		Name:           fmt.Sprintf("Example Form %d", i+1),
		State:          "PUBLISHED",
		Created:        created,
		CreationLocale: Locale{Country: "US", Language: "en"},
		ReviewInfo:     &ReviewInfo{ReviewStatus: "NEEDS_REVIEW", RejectionReasons: []string{}, LastUpdated: created},
		HiddenFields:   []HiddenField{{Name: "utm_campaign", Value: "example-" + strconv.Itoa(i+1)}, {Name: "utm_source", Value: "linkedin"}},
		Content: Content{
			Headline:    english(fmt.Sprintf("Register for example event %d", i+1)),
			Description: english("Tell us who you are."),
			PostSubmission: &PostSubmission{
				Message:      english("Thank you, see you there."),
				CallToAction: CallToAction{Label: "VISIT_COMPANY_WEBSITE", Target: CallTarget{LandingPageURL: "https://events.example.com/" + strconv.Itoa(i+1)}},
			},
			LegalInfo: &LegalInfo{
				ID:               firstLegalInfo + int64(i),
				PrivacyPolicyURL: "https://events.example.com/privacy",
				Disclaimer:       english("We use this to run the event."),
				Consents: []Consent{
					{ID: 0, CheckRequired: true, Consent: english("I agree to the terms of the event.")},
					{ID: 1, Consent: english("Send me news about later events.")},
				},
			},
		},
	}
	if i%4 == 3 { // a form made in German, with a second language beside it
		f.CreationLocale = Locale{Country: "DE", Language: "de"}
		f.Content.Headline.Localized["de_DE"] = fmt.Sprintf("Anmeldung zur Beispielveranstaltung %d", i+1)
	}
	for j := range w.cfg.Questions {
		f.Content.Questions = append(f.Content.Questions, makeQuestion(i, j, f.CreationLocale))
	}
	return f
}

// makeQuestion is question j of form i.
func makeQuestion(i, j int, locale Locale) Question {
	t := templates[j%len(templates)]
	again := j >= len(templates) // a predefined field occurs once on a form
	if t.predefined != "" && again {
		t = questionTemplate{text: fmt.Sprintf("%s (%d)", t.text, j/len(templates)+1)}
	}
	text := func(s string) Localized {
		l := Localized{Localized: map[string]string{locale.String(): s}}
		if locale.Language != "en" {
			l.Localized["en_US"] = s + " (en)"
		}
		return l
	}
	q := Question{
		ID:               firstQuestion + int64(i)*100 + int64(j),
		Name:             "Custom question " + strconv.Itoa(j),
		Question:         text(t.text),
		PredefinedField:  t.predefined,
		ResponseRequired: j < 3,
		ResponseEditable: true,
	}
	if t.predefined != "" {
		q.Name = t.text
	}
	if t.options == nil {
		q.Details.Text = &TextDetails{MaxResponseLength: 300}
		return q
	}
	q.Details.Choice = &ChoiceDetails{}
	for id, option := range t.options {
		q.Details.Choice.Options = append(q.Details.Choice.Options, Option{ID: id, Text: text(option)})
	}
	return q
}
