package linkedin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"leadstream/internal/lead"
)

func decodeOne(t testing.TB, raw string) lead.Response {
	t.Helper()
	rows := decodeAll(t, `{"elements":[`+raw+`]}`)
	if len(rows) != 1 {
		t.Fatalf("%d rows of one element", len(rows))
	}
	return rows[0]
}

func decodeAll(t testing.TB, body string) []lead.Response {
	t.Helper()
	var p page[lead.Response]
	d := responses{source: testSource}
	if problem, err := decodePage(newReader([]byte(body)), &p, d.decode); problem != "" {
		t.Fatalf("page cannot be read: %s: %v", problem, err)
	}
	if len(p.keys) != len(p.rows) {
		t.Fatalf("%d keys for %d rows", len(p.keys), len(p.rows))
	}
	return p.rows
}

// TestDecodesLinkedInsExample: the element of LinkedIn's own documentation, with
// a choice, a consent, and answers out of the questions' order.
func TestDecodesLinkedInsExample(t *testing.T) {
	raw := `{
      "id": "8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6",
      "owner": { "organization": "urn:li:organization:9000123" },
      "submitter": "urn:li:person:SimLead0001",
      "leadType": "EVENT",
      "versionedLeadGenFormUrn": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7130000000000000001,1)",
      "submittedAt": 1793012345000,
      "testLead": true,
      "associatedEntity": { "event": "urn:li:event:7200000000000000123" },
      "formResponse": {
        "answers": [
          { "questionId": 510003, "answerDetails": { "textQuestionAnswer": { "answer": "caf\u00e9 \"x\" \ud83c\udf89\n" } } },
          { "questionId": 510004, "answerDetails": { "multipleChoiceAnswer": { "options": [ 1, 0 ] } } }
        ],
        "consentResponses": [ { "consentId": 0, "accepted": true } ]
      }
    }`
	want := lead.Response{
		ID: "8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6", SubmittedAt: time.UnixMilli(1793012345000).UTC(),
		Owner: "urn:li:organization:9000123", Type: "EVENT", Submitter: "urn:li:person:SimLead0001",
		Form:  lead.FormRef{ID: "7130000000000000001", Version: 1},
		Event: "urn:li:event:7200000000000000123", Test: true,
		Answers: []lead.Answer{
			{QuestionID: 510003, Kind: lead.TextAnswer, Text: "café \"x\" 🎉\n"},
			{QuestionID: 510004, Kind: lead.ChoiceAnswer, Options: []int64{1, 0}},
		},
		Consents: []lead.ConsentAnswer{{ConsentID: 0, Accepted: true}},
		Raw:      []byte(raw),
	}
	if got := decodeOne(t, raw); !reflect.DeepEqual(got, want) {
		t.Errorf("decoded\n got %+v\nwant %+v", got, want)
	}
}

const goodForm = `"versionedLeadGenFormUrn":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:71, 2)"`

