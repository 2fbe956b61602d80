//go:build integration

package e2e

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

const checkedSchema = `{"type":"record","name":"Lead","fields":[
	{"name":"lead_id","type":"string"},
	{"name":"first_name","type":["null","string"],"linkedin.questionId":"1"},
	{"name":"tracks","type":["null",{"type":"array","items":"string"}],"linkedin.questionId":"2"},
	{"name":"consent_0","type":["null","boolean"],"linkedin.consentId":"0"},
	{"name":"hidden_source","type":["null","string"],"linkedin.hiddenField":"source"}]}`

// TestComparisonNotices every kind of difference: what the other tests rely on.
func TestComparisonNotices(t *testing.T) {
	t.Parallel()
	var submitted submission
	text := `{"id":"a","submittedAt":1700000000000,"owner":"o","leadType":"EVENT","formId":"7","formVersion":2,
		"answers":[{"questionId":1,"text":"Ann"},{"questionId":2,"options":[0,1],"optionTexts":["x","y"]}],
		"consents":[{"consentId":0,"accepted":true}]}`
	if err := json.Unmarshal([]byte(text), &submitted); err != nil {
		t.Fatal(err)
	}
	schema, err := parseAvro([]byte(checkedSchema))
	if err != nil {
		t.Fatal(err)
	}
	good := func() record {
		return record{
			Topic: "p.7", Time: 1700000000000, Key: "a", SchemaID: 1,
			Headers: [][2]string{
				{"leadstream.submitted_at", "2023-11-14T22:13:20.000Z"}, {"leadstream.owner", "o"}, {"leadstream.form_version", "2"},
				{"leadstream.name", "n"}, {"leadstream.delivery", "live"}, {"leadstream.fetched_at", "2023-11-14T22:13:21.000Z"},
			},
			Value: map[string]any{
				"lead_id": "a", "submitted_at": 1700000000000., "lead_type": "EVENT", "owner": "o", "event": nil, "submitter": nil,
				"form_id": "7", "form_version": 2., "test_lead": false, "unmapped": nil, "field_errors": nil,
				"first_name": "Ann", "tracks": []any{"x", "y"}, "consent_0": true, "hidden_source": "s",
			},
		}
	}
	change := func(what func(*record)) []record {
		r := good()
		what(&r)
		return []record{r}
	}
	for _, test := range []struct {
		name    string
		records []record
		want    []string // kinds of difference
	}{
		{"nothing", []record{good()}, nil},
		{"a lead that is lost", nil, []string{"lost"}},
		{"a lead twice", []record{good(), good()}, []string{"repeated"}},
		{"a lead nobody submitted", append(change(func(r *record) { r.Key = "b" }), good()), []string{"strange"}},
		{"the same lead of another time", change(func(r *record) { r.Value["submitted_at"] = 1. }), []string{"lost", "strange"}},
		{"another topic", change(func(r *record) { r.Topic = "p.8" }), []string{"topic"}},
		{"a header missing", change(func(r *record) { r.Headers = r.Headers[1:] }), []string{"header leadstream.submitted_at"}},
		{"delivered in no known way", change(func(r *record) { r.Headers[4][1] = "?" }), []string{"header leadstream.delivery"}},
		{"fetched before it was submitted", change(func(r *record) { r.Headers[5][1] = "2023-11-14T22:13:19.000Z" }), []string{"header leadstream.fetched_at"}},
		{"recorded before it was submitted", change(func(r *record) { r.Time-- }), []string{"record time"}},
		{"a schema that is not there", change(func(r *record) { r.SchemaID = 2 }), []string{"schema"}},
		{"another answer", change(func(r *record) { r.Value["first_name"] = "Bob" }), []string{"field"}},
		{"an answer left out", change(func(r *record) { delete(r.Value, "tracks") }), []string{"field"}},
		{"options in another order", change(func(r *record) { r.Value["tracks"] = []any{"y", "x"} }), []string{"field"}},
		{"a consent turned round", change(func(r *record) { r.Value["consent_0"] = false }), []string{"field"}},
		{"a hidden field changed", change(func(r *record) { r.Value["hidden_source"] = nil }), []string{"field"}},
		{"an error in a field", change(func(r *record) { r.Value["field_errors"] = "{}" }), []string{"field"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := comparison{
				name: "n", prefix: "p.", report: func(string, ...any) {},
				schemas: map[int]*avroSchema{1: schema}, hidden: map[string]map[string]string{"7": {"source": "s"}},
			}
			c.compare([]submission{submitted}, test.records, 1)
			if got := slices.Sorted(maps.Keys(c.shown)); !slices.Equal(got, test.want) {
				t.Errorf("differences %q, want %q", got, test.want)
			}
		})
	}
}

// TestPersonalDataInALogIsNoticed, of every kind.
func TestPersonalDataInALogIsNoticed(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"secret " + clientSecret, "token AQXAaccesstokenvalue00000000000", `"lead.000123@example.com"`, "+1 555 0100 000001",
		"Head of Platform", "Schöne Grüße aus Köln", plantedAnswer, limitedPassword, "https://www.linkedin.example/in/lead-000001",
	} {
		if personal([]byte("fine\n"+line+"\nfine\n")) == "" {
			t.Errorf("%q in a log is not noticed", line)
		}
	}
	if found := personal([]byte(`{"level":"info","msg":"working","owner":"urn:li:organization:9000123"}`)); found != "" {
		t.Errorf("a harmless line is taken for %s", found)
	}
}
