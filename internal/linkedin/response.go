package linkedin

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json/jsontext"

	"leadstream/internal/lead"
)

// responses decodes elements of leadFormResponses. Each element, and each part
// of it, is read for itself: what is broken is marked and hides nothing else.
// It serves one page, and one goroutine.
//
// Source: Lead Sync API, lead-sync-schema, leadFormResponses.
type responses struct {
	source  lead.Source // of elements that do not name theirs
	fetched time.Time

	// Pages repeat a few forms and events: their URNs are parsed once, and are
	// copies, since callers keep them for longer than a page.
	forms  map[string]lead.FormRef
	events map[string]string
	// The lists of all elements of a page are cut from common blocks.
	answers  []lead.Answer
	options  []int64
	consents []lead.ConsentAnswer
	// parts are how many members the lists of the element being read have so far.
	parts int
}

const (
	// maxElement is how long an element may be: Kafka takes no longer record
	// without being told to.
	maxElement = 1 << 20
	// maxParts bounds the members of an element's lists together: answers, chosen
	// options, consents. Forms have about a dozen questions.
	maxParts = 500
	// maxFaults bounds the parts of an element that are named as unreadable.
	maxFaults = 100
	// maxID bounds the length of an id, which is a key in Kafka.
	maxID = 512
)

// The places in an element where it can be unreadable altogether.
const (
	fieldID           = "id"
	fieldSubmittedAt  = "submittedAt"
	fieldForm         = "versionedLeadGenFormUrn"
	fieldFormResponse = "formResponse"
	fieldAnswers      = "formResponse.answers"
	fieldConsents     = "formResponse.consentResponses"
)

// decode reads the element at the reader's position, with its key.
func (d *responses) decode(r *reader) (lead.Response, uint64) {
	start := r.start()
	d.parts = 0
	out := lead.Response{Owner: d.source.Owner, Type: d.source.Type, FetchedAt: d.fetched}
	if kind := r.kind(); kind != jsontext.KindBeginObject {
		out.Unreadable = "the element is " + kindName(kind) + ", not an object"
		r.skip()
	} else {
		d.element(r, &out)
	}
	if out.Raw = r.since(start); len(out.Raw) > maxElement {
		tooLong(&out)
	}
	return out, keyOf(&out)
}

// keyOf is what makes a row the same row: its id and time, or its bytes where it
// lacks one of them.
func keyOf(out *lead.Response) uint64 {
	if out.ID == "" || out.SubmittedAt.IsZero() {
		return xxhash.Sum64(out.Raw)
	}
	return bits.RotateLeft64(xxhash.Sum64String(out.ID), 17) ^ uint64(out.SubmittedAt.UnixMilli())*0x9E3779B97F4A7C15
}

func (d *responses) element(r *reader, out *lead.Response) {
	need := [...]struct{ field, problem string }{
		{fieldID, missing}, {fieldSubmittedAt, missing}, {fieldForm, missing}, {fieldFormResponse, missing},
	}
	for r.open(jsontext.KindBeginObject); r.more(); {
		switch name := r.name(); name {
		case fieldID:
			out.ID, need[0].problem = d.id(r)
		case fieldSubmittedAt:
			out.SubmittedAt, need[1].problem = d.time(r)
		case fieldForm:
			out.Form, need[2].problem = d.form(r)
		case fieldFormResponse:
			need[3].field, need[3].problem = d.formResponse(r, out)
		default:
			d.detail(r, out, name)
		}
	}
	for _, n := range need {
		if n.problem == "" {
			continue
		}
		if out.Unreadable != "" {
			out.Unreadable += "; "
		}
		out.Unreadable += n.field + " " + n.problem
	}
	if d.parts > maxParts {
		out.Unreadable = fmt.Sprintf("its answers, options and consents are more than %d", maxParts)
		out.Answers, out.Consents = nil, nil
	}
}

// another makes room for one more member of the element's lists; false when there
// is none.
func (d *responses) another() bool {
	d.parts++
	return d.parts <= maxParts
}

// addFault notes a part of the element that cannot be read.
func addFault(out *lead.Response, field, problem string) {
	if len(out.Faults) < maxFaults {
		out.Faults = append(out.Faults, lead.Fault{Field: field, Problem: problem})
	}
}

const missing = "is missing"

// detail reads a member that a lead can do without. Members that are not known
// pass: LinkedIn adds some without a new version of its API.
func (d *responses) detail(r *reader, out *lead.Response, name string) {
	if r.kind() == jsontext.KindNull { // as if it were left out
		r.skip()
		return
	}
	var what string
	switch name {
	case "owner":
		var owner string
		if owner, what = r.urn("urn:li:"); what == "" && owner == "" {
			what = "no URN"
		}
		if what == "" && owner != out.Owner {
			out.Owner = owner
		}
	case "leadType":
		var kind string
		if kind, what = r.text(); kind != "" && kind != out.Type {
			out.Type = kind
		}
	case "submitter":
		out.Submitter, what = r.text()
	case "testLead":
		out.Test, what = r.boolean()
	case "associatedEntity":
		// The member's name is not settled, the URN's beginning is.
		out.Event, what = d.event(r)
	default:
		r.skip()
		return
	}
	if what != "" {
		addFault(out, name, "is "+what)
	}
}

