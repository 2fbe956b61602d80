package schema

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"leadstream/internal/lead"
)

func TestExampleFormHasItsSchema(t *testing.T) {
	golden(t, "example.avsc", fieldsOf(t, Array, exampleForm()).Schema())
	golden(t, "example.joined.avsc", fieldsOf(t, Joined, exampleForm()).Schema())
}

func TestUnknownFormHasTheFixedFieldsAlone(t *testing.T) {
	golden(t, "fixed.avsc", New(formID, Array).Schema())
}

// awkwardForm has questions with equal, empty, emoji, 300-character and
// reserved texts.
func awkwardForm() lead.Form {
	f := form(3,
		text(1, "Your role?"), text(2, "Your role?"), text(3, "your  ROLE"),
		text(4, ""), text(5, "🎉🎉"), text(6, "?!"), text(7, "🎉 Party name"),
		text(8, strings.Repeat("Why do you come to our event? ", 10)),
		text(9, strings.Repeat("Why do you come to our event? ", 10)),
		text(10, "Lead ID"), text(11, "submitted_at"), text(12, "Field errors"), text(13, "unmapped"),
		text(14, "null"), text(15, "record"), text(16, "namespace"), text(17, "Type"),
		text(18, "2026 goals"), text(19, "Größe der Firma (Straße)"), text(20, "公司名称"), text(21, "Ваша компания"),
		text(22, `Say "hi" \ & <bye>`+"\n\x00"), text(23, "Question 4"), text(24, "Your role 2"),
		predefined(25, "E-Mail", "EMAIL"), predefined(26, "Second e-mail", "EMAIL"), predefined(27, "", "some newField"),
		choice(28, "consent 0", "Ja", "🎉", "", `"`), text(29, "hidden utm"), text(30, strings.Repeat("x", 47)+" y"),
		text(31, "Not \xff UTF-8"))
	f.Name = `A "form" with <everything> 🎉`
	f.Consents = []lead.Consent{{ID: 0, Text: ""}, {ID: 1, Text: "Yes, 🎉"}}
	f.Hidden = []lead.HiddenField{
		{Name: "utm", Value: "a"}, {Name: "UTM", Value: "b"}, {Name: "utm", Value: "c"}, {Name: "", Value: "d"},
		{Name: "🎉", Value: ""}, {Name: "2026", Value: "f"}, {Name: "", Value: "g"},
	}
	return f
}

func TestAwkwardFormHasAValidSchema(t *testing.T) {
	f := fieldsOf(t, Array, awkwardForm())
	golden(t, "awkward.avsc", f.Schema())
	compile(t, f, 1)
	all := names(f)
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
		t.Errorf("%d of %d names are unique: %q", n, len(all), all)
	}
}

func TestNamesOfQuestions(t *testing.T) {
	long := strings.Repeat("abcde ", 20)
	for _, test := range []struct {
		name      string
		questions []lead.Question
		want      []string
	}{
		{"predefined in lower case", []lead.Question{predefined(1, "x", "WORK_EMAIL")}, []string{"work_email"}},
		{"text as a slug", []lead.Question{text(1, "  What's your job -- title? ")}, []string{"what_s_your_job_title"}},
		{"transliterated", []lead.Question{text(1, "Straße in Łódź")}, []string{"strasse_in_lodz"}},
		{"leading digit", []lead.Question{text(1, "3 wishes")}, []string{"q_3_wishes"}},
		{"nothing left", []lead.Question{text(51, "!!!")}, []string{"question_51"}},
		{"at most 48 characters", []lead.Question{text(1, long)}, []string{"abcde_abcde_abcde_abcde_abcde_abcde_abcde_abcde"}},
		{"48 with the prefix", []lead.Question{text(1, strings.Repeat("1", 60))}, []string{"q_" + strings.Repeat("1", 46)}},
		{"later of two", []lead.Question{text(1, "Role"), text(2, "role?")}, []string{"role", "role_2"}},
		{"later of two, order of the form", []lead.Question{text(9, "Role"), text(2, "role?")}, []string{"role", "role_2"}},
		{"suffix taken too", []lead.Question{text(1, "Role"), text(3, "Role 2"), text(2, "Role")}, []string{"role", "role_2", "role_2_2"}},
		{"fixed fields are earlier", []lead.Question{text(7, "Owner"), text(8, "Event")}, []string{"owner_7", "event_8"}},
		{"predefined clashes with text", []lead.Question{text(1, "Email"), predefined(2, "Mail", "EMAIL")}, []string{"email", "email_2"}},
		{"same id twice counts once", []lead.Question{text(1, "A"), text(1, "B")}, []string{"a"}},
		{"same id with two types", []lead.Question{text(1, "A"), choice(1, "A", "x")}, []string{"a", "a_1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := fieldsOf(t, Array, form(1, test.questions...))
			if got := names(f); !slices.Equal(got, test.want) {
				t.Errorf("names = %q, want %q", got, test.want)
			}
			for _, name := range names(f) {
				if len(name) > 48+1+19 {
					t.Errorf("%q has %d characters", name, len(name))
				}
			}
		})
	}
}

