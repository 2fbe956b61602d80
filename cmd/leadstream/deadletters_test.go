package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/connector"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/internal/linkedinsim"
)

func TestARetryThatEndsMidwayShowsWhatItDid(t *testing.T) {
	var out bytes.Buffer
	a := &app{process: process{stdout: &out}, output: "table"}
	away := &kafka.UnreachableError{Op: "committing", Err: errors.New("refused")}
	done := []connector.Outcome{{Key: "a", Result: "published"}, {Key: "b", Problem: "no time"}}
	if err := a.printOutcomes(done, away); !errors.Is(err, away) || exitCode(err) != exitUnreachable {
		t.Errorf("printOutcomes = %v, want that Kafka is away", err)
	}
	for _, want := range []string{"a", "published", "b", "no time"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not shown:\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := a.printOutcomes(nil, away); !errors.Is(err, away) || out.Len() > 0 {
		t.Errorf("printOutcomes of nothing = %v, and shows %q", err, out.String())
	}
	if err := a.printOutcomes(done, nil); exitCode(err) != exitDifferences {
		t.Errorf("printOutcomes = %v, want the exit code of differences", err)
	}
}

// TestADeadLetterShowsTheIDOfItsLead also where its time, and so its key, cannot be
// read.
func TestADeadLetterShowsTheIDOfItsLead(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatal(got.stderr)
	}
	deadLetters := []delivery.DeadLetter{
		{Response: &lead.Response{Raw: []byte(`{"id":"8f0c2b9e-6","submittedAt":"soon","owner":{"organization":"urn:li:organization:1"}}`)}, Reason: "UnreadableElement"},
		{Response: &lead.Response{Raw: []byte(`{"id":7,"submittedAt":1}`)}, Reason: "UnreadableElement"},
		{Response: &lead.Response{Raw: []byte(`"no object"`)}, Reason: "UnreadableElement"},
	}
	for _, l := range deadLetters {
		s.append(kafka.Message{Topic: delivery.DeadLetterTopic("leadstream"), Key: []byte(l.Key()), Value: l.Raw, Time: time.Now()})
	}
	got := s.run(t.Context(), nil, "deadletters", "list", "-o", "json")
	var list []delivery.DeadLetterRecord
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || len(list) != len(deadLetters) {
		t.Fatalf("%d dead letters, %v: %s%s", len(list), err, got.stdout, got.stderr)
	}
	ids := map[string]bool{}
	for _, l := range list {
		ids[l.Lead] = true
	}
	if !ids["8f0c2b9e-6"] {
		t.Errorf("the leads shown are %v", ids)
	}
	if table := s.run(t.Context(), nil, "deadletters", "list").stdout; !strings.Contains(table, "8f0c2b9e-6") || !strings.Contains(table, "LEAD") {
		t.Errorf("the table does not show the lead:\n%s", table)
	}
}

// TestOneLeadThatLinkedInCannotGiveKeepsNoOtherFromBeingRetried: LinkedIn answers 500 for it
// however often it is asked.
func TestOneLeadThatLinkedInCannotGiveKeepsNoOtherFromBeingRetried(t *testing.T) {
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != exitDone {
		t.Fatal(got.stderr)
	}
	at := time.UnixMilli(1790000000000)
	for _, id := range []string{"first", "second", "third"} {
		raw := fmt.Appendf(nil, `{"id":%q,"submittedAt":%d,"owner":{"organization":"urn:li:organization:9000123"},"leadType":"EVENT"}`, id, at.UnixMilli())
		d := delivery.DeadLetter{Response: &lead.Response{ID: id, SubmittedAt: at, Raw: raw}, Reason: "UnreadableElement"}
		s.append(kafka.Message{Topic: delivery.DeadLetterTopic("leadstream"), Key: []byte(d.Key()), Value: raw, Time: time.Now()})
	}
	if err := s.sim.Schedule(linkedinsim.Fault{Kind: linkedinsim.StatusFault, Endpoint: "leadFormResponses", Status: 500, Count: 3}); err != nil {
		t.Fatal(err)
	}
	got := s.run(t.Context(), nil, "deadletters", "retry", "-o", "json")
	var out []struct{ Key, Problem string }
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil || got.code != exitDifferences || len(out) != 3 {
		t.Fatalf("code %d, %v: %s", got.code, err, got.stdout)
	}
	if !strings.Contains(out[0].Problem, "500") || strings.Contains(out[1].Problem+out[2].Problem, "500") {
		t.Errorf("outcomes = %+v, want the answer about the first for the first alone", out)
	}
}

