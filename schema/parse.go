package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hamba/avro/v2"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// ForeignError says that a registered schema is not one of ours. It matches
// ErrIncompatible: the form is suspended until a person has looked.
type ForeignError struct {
	// Version counts the schemas given, from 1.
	Version int
	// Problem is what gives it away.
	Problem string
}

// Error implements error.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("schema version %d is not leadstream's: %.500s", e.Version, e.Problem)
}

// Is matches ErrIncompatible.
func (e *ForeignError) Is(target error) bool { return target == ErrIncompatible }

// Fault implements the classification read by fault.KindOf.
func (e *ForeignError) Fault() fault.Kind { return fault.Suspend }

// Parse rebuilds a form's memory from the schema versions registered for it,
// oldest first, for when the checkpoint is lost. Names, types and the choice
// mode come back exactly, and the schema of what it returns is the newest
// given. Of the form versions those are known as a whole that were the newest
// when a schema was registered; options and hidden values of versions that
// never stood in the registry are not known any more. It fails with a
// *ForeignError when a schema is somebody else's.
func Parse(registered ...string) (*Fields, error) {
	if len(registered) == 0 {
		return nil, errors.New("rebuilding a form's fields: no registered schema given")
	}
	var f *Fields
	for i, text := range registered {
		read, err := parseOne(text)
		if err != nil {
			return nil, &ForeignError{Version: i + 1, Problem: fault.Plain(err).Error()}
		}
		if f == nil {
			f = read
			continue
		}
		if err := f.merge(read); err != nil {
			return nil, &ForeignError{Version: i + 1, Problem: err.Error()}
		}
	}
	return f, nil
}

// parseOne reads one schema of ours; its error says what is not.
func parseOne(text string) (*Fields, error) {
	record, err := parseRecord(text)
	if err != nil {
		return nil, err
	}
	id, ok := strings.CutPrefix(record.Namespace(), namespace)
	if record.Name() != RecordName || !ok || !lead.Digits(id) {
		return nil, fmt.Errorf("the record is %s, not %s in %s<form id>", record.FullName(), RecordName, namespace)
	}
	choice, err := ParseChoice(stringProp(record.Prop(propChoice)))
	if err != nil {
		return nil, fmt.Errorf("property %s: %w", propChoice, err)
	}
	f := &Fields{form: id, choice: choice, name: record.Doc()}
	left := slices.Clone(record.Fields())
	for _, want := range fixed {
		at := slices.IndexFunc(left, func(field *avro.Field) bool { return field.Name() == want.name })
		if at < 0 {
			return nil, fmt.Errorf("field %s is missing", want.name)
		}
		if got, want := left[at].Type().String(), want.typeText(); got != want {
			return nil, fmt.Errorf("field %s is %s, not %s", left[at].Name(), got, want)
		}
		left = slices.Delete(left, at, at+1)
	}
	for _, field := range left {
		c, err := parseColumn(field, choice)
		if err != nil {
			return nil, err
		}
		f.columns = append(f.columns, c)
	}
	f.knowNewest()
	return f, f.check()
}

// knowNewest takes the highest form version that the schema shows as known.
func (f *Fields) knowNewest() {
	newest := -1
	for _, c := range f.columns {
		newest = max(newest, c.FormVersion)
	}
	if newest >= 0 {
		f.versions = f.versions.with(newest)
	}
}

