package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"leadstream/internal/linkedinsim"
)

// inKafka has the tokens kept in the checkpoint topic; a file would not do.
var inKafka = map[string]string{
	"LEADSTREAM_TOKEN_STORE": "kafka", "LEADSTREAM_TOKEN_PASSPHRASE": secretWord + "-passphrase",
	"LEADSTREAM_TOKEN_FILE": "/nowhere/token",
}

// tokenStack is a stack whose member has consented, with the tokens in Kafka.
// The topic did not exist before.
func tokenStack(t *testing.T) *stack {
	t.Helper()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	if err := os.Remove(s.env["LEADSTREAM_TOKEN_FILE"]); err != nil {
		t.Fatal(err)
	}
	s.consent(inKafka)
	return s
}

// ends runs a command and holds its exit code and output.
func (s *stack) ends(code int, says string, args ...string) outcome {
	s.t.Helper()
	got := s.run(s.t.Context(), inKafka, args...)
	if got.code != code || !strings.Contains(got.stdout+got.stderr, says) {
		s.t.Errorf("%v: exit code %d, want %d with %q\n%s%s", args, got.code, code, says, got.stdout, got.stderr)
	}
	if strings.Contains(got.stdout+got.stderr, secretWord) {
		s.t.Errorf("%v shows a secret", args)
	}
	return got
}

func TestTokensInKafkaServeEveryCommand(t *testing.T) {
	t.Parallel()
	s := tokenStack(t)
	s.ends(exitDone, "364 days left", "auth", "status")
	s.ends(exitDone, "linkedin token", "check")
	s.ends(exitDone, "", "run", "--once")
	s.ends(exitDone, "topic leadstream.checkpoints", "auth", "logout")
	s.ends(exitDone, "no token in topic leadstream.checkpoints", "auth", "logout")
	s.ends(exitConsent, "no token is stored", "auth", "status")
	s.ends(exitConsent, "auth login", "run", "--once")
	s.consent(inKafka) // after a logout
	s.ends(exitDone, "", "run", "--once")
	got := s.run(t.Context(), map[string]string{"LEADSTREAM_TOKEN_STORE": "kafka", "LEADSTREAM_TOKEN_PASSPHRASE": "another"}, "auth", "status")
	if got.code != exitUsage || !strings.Contains(got.stderr, "token.passphrase") {
		t.Errorf("with another passphrase: exit code %d\n%s", got.code, got.stderr)
	}
}

// Tokens are no progress: what changes progress leaves them alone.
func TestCheckpointsCommandsLeaveTokensAlone(t *testing.T) {
	t.Parallel()
	s := tokenStack(t)
	s.ends(exitDone, "", "run", "--once")
	list := func() (keys []string) {
		t.Helper()
		got := s.ends(exitDone, "", "checkpoints", "list", "-o", "json")
		var rows []checkpointRow
		if err := json.Unmarshal([]byte(got.stdout), &rows); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			keys = append(keys, r.Key)
			if isToken(r.Key) && (len(r.Value) > 60 || !strings.Contains(string(r.Value), "[encrypted]")) {
				t.Errorf("record %s is shown as %s", r.Key, r.Value)
			}
		}
		return keys
	}
	before := list()
	at := slices.IndexFunc(before, isToken)
	if at < 0 || len(before) < 4 {
		t.Fatalf("records = %q", before)
	}
	token := before[at]
	s.ends(exitUsage, "auth logout", "checkpoints", "reset", token)
	s.ends(exitUsage, "auth login", "checkpoints", "set", token, "{}")
	s.ends(exitDone, "", "checkpoints", "reset", "--all")
	if left := list(); len(left) != 1 || left[0] != token {
		t.Errorf("after reset --all: %q, want %q", left, token)
	}
	s.ends(exitDone, "364 days left", "auth", "status")
}
