package linkedinsim

import (
	"encoding/json"
	"strconv"
)

// member is a member of an element of leadFormResponses.
type member struct {
	name  string
	shown memberClass
	// value appends the value of row n, and nothing when it has none.
	value func(c *call, dst []byte, n uint32) []byte
}

// memberClass says when a member is printed that is not named by a projection.
type memberClass int

const (
	plainMember memberClass = iota // without projection
	infoMember                     // without projection, by a switch
	namedMember                    // never
)

var members = []member{
	{"id", plainMember, func(c *call, dst []byte, n uint32) []byte { return appendText(dst, c.w.leadID(n)) }},
	{"owner", plainMember, func(c *call, dst []byte, n uint32) []byte { return append(dst, c.w.rows[n].version.ownerJSON...) }},
	{"submitter", plainMember, func(c *call, dst []byte, n uint32) []byte { return appendText(dst, c.w.submitter(n)) }},
	{"leadType", plainMember, func(c *call, dst []byte, n uint32) []byte { return appendText(dst, c.w.rows[n].kind.String()) }},
	{"versionedLeadGenFormUrn", plainMember, func(c *call, dst []byte, n uint32) []byte {
		return appendText(dst, c.w.rows[n].version.urn(c.w.switches.BlankInFormURN))
	}},
	{"submittedAt", plainMember, func(c *call, dst []byte, n uint32) []byte { return strconv.AppendInt(dst, c.w.rows[n].submitted, 10) }},
	{"testLead", plainMember, func(c *call, dst []byte, n uint32) []byte {
		return strconv.AppendBool(dst, c.w.rows[n].flags.has(flagTest))
	}},
	{"associatedEntity", plainMember, appendEvent},
	{"formResponse", plainMember, appendResponse},
	{"ownerInfo", infoMember, func(c *call, dst []byte, n uint32) []byte {
		return append(dst, mustJSON(object{"organizationInfo": object{"name": c.w.rows[n].version.org.Name}})...)
	}},
	{"associatedEntityInfo", infoMember, appendEventInfo},
	{"leadMetadataInfo", infoMember, func(_ *call, dst []byte, _ uint32) []byte { return append(dst, "{}"...) }},
	{"form", namedMember, appendInlinedForm},
}

// appendElement appends the element of row n under the request's projection.
func (c *call) appendElement(dst []byte, n uint32) []byte {
	return c.appendUnlessDefect(dst, n, wholeElement, func(c *call, dst []byte, n uint32) []byte {
		dst = append(dst, '{')
		start := len(dst)
		for _, m := range members {
			within, named := c.fields[m.name]
			if !named && (len(c.fields) > 0 || m.shown == namedMember || m.shown == infoMember && !c.w.switches.InfoAlways) {
				continue
			}
			before := len(dst)
			dst = append(append(append(comma(dst, start), '"'), m.name...), `":`...)
			from := len(dst)
			dst = c.appendUnlessDefect(dst, n, m.name, m.value)
			switch {
			case len(dst) == from:
				dst = dst[:before]
			case len(within) > 0 && m.shown != namedMember: // the form is cut down already
				dst = append(dst[:from], within.apply(dst[from:])...)
			}
		}
		return append(dst, '}')
	})
}

// appendUnlessDefect appends the value of a member of row n, or what the lead's
// defect prints in its place.
func (c *call) appendUnlessDefect(dst []byte, n uint32, member string, value func(c *call, dst []byte, n uint32) []byte) []byte {
	d := c.w.rows[n].extra.defect
	switch {
	case d == nil || d.member != member:
		return value(c, dst, n)
	case d.value == nil:
		return dst
	}
	return append(dst, d.value(c.w, n)...)
}

func appendEvent(c *call, dst []byte, n uint32) []byte {
	e := c.w.rows[n].event
	if e == nil {
		return dst
	}
	key := "event"
	if c.w.switches.AssociatedEventKey {
		key = "associatedEvent"
	}
	return append(append(append(append(dst, `{"`...), key...), `":"`+e.URN()...), `"}`...)
}

func appendEventInfo(c *call, dst []byte, n uint32) []byte {
	e := c.w.rows[n].event
	if e == nil {
		return dst
	}
	return append(dst, mustJSON(object{"eventInfo": object{"name": e.Name}})...)
}

func appendResponse(c *call, dst []byte, n uint32) []byte {
	dst = c.appendUnlessDefect(append(dst, `{"answers":`...), n, "answers", appendAnswers)
	dst = c.appendUnlessDefect(append(dst, `,"consentResponses":`...), n, "consentResponses", appendConsents)
	return append(dst, '}')
}

func appendAnswers(c *call, dst []byte, n uint32) []byte {
	dst = append(dst, '[')
	start := len(dst)
	for _, a := range c.w.answers(n) {
		dst = strconv.AppendInt(append(comma(dst, start), `{"questionId":`...), a.QuestionID, 10)
		dst = append(dst, `,"answerDetails":`...)
		switch {
		case a.Options != nil:
			dst = append(append(dst, `{"multipleChoiceAnswer":{"options":`...), mustJSON(a.Options)...)
			dst = append(dst, "}}"...)
		case a.Raw != nil:
			dst = append(dst, a.Raw...)
		default:
			dst = append(appendText(append(dst, `{"textQuestionAnswer":{"answer":`...), a.Text), "}}"...)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendConsents(c *call, dst []byte, n uint32) []byte {
	return append(dst, mustJSON(c.w.consents(n))...)
}

func appendInlinedForm(c *call, dst []byte, n uint32) []byte {
	v := c.w.rows[n].version
	if c.w.switches.InlinedCurrent {
		v = c.w.forms[v.form.ID].current()
	}
	if c.forms[v] == nil {
		c.forms[v] = c.fields["form"].apply(v.json)
	}
	return append(dst, c.forms[v]...)
}

// comma appends a comma unless dst is as long as it was at the start.
func comma(dst []byte, start int) []byte {
	if len(dst) == start {
		return dst
	}
	return append(dst, ',')
}

// appendText appends a text as JSON. Most need no escapes.
func appendText(dst []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return append(dst, mustJSON(text)...)
		}
	}
	return append(append(append(dst, '"'), text...), '"')
}

// object is a JSON object that is made up here.
type object = map[string]any

// mustJSON is the JSON of a value that cannot fail to have one: texts, numbers
// and structures of them.
func mustJSON(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}
