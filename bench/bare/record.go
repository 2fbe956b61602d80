package main

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/hamba/avro/v2"
)

// schemaText is the schema of every record; bench/run registers it.
//
//go:embed lead.avsc
var schemaText string

var schema = avro.MustParse(schemaText)

// record is a lead as it is written.
type record struct {
	LeadID      string    `avro:"lead_id"`
	SubmittedAt int64     `avro:"submitted_at"`
	LeadType    string    `avro:"lead_type"`
	Owner       string    `avro:"owner"`
	Event       *string   `avro:"event"`
	Submitter   *string   `avro:"submitter"`
	FormID      string    `avro:"form_id"`
	FormVersion int       `avro:"form_version"`
	TestLead    bool      `avro:"test_lead"`
	Answers     []answer  `avro:"answers"`
	Consents    []consent `avro:"consents"`
}

type answer struct {
	QuestionID int64   `avro:"question_id"`
	Text       *string `avro:"text"`
	Options    []int   `avro:"options"`
}

type consent struct {
	ConsentID int  `avro:"consent_id"`
	Accepted  bool `avro:"accepted"`
}

// value is the element in Confluent's wire format, and its form.
func (e *element) value(schemaID uint32) (value []byte, form string, err error) {
	form, version, err := splitForm(e.Form)
	if err != nil {
		return nil, "", err
	}
	r := record{
		LeadID: e.ID, SubmittedAt: e.SubmittedAt, LeadType: e.LeadType, Owner: e.Owner.Organization,
		Event: e.AssociatedEntity.Event, Submitter: e.Submitter, FormID: form, FormVersion: version, TestLead: e.TestLead,
		Answers:  make([]answer, len(e.FormResponse.Answers)),
		Consents: make([]consent, len(e.FormResponse.Consents)),
	}
	for i := range e.FormResponse.Answers {
		a := &e.FormResponse.Answers[i]
		r.Answers[i] = answer{QuestionID: a.QuestionID, Options: a.Details.Choice.Options}
		if a.Details.Text != nil {
			r.Answers[i].Text = &a.Details.Text.Answer
		}
	}
	for i, c := range e.FormResponse.Consents {
		r.Consents[i] = consent(c)
	}
	body, err := avro.Marshal(schema, &r)
	if err != nil {
		return nil, "", fmt.Errorf("encoding a lead: %w", err)
	}
	value = make([]byte, 0, 5+len(body))
	value = binary.BigEndian.AppendUint32(append(value, 0), schemaID)
	return append(value, body...), form, nil
}

// splitForm reads urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7130…,1).
func splitForm(urn string) (id string, version int, err error) {
	rest, ok := strings.CutPrefix(urn, "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:")
	id, text, both := strings.Cut(strings.TrimSuffix(rest, ")"), ",")
	version, err = strconv.Atoi(strings.TrimSpace(text))
	if !ok || !both || err != nil {
		return "", 0, fmt.Errorf("%q names no version of a form", urn)
	}
	return id, version, nil
}
