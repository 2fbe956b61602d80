package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

func TestExampleLeadDecodesToItsAnswers(t *testing.T) {
	got, faults := encode(t, fieldsOf(t, Array, exampleForm()), exampleLead())
	want := map[string]any{
		"lead_id": "8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6", "submitted_at": submitted,
		"lead_type": "EVENT", "owner": "urn:li:organization:9000123", "event": "urn:li:event:7200000000000000123",
		"submitter": person, "form_id": formID, "form_version": int32(1), "test_lead": false,
		"unmapped": nil, "field_errors": nil,
		"first_name": "Lead", "last_name": "One", "email": "lead.one@example.com",
		"which_track_interests_you": []any{"Operations"}, "what_do_you_want_to_learn": nil,
		"consent_0": true, "hidden_utm_campaign": "spd26",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("decoded = %v\nwant %v", got, want)
	}
	if faults != nil {
		t.Errorf("faults = %v, want none", faults)
	}
}

func TestAnswersFindTheirColumns(t *testing.T) {
	v1 := form(1, text(1, "Words"), choice(2, "Pick", "One", "Two", "Three; and four"), text(3, "Changed"))
	v1.Consents = []lead.Consent{{ID: 0, Text: "News"}, {ID: 7, Text: "Partners"}}
	v1.Hidden = []lead.HiddenField{{Name: "utm", Value: "first"}, {Name: "empty", Value: ""}}
	v3 := form(3, text(1, "Words"), choice(2, "Pick", "Uno", "Dos"), choice(3, "Changed", "Now a choice"))
	v3.Hidden = []lead.HiddenField{{Name: "utm", Value: "third"}}
	words := func(id int64, s string) lead.Answer {
		return lead.Answer{QuestionID: id, Kind: lead.TextAnswer, Text: s}
	}
	picked := func(id int64, ids ...int64) lead.Answer {
		return lead.Answer{QuestionID: id, Kind: lead.ChoiceAnswer, Options: ids}
	}
	broken := func(id int64, raw, why string) lead.Answer {
		return lead.Answer{QuestionID: id, Raw: []byte(raw), Problem: why}
	}
	for _, test := range []struct {
		name    string
		version int
		answers []lead.Answer
		given   []lead.ConsentAnswer
		faults  []lead.Fault
		want    map[string]any // what differs from a lead without answers
		joined  map[string]any // the same in joined mode, where it differs
	}{
		{name: "nothing answered", version: 1, want: map[string]any{"hidden_utm": "first", "hidden_empty": ""}},
		{name: "hidden values of the version", version: 3, want: map[string]any{"hidden_utm": "third"}},
		{name: "hidden values of an unknown version", version: 2,
			want: map[string]any{"field_errors": map[string]any{"hidden_utm": whyVersion, "hidden_empty": whyVersion}}},
		{name: "empty text is not null", version: 3, answers: []lead.Answer{words(1, "")},
			want: map[string]any{"hidden_utm": "third", "words": ""}},
		{name: "options as of the answered version", version: 1, answers: []lead.Answer{picked(2, 1, 2)},
			want:   map[string]any{"hidden_utm": "first", "hidden_empty": "", "pick": []any{"Two", "Three; and four"}},
			joined: map[string]any{"pick": "Two; Three; and four"}},
		{name: "options as of the newer version", version: 3, answers: []lead.Answer{picked(2, 1)},
			want:   map[string]any{"hidden_utm": "third", "pick": []any{"Dos"}},
			joined: map[string]any{"pick": "Dos"}},
		{name: "unknown option is its number", version: 3, answers: []lead.Answer{picked(2, 2, 0, -5)},
			want:   map[string]any{"hidden_utm": "third", "pick": []any{"2", "Uno", "-5"}},
			joined: map[string]any{"pick": "2; Uno; -5"}},
		{name: "options of an unknown version are numbers", version: 2, answers: []lead.Answer{picked(2, 0)},
			want: map[string]any{"pick": []any{"0"},
				"field_errors": map[string]any{"hidden_utm": whyVersion, "hidden_empty": whyVersion}},
			joined: map[string]any{"pick": "0"}},
		{name: "no option chosen", version: 3, answers: []lead.Answer{picked(2)},
			want:   map[string]any{"hidden_utm": "third", "pick": []any{}},
			joined: map[string]any{"pick": ""}},
		{name: "question with two types, by its answer", version: 3, answers: []lead.Answer{words(3, "as text"), picked(3, 0)},
			want:   map[string]any{"hidden_utm": "third", "changed": "as text", "changed_3": []any{"Now a choice"}},
			joined: map[string]any{"changed_3": "Now a choice"}},
		{name: "unreadable answer", version: 3, answers: []lead.Answer{broken(1, `{"new":{"a":[1, 2]}}`, "no member is known"), picked(2, 0)},
			want: map[string]any{"hidden_utm": "third", "pick": []any{"Uno"},
				"field_errors": map[string]any{"words": "no member is known"},
				"unmapped":     map[string]any{"question_1": map[string]any{"new": map[string]any{"a": []any{1.0, 2.0}}}}},
			joined: map[string]any{"pick": "Uno"}},
		{name: "unreadable answer, raw text broken", version: 3, answers: []lead.Answer{broken(2, "{\"a\xff", "")},
			want: map[string]any{"hidden_utm": "third", "field_errors": map[string]any{"pick": whyUnreadable},
				"unmapped": map[string]any{"question_2": "{\"a\uFFFD"}}},
		{name: "unreadable answer to a question with two types, by version", version: 1, answers: []lead.Answer{broken(3, "", "")},
			want: map[string]any{"hidden_utm": "first", "hidden_empty": "", "field_errors": map[string]any{"changed": whyUnreadable},
				"unmapped": map[string]any{"question_3": nil}}},
		{name: "options for a text question", version: 3, answers: []lead.Answer{picked(1, 4)},
			want: map[string]any{"hidden_utm": "third", "field_errors": map[string]any{"words": whyOptions},
				"unmapped": map[string]any{"question_1": map[string]any{"multipleChoiceAnswer": map[string]any{"options": []any{4.0}}}}}},
		{name: "text for a choice question", version: 3, answers: []lead.Answer{words(2, `a "b"`)},
			want: map[string]any{"hidden_utm": "third", "field_errors": map[string]any{"pick": whyText},
				"unmapped": map[string]any{"question_2": map[string]any{"textQuestionAnswer": map[string]any{"answer": `a "b"`}}}}},
		{name: "question that no version names", version: 3, answers: []lead.Answer{words(99, "x"), picked(98, 1, 2), words(1, "y")},
			want: map[string]any{"hidden_utm": "third", "words": "y", "unmapped": map[string]any{
				"question_99": map[string]any{"textQuestionAnswer": map[string]any{"answer": "x"}},
				"question_98": map[string]any{"multipleChoiceAnswer": map[string]any{"options": []any{1.0, 2.0}}}}}},
		{name: "answered three times", version: 3, answers: []lead.Answer{words(1, "a"), words(1, "b"), words(1, "c")},
			want: map[string]any{"hidden_utm": "third", "words": "a", "field_errors": map[string]any{"words": whyTwice},
				"unmapped": map[string]any{
					"question_1":   map[string]any{"textQuestionAnswer": map[string]any{"answer": "b"}},
					"question_1_2": map[string]any{"textQuestionAnswer": map[string]any{"answer": "c"}}}}},
		{name: "unreadable first, readable second", version: 3, answers: []lead.Answer{broken(1, "5", "broken"), words(1, "b")},
			want: map[string]any{"hidden_utm": "third", "words": "b", "field_errors": map[string]any{"words": "broken"},
				"unmapped": map[string]any{"question_1": 5.0}}},
		{name: "consents", version: 3, given: []lead.ConsentAnswer{{ConsentID: 7, Accepted: true}, {ConsentID: 0}, {ConsentID: 4, Accepted: true}},
			want: map[string]any{"hidden_utm": "third", "consent_7": true, "consent_0": false,
				"unmapped": map[string]any{"consent_4": map[string]any{"accepted": true}}}},
		{name: "consent given twice", version: 3, given: []lead.ConsentAnswer{{ConsentID: 7}, {ConsentID: 7, Accepted: true}},
			want: map[string]any{"hidden_utm": "third", "consent_7": false, "field_errors": map[string]any{"consent_7": whyTwice},
				"unmapped": map[string]any{"consent_7": map[string]any{"accepted": true}}}},
		{name: "consent that cannot be read", version: 3, given: []lead.ConsentAnswer{{ConsentID: 7, Problem: "accepted is a string", Raw: []byte(`{"accepted":"yes"}`)}, {ConsentID: 0, Accepted: true}, {ConsentID: 4, Problem: "accepted is missing"}},
			want: map[string]any{"hidden_utm": "third", "consent_0": true, "field_errors": map[string]any{"consent_7": "accepted is a string", "consent_4": "accepted is missing"},
				"unmapped": map[string]any{"consent_7": map[string]any{"accepted": "yes"}, "consent_4": nil}}},
		{name: "consent that can be read the second time", version: 3, given: []lead.ConsentAnswer{{ConsentID: 7, Problem: "accepted is null", Raw: []byte(`{`)}, {ConsentID: 7, Accepted: true}},
			want: map[string]any{"hidden_utm": "third", "consent_7": true, "field_errors": map[string]any{"consent_7": "accepted is null"},
				"unmapped": map[string]any{"consent_7": "{"}}},
		{name: "consent of which only that it is broken is known", version: 3, given: []lead.ConsentAnswer{{ConsentID: 0, Accepted: true}},
			faults: []lead.Fault{{Field: "formResponse.consentResponses[1]", Problem: "consentId is missing"}},
			want: map[string]any{"hidden_utm": "third", "consent_0": true,
				"field_errors": map[string]any{"consent_7": "formResponse.consentResponses[1] consentId is missing"}}},
		{name: "consents that are no list", version: 3, faults: []lead.Fault{{Field: "formResponse.consentResponses", Problem: "is a string"}},
			want: map[string]any{"hidden_utm": "third", "field_errors": map[string]any{
				"consent_0": "formResponse.consentResponses is a string", "consent_7": "formResponse.consentResponses is a string"}}},
		{name: "text that is not UTF-8", version: 3, answers: []lead.Answer{words(1, "a\xffb")},
			want: map[string]any{"hidden_utm": "third", "words": "a\uFFFDb", "field_errors": map[string]any{"words": whyNotUTF8}}},
	} {
		for _, mode := range []Choice{Array, Joined} {
			t.Run(test.name+", "+string(mode), func(t *testing.T) {
				f := fieldsOf(t, mode, v1, v3)
				r := blank(test.version)
				r.Answers, r.Consents, r.Faults = test.answers, test.given, test.faults
				decoded, faults := encode(t, f, r)
				want := map[string]any{"unmapped": nil, "field_errors": nil}
				for _, name := range names(f) {
					want[name] = nil
				}
				maps.Copy(want, test.want)
				if mode == Joined {
					maps.Copy(want, test.joined)
				}
				got := answersIn(decoded)
				for _, name := range []string{"unmapped", "field_errors"} {
					got[name] = object(t, got[name])
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("decoded = %v\nwant %v", got, want)
				}
				if want["field_errors"] == nil && len(faults) != 0 {
					t.Errorf("faults = %v, want none", faults)
				}
				for _, fault := range faults {
					if errs, _ := want["field_errors"].(map[string]any); errs[fault.Field] != fault.Problem {
						t.Errorf("fault %v is not in field_errors %v", fault, errs)
					}
				}
			})
		}
	}
}

