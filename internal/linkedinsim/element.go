package linkedinsim

import "strconv"

// member is a member of an element of leadFormResponses.
type member struct {
	name  string
	shown memberClass
	// value appends the value of row n, and nothing when it has none.
	value func(e *elements, dst []byte, n uint32) []byte
}

// memberClass says when a member is printed.
type memberClass int

const (
	plainMember     memberClass = iota // without projection, or when it is named
	infoMember                         // when it is named, or always by a switch
	projectedMember                    // when it is named
)

var members = []member{
	{"id", plainMember, func(e *elements, dst []byte, n uint32) []byte {
		return append(e.w.appendID(append(dst, '"'), n), '"')
	}},
	{"owner", plainMember, func(e *elements, dst []byte, n uint32) []byte { return append(dst, e.w.versionOf(n).ownerJSON...) }},
	{"submitter", plainMember, func(e *elements, dst []byte, n uint32) []byte { return e.w.appendSubmitter(dst, n) }},
	{"leadType", plainMember, func(e *elements, dst []byte, n uint32) []byte {
		return append(append(append(dst, '"'), e.w.rows[n].kind.String()...), '"')
	}},
	{"versionedLeadGenFormUrn", plainMember, (*elements).appendForm},
	{"submittedAt", plainMember, func(e *elements, dst []byte, n uint32) []byte {
		return strconv.AppendInt(dst, e.w.rows[n].submitted, 10)
	}},
	{"testLead", plainMember, func(e *elements, dst []byte, n uint32) []byte {
		return strconv.AppendBool(dst, e.w.rows[n].flags.has(flagTest))
	}},
	{"associatedEntity", plainMember, (*elements).appendEvent},
	{"formResponse", plainMember, (*elements).appendResponse},
	{"ownerInfo", infoMember, func(e *elements, dst []byte, n uint32) []byte {
		return append(dst, mustJSON(map[string]any{"organizationInfo": map[string]string{"name": e.w.versionOf(n).org.Name}})...)
	}},
	{"associatedEntityInfo", infoMember, (*elements).appendEventInfo},
	{"leadMetadataInfo", infoMember, func(_ *elements, dst []byte, _ uint32) []byte { return append(dst, "{}"...) }},
	{"form", projectedMember, (*elements).appendInlinedForm},
}

// elements prints elements of leadFormResponses under one projection.
type elements struct {
	w       *World
	printed []printed
	form    projection // of the inlined form
}

// printed is a member that is printed.
type printed struct {
	member
	head   string     // the name, as JSON
	within projection // of the value
}

func newElements(w *World, p projection) *elements {
	e := &elements{w: w, form: p["form"]}
	for _, m := range members {
		within, named := p[m.name]
		if m.shown == projectedMember {
			within = nil // is applied to the form alone, once
		}
		if named || len(p) == 0 && (m.shown == plainMember || m.shown == infoMember && w.switches.InfoAlways) {
			e.printed = append(e.printed, printed{m, `"` + m.name + `":`, within})
		}
	}
	return e
}

// appendTo appends the JSON of row n.
func (e *elements) appendTo(dst []byte, n uint32) []byte {
	d := e.w.extra(n).defect
	if d.of(wholeElement) {
		return d.appendTo(dst, e.w, n)
	}
	dst = append(dst, '{')
	start := len(dst)
	for i := range e.printed {
		m, before := &e.printed[i], len(dst)
		dst = append(comma(dst, start), m.head...)
		from := len(dst)
		if d.of(m.name) {
			dst = d.appendTo(dst, e.w, n)
		} else {
			dst = m.value(e, dst, n)
		}
		switch {
		case len(dst) == from:
			dst = dst[:before]
		case len(m.within) > 0:
			dst = append(dst[:from], m.within.apply(dst[from:])...)
		}
	}
	return append(dst, '}')
}

// of reports whether the defect is one of the member; there may be no defect.
func (d *defect) of(member string) bool { return d != nil && d.member == member }

func (d *defect) appendTo(dst []byte, w *World, n uint32) []byte {
	if d.value == nil {
		return dst
	}
	return append(dst, d.value(w, n)...)
}

func (w *World) versionOf(n uint32) *formVersion { return w.versions[w.rows[n].version] }