// elementWith is a good element with members replaced or, when empty, left out.
func elementWith(members map[string]string) string {
	all := map[string]string{
		"id": `"r1"`, "submittedAt": "1793012345000", "owner": `{"organization":"urn:li:organization:9000123"}`,
		"versionedLeadGenFormUrn": `"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:71, 2)"`,
		"leadType":                `"EVENT"`, "testLead": "false",
		"formResponse": `{"answers":[{"questionId":1,"answerDetails":{"textQuestionAnswer":{"answer":"s3cret"}}}]}`,
	}
	for k, v := range members {
		all[k] = v
	}
	var parts []string
	for k, v := range all {
		if v != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", k, v))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// TestABrokenElementIsMarkedNotLost: what can be read is read, Raw is whole, and
// the reason names the member without quoting it.
func TestABrokenElementIsMarkedNotLost(t *testing.T) {
	tests := []struct {
		name    string
		element string
		want    string
		id      string
	}{
		{"not an object", `"s3cret"`, "the element is a string, not an object", ""},
		{"null", `null`, "the element is null, not an object", ""},
		{"empty", `{}`, "id is missing; submittedAt is missing; versionedLeadGenFormUrn is missing; formResponse is missing", ""},
		{"no id", elementWith(map[string]string{"id": ""}), "id is missing", ""},
		{"empty id", elementWith(map[string]string{"id": `""`}), "id is empty", ""},
		{"id a list", elementWith(map[string]string{"id": `["s3cret"]`}), "id is a list", ""},
		{"no time", elementWith(map[string]string{"submittedAt": ""}), "submittedAt is missing", "r1"},
		{"time a text", elementWith(map[string]string{"submittedAt": `"s3cret"`}), "submittedAt is not a whole number", "r1"},
		{"time null", elementWith(map[string]string{"submittedAt": `null`}), "submittedAt is null", "r1"},
		{"time below zero", elementWith(map[string]string{"submittedAt": `-5`}), "submittedAt is no time in epoch milliseconds", "r1"},
		{"time beyond years", elementWith(map[string]string{"submittedAt": `9223372036854775807`}), "submittedAt is no time in epoch milliseconds", "r1"},
		{"time out of numbers", elementWith(map[string]string{"submittedAt": `1e400`}), "submittedAt is not a whole number", "r1"},
		{"form no URN", elementWith(map[string]string{"versionedLeadGenFormUrn": `"s3cret"`}), "versionedLeadGenFormUrn is not the URN of a lead form", "r1"},
		{"no answers at all", elementWith(map[string]string{"formResponse": ""}), "formResponse is missing", "r1"},
		{"form response a text", elementWith(map[string]string{"formResponse": `"s3cret"`}), "formResponse is a string", "r1"},
		{"answers an object", elementWith(map[string]string{"formResponse": `{"answers":{"a":"s3cret"}}`}), "formResponse.answers is an object", "r1"},
	}
	good := elementWith(nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows := decodeAll(t, `{"elements":[`+good+`,`+tt.element+` , `+good+`]}`)
			if len(rows) != 3 || rows[0].Unreadable != "" || rows[2].Unreadable != "" {
				t.Fatalf("the good elements beside it suffered: %+v", rows)
			}
			got := rows[1]
			if got.Unreadable != tt.want || got.ID != tt.id {
				t.Errorf("unreadable %q with id %q, want %q with %q", got.Unreadable, got.ID, tt.want, tt.id)
			}
			if string(got.Raw) != tt.element {
				t.Errorf("raw = %s, want the element as sent", got.Raw)
			}
		})
	}
}

// TestNumbersAreReadAsLinkedInMayWriteThem.
func TestNumbersAreReadAsLinkedInMayWriteThem(t *testing.T) {
	for _, tt := range []struct{ member, value string }{
		{"submittedAt", `"1793012345000"`}, {"submittedAt", `1793012345000.0`}, {"submittedAt", `1.793012345e12`}, {"id", `1`},
	} {
		got := decodeOne(t, elementWith(map[string]string{tt.member: tt.value}))
		if got.Unreadable != "" || got.SubmittedAt.UnixMilli() != 1793012345000 || got.ID == "" {
			t.Errorf("%s %s: %+v", tt.member, tt.value, got)
		}
	}
	got := decodeOne(t, elementWith(map[string]string{"id": "9223372036854775807123"}))
	if got.ID != "9223372036854775807123" {
		t.Errorf("id = %q, want every digit", got.ID)
	}
}

