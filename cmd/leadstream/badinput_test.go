package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/kafka"
	"leadstream/internal/linkedinsim"
)

// Bad input of every kind ends with the documented code and an error that names
// the thing, the value and what to do.
func TestBadInputGetsAClearErrorAndItsExitCode(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error_code":40101,"message":"Unauthorized"}`, http.StatusUnauthorized)
	}))
	t.Cleanup(refusing.Close)
	s.env["LEADSTREAM_TOKEN_PASSPHRASE"] = "right horse"
	s.env["LEADSTREAM_TOKEN_FILE"] = filepath.Join(dir, "sealed")
	s.consent(nil)
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	tests := []struct {
		name string
		env  map[string]string
		args []string
		code int
		want []string
	}{
		{"unknown key", nil, []string{"run", "-c", write("unknown.yaml", "kafka:\n  broker: a:1\n", 0o600)}, 2,
			[]string{"kafka.broker", "did you mean kafka.brokers"}},
		{"wrong unit", map[string]string{"LEADSTREAM_POLL_INTERVAL": "5 lightyears"}, []string{"run"}, 2,
			[]string{"poll.interval", "5 lightyears", "1s to 24h"}},
		{"unreachable broker", map[string]string{"LEADSTREAM_KAFKA_BROKERS": "127.0.0.1:1"}, []string{"checkpoints", "list"}, 5,
			[]string{"127.0.0.1:1", "refused"}},
		{"wrong registry password", map[string]string{"LEADSTREAM_REGISTRY_URL": refusing.URL, "LEADSTREAM_REGISTRY_USERNAME": "u",
			"LEADSTREAM_REGISTRY_PASSWORD": "hunter2hunter2"}, []string{"check"}, 6, []string{"registry.username", "registry.password"}},
		{"token file of another passphrase", map[string]string{"LEADSTREAM_TOKEN_PASSPHRASE": "wrong horse"}, []string{"auth", "status"}, 2,
			[]string{"sealed", "token.passphrase"}},
		{"token file readable by others", map[string]string{"LEADSTREAM_TOKEN_FILE": write("open-token", "{}", 0o644)}, []string{"auth", "status"}, 2,
			[]string{"open-token", "chmod 600"}},
		{"replay window in the future", nil, []string{"run", "--replay-from", tomorrow}, 2, []string{"--replay-from", "in the future", tomorrow}},
		{"replay window that ends in the future", nil, []string{"run", "--replay-from", "1h", "--replay-to", tomorrow}, 2, []string{"--replay-to", "in the future"}},
		{"replay window that ends before it starts", nil, []string{"run", "--replay-from", "1h", "--replay-to", "2h"}, 2,
			[]string{"--replay-from", "--replay-to", "empty"}},
		{"replay window that is no time", nil, []string{"run", "--replay-from", "yesterday-ish"}, 2, []string{"yesterday-ish", "RFC 3339"}},
		{"replay bound without a start", nil, []string{"run", "--replay-to", "1h"}, 2, []string{"--replay-from"}},
		{"replay mode without a start", nil, []string{"run", "--replay-mode", "all"}, 2, []string{"--replay-mode", "--replay-from"}},
		{"replay mode of no kind without a start", nil, []string{"run", "--replay-mode", "some"}, 2, []string{"--replay-mode", "--replay-from"}},
		{"replay id without a start", nil, []string{"run", "--replay-id", "x"}, 2, []string{"--replay-id", "--replay-from"}},
		{"replay mode", nil, []string{"run", "--replay-from", "1h", "--replay-mode", "some"}, 2, []string{"missing or all", "some"}},
		{"LinkedIn version retired", map[string]string{"LEADSTREAM_LINKEDIN_VERSION": "202501"}, []string{"run", "--once"}, 2, []string{"426", "20250101"}},
		{"unknown command", nil, []string{"rnu"}, 2, []string{"rnu", "run"}},
		{"unknown flag", nil, []string{"run", "--replay-form", "1h"}, 2, []string{"--replay-form"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := s.run(t.Context(), tt.env, tt.args...)
			if got.code != tt.code {
				t.Errorf("exit code %d, want %d", got.code, tt.code)
			}
			text := got.stdout + got.stderr
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("the output does not say %q:\n%s", want, text)
				}
			}
			for _, secret := range []string{"hunter2hunter2", "right horse", "wrong horse", s.env["LEADSTREAM_LINKEDIN_CLIENT_SECRET"]} {
				if strings.Contains(text, secret) {
					t.Errorf("the output holds the secret %q", secret)
				}
			}
		})
	}
}