func (d *responses) id(r *reader) (id, problem string) {
	id, what := r.digits()
	switch {
	case what != "":
		return "", "is " + what
	case id == "":
		return "", "is empty"
	case len(id) > maxID:
		return "", "is longer than an id"
	}
	return id, ""
}

// lastMillis is the end of the year 9999, the last that RFC 3339 can write.
const lastMillis = 253402300799999

func (d *responses) time(r *reader) (t time.Time, problem string) {
	ms, what := r.integer()
	switch {
	case what != "":
		return t, "is " + what
	case ms <= 0 || ms > lastMillis:
		return t, "is no time in epoch milliseconds"
	}
	return lead.FromMillis(ms), ""
}

func (d *responses) form(r *reader) (ref lead.FormRef, problem string) {
	urn, what := r.text()
	if what != "" {
		return ref, "is " + what
	}
	if known, ok := d.forms[urn]; ok {
		return known, ""
	}
	urn = strings.Clone(urn)
	ref, err := lead.ParseFormURN(urn)
	if err != nil {
		return ref, "is not the URN of a lead form"
	}
	if d.forms == nil {
		d.forms = map[string]lead.FormRef{}
	}
	d.forms[urn] = ref
	return ref, ""
}

func (d *responses) event(r *reader) (urn, what string) {
	urn, what = r.urn("urn:li:event:")
	if urn == "" {
		return "", what
	}
	if known, ok := d.events[urn]; ok {
		return known, ""
	}
	if d.events == nil {
		d.events = map[string]string{}
	}
	urn = strings.Clone(urn)
	d.events[urn] = urn
	return urn, ""
}

// formResponse reads the answers and consents. A list of answers that is left
// out or null is one without answers; anything else but a list is a problem.
func (d *responses) formResponse(r *reader, out *lead.Response) (field, problem string) {
	field = fieldFormResponse
	if k := r.kind(); k != jsontext.KindBeginObject {
		r.skip()
		return field, "is " + kindName(k)
	}
	for r.open(jsontext.KindBeginObject); r.more(); {
		name, kind := r.name(), r.kind()
		switch {
		case name == "answers" && kind == jsontext.KindBeginArray:
			d.answerList(r, out)
		case name == "consentResponses" && kind == jsontext.KindBeginArray:
			d.consentList(r, out)
		case name == "answers" && kind != jsontext.KindNull:
			field, problem = fieldAnswers, "is "+kindName(kind)
			r.skip()
		case name == "consentResponses" && kind != jsontext.KindNull:
			addFault(out, fieldConsents, "is "+kindName(kind))
			r.skip()
		default:
			r.skip()
		}
	}
	return field, problem
}

// block is how many members a block for the lists of a page's elements has.
const block = 512

// roomFor is the block with room for one more member of the list that begins at
// from. Where there is none the list moves to a new block, and no other with it.
func roomFor[T any](list []T, from int) ([]T, int) {
	if len(list) < cap(list) {
		return list, from
	}
	moved := make([]T, len(list)-from, max(block, 2*(len(list)-from)))
	copy(moved, list[from:])
	return moved, 0
}

func (d *responses) answerList(r *reader, out *lead.Response) {
	if cap(d.answers)-len(d.answers) < 16 {
		d.answers = make([]lead.Answer, 0, block)
	}
	from := len(d.answers)
	for r.open(jsontext.KindBeginArray); r.more(); {
		if !d.another() {
			r.skip()
			continue
		}
		d.answers, from = roomFor(d.answers, from)
		d.answers = append(d.answers, lead.Answer{})
		d.answer(r, &d.answers[len(d.answers)-1])
	}
	out.Answers = d.answers[from:len(d.answers):len(d.answers)]
}

// answer reads one answer. Without a question it keeps the whole element, so
// that nothing of it is lost.
func (d *responses) answer(r *reader, out *lead.Answer) {
	start := r.start()
	if k := r.kind(); k != jsontext.KindBeginObject {
		out.Raw, out.Problem = r.raw(), "the answer is "+kindName(k)
		return
	}
	asked, problem := missing, missing
	for r.open(jsontext.KindBeginObject); r.more(); {
		switch r.name() {
		case "questionId":
			if out.QuestionID, asked = r.integer(); asked != "" {
				asked = "is " + asked
			}
		case "answerDetails":
			problem = d.details(r, out)
		default:
			r.skip()
		}
	}
	switch {
	case asked != "":
		*out = lead.Answer{Raw: r.since(start), Problem: "questionId " + asked}
	case problem != "":
		*out = lead.Answer{QuestionID: out.QuestionID, Raw: out.Raw, Problem: "answerDetails " + problem}
	}
}

