package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"leadstream/internal/kafka"
	"leadstream/internal/linkedinsim"
)

// A lead that says something else than LinkedIn was asked for is one dead letter with
// a reason of its own, however often it is read, and never a lead as well.
func TestALeadThatContradictsIsOneDeadLetter(t *testing.T) {
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 30, Seed: 1})
	odd := map[string]linkedinsim.Malformation{}
	for i, m := range linkedinsim.Contradictions() {
		at := time.Now().Add(-time.Duration(i+1) * 100 * time.Hour)
		for _, spec := range []linkedinsim.LeadSpec{{Malformed: m, SubmittedAt: at}, {SubmittedAt: at.Add(time.Millisecond), Count: 3}} {
			made, err := s.sim.AddLeads(spec)
			if err != nil {
				t.Fatal(err)
			}
			if spec.Malformed != "" {
				odd[made[0].ID] = m
			}
		}
	}
	// A minute off, where it is the bound of a window and not the middle of one.
	s.env["LEADSTREAM_POLL_BACKFILL"] = "30s"
	made, err := s.sim.AddLeads(linkedinsim.LeadSpec{Malformed: linkedinsim.TimeOff, Age: 10 * time.Second}, linkedinsim.LeadSpec{Age: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("run --once: %s", got.stderr)
	}
	expect := func(want map[string]linkedinsim.Malformation) {
		t.Helper()
		got := s.run(t.Context(), nil, "deadletters", "list", "-o", "json")
		var letters []deadLetter
		if err := json.Unmarshal([]byte(got.stdout), &letters); err != nil || len(letters) != len(want) {
			t.Errorf("dead letters %+v (%v), want one each of %v", letters, err, want)
		}
		for _, d := range letters {
			if d.Class != "ContradictoryElement" || d.Stage != "DECODE" || d.Message == "" {
				t.Errorf("%+v, want a reason of its own", d)
			}
		}
		topic := s.leads()
		for id, m := range want {
			if slices.Contains(topic, id) {
				t.Errorf("the lead that is a dead letter (%s) is in its topic, too", m)
			}
		}
	}
	expect(map[string]linkedinsim.Malformation{made[0].ID: linkedinsim.TimeOff})
	if topic := s.leads(); !slices.Contains(topic, made[1].ID) {
		t.Errorf("the lead beside it is not in the topic: %v", topic)
	}
	// All of the year, twice.
	for _, id := range []string{"a", "b"} {
		if got := s.run(t.Context(), nil, "run", "--once", "--replay-from", "300d", "--replay-id", id); got.code != 0 {
			t.Fatalf("replay: %s", got.stderr)
		}
	}
	for id, m := range odd {
		if m == linkedinsim.TimeOff { // in a window of days it is a lead of another minute
			delete(odd, id)
			if !slices.Contains(s.leads(), id) {
				t.Error("a lead whose time lies in the window asked for is not in its topic")
			}
		}
	}
	// That of a minute off was a dead letter of a short window; in a long one it is a lead.
	topic := s.leads()
	if !slices.Contains(topic, made[0].ID) {
		t.Error("a lead that was a dead letter is not in its topic, although it lies in the window asked for")
	}
	slices.Sort(topic)
	if n := len(slices.Compact(topic)); n != len(s.leads()) {
		t.Errorf("%d leads are there twice", len(s.leads())-n)
	}
	letters := s.run(t.Context(), nil, "deadletters", "list", "-o", "json")
	if n := len(decodeLetters(t, letters.stdout)); n != len(odd) {
		t.Errorf("%d dead letters, want %d: %s", n, len(odd), letters.stdout)
	}
	for id := range odd {
		if slices.Contains(topic, id) {
			t.Errorf("lead %s is a dead letter and a lead", id)
		}
	}
}

func decodeLetters(t *testing.T, text string) (letters []deadLetter) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &letters); err != nil {
		t.Fatal(err)
	}
	return letters
}

// leads are the ids of the leads in the topic of the only form.
func (s *stack) leads() (ids []string) {
	s.t.Helper()
	err := s.cluster().Read(s.t.Context(), "linkedin.leads.7130000000000000001", kafka.From{}, func(r *kafka.Record) error {
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