// TestABrokenPartHidesNoOther: each fault beside an otherwise good lead.
func TestABrokenPartHidesNoOther(t *testing.T) {
	tests := []struct {
		name    string
		members map[string]string
		want    []lead.Fault
	}{
		{"test lead a text", map[string]string{"testLead": `"s3cret"`}, []lead.Fault{{Field: "testLead", Problem: "is a string"}}},
		{"owner a number", map[string]string{"owner": `7`}, []lead.Fault{{Field: "owner", Problem: "is a number"}}},
		{"owner without URN", map[string]string{"owner": `{"x":"s3cret"}`}, []lead.Fault{{Field: "owner", Problem: "is no URN"}}},
		{"lead type a list", map[string]string{"leadType": `[]`}, []lead.Fault{{Field: "leadType", Problem: "is a list"}}},
		{"submitter an object", map[string]string{"submitter": `{"a":"s3cret"}`}, []lead.Fault{{Field: "submitter", Problem: "is an object"}}},
		{"event a boolean", map[string]string{"associatedEntity": `true`}, []lead.Fault{{Field: "associatedEntity", Problem: "is a boolean"}}},
		{"optional members null", map[string]string{"associatedEntity": `null`, "submitter": `null`, "testLead": "null"}, nil},
		{"consents a text", map[string]string{"formResponse": `{"answers":[],"consentResponses":"s3cret"}`},
			[]lead.Fault{{Field: "formResponse.consentResponses", Problem: "is a string"}}},
		{"one broken consent", map[string]string{"formResponse": `{"answers":[],"consentResponses":[{"consentId":0,"accepted":true},{"consentId":1,"accepted":"s3cret"},7,{"accepted":true}]}`},
			[]lead.Fault{
				{Field: "formResponse.consentResponses[2]", Problem: "is a number"},
				{Field: "formResponse.consentResponses[3]", Problem: "consentId is missing"}}},
		{"unknown members", map[string]string{"leadMetadata": `{"a":[1,{"b":null}]}`, "new": `"x"`}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decodeOne(t, elementWith(tt.members))
			if got.Unreadable != "" || got.ID != "r1" || got.Form.Version != 2 || got.Owner != testSource.Owner || got.Type != "EVENT" {
				t.Errorf("the rest suffered: %+v", got)
			}
			if !reflect.DeepEqual(got.Faults, tt.want) {
				t.Errorf("faults = %+v, want %+v", got.Faults, tt.want)
			}
		})
	}
}

// TestAConsentThatCannotBeReadKeepsItsNumber, by which it is told in its column.
func TestAConsentThatCannotBeReadKeepsItsNumber(t *testing.T) {
	got := decodeOne(t, elementWith(map[string]string{"formResponse": `{"answers":[],"consentResponses":[{"accepted":"s3cret","consentId":1},{"consentId":2},{"consentId":3,"accepted":false}]}`}))
	want := []lead.ConsentAnswer{
		{ConsentID: 1, Problem: "accepted is a string", Raw: []byte(`{"accepted":"s3cret","consentId":1}`)},
		{ConsentID: 2, Problem: "accepted is missing", Raw: []byte(`{"consentId":2}`)}, {ConsentID: 3},
	}
	if !reflect.DeepEqual(got.Consents, want) || got.Faults != nil {
		t.Errorf("consents = %+v, faults %+v; want %+v", got.Consents, got.Faults, want)
	}
}

// TestTheEventIsFoundUnderWhateverName: the union's member is not settled.
func TestTheEventIsFoundUnderWhateverName(t *testing.T) {
	for _, entity := range []string{
		`{"event":"urn:li:event:72"}`, `{"associatedEvent":"urn:li:event:72"}`, `"urn:li:event:72"`,
		`{"x":"urn:li:share:1","y":{"z":"urn:li:event:9"},"event":"urn:li:event:72"}`,
	} {
		if got := decodeOne(t, elementWith(map[string]string{"associatedEntity": entity})); got.Event != "urn:li:event:72" || got.Faults != nil {
			t.Errorf("%s: event %q, faults %v", entity, got.Event, got.Faults)
		}
	}
	if got := decodeOne(t, elementWith(map[string]string{"associatedEntity": `{"associatedCreative":"urn:li:sponsoredCreative:1"}`})); got.Event != "" || got.Faults != nil {
		t.Errorf("a creative gave event %q, faults %v", got.Event, got.Faults)
	}
}