// leadID is the id of row n.
func (w *World) leadID(n uint32) string {
	if id := w.extra(n).id; id != "" {
		return id
	}
	return string(w.ids.appendTo(nil, n))
}

// appendID appends the id of row n as a JSON string, without its quotes.
func (w *World) appendID(dst []byte, n uint32) []byte {
	if id := w.extra(n).id; id != "" {
		quoted := mustJSON(id)
		return append(dst, quoted[1:len(quoted)-1]...)
	}
	return w.ids.appendTo(dst, n)
}

// appendSubmitter appends the URN of the member as a JSON string.
func (w *World) appendSubmitter(dst []byte, n uint32) []byte {
	if submitter := w.extra(n).submitter; submitter != "" {
		return append(dst, mustJSON(submitter)...)
	}
	return append(appendSix(append(dst, `"urn:li:person:SimLead`...), uint64(n)+1), '"')
}

func (e *elements) appendForm(dst []byte, n uint32) []byte {
	v := e.w.versionOf(n)
	if e.w.switches.BlankInFormURN {
		return append(dst, mustJSON(versionedFormURN(v.form.ID, v.form.VersionID, true))...)
	}
	return append(dst, v.urnJSON...)
}

func (e *elements) appendEvent(dst []byte, n uint32) []byte {
	if e.w.rows[n].event < 0 {
		return dst
	}
	head := `{"event":"urn:li:event:`
	if e.w.switches.AssociatedEventKey {
		head = `{"associatedEvent":"urn:li:event:`
	}
	dst = strconv.AppendInt(append(dst, head...), e.w.events[e.w.rows[n].event].ID, 10)
	return append(dst, `"}`...)
}

func (e *elements) appendEventInfo(dst []byte, n uint32) []byte {
	if e.w.rows[n].event < 0 {
		return dst
	}
	name := e.w.events[e.w.rows[n].event].Name
	return append(dst, mustJSON(map[string]any{"eventInfo": map[string]any{"name": name}})...)
}

func (e *elements) appendResponse(dst []byte, n uint32) []byte {
	d := e.w.extra(n).defect
	dst = append(dst, `{"answers":`...)
	if d.of("answers") {
		dst = d.appendTo(dst, e.w, n)
	} else {
		dst = append(e.w.appendAnswers(append(dst, '['), n, wireStyle), ']')
	}
	dst = append(dst, `,"consentResponses":`...)
	if d.of("consentResponses") {
		dst = d.appendTo(dst, e.w, n)
	} else {
		dst = append(e.w.appendConsents(append(dst, '['), n), ']')
	}
	return append(dst, '}')
}

// appendAnswers appends the members of the list of answers.
func (w *World) appendAnswers(dst []byte, n uint32, style answerStyle) []byte {
	given := w.extra(n).answers
	if given == nil {
		return w.versionOf(n).appendAnswers(dst, n, w.hash(n), style)
	}
	start := len(dst)
	for _, a := range given {
		if style == ledgerStyle {
			dst = append(comma(dst, start), mustJSON(a)...)
		} else {
			dst = append(comma(dst, start), a.wire()...)
		}
	}
	return dst
}

// wire is the answer as leadFormResponses gives it.
func (a Answer) wire() []byte {
	var details any = a.Raw
	if a.Options != nil {
		details = map[string]any{"multipleChoiceAnswer": map[string]any{"options": a.Options}}
	} else if a.Raw == nil {
		details = map[string]any{"textQuestionAnswer": map[string]any{"answer": a.Text}}
	}
	return mustJSON(map[string]any{"questionId": a.QuestionID, "answerDetails": details})
}

// appendConsents appends the members of the list of consents.
func (w *World) appendConsents(dst []byte, n uint32) []byte {
	given := w.extra(n).consents
	if given == nil {
		return w.versionOf(n).appendConsents(dst, w.hash(n))
	}
	start := len(dst)
	for _, c := range given {
		dst = append(comma(dst, start), mustJSON(c)...)
	}
	return dst
}

func (e *elements) appendInlinedForm(dst []byte, n uint32) []byte {
	v := e.w.versionOf(n)
	if e.w.switches.InlinedCurrent {
		v = e.w.forms[v.form.ID].current()
	}
	return append(dst, v.project(e.form)...)
}
