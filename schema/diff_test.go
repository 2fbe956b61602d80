package schema

import (
	"testing"

	"leadstream/internal/lead"
)

// TestADiffShowsWhateverRegistersAnotherSchema, and nothing where the schema
// stays what it is.
func TestADiffShowsWhateverRegistersAnotherSchema(t *testing.T) {
	first := func() lead.Form {
		return lead.Form{
			FormRef: lead.FormRef{ID: "7", Version: 1}, Name: "Autumn fair",
			Questions: []lead.Question{
				{ID: 1, Text: "Your e-mail", Predefined: "EMAIL", Kind: lead.TextAnswer},
				{ID: 2, Text: "Your size", Kind: lead.ChoiceAnswer, Options: []lead.Option{{ID: 0, Text: "S"}, {ID: 1, Text: "L"}}},
			},
			Consents: []lead.Consent{{ID: 5, Text: "You may write to me"}},
			Hidden:   []lead.HiddenField{{Name: "campaign", Value: "autumn"}},
		}
	}
	tests := []struct {
		name   string
		change func(*lead.Form)
		want   []Change
	}{
		{"nothing", func(*lead.Form) {}, nil},
		{"the form's name", func(f *lead.Form) { f.Name = "Winter fair" }, []Change{{"Lead", `another name of the form (the record's doc): "Winter fair"`}}},
		{"a text", func(f *lead.Form) { f.Questions[0].Text = "Where do we write to?" }, []Change{{"email", "another text"}}},
		{"a predefined field", func(f *lead.Form) { f.Questions[0].Predefined = "WORK_EMAIL" }, []Change{{"email", `predefined field "WORK_EMAIL" instead of "EMAIL"`}}},
		{"text and predefined field", func(f *lead.Form) { f.Questions[0].Predefined, f.Questions[0].Text = "", "Mail" }, []Change{{"email", `another text; predefined field "" instead of "EMAIL"`}}},
		{"options", func(f *lead.Form) { f.Questions[1].Options[1].Text = "XL" }, []Change{{"your_size", "other options"}}},
		{"a consent's text", func(f *lead.Form) { f.Consents[0].Text = "You may call me" }, []Change{{"consent_5", "another text"}}},
		{"a hidden value", func(f *lead.Form) { f.Hidden[0].Value = "winter" }, []Change{{"hidden_campaign", `value "winter" instead of "autumn"`}}},
		{"a new question", func(f *lead.Form) {
			f.Questions = append(f.Questions, lead.Question{ID: 3, Text: "Your city", Kind: lead.TextAnswer})
		}, []Change{{"your_city", `new, ["null","string"]`}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			known := New("7", Array)
			known.Add(first())
			current := known.Clone()
			later := first()
			later.Version = 2
			tt.change(&later)
			current.Add(later)
			got := Diff(known, current)
			if len(got) != len(tt.want) || len(got) > 0 && got[0] != tt.want[0] {
				t.Errorf("Diff = %q, want %q", got, tt.want)
			}
			if differs := known.Schema() != current.Schema(); differs != (len(got) > 0) {
				t.Errorf("the schemas differ: %t, and Diff = %q", differs, got)
			}
		})
	}
}

// TestADiffSaysWhatIsAskedNoMoreAndAgain, although the schema keeps it.
func TestADiffSaysWhatIsAskedNoMoreAndAgain(t *testing.T) {
	form := func(version int, questions ...lead.Question) lead.Form {
		return lead.Form{FormRef: lead.FormRef{ID: "7", Version: version}, Questions: questions}
	}
	city := lead.Question{ID: 3, Text: "Your city", Kind: lead.TextAnswer}
	asked := New("7", Array)
	asked.Add(form(1, city))
	gone := asked.Clone()
	gone.Add(form(2))
	again := gone.Clone()
	again.Add(form(3, city))
	for want, got := range map[string][]Change{
		"no longer asked, and the column stays": Diff(asked, gone),
		"asked again":                           Diff(gone, again),
	} {
		if len(got) != 1 || got[0] != (Change{"your_city", want}) {
			t.Errorf("Diff = %q, want %q", got, want)
		}
	}
}
