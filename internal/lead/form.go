package lead

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// FormRef names a lead form, or one version of it.
type FormRef struct {
	// ID is the form's number in decimal digits. It has up to 19 of them and
	// is kept as text, since they do not fit a double.
	ID string
	// Version is the form's versionId, from 1; 0 when no version is named.
	Version int
}

// URN is urn:li:versionedLeadGenForm:(urn:li:leadGenForm:ID,VERSION), or
// urn:li:leadGenForm:ID when the version is 0.
func (r FormRef) URN() string {
	if r.Version == 0 {
		return "urn:li:leadGenForm:" + r.ID
	}
	return "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:" + r.ID + "," + strconv.Itoa(r.Version) + ")"
}

// String is the form as people write it: ID or ID,VERSION.
func (r FormRef) String() string {
	if r.Version == 0 {
		return r.ID
	}
	return r.ID + "," + strconv.Itoa(r.Version)
}

// LinkedIn's webhook samples print a blank after the comma.
var versionedForm = regexp.MustCompile(`^urn:li:versionedLeadGenForm:\(urn:li:leadGenForm:(\d{1,19}),\s*(\d{1,9})\)$`)

// ParseFormURN reads both URNs by which LinkedIn names a form, with and
// without a version.
func ParseFormURN(urn string) (FormRef, error) {
	if id, ok := strings.CutPrefix(urn, "urn:li:leadGenForm:"); ok && Digits(id) && len(id) <= 19 {
		return FormRef{ID: id}, nil
	}
	m := versionedForm.FindStringSubmatch(urn)
	if m == nil {
		return FormRef{}, fmt.Errorf("not the URN of a lead form: %.100q", urn)
	}
	version, err := strconv.Atoi(m[2])
	if err != nil {
		return FormRef{}, fmt.Errorf("version %.20q of lead form %s is no number that there can be", m[2], m[1])
	}
	return FormRef{ID: m[1], Version: version}, nil
}

// Digits reports whether s is a non-empty run of ASCII digits.
func Digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Form is one version of a lead form.
type Form struct {
	FormRef
	Owner string // URN
	Name  string
	State string // DRAFT, PUBLISHED, ARCHIVED; an open string
	// Locale is the creation locale as in the keys of localized texts: en_US.
	Locale    string
	Questions []Question
	Consents  []Consent
	Hidden    []HiddenField // at most 20
	// Faults are parts of the form that could not be read and are left out.
	Faults []Fault
}

// Question is one field of a form.
type Question struct {
	ID int64 // unique inside the form; what answers refer to
	// Text is the question in the form's creation locale, else in the first
	// locale in sorted order; may be empty.
	Text string
	// Predefined is LinkedIn's predefinedField (FIRST_NAME, …); empty for a
	// custom question. An open string.
	Predefined string
	Kind       AnswerKind // what an answer to it looks like
	Options    []Option   // of a multiple choice question
}

// Option is one choice of a multiple choice question.
type Option struct {
	ID   int64 // from 0
	Text string
}

// Consent is one check box of the form's legal part.
type Consent struct {
	ID   int64
	Text string
}

// HiddenField is a fixed value the form's author attached to it; LinkedIn
// does not repeat it in responses.
type HiddenField struct {
	Name, Value string
}
