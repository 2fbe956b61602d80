package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
	done := []connector.Outcome{{Key: "a"}, {Key: "b", Problem: "no time"}}
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
	var list []deadLetter
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
