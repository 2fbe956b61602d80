package schema

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"leadstream/internal/lead"
)

// Why a column is null or not as it came.
const (
	whyUnreadable = "the answer is of a kind that is not known"
	whyOptions    = "answered with options, but the question takes text"
	whyText       = "answered with text, but the question has options"
	whyTwice      = "answered more than once: the first readable answer counts, the others are in unmapped"
	whyNotUTF8    = "held bytes that are not UTF-8, which became U+FFFD"
	whyVersion    = "the form version that was answered is not known"
)

// pathColumns are the columns that parts of a response go to, by JSON path.
// Source: Lead Sync API, leadFormResponses.
var pathColumns = map[string]string{
	"leadType": "lead_type", "owner": "owner", "submitter": "submitter",
	"associatedEntity": "event", "testLead": "test_lead",
}

// pathConsents is where the consents stand.
const pathConsents = "formResponse.consentResponses"

// gather finds the column of every answer and notes what has none or cannot
// be read.
func (s *scratch) gather(c *Codec, r *lead.Response) {
	for _, f := range r.Faults {
		first, _, _ := strings.Cut(f.Field, ".")
		if name, ok := pathColumns[first]; ok {
			f.Field = name
		}
		if !strings.HasPrefix(f.Field, pathConsents) {
			s.fault(f.Field, f.Problem)
		}
	}
	s.checkFixed(r)
	for i := range r.Answers {
		s.answer(c, r, i)
	}
	for i := range r.Consents {
		s.consent(c, r, i)
	}
	s.lostConsents(c, r)
	if len(c.hidden) > 0 && !c.known.has(r.Form.Version) {
		for _, i := range c.hidden {
			if _, ok := c.columns[i].at(r.Form.Version); !ok {
				s.fault(c.columns[i].name, whyVersion)
			}
		}
	}
}

// checkFixed looks for texts that are not UTF-8.
func (s *scratch) checkFixed(r *lead.Response) {
	s.checkText("lead_id", r.ID)
	s.checkText("lead_type", r.Type)
	s.checkText("owner", r.Owner)
	s.checkText("event", r.Event)
	s.checkText("submitter", r.Submitter)
}

func (s *scratch) checkText(name, text string) {
	if !utf8.ValidString(text) {
		s.repair = true
		s.fault(name, whyNotUTF8)
	}
}

func (s *scratch) answer(c *Codec, r *lead.Response, i int) {
	a := &r.Answers[i]
	q, ok := c.question(a.QuestionID)
	if !ok {
		s.unmapped = append(s.unmapped, stray{"question_", a.QuestionID, answerJSON(a)})
		return
	}
	at, why := q.latest, ""
	switch a.Kind {
	case lead.TextAnswer:
		at, why = q.text, whyText
	case lead.ChoiceAnswer:
		at, why = q.choice, whyOptions
	case lead.UnknownAnswer:
		at, why = -1, whyUnreadable
		if a.Problem != "" {
			why = a.Problem
		}
	}
	switch {
	case at < 0:
		at = c.asked(q, r.Form.Version)
	case s.from[at] != 0:
		why = whyTwice
	default:
		s.from[at] = int32(i + 1)
		if a.Kind == lead.TextAnswer {
			s.checkText(c.columns[at].name, a.Text)
		}
		return
	}
	s.fault(c.columns[at].name, why)
	s.unmapped = append(s.unmapped, stray{"question_", a.QuestionID, answerJSON(a)})
}

func (s *scratch) consent(c *Codec, r *lead.Response, i int) {
	given := r.Consents[i]
	at, ok := c.consent(given.ConsentID)
	switch {
	case !ok && given.Problem != "":
		s.fault("consent_"+strconv.FormatInt(given.ConsentID, 10), given.Problem)
	case !ok:
	case given.Problem != "":
		s.fault(c.columns[at].name, given.Problem)
	case s.from[at] != 0:
		s.fault(c.columns[at].name, whyTwice)
	default:
		s.from[at] = int32(i + 1)
		return
	}
	said := rawJSON(given.Raw)
	if given.Problem == "" {
		said = []byte(`{"accepted":` + strconv.FormatBool(given.Accepted) + `}`)
	}
	s.unmapped = append(s.unmapped, stray{"consent_", given.ConsentID, said})
}

// lostConsents notes what cannot be read of the consents without saying of which: it
// may be of any that is null, and so it stands under each of those.
func (s *scratch) lostConsents(c *Codec, r *lead.Response) {
	for _, f := range r.Faults {
		if !strings.HasPrefix(f.Field, pathConsents) {
			continue
		}
		told := false
		for _, consent := range c.consents {
			if s.from[consent.at] == 0 {
				s.fault(c.columns[consent.at].name, f.Field+" "+f.Problem)
				told = true
			}
		}
		if !told {
			s.fault(f.Field, f.Problem)
		}
	}
}

// fault notes why a column is not what was sent; the first reason counts.
func (s *scratch) fault(field, problem string) {
	if !slices.ContainsFunc(s.faults, func(f lead.Fault) bool { return f.Field == field }) {
		s.faults = append(s.faults, lead.Fault{Field: field, Problem: problem})
	}
}

// stray is one entry of unmapped.
type stray struct {
	prefix string
	id     int64
	json   []byte
}

// unmappedText is the column unmapped, empty when there is nothing to say.
// Every further entry of one key gets _2, _3, …: none may hide another.
func unmappedText(entries []stray) string {
	if len(entries) == 0 {
		return ""
	}
	out := []byte{'{'}
	for i, e := range entries {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(append(append(out, '"'), e.prefix...), e.id, 10)
		before := 0
		for _, other := range entries[:i] {
			if other.prefix == e.prefix && other.id == e.id {
				before++
			}
		}
		if before > 0 {
			out = strconv.AppendInt(append(out, '_'), int64(before+1), 10)
		}
		out = append(append(out, '"', ':'), e.json...)
	}
	return string(append(out, '}'))
}

// faultsText is the column field_errors, empty when there is nothing to say.
func faultsText(faults []lead.Fault) string {
	if len(faults) == 0 {
		return ""
	}
	out := []byte{'{'}
	for i, f := range faults {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendJSONString(out, f.Field), ':')
		out = appendJSONString(out, f.Problem)
	}
	return string(append(out, '}'))
}

// answerJSON is the answerDetails of an answer as LinkedIn writes them.
// Source: Lead Sync API, leadFormResponses, formResponse.answers.
func answerJSON(a *lead.Answer) []byte {
	switch a.Kind {
	case lead.TextAnswer:
		out := appendJSONString([]byte(`{"textQuestionAnswer":{"answer":`), a.Text)
		return append(out, '}', '}')
	case lead.ChoiceAnswer:
		out := []byte(`{"multipleChoiceAnswer":{"options":[`)
		for i, id := range a.Options {
			if i > 0 {
				out = append(out, ',')
			}
			out = strconv.AppendInt(out, id, 10)
		}
		return append(out, ']', '}', '}')
	case lead.UnknownAnswer:
	}
	return rawJSON(a.Raw)
}

// rawJSON is what LinkedIn sent, as JSON whatever it was.
func rawJSON(sent []byte) []byte {
	if len(sent) == 0 {
		return []byte("null")
	}
	if raw := wellFormedBytes(sent); json.Valid(raw) {
		return raw
	}
	return appendJSONString(nil, string(sent))
}