// object reads a column that is a JSON object, or null.
func object(t *testing.T, column any) any {
	t.Helper()
	if column == nil {
		return nil
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(column.(string)), &out); err != nil {
		t.Fatalf("%v is not a JSON object: %v", column, err)
	}
	return out
}

func TestFaultsOfTheElementStandUnderTheirColumn(t *testing.T) {
	r := blank(1)
	r.ID, r.Owner = "id\xfe", "urn\xff"
	r.Faults = []lead.Fault{
		{Field: "testLead", Problem: "not a boolean"}, {Field: "associatedEntity.event", Problem: "not a URN"},
		{Field: "formResponse.consentResponses", Problem: "not a list"},
	}
	got, faults := encode(t, fieldsOf(t, Array, form(1)), r)
	want := map[string]any{"test_lead": "not a boolean", "event": "not a URN", "formResponse.consentResponses": "not a list",
		"lead_id": whyNotUTF8, "owner": whyNotUTF8}
	if errs := object(t, got["field_errors"]); !reflect.DeepEqual(errs, want) {
		t.Errorf("field_errors = %v, want %v", errs, want)
	}
	if len(faults) != len(want) {
		t.Errorf("faults = %v, want %d", faults, len(want))
	}
	if got["lead_id"] != "id\uFFFD" || got["test_lead"] != false || got["event"] != nil {
		t.Errorf("decoded = %v", got)
	}
}

