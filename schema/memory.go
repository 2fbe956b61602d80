package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"unique"

	"leadstream/internal/lead"
)

// memory is Fields as JSON.
type memory struct {
	Form     string    `json:"form"`
	Choice   Choice    `json:"choice"`
	Name     string    `json:"name,omitempty"`
	Versions versions  `json:"versions"`
	Columns  []*column `json:"columns"`
}

// MarshalJSON implements json.Marshaler.
func (f *Fields) MarshalJSON() ([]byte, error) {
	return json.Marshal(memory{Form: f.form, Choice: f.choice, Name: f.name, Versions: f.versions, Columns: f.columns})
}

// UnmarshalJSON implements json.Unmarshaler. Members that it does not know
// are ignored; a memory that could not give a valid schema is an error.
func (f *Fields) UnmarshalJSON(text []byte) error {
	var m memory
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("reading the fields of a form: %w", err)
	}
	read := Fields{form: m.Form, choice: m.Choice, name: m.Name, versions: m.Versions, columns: m.Columns}
	if err := read.check(); err != nil {
		return fmt.Errorf("reading the fields of form %.30q: %w", m.Form, err)
	}
	for _, c := range read.columns {
		c.compact()
	}
	read.columns = shrunk(read.columns)
	*f = read
	return nil
}

// compact gives back what reading took too much: a connector keeps the memories
// of a thousand forms, and most of their questions are the same few.
func (c *column) compact() {
	for _, known := range []kind{kindText, kindChoice, kindConsent, kindHidden} {
		if c.Kind == known {
			c.Kind = known // the constant's text
		}
	}
	if c.Predefined != "" {
		c.Predefined, c.Name, c.Doc = unique.Make(c.Predefined).Value(), unique.Make(c.Name).Value(), unique.Make(c.Doc).Value()
	}
	c.Versions, c.Editions = shrunk(c.Versions), shrunk(c.Editions)
	for i := range c.Editions {
		e := &c.Editions[i]
		e.Versions, e.Options = shrunk(e.Versions), shrunk(e.Options)
	}
}

// shrunk is the list without room to grow.
func shrunk[S ~[]E, E any](list S) S {
	if len(list) == cap(list) {
		return list
	}
	return append(make(S, 0, len(list)), list...)
}

// check refuses a memory whose schema would not be valid Avro: its texts are
// escaped, so only form, names and kinds can spoil it.
func (f *Fields) check() error {
	if !lead.Digits(f.form) {
		return errors.New("the form's id is not a number")
	}
	if _, err := ParseChoice(string(f.choice)); err != nil {
		return err
	}
	names, known := map[string]bool{}, map[identity]bool{}
	for _, c := range fixed {
		names[c.name] = true
	}
	for _, c := range f.columns {
		if err := c.check(); err != nil {
			return err
		}
		if names[c.Name] || known[c.identity()] {
			return fmt.Errorf("field %s stands twice", c.Name)
		}
		names[c.Name], known[c.identity()] = true, true
	}
	return nil
}

// check refuses a column that this release cannot write.
func (c *column) check() error {
	if c == nil || !validName(c.Name) {
		return errors.New("a field has no valid name")
	}
	if len(c.Versions) == 0 {
		return fmt.Errorf("field %s is of no form version", c.Name)
	}
	switch c.Kind {
	case kindText, kindChoice, kindConsent, kindHidden:
		return nil
	}
	return fmt.Errorf("field %s is of the unknown kind %.30q", c.Name, c.Kind)
}

// validName reports whether Avro allows the name.
func validName(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