// TestARetryTakesNoStoredElementThatIsNoLead: LinkedIn does not show it any more, and its time
// is none at which a lead can have been submitted. Published it would hold back the real lead.
func TestARetryTakesNoStoredElementThatIsNoLead(t *testing.T) {
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != exitDone {
		t.Fatal(got.stderr)
	}
	const form = "7130000000000000001"
	for id, at := range map[string]int64{"seconds": time.Now().Unix(), "year3000": time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()} {
		raw := fmt.Appendf(nil, `{"id":%q,"owner":{"organization":"urn:li:organization:9000123"},"leadType":"EVENT","submittedAt":%d,`+
			`"versionedLeadGenFormUrn":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:%s,1)","formResponse":{"answers":[]}}`, id, at, form)
		d := delivery.DeadLetter{Response: &lead.Response{ID: id, SubmittedAt: time.UnixMilli(at), Raw: raw}, Reason: "ContradictoryElement"}
		s.append(kafka.Message{Topic: delivery.DeadLetterTopic("leadstream"), Key: []byte(d.Key()), Value: raw, Time: time.Now()})
	}
	got := s.run(t.Context(), nil, "deadletters", "retry", "-o", "json")
	var out []struct{ Key, Problem string }
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil || got.code != exitDifferences || len(out) != 2 || out[0].Problem == "" || out[1].Problem == "" {
		t.Errorf("code %d, %v: %s; want both to stay", got.code, err, got.stdout)
	}
	s.submit(linkedinsim.LeadSpec{ID: "year3000"})
	time.Sleep(1200 * time.Millisecond) // LinkedIn's clock tells seconds
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != exitDone {
		t.Fatal(got.stderr)
	}
	var keys []string
	err := s.cluster().Reader.Read(t.Context(), "linkedin.leads."+form, kafka.From{}, func(r *kafka.Record) error {
		if k := string(r.Key); k == "seconds" || k == "year3000" {
			keys = append(keys, k)
		}
		return nil
	})
	if err != nil || !slices.Equal(keys, []string{"year3000"}) {
		t.Errorf("published: %q, %v; want the real submission alone", keys, err)
	}
}

// TestARetryDoesNotTakeAnotherSubmissionForItsOwn: the element has no readable time, and its
// topic has a submission of the same lead.
func TestARetryDoesNotTakeAnotherSubmissionForItsOwn(t *testing.T) {
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	s.submit(linkedinsim.LeadSpec{ID: "again", Age: time.Minute})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != exitDone {
		t.Fatal(got.stderr)
	}
	raw := []byte(`{"id":"again","owner":{"organization":"urn:li:organization:9000123"},"leadType":"EVENT","submittedAt":"soon",` +
		`"versionedLeadGenFormUrn":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7130000000000000001,1)","formResponse":{"answers":[]}}`)
	d := delivery.DeadLetter{Response: &lead.Response{ID: "again", Raw: raw}, Reason: "UnreadableElement"}
	s.append(kafka.Message{Topic: delivery.DeadLetterTopic("leadstream"), Key: []byte(d.Key()), Value: raw, Time: time.Now()})
	got := s.run(t.Context(), nil, "deadletters", "retry", "-o", "json")
	var out []struct{ Key, Result, Problem string }
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil || got.code != exitDifferences || len(out) != 1 || out[0].Problem == "" || out[0].Result != "" {
		t.Errorf("code %d, %v: %s; want it to stay", got.code, err, got.stdout)
	}
}
