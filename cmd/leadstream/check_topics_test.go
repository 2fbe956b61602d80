package main

import (
	"strings"
	"testing"

	"leadstream/config"
	"leadstream/internal/kafka"
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
	if code != 0 || f.Result != resultWarn || !strings.Contains(f.Text, "kept for 1s") || !strings.Contains(f.Text, "may come back") || !strings.Contains(f.Todo, "delete.retention.ms=604800000") {
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

// TestForgetfulTopics holds the bounds of what is said of a lead topic's times.
func TestForgetfulTopics(t *testing.T) {
	const week, longest = "604800000", "9223372036854775807"
	for name, tt := range map[string]struct {
		policy, retention, deleteRetention string
		want                               int
	}{
		"as made":                      {"compact,delete", "31536000000", week, 0},
		"kept for ever":                {"compact,delete", "-1", week, 0},
		"the longest times":            {"compact,delete", longest, longest, 0},
		"deletions a little too short": {"compact,delete", longest, "604799999", 1},
		"both short":                   {"compact,delete", "1000", "1000", 2},
		"compacted alone":              {"compact", "1000", "1000", 1},
		"not compacted":                {"delete", week, "1000", 0},
		"not told":                     {"compact,delete", "", "", 0},
	} {
		r := &risks{}
		k := &checker{system: &system{config: config.Default()}}
		k.forgetful(r, "t", kafka.TopicInfo{Configs: map[string]string{"cleanup.policy": tt.policy, "retention.ms": tt.retention, "delete.retention.ms": tt.deleteRetention}})
		if len(r.texts) != tt.want {
			t.Errorf("%s: %q, want %d", name, r.texts, tt.want)
		}
	}
}
