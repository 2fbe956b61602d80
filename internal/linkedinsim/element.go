package linkedinsim

import (
	"encoding/json"
	"strings"
)

// response is an element of leadFormResponses.
type response struct {
	ID          string  `json:"id"`
	Owner       Owner   `json:"owner"`
	Submitter   string  `json:"submitter"`
	LeadType    string  `json:"leadType"`
	Form        string  `json:"versionedLeadGenFormUrn"`
	SubmittedAt int64   `json:"submittedAt"`
	TestLead    bool    `json:"testLead"`
	Entity      *entity `json:"associatedEntity,omitempty"`
	// What follows is printed when a projection names it.
	OwnerInfo    object          `json:"ownerInfo,omitempty"`
	EntityInfo   object          `json:"associatedEntityInfo,omitempty"`
	MetadataInfo *struct{}       `json:"leadMetadataInfo,omitempty"`
	InlinedForm  json.RawMessage `json:"form,omitempty"`
}

// entity is what a lead belongs to: one member is set.
type entity struct {
	Event           string `json:"event,omitempty"`
	AssociatedEvent string `json:"associatedEvent,omitempty"`
}

// appendElement appends row n under the request's projection.
func (c *call) appendElement(dst []byte, n uint32) []byte {
	w, r, sw := c.w, &c.w.rows[n], &c.w.switches
	e := response{
		ID: w.leadID(n), Owner: r.version.Owner, Submitter: w.submitter(n), LeadType: r.kind.String(),
		Form: r.version.urn(sw.BlankInFormURN), SubmittedAt: r.submitted, TestLead: r.flags.has(flagTest),
	}
	if r.event != nil {
		e.Entity = &entity{Event: r.event.URN()}
		if sw.AssociatedEventKey {
			e.Entity = &entity{AssociatedEvent: r.event.URN()}
		}
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
	d := r.extra.defect
	if !projected && d == nil {
		return w.appendResponse(append(dst, mustJSON(e)...), n)
	}
	text := w.appendResponse(mustJSON(e), n)
	if d != nil && d.answers == nil {
		text = replaceIn(text, strings.FieldsFunc(d.member, func(c rune) bool { return c == '.' }), d.value(w, n))
	}
	return append(dst, c.fields.apply(text)...)
}

// appendResponse adds the member formResponse to the object that text ends with.
func (w *World) appendResponse(text []byte, n uint32) []byte {
	text = append(text[:len(text)-1], `,"formResponse":{"answers":[`...)
	start := len(text)
	if given := w.rows[n].extra.Answers; given == nil {
		text = w.rows[n].version.appendMade(text, n, w.hash(n))
	} else {
		for _, a := range given {
			text = append(comma(text, start), mustJSON(a.wire())...)
		}
	}
	return append(append(append(text, `],"consentResponses":`...), mustJSON(w.consents(n))...), "}}"...)
}

// wire is the answer as leadFormResponses gives it.
func (a Answer) wire() object {
	details := any(object{"textQuestionAnswer": object{"answer": a.Text}})
	switch {
	case a.Options != nil:
		details = object{"multipleChoiceAnswer": object{"options": a.Options}}
	case a.Raw != nil:
		details = a.Raw
	}
	return object{"questionId": a.QuestionID, "answerDetails": details}
}

// comma appends a comma unless dst is as long as it was at the start.
func comma(dst []byte, start int) []byte {
	if len(dst) == start {
		return dst
	}
	return append(dst, ',')
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
