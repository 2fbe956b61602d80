package linkedinsim

import (
	"strconv"
	"time"
)

// fields is the set of an element's members to print.
type fields uint16

const (
	fieldID fields = 1 << iota
	fieldOwner
	fieldSubmitter
	fieldLeadType
	fieldForm
	fieldSubmittedAt
	fieldTestLead
	fieldAssociatedEntity
	fieldFormResponse
	fieldOwnerInfo
	fieldAssociatedInfo
	fieldMetadataInfo
	fieldInlinedForm
)

var fieldNames = map[string]fields{
	"id": fieldID, "owner": fieldOwner, "submitter": fieldSubmitter, "leadType": fieldLeadType,
	"versionedLeadGenFormUrn": fieldForm, "submittedAt": fieldSubmittedAt, "testLead": fieldTestLead,
	"associatedEntity": fieldAssociatedEntity, "formResponse": fieldFormResponse, "ownerInfo": fieldOwnerInfo,
	"associatedEntityInfo": fieldAssociatedInfo, "leadMetadataInfo": fieldMetadataInfo, "form": fieldInlinedForm,
}

const (
	plainFields = fieldID | fieldOwner | fieldSubmitter | fieldLeadType | fieldForm | fieldSubmittedAt |
		fieldTestLead | fieldAssociatedEntity | fieldFormResponse
	infoFields = fieldOwnerInfo | fieldAssociatedInfo | fieldMetadataInfo
)

// renderer prints elements of leadFormResponses under one projection.
type renderer struct {
	view
	sw     Switches
	fields fields
	form   projection // of the inlined form
	rest   projection // to be applied to the finished element; nil when fields says it all
}

func newRenderer(v view, sw Switches, p projection) *renderer {
	r := &renderer{view: v, sw: sw, fields: plainFields}
	if sw.InfoAlways {
		r.fields |= infoFields
	}
	if len(p) == 0 {
		return r
	}
	r.fields = 0
	rest := projection{}
	for name, sub := range p {
		f := fieldNames[name]
		r.fields |= f
		rest[name] = sub
		switch {
		case f == fieldInlinedForm:
			r.form = sub
			rest[name] = nil // is applied to the form alone, once
		case len(sub) > 0:
			r.rest = rest
		}
	}
	return r
}

// element appends the JSON of one row.
func (r *renderer) element(dst []byte, p pageRow) []byte {
	if r.rest == nil {
		return r.whole(dst, p)
	}
	return append(dst, r.rest.apply(r.whole(nil, p))...)
}

func (r *renderer) whole(dst []byte, p pageRow) []byte {
	m := Malformation("")
	if p.x != nil {
		m = p.x.malformed
	}
	if m == NotAnObject {
		return append(dst, `"not an object"`...)
	}
	dst = append(dst, '{')
	dst = r.head(dst, p, m)
	if r.fields&fieldFormResponse != 0 && m != NoFormResponse {
		dst = append(dst, `"formResponse":`...)
		dst = append(r.formResponse(dst, p, m), ',')
	}
	if r.fields&(infoFields|fieldInlinedForm) != 0 {
		dst = r.resolved(dst, p)
	}
	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, '}')
}

// head appends the members before the answers, each with a comma behind it.
func (r *renderer) head(dst []byte, p pageRow, m Malformation) []byte {
	has := func(f fields) bool { return r.fields&f != 0 }
	v := r.versions[p.version]
	switch {
	case !has(fieldID), m == NoID:
	case m == IDNotText:
		dst = append(strconv.AppendUint(append(dst, `"id":{"number":`...), uint64(p.n), 10), "},"...)
	default:
		dst = append(r.appendID(append(dst, `"id":"`...), p), `",`...)
	}
	switch {
	case !has(fieldOwner):
	case m == OtherOwner:
		dst = append(dst, `"owner":{"organization":"`+strangersURN+`"},`...)
	default:
		dst = append(append(append(dst, `"owner":`...), v.ownerJSON...), ',')
	}
	if has(fieldSubmitter) && m != NoSubmitter {
		dst = append(r.appendSubmitter(append(dst, `"submitter":`...), p), ',')
	}
	if has(fieldLeadType) {
		kind := p.kind
		if m == OtherLeadType {
			kind = (kind + 1) % kindSponsored
		}
		dst = append(append(append(dst, `"leadType":"`...), kind.String()...), `",`...)
	}
	if has(fieldForm) {
		dst = r.formURN(dst, v, m)
	}
	switch {
	case !has(fieldSubmittedAt), m == NoTime:
	case m == UnreadableTime:
		dst = append(dst, `"submittedAt":"yesterday",`...)
	default:
		dst = append(strconv.AppendInt(append(dst, `"submittedAt":`...), m.shown(p.submitted), 10), ',')
	}
	switch {
	case !has(fieldTestLead):
	case m == UnreadableTest:
		dst = append(dst, `"testLead":"perhaps",`...)
	default:
		dst = append(strconv.AppendBool(append(dst, `"testLead":`...), p.flags.has(flagTest)), ',')
	}
	if has(fieldAssociatedEntity) && p.event >= 0 && m != NoEvent {
		dst = append(append(append(dst, `"associatedEntity":{"`...), r.eventKey()...), `":"urn:li:event:`...)
		dst = append(strconv.AppendInt(dst, r.events[p.event].ID, 10), `"},`...)
	}
	return dst
}

