package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"leadstream/internal/linkedinsim"
	"leadstream/internal/tail"
)

func TestTailShowsEachCommittedLeadOnce(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 2, Forms: 2, Leads: 50, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("exit code %d:\n%s", got.code, got.stderr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		ended <- run(ctx, process{args: []string{"tail", "--from-beginning"}, environ: s.environ(nil), stdin: strings.NewReader(""), stdout: in, stderr: &stderr})
		_ = in.Close()
	}()
	seen := map[string]bool{}
	lines := json.NewDecoder(out)
	next := func() {
		var r tail.Record
		if err := lines.Decode(&r); err != nil {
			t.Fatal(err, stderr.String())
		}
		key := r.ID + "@" + r.SubmittedAt
		if seen[key] || len(r.Lead) == 0 {
			t.Errorf("%s was shown before, or without its lead", key)
		}
		seen[key] = true
	}
	for range 50 {
		next()
	}
	if _, err := s.sim.AddLeads(linkedinsim.LeadSpec{Count: 3}); err != nil {
		t.Fatal(err)
	}
	for published := int64(0); published < 53; { // LinkedIn's clock shows them a second later
		if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
			t.Fatalf("exit code %d:\n%s", got.code, got.stderr)
		}
		rows, _ := s.forms(nil)
		published = 0
		for _, row := range rows {
			published += row.Leads
		}
	}
	for range 3 {
		next()
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d, want 0:\n%s", code, stderr.String())
	}
}
