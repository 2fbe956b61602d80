package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"leadstream/internal/lead"
)

// The rows hold as much of an element as tells how LinkedIn writes it: no answer, no
// name. What has another type than expected counts as absent.

// row is a lead or an event.
type row struct {
	ID          digits // of the lead or event; never shown
	SubmittedAt digits
	TestLead    loose[bool]
	// AssociatedEntity names the event by one of its members.
	AssociatedEntity        loose[map[string]any]
	VersionedLeadGenFormURN loose[string] `json:"versionedLeadGenFormUrn"` // of a lead
	LeadGenForm             loose[string] // of an event

	OwnerInfo, AssociatedEntityInfo, LeadMetadataInfo json.RawMessage
}

// millis is when a lead was submitted; 0 when that cannot be read.
func (r row) millis() int64 {
	n, err := strconv.ParseFloat(string(r.SubmittedAt), 64)
	if err != nil {
		return 0
	}
	return int64(n)
}

// form is the form that a lead answered; none when that cannot be read.
func (r row) form() lead.FormRef {
	ref, _ := lead.ParseFormURN(r.VersionedLeadGenFormURN.value) // the row is of no use for it
	return ref
}

// event is the URN of a lead's event, and the member that holds it.
func (r row) event() (key, urn string) {
	for _, name := range slices.Sorted(maps.Keys(r.AssociatedEntity.value)) {
		if text, ok := r.AssociatedEntity.value[name].(string); ok && strings.HasPrefix(text, "urn:li:event:") {
			key, urn = name, text
		}
	}
	return key, urn
}

// has reports whether a lead is on the page.
func has(p *page[row], one row) bool {
	return slices.ContainsFunc(p.Elements, func(r row) bool { return r.ID == one.ID && r.millis() == one.millis() })
}

// role is a role of the member.
type role struct {
	// Both spellings are in use.
	Organization, OrganizationTarget loose[string]
	RoleName                         loose[string] `json:"role"`
}

// longestURN bounds the URN of an organization.
const longestURN = 512

func (r role) organization() string {
	for _, urn := range []string{r.Organization.value, r.OrganizationTarget.value} {
		if strings.HasPrefix(urn, "urn:li:") && len(urn) <= longestURN {
			return urn
		}
	}
	return ""
}

// form is a form of the organization.
type form struct {
	ID         digits
	VersionID  digits
	ReviewInfo loose[struct{ ReviewStatus loose[string] }]
	Content    loose[struct {
		Questions elements[struct{ PredefinedField loose[string] }]
	}]
}

func (f form) version() int {
	n, err := strconv.Atoi(string(f.VersionID))
	if err != nil {
		return 0
	}
	return n
}

func (f form) review() []string { return []string{f.ReviewInfo.value.ReviewStatus.value} }

func (f form) predefined() []string {
	var list []string
	for _, q := range f.Content.value.Questions {
		list = append(list, q.PredefinedField.value)
	}
	return list
}

// digits is an id or a number, which LinkedIn writes as a number or as a string.
type digits string

// UnmarshalJSON implements json.Unmarshaler.
func (d *digits) UnmarshalJSON(text []byte) error {
	if strings.ContainsAny(string(text[:1]), `"-0123456789`) {
		*d = digits(strings.Trim(string(text), `"`))
	}
	return nil
}

// whole is a whole number; -1 for anything else.
type whole int

// UnmarshalJSON implements json.Unmarshaler.
func (w *whole) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	if *w = -1; err == nil && n >= 0 && n < 1<<31 && n == float64(int(n)) {
		*w = whole(n)
	}
	return nil
}

// loose is a value that may have another type than expected.
type loose[T any] struct{ value T }

// UnmarshalJSON implements json.Unmarshaler.
func (l *loose[T]) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &l.value); err != nil {
		l.value = *new(T)
	}
	return nil
}

var errTooManyElements = errors.New("it holds more elements than any page that is asked for")

// elements are the elements of a list, bounded whatever comes; nil when it is none.
type elements[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (e *elements[T]) UnmarshalJSON(text []byte) error {
	if text[0] != '[' {
		return nil
	}
	*e = elements[T]{}
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		if len(*e) == mostElements {
			return errTooManyElements
		}
		var one loose[T]
		if err := d.Decode(&one); err != nil {
			return err
		}
		*e = append(*e, one.value)
	}
	return nil
}