// parseColumn reads a field of the form by its properties.
func parseColumn(field *avro.Field, mode Choice) (*column, error) {
	prop := func(name string) string { return stringProp(field.Prop(name)) }
	version, err := strconv.Atoi(prop(propVersion))
	if err != nil || version < 0 {
		return nil, fmt.Errorf("field %s has no property %s", field.Name(), propVersion)
	}
	c := &column{Name: field.Name(), Doc: field.Doc(), Predefined: prop(propPredefined), FormVersion: version, Versions: versions{version}}
	number := prop(propQuestion)
	switch {
	case number != "":
		c.Kind = kind(prop(propKind))
		if !c.Kind.question() {
			return nil, fmt.Errorf("field %s: property %s is %.20q", c.Name, propKind, c.Kind)
		}
	case field.Prop(propConsent) != nil:
		c.Kind, number = kindConsent, prop(propConsent)
	case field.Prop(propHidden) != nil:
		c.Kind, c.Hidden, c.Occurrence, number = kindHidden, prop(propHidden), 1, "0"
	default:
		return nil, fmt.Errorf("field %s has none of the properties %s, %s, %s", c.Name, propQuestion, propConsent, propHidden)
	}
	if c.ID, err = strconv.ParseInt(number, 10, 64); err != nil {
		return nil, fmt.Errorf("field %s: %.30q is not a number", c.Name, number)
	}
	if err = c.parseEdition(field); err != nil {
		return nil, fmt.Errorf("field %s: %w", c.Name, err)
	}
	if got, want := field.Type().String(), c.typeText(mode); got != want || !field.HasDefault() {
		return nil, fmt.Errorf("field %s is %s, not %s with default null", c.Name, got, want)
	}
	return c, nil
}

// parseEdition reads what the field holds in the version it shows.
func (c *column) parseEdition(field *avro.Field) error {
	switch c.Kind {
	case kindChoice:
		var o options
		if err := json.Unmarshal([]byte(stringProp(field.Prop(propOptions))), &o); err != nil {
			return fmt.Errorf("property %s: %w", propOptions, err)
		}
		c.put(c.FormVersion, edition{Options: o})
	case kindHidden:
		if text := stringProp(field.Prop(propOccurrence)); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 2 {
				return fmt.Errorf("property %s is %.20q", propOccurrence, text)
			}
			c.Occurrence = n
		}
		if value, ok := field.Prop(propValue).(string); ok {
			c.put(c.FormVersion, edition{Value: value})
		}
	case kindText, kindConsent: // hold nothing
	}
	return nil
}

// merge adds what a later registered schema knows.
func (f *Fields) merge(later *Fields) error {
	if later.form != f.form || later.choice != f.choice {
		return fmt.Errorf("it is of form %s, multiple choice %s; the one before of form %s, %s",
			later.form, later.choice, f.form, f.choice)
	}
	f.name = later.name
	for _, n := range later.versions {
		f.versions = f.versions.with(n)
	}
	columns := later.columns
	for _, old := range f.columns {
		at := slices.IndexFunc(columns, func(c *column) bool { return c.identity() == old.identity() })
		if at < 0 {
			columns = append(columns, old) // a schema only grows
			continue
		}
		if err := columns[at].absorb(old); err != nil {
			return err
		}
	}
	f.columns = columns
	return f.check() // one name may not belong to two fields
}

// absorb adds what an earlier schema said of the same field.
func (c *column) absorb(old *column) error {
	if old.Name != c.Name {
		return fmt.Errorf("field %s was %s before", c.Name, old.Name)
	}
	for _, e := range old.Editions {
		for _, n := range e.Versions {
			if _, known := c.at(n); !known {
				c.put(n, e)
			}
		}
	}
	for _, n := range old.Versions {
		c.Versions = c.Versions.with(n)
	}
	return nil
}

// largeSchema is what is parsed one at a time, in bytes: it takes a hundred times as
// many for a moment.
const largeSchema = 128 << 10

var parsing sync.Mutex

// parseRecord parses Avro without hamba's process-wide cache, in which two
// versions of one record would meet.
func parseRecord(text string) (*avro.RecordSchema, error) {
	if len(text) > mostSchema {
		return nil, &oversizeError{fmt.Sprintf("it has %d bytes, and leadstream reads %d at most", len(text), mostSchema)}
	}
	if len(text) > largeSchema {
		parsing.Lock()
		defer parsing.Unlock()
	}
	parsed, err := avro.ParseWithCache(text, "", &avro.SchemaCache{})
	if err != nil {
		return nil, err
	}
	record, ok := parsed.(*avro.RecordSchema)
	if !ok {
		return nil, fmt.Errorf("it is a %s, not a record", parsed.Type())
	}
	return record, nil
}

func stringProp(value any) string {
	text, ok := value.(string)
	if !ok {
		return ""
	}
	return text
}