func TestFormThatIsGoneLosesNoAnswer(t *testing.T) {
	got, faults := encode(t, New(formID, Array), exampleLead())
	unmapped := object(t, got["unmapped"]).(map[string]any)
	for _, key := range []string{"question_510001", "question_510002", "question_510003", "question_510004", "consent_0"} {
		if unmapped[key] == nil {
			t.Errorf("unmapped has no %s: %v", key, unmapped)
		}
	}
	if len(faults) != 0 || len(got) != len(fixed) {
		t.Errorf("faults %v, columns %d, want none and %d", faults, len(got), len(fixed))
	}
}

func TestWhatIsNoLeadOfTheFormIsRejected(t *testing.T) {
	const secret = "secret-answer"
	c := compile(t, fieldsOf(t, Array, form(1, text(1, "Words"))), 1)
	for name, spoil := range map[string]func(*lead.Response){
		"unreadable":    func(r *lead.Response) { r.Unreadable = "answers are not a list" },
		"another form":  func(r *lead.Response) { r.Form.ID = "12" },
		"no id":         func(r *lead.Response) { r.ID = "" },
		"no time":       func(r *lead.Response) { r.SubmittedAt = time.Time{} },
		"version below": func(r *lead.Response) { r.Form.Version = -1 },
		"version above": func(r *lead.Response) { r.Form.Version = 1 << 40 },
	} {
		r := blank(1)
		r.Submitter = secret
		r.Answers = []lead.Answer{{QuestionID: 1, Kind: lead.TextAnswer, Text: secret}}
		spoil(r)
		out, faults, err := c.Encode([]byte("kept"), r)
		if err == nil || fault.KindOf(err) != fault.Reject || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: err = %v, kind %v, want a rejection without answers", name, err, fault.KindOf(err))
		}
		if string(out) != "kept" || faults != nil {
			t.Errorf("%s: out = %q, faults %v, want dst as it was", name, out, faults)
		}
	}
}

