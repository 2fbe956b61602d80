package schema

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// grown adds versions one by one and gives the schemas that were registered
// on the way.
func grown(t testing.TB, mode Choice, forms ...lead.Form) (*Fields, []string) {
	t.Helper()
	f := New(formID, mode)
	var registered []string
	for _, form := range forms {
		f.Add(form)
		if s := f.Schema(); len(registered) == 0 || registered[len(registered)-1] != s {
			registered = append(registered, s)
		}
	}
	return f, registered
}

func TestLostMemoryComesBackFromTheRegistry(t *testing.T) {
	for name, forms := range map[string][]lead.Form{
		"evolution": evolution(), "awkward": {awkwardForm()}, "fixed alone": {{FormRef: lead.FormRef{ID: formID, Version: 1}}},
		"two old ones late": {evolution()[2], evolution()[0], evolution()[1]},
	} {
		for _, mode := range []Choice{Array, Joined} {
			t.Run(name+", "+string(mode), func(t *testing.T) {
				f, registered := grown(t, mode, forms...)
				back, err := Parse(registered...)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := back.Schema(), f.Schema(); got != want {
					t.Errorf("schema = %s\nwant %s", got, want)
				}
				if got, want := names(back), names(f); !slices.Equal(got, want) || back.Choice() != mode || back.FormID() != formID {
					t.Errorf("%s, %s with %q, want %q", back.FormID(), back.Choice(), got, want)
				}
				for _, form := range forms { // what is fetched again changes no name and registers nothing
					back.Add(form)
				}
				if got, want := names(back), names(f); !slices.Equal(got, want) {
					t.Errorf("names after adding again = %q, want %q", got, want)
				}
			})
		}
	}
}

func TestOldVersionsComeBackWhole(t *testing.T) {
	f, registered := grown(t, Array, evolution()...)
	back, err := Parse(registered...)
	if err != nil {
		t.Fatal(err)
	}
	for version := 1; version <= 4; version++ {
		r := blank(version)
		r.Answers = []lead.Answer{{QuestionID: 510004, Kind: lead.ChoiceAnswer, Options: []int64{1}}}
		want, _ := encode(t, f, r)
		got, faults := encode(t, back, r)
		if !back.HasVersion(version) || !reflect.DeepEqual(got, want) || len(faults) != 0 {
			t.Errorf("version %d: HasVersion %v, lead = %v, faults %v\nwant %v", version, back.HasVersion(version), got, faults, want)
		}
		for _, id := range []int64{510001, 510004, 510005, 510006} {
			if got, want := back.HasQuestion(version, id), f.HasQuestion(version, id); got != want {
				t.Errorf("HasQuestion(%d, %d) = %v, want %v", version, id, got, want)
			}
		}
	}
	if back.HasVersion(5) {
		t.Error("a version that was never registered is known")
	}
}

func TestSomebodyElsesSchemaIsTold(t *testing.T) {
	ours := fieldsOf(t, Array, exampleForm()).Schema()
	swap := func(old, new string) string {
		out := strings.Replace(ours, old, new, 1)
		if out == ours {
			t.Fatalf("%s is not in the schema", old)
		}
		return out
	}
	for name, test := range map[string]struct{ schema, shown string }{
		"not JSON":                 {"{", "unknown type"},
		"not a record":             {`"string"`, "string"},
		"another record":           {`{"type":"record","name":"User","namespace":"com.example","fields":[]}`, "com.example.User"},
		"another name":             {swap(`"name":"Lead"`, `"name":"User"`), "User"},
		"another namespace":        {swap(`linkedin.form_`, `linkedin.f_`), "linkedin.f_"},
		"form that is no number":   {swap(`linkedin.form_7`, `linkedin.form_x`), "form_x"},
		"no choice mode":           {swap(`"linkedin.multipleChoice":"array"`, `"x":"y"`), "linkedin.multipleChoice"},
		"fixed field missing":      {swap(`"name":"owner"`, `"name":"owners"`), "owner"},
		"fixed field of a type":    {swap(`"name":"form_version","type":"int"`, `"name":"form_version","type":"long"`), "form_version"},
		"field without properties": {swap(`"linkedin.questionId":"510001",`, ``), "first_name"},
		"question id no number":    {swap(`"linkedin.questionId":"510001"`, `"linkedin.questionId":"x"`), "first_name"},
		"property not a string":    {swap(`"linkedin.questionId":"510001"`, `"linkedin.questionId":510001`), "first_name"},
		"no form version":          {swap(`,"linkedin.formVersion":"1"`, ``), "linkedin.formVersion"},
		"unknown kind":             {swap(`"linkedin.kind":"text"`, `"linkedin.kind":"number"`), "linkedin.kind"},
		"options broken":           {swap(`{\"0\":`, `{\"zero\":`), "linkedin.options"},
		"type not the kind's":      {swap(`"name":"first_name","type":["null","string"]`, `"name":"first_name","type":["null","long"]`), "first_name"},
		"one question twice":       {swap(`"linkedin.questionId":"510002"`, `"linkedin.questionId":"510001"`), "last_name"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Parse(ours, test.schema)
			var foreign *ForeignError
			if f != nil || !errors.As(err, &foreign) || !errors.Is(err, ErrIncompatible) || fault.KindOf(err) != fault.Suspend {
				t.Fatalf("Parse = %v, %v, want a ForeignError that suspends", f, err)
			}
			if foreign.Version != 2 || !strings.Contains(err.Error(), test.shown) {
				t.Errorf("err = %v, want version 2 and %s", err, test.shown)
			}
		})
	}
}

func TestVersionsOfOneSubjectMustAgree(t *testing.T) {
	ours := fieldsOf(t, Array, exampleForm()).Schema()
	for name, other := range map[string]string{
		"another form":          strings.Replace(ours, "form_"+formID, "form_5", 1),
		"another choice mode":   fieldsOf(t, Joined, exampleForm()).Schema(),
		"another name":          strings.Replace(ours, `"first_name"`, `"given_name"`, 1),
		"name of another field": strings.Replace(ours, `"linkedin.questionId":"510001"`, `"linkedin.questionId":"5"`, 1),
		"another hidden field's": strings.Replace(ours, `"linkedin.hiddenField":"utm_campaign"`,
			`"linkedin.hiddenField":"utm_campaign","linkedin.occurrence":"1"`, 1),
	} {
		if f, err := Parse(ours, other); err == nil {
			t.Errorf("%s: parsed to %v", name, names(f))
		}
	}
	if _, err := Parse(); err == nil {
		t.Error("Parse of nothing gives a memory")
	}
}

func TestParseReadsWhatRegistriesRewrite(t *testing.T) {
	f := fieldsOf(t, Array, exampleForm())
	var any map[string]any
	if err := json.Unmarshal([]byte(f.Schema()), &any); err != nil {
		t.Fatal(err)
	}
	rewritten, err := json.MarshalIndent(any, "", "\t") // other order, other white space
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(string(rewritten))
	if err != nil {
		t.Fatal(err)
	}
	if back.Schema() != f.Schema() || !sameSchema(string(rewritten), f.Schema()) {
		t.Errorf("schema = %s, want %s", back.Schema(), f.Schema())
	}
}
