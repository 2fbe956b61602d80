package main

import (
	"encoding/binary"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/twmb/avro"

	"leadstream/internal/linkedinsim"
)

// TestEveryLeadIsReadAndEncoded: what leadstream is measured against must do
// the work, not skip it. The records are decoded by another library than
// encoded them and compared with the simulator's ledger.
func TestEveryLeadIsReadAndEncoded(t *testing.T) {
	sim, err := linkedinsim.New(linkedinsim.Config{Organizations: 1, Events: 2, Forms: 2, Leads: 250, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(sim)
	defer web.Close()
	from := newSource(web.URL, sim.Describe().Organizations[0].URN, sim.IssueToken().AccessToken, 4, time.Now().Add(time.Minute))
	answers := map[string]int{}
	for n := 0; ; n++ {
		p, err := from.read(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.Elements {
			id, given := decoded(t, &p.Elements[i])
			answers[id] = given
		}
		if (n+1)*from.size >= p.Paging.Total {
			break
		}
	}
	made := slices.Collect(sim.Ledger())
	if len(made) != 250 || len(answers) != len(made) {
		t.Fatalf("%d leads are encoded, %d in the ledger, want 250", len(answers), len(made))
	}
	for _, e := range made {
		if answers[e.ID] != len(e.Answers) {
			t.Errorf("lead %s has %d answers, want %d", e.ID, answers[e.ID], len(e.Answers))
		}
	}
}

// decoded is the id of a lead and the number of its answers, after encoding.
func decoded(t *testing.T, e *element) (id string, answers int) {
	t.Helper()
	value, form, err := e.value(7)
	if err != nil {
		t.Fatal(err)
	}
	if value[0] != 0 || binary.BigEndian.Uint32(value[1:]) != 7 {
		t.Fatalf("the value begins with % x, want schema 7 in Confluent's format", value[:5])
	}
	s, err := avro.Parse(schemaText)
	if err != nil {
		t.Fatal(err)
	}
	var r map[string]any
	if _, err := s.Decode(value[5:], &r); err != nil {
		t.Fatal(err)
	}
	if r["form_id"] != form {
		t.Errorf("lead of form %v goes to the topic of form %s", r["form_id"], form)
	}
	list := r["answers"].([]any)
	for _, a := range list {
		if a := a.(map[string]any); a["text"] == nil && len(a["options"].([]any)) == 0 {
			t.Errorf("lead %v has an answer that says nothing", r["lead_id"])
		}
	}
	return r["lead_id"].(string), len(list)
}

func TestAFormWithoutAVersionIsRefused(t *testing.T) {
	for _, urn := range []string{"", "urn:li:leadGenForm:7", "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7)", "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7,x)"} {
		if id, version, err := splitForm(urn); err == nil {
			t.Errorf("%q is form %q, version %d; want an error", urn, id, version)
		}
	}
	if id, version, err := splitForm("urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7, 12)"); err != nil || id != "7" || version != 12 {
		t.Errorf("form %q, version %d: %v; want 7 and 12", id, version, err)
	}
}
