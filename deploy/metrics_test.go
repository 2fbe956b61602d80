// Package deploy_test checks what is deployed beside the program: alert rules,
// dashboard, runbook, chart and unit. It is a module of its own, because the
// parsers of Prometheus and Helm that it uses bring many libraries which the
// program must not depend on. .ci/run does not see it through ./...: it is run by
//
//	cd deploy && go mod tidy -diff && go vet ./... && go test -shuffle=on ./...
package deploy_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// metricsFile lists the program's metrics, and is held to them by its tests.
const metricsFile = "../cmd/leadstream/testdata/metrics.golden"

// metric is a line of metricsFile.
type metric struct {
	kind   string // counter, gauge, histogram
	labels []string
}

// targetLabels are those that a scrape adds.
var targetLabels = []string{"job", "namespace", "instance"}

// series are the names that expressions may use, with their labels.
func series(t *testing.T) map[string]metric {
	t.Helper()
	text, err := os.ReadFile(metricsFile)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]metric{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] == "#" {
			continue
		}
		m := metric{kind: fields[1], labels: slices.Clone(targetLabels)}
		if len(fields) > 2 {
			m.labels = append(m.labels, strings.Split(fields[2], ",")...)
		}
		if m.kind != "histogram" {
			known[fields[0]] = m
			continue
		}
		m.kind = "counter"
		known[fields[0]+"_sum"], known[fields[0]+"_count"] = m, m
		known[fields[0]+"_bucket"] = metric{m.kind, append(slices.Clone(m.labels), "le")}
	}
	if len(known) < 20 {
		t.Fatalf("%s names only %d series", metricsFile, len(known))
	}
	return known
}

// overCounters are functions that make sense of counters alone, overGauges
// those of gauges.
var (
	overCounters = []string{"rate", "irate", "increase"}
	overGauges   = []string{"delta", "deriv", "changes", "last_over_time", "max_over_time", "min_over_time"}
)

// mistakes are what is wrong with an expression: it does not parse, names a
// metric or label that there is not, or takes a gauge for a counter.
func mistakes(known map[string]metric, text string) []string {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return []string{err.Error()}
	}
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	var have []string // labels of all metrics in the expression
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		v, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		m, ok := known[v.Name]
		if !ok {
			complain("there is no metric %q", v.Name)
			return nil
		}
		have = append(have, m.labels...)
		for _, match := range v.LabelMatchers {
			if match.Name != labels.MetricName && !slices.Contains(m.labels, match.Name) {
				complain("%s has no label %q", v.Name, match.Name)
			}
		}
		if call := enclosing(path); m.kind == "gauge" && slices.Contains(overCounters, call) ||
			m.kind == "counter" && slices.Contains(overGauges, call) {
			complain("%s of %s, a %s", call, v.Name, m.kind)
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		var named []string
		switch n := node.(type) {
		case *parser.AggregateExpr:
			named = n.Grouping
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				named = n.VectorMatching.MatchingLabels
			}
		}
		for _, name := range named {
			if !slices.Contains(have, name) {
				complain("grouped by %q, a label of nothing in it", name)
			}
		}
		return nil
	})
	if len(have) == 0 && len(wrong) == 0 {
		complain("it asks for no metric")
	}
	return wrong
}

// enclosing is the function whose argument a selector is.
func enclosing(path []parser.Node) string {
	for _, node := range slices.Backward(path) {
		if call, ok := node.(*parser.Call); ok {
			return call.Func.Name
		}
	}
	return ""
}

func TestMistakesInExpressionsAreFound(t *testing.T) {
	known := series(t)
	tests := []struct{ expr, want string }{
		{`sum by (job) (rate(leadstream_leads_total{delivery="live"}[5m]))`, ""},
		{`histogram_quantile(0.9, sum by (le) (rate(leadstream_lead_latency_seconds_bucket[5m])))`, ""},
		{`leadstream_lead_total`, `no metric "leadstream_lead_total"`},
		{`leadstream_lead_latency_seconds`, `no metric`},
		{`leadstream_leads_total{kind="live"}`, `no label "kind"`},
		{`sum by (reason) (leadstream_leads_total)`, `grouped by "reason"`},
		{`leadstream_active and on (pod) leadstream_authorized`, `grouped by "pod"`},
		{`rate(leadstream_active[5m])`, `rate of leadstream_active, a gauge`},
		{`changes(leadstream_leads_total[5m])`, `changes of leadstream_leads_total, a counter`},
		{`sum(leadstream_active`, `unclosed`},
		{`vector(1)`, `no metric`},
	}
	for _, tt := range tests {
		got := strings.Join(mistakes(known, tt.expr), "; ")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.expr, got, tt.want)
		}
	}
}
