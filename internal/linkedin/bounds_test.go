package linkedin

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// many is a list of n members without its brackets.
func many(n int, member string) string { return strings.TrimSuffix(strings.Repeat(member+",", n), ",") }

// An element with longer lists than a lead has is a dead letter; one with long lists
// is a lead with every member.
func TestListsOfAnElementAreBounded(t *testing.T) {
	for name, list := range map[string]func(n int) string{
		"answers":         func(n int) string { return `{"answers":[` + many(n, `{}`) + `]}` },
		"answers, twice":  func(n int) string { return `{"answers":[` + many(n-1, `{}`) + `],"answers":[{}]}` },
		"consents":        func(n int) string { return `{"consentResponses":[` + many(n, `{"consentId":1,"accepted":true}`) + `]}` },
		"broken consents": func(n int) string { return `{"consentResponses":[` + many(n, `7`) + `]}` },
		"answer and option": func(n int) string {
			return `{"answers":[{"questionId":1,"answerDetails":{"multipleChoiceAnswer":{"options":[` + many(n-1, `1`) + `]}}}]}`
		},
	} {
		for n, want := range map[int]bool{maxParts: true, maxParts + 1: false, 20 * maxParts: false} {
			got := decodeOne(t, elementWith(map[string]string{"formResponse": list(n)}))
			if (got.Unreadable == "") != want || len(got.Answers) > maxParts || len(got.Consents) > maxParts || len(got.Faults) > maxFaults || len(got.Raw) == 0 {
				t.Errorf("%d %s: %q with %d answers, %d consents, %d faults; want it to be read: %v", n, name, got.Unreadable, len(got.Answers), len(got.Consents), len(got.Faults), want)
			}
		}
	}
	got := decodeOne(t, elementWith(map[string]string{"id": `"` + strings.Repeat("x", maxID+1) + `"`}))
	if got.ID != "" || got.Unreadable == "" {
		t.Errorf("an id of %d characters is taken: %q", maxID+1, got.Unreadable)
	}
}

// The lists of one element never pin those of another in memory.
func TestALongListMovesNoOther(t *testing.T) {
	var p page[lead.Response]
	d := responses{source: testSource}
	list := `{"answers":[` + many(300, `{}`) + `]}`
	body := `{"elements":[` + many(50, elementWith(map[string]string{"formResponse": list})) + `]}`
	if problem, err := decodePage(newReader([]byte(body)), &p, d.decode); problem != "" {
		t.Fatal(problem, err)
	}
	if cap(d.answers) > 2*block {
		t.Errorf("the last block has room for %d answers, want about %d", cap(d.answers), block)
	}
	for i := range p.rows {
		if len(p.rows[i].Answers) != 300 {
			t.Fatalf("element %d has %d answers, want 300", i, len(p.rows[i].Answers))
		}
	}
}

// A form with more of something than a form can have is refused as a whole, so that
// none of its columns is missing, and hides no other.
func TestAFormThatIsTooLargeIsRefused(t *testing.T) {
	const head = `"owner":{"organization":"urn:li:organization:9000123"},"name":"F",`
	question := func(more string) string { return `{"questionId":1` + more + `}` }
	for name, form := range map[string]func(n int) (body string, most int){
		"questions": func(n int) (string, int) {
			return `"content":{"questions":[` + many(n, question("")) + `]}`, maxQuestions
		},
		"options": func(n int) (string, int) {
			options := func(n int) string {
				return question(`,"questionDetails":{"multipleChoiceQuestionDetails":{"options":[` + many(n, `{"id":1}`) + `]}}`)
			}
			return `"content":{"questions":[` + options(n/2) + `,` + options(n-n/2) + `]}`, maxOptions
		},
		"consents": func(n int) (string, int) {
			return `"content":{"legalInfo":{"consents":[` + many(n, `{"id":1}`) + `]}}`, maxConsents
		},
		"hidden fields": func(n int) (string, int) { return `"hiddenFields":[` + many(n, `{"name":"a"}`) + `]`, maxHidden },
	} {
		synctest.Test(t, func(t *testing.T) {
			_, most := form(0)
			fits, _ := form(most)
			over, _ := form(most + 1)
			element := func(id int, rest string) string { return fmt.Sprintf(`{"id":%d,%s%s}`, id, head, rest) }
			c := newTestClient(t, routes{
				"/rest/leadForms/1": ok(element(1, fits)), "/rest/leadForms/2": ok(element(2, over)),
				"/rest/leadForms": ok(`{"elements":[` + element(1, fits) + `,` + element(2, over) + `,` + element(3, `"state":"DRAFT"`) + `]}`),
			}, Options{})
			if f, err := c.Form(t.Context(), "1"); err != nil || f.ID != "1" {
				t.Errorf("%d %s: %v", most, name, err)
			}
			var e *AnswerError
			if _, err := c.Form(t.Context(), "2"); !errors.As(err, &e) || !strings.Contains(e.Problem, name) || fault.KindOf(err) != fault.Retry {
				t.Errorf("%d %s: error = %v, want the form refused for them", most+1, name, err)
			}
			if forms, err := c.Forms(t.Context(), testSource.Owner); err != nil || len(forms) != 2 || forms[1].ID != "3" {
				t.Errorf("%d forms (%v), want the two beside the one with too many %s", len(forms), err, name)
			}
		})
	}
}

// A list without end is refused, whatever is listed.
func TestAListWithoutEndIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pad := strings.Repeat("x", 60_000)
		c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start, _ := strconv.Atoi(r.URL.Query().Get("start"))
			count, _ := strconv.Atoi(r.URL.Query().Get("count"))
			var rows []string
			for i := range count {
				rows = append(rows, fmt.Sprintf(`{"id":%d,"role":"R%d","state":"APPROVED","organization":"urn:li:organization:%d","pad":%q}`, start+i+1, start+i, start+i+1, pad))
			}
			_, _ = fmt.Fprintf(w, `{"elements":[%s]}`, strings.Join(rows, ","))
		}), Options{})
		for name, list := range map[string]func() error{
			"forms":         func() error { _, err := c.Forms(t.Context(), testSource.Owner); return err },
			"events":        func() error { _, err := c.Events(t.Context(), testSource.Owner); return err },
			"roles":         func() error { _, err := c.Organizations(t.Context()); return err },
			"subscriptions": func() error { _, err := c.Subscriptions(t.Context(), testSource); return err },
		} {
			if e := (*AnswerError)(nil); !errors.As(list(), &e) {
				t.Errorf("%s: %v, want the list refused", name, list())
			}
		}
	})
}
