package schema

// Column describes one column of a form's schema, for people.
type Column struct {
	Name string `json:"name"`
	// Type is the Avro type, JSON as in the schema.
	Type string `json:"type"`
	// Origin is fixed, question, consent or hidden.
	Origin string `json:"origin"`
	// Doc is the text shown to the member, or what a fixed column holds.
	Doc string `json:"doc,omitempty"`
	// ID is LinkedIn's number of the question or the consent.
	ID         int64    `json:"id,omitempty"`
	Predefined string   `json:"predefined,omitempty"`
	Options    []Option `json:"options,omitempty"`
	// Value is that of a hidden field.
	Value string `json:"value,omitempty"`
	// Since and Until are the lowest and the highest form version met that
	// have the field; 0 for fixed columns.
	Since int `json:"since,omitempty"`
	Until int `json:"until,omitempty"`
	// Current says whether the newest version met has the field.
	Current bool `json:"current"`
}

// Option is one choice of a multiple choice question.
type Option struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

// Len is the number of columns of the schema.
func (f *Fields) Len() int { return len(fixed) + len(f.columns) }

// Describe lists the columns of the schema in its order.
func (f *Fields) Describe() []Column {
	var out []Column
	for _, c := range fixed {
		out = append(out, Column{Name: c.name, Type: c.typeText(), Origin: "fixed", Doc: c.doc, Current: true})
	}
	for _, c := range f.columns {
		held, _ := c.newest()
		var choices []Option
		for _, o := range held.Options {
			choices = append(choices, Option(o))
		}
		origin := string(c.Kind)
		if c.Kind.question() {
			origin = "question"
		}
		out = append(out, Column{
			Name: c.Name, Type: c.typeText(f.choice), Origin: origin, Doc: c.Doc, ID: c.ID,
			Predefined: c.Predefined, Options: choices, Value: held.Value,
			Since: c.Versions[0], Until: c.Versions.max(), Current: c.Versions.has(f.versions.max()),
		})
	}
	return out
}
