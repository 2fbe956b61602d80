package deploy_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

const (
	alertsFile  = "prometheus/alerts.yaml"
	runbookFile = "../docs/runbook.md"
)

// alerts are the rules of alertsFile, as Prometheus reads them.
func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	parsed, errs := rulefmt.ParseFile(alertsFile, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var list []rulefmt.Rule
	for _, g := range parsed.Groups {
		list = append(list, g.Rules...)
	}
	return list
}

func TestAlertsSayWhatIsWrongAndHowBadAndNameMetricsThatExist(t *testing.T) {
	known, seen := series(t), map[string]bool{}
	for _, r := range alerts(t) {
		if seen[r.Alert] || r.Alert == "" {
			t.Errorf("alert %q stands twice, or is a recording rule", r.Alert)
		}
		seen[r.Alert] = true
		switch r.Labels["severity"] {
		case "info", "warning", "critical":
		default:
			t.Errorf("%s has severity %q", r.Alert, r.Labels["severity"])
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks a summary or a description", r.Alert)
		}
		if got, want := r.Annotations["runbook_url"], "docs/runbook.md#"+strings.ToLower(r.Alert); got != want {
			t.Errorf("%s points to %q, want %q", r.Alert, got, want)
		}
		for _, wrong := range mistakes(known, r.Expr) {
			t.Errorf("%s: %s", r.Alert, wrong)
		}
	}
}

// section is an entry of the runbook.
var section = regexp.MustCompile(`(?m)^## (.+)$`)

// entries are the sections of the runbook by heading.
func entries(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(runbookFile)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	at := section.FindAllStringSubmatchIndex(string(text), -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		found[string(text[m[2]:m[3]])] = string(text[m[1]:end])
	}
	return found
}

func TestEveryAlertHasItsEntryInTheRunbook(t *testing.T) {
	book, names := entries(t), map[string]bool{}
	for _, r := range alerts(t) {
		names[r.Alert] = true
		entry, ok := book[r.Alert]
		if !ok {
			t.Errorf("%s has no section %q", runbookFile, r.Alert)
			continue
		}
		for _, part := range []string{"**Means.** ", "**Look.** ", "**Do.** "} {
			if !strings.Contains(entry, part) {
				t.Errorf("the entry of %s lacks %q", r.Alert, part)
			}
		}
	}
	for heading := range book {
		if strings.HasPrefix(heading, "Leadstream") && !names[heading] {
			t.Errorf("the runbook has an entry %s, but there is no such alert", heading)
		}
	}
}

// at is the labels of a series in the scenarios below.
func at(pairs string) string {
	return `{` + strings.TrimPrefix(pairs+`,job="leads",namespace="prod",instance="a"}`, ",")
}

