package linkedinsim

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// LeadSpec says which leads to make. Everything is optional: the zero value is
// one lead of one of the events, submitted and visible now.
type LeadSpec struct {
	Count int `json:"count,omitempty"` // default 1
	// Form is the id or a URN of the form answered; a versioned URN or
	// FormVersion picks an older version. Default: the event's form.
	Form        string `json:"form,omitempty"`
	FormVersion int    `json:"formVersion,omitempty"`
	// Event is the id or URN of the event. Default: one that uses the form.
	Event string `json:"event,omitempty"`
	// Owner is the id or URN of an organization, to pick among its events.
	Owner string `json:"owner,omitempty"`
	// LeadType is EVENT (default), COMPANY or ORGANIZATION_PRODUCT.
	LeadType string `json:"leadType,omitempty"`
	// ID is the lead's id; an id that exists already is a member who registers
	// again. Default: a new one.
	ID string `json:"id,omitempty"`
	// SubmittedAt is when the member pressed submit; default now, less Age. Of
	// several leads all have the same time, or are Every apart, oldest first.
	SubmittedAt time.Time     `json:"submittedAt,omitzero"`
	Age         time.Duration `json:"age,omitempty"`
	Every       time.Duration `json:"every,omitempty"`
	// VisibleAfter is how long from now (from SubmittedAt, when that is later)
	// the lead does not appear in the API.
	VisibleAfter time.Duration `json:"visibleAfter,omitempty"`
	TestLead     bool          `json:"testLead,omitempty"`
	// Submitter is the URN of the member.
	Submitter string `json:"submitter,omitempty"`
	// Answers and Consents are given in this order; nil means made up.
	Answers  []Answer        `json:"answers,omitempty"`
	Consents []ConsentAnswer `json:"consents,omitempty"`
	// Malformed makes the element defective in one way.
	Malformed Malformation `json:"malformed,omitempty"`
}

// Answer is the answer to one question. It is a choice when Options is not nil,
// what Raw holds when Raw is not nil, else a text.
type Answer struct {
	QuestionID int64  `json:"questionId"`
	Text       string `json:"text,omitempty"`
	Options    []int  `json:"options,omitzero"`
	// OptionTexts are the options' texts in the version answered, in the form's
	// locale; an unknown option has none. Given by the ledger, ignored otherwise.
	OptionTexts []string `json:"optionTexts,omitempty"`
	// Raw is the answerDetails object as it is sent.
	Raw json.RawMessage `json:"raw,omitempty"`
}

// ConsentAnswer says whether a consent was given.
type ConsentAnswer struct {
	ConsentID int  `json:"consentId"`
	Accepted  bool `json:"accepted"`
}

// Malformation is one way in which an element of leadFormResponses is defective.
type Malformation string

// The malformations.
const (
	NoID              Malformation = "no_id"
	IDNotText         Malformation = "id_not_text"
	NoTime            Malformation = "no_time"
	UnreadableTime    Malformation = "unreadable_time"
	NotAnObject       Malformation = "not_an_object"
	NoFormResponse    Malformation = "no_form_response"
	AnswersNotList    Malformation = "answers_not_list"
	NoForm            Malformation = "no_form"
	UnreadableForm    Malformation = "unreadable_form"
	UnknownForm       Malformation = "unknown_form"
	NoEvent           Malformation = "no_event"
	NoSubmitter       Malformation = "no_submitter"
	UnreadableTest    Malformation = "unreadable_test_lead"
	ConsentsNotList   Malformation = "consents_not_list"
	AnswerNotText     Malformation = "answer_not_text"
	AnswerNotObject   Malformation = "answer_not_object"
	UnknownAnswerKind Malformation = "unknown_answer_kind"
	UnknownQuestion   Malformation = "unknown_question"
	UnknownOption     Malformation = "unknown_option"
)

