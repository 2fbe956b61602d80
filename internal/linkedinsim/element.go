package linkedinsim

import (
	"encoding/json"
	"strings"
)

// response is an element of leadFormResponses.
type response struct {
	ID          string            `json:"id"`
	Owner       Owner             `json:"owner"`
	Submitter   string            `json:"submitter"`
	LeadType    string            `json:"leadType"`
	Form        string            `json:"versionedLeadGenFormUrn"`
	SubmittedAt int64             `json:"submittedAt"`
	TestLead    bool              `json:"testLead"`
	Entity      map[string]string `json:"associatedEntity,omitempty"`
	Response    struct {
		Answers  []wireAnswer    `json:"answers"`
		Consents []ConsentAnswer `json:"consentResponses"`
	} `json:"formResponse"`
	// What follows is printed when a projection names it.
	OwnerInfo    object          `json:"ownerInfo,omitempty"`
	EntityInfo   object          `json:"associatedEntityInfo,omitempty"`
	MetadataInfo *struct{}       `json:"leadMetadataInfo,omitempty"`
	InlinedForm  json.RawMessage `json:"form,omitempty"`
}

// wireAnswer is an answer as leadFormResponses gives it; exactly one of its
// details is set.
type wireAnswer struct {
	QuestionID int64 `json:"questionId"`
	Details    any   `json:"answerDetails"`
}

type textAnswer struct {
	Text struct {
		Answer string `json:"answer"`
	} `json:"textQuestionAnswer"`
}

type choiceAnswer struct {
	Choice struct {
		Options []int `json:"options"`
	} `json:"multipleChoiceAnswer"`
}

// element is the JSON of row n under the request's projection.
func (c *call) element(n uint32) []byte {
	w, r, sw := c.w, &c.w.rows[n], &c.w.switches
	e := response{
		ID: w.leadID(n), Owner: r.version.Owner, Submitter: w.submitter(n), LeadType: r.kind.String(),
		Form: r.version.urn(sw.BlankInFormURN), SubmittedAt: r.submitted, TestLead: r.flags.has(flagTest),
	}
	e.Response.Answers = []wireAnswer{}
	for _, a := range w.answers(n) {
		e.Response.Answers = append(e.Response.Answers, a.wire())
	}
	e.Response.Consents = w.consents(n)
	if r.event != nil {
		key := "event"
		if sw.AssociatedEventKey {
			key = "associatedEvent"
		}
		e.Entity = map[string]string{key: r.event.URN()}
	}
	projected := len(c.fields) > 0
	if projected || sw.InfoAlways {
		e.OwnerInfo, e.MetadataInfo = object{"organizationInfo": object{"name": r.version.org.Name}}, &struct{}{}
		if r.event != nil {
			e.EntityInfo = object{"eventInfo": object{"name": r.event.Name}}
		}
	}
	if within, named := c.fields["form"]; named {
		v := r.version
		if sw.InlinedCurrent {
			v = w.forms[v.ID].current()
		}
		if c.forms[v] == nil { // once for the page
			c.forms[v] = within.apply(v.json)
		}
		e.InlinedForm = c.forms[v]
	}
	text := mustJSON(e)
	if d := r.extra.defect; d != nil && d.answers == nil {
		text = replaceIn(text, strings.FieldsFunc(d.member, func(c rune) bool { return c == '.' }), d.value(w, n))
	}
	return c.fields.apply(text)
}

func (a Answer) wire() wireAnswer {
	switch {
	case a.Options != nil:
		var d choiceAnswer
		d.Choice.Options = a.Options
		return wireAnswer{a.QuestionID, &d}
	case a.Raw != nil:
		return wireAnswer{a.QuestionID, a.Raw}
	}
	var d textAnswer
	d.Text.Answer = a.Text
	return wireAnswer{a.QuestionID, &d}
}

// replaceIn is JSON with another value, or none, at the end of a path.
func replaceIn(text []byte, path []string, value string) []byte {
	if len(path) == 0 {
		return []byte(value)
	}
	members := fromJSON[map[string]json.RawMessage]("%s", text)
	if members[path[0]] = replaceIn(members[path[0]], path[1:], value); len(members[path[0]]) == 0 {
		delete(members, path[0])
	}
	return mustJSON(members)
}

// object is a JSON object that is made up here.
type object = map[string]any

// mustJSON is the JSON of a value that cannot fail to have one: texts, numbers
// and structures of them.
func mustJSON(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}
