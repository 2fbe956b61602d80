package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"leadstream/internal/checkpoint"
	"leadstream/internal/linkedinsim"
)

func TestCheckpointsSetTakesWhatItListsAndNothingThatStopsTheNextStart(t *testing.T) {
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("exit code %d:\n%s", got.code, got.stderr)
	}
	list := s.run(t.Context(), nil, "checkpoints", "list", "-o", "json")
	var rows []checkpointRow
	if err := json.Unmarshal([]byte(list.stdout), &rows); err != nil || len(rows) < 4 {
		t.Fatalf("checkpoints list: %v\n%s%s", err, list.stdout, list.stderr)
	}
	form := ""
	for _, row := range rows {
		if kind, _, _ := strings.Cut(row.Key, "/"); !slices.Contains(checkpoint.Settable(), kind) {
			continue // for people, or LinkedIn's tokens
		}
		if got := s.run(t.Context(), nil, "checkpoints", "set", row.Key, string(row.Value)); got.code != 0 {
			t.Errorf("checkpoints set %s as it was listed: exit code %d:\n%s", row.Key, got.code, got.stderr)
		}
		if strings.HasPrefix(row.Key, "form/") {
			form = row.Key
		}
	}
	for _, args := range [][]string{
		{"source/foo", `{"version":1,"live":"2026-11-01T00:00:00Z"}`},
		{"source/urn:li:organization:1/EVENT", `{"version":1,"Lve":"2026-11-01T00:00:00Z"}`},
		{form, `{"version":1,"fields":{"columns":7}}`},
		{"form/7", `{"version":1,"fields":{"form":"8","choice":"array"}}`},
		{"requests", `{"version":1,"counters":[]}`},
		{"push/urn:li:organization:1/EVENT", `{"version":1,"created":[]}`},
	} {
		got := s.run(t.Context(), nil, append([]string{"checkpoints", "set"}, args...)...)
		if got.code != 2 || !strings.Contains(got.stderr, args[0]) {
			t.Errorf("checkpoints set %v: exit code %d, want 2 and the key named:\n%s", args, got.code, got.stderr)
		}
	}
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Errorf("the next start: exit code %d:\n%s", got.code, got.stderr)
	}
}