func TestFaultsNeverQuoteValues(t *testing.T) {
	const secret = "s3cret@example.com"
	f := fieldsOf(t, Array, form(1, text(1, "Words"), choice(2, "Pick", "a")))
	r := blank(1)
	r.Answers = []lead.Answer{
		{QuestionID: 1, Raw: []byte(`"` + secret + `"`), Problem: "not an object"},
		{QuestionID: 2, Kind: lead.TextAnswer, Text: secret},
		{QuestionID: 1, Kind: lead.TextAnswer, Text: secret + "\xff"},
		{QuestionID: 1, Kind: lead.TextAnswer, Text: secret},
	}
	got, faults := encode(t, f, r)
	for _, fault := range faults {
		if strings.Contains(fault.Field+fault.Problem, secret) {
			t.Errorf("fault quotes the answer: %v", fault)
		}
	}
	if errs := got["field_errors"].(string); len(faults) != 2 || strings.Contains(errs, secret) {
		t.Errorf("faults = %v, field_errors %s", faults, errs)
	}
}

func TestEncodeAppends(t *testing.T) {
	f := fieldsOf(t, Array, exampleForm())
	c := compile(t, f, 1<<31-1)
	alone, _, err := c.Encode(nil, exampleLead())
	if err != nil {
		t.Fatal(err)
	}
	both, _, err := c.Encode([]byte("before"), exampleLead())
	if err != nil || !bytes.Equal(both, append([]byte("before"), alone...)) {
		t.Errorf("Encode on a prefix = %q, %v", both, err)
	}
	decode(t, f.Schema(), 1<<31-1, alone)
}

func TestCodecDoesNotFollowItsFields(t *testing.T) {
	v := evolution()
	f := fieldsOf(t, Array, v[0])
	schema, c := f.Schema(), compile(t, f, 1)
	for _, next := range v[1:] {
		f.Add(next)
	}
	value, _, err := c.Encode(nil, exampleLead())
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, schema, 1, value); !reflect.DeepEqual(got["which_track_interests_you"], []any{"Operations"}) {
		t.Errorf("decoded = %v", got)
	}
}

func TestCodecServesManyAtOnce(t *testing.T) {
	c := compile(t, fieldsOf(t, Array, exampleForm()), 1)
	plain, _, err := c.Encode(nil, exampleLead())
	if err != nil {
		t.Fatal(err)
	}
	odd := exampleLead()
	odd.Answers = append(odd.Answers, lead.Answer{QuestionID: 1, Kind: lead.TextAnswer, Text: strings.Repeat("long ", 14000)})
	oddly, _, err := c.Encode(nil, odd)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			r, want := exampleLead(), plain
			if n%2 == 1 {
				r, want = odd, oddly
			}
			for range 50 {
				if got, _, err := c.Encode(nil, r); err != nil || !bytes.Equal(got, want) {
					t.Errorf("Encode beside others = %q, %v", got[:min(20, len(got))], err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestCompileRefusesWhatCannotBeWritten(t *testing.T) {
	for name, f := range map[string]*Fields{
		"form that is no number": New(`1"`, Array),
		"name Avro refuses":      {form: "1", choice: Array, columns: []*column{{Name: "a b", Kind: kindText, Versions: versions{1}}}},
		"name of a fixed field":  {form: "1", choice: Array, columns: []*column{{Name: "owner", Kind: kindText, Versions: versions{1}}}},
	} {
		if _, err := Compile(f, 1); err == nil {
			t.Errorf("%s: compiled", name)
		}
	}
	for _, id := range []int{-1, 1 << 31} {
		if _, err := Compile(New("1", Array), id); err == nil {
			t.Errorf("id %d: compiled", id)
		}
	}
}
