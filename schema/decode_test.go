package schema

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"leadstream/internal/lead"
)

func TestADecodedValueIsShownAsItWasAnswered(t *testing.T) {
	fake := srfake.New()
	defer fake.Close()
	r := registry(t, RegistryOptions{URL: fake.URL()})
	f := fieldsOf(t, Array, form(1, text(1, "Company")))
	registered, err := r.Ensure(t.Context(), "s", f.Schema())
	if err != nil {
		t.Fatal(err)
	}
	codec, err := Compile(f, registered.ID)
	if err != nil {
		t.Fatal(err)
	}
	value, _, err := codec.Encode(nil, &lead.Response{ID: "a", SubmittedAt: time.UnixMilli(1), Form: lead.FormRef{ID: formID, Version: 1},
		Answers: []lead.Answer{{QuestionID: 1, Kind: lead.TextAnswer, Text: `<Smith & "Sons">`}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := NewDecoder(r).Decode(t.Context(), value)
	if want := `"company":"<Smith & \"Sons\">"`; err != nil || !strings.Contains(string(got), want) {
		t.Errorf("Decode = %s, %v, want %s in it", got, err, want)
	}
}
