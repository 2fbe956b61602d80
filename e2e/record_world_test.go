//go:build integration && record

package e2e

import (
	"encoding/json"
	"slices"
	"time"
)

// makeLinkedIn makes organizations, forms and events, and the leads that are there
// before the first start.
func (s *scenario) makeLinkedIn() {
	s.control("/sim/organizations", object{"id": number(alpenblick), "name": "Alpenblick Seminare", "roles": []object{{"role": "ADMINISTRATOR"}}})
	s.control("/sim/organizations", object{"id": number(nordwind), "name": "Nordwind Analytics", "roles": []object{{"role": "CONTENT_ADMINISTRATOR"}}})
	for i, form := range []string{conference, webinar, survey, seminar, workshop} {
		owner := alpenblick
		if form == seminar {
			owner = nordwind
		}
		s.control("/sim/forms", formVersion(form, owner, 1))
		s.control("/sim/events", object{
			"id": 7250000000000000001 + int64(i), "name": localized("en_US", "Event of form "+form), "organizer": "urn:li:organization:" + owner,
			"startsAt": s.start.Add(time.Duration(i-2) * 240 * time.Hour).UnixMilli(), "leadGenForm": "urn:li:leadGenForm:" + form,
			"type":          object{"online": object{"format": object{"external": object{"url": "https://events.example.com", "endsAt": s.start.Add(time.Duration(i-1) * 240 * time.Hour).UnixMilli()}}}},
			"discoveryMode": "LISTED", "entryCriteria": "PUBLIC",
		})
	}
	s.submit(conference, 1, 40, s.ago(358), s.ago(180))
	s.changed(conference)
	s.submit(conference, 2, 20, s.ago(170), s.ago(10))
	s.submit(webinar, 0, 6, s.ago(100), s.ago(2))
	s.submit(seminar, 0, 40, s.ago(359), s.ago(5))
	s.submit(workshop, 0, 12, s.ago(200), s.ago(150))
	s.lead(object{"form": conference, "id": s.nearest(conference, 322).ID, "submittedAt": s.ago(90).UnixMilli()})
}

func number(id string) json.Number { return json.Number(id) }

func localized(locale, text string) object { return object{"localized": object{locale: text}} }

// formVersion is a form of the scenario as its version number so and so: each
// version asks a question more.
func formVersion(form, owner string, version int) object {
	locale, language, country := "en_US", "en", "US"
	if form == seminar {
		locale, language, country = "de_DE", "de", "DE"
	}
	base := 52000 + 100*int(form[len(form)-1]-'0')
	question := func(n int, predefined, asked string, options ...string) object {
		q := object{"questionId": base + n, "name": asked, "question": localized(locale, asked), "responseEditable": true, "responseRequired": n == 0}
		if predefined != "" {
			q["predefinedField"] = predefined
		}
		if options == nil {
			q["questionDetails"] = object{"textQuestionDetails": object{"maxResponseLength": 300}}
			return q
		}
		var choices []object
		for id, option := range options {
			choices = append(choices, object{"id": id, "text": localized(locale, option)})
		}
		q["questionDetails"] = object{"multipleChoiceQuestionDetails": object{"options": choices}}
		return q
	}
	questions := []object{question(0, "EMAIL", "Email address")}
	content := object{"headline": localized(locale, "Register"), "description": localized(locale, "Tell us who you are.")}
	f := object{
		"id": number(form), "owner": object{"organization": "urn:li:organization:" + owner}, "name": "Form " + form, "state": "PUBLISHED",
		"creationLocale": object{"country": country, "language": language}, "content": content,
	}
	if form != survey {
		questions = append(questions,
			question(1, "FIRST_NAME", "First name"),
			question(2, "", "Größe Ihres Teams", "1–10", "11–50", "51 und mehr"),
			question(3, "", "Anything else?"),
			question(4, "", "Anything else?"), // the same name: the later column gets another
		)
		content["legalInfo"] = object{
			"legalInfoId": base, "privacyPolicyUrl": "https://events.example.com/privacy", "legalDisclaimer": localized(locale, "We use this to run the event."),
			"consents": []object{{"id": 0, "checkRequired": true, "consent": localized(locale, "I agree to the terms.")}},
		}
		f["hiddenFields"] = []object{{"name": "utm_campaign", "value": "spring"}}
	}
	for v := 2; v <= version; v++ {
		questions = append(questions, question(3+v, "", "Asked since version "+digits(int64(v))+"?", "yes", "no"))
	}
	content["questions"] = questions
	return f
}

// changed gives a form of Alpenblick's its next version.
func (s *scenario) changed(form string) {
	s.t.Helper()
	s.revised[form]++
	s.control("/sim/forms", formVersion(form, alpenblick, 1+s.revised[form]))
}

// control makes a request to the simulator and remembers it.
func (s *scenario) control(path string, request object) {
	s.t.Helper()
	s.direct.post(path, request)
	s.made = append(s.made, controlLine{"POST", path, json.RawMessage(text(request))})
}

// ago is that many days before the recording began.
func (s *scenario) ago(days int) time.Time {
	return s.start.Add(-time.Duration(days) * 24 * time.Hour).UTC().Truncate(time.Millisecond)
}

// submit has leads of a version of a form submitted, of the current one for 0,
// evenly from one moment to another; every twentieth is a test.
func (s *scenario) submit(form string, version, count int, from, to time.Time) []submission {
	s.t.Helper()
	specs := make([]object, count)
	for i := range specs {
		at := from.Add(to.Sub(from) / time.Duration(count) * time.Duration(i))
		specs[i] = object{"form": form, "formVersion": version, "submittedAt": at.UnixMilli(), "testLead": i%20 == 7}
	}
	return s.lead(specs...)
}

func (s *scenario) lead(specs ...object) []submission {
	s.t.Helper()
	var made []submission
	if err := s.direct.control("/sim/leads", specs, &made); err != nil {
		s.t.Fatal(err)
	}
	return made
}

// nearest is the lead of a form that was submitted nearest to so many days ago.
func (s *scenario) nearest(form string, days int) submission {
	s.t.Helper()
	at := s.ago(days).UnixMilli()
	all := slices.DeleteFunc(s.direct.ledger(), func(l submission) bool { return l.FormID != form })
	return slices.MinFunc(all, func(a, b submission) int {
		return int(max(a.SubmittedAt-at, at-a.SubmittedAt) - max(b.SubmittedAt-at, at-b.SubmittedAt))
	})
}

// leads are the requests that make the leads of the ledger again, each as it was:
// nothing of them is left to the simulator to make up.
func (s *scenario) leads() []controlLine {
	s.t.Helper()
	var entries []map[string]any
	if err := s.direct.lines("/sim/ledger", &entries); err != nil {
		s.t.Fatal(err)
	}
	var lines []controlLine
	for _, e := range entries {
		spec := object{"form": e["formId"]}
		for _, same := range []string{"id", "submittedAt", "formVersion", "event", "leadType", "testLead", "submitter", "answers", "consents", "malformed"} {
			if v, ok := e[same]; ok {
				spec[same] = v
			}
		}
		lines = append(lines, controlLine{"POST", "/sim/leads", json.RawMessage(text(spec))})
	}
	return lines
}
