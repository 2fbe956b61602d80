package linkedin

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"leadstream/internal/lead"
)

// formWire is a form while it is read: texts are chosen at the end, when the
// creation locale is known.
type formWire struct {
	form      lead.Form
	questions []questionWire
	consents  []consentWire
	options   int    // of all questions
	excess    string // what there is too much of
}

// The most that a form may have of each; LinkedIn's own have a dozen questions and
// 20 hidden fields at most. One with more is refused as a whole: without a part of
// it its leads would lose a column.
const (
	maxQuestions  = 500
	maxOptions    = 5000 // of all questions
	maxConsents   = 200
	maxHidden     = 200
	maxFormFaults = 100 // that are named
)

type questionWire struct {
	lead.Question
	text    localized
	options []optionWire
}

type optionWire struct {
	id   int64
	text localized
}

type consentWire struct {
	id   int64
	text localized
}

// decodeForm reads a leadForms element, or the form inlined in a response. A
// broken question, option, consent or hidden field is left out and noted in the
// form's Faults; it hides none of the others. Without an id, ID is empty. problem
// says why the form is of no use as a whole.
//
// Source: Lead Sync API, lead-sync-schema, leadForms.
func decodeForm(r *reader) (form lead.Form, problem string) {
	r.own = true // forms are kept
	w := &formWire{}
	if !r.open(jsontext.KindBeginObject) {
		return w.form, ""
	}
	for r.more() {
		name := r.name()
		if r.kind() == jsontext.KindNull { // as if it were left out
			r.skip()
			continue
		}
		if what := w.member(r, name); what != "" {
			w.fault(name, "is "+what)
		}
	}
	if w.excess != "" {
		return lead.Form{FormRef: w.form.FormRef}, "the form has " + w.excess
	}
	return w.finish(), ""
}

func (w *formWire) member(r *reader, name string) (what string) {
	f := &w.form
	switch name {
	case "id":
		var id string
		if id, what = r.digits(); what == "" {
			f.ID, what = formID(id)
		}
	case "versionId":
		var n int64
		if n, what = r.integer(); what == "" && n > 0 && n < 1<<31 {
			f.Version = int(n)
		}
	case "owner":
		f.Owner, what = r.urn("urn:li:")
	case "name":
		f.Name, what = r.text()
	case "state":
		f.State, what = r.text()
	case "creationLocale":
		f.Locale = decodeLocale(r)
	case "hiddenFields":
		w.each(r, name, w.hidden)
	case "content":
		w.content(r)
	default:
		r.skip()
	}
	return what
}

// formID is the form's number, from digits or a URN.
func formID(s string) (id, what string) {
	if lead.Digits(s) {
		return s, ""
	}
	if ref, err := lead.ParseFormURN(s); err == nil {
		return ref.ID, ""
	}
	return "", "no form's number"
}

func (w *formWire) fault(field, problem string) {
	if len(w.form.Faults) < maxFormFaults {
		w.form.Faults = append(w.form.Faults, lead.Fault{Field: field, Problem: problem})
	}
}

// within notes that the form has more of something than it may have.
func (w *formWire) within(n, most int, what string) bool {
	if n < most {
		return true
	}
	w.excess = fmt.Sprintf("more than %d %s", most, what)
	return false
}

// each reads a list of objects, one by one.
func (w *formWire) each(r *reader, field string, read func(r *reader) (problem string)) {
	if k := r.kind(); k != jsontext.KindBeginArray {
		r.skip()
		if k != jsontext.KindNull {
			w.fault(field, "is "+kindName(k))
		}
		return
	}
	i := -1
	for r.open(jsontext.KindBeginArray); r.more(); {
		i++
		var problem string
		if w.excess != "" {
			r.skip()
		} else if k := r.kind(); k == jsontext.KindBeginObject {
			problem = read(r)
		} else {
			r.skip()
			problem = "is " + kindName(k)
		}
		if problem != "" {
			w.fault(field+"["+strconv.Itoa(i)+"]", problem)
		}
	}
}

func (w *formWire) content(r *reader) {
	if k := r.kind(); k != jsontext.KindBeginObject {
		r.skip()
		w.fault("content", "is "+kindName(k))
		return
	}
	for r.open(jsontext.KindBeginObject); r.more(); {
		switch r.name() {
		case "questions":
			w.each(r, "content.questions", w.question)
		case "legalInfo":
			w.legal(r)
		default:
			r.skip()
		}
	}
}

