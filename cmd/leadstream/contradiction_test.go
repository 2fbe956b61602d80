package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedinsim"
)

// odd adds a lead that contradicts, and three good ones beside it; it gives its id.
func (s *stack) odd(m linkedinsim.Malformation, at time.Time) string {
	s.t.Helper()
	made, err := s.sim.AddLeads(linkedinsim.LeadSpec{Malformed: m, SubmittedAt: at}, linkedinsim.LeadSpec{SubmittedAt: at.Add(time.Millisecond), Count: 3})
	if err != nil {
		s.t.Fatal(err)
	}
	return made[0].ID
}

// once runs the connector to its end.
func (s *stack) once(args ...string) {
	s.t.Helper()
	if got := s.run(s.t.Context(), nil, append([]string{"run", "--once"}, args...)...); got.code != 0 {
		s.t.Fatalf("run --once %v: %s", args, got.stderr)
	}
}

// contradictory expects as many dead letters with a reason of their own, and no other.
func (s *stack) contradictory(want int) {
	s.t.Helper()
	var deadLetters []delivery.DeadLetterRecord
	if err := json.Unmarshal([]byte(s.run(s.t.Context(), nil, "deadletters", "list", "-o", "json").stdout), &deadLetters); err != nil {
		s.t.Fatal(err)
	}
	if len(deadLetters) != want {
		s.t.Errorf("dead letters %+v, want %d", deadLetters, want)
	}
	for _, d := range deadLetters {
		if d.Class != "ContradictoryElement" || d.Stage != "DECODE" || d.Message == "" {
			s.t.Errorf("%+v, want a reason of its own", d)
		}
	}
}

// leads are the ids of the leads in the topic of the only form, as often as they are there.
func (s *stack) leads() (ids []string) {
	s.t.Helper()
	err := s.cluster().Reader.Read(s.t.Context(), "linkedin.leads.7130000000000000001", kafka.From{}, func(r *kafka.Record) error {
		if r.Value != nil {
			ids = append(ids, string(r.Key))
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return ids
}

// A lead that says something else than LinkedIn was asked for is one dead letter with
// a reason of its own, however often it is read, and never a lead as well.
func TestALeadThatContradictsIsOneDeadLetter(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 30, Seed: 1})
	var odd []string
	for i, m := range linkedinsim.Contradictions() {
		if m != linkedinsim.TimeOff { // which is nothing to a window of days
			odd = append(odd, s.odd(m, time.Now().Add(-time.Duration(i+1)*100*time.Hour)))
		}
	}
	s.once()
	s.contradictory(len(odd))
	for _, id := range []string{"a", "b"} {
		s.once("--replay-from", "300d", "--replay-id", id)
	}
	s.contradictory(len(odd))
	leads := s.leads()
	if n := len(slices.Compact(slices.Sorted(slices.Values(leads)))); len(leads) != n || n != 30+3*len(odd) {
		t.Errorf("%d leads, %d different ones, want %d", len(leads), n, 30+3*len(odd))
	}
	for _, id := range odd {
		if slices.Contains(leads, id) {
			t.Errorf("lead %s is a dead letter and a lead", id)
		}
	}
}

// A lead that lies outside a short window and inside a long one is a dead letter until
// the long one is read, and a lead from then on.
func TestADeadLetterEndsWhenItsLeadGoesOut(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Seed: 1})
	s.env["LEADSTREAM_POLL_BACKFILL"] = "30s"
	off := s.odd(linkedinsim.TimeOff, time.Now().Add(-10*time.Second))
	s.once()
	s.contradictory(1)
	if leads := s.leads(); len(leads) != 3 || slices.Contains(leads, off) {
		t.Errorf("leads = %v, want the three beside it", leads)
	}
	for _, id := range []string{"a", "b"} {
		s.once("--replay-from", "1h", "--replay-id", id)
		s.contradictory(0)
		if leads := s.leads(); len(leads) != 4 || !slices.Contains(leads, off) {
			t.Errorf("leads = %v, want it as well, once", leads)
		}
	}
}

// Pages that are far too long for an answer bring every lead; the one that is too long
// by itself is a dead letter with its id.
func TestLeadsOfAPageThatIsTooLongAllArrive(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Seed: 1})
	answer := func(bytes int) []linkedinsim.Answer {
		return []linkedinsim.Answer{{QuestionID: 510001, Text: strings.Repeat("x", bytes)}}
	}
	made, err := s.sim.AddLeads(linkedinsim.LeadSpec{Count: 90, Age: time.Hour, Every: time.Second, Answers: answer(420_000)},
		linkedinsim.LeadSpec{Age: time.Hour, Answers: answer(34 << 20)}, linkedinsim.LeadSpec{Count: 9, Age: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s.once()
	leads := s.leads()
	for i, e := range made {
		if slices.Contains(leads, e.ID) != (i != 90) {
			t.Errorf("lead %d of %d is in the topic: %v", i, len(made), i == 90)
		}
	}
	var deadLetters []delivery.DeadLetterRecord
	if err := json.Unmarshal([]byte(s.run(t.Context(), nil, "deadletters", "list", "-o", "json").stdout), &deadLetters); err != nil {
		t.Fatal(err)
	}
	if len(deadLetters) != 1 || !strings.HasPrefix(deadLetters[0].Key, made[90].ID+"@") || deadLetters[0].Class != "UnreadableElement" || !strings.Contains(deadLetters[0].Message, "longer") {
		t.Errorf("dead letters %+v, want the one that is too long", deadLetters)
	}
}
