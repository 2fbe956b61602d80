package schema

import (
	"bytes"
	"slices"
	"strings"
)

// kind is what a column holds. Its text stands in checkpoints and, for
// questions, in the property linkedin.kind.
type kind string

const (
	kindText    kind = "text"    // a question answered with text, or of a kind LinkedIn added later
	kindChoice  kind = "choice"  // a multiple choice question
	kindConsent kind = "consent" // a consent of the legal part
	kindHidden  kind = "hidden"  // a hidden field
)

func (k kind) question() bool { return k == kindText || k == kindChoice }

// column is one field that a form has, or once had. A question whose type
// changes has one column per type. What it refers to (slices) is never
// changed in place.
type column struct {
	Name string `json:"name"`
	Kind kind   `json:"kind"`
	// ID is the question's or the consent's.
	ID int64 `json:"id,omitempty"`
	// Hidden is a hidden field's name on the form and Occurrence tells those
	// of the same name apart, from 1: together what it is known by.
	Hidden     string `json:"hidden,omitempty"`
	Occurrence int    `json:"occurrence,omitempty"`
	// Doc and Predefined are as in the highest version that has the field.
	Doc        string `json:"doc,omitempty"`
	Predefined string `json:"predefined,omitempty"`
	// FormVersion is the property linkedin.formVersion.
	FormVersion int `json:"stamp"`
	// Versions are the form versions met that have the field.
	Versions versions `json:"versions"`
	// Editions say, for choices and hidden fields, what the versions hold.
	Editions []edition `json:"editions,omitempty"`
}

// edition is what one field holds in some form versions: the options of a
// choice or the value of a hidden field.
type edition struct {
	Versions versions `json:"versions"`
	Options  options  `json:"options,omitempty"`
	Value    string   `json:"value,omitempty"`
}

// identity is what a field is known by in every version of its form.
type identity struct {
	kind       kind
	id         int64
	hidden     string
	occurrence int
}

func (c *column) identity() identity {
	return identity{kind: c.Kind, id: c.ID, hidden: c.Hidden, occurrence: c.Occurrence}
}

// at is what the field holds in a form version.
func (c *column) at(version int) (edition, bool) {
	for _, e := range c.Editions {
		if e.Versions.has(version) {
			return e, true
		}
	}
	return edition{}, false
}

// newest is what the field holds in the highest version that has it.
func (c *column) newest() (edition, bool) { return c.at(c.Versions.max()) }

// put says what the field holds in a form version and reports whether that is
// news.
func (c *column) put(version int, is edition) bool {
	if old, ok := c.at(version); ok && old.equal(is) {
		return false
	}
	next := c.cut(version)
	for i := range next {
		if next[i].equal(is) {
			next[i].Versions = next[i].Versions.with(version)
			c.Editions = next
			return true
		}
	}
	is.Versions = versions{version}
	c.Editions = append(next, is)
	return true
}

// drop takes back what the field holds in a form version.
func (c *column) drop(version int) bool {
	if _, ok := c.at(version); !ok {
		return false
	}
	c.Editions = c.cut(version)
	return true
}

// cut is a copy of the editions without a form version.
func (c *column) cut(version int) []edition {
	var out []edition
	for _, e := range c.Editions {
		if e.Versions = e.Versions.without(version); len(e.Versions) > 0 {
			out = append(out, e)
		}
	}
	return out
}

func (e edition) equal(other edition) bool {
	return e.Value == other.Value && slices.Equal(e.Options, other.Options)
}

// avroType is the column's type below the null of its union.
func (c *column) avroType(mode Choice) string {
	switch {
	case c.Kind == kindConsent:
		return `"boolean"`
	case c.Kind == kindChoice && mode == Array:
		return `{"type":"array","items":"string"}`
	}
	return `"string"`
}

// fixedColumn is a column that every lead has, whatever its form.
type fixedColumn struct {
	name, avroType, doc string
	nullable            bool
}

// fixed are the columns before those of the form, in the order in which the
// encoder writes them.
var fixed = []fixedColumn{
	{name: "lead_id", avroType: `"string"`, doc: "LinkedIn's id of the response; reused when a member registers again"},
	{name: "submitted_at", avroType: `{"type":"long","logicalType":"timestamp-millis"}`, doc: "When the member submitted the form"},
	{name: "lead_type", avroType: `"string"`, doc: "LinkedIn's lead type, for example EVENT"},
	{name: "owner", avroType: `"string"`, doc: "URN of the organization that owns the form"},
	{name: "event", avroType: `"string"`, nullable: true, doc: "URN of the event"},
	{name: "submitter", avroType: `"string"`, nullable: true, doc: "URN of the member, valid inside one LinkedIn app only"},
	{name: "form_id", avroType: `"string"`, doc: "The form's number, up to 19 digits"},
	{name: "form_version", avroType: `"int"`, doc: "The version of the form that was answered"},
	{name: "test_lead", avroType: `"boolean"`, doc: "Whether LinkedIn marks the lead as a test"},
	{name: "unmapped", avroType: `"string"`, nullable: true, doc: "JSON object: answers without a column, and those that could not be read, as they came"},
	{name: "field_errors", avroType: `"string"`, nullable: true, doc: "JSON object: field to why its value is null or not as it came"},
}

// wellFormed is text as UTF-8: bytes that are not become U+FFFD.
func wellFormed(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// wellFormedBytes is the same for bytes.
func wellFormedBytes(text []byte) []byte { return bytes.ToValidUTF8(text, []byte("\uFFFD")) }

// typeText is the type as avro.Schema writes it.
func (c *column) typeText(mode Choice) string { return `["null",` + c.avroType(mode) + `]` }

// typeText is the type as avro.Schema writes it.
func (c fixedColumn) typeText() string {
	if c.nullable {
		return `["null",` + c.avroType + `]`
	}
	return c.avroType
}
