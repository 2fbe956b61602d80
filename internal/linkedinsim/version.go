package linkedinsim

import (
	"encoding/json"
	"fmt"
	"sync"
)

// formVersion is one version of a form with everything rendered that its leads
// and the leadForms resource need. It does not change.
type formVersion struct {
	form      *Form
	org       int32 // index into World.orgs
	json      []byte
	ownerJSON []byte
	urnJSON   []byte // the versioned URN as a JSON string
	blankJSON []byte // the same with a blank after the comma
	questions []compiledQuestion
	consents  []compiledConsent
	projected sync.Map // projection text → []byte
}

type compiledConsent struct {
	required bool
	// heads open a consent in both forms; they are the same.
	head []byte
}

func compileVersion(f *Form, org int32) (*formVersion, error) {
	text, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("rendering form %d: %w", f.ID, err)
	}
	v := &formVersion{
		form: f, org: org, json: text,
		ownerJSON: mustJSON(f.Owner),
		urnJSON:   mustJSON(f.URN()),
		blankJSON: mustJSON(versionedFormURN(f.ID, f.VersionID, true)),
	}
	for i := range f.Content.Questions {
		v.questions = append(v.questions, compileQuestion(&f.Content.Questions[i], f.CreationLocale))
	}
	for _, c := range f.consents() {
		v.consents = append(v.consents, compiledConsent{
			required: c.CheckRequired,
			head:     fmt.Appendf(nil, `{"consentId":%d,"accepted":`, c.ID),
		})
	}
	return v, nil
}

// project is the form's JSON cut down to a projection; kept once made.
func (v *formVersion) project(p projection) []byte {
	if len(p) == 0 {
		return v.json
	}
	key := p.String()
	if cached, ok := v.projected.Load(key); ok {
		return cached.([]byte)
	}
	text := p.apply(v.json)
	v.projected.Store(key, text)
	return text
}

// appendAnswers appends the list members with which row n, whose hash is h,
// answers this form; not in the order of the questions, as on LinkedIn.
func (v *formVersion) appendAnswers(dst []byte, n uint32, h uint64, ledger bool) []byte {
	count := len(v.questions)
	first := true
	for i := range count {
		q := &v.questions[(i+int(h%uint64(count)))%count]
		r := mix(h + uint64(q.id))
		if q.skipped(r) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if ledger {
			dst = q.appendLedger(dst, n, r)
		} else {
			dst = q.appendWire(dst, n, r)
		}
	}
	return dst
}

// appendConsents appends the list members for the form's consents.
func (v *formVersion) appendConsents(dst []byte, h uint64) []byte {
	for i := range v.consents {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, v.consents[i].head...)
		if v.consents[i].required || h>>(uint(i)%60)&1 == 1 {
			dst = append(dst, "true}"...)
		} else {
			dst = append(dst, "false}"...)
		}
	}
	return dst
}