// topics gives the test a Kafka client of its own.
func (s *stack) cluster() *kafka.Client {
	s.t.Helper()
	cluster, err := kafka.New(kafka.Config{Brokers: strings.Split(s.env["LEADSTREAM_KAFKA_BROKERS"], ","), Log: zap.NewNop()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(cluster.Close)
	return cluster
}

func TestACheckpointTopicThatIsNotCompactedEndsTheStart(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	_, err := s.cluster().Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: "leadstream.checkpoints", Partitions: 1, ReplicationFactor: 1,
		Configs: map[string]string{"cleanup.policy": "delete"}}})
	if err != nil {
		t.Fatal(err)
	}
	got := s.run(t.Context(), nil, "run")
	if got.code != 2 || !strings.Contains(got.stderr, "leadstream.checkpoints") || !strings.Contains(got.stderr, "cleanup.policy=compact") {
		t.Errorf("exit code %d, want 2, with the topic and the remedy:\n%s", got.code, got.stderr)
	}
}

func TestOnceCatchesUpAndEnds(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Leads: 300, Seed: 1})
	for restart := range 2 {
		if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
			t.Fatalf("run --once, start %d: exit code %d:\n%s", restart, got.code, got.stderr)
		}
		got := s.run(t.Context(), nil, "forms", "-o", "json")
		if n := strings.Count(got.stdout, `"state": "active"`); got.code != 0 || n != 2 {
			t.Fatalf("forms: exit code %d, %d active forms, want 2:\n%s%s", got.code, n, got.stdout, got.stderr)
		}
	}
	got := s.run(t.Context(), nil, "checkpoints", "list", "source/", "-o", "json")
	if n := strings.Count(got.stdout, `"key"`); got.code != 0 || n != 2 {
		t.Errorf("checkpoints list: exit code %d, %d sources, want 2:\n%s", got.code, n, got.stdout)
	}
	if got := s.run(t.Context(), nil, "check"); got.code != 0 || !strings.Contains(got.stdout, "PASS") || strings.Contains(got.stdout, "FAIL") {
		t.Errorf("check: exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
	}
}

func TestAnotherInstallationsTopicSuspendsTheFormAndIsNamed(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("the first installation: exit code %d:\n%s", got.code, got.stderr)
	}
	got := s.run(t.Context(), map[string]string{"LEADSTREAM_NAME": "another"}, "run", "--once")
	if got.code != 2 || !strings.Contains(got.stderr, "kafka.adopt_topics") || strings.Count(got.stderr, "form suspended") != 1 {
		t.Errorf("the second installation: exit code %d; want 2, the form suspended, said once, and kafka.adopt_topics named:\n%s", got.code, got.stderr)
	}
}

func TestChangesOfProgressAreRefusedWhileAConnectorRuns(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("exit code %d:\n%s", got.code, got.stderr)
	}
	member := make(chan struct{})
	group := make(chan error, 1)
	go func() {
		group <- s.cluster().Member(kafka.GroupConfig{ID: "leadstream", Topic: "leadstream.checkpoints", Log: zap.NewNop(),
			OnState: func(active bool) {
				if active {
					close(member)
				}
			}}, func(ctx context.Context) error { <-ctx.Done(); return nil }).Run(t.Context())
	}()
	<-member
	for _, args := range [][]string{{"checkpoints", "reset", "--all"}, {"deadletters", "retry"}} {
		got := s.run(t.Context(), nil, args...)
		if got.code != 2 || !strings.Contains(got.stderr, "running") {
			t.Errorf("%v beside a running connector: exit code %d:\n%s", args, got.code, got.stderr)
		}
	}
}
