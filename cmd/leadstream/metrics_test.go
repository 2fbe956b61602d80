package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/connector"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/oauth"
)

// metricsFile lists the metrics that dashboards and alerts may rely on: name,
// type, labels. The rules and panels under deploy/ are held to it as well.
const metricsFile = "testdata/metrics.golden"

// shape is a line of metricsFile.
func shape(f *dto.MetricFamily) string {
	labels := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = true
		}
	}
	var names []string
	for name := range labels {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(names, ",")))
}

// promised are the lines of metricsFile.
func promised(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(metricsFile)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// operating is a system at work, with a simulated LinkedIn, until the test ends.
func operating(t *testing.T) *system {
	t.Helper()
	return operatingOn(t, newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 20, Seed: 1}))
}

// operatingOn is operating in a world that is there; it has begun its work.
func operatingOn(t *testing.T, world *stack) *system {
	t.Helper()
	c, _, err := config.Load(config.LoadOptions{NoFile: true, Environ: world.environ(map[string]string{
		"LEADSTREAM_POLL_DISCOVERY_INTERVAL": "1s", "LEADSTREAM_WEBHOOK_LISTEN": "127.0.0.1:0", "LEADSTREAM_WEBHOOK_URL": "http://localhost:1",
	})})
	if err != nil {
		t.Fatal(err)
	}
	s, err := build(c, useTokens, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.operate(ctx, connector.Options{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.close()
	})
	until(t, "the connector to be at work", func() bool {
		families, err := s.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "leadstream_last_success_timestamp_seconds" })
	})
	return s
}

func TestMetricsAreTheOnesThatWerePromised(t *testing.T) {
	s := operating(t)
	want := promised(t)
	var missing, extra []string
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		families, err := s.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		missing, extra = slices.Clone(want), nil
		for _, f := range families {
			if f.GetHelp() == "" {
				t.Errorf("%s has no help text", f.GetName())
			}
			line := shape(f)
			if i := slices.Index(missing, line); i >= 0 {
				missing = slices.Delete(missing, i, i+1)
			} else if strings.HasPrefix(line, "leadstream_") {
				extra = append(extra, line)
			}
		}
		if len(missing)+len(extra) == 0 || time.Now().After(deadline) {
			break
		}
	}
	for _, line := range missing {
		t.Errorf("in %s, but not there: %s", metricsFile, line)
	}
	for _, line := range extra {
		t.Errorf("there, but not in %s: %s", metricsFile, line)
	}
	problems, err := testutil.GatherAndLint(s.metrics)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// value is the sum of a metric's values, -1 when there is none.
func value(t *testing.T, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			sum := 0.0
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
			return sum
		}
	}
	return -1
}

// The metric follows the consent without anybody looking at the page.
func TestARevokedConsentShowsInTheMetrics(t *testing.T) {
	t.Parallel()
	s := operating(t)
	await := func(want float64) {
		t.Helper()
		got := -2.0
		for deadline := time.Now().Add(time.Minute); got != want && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			got = value(t, s.metrics, "leadstream_authorized")
		}
		if got != want {
			t.Fatalf("leadstream_authorized = %v, want %v", got, want)
		}
	}
	await(1)
	if _, err := oauth.Logout(t.Context(), newTokenStore(s.config, s.cluster, s.log)); err != nil {
		t.Fatal(err)
	}
	await(0)
}
