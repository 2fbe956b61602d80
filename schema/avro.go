package schema

import "strconv"

// Names of the properties; see the package comment.
const (
	propQuestion   = "linkedin.questionId"
	propConsent    = "linkedin.consentId"
	propHidden     = "linkedin.hiddenField"
	propOccurrence = "linkedin.occurrence"
	propKind       = "linkedin.kind"
	propPredefined = "linkedin.predefinedField"
	propOptions    = "linkedin.options"
	propValue      = "linkedin.hiddenValue"
	propVersion    = "linkedin.formVersion"
	propChoice     = "linkedin.multipleChoice"
)

const (
	// RecordName is the name of the record in each form's schema.
	RecordName = "Lead"
	namespace  = "linkedin.form_" // the form's number follows
)

// Schema is the Avro schema of the form, as JSON without white space: what is
// to be registered. Equal memories give equal texts.
//
// Source: Avro specification 1.12, "Schema Declaration"; attributes that it
// does not define are metadata and do not touch the encoding.
func (f *Fields) Schema() string { return f.text(true) }

// Earlier is the schema of the form when it had the first so many of its columns
// (Len): to a decoder the one that was registered then. It is false where the form
// never had so many.
func (f *Fields) Earlier(columns int) (string, bool) {
	if columns < len(fixed) || columns > f.Len() {
		return "", false
	}
	earlier := *f
	earlier.columns = f.columns[:columns-len(fixed)]
	return earlier.Schema(), true
}

// text is the schema, with or without the properties linkedin.formVersion.
func (f *Fields) text(versioned bool) string {
	out := make([]byte, 0, 2048+256*len(f.columns))
	out = append(out, `{"type":"record","name":"`+RecordName+`","namespace":"`+namespace...)
	out = append(append(out, f.form...), '"')
	out = appendMember(out, "doc", f.name)
	out = appendMember(out, propChoice, string(f.choice))
	out = append(out, `,"fields":[`...)
	for i, c := range fixed {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendField(out, c.name, c.avroType, c.nullable)
		out = append(appendMember(out, "doc", c.doc), '}')
	}
	for _, c := range f.columns {
		out = appendField(append(out, ','), c.Name, c.avroType(f.choice), true)
		out = appendMember(out, "doc", c.Doc)
		for _, p := range c.properties(versioned) {
			out = appendMember(out, p.name, p.value)
		}
		out = append(out, '}')
	}
	return string(append(out, `]}`...))
}

type property struct{ name, value string }

// properties are the column's, in the order in which they are written; those
// that are empty are left out.
func (c *column) properties(versioned bool) []property {
	var out []property
	add := func(name, value string) {
		if value != "" {
			out = append(out, property{name, value})
		}
	}
	held, has := c.newest()
	switch c.Kind {
	case kindText, kindChoice:
		add(propQuestion, strconv.FormatInt(c.ID, 10))
		add(propKind, string(c.Kind))
		add(propPredefined, c.Predefined)
		if c.Kind == kindChoice {
			add(propOptions, held.Options.text())
		}
	case kindConsent:
		add(propConsent, strconv.FormatInt(c.ID, 10))
	case kindHidden:
		out = append(out, property{propHidden, c.Hidden})
		if c.Occurrence > 1 {
			add(propOccurrence, strconv.Itoa(c.Occurrence))
		}
		if has {
			out = append(out, property{propValue, held.Value})
		}
	}
	if versioned {
		add(propVersion, strconv.Itoa(c.FormVersion))
	}
	return out
}

// appendField opens the object of a field.
func appendField(out []byte, name, avroType string, nullable bool) []byte {
	out = append(out, `{"name":"`+name+`","type":`...)
	if nullable {
		return append(out, `["null",`+avroType+`],"default":null`...)
	}
	return append(out, avroType...)
}

// appendMember appends a string member that is not the first of its object.
// An empty doc is left out.
func appendMember(out []byte, name, value string) []byte {
	if name == "doc" && value == "" {
		return out
	}
	out = append(out, `,"`+name+`":`...)
	return appendJSONString(out, value)
}
