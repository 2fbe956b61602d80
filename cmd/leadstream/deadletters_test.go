package main

import (
	"bytes"
	"encoding/json"
	"errors"
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
