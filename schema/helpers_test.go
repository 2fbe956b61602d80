package schema

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	twmb "github.com/twmb/avro"

	"leadstream/internal/lead"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	formID = "7130000000000000001"
	person = "urn:li:person:SimLead0001"
)

var submitted = time.UnixMilli(1793012345000).UTC()

// golden compares JSON with a golden file, in which it is indented.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(got), "", "  "); err != nil {
		t.Fatalf("%s is not JSON: %v", name, err)
	}
	pretty.WriteByte('\n')
	if *update {
		if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pretty.Bytes(), want) {
		t.Errorf("%s is not what it was:\n%s\nwant\n%s", name, pretty.Bytes(), want)
	}
}

func text(id int64, words string) lead.Question {
	return lead.Question{ID: id, Text: words, Kind: lead.TextAnswer}
}

func predefined(id int64, words, field string) lead.Question {
	return lead.Question{ID: id, Text: words, Predefined: field, Kind: lead.TextAnswer}
}

func choice(id int64, words string, options ...string) lead.Question {
	q := lead.Question{ID: id, Text: words, Kind: lead.ChoiceAnswer}
	for i, o := range options {
		q.Options = append(q.Options, lead.Option{ID: int64(i), Text: o})
	}
	return q
}

func form(version int, questions ...lead.Question) lead.Form {
	return lead.Form{FormRef: lead.FormRef{ID: formID, Version: version}, Name: "A form", Questions: questions}
}

// exampleForm is the example of the Lead Sync API's leadForms.
func exampleForm() lead.Form {
	f := form(1,
		predefined(510001, "First name", "FIRST_NAME"),
		predefined(510002, "Last name", "LAST_NAME"),
		predefined(510003, "Email address", "EMAIL"),
		choice(510004, "Which track interests you?", "Connectors", "Operations"),
		text(510005, "What do you want to learn?"))
	f.Name = "SPD 2026 registration"
	f.Consents = []lead.Consent{{ID: 0, Text: "Send me news about later events."}}
	f.Hidden = []lead.HiddenField{{Name: "utm_campaign", Value: "spd26"}}
	return f
}

func exampleLead() *lead.Response {
	return &lead.Response{
		ID: "8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6", SubmittedAt: submitted,
		Owner: "urn:li:organization:9000123", Type: "EVENT", Submitter: person,
		Form: lead.FormRef{ID: formID, Version: 1}, Event: "urn:li:event:7200000000000000123",
		Answers: []lead.Answer{
			{QuestionID: 510003, Kind: lead.TextAnswer, Text: "lead.one@example.com"},
			{QuestionID: 510004, Kind: lead.ChoiceAnswer, Options: []int64{1}},
			{QuestionID: 510001, Kind: lead.TextAnswer, Text: "Lead"},
			{QuestionID: 510002, Kind: lead.TextAnswer, Text: "One"},
		},
		Consents: []lead.ConsentAnswer{{ConsentID: 0, Accepted: true}},
	}
}

// blank is a lead of a form version that answers nothing.
func blank(version int) *lead.Response {
	return &lead.Response{ID: "id-1", SubmittedAt: submitted, Type: "EVENT", Owner: "urn:li:organization:1",
		Form: lead.FormRef{ID: formID, Version: version}}
}

func fieldsOf(t testing.TB, mode Choice, forms ...lead.Form) *Fields {
	t.Helper()
	f := New(formID, mode)
	for _, form := range forms {
		f.Add(form)
	}
	return f
}

// names are the columns of the form, without the fixed ones.
func names(f *Fields) []string {
	var out []string
	for _, c := range f.Describe() {
		if c.Origin != "fixed" {
			out = append(out, c.Name)
		}
	}
	return out
}

func compile(t testing.TB, f *Fields, id int) *Codec {
	t.Helper()
	c, err := Compile(f, id)
	if err != nil {
		t.Fatalf("Compile = %v\n%s", err, f.Schema())
	}
	return c
}

// encode encodes and decodes with an implementation that is not the encoder's.
func encode(t testing.TB, f *Fields, r *lead.Response) (map[string]any, []lead.Fault) {
	t.Helper()
	value, faults, err := compile(t, f, 7).Encode(nil, r)
	if err != nil {
		t.Fatalf("Encode = %v", err)
	}
	return decode(t, f.Schema(), 7, value), faults
}

func decode(t testing.TB, schema string, id uint32, value []byte) map[string]any {
	t.Helper()
	if len(value) < 5 || value[0] != 0 || binary.BigEndian.Uint32(value[1:5]) != id {
		t.Fatalf("the value begins with % x, want a zero byte and the id %d in four", value[:min(5, len(value))], id)
	}
	var out any
	rest, err := twmb.MustParse(schema).Decode(value[5:], &out)
	if err != nil || len(rest) != 0 {
		t.Fatalf("decoding = %v with %d bytes left over", err, len(rest))
	}
	return out.(map[string]any)
}

// answersIn is the decoded lead without the fixed columns that every test has.
func answersIn(decoded map[string]any) map[string]any {
	out := maps.Clone(decoded)
	maps.DeleteFunc(out, func(name string, _ any) bool {
		at := slices.IndexFunc(fixed, func(c fixedColumn) bool { return c.name == name })
		return at >= 0 && name != "unmapped" && name != "field_errors"
	})
	return out
}
