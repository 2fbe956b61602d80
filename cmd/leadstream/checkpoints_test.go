package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"leadstream/internal/check"
	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedinsim"
)

func TestCheckpointsSetTakesWhatItListsAndNothingThatStopsTheNextStart(t *testing.T) {
	t.Parallel()
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

// keysOf are the keys of the checkpoint topic.
func (s *stack) keysOf() (keys []string) {
	s.t.Helper()
	var rows []checkpointRow
	list := s.run(s.t.Context(), nil, "checkpoints", "list", "-o", "json")
	if err := json.Unmarshal([]byte(list.stdout), &rows); err != nil {
		s.t.Fatalf("checkpoints list: %v\n%s%s", err, list.stdout, list.stderr)
	}
	for _, row := range rows {
		keys = append(keys, row.Key)
	}
	return keys
}

// TestProgressThatIsSetCounts, also in a topic that was emptied, whose next start
// would otherwise be a first one.
func TestProgressThatIsSetCounts(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	expect := func(code int, says string, args ...string) {
		t.Helper()
		if got := s.run(t.Context(), nil, args...); got.code != code || !strings.Contains(got.stdout+got.stderr, says) {
			t.Errorf("%v: exit code %d, want %d with %q\n%s%s", args, got.code, code, says, got.stdout, got.stderr)
		}
	}
	expect(exitDone, "", "run", "--once")
	expect(exitUsage, "is no progress", "checkpoints", "reset", "process")
	expect(exitDone, "", "checkpoints", "reset", "--all")
	expect(exitDone, "Written", "checkpoints", "set", "replay/done", `{"version":1,"from":"2026-11-01T00:00:00Z","to":"2026-11-02T00:00:00Z","mode":"missing","created":"2026-11-02T00:00:00Z","next":{"urn:li:organization:1/EVENT":"2026-11-02T00:00:00Z"}}`)
	expect(exitDone, "", "run", "--once")
	if keys := s.keysOf(); !slices.Contains(keys, "replay/done") {
		t.Errorf("what was set does not count: %v", keys)
	}
}

// TestACheckpointTopicOfThreePartitionsIsRefusedByWhoeverNeedsIt, with what to do.
func TestACheckpointTopicOfThreePartitionsIsRefusedByWhoeverNeedsIt(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	made, err := s.cluster().Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: "leadstream.checkpoints", Partitions: 3, Configs: map[string]string{"cleanup.policy": "compact"}}})
	if err != nil || made["leadstream.checkpoints"] != nil {
		t.Fatal(made, err)
	}
	for _, args := range [][]string{
		{"run", "--once"}, {"run"}, {"checkpoints", "set", "source/urn:li:organization:1/EVENT", `{"version":1,"live":"2026-11-01T00:00:00Z"}`},
	} {
		got := s.run(t.Context(), nil, args...)
		if got.code != exitUsage || !strings.Contains(got.stderr, "topic leadstream.checkpoints has 3 partitions") || !strings.Contains(got.stderr, "delete the topic") {
			t.Errorf("%v: exit code %d, want 2, the topic and what to do\n%s", args, got.code, got.stderr)
		}
	}
	code, findings := s.check(ready)
	if f := find(t, findings, "checkpoints"); code != exitDifferences || f.Result != check.Fail || !strings.Contains(f.Text, "3 partitions") || !strings.Contains(f.Todo, "delete the topic") {
		t.Errorf("check: exit code %d, %+v", code, f)
	}
}
