package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hamba/avro/v2"
	twmb "github.com/twmb/avro"

	"leadstream/internal/lead"
)

// decisions is a source of decisions: the fuzzer's bytes, then zeros.
type decisions struct{ left []byte }

func (d *decisions) upTo(n int) int {
	if len(d.left) == 0 {
		return 0
	}
	b := d.left[0]
	d.left = d.left[1:]
	return int(b) % n
}

func (d *decisions) text() string {
	switch d.upTo(4) {
	case 0: // words that clash with each other and with fixed fields
		words := []string{"", "Role", "role?", "Owner", "lead_id", "🎉", "null", "Question 3", "role_3", "consent 0",
			"2026", "Größe", "公司", "\xff", `"\`, strings.Repeat("long text ", 30), "unmapped", "hidden utm", "\x00", "\u2028"}
		return words[d.upTo(len(words))]
	case 1:
		return "Role"
	default:
		n := min(d.upTo(80), len(d.left))
		s := string(d.left[:n])
		d.left = d.left[n:]
		return s
	}
}

func (d *decisions) form(version int) lead.Form {
	f := form(version)
	f.Name = d.text()
	for range d.upTo(12) {
		q := lead.Question{ID: int64(d.upTo(9)) - 1, Text: d.text(), Kind: lead.AnswerKind(d.upTo(3))}
		if d.upTo(4) == 0 {
			q.Predefined = []string{"FIRST_NAME", "EMAIL", "OWNER", "ÄÖ", "9"}[d.upTo(5)]
		}
		for range d.upTo(5) {
			q.Options = append(q.Options, lead.Option{ID: int64(d.upTo(6)) - 1, Text: d.text()})
		}
		f.Questions = append(f.Questions, q)
	}
	for range d.upTo(4) {
		f.Consents = append(f.Consents, lead.Consent{ID: int64(d.upTo(4)), Text: d.text()})
	}
	for range d.upTo(5) {
		f.Hidden = append(f.Hidden, lead.HiddenField{Name: d.text(), Value: d.text()})
	}
	return f
}

func (d *decisions) lead(version int) *lead.Response {
	r := blank(version)
	r.Submitter, r.Test = d.text(), d.upTo(2) == 0
	for range d.upTo(12) {
		a := lead.Answer{QuestionID: int64(d.upTo(10)) - 1, Kind: lead.AnswerKind(d.upTo(3))}
		switch a.Kind {
		case lead.TextAnswer:
			a.Text = d.text()
		case lead.ChoiceAnswer:
			for range d.upTo(4) {
				a.Options = append(a.Options, int64(d.upTo(8))-1)
			}
		case lead.UnknownAnswer:
			a.Raw, a.Problem = []byte(d.text()), "not readable"
		}
		r.Answers = append(r.Answers, a)
	}
	for range d.upTo(3) {
		r.Consents = append(r.Consents, lead.ConsentAnswer{ConsentID: int64(d.upTo(5)), Accepted: d.upTo(2) == 0})
	}
	return r
}

var avroName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkSchema: two parsers take it, names are valid, unique and what they
// were, and it can follow all that was registered before.
func checkSchema(t *testing.T, f *Fields, before []string, registered []string) []string {
	t.Helper()
	s := f.Schema()
	parsed, err := avro.ParseWithCache(s, "", &avro.SchemaCache{})
	if err != nil {
		t.Fatalf("hamba refuses %s: %v", s, err)
	}
	reader, err := twmb.Parse(s)
	if err != nil {
		t.Fatalf("twmb refuses %s: %v", s, err)
	}
	seen := map[string]bool{}
	for _, c := range f.Describe() {
		if !avroName.MatchString(c.Name) || seen[c.Name] {
			t.Fatalf("name %q is not valid or not unique", c.Name)
		}
		seen[c.Name] = true
	}
	now := names(f)
	if len(now) < len(before) || !slices.Equal(now[:len(before)], before) {
		t.Fatalf("names = %q, were %q", now, before)
	}
	for i, old := range registered {
		was, err := avro.ParseWithCache(old, "", &avro.SchemaCache{})
		if err != nil {
			t.Fatal(err)
		}
		if err := avro.NewSchemaCompatibility().Compatible(parsed, was); err != nil {
			t.Fatalf("after version %d: %v", i, err)
		}
		if err := twmb.CheckCompatibility(twmb.MustParse(old), reader); err != nil {
			t.Fatalf("after version %d: %v", i, err)
		}
		if d := Differences(s, RegisteredSchema{Schema: old}); len(d) != 0 {
			t.Fatalf("after version %d: %q", i, d)
		}
	}
	return now
}

// expected works out, from the forms alone, what a lead has in the columns of
// questions, consents and hidden fields.
func expected(f *Fields, forms []lead.Form, r *lead.Response) map[string]any {
	out := map[string]any{}
	columnOf := map[identity]string{}
	for _, c := range f.columns {
		columnOf[c.identity()] = c.Name
		out[c.Name] = nil
	}
	set := func(is identity, value any) {
		if name, ok := columnOf[is]; ok && out[name] == nil {
			out[name] = value
		}
	}
	var answered lead.Form
	for _, form := range forms {
		if form.Version == r.Form.Version {
			answered = form
		}
	}
	texts := map[int64]map[int64]string{} // of the first question with the id
	for _, q := range answered.Questions {
		if _, known := texts[q.ID]; known || q.Kind != lead.ChoiceAnswer {
			continue
		}
		texts[q.ID] = map[int64]string{}
		for _, o := range q.Options {
			if _, known := texts[q.ID][o.ID]; !known {
				texts[q.ID][o.ID] = wellFormed(o.Text)
			}
		}
	}
	for _, a := range r.Answers {
		switch a.Kind {
		case lead.TextAnswer:
			set(identity{kind: kindText, id: a.QuestionID}, wellFormed(a.Text))
		case lead.ChoiceAnswer:
			picked := []any{}
			for _, id := range a.Options {
				text, known := texts[a.QuestionID][id]
				if !known {
					text = fmt.Sprint(id)
				}
				picked = append(picked, text)
			}
			set(identity{kind: kindChoice, id: a.QuestionID}, picked)
		case lead.UnknownAnswer:
		}
	}
	for _, c := range r.Consents {
		set(identity{kind: kindConsent, id: c.ConsentID}, c.Accepted)
	}
	count := map[string]int{}
	for _, h := range answered.Hidden {
		name := wellFormed(h.Name)
		count[name]++
		set(identity{kind: kindHidden, hidden: name, occurrence: count[name]}, wellFormed(h.Value))
	}
	return out
}

// FuzzForms: any versions of a form in any order give valid schemas with
// unique, stable names, each able to follow the ones before; the memory
// survives JSON and the registry; any lead encodes, and decodes by another
// implementation to the same answers.
func FuzzForms(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("any form gives a valid schema and any lead of it the same answers"))
	for seed := range 40 {
		var b []byte
		for i := range 600 {
			b = append(b, byte((i*i*7+seed*131+i*seed)%251))
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &decisions{left: data}
		order := [][]int{{1, 2, 4}, {4, 1, 2}, {2, 4, 1}}[d.upTo(3)]
		fields := New(formID, Array)
		var forms []lead.Form
		var given, registered []string
		for _, version := range order {
			form := d.form(version)
			forms = append(forms, form)
			fields.Add(form)
			given = checkSchema(t, fields, given, registered)
			registered = append(registered, fields.Schema())
		}
		checkMemory(t, fields, registered)
		for _, version := range []int{1, 2, 3, 4} {
			r := d.lead(version)
			decoded, _ := encode(t, fields, r)
			for name, want := range expected(fields, forms, r) {
				if got := decoded[name]; !reflect.DeepEqual(got, want) {
					t.Fatalf("%s = %#v, want %#v in %+v", name, got, want, r)
				}
			}
			object(t, decoded["unmapped"])
			object(t, decoded["field_errors"])
		}
	})
}

func checkMemory(t *testing.T, f *Fields, registered []string) {
	t.Helper()
	stored, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var back Fields
	if err := json.Unmarshal(stored, &back); err != nil {
		t.Fatalf("%v in %s", err, stored)
	}
	if again, err := json.Marshal(&back); err != nil || string(again) != string(stored) || back.Schema() != f.Schema() {
		t.Fatalf("memory = %s\nread back as %s, %v", stored, again, err)
	}
	parsed, err := Parse(registered...)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Schema() != f.Schema() || !slices.Equal(names(parsed), names(f)) {
		t.Fatalf("schema = %s\nparsed to %s", f.Schema(), parsed.Schema())
	}
}

// FuzzMemory: whatever reads as a memory has a schema that Avro takes, and
// reads again to the same.
func FuzzMemory(f *testing.F) {
	for _, v := range []lead.Form{exampleForm(), awkwardForm()} {
		stored, err := json.Marshal(fieldsOf(f, Joined, v))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(stored)
	}
	f.Add([]byte(`{"form":"1","choice":"array","versions":"1-3,5"}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		var m Fields
		if json.Unmarshal(stored, &m) != nil {
			return
		}
		if _, err := avro.ParseWithCache(m.Schema(), "", &avro.SchemaCache{}); err != nil {
			t.Fatalf("schema %s: %v", m.Schema(), err)
		}
		m.Describe()
		first, err := json.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		var again Fields
		if err := json.Unmarshal(first, &again); err != nil {
			t.Fatal(err)
		}
		if second, err := json.Marshal(&again); err != nil || string(second) != string(first) {
			t.Fatalf("memory = %s, then %s, %v", first, second, err)
		}
	})
}

// FuzzParse: no text, however broken, is more than an error.
func FuzzParse(f *testing.F) {
	_, registered := grown(f, Array, evolution()...)
	for _, s := range registered {
		f.Add(s, registered[0])
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		m, err := Parse(first, second)
		if err != nil {
			return
		}
		if _, err := Compile(m, 1); err != nil {
			t.Fatalf("parsed to what does not compile: %v", err)
		}
		if _, err := twmb.Parse(m.Schema()); err != nil {
			t.Fatalf("parsed to schema %s: %v", m.Schema(), err)
		}
	})
}
