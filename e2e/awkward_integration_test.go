//go:build integration

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// deadly are the defects that make an element a dead letter: its id, time, form
// or whole answer part cannot be read.
var deadly = []string{
	"no_id", "id_not_text", "no_time", "unreadable_time", "not_an_object",
	"no_form_response", "answers_not_list", "no_form", "unreadable_form",
}

// odd are defects that cost a lead a field at most, and what its record says.
var odd = map[string]func(*record) bool{
	"no_event":             func(r *record) bool { return r.Value["event"] == nil && r.Value["field_errors"] == nil },
	"no_submitter":         func(r *record) bool { return r.Value["submitter"] == nil && r.Value["field_errors"] == nil },
	"unreadable_test_lead": func(r *record) bool { return holds(r, "field_errors", "test_lead") },
	"consents_not_list":    func(r *record) bool { return holds(r, "field_errors", "consentResponses") },
	"answer_not_text":      func(r *record) bool { return holds(r, "field_errors", "") && holds(r, "unmapped", "nested") },
	"answer_not_object":    func(r *record) bool { return holds(r, "field_errors", "") && holds(r, "unmapped", "just a text") },
	"unknown_answer_kind": func(r *record) bool {
		return holds(r, "field_errors", "") && holds(r, "unmapped", "voiceQuestionAnswer")
	},
	"unknown_question": func(r *record) bool { return r.Value["field_errors"] == nil && holds(r, "unmapped", "question_599999") },
	"unknown_option":   func(r *record) bool { return r.Value["field_errors"] == nil && strings.Contains(text(r.Value), `"99"`) },
	"unknown_form": func(r *record) bool {
		return strings.HasSuffix(r.Topic, ".7139999999999999999") && holds(r, "unmapped", "question_")
	},
}

func holds(r *record, field, part string) bool {
	v, ok := r.Value[field].(string)
	return ok && strings.Contains(v, part)
}

// TestAwkwardLeads: late leads, the same id again, many leads of one
// millisecond, defective elements, a form that changes and one that is new,
// all while the connector runs.
func TestAwkwardLeads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: []string{"--leads", "300"}})
	c := w.run()
	w.await(30 * time.Second)

	l := w.linkedin
	for _, defect := range deadly {
		l.spoil(defect)
	}
	made := map[string]identity{}
	for defect := range odd {
		s := l.submit(object{"malformed": defect})
		made[defect] = s[0].identity()
	}
	late := l.submit(object{"count": 5, "age": "6s", "visibleAfter": "3s"})
	again := l.submit(object{"count": 3, "answers": []object{}})
	time.Sleep(1100 * time.Millisecond)
	for _, s := range again {
		l.submit(object{"id": s.ID, "form": s.FormID})
	}
	l.submit(object{"count": 400, "submittedAt": time.Now().UnixMilli()})
	l.submit(object{"submitter": "urn:li:person:planted"}) // a person's URN is an answer as well
	form := l.ledger()[0].FormID
	for _, change := range []object{
		{"what": "add_question", "text": "What is new? 🆕"},
		{"what": "add_question", "text": "Pick", "options": []string{"one", "two", "two", ""}},
		{"what": "change_options", "options": []string{"eins", "zwei"}},
		{"what": "remove_question"},
		{"what": "rename_question", "text": "Another text"},
		{"what": "change_type"},
	} {
		l.goWrong(object{"kind": "change_form", "form": form, "change": change})
		l.submit(object{"form": form, "count": 3})
	}
	l.submit(object{"form": form, "formVersion": 1, "count": 3})
	w.await(60 * time.Second)
	got := w.verify()
	for defect, says := range odd {
		i := slices.IndexFunc(got.records, func(r record) bool { return r.identity() == made[defect] })
		if i < 0 {
			t.Errorf("%s: the lead is not there", defect)
		} else if !says(&got.records[i]) {
			t.Errorf("%s: topic %s, value %s", defect, got.records[i].Topic, text(got.records[i].Value))
		}
	}
	for i := range got.records {
		r := &got.records[i]
		isLate := slices.ContainsFunc(late, func(s submission) bool { return s.identity() == r.identity() })
		if isLate && r.header("leadstream.delivery") != "late" {
			t.Errorf("a lead that appeared 9 s after its submission: delivery %q, want late", r.header("leadstream.delivery"))
		}
	}
	w.deadLetters(len(deadly))
	if code, _ := c.stop(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	c = w.run()
	l.submit(object{"count": 3})
	w.await(30 * time.Second)
	time.Sleep(2500 * time.Millisecond) // two more polls, which see the defective ones again
	w.deadLetters(len(deadly))
	w.verify()
	c.kill()
}

