package connector

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
)

// measured are the values of all metrics by name and labels, as
// leadstream_forms{state="ok"}; of a histogram its count.
func measured(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

const sourceLabels = `{lead_type="EVENT",owner="` + owner + `"}`

func TestMetricsCountWhatWasDone(t *testing.T) {
	w := newWorld(t)
	r := prometheus.NewRegistry()
	w.opts.Metrics, w.opts.Backfill = NewMetrics(r), 48*time.Hour
	w.linkedin.submit("old", w.now().Add(-24*time.Hour))
	e := w.start()
	w.tick(e, time.Minute)
	w.linkedin.submit("live", w.now().Add(30*time.Second))
	w.linkedin.submit("broken", w.now().Add(40*time.Second)).Unreadable = "no answers"
	w.tick(e, time.Minute)
	w.catchUp(e)
	got := measured(t, r)
	for name, want := range map[string]float64{
		`leadstream_leads_total{delivery="live",form="` + formID + `",owner="` + owner + `"}`:     1,
		`leadstream_leads_total{delivery="backfill",form="` + formID + `",owner="` + owner + `"}`: 1,
		`leadstream_lead_latency_seconds`:                           1, // a lead of the past waited for us, not for LinkedIn
		`leadstream_dead_letters_total{reason="UnreadableElement"}`: 1,
		`leadstream_dead_letters_total{reason="NotEncodable"}`:      0,
		`leadstream_dead_letters_total{reason="RecordRefused"}`:     0,
		`leadstream_field_errors_total{form="` + formID + `"}`:      0,
		`leadstream_transactions_total{outcome="aborted"}`:          0,
		`leadstream_transactions_total{outcome="lost"}`:             0,
		`leadstream_forms{state="ok"}`:                              1,
		`leadstream_forms{state="suspended"}`:                       0,
		`leadstream_forms{state="gone"}`:                            0,
		`leadstream_active`:                                         1,
		`leadstream_replay_progress_ratio`:                          1,
		`leadstream_source_lag_seconds` + sourceLabels:              0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s = %v (there: %t), want %v", name, value, ok, want)
		}
	}
	if got[`leadstream_transactions_total{outcome="committed"}`] == 0 {
		t.Errorf("no transaction was counted: %v", got)
	}
}

func TestALagGrowsWhilePollsFail(t *testing.T) {
	w := newWorld(t)
	r := prometheus.NewRegistry()
	w.opts.Metrics = NewMetrics(r)
	e := w.start()
	w.tick(e, time.Minute)
	e.poller(src).outcome(nil)
	success := float64(w.now().UnixMilli()) / 1000
	w.linkedin.mu.Lock()
	w.linkedin.down = errors.New("LinkedIn is away")
	w.linkedin.clock = w.linkedin.clock.Add(time.Hour)
	w.linkedin.mu.Unlock()
	if err := e.poller(src).poll(t.Context()); err == nil {
		t.Fatal("the poll succeeded")
	}
	got := measured(t, r)
	if lag := got["leadstream_source_lag_seconds"+sourceLabels]; lag != 3600 {
		t.Errorf("lag = %v s after an hour without LinkedIn, want 3600", lag)
	}
	if at := got["leadstream_last_success_timestamp_seconds"+sourceLabels]; at != success {
		t.Errorf("last success = %v, want %v, an hour ago", at, success)
	}
}

func TestAProcessThatStandsByClaimsNothingOfTheWork(t *testing.T) {
	w := newWorld(t)
	r := prometheus.NewRegistry()
	w.opts.Metrics = NewMetrics(r)
	before := measured(t, r)
	e := w.start()
	w.tick(e, time.Minute)
	if got := measured(t, r); len(got) <= len(before) {
		t.Errorf("working shows no more than standing by: %v", got)
	}
	e.leave()
	got := measured(t, r)
	maps.DeleteFunc(got, func(name string, _ float64) bool { _, there := before[name]; return there })
	if len(got) > 0 {
		t.Errorf("after leaving it still shows %v", got)
	}
	if active := measured(t, r)["leadstream_active"]; active != 0 {
		t.Errorf("leadstream_active = %v, want 0", active)
	}
}

func TestATransactionLostToANewerProducerIsNoFailure(t *testing.T) {
	r := prometheus.NewRegistry()
	m := NewMetrics(r)
	m.transaction(nil)
	m.transaction(kafka.ErrEpochLost)
	m.transaction(errors.New("broker away"))
	got := measured(t, r)
	for _, outcome := range []string{"committed", "lost", "aborted"} {
		if n := got[`leadstream_transactions_total{outcome="`+outcome+`"}`]; n != 1 {
			t.Errorf("%s = %v, want 1", outcome, n)
		}
	}
}

func TestLatencyIsOfLeadsThatCameAsTheyWereSubmitted(t *testing.T) {
	for label, want := range map[delivery.Delivery]float64{
		delivery.DeliveryLive: 1, "push": 1, delivery.DeliveryBackfill: 0, delivery.DeliveryLate: 0, delivery.DeliveryReplay: 0,
	} {
		r := prometheus.NewRegistry()
		w := &fakeLinkedIn{clock: time.Unix(1800000000, 0)}
		l := w.submit("a", w.clock.Add(-time.Second)).Response
		NewMetrics(r).published(&delivery.Lead{Response: &l, Delivery: label}, w.clock)
		if got := measured(t, r)["leadstream_lead_latency_seconds"]; got != want {
			t.Errorf("%s: %v observations, want %v", label, got, want)
		}
	}
}