// The contradictions: what they say is another's, while they are listed by the
// lead's own time, owner and type.
const (
	TimeInSeconds Malformation = "time_in_seconds"
	TimeFarAhead  Malformation = "time_far_ahead" // in the year 3000
	TimeOff       Malformation = "time_off"       // by a minute
	OtherOwner    Malformation = "other_owner"
	OtherLeadType Malformation = "other_lead_type"
)

// Malformations are all of them.
func Malformations() []Malformation {
	return []Malformation{
		NoID, IDNotText, NoTime, UnreadableTime, NotAnObject, NoFormResponse, AnswersNotList, NoForm,
		UnreadableForm, UnknownForm, NoEvent, NoSubmitter, UnreadableTest, ConsentsNotList,
		AnswerNotText, AnswerNotObject, UnknownAnswerKind, UnknownQuestion, UnknownOption,
	}
}

// Contradictions are further ones: such an element is whole, and not what the
// request that it is the answer to asked for.
func Contradictions() []Malformation {
	return []Malformation{TimeInSeconds, TimeFarAhead, TimeOff, OtherOwner, OtherLeadType}
}

// unknownQuestionID is on no generated form.
const unknownQuestionID = 599999

// unknownFormID is no form, strangersURN no organization of the member's.
const (
	unknownFormID = 7139999999999999999
	strangersURN  = "urn:li:organization:9999999"
)

// bend changes the answers where the defect lies in one of them.
func (m Malformation) bend(answers []Answer, f *Form) []Answer {
	spoil := func(raw string) []Answer {
		if len(answers) > 0 {
			answers[0] = Answer{QuestionID: answers[0].QuestionID, Raw: json.RawMessage(raw)}
		}
		return answers
	}
	switch m {
	case AnswerNotText:
		return spoil(`{"textQuestionAnswer":{"answer":{"nested":["a","b"]}}}`)
	case AnswerNotObject:
		return spoil(`"just a text"`)
	case UnknownAnswerKind:
		return spoil(`{"voiceQuestionAnswer":{"seconds":7}}`)
	case UnknownQuestion:
		return append(answers, Answer{QuestionID: unknownQuestionID, Text: "to a question that is not on the form"})
	case UnknownOption:
		i := slices.IndexFunc(answers, func(a Answer) bool { return a.Options != nil })
		if i < 0 {
			return answers
		}
		options := append(slices.Clone(answers[i].Options), 99)
		answers[i] = Answer{QuestionID: answers[i].QuestionID, Options: options, OptionTexts: f.optionTexts(answers[i].QuestionID, options)}
		return answers
	default: // the defect lies elsewhere in the element
		return answers
	}
}

// optionTexts are the texts of the options that the question has.
func (f *Form) optionTexts(question int64, options []int) []string {
	q := f.question(question)
	if q == nil || q.Details.Choice == nil {
		return nil
	}
	var texts []string
	for _, id := range options {
		for _, o := range q.Details.Choice.Options {
			if o.ID == id {
				texts = append(texts, o.Text.text(f.CreationLocale))
			}
		}
	}
	return texts
}

func (s LeadSpec) validate() error {
	if s.Count < 0 || s.Count > maxLeads {
		return fmt.Errorf("count is %d, must be between 1 and %d", s.Count, maxLeads)
	}
	if known := slices.Concat(Malformations(), Contradictions()); s.Malformed != "" && !slices.Contains(known, s.Malformed) {
		return fmt.Errorf("malformed is %q, must be one of %q", s.Malformed, known)
	}
	if s.VisibleAfter < 0 || s.Age < 0 || s.Every < 0 {
		return fmt.Errorf("visibleAfter, age and every must not be negative")
	}
	if k, ok := parseLeadType(s.LeadType); s.LeadType != "" && (!ok || k == kindSponsored) {
		return fmt.Errorf("leadType is %q, must be one of %q", s.LeadType, leadTypes[:kindSponsored])
	}
	for _, a := range s.Answers {
		if a.Raw != nil && !json.Valid(a.Raw) {
			return fmt.Errorf("the raw answer to question %d is not JSON", a.QuestionID)
		}
	}
	return nil
}