// shown is the time that a lead says it was submitted at, in epoch milliseconds.
func (m Malformation) shown(submitted int64) int64 {
	switch m {
	case TimeInSeconds:
		return submitted / 1000
	case TimeFarAhead:
		return time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() + submitted%1_000_000
	case TimeOff:
		return submitted - time.Minute.Milliseconds()
	default:
		return submitted
	}
}

func (r *renderer) formURN(dst []byte, v *formVersion, m Malformation) []byte {
	if m == NoForm {
		return dst
	}
	dst = append(dst, `"versionedLeadGenFormUrn":`...)
	switch {
	case m == UnreadableForm:
		dst = append(dst, `"urn:li:versionedLeadGenForm:broken"`...)
	case m == UnknownForm:
		dst = append(dst, mustJSON(versionedFormURN(unknownFormID, 1, r.sw.BlankInFormURN))...)
	case r.sw.BlankInFormURN:
		dst = append(dst, v.blankJSON...)
	default:
		dst = append(dst, v.urnJSON...)
	}
	return append(dst, ',')
}

func (r *renderer) eventKey() string {
	if r.sw.AssociatedEventKey {
		return "associatedEvent"
	}
	return "event"
}

func (r view) appendID(dst []byte, p pageRow) []byte {
	if p.x != nil && p.x.id != "" {
		quoted := mustJSON(p.x.id)
		return append(dst, quoted[1:len(quoted)-1]...)
	}
	return r.world.ids.appendTo(dst, p.n)
}

// appendSubmitter appends the URN of the member as a JSON string.
func (r view) appendSubmitter(dst []byte, p pageRow) []byte {
	if p.x != nil && p.x.submitter != "" {
		return append(dst, mustJSON(p.x.submitter)...)
	}
	return append(appendSix(append(dst, `"urn:li:person:SimLead`...), uint64(p.n)+1), '"')
}

func (r *renderer) formResponse(dst []byte, p pageRow, m Malformation) []byte {
	dst = append(dst, `{"answers":`...)
	if m == AnswersNotList {
		dst = append(dst, `{"510001":"Lead"}`...)
	} else {
		dst = append(r.answers(append(dst, '['), p, false), ']')
	}
	dst = append(dst, `,"consentResponses":`...)
	if m == ConsentsNotList {
		return append(dst, `"yes"}`...)
	}
	return append(r.consents(append(dst, '['), p), "]}"...)
}

// answers appends the members of the list of answers, for LinkedIn's element or
// for the ledger.
func (r view) answers(dst []byte, p pageRow, ledger bool) []byte {
	if p.x == nil || p.x.answers == nil {
		return r.versions[p.version].appendAnswers(dst, p.n, r.world.hash(p.n), ledger)
	}
	for i, a := range p.x.answers {
		if i > 0 {
			dst = append(dst, ',')
		}
		if ledger {
			dst = append(dst, mustJSON(a)...)
		} else {
			dst = append(dst, a.wire()...)
		}
	}
	return dst
}

// wire is the answer as leadFormResponses gives it.
func (a Answer) wire() []byte {
	details := map[string]any{"textQuestionAnswer": map[string]string{"answer": a.Text}}
	if a.Options != nil {
		details = map[string]any{"multipleChoiceAnswer": map[string][]int{"options": a.Options}}
	}
	if a.Raw != nil {
		return mustJSON(map[string]any{"questionId": a.QuestionID, "answerDetails": a.Raw})
	}
	return mustJSON(map[string]any{"questionId": a.QuestionID, "answerDetails": details})
}

// consents appends the members of the list of consents; the two forms agree.
func (r view) consents(dst []byte, p pageRow) []byte {
	if p.x == nil || p.x.consents == nil {
		return r.versions[p.version].appendConsents(dst, r.world.hash(p.n))
	}
	for i, c := range p.x.consents {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, mustJSON(c)...)
	}
	return dst
}

// resolved appends what only a projection asks for: names, and the form.
func (r *renderer) resolved(dst []byte, p pageRow) []byte {
	v := r.versions[p.version]
	member := func(name string, value []byte) {
		dst = append(append(append(append(dst, '"'), name...), `":`...), value...)
		dst = append(dst, ',')
	}
	if r.fields&fieldOwnerInfo != 0 {
		member("ownerInfo", mustJSON(map[string]any{"organizationInfo": map[string]string{"name": r.orgs[v.org].Name}}))
	}
	if r.fields&fieldAssociatedInfo != 0 && p.event >= 0 {
		member("associatedEntityInfo", mustJSON(map[string]any{"eventInfo": map[string]any{"name": r.events[p.event].Name}}))
	}
	if r.fields&fieldMetadataInfo != 0 {
		member("leadMetadataInfo", []byte("{}"))
	}
	if r.fields&fieldInlinedForm != 0 {
		member("form", r.inlined(v).project(r.form))
	}
	return dst
}

// inlined is the version of the form that a projection gives.
func (r *renderer) inlined(answered *formVersion) *formVersion {
	if !r.sw.InlinedCurrent {
		return answered
	}
	r.world.mu.RLock()
	defer r.world.mu.RUnlock()
	return r.world.versions[r.world.forms[answered.form.ID].current()]
}
