package schema

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/hamba/avro/v2"
)

// ErrIncompatible is matched by every error that says: this subject holds a
// schema that the form's schema cannot follow.
var ErrIncompatible = errors.New("incompatible schema")

// Differences says why a form's schema cannot be registered after the given
// ones, a sentence for each reason; none when it can. It asks more than a
// registry with BACKWARD_TRANSITIVE does: besides reading everything that was
// ever written, the record must be ours and no field may be lost. Registries
// that were told to check nothing let anything through, so this is asked
// whatever they say.
func Differences(schema string, registered ...RegisteredSchema) []string {
	next, err := parseRecord(schema)
	if err != nil {
		return []string{fmt.Sprintf("the form's schema does not parse: %.300s", err)}
	}
	var out []string
	for _, r := range registered {
		for _, d := range differences(next, r.Schema) {
			out = append(out, fmt.Sprintf("version %d: %s", r.Version, d))
		}
		if len(out) >= mostDifferences {
			return append(out[:mostDifferences], "and there are more")
		}
	}
	return out
}

// mostDifferences is how many are told: somebody else's subject may have thousands.
const mostDifferences = 100

// differences compares with one registered schema.
func differences(next *avro.RecordSchema, registered string) []string {
	old, err := parseRecord(registered)
	if err != nil {
		return []string{fmt.Sprintf("not an Avro record: %.300s", err)}
	}
	if old.FullName() != next.FullName() {
		return []string{fmt.Sprintf("the record is %s, the form's is %s", old.FullName(), next.FullName())}
	}
	var out []string
	for _, was := range old.Fields() {
		if len(out) > mostDifferences {
			return out
		}
		is := fieldNamed(next, was.Name())
		switch {
		case is == nil:
			out = append(out, fmt.Sprintf("field %s is not a field of the form", was.Name()))
		case is.Type().String() != was.Type().String():
			out = append(out, fmt.Sprintf("field %s is %s, the form's is %s", was.Name(), was.Type(), is.Type()))
		}
	}
	for _, is := range next.Fields() {
		if fieldNamed(old, is.Name()) == nil && !is.HasDefault() {
			out = append(out, fmt.Sprintf("field %s is missing", is.Name()))
		}
	}
	if len(out) == 0 {
		if err := avro.NewSchemaCompatibility().Compatible(next, old); err != nil {
			out = append(out, err.Error())
		}
	}
	return out
}

func fieldNamed(record *avro.RecordSchema, name string) *avro.Field {
	at := slices.IndexFunc(record.Fields(), func(f *avro.Field) bool { return f.Name() == name })
	if at < 0 {
		return nil
	}
	return record.Fields()[at]
}

// sameSchema reports whether both texts are the same schema to a decoder: the
// names, fields and types. Registries may write a schema differently from how
// they got it, and texts for people do not matter to records.
func sameSchema(a, b string) bool {
	if a == b || sameText(a, b) {
		return true
	}
	one, err := parseRecord(a)
	if err != nil {
		return false
	}
	other, err := parseRecord(b)
	if err != nil || one.FullName() != other.FullName() || len(one.Fields()) != len(other.Fields()) {
		return false
	}
	for i, is := range one.Fields() { // the text of a whole record takes the square of its length
		if was := other.Fields()[i]; is.Name() != was.Name() || is.Type().String() != was.Type().String() {
			return false
		}
	}
	return true
}

// sameText reports whether two JSON texts differ in white space and in the
// order of members alone, which is all that registries on Avro's Java library
// change. Parsing the schemas instead takes ten times as long and 40 times the
// memory, which counts where a thousand forms are checked at each start.
func sameText(a, b string) bool {
	one, other := jsontext.Value(a), jsontext.Value(b)
	return one.Canonicalize() == nil && other.Canonicalize() == nil && bytes.Equal(one, other)
}