// deadLetters holds the dead letter topic to so many records, each of its own.
func (w *world) deadLetters(want int) {
	w.t.Helper()
	letters := consume(w.t, w.brokers, w.registry, w.name+".deadletters", "--raw").records
	keys := map[string]bool{}
	for i := range letters {
		r := &letters[i]
		keys[r.Key] = true
		for _, name := range []string{"__connect.errors.stage", "__connect.errors.class.name", "__connect.errors.exception.message", "__connect.errors.connector.name"} {
			if r.header(name) == "" {
				w.t.Errorf("dead letter %s has no header %s", r.Key, name)
			}
		}
	}
	if len(letters) != want || len(keys) != want {
		w.t.Errorf("%d dead letters with %d keys, want %d", len(letters), len(keys), want)
	}
}

// TestFormsThatComeWhileItRuns: forms that come while it runs are found, on an event or
// by their first lead.
func TestFormsThatComeWhileItRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: []string{"--leads", "100", "--organizations", "1", "--forms", "1", "--events", "1"}})
	c := w.run()
	w.await(30 * time.Second)
	owner := w.linkedin.ledger()[0].Owner
	texts := []string{"Equal", "Equal", "", "🚀🎪", strings.Repeat("Sehr lange Frage? ", 17)[:300], "lead_id", "Größe Ihres Teams", "1st choice"}
	var questions []object
	for i, q := range texts {
		questions = append(questions, object{
			"questionId": 900001 + i, "name": "Custom question", "question": object{"localized": object{"en_US": q}},
			"questionDetails": object{"textQuestionDetails": object{"maxResponseLength": 300}},
		})
	}
	const form, event = 7139000000000000001, 7209000000000000001
	w.linkedin.post("/sim/forms", object{
		"id": form, "owner": object{"organization": owner}, "name": "A form with awkward texts", "state": "PUBLISHED",
		"creationLocale": object{"country": "US", "language": "en"},
		"hiddenFields":   []object{{"name": "utm source", "value": "x"}, {"name": "", "value": "nameless"}},
		"content":        object{"headline": object{"localized": object{"en_US": "Headline"}}, "questions": questions},
	})
	w.linkedin.post("/sim/events", object{
		"id": event, "name": object{"localized": object{"en_US": "A new event"}}, "organizer": owner,
		"startsAt": time.Now().Add(24 * time.Hour).UnixMilli(), "discoveryMode": "LISTED", "entryCriteria": "PUBLIC",
		"type":        object{"online": object{"format": object{"external": object{"url": "https://events.example.com/new", "endsAt": time.Now().Add(26 * time.Hour).UnixMilli()}}}},
		"leadGenForm": "urn:li:leadGenForm:" + digits(form),
	})
	subject := "/subjects/" + w.prefix + digits(form) + "-value/versions"
	eventually(t, 20*time.Second, func() error { // before any lead
		_, err := get(w.registry + subject)
		return err
	})
	var answers []object
	for i := range texts {
		answers = append(answers, object{"questionId": 900001 + i, "text": plantedAnswer + " " + digits(int64(i))})
	}
	w.linkedin.submit(object{"form": digits(form), "count": 20, "answers": answers})
	w.await(30 * time.Second)
	w.verify()
	c.kill()
}
