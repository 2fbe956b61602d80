package linkedin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"leadstream/internal/lead"
)

// samplePage is a page of leads with ten answers each, as a form with eight
// texts and two multiple choices gives.
func samplePage(leads int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"paging":{"start":0,"count":100,"links":[],"total":20000},"elements":[`)
	for i := range leads {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c%04d-6","owner":{"organization":"urn:li:organization:9000123"},`+
			`"submitter":"urn:li:person:SimLead%06d","leadType":"EVENT",`+
			`"versionedLeadGenFormUrn":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7130000000000000001,1)",`+
			`"submittedAt":%d,"testLead":false,"associatedEntity":{"event":"urn:li:event:7200000000000000123"},"formResponse":{"answers":[`,
			i, i, 1793012345000+i)
		for q := range 10 {
			if q > 0 {
				b.WriteByte(',')
			}
			if q%5 == 3 {
				fmt.Fprintf(&b, `{"questionId":51000%d,"answerDetails":{"multipleChoiceAnswer":{"options":[1]}}}`, q)
			} else {
				fmt.Fprintf(&b, `{"questionId":51000%d,"answerDetails":{"textQuestionAnswer":{"answer":"lead.%06d@example.com %s"}}}`,
					q, i, strings.Repeat("x", q))
			}
		}
		b.WriteString(`],"consentResponses":[{"consentId":0,"accepted":true}]}}`)
	}
	b.WriteString("]}")
	return b.Bytes()
}

func BenchmarkDecodePage(b *testing.B) {
	body := samplePage(100)
	src := lead.Source{Owner: "urn:li:organization:9000123", Type: "EVENT"}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var p page[lead.Response]
		d := responses{source: src}
		if problem, err := decodePage(newReader(body), &p, d.decode); problem != "" || len(p.rows) != 100 {
			b.Fatal(problem, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/lead")
}

// BenchmarkDecodePageStd is what encoding/json takes for the same page, without
// any of the isolation: the measure for BenchmarkDecodePage.
func BenchmarkDecodePageStd(b *testing.B) {
	type element struct {
		ID               string            `json:"id"`
		Owner            map[string]string `json:"owner"`
		Submitter        string            `json:"submitter"`
		LeadType         string            `json:"leadType"`
		Form             string            `json:"versionedLeadGenFormUrn"`
		SubmittedAt      int64             `json:"submittedAt"`
		AssociatedEntity map[string]string `json:"associatedEntity"`
		FormResponse     struct {
			Answers []struct {
				QuestionID    int64 `json:"questionId"`
				AnswerDetails struct {
					Text *struct {
						Answer string `json:"answer"`
					} `json:"textQuestionAnswer"`
					Choice *struct {
						Options []int64 `json:"options"`
					} `json:"multipleChoiceAnswer"`
				} `json:"answerDetails"`
			} `json:"answers"`
		} `json:"formResponse"`
	}
	body := samplePage(100)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var p struct {
			Elements []json.RawMessage `json:"elements"`
		}
		if err := json.Unmarshal(body, &p); err != nil {
			b.Fatal(err)
		}
		for _, raw := range p.Elements {
			var e element
			if err := json.Unmarshal(raw, &e); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/lead")
}
