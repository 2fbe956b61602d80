package main

import (
	"strings"
	"testing"

	"leadstream/internal/check"
	"leadstream/internal/linkedinsim"
)

// TestCheckWarnsOfTopicsThatForgetDeletions before the look-back has passed.
func TestCheckWarnsOfTopicsThatForgetDeletions(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	short := map[string]string{"LEADSTREAM_KAFKA_TOPIC_CONFIG": "delete.retention.ms=1000"}
	if got := s.run(t.Context(), short, "run", "--once"); got.code != 0 || !strings.Contains(got.stderr, "may come back") {
		t.Fatalf("run --once: exit code %d, %s", got.code, got.stderr)
	}
	code, findings := s.check(ready)
	f := find(t, findings, "topic linkedin.leads."+oneFormID(t, s))
	if code != 0 || f.Result != check.Warn || !strings.Contains(f.Text, "kept for 1s") || !strings.Contains(f.Text, "may come back") || !strings.Contains(f.Todo, "delete.retention.ms=604800000") {
		t.Errorf("exit code %d, %+v", code, f)
	}
}

// oneFormID is the form of a world that has one.
func oneFormID(t *testing.T, s *stack) string {
	t.Helper()
	rows, _ := s.forms(nil)
	if len(rows) != 1 {
		t.Fatalf("forms = %v", rows)
	}
	for id := range rows {
		return id
	}
	return ""
}
