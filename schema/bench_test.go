package schema

import (
	"fmt"
	"testing"

	"leadstream/internal/lead"
)

// twenty is a form of 20 fields and a lead that fills them all: 14 texts, 3
// choices, 2 consents, a hidden field.
func twenty() (lead.Form, *lead.Response) {
	f, r := form(1), blank(1)
	r.Event, r.Submitter = "urn:li:event:7200000000000000123", person
	for id := int64(510001); id <= 510014; id++ {
		f.Questions = append(f.Questions, text(id, fmt.Sprintf("What do you think about number %d?", id)))
		r.Answers = append(r.Answers, lead.Answer{QuestionID: id, Kind: lead.TextAnswer, Text: "an answer of thirty characters"})
	}
	for id := int64(510015); id <= 510017; id++ {
		f.Questions = append(f.Questions, choice(id, fmt.Sprintf("Pick %d", id), "Connectors", "Operations", "Platforms", "Streaming"))
		r.Answers = append(r.Answers, lead.Answer{QuestionID: id, Kind: lead.ChoiceAnswer, Options: []int64{1, 3}})
	}
	f.Consents = []lead.Consent{{ID: 0, Text: "News"}, {ID: 1, Text: "Partners"}}
	r.Consents = []lead.ConsentAnswer{{ConsentID: 0, Accepted: true}, {ConsentID: 1}}
	f.Hidden = []lead.HiddenField{{Name: "utm_campaign", Value: "spd26"}}
	return f, r
}

func BenchmarkEncode20Fields(b *testing.B) {
	f, r := twenty()
	c := compile(b, fieldsOf(b, Array, f), 1)
	for name, dst := range map[string][]byte{"into a buffer": make([]byte, 0, 4096), "into nothing": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := c.Encode(dst, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDerive20Fields(b *testing.B) {
	form, _ := twenty()
	b.ReportAllocs()
	for b.Loop() {
		f := New(formID, Array)
		f.Add(form)
		if f.Schema() == "" {
			b.Fatal("no schema")
		}
	}
}

func BenchmarkAddKnownVersion20Fields(b *testing.B) {
	form, _ := twenty()
	f := fieldsOf(b, Array, form)
	b.ReportAllocs()
	for b.Loop() {
		if f.Add(form) {
			b.Fatal("changed")
		}
	}
}

func BenchmarkCompile20Fields(b *testing.B) {
	form, _ := twenty()
	f := fieldsOf(b, Array, form)
	b.ReportAllocs()
	for b.Loop() {
		compile(b, f, 1)
	}
}

// BenchmarkSameSchema20Fields compares a schema with what a registry made of
// it: members in another order, as Avro's Java library writes them.
func BenchmarkSameSchema20Fields(b *testing.B) {
	form, _ := twenty()
	ours := fieldsOf(b, Array, form).Schema()
	theirs := reordered(b, ours)
	b.ReportAllocs()
	for b.Loop() {
		if !sameSchema(theirs, ours) {
			b.Fatal("not the same")
		}
	}
}