// TestABrokenAnswerHidesNoOther: an answer that cannot be read is kept raw, with
// a reason that does not quote it.
func TestABrokenAnswerHidesNoOther(t *testing.T) {
	const details = `{"textQuestionAnswer":{"answer":["s3cret"]}}`
	tests := []struct {
		name   string
		answer string
		want   lead.Answer
	}{
		{"a later kind", `{"questionId":5,"answerDetails":{"ratingAnswer":{"stars":3}}}`,
			lead.Answer{QuestionID: 5, Raw: []byte(`{"ratingAnswer":{"stars":3}}`), Problem: "answerDetails holds no known kind of answer"}},
		{"text a list", `{"questionId":5,"answerDetails":` + details + `}`,
			lead.Answer{QuestionID: 5, Raw: []byte(details), Problem: "answerDetails textQuestionAnswer.answer is a list"}},
		{"text missing", `{"questionId":5,"answerDetails":{"textQuestionAnswer":{}}}`,
			lead.Answer{QuestionID: 5, Raw: []byte(`{"textQuestionAnswer":{}}`), Problem: "answerDetails textQuestionAnswer.answer is missing"}},
		{"text answer a text", `{"questionId":5,"answerDetails":{"textQuestionAnswer":"s3cret"}}`,
			lead.Answer{QuestionID: 5, Raw: []byte(`{"textQuestionAnswer":"s3cret"}`), Problem: "answerDetails textQuestionAnswer is a string"}},
		{"options a text", `{"questionId":5,"answerDetails":{"multipleChoiceAnswer":{"options":"s3cret"}}}`,
			lead.Answer{QuestionID: 5, Raw: []byte(`{"multipleChoiceAnswer":{"options":"s3cret"}}`), Problem: "answerDetails multipleChoiceAnswer.options is a string"}},
		{"an option a text", `{"questionId":5,"answerDetails":{"multipleChoiceAnswer":{"options":[1,"s3cret"]}}}`,
			lead.Answer{QuestionID: 5, Raw: []byte(`{"multipleChoiceAnswer":{"options":[1,"s3cret"]}}`), Problem: "answerDetails multipleChoiceAnswer.options holds not a whole number"}},
		{"no details", `{"questionId":5}`, lead.Answer{QuestionID: 5, Problem: "answerDetails is missing"}},
		{"details null", `{"questionId":5,"answerDetails":null}`, lead.Answer{QuestionID: 5, Raw: []byte(`null`), Problem: "answerDetails is null"}},
		{"no question", `{"answerDetails":{"textQuestionAnswer":{"answer":"s3cret"}}}`,
			lead.Answer{Raw: []byte(`{"answerDetails":{"textQuestionAnswer":{"answer":"s3cret"}}}`), Problem: "questionId is missing"}},
		{"not an object", `"s3cret"`, lead.Answer{Raw: []byte(`"s3cret"`), Problem: "the answer is a string"}},
		{"an id in a text", `{"questionId":"5","answerDetails":{"multipleChoiceAnswer":{"options":["7"]}}}`,
			lead.Answer{QuestionID: 5, Kind: lead.ChoiceAnswer, Options: []int64{7}}},
		{"no options chosen", `{"questionId":5,"answerDetails":{"multipleChoiceAnswer":{"options":[]}}}`,
			lead.Answer{QuestionID: 5, Kind: lead.ChoiceAnswer, Options: []int64{}}},
		{"a name beside", `{"name":"First name","questionId":5,"answerDetails":{"textQuestionAnswer":{"answer":"x","lang":"en"}}}`,
			lead.Answer{QuestionID: 5, Kind: lead.TextAnswer, Text: "x"}},
	}
	const good = `{"questionId":1,"answerDetails":{"textQuestionAnswer":{"answer":"good"}}}`
	want := lead.Answer{QuestionID: 1, Kind: lead.TextAnswer, Text: "good"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decodeOne(t, elementWith(map[string]string{"formResponse": `{"answers":[` + good + `,` + tt.answer + `, ` + good + `]}`}))
			if got.Unreadable != "" || len(got.Answers) != 3 || !reflect.DeepEqual(got.Answers[0], want) || !reflect.DeepEqual(got.Answers[2], want) {
				t.Fatalf("the others suffered: %+v", got)
			}
			if !reflect.DeepEqual(got.Answers[1], tt.want) {
				t.Errorf("answer\n got %+v (%s)\nwant %+v", got.Answers[1], got.Answers[1].Raw, tt.want)
			}
			if strings.Contains(got.Answers[1].Problem, "s3cret") {
				t.Errorf("the reason quotes the answer: %s", got.Answers[1].Problem)
			}
		})
	}
}

// TestTextsAreUTF8Whatever came.
func TestTextsAreUTF8WhateverCame(t *testing.T) {
	for _, text := range []string{`"a\ud83cb"`, "\"a\xffb\"", `"\u0000"`} {
		got := decodeOne(t, elementWith(map[string]string{"formResponse": `{"answers":[{"questionId":1,"answerDetails":{"textQuestionAnswer":{"answer":` + text + `}}}]}`}))
		if len(got.Answers) != 1 || got.Answers[0].Kind != lead.TextAnswer || !utf8.ValidString(got.Answers[0].Text) || got.Answers[0].Text == "" {
			t.Errorf("%q: %+v", text, got.Answers)
		}
		if !utf8.Valid(got.Raw) {
			t.Errorf("%q: raw is not UTF-8", text)
		}
	}
}