// details reads the union answerDetails; with a problem the answer keeps it raw.
func (d *responses) details(r *reader, out *lead.Answer) (problem string) {
	start := r.start()
	if k := r.kind(); k != jsontext.KindBeginObject {
		out.Raw = r.raw()
		return "is " + kindName(k)
	}
	problem = "holds no known kind of answer"
	for r.open(jsontext.KindBeginObject); r.more(); {
		switch r.name() {
		case "textQuestionAnswer":
			out.Kind, problem = lead.TextAnswer, d.textAnswer(r, out)
		case "multipleChoiceAnswer":
			out.Kind, problem = lead.ChoiceAnswer, d.choiceAnswer(r, out)
		default:
			r.skip()
		}
	}
	if problem != "" {
		out.Raw = r.since(start)
	}
	return problem
}

func (d *responses) textAnswer(r *reader, out *lead.Answer) (problem string) {
	if k := r.kind(); k != jsontext.KindBeginObject {
		r.skip()
		return "textQuestionAnswer is " + kindName(k)
	}
	problem = "textQuestionAnswer.answer " + missing
	for r.open(jsontext.KindBeginObject); r.more(); {
		if r.name() != "answer" {
			r.skip()
			continue
		}
		var what string
		if out.Text, what = r.text(); what == "" {
			problem = ""
		} else {
			problem = "textQuestionAnswer.answer is " + what
		}
	}
	return problem
}

func (d *responses) choiceAnswer(r *reader, out *lead.Answer) (problem string) {
	if k := r.kind(); k != jsontext.KindBeginObject {
		r.skip()
		return "multipleChoiceAnswer is " + kindName(k)
	}
	problem = "multipleChoiceAnswer.options " + missing
	for r.open(jsontext.KindBeginObject); r.more(); {
		switch name, kind := r.name(), r.kind(); {
		case name != "options":
			r.skip()
		case kind != jsontext.KindBeginArray:
			problem = "multipleChoiceAnswer.options is " + kindName(kind)
			r.skip()
		default:
			out.Options, problem = d.optionList(r)
		}
	}
	return problem
}

func (d *responses) optionList(r *reader) (ids []int64, problem string) {
	if cap(d.options)-len(d.options) < 16 {
		d.options = make([]int64, 0, block)
	}
	from := len(d.options)
	for r.open(jsontext.KindBeginArray); r.more(); {
		if !d.another() {
			r.skip()
			continue
		}
		id, what := r.integer()
		if what != "" {
			problem = "multipleChoiceAnswer.options holds " + what
			continue
		}
		d.options, from = roomFor(d.options, from)
		d.options = append(d.options, id)
	}
	return d.options[from:len(d.options):len(d.options)], problem
}

func (d *responses) consentList(r *reader, out *lead.Response) {
	if cap(d.consents)-len(d.consents) < 8 {
		d.consents = make([]lead.ConsentAnswer, 0, block)
	}
	from := len(d.consents)
	i := -1
	for r.open(jsontext.KindBeginArray); r.more(); {
		if i++; !d.another() {
			r.skip()
			continue
		}
		start := r.start()
		c, problem := decodeConsent(r)
		if problem != "" { // of which consent is not known
			addFault(out, fmt.Sprintf("%s[%d]", fieldConsents, i), problem)
			continue
		}
		if c.Problem != "" {
			c.Raw = r.since(start)
		}
		d.consents, from = roomFor(d.consents, from)
		d.consents = append(d.consents, c)
	}
	out.Consents = d.consents[from:len(d.consents):len(d.consents)]
}

// decodeConsent reads one consent. The problem is one of the whole, or of its id; one of
// the answer is c's own.
func decodeConsent(r *reader) (c lead.ConsentAnswer, problem string) {
	if k := r.kind(); k != jsontext.KindBeginObject {
		r.skip()
		return c, "is " + kindName(k)
	}
	id, accepted := missing, missing
	for r.open(jsontext.KindBeginObject); r.more(); {
		switch r.name() {
		case "consentId":
			if c.ConsentID, id = r.integer(); id != "" {
				id = "is " + id
			}
		case "accepted":
			if c.Accepted, accepted = r.boolean(); accepted != "" {
				accepted = "is " + accepted
			}
		default:
			r.skip()
		}
	}
	switch {
	case id != "":
		return c, "consentId " + id
	case accepted != "":
		c.Problem = "accepted " + accepted
	}
	return c, ""
}
