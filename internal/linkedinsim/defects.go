package linkedinsim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

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

// Malformations are those whose element cannot be read as a whole.
func Malformations() []Malformation { return malformations(false) }

// Contradictions are further ones: such an element is whole, and not what the
// request that it is the answer to asked for.
func Contradictions() []Malformation { return malformations(true) }

func malformations(contradict bool) []Malformation {
	var list []Malformation
	for _, d := range defects {
		if d.contradicts == contradict {
			list = append(list, d.name)
		}
	}
	return list
}

// defect is what a malformation does to an element: it prints another value in
// the place of a member, none when the value is empty, or changes the answers.
type defect struct {
	name        Malformation
	contradicts bool
	member      string // a path; "" for the whole element
	value       func(*World, uint32) string
	answers     func([]Answer) []Answer
}

var defects = []defect{
	{name: NoID, member: "id", value: always("")},
	{name: IDNotText, member: "id", value: func(_ *World, n uint32) string { return fmt.Sprintf(`{"number":%d}`, n) }},
	{name: NoTime, member: "submittedAt", value: always("")},
	{name: UnreadableTime, member: "submittedAt", value: always(`"yesterday"`)},
	{name: NotAnObject, value: always(`"not an object"`)},
	{name: NoFormResponse, member: "formResponse", value: always("")},
	{name: AnswersNotList, member: "formResponse.answers", value: always(`{"510001":"Lead"}`)},
	{name: NoForm, member: "versionedLeadGenFormUrn", value: always("")},
	{name: UnreadableForm, member: "versionedLeadGenFormUrn", value: always(`"urn:li:versionedLeadGenForm:broken"`)},
	{name: UnknownForm, member: "versionedLeadGenFormUrn", value: func(w *World, _ uint32) string {
		return string(mustJSON(versionedFormURN(unknownFormID, 1, w.switches.BlankInFormURN)))
	}},
	{name: NoEvent, member: "associatedEntity", value: always("")},
	{name: NoSubmitter, member: "submitter", value: always("")},
	{name: UnreadableTest, member: "testLead", value: always(`"perhaps"`)},
	{name: ConsentsNotList, member: "formResponse.consentResponses", value: always(`"yes"`)},
	{name: AnswerNotText, answers: firstAnswer(`{"textQuestionAnswer":{"answer":{"nested":["a","b"]}}}`)},
	{name: AnswerNotObject, answers: firstAnswer(`"just a text"`)},
	{name: UnknownAnswerKind, answers: firstAnswer(`{"voiceQuestionAnswer":{"seconds":7}}`)},
	{name: UnknownQuestion, answers: func(list []Answer) []Answer {
		return append(list, Answer{QuestionID: unknownQuestionID, Text: "to a question that is not on the form"})
	}},
	{name: UnknownOption, answers: unknownOption},

	{name: TimeInSeconds, contradicts: true, member: "submittedAt", value: otherTime(func(t int64) int64 { return t / 1000 })},
	{name: TimeFarAhead, contradicts: true, member: "submittedAt", value: otherTime(func(t int64) int64 {
		return time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() + t%1_000_000
	})},
	{name: TimeOff, contradicts: true, member: "submittedAt", value: otherTime(func(t int64) int64 { return t - time.Minute.Milliseconds() })},
	{name: OtherOwner, contradicts: true, member: "owner", value: always(`{"organization":"urn:li:organization:9999999"}`)},
	{name: OtherLeadType, contradicts: true, member: "leadType", value: func(w *World, n uint32) string {
		return strconv.Quote(((w.rows[n].kind + 1) % kindSponsored).String())
	}},
}

const (
	unknownQuestionID = 599999              // is on no generated form
	unknownFormID     = 7139999999999999999 // is no form
)

// defectOf is the defect of a name, nil when there is none.
func defectOf(name Malformation) *defect {
	i := slices.IndexFunc(defects, func(d defect) bool { return d.name == name })
	if i < 0 {
		return nil
	}
	return &defects[i]
}

func always(text string) func(*World, uint32) string {
	return func(*World, uint32) string { return text }
}

func otherTime(change func(int64) int64) func(*World, uint32) string {
	return func(w *World, n uint32) string { return strconv.FormatInt(change(w.rows[n].submitted), 10) }
}

// firstAnswer replaces the details of the first answer.
func firstAnswer(raw string) func([]Answer) []Answer {
	return func(list []Answer) []Answer {
		if len(list) > 0 {
			list[0] = Answer{QuestionID: list[0].QuestionID, Raw: json.RawMessage(raw)}
		}
		return list
	}
}

// unknownOption adds an option that does not exist to the first choice.
func unknownOption(list []Answer) []Answer {
	i := slices.IndexFunc(list, func(a Answer) bool { return a.Options != nil })
	if i >= 0 {
		list[i] = Answer{QuestionID: list[i].QuestionID, Options: append(slices.Clone(list[i].Options), 99)}
	}
	return list
}
