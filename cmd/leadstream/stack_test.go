package main

import (
	"bytes"
	"context"
	"maps"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"leadstream/config"
	"leadstream/internal/embedded"
	"leadstream/internal/linkedinsim"

	"go.uber.org/zap"
)

// stack is everything a command may talk to, in this process: a simulated
// LinkedIn, an embedded Kafka and registry, and a token.
type stack struct {
	t     *testing.T
	sim   *linkedinsim.Server
	kafka *embedded.Stack // and the registry
	env   map[string]string
}

func newStack(t *testing.T, world linkedinsim.Config) *stack {
	t.Helper()
	world.AutoConsent = true
	s := bareStack(t, world)
	s.consent(nil)
	return s
}

// bareStack is a stack without a token.
func bareStack(t *testing.T, world linkedinsim.Config) *stack {
	t.Helper()
	sim, err := linkedinsim.New(world)
	if err != nil {
		t.Fatal(err)
	}
	linkedin := httptest.NewServer(sim)
	t.Cleanup(linkedin.Close)
	kafka, err := embedded.Start(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kafka.Close(); err != nil {
			t.Error(err)
		}
	})
	about := sim.Describe()
	return &stack{t: t, sim: sim, kafka: kafka, env: map[string]string{
		"LEADSTREAM_LINKEDIN_CLIENT_ID": about.ClientID, "LEADSTREAM_LINKEDIN_CLIENT_SECRET": about.ClientSecret,
		"LEADSTREAM_LINKEDIN_API_URL": linkedin.URL, "LEADSTREAM_LINKEDIN_AUTH_URL": linkedin.URL,
		"LEADSTREAM_KAFKA_BROKERS": strings.Join(kafka.Brokers, ","), "LEADSTREAM_REGISTRY_URL": kafka.RegistryURL,
		"LEADSTREAM_TOKEN_FILE": filepath.Join(t.TempDir(), "token"), "LEADSTREAM_HTTP_LISTEN": "127.0.0.1:0",
		"LEADSTREAM_POLL_INTERVAL": "1s", "LEADSTREAM_LOG_LEVEL": "debug",
	}}
}

// consent stores a token as a member's consent would.
func (s *stack) consent(over map[string]string) {
	s.t.Helper()
	c, _, err := config.Load(config.LoadOptions{NoFile: true, Environ: s.environ(over)})
	if err != nil {
		s.t.Fatal(err)
	}
	parts, err := build(c, useTokens, zap.NewNop())
	if err != nil {
		s.t.Fatal(err)
	}
	defer parts.close()
	if err := consentAsMember(s.t.Context(), parts.session); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stack) environ(over map[string]string) []string {
	env := maps.Clone(s.env)
	maps.Copy(env, over)
	var list []string
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	return list
}

// outcome is how a command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs one command to its end.
func (s *stack) run(ctx context.Context, over map[string]string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	code := run(ctx, process{args: args, environ: s.environ(over), stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr})
	return outcome{code, stdout.String(), stderr.String()}
}