// TestAPageThatIsNoPageIsAProblem, and never an empty one.
func TestAPageThatIsNoPageIsAProblem(t *testing.T) {
	good := string(samplePage(3))
	bodies := []string{
		``, ` `, `null`, `[]`, `"x"`, `{}`, `{"elements":null}`, `{"elements":{}}`, `{"paging":{"total":0}}`,
		`<html><body>503</body></html>`, good + `{}`, good + "x", `{"elements":[],"elements":7}`, `{"elements":[}`, `{"elements":[{"id":tru}]}`,
	}
	for i := 1; i < len(good); i += 7 {
		bodies = append(bodies, good[:i])
	}
	for _, body := range bodies {
		var p page[lead.Response]
		d := responses{source: testSource}
		if problem, _ := decodePage(newReader([]byte(body)), &p, d.decode); problem == "" {
			t.Errorf("%.60q… was taken for a page of %d rows", body, len(p.rows))
		}
	}
}

// TestTheTotalIsReadWhereverItStands.
func TestTheTotalIsReadWhereverItStands(t *testing.T) {
	for body, want := range map[string]int{
		`{"elements":[],"paging":{"total":7}}`: 7, `{"paging":{"total":"8"},"elements":[]}`: 8, `{"elements":[]}`: -1,
		`{"elements":[],"paging":{"total":-3}}`: -1, `{"elements":[],"paging":null}`: -1, `{"elements":[],"paging":{"links":[{"rel":"next"}]}}`: -1,
		`{"elements":[],"paging":{"total":99999999999999}}`: -1,
	} {
		var p page[lead.Response]
		d := responses{source: testSource}
		if problem, err := decodePage(newReader([]byte(body)), &p, d.decode); problem != "" || p.total != want {
			t.Errorf("%s: total %d (%s %v), want %d", body, p.total, problem, err, want)
		}
	}
}

// FuzzDecodePage holds the decoder against encoding/json: it takes no page that
// is not JSON, leaves out no element, keeps each as it was sent, and quotes
// nothing in its reasons.
func FuzzDecodePage(f *testing.F) {
	f.Add(samplePage(2))
	f.Add([]byte(`{"elements":[` + elementWith(nil) + `, null, {"id":7,` + goodForm + `}]}`))
	f.Add([]byte(`{"elements":[{"id":"\ud800","formResponse":{"answers":[{"questionId":1,"answerDetails":{"multipleChoiceAnswer":{"options":[1.5,"x"]}}}]}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var p page[lead.Response]
		d := responses{source: testSource}
		problem, err := decodePage(newReader(bytes.Clone(body)), &p, d.decode)
		if problem == "" && err != nil {
			t.Fatalf("error without a problem: %v", err)
		}
		if problem != "" || !utf8.Valid(body) {
			return
		}
		var std struct {
			Elements []json.RawMessage `json:"elements"`
		}
		if bytes.Count(body, []byte("lements")) > 1 || bytes.Contains(body, []byte(`\u`)) {
			return // members of one name, or names that encoding/json folds, are read differently
		}
		if err := json.Unmarshal(body, &std); err != nil {
			t.Fatalf("a page that encoding/json refuses: %v", err)
		}
		if len(std.Elements) != len(p.rows) {
			t.Fatalf("%d rows, encoding/json finds %d", len(p.rows), len(std.Elements))
		}
		for i, r := range p.rows {
			if !bytes.Equal(r.Raw, bytes.TrimSpace(std.Elements[i])) {
				t.Fatalf("raw %q, encoding/json finds %q", r.Raw, std.Elements[i])
			}
			if r.Unreadable == "" && (r.ID == "" || r.SubmittedAt.IsZero() || r.Form.ID == "") {
				t.Fatalf("a readable lead lacks a part: %+v", r)
			}
			for _, a := range r.Answers {
				if (a.Problem != "") != (a.Kind == lead.UnknownAnswer) {
					t.Fatalf("kind %d with problem %q", a.Kind, a.Problem)
				}
			}
		}
	})
}