// scenarios are, for each alert, series in which it fires at their end and
// some in which it does not, although something happens. Values are a minute
// apart, in the notation of Prometheus's rule tests.
var scenarios = map[string]struct{ fires, quiet string }{
	"LeadstreamAbsent": {
		"leadstream_active" + at("") + " 1x10 _x60",
		"leadstream_active" + at("") + " 1x30 _x8 0x20",
	},
	"LeadstreamNoActiveProcess": {
		`leadstream_active{job="leads",instance="a"} 0x60` + "\n" + `leadstream_active{job="leads",instance="b"} 0x60` + "\n" +
			`leadstream_active{job="other",instance="c"} 1x60`,
		`leadstream_active{job="leads",instance="a"} 0x60` + "\n" + `leadstream_active{job="leads",instance="b"} 1x60`,
	},
	"LeadstreamHandsOverAllTheTime": {
		"leadstream_active" + at("") + " 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1",
		"leadstream_active" + at("") + " 0x10 1x10 0x10 1x10",
	},
	"LeadstreamRestarts": {
		"leadstream_active" + at("") + " 0x30\nprocess_start_time_seconds" + at("") + " 0+60x30",
		"leadstream_active" + at("") + " 0x30\nprocess_start_time_seconds" + at("") + " 60x30\n" +
			`process_start_time_seconds{job="other",instance="a"} 0+60x30`,
	},
	"LeadstreamNotAuthorized": {
		`leadstream_authorized{job="leads",instance="a"} 1x60` + "\n" + `leadstream_authorized{job="leads",instance="b"} 1x30 0x30`,
		`leadstream_authorized{job="leads",instance="a"} 1x60`,
	},
	"LeadstreamConsentEndsWithin30Days": {
		token("access", 2) + token("refresh", 29), // the access token is renewed until the other ends
		token("access", 2) + token("refresh", 31),
	},
	"LeadstreamConsentEndsWithin7Days": {token("access", 6), token("access", 6) + token("refresh", 8)},
	"LeadstreamConsentEndsWithin1Day":  {token("refresh", -1), token("refresh", 2)},
	"LeadstreamSourceLag": {
		"leadstream_source_lag_seconds" + at(`owner="o",lead_type="EVENT"`) + " 0+60x30",
		"leadstream_source_lag_seconds" + at(`owner="o",lead_type="EVENT"`) + " 0+60x17 0x10",
	},
	"LeadstreamSourceLagLong": {
		"leadstream_source_lag_seconds" + at(`owner="o",lead_type="EVENT"`) + " 0+600x40",
		"leadstream_source_lag_seconds" + at(`owner="o",lead_type="EVENT"`) + " 7200x40",
	},
	"LeadstreamLatencyHigh": {
		latency(900, 0.5), latency(900, 0.01),
	},
	"LeadstreamReplayStalled": {
		"leadstream_replay_progress_ratio" + at("") + " 0.4x180",
		"leadstream_replay_progress_ratio" + at("") + " 0+0.005x180",
	},
	"LeadstreamApiVersionRetired": {requests("426", "0+1x30"), requests("200", "0+1x30")},
	"LeadstreamAccessRefused":     {requests("403", "0x10 1x10 2x10 3x30"), requests("403", "3x120") + requests("200", "0+1x120")},
	"LeadstreamThrottled": {
		"leadstream_api_throttled_total" + at(`endpoint="leadForms"`) + " 0+1x30",
		"leadstream_api_throttled_total" + at(`endpoint="leadForms"`) + " 0x20 1x30",
	},
	"LeadstreamApiErrors": {
		requests("503", "0+1x60") + requests("error", "0+1x60") + requests("200", "0+4x60"),
		requests("503", "0+1x60") + requests("429", "0+4x60") + requests("200", "0+4x60"),
	},
	"LeadstreamDeadLetters": {
		"leadstream_dead_letters_total" + at(`reason="NotEncodable"`) + " 0x30 1x10",
		"leadstream_dead_letters_total" + at(`reason="NotEncodable"`) + " 0 7x100",
	},
	"LeadstreamFieldErrors": {
		"leadstream_field_errors_total" + at(`form="1"`) + " 0x30 3x10",
		"leadstream_field_errors_total" + at(`form="1"`) + " 3x100",
	},
	"LeadstreamLeadsStayOut": {
		"leadstream_expired_total" + at(`form="1"`) + " 0x30 2x10",
		"leadstream_expired_total" + at(`form="1"`) + " 2x100",
	},
	"LeadstreamFormsSuspended": {
		"leadstream_forms" + at(`state="suspended"`) + " 1x30\nleadstream_forms" + at(`state="ok"`) + " 9x30",
		"leadstream_forms" + at(`state="suspended"`) + " 0x10 1x10 0x10\nleadstream_forms" + at(`state="ok"`) + " 9x30",
	},
	"LeadstreamSchemasLost": {
		"leadstream_schemas_lost" + at("") + " 2x30",
		"leadstream_schemas_lost" + at("") + " 0x10 2x3 0x10",
	},
	"LeadstreamTransactionsFail": {
		"leadstream_transactions_total" + at(`outcome="aborted"`) + " 0+1x30",
		"leadstream_transactions_total" + at(`outcome="aborted"`) + " 0x10 2x20\nleadstream_transactions_total" + at(`outcome="committed"`) + " 0+9x30",
	},
	"LeadstreamTransactionsLost": {
		"leadstream_transactions_total" + at(`outcome="lost"`) + " 0x10 1x10 3x10 6x10",
		"leadstream_transactions_total" + at(`outcome="lost"`) + " 0x10 1x30",
	},
	"LeadstreamNotificationsCannotBeReceived": {
		"leadstream_webhook_requests_total" + at(`outcome="challenge"`) + " 3x400\nprocess_start_time_seconds" + at("") + " -60000x400",
		"leadstream_webhook_requests_total" + at(`outcome="challenge"`) + " 0+0.01x400\nprocess_start_time_seconds" + at("") + " -60000x400",
	},
	"LeadstreamNotificationsRefused": {
		"leadstream_webhook_requests_total" + at(`outcome="forged"`) + " 0+1x60\nleadstream_webhook_requests_total" + at(`outcome="accepted"`) + " 7x60\n" +
			"leadstream_webhook_requests_total" + at(`outcome="other_signature"`) + " 0x60",
		"leadstream_webhook_requests_total" + at(`outcome="forged"`) + " 0+1x60\nleadstream_webhook_requests_total" + at(`outcome="accepted"`) + " 0+1x60",
	},
	"LeadstreamNotificationsFail": {
		"leadstream_webhook_requests_total" + at(`outcome="failed"`) + " 0+1x60",
		"leadstream_webhook_requests_total" + at(`outcome="failed"`) + " 0x30 5x30",
	},
}