func (w *formWire) legal(r *reader) {
	if !r.open(jsontext.KindBeginObject) {
		return
	}
	for r.more() {
		if r.name() == "consents" {
			w.each(r, "content.legalInfo.consents", w.consent)
		} else {
			r.skip()
		}
	}
}

func (w *formWire) question(r *reader) (problem string) {
	var q questionWire
	problem = "questionId " + missing
	for r.open(jsontext.KindBeginObject); r.more(); {
		switch r.name() {
		case "questionId":
			problem = ""
			if id, what := r.integer(); what != "" {
				problem = "questionId is " + what
			} else {
				q.ID = id
			}
		case "question":
			q.text, _ = decodeLocalized(r)
		case "predefinedField":
			q.Predefined, _ = r.text()
		case "questionDetails":
			w.details(r, &q)
		default:
			r.skip()
		}
	}
	if problem == "" && w.within(len(w.questions), maxQuestions, "questions") {
		w.questions = append(w.questions, q)
	}
	return problem
}

// details tells the kind of a question; one that LinkedIn added later stays
// unknown.
func (w *formWire) details(r *reader, q *questionWire) {
	if !r.open(jsontext.KindBeginObject) {
		return
	}
	for r.more() {
		switch r.name() {
		case "textQuestionDetails":
			q.Kind = lead.TextAnswer
			r.skip()
		case "multipleChoiceQuestionDetails":
			q.Kind = lead.ChoiceAnswer
			if !r.open(jsontext.KindBeginObject) {
				continue
			}
			for r.more() {
				if r.name() != "options" {
					r.skip()
					continue
				}
				w.each(r, "content.questions.options", func(r *reader) string { return w.option(r, q) })
			}
		default:
			r.skip()
		}
	}
}

func (w *formWire) option(r *reader, q *questionWire) (problem string) {
	id, t, problem := decodeNumbered(r, "id", "text")
	if problem == "" && w.within(w.options, maxOptions, "options") {
		w.options++
		q.options = append(q.options, optionWire{id, t})
	}
	return problem
}

func (w *formWire) consent(r *reader) (problem string) {
	id, t, problem := decodeNumbered(r, "id", "consent")
	if problem == "" && w.within(len(w.consents), maxConsents, "consents") {
		w.consents = append(w.consents, consentWire{id, t})
	}
	return problem
}

// decodeNumbered reads an object with a number and a localized text. Without
// the number it is of no use.
func decodeNumbered(r *reader, idName, textName string) (id int64, t localized, problem string) {
	problem = idName + " " + missing
	for r.open(jsontext.KindBeginObject); r.more(); {
		switch r.name() {
		case idName:
			var what string
			problem = ""
			if id, what = r.integer(); what != "" {
				problem = idName + " is " + what
			}
		case textName:
			t, _ = decodeLocalized(r)
		default:
			r.skip()
		}
	}
	return id, t, problem
}

func (w *formWire) hidden(r *reader) (problem string) {
	var h lead.HiddenField
	var name, value string
	for r.open(jsontext.KindBeginObject); r.more(); {
		switch r.name() {
		case "name":
			h.Name, name = r.text()
		case "value":
			h.Value, value = r.text()
		default:
			r.skip()
		}
	}
	for field, what := range map[string]string{"name": name, "value": value} {
		if what != "" && what != kindName(jsontext.KindNull) {
			return fmt.Sprintf("%s is %s", field, what)
		}
	}
	if w.within(len(w.form.Hidden), maxHidden, "hidden fields") {
		w.form.Hidden = append(w.form.Hidden, h)
	}
	return ""
}

// finish chooses the texts.
func (w *formWire) finish() lead.Form {
	f := w.form
	for _, q := range w.questions {
		q.Text = q.text.in(f.Locale)
		for _, o := range q.options {
			q.Options = append(q.Options, lead.Option{ID: o.id, Text: o.text.in(f.Locale)})
		}
		f.Questions = append(f.Questions, q.Question)
	}
	for _, c := range w.consents {
		f.Consents = append(f.Consents, lead.Consent{ID: c.id, Text: c.text.in(f.Locale)})
	}
	return f
}