func TestConsentsAndHiddenFieldsHaveNamesOfTheirOwn(t *testing.T) {
	v := form(1, text(5, "Consent 0"), text(6, "Hidden utm"))
	v.Consents = []lead.Consent{{ID: 0}, {ID: 3}}
	v.Hidden = []lead.HiddenField{{Name: "UTM"}, {Name: "utm"}, {Name: "–"}, {Name: "9"}}
	want := []string{"consent_0", "hidden_utm", "consent_0_0", "consent_3", "hidden_utm_1", "hidden_utm_2", "hidden_3", "hidden_9"}
	if got := names(fieldsOf(t, Array, v)); !slices.Equal(got, want) {
		t.Errorf("names = %q, want %q", got, want)
	}
}

func evolution() []lead.Form {
	v1 := exampleForm()
	v2 := exampleForm() // a text and an option change, a question goes, one comes
	v2.Version, v2.Name = 2, "SPD 2026 registration, second edition"
	v2.Questions[3] = choice(510004, "Which track?", "Connectors", "Platforms", "Both")
	v2.Questions[4] = text(510006, "Which track?")
	v2.Hidden[0].Value = "spd26-late"
	v3 := exampleForm() // a question changes its type
	v3.Version, v3.Name = 3, v2.Name
	v3.Questions[3] = text(510004, "Which track?")
	v3.Consents = nil
	v4 := v2 // and back again
	v4.Version = 4
	return []lead.Form{v1, v2, v3, v4}
}

func TestSchemaOnlyGrows(t *testing.T) {
	f := New(formID, Array)
	for i, v := range evolution() {
		if !f.Add(v) {
			t.Fatalf("version %d changed nothing", v.Version)
		}
		golden(t, "evolution.v"+string(rune('1'+i))+".avsc", f.Schema())
	}
	want := []string{"first_name", "last_name", "email", "which_track_interests_you", "what_do_you_want_to_learn",
		"consent_0", "hidden_utm_campaign", "which_track", "which_track_510004"}
	if got := names(f); !slices.Equal(got, want) {
		t.Errorf("names = %q, want %q", got, want)
	}
}

func TestVersionAgainChangesNothing(t *testing.T) {
	f := fieldsOf(t, Array, evolution()...)
	before := f.Schema()
	for _, v := range evolution() {
		if f.Add(v) {
			t.Errorf("version %d again: changed", v.Version)
		}
	}
	if f.Schema() != before {
		t.Errorf("schema = %s, want %s", f.Schema(), before)
	}
}

func TestVersionWithoutNewsRegistersNothing(t *testing.T) {
	f := fieldsOf(t, Array, exampleForm())
	before := f.Schema()
	next := exampleForm()
	next.Version = 2
	next.Questions = next.Questions[:2] // a question that leaves is no news to the schema
	if !f.Add(next) {
		t.Error("a new version did not change the memory")
	}
	if f.Schema() != before {
		t.Errorf("schema = %s, want %s", f.Schema(), before)
	}
	if !f.HasVersion(2) || f.HasVersion(3) {
		t.Errorf("HasVersion(2), (3) = %v, %v, want true, false", f.HasVersion(2), f.HasVersion(3))
	}
	if !f.HasQuestion(2, 510001) || f.HasQuestion(2, 510005) || !f.HasQuestion(1, 510005) || f.HasQuestion(1, 1) {
		t.Error("HasQuestion does not say what each version names")
	}
}

