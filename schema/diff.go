package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Change is one difference between two schemas of a form.
type Change struct {
	Column string `json:"column"`
	Change string `json:"change"`
}

// Diff lists what is new in the schema, what says something else there, and
// the columns that are not asked for any more. Columns are never removed. known is nil for
// a form without leads.
func Diff(known, current *Fields) []Change {
	var changes []Change
	before := map[string]Column{}
	if known != nil {
		for _, c := range known.Describe() {
			before[c.Name] = c
		}
		if known.FormName() != current.FormName() {
			changes = append(changes, Change{RecordName, fmt.Sprintf("another name of the form (the record's doc): %q", current.FormName())})
		}
	}
	for _, c := range current.Describe() {
		old, had := before[c.Name]
		if !had {
			changes = append(changes, Change{c.Name, "new, " + c.Type})
			continue
		}
		if said := compareColumn(old, c); len(said) > 0 {
			changes = append(changes, Change{c.Name, strings.Join(said, "; ")})
		}
	}
	return changes
}

// compareColumn says how a column differs from what it was.
func compareColumn(old, now Column) []string {
	var said []string
	for _, difference := range []struct {
		is   bool
		text string
	}{
		{old.Current && !now.Current, "no longer asked, and the column stays"},
		{!old.Current && now.Current, "asked again"},
		{old.Doc != now.Doc, "another text"},
		{old.Predefined != now.Predefined, fmt.Sprintf("predefined field %q instead of %q", now.Predefined, old.Predefined)},
		{!slices.Equal(old.Options, now.Options), "other options"},
		{old.Value != now.Value, fmt.Sprintf("value %q instead of %q", now.Value, old.Value)},
	} {
		if difference.is {
			said = append(said, difference.text)
		}
	}
	return said
}
