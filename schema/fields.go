package schema

import (
	"fmt"
	"slices"

	"leadstream/internal/lead"
)

// Choice is how the answers to multiple choice questions are written. It binds
// when a form's schema is first registered.
type Choice string

const (
	// Array is an array of the options' texts.
	Array Choice = "array"
	// Joined is one string, the texts with JoinSeparator between them, for
	// sinks that know no arrays. Not reversible when a text has the separator.
	Joined Choice = "joined"
)

// JoinSeparator stands between the texts of a Joined choice.
const JoinSeparator = "; "

// ParseChoice reads a configured mode: array or joined.
func ParseChoice(text string) (Choice, error) {
	switch c := Choice(text); c {
	case Array, Joined:
		return c, nil
	}
	return "", fmt.Errorf("multiple choice mode %.50q: want %s or %s", text, Array, Joined)
}

// Fields is the memory of one form's schema: every field that any version of
// the form ever had, the name each was given, and what the versions met hold.
// It is not safe for concurrent use while it changes. As JSON it is compact,
// stable and readable by later releases; unknown members are ignored.
type Fields struct {
	form     string
	choice   Choice
	name     string // of the form, in the highest version met
	versions versions
	columns  []*column // in the order in which they were first met
}

// New is the memory of a form of which no version was met yet: its schema has
// the fixed fields alone. The form's id is decimal digits.
func New(formID string, choice Choice) *Fields {
	return &Fields{form: formID, choice: choice}
}

// FormID is the form's number.
func (f *Fields) FormID() string { return f.form }

// FormName is the form's name, the doc of the record.
func (f *Fields) FormName() string { return f.name }

// Choice is how multiple choice is written, for good.
func (f *Fields) Choice() Choice { return f.choice }

// Clone is an independent copy.
func (f *Fields) Clone() *Fields {
	c := *f
	c.columns = make([]*column, len(f.columns))
	for i, col := range f.columns {
		copied := *col
		c.columns[i] = &copied
	}
	return &c
}

// HasVersion reports whether that version of the form is known as a whole, by
// Add or, after Parse, because it stands in the registry.
func (f *Fields) HasVersion(version int) bool { return f.versions.has(version) }

// HasQuestion reports whether the version is known to name the question.
func (f *Fields) HasQuestion(version int, id int64) bool {
	for _, c := range f.columns {
		if c.Kind.question() && c.ID == id && c.Versions.has(version) {
			return true
		}
	}
	return false
}

// Add applies one version of the form; versions may come in any order, and
// one that comes again with other content counts as corrected. It reports
// whether the memory changed, which is then to be saved; the schema changed
// only if Schema says something else than before. A form of another id is not
// added.
//
// Names are never taken back. Texts, predefined fields and the options shown
// in the schema follow the highest version that has the field.
func (f *Fields) Add(form lead.Form) (changed bool) {
	if form.ID != f.form {
		return false
	}
	shown := f.text(false)
	a := addition{fields: f, version: max(form.Version, 0), met: map[identity]bool{}}
	a.form(form)
	if f.text(false) != shown {
		a.mark()
	}
	return a.changed
}

// addition is one version of a form on its way into the memory.
type addition struct {
	fields  *Fields
	version int
	met     map[identity]bool // the fields of this version
	changed bool              // the memory
}

func (a *addition) form(form lead.Form) {
	f := a.fields
	if !f.versions.has(a.version) {
		f.versions = f.versions.with(a.version)
		a.changed = true
	}
	if name := wellFormed(form.Name); a.version == f.versions.max() && name != f.name {
		f.name = name
		a.changed = true
	}
	for _, q := range form.Questions {
		a.question(q)
	}
	for _, c := range form.Consents {
		a.consent(c)
	}
	occurrences := map[string]int{}
	for i, h := range form.Hidden {
		name := wellFormed(h.Name)
		occurrences[name]++
		a.hidden(name, h.Value, occurrences[name], i+1)
	}
	for _, c := range f.columns {
		if c.Kind == kindHidden && !a.met[c.identity()] {
			a.changed = c.drop(a.version) || a.changed // gone from a version that came again
		}
	}
}

func (a *addition) question(q lead.Question) {
	is := identity{kind: kindText, id: q.ID}
	if q.Kind == lead.ChoiceAnswer {
		is.kind = kindChoice
	}
	c := a.meet(is, func() string { return a.fields.free(questionName(q.Predefined, q.Text, q.ID), q.ID) })
	if c == nil {
		return
	}
	a.describe(c, q.Text, q.Predefined)
	if is.kind == kindText {
		return
	}
	now := newOptions(q.Options)
	if old, ok := c.at(a.version); ok {
		now = now.over(old.Options) // leads that chose what is gone stay readable
	}
	a.changed = c.put(a.version, edition{Options: now}) || a.changed
}

func (a *addition) consent(consent lead.Consent) {
	is := identity{kind: kindConsent, id: consent.ID}
	c := a.meet(is, func() string { return a.fields.free(numbered("consent_", consent.ID), consent.ID) })
	if c != nil {
		a.describe(c, consent.Text, "")
	}
}

func (a *addition) hidden(name, value string, occurrence, position int) {
	is := identity{kind: kindHidden, hidden: name, occurrence: occurrence}
	c := a.meet(is, func() string { return a.fields.free(hiddenName(name, position), int64(position)) })
	if c != nil {
		a.describe(c, name, "")
		a.changed = c.put(a.version, edition{Value: wellFormed(value)}) || a.changed
	}
}

// meet finds the column of a field of this version, or makes one with a name
// of its own. Of several fields with one identity only the first counts; nil
// for the others.
func (a *addition) meet(is identity, name func() string) *column {
	if a.met[is] {
		return nil
	}
	a.met[is] = true
	f := a.fields
	at := slices.IndexFunc(f.columns, func(c *column) bool { return c.identity() == is })
	if at < 0 {
		at = len(f.columns)
		f.columns = append(f.columns, &column{
			Name: name(), Kind: is.kind, ID: is.id, Hidden: is.hidden, Occurrence: is.occurrence,
		})
	}
	c := f.columns[at]
	if !c.Versions.has(a.version) {
		c.Versions = c.Versions.with(a.version)
		a.changed = true
	}
	return c
}

// describe keeps text and predefined field, unless a higher version has them.
func (a *addition) describe(c *column, doc, predefined string) {
	doc, predefined = wellFormed(doc), wellFormed(predefined)
	if c.Versions.max() != a.version || c.Doc == doc && c.Predefined == predefined {
		return
	}
	c.Doc, c.Predefined = doc, predefined
	a.changed = true
}

// mark marks the fields that the schema shows as of this version. Together
// the fields with the highest version are one whole version of the form, which
// is what Parse can know for certain.
func (a *addition) mark() {
	for _, c := range a.fields.columns {
		if a.met[c.identity()] && c.Versions.max() == a.version {
			c.FormVersion = a.version
		}
	}
	a.changed = true
}