func TestOlderVersionDoesNotChangeTexts(t *testing.T) {
	v := evolution()
	f := fieldsOf(t, Array, v[1])
	f.Add(v[0])
	if !strings.Contains(f.Schema(), "second edition") || strings.Contains(f.Schema(), "Which track interests you?") {
		t.Errorf("texts are not the newest version's: %s", f.Schema())
	}
	if got, want := names(f)[len(names(f))-1], "what_do_you_want_to_learn"; got != want {
		t.Errorf("the field that only the older version has is %s, want %s at the end", got, want)
	}
}

func TestCorrectedVersionKeepsReadingItsLeads(t *testing.T) {
	f := fieldsOf(t, Array, exampleForm())
	again := exampleForm()
	again.Questions[3] = choice(510004, "Which track interests you?", "Connecting")
	again.Hidden = nil
	if !f.Add(again) {
		t.Fatal("a corrected version changed nothing")
	}
	r := blank(1)
	r.Answers = []lead.Answer{{QuestionID: 510004, Kind: lead.ChoiceAnswer, Options: []int64{0, 1}}}
	got, faults := encode(t, f, r)
	if want := []any{"Connecting", "Operations"}; !slices.Equal(got["which_track_interests_you"].([]any), want) {
		t.Errorf("options = %v, want %v", got["which_track_interests_you"], want)
	}
	if got["hidden_utm_campaign"] != nil || len(faults) != 0 {
		t.Errorf("hidden field that is gone = %v, faults %v; want null and none", got["hidden_utm_campaign"], faults)
	}
}

func TestAnotherFormIsNotAdded(t *testing.T) {
	f := fieldsOf(t, Array, exampleForm())
	other := exampleForm()
	other.ID, other.Version, other.Name = "1", 9, "another"
	before := f.Schema()
	if f.Add(other) || f.Schema() != before || f.HasVersion(9) {
		t.Error("a form of another id was added")
	}
}

func TestCloneIsIndependent(t *testing.T) {
	v := evolution()
	f := fieldsOf(t, Array, v[0])
	before := f.Schema()
	c := f.Clone()
	for _, next := range v[1:] {
		c.Add(next)
	}
	if f.Schema() != before || f.HasVersion(2) || f.HasQuestion(2, 510001) {
		t.Errorf("adding to a clone changed the original")
	}
	r := blank(2)
	r.Answers = []lead.Answer{{QuestionID: 510004, Kind: lead.ChoiceAnswer, Options: []int64{1}}}
	if got, _ := encode(t, f, r); !slices.Equal(got["which_track_interests_you"].([]any), []any{"1"}) {
		t.Errorf("the original knows options of a version that only the clone met: %v", got)
	}
}

func TestMemoryGolden(t *testing.T) {
	for name, f := range map[string]*Fields{
		"memory.evolution.json": fieldsOf(t, Array, evolution()...),
		"memory.awkward.json":   fieldsOf(t, Joined, awkwardForm()),
		"memory.fixed.json":     New(formID, Array),
	} {
		out, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, string(out))
		stored, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		var back Fields
		if err := json.Unmarshal(stored, &back); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if back.Schema() != f.Schema() {
			t.Errorf("%s: schema read back = %s, want %s", name, back.Schema(), f.Schema())
		}
		if again, err := json.Marshal(&back); err != nil || string(again) != string(out) {
			t.Errorf("%s: written again = %s, %v, want %s", name, again, err, out)
		}
	}
}

func TestMemoryOfTheNextReleaseIsRead(t *testing.T) {
	var f Fields
	in := `{"form":"12","choice":"joined","name":"F","versions":"1-3,5","later":[1],
		"columns":[{"name":"a","kind":"text","id":4,"stamp":3,"versions":"1-3,5","later":{}}]}`
	if err := json.Unmarshal([]byte(in), &f); err != nil {
		t.Fatal(err)
	}
	if f.FormID() != "12" || f.Choice() != Joined || !f.HasQuestion(5, 4) || f.HasQuestion(4, 4) || !f.HasVersion(2) {
		t.Errorf("read %+v", f)
	}
}