func token(kind string, days float64) string {
	return fmt.Sprintf("leadstream_token_expiry_timestamp_seconds%s %.0fx90\n", at(`token="`+kind+`"`), days*86400+5400)
}

func requests(code, values string) string {
	return "leadstream_api_requests_total" + at(`endpoint="leadForms",code="`+code+`"`) + " " + values + "\n"
}

// latency is leads of which a share takes as long as the bound given.
func latency(bound int, share float64) string {
	bucket := func(le string, rate float64) string {
		return fmt.Sprintf("leadstream_lead_latency_seconds_bucket%s 0+%gx120\n", at(`le="`+le+`"`), rate)
	}
	return bucket("60", 100*(1-share)) + bucket("300", 100*(1-share)) + bucket(fmt.Sprint(bound), 100) + bucket("+Inf", 100)
}

// end is the minute of the last value of a scenario.
func end(t *testing.T, script string) int {
	t.Helper()
	last := 0
	for line := range strings.Lines(script) {
		_, values, err := splitSeries(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		last = max(last, values-1)
	}
	return last
}

// splitSeries reads a line of a scenario: its labels and how many values.
func splitSeries(line string) (labels.Labels, int, error) {
	l, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(line)
	return l, len(values), err
}

// fired runs a rule over a scenario as Prometheus would, once a minute, and
// gives what fires at its end.
func fired(t *testing.T, r rulefmt.Rule, script string) []*rules.Alert {
	t.Helper()
	var indented strings.Builder
	for line := range strings.Lines(script) {
		indented.WriteString("  " + strings.TrimSpace(line) + "\n")
	}
	stored := promqltest.LoadedStorage(t, "load 1m\n"+indented.String())
	defer func() { _ = stored.Close() }() // of the test's own memory
	query := rules.EngineQueryFunc(promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery), stored)
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
	if err != nil {
		t.Fatal(err)
	}
	rule := rules.NewAlertingRule(r.Alert, expr, time.Duration(r.For), time.Duration(r.KeepFiringFor), labels.FromMap(r.Labels),
		labels.FromMap(r.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
	for minute := range end(t, script) + 1 {
		if _, err := rule.Eval(context.Background(), 0, time.Unix(int64(minute)*60, 0).UTC(), query, &url.URL{}, 0); err != nil {
			t.Fatalf("minute %d: %v", minute, err)
		}
	}
	var firing []*rules.Alert
	for _, a := range rule.ActiveAlerts() {
		if a.State == rules.StateFiring {
			firing = append(firing, a)
		}
	}
	return firing
}

func TestAlertsFireWhenTheyShouldAndNotOtherwise(t *testing.T) {
	for _, r := range alerts(t) {
		t.Run(r.Alert, func(t *testing.T) {
			s, ok := scenarios[r.Alert]
			if !ok {
				t.Fatal("there is no scenario for this alert")
			}
			firing := fired(t, r, s.fires)
			if len(firing) != 1 {
				t.Errorf("%d alerts fire, want 1: %v", len(firing), firing)
			}
			for _, a := range firing {
				a.Annotations.Range(func(l labels.Label) {
					if strings.Contains(l.Value, "<error") || strings.Contains(l.Value, "<no value>") || strings.Contains(l.Value, "{{") {
						t.Errorf("%s = %q", l.Name, l.Value)
					}
				})
			}
			if firing := fired(t, r, s.quiet); len(firing) != 0 {
				t.Errorf("fires without a reason: %v", firing)
			}
		})
	}
	if len(scenarios) != len(alerts(t)) {
		t.Errorf("%d scenarios for %d alerts", len(scenarios), len(alerts(t)))
	}
}
