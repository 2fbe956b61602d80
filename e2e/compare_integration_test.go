//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// verify reads the topics from the beginning as a consumer that is not ours,
// and compares all of it with LinkedIn's ledger: every lead once, where it
// belongs, with its answers. It gives what was read.
func (w *world) verify() reading {
	w.t.Helper()
	return w.verifyTimes(1)
}

// verifyTimes is verify with every lead that many times.
func (w *world) verifyTimes(times int) reading {
	w.t.Helper()
	got := consume(w.t, w.brokers, w.registry, w.prefix)
	c := comparison{name: w.name, prefix: w.prefix, report: w.t.Errorf, schemas: map[int]*avroSchema{}, hidden: map[string]map[string]string{}}
	for id, text := range got.schemas {
		s, err := parseAvro(text)
		if err != nil {
			w.t.Fatalf("schema %d: %v", id, err)
		}
		c.schemas[id] = s
	}
	ledger := w.linkedin.ledger()
	for _, form := range forms(ledger) {
		c.hidden[form] = w.linkedin.hidden(form)
	}
	w.t.Log(c.compare(ledger, got.records, times))
	return got
}

// comparison collects what differs; the first few of each kind are reported.
type comparison struct {
	name, prefix string // of the installation
	report       func(format string, args ...any)
	schemas      map[int]*avroSchema
	hidden       map[string]map[string]string // by form: the fixed values of its hidden fields
	shown        map[string]int               // differences by kind
}

func (c *comparison) differs(kind, format string, args ...any) {
	if c.shown == nil {
		c.shown = map[string]int{}
	}
	if c.shown[kind]++; c.shown[kind] <= 5 {
		c.report(kind+": "+format, args...)
	}
}

// compare holds records to what was submitted, each lead so many times, and
// sums up.
func (c *comparison) compare(ledger []submission, records []record, times int) string {
	count := map[identity]int{}
	for i := range records {
		count[records[i].identity()]++
	}
	made := map[identity]*submission{}
	lost, repeated := 0, 0
	for i := range ledger {
		s := &ledger[i]
		if slices.Contains(deadly, s.Malformed) {
			continue
		}
		made[s.identity()] = s
		switch n := count[s.identity()]; {
		case n < times:
			lost++
			c.differs("lost", "%s", describe(s))
		case n > times:
			repeated += n - times
			c.differs("repeated", "%s is there %d times", describe(s), n)
		}
	}
	strange := 0
	for i := range records {
		r := &records[i]
		s := made[r.identity()]
		if s == nil {
			strange++
			c.differs("strange", "%s offset %d: key %s was never submitted", r.Topic, r.Offset, r.Key)
			continue
		}
		if s.Malformed == "" { // what else there is, the scenario looks at
			c.lead(r, s)
		}
	}
	differences := 0
	for _, n := range c.shown {
		differences += n
	}
	return fmt.Sprintf("made %d, published %d, lost %d, repeated %d, strange %d, differences in all %d",
		len(made), len(records), lost, repeated, strange, differences)
}

// deliveries are the ways in which a lead may come.
var deliveries = []string{"live", "backfill", "late", "replay", "repair", "push"}

// lead compares one record with its submission.
func (c *comparison) lead(r *record, s *submission) {
	where := fmt.Sprintf("%s, %s offset %d", describe(s), r.Topic, r.Offset)
	check := func(what string, got, want any) {
		if got != want {
			c.differs(what, "%s: got %v, want %v", where, got, want)
		}
	}
	check("topic", r.Topic, c.prefix+s.FormID)
	check("header leadstream.submitted_at", r.header("leadstream.submitted_at"), stamp(s.SubmittedAt))
	check("header leadstream.owner", r.header("leadstream.owner"), s.Owner)
	check("header leadstream.form_version", r.header("leadstream.form_version"), strconv.Itoa(s.FormVersion))
	check("header leadstream.name", r.header("leadstream.name"), c.name)
	if how := r.header("leadstream.delivery"); !slices.Contains(deliveries, how) {
		c.differs("header leadstream.delivery", "%s: got %q", where, how)
	}
	if fetched, err := time.Parse("2006-01-02T15:04:05.000Z", r.header("leadstream.fetched_at")); err != nil || fetched.UnixMilli() < s.SubmittedAt {
		c.differs("header leadstream.fetched_at", "%s: got %q", where, r.header("leadstream.fetched_at"))
	}
	if r.Time < s.SubmittedAt {
		c.differs("record time", "%s: %s is before the submission", where, stamp(r.Time))
	}
	schema := c.schemas[r.SchemaID]
	if schema == nil {
		c.differs("schema", "%s: schema %d is not known", where, r.SchemaID)
		return
	}
	for field, want := range schema.expect(s, c.hidden[s.FormID]) {
		if got, ok := r.Value[field]; !ok || !same(got, want) {
			c.differs("field", "%s: %s is %s, want %s", where, field, text(got), text(want))
		}
	}
}

func stamp(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000Z")
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func same(a, b any) bool { return text(a) == text(b) }

// avroSchema is a form's schema as registered, read with nothing but what the
// documentation says of its properties.
type avroSchema struct {
	fields []avroField
}

type avroField struct {
	Name     string          `json:"name"`
	Type     json.RawMessage `json:"type"`
	Question string          `json:"linkedin.questionId"`
	Consent  string          `json:"linkedin.consentId"`
	Hidden   *string         `json:"linkedin.hiddenField"`
}

func (f *avroField) isArray() bool { return strings.Contains(string(f.Type), `"array"`) }

func parseAvro(schema json.RawMessage) (*avroSchema, error) {
	var read struct {
		Type   string      `json:"type"`
		Name   string      `json:"name"`
		Fields []avroField `json:"fields"`
	}
	if err := json.Unmarshal(schema, &read); err != nil {
		return nil, err
	}
	if read.Type != "record" || read.Name != "Lead" {
		return nil, fmt.Errorf("it is a %s called %q, not a record called Lead", read.Type, read.Name)
	}
	return &avroSchema{read.Fields}, nil
}

// expect is the value of every field of the schema for a submission.
func (a *avroSchema) expect(s *submission, hidden map[string]string) map[string]any {
	want := map[string]any{
		"lead_id": s.ID, "submitted_at": s.SubmittedAt, "lead_type": s.LeadType, "owner": s.Owner,
		"event": optional(s.Event), "submitter": optional(s.Submitter), "form_id": s.FormID,
		"form_version": s.FormVersion, "test_lead": s.TestLead, "unmapped": nil, "field_errors": nil,
	}
	for i := range a.fields {
		f := &a.fields[i]
		switch {
		case f.Question != "":
			want[f.Name] = f.answer(s)
		case f.Consent != "":
			want[f.Name] = nil
			for _, c := range s.Consents {
				if strconv.Itoa(c.ConsentID) == f.Consent {
					want[f.Name] = c.Accepted
				}
			}
		case f.Hidden != nil:
			want[f.Name] = hidden[*f.Hidden]
		}
	}
	return want
}

func optional(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// answer is the submission's answer to the field's question.
func (f *avroField) answer(s *submission) any {
	for i := range s.Answers {
		a := &s.Answers[i]
		if digits(a.QuestionID) != f.Question || f.isArray() != (a.Options != nil) {
			continue
		}
		if a.Options == nil {
			return a.Text
		}
		texts := a.OptionTexts
		if texts == nil {
			texts = []string{}
		}
		return texts
	}
	return nil
}