func TestDamagedMemoryIsAnError(t *testing.T) {
	column := `{"name":"a","kind":"text","id":4,"stamp":1,"versions":"1"}`
	for name, in := range map[string]string{
		"not an object":      `[]`,
		"no form":            `{"choice":"array"}`,
		"form with quotes":   `{"form":"1\"","choice":"array"}`,
		"unknown choice":     `{"form":"1","choice":"map"}`,
		"versions backwards": `{"form":"1","choice":"array","versions":"3-1"}`,
		"versions unsorted":  `{"form":"1","choice":"array","versions":"3,1"}`,
		"versions huge":      `{"form":"1","choice":"array","versions":"0-999999999"}`,
		"versions text":      `{"form":"1","choice":"array","versions":"x"}`,
		"versions open":      `{"form":"1","choice":"array","versions":"1-"}`,
		"name not Avro's":    `{"form":"1","choice":"array","columns":[{"name":"a b","kind":"text","versions":"1"}]}`,
		"name of digits":     `{"form":"1","choice":"array","columns":[{"name":"1a","kind":"text","versions":"1"}]}`,
		"no name":            `{"form":"1","choice":"array","columns":[{"kind":"text","versions":"1"}]}`,
		"null column":        `{"form":"1","choice":"array","columns":[null]}`,
		"unknown kind":       `{"form":"1","choice":"array","columns":[{"name":"a","kind":"number","versions":"1"}]}`,
		"no version":         `{"form":"1","choice":"array","columns":[{"name":"a","kind":"text"}]}`,
		"twice":              `{"form":"1","choice":"array","columns":[` + column + `,` + column + `]}`,
		"fixed name":         `{"form":"1","choice":"array","columns":[{"name":"owner","kind":"text","versions":"1"}]}`,
	} {
		f := *New("99", Array)
		if err := json.Unmarshal([]byte(in), &f); err == nil {
			t.Errorf("%s: read without an error", name)
		} else if f.FormID() != "99" {
			t.Errorf("%s: half read: %+v", name, f)
		}
	}
}

func TestDescribeSaysWhatEachColumnIs(t *testing.T) {
	f := fieldsOf(t, Array, evolution()[:3]...)
	var got []string
	for _, c := range f.Describe()[len(fixed):] {
		line := c.Name + " " + c.Origin + " " + c.Type
		if !c.Current {
			line += " gone"
		}
		got = append(got, line)
	}
	want := []string{
		`first_name question ["null","string"]`,
		`last_name question ["null","string"]`,
		`email question ["null","string"]`,
		`which_track_interests_you question ["null",{"type":"array","items":"string"}] gone`,
		`what_do_you_want_to_learn question ["null","string"]`,
		`consent_0 consent ["null","boolean"] gone`,
		`hidden_utm_campaign hidden ["null","string"]`,
		`which_track question ["null","string"] gone`,
		`which_track_510004 question ["null","string"]`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("columns = %q\nwant %q", got, want)
	}
	first := f.Describe()[0]
	if first.Name != "lead_id" || first.Type != `"string"` || first.Origin != "fixed" {
		t.Errorf("first column = %+v", first)
	}
	c := f.Describe()[len(fixed)+3]
	if c.Since != 1 || c.Until != 2 || len(c.Options) != 3 || c.Options[1] != (Option{ID: 1, Text: "Platforms"}) || c.ID != 510004 {
		t.Errorf("choice column = %+v", c)
	}
}

func TestParseChoice(t *testing.T) {
	for _, mode := range []Choice{Array, Joined} {
		if got, err := ParseChoice(string(mode)); got != mode || err != nil {
			t.Errorf("ParseChoice(%q) = %q, %v", mode, got, err)
		}
	}
	if _, err := ParseChoice("Array"); err == nil {
		t.Error("ParseChoice takes any text")
	}
}
