package connector

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// Metrics are the connector's Prometheus metrics.
type Metrics struct {
	leads        *prometheus.CounterVec
	latency      prometheus.Histogram
	lag, success *prometheus.GaugeVec
	active       prometheus.Gauge
	deadLetters  *prometheus.CounterVec
	fieldErrors  *prometheus.CounterVec
	forms        *prometheus.GaugeVec
	transactions *prometheus.CounterVec
	replay       prometheus.Gauge
}

// NewMetrics makes the metrics and registers them; a nil registerer leaves them
// unregistered.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		leads: counter("leadstream_leads_total", "Leads published, by how they came to be.", "owner", "form", "delivery"),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "leadstream_lead_latency_seconds", Help: "Time from a lead's submission to its commit, live and push.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600, 14400, 86400},
		}),
		lag:          gauge("leadstream_source_lag_seconds", "How far a source's live position is behind the clock.", "owner", "lead_type"),
		success:      gauge("leadstream_last_success_timestamp_seconds", "When a source was last polled successfully, Unix time.", "owner", "lead_type"),
		active:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "leadstream_active", Help: "1 while this process does the work, 0 while it stands by."}),
		deadLetters:  counter("leadstream_dead_letters_total", "Elements written to the dead letters.", "reason"),
		fieldErrors:  counter("leadstream_field_errors_total", "Fields that could not be read and are null in their lead.", "form"),
		forms:        gauge("leadstream_forms", "Forms known, by state.", "state"),
		transactions: counter("leadstream_transactions_total", "Kafka transactions, by outcome.", "outcome"),
		replay:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "leadstream_replay_progress_ratio", Help: "How much of the replay is done, 0 to 1."}),
	}
	if r != nil {
		r.MustRegister(m.leads, m.latency, m.lag, m.success, m.active, m.deadLetters, m.fieldErrors, m.forms, m.transactions, m.replay)
	}
	return m
}

func (m *Metrics) published(l *delivery.Lead, now time.Time) {
	m.leads.WithLabelValues(l.Owner, l.Form.ID, string(l.Via)).Inc()
	if l.Via == delivery.ViaLive {
		m.latency.Observe(max(now.Sub(l.SubmittedAt), 0).Seconds())
	}
}

func (m *Metrics) polled(src lead.Source, now, live time.Time) {
	m.success.WithLabelValues(src.Owner, src.Type).Set(float64(now.UnixMilli()) / 1000)
	m.lag.WithLabelValues(src.Owner, src.Type).Set(max(now.Sub(live), 0).Seconds())
}

func (m *Metrics) countForms(states map[string]int) {
	for state, n := range states {
		m.forms.WithLabelValues(state).Set(float64(n))
	}
}

func (m *Metrics) transaction(err error) {
	outcome := "committed"
	switch {
	case err == nil:
	case errors.Is(err, kafka.ErrEpochLost):
		outcome = "lost"
	default:
		outcome = "aborted"
	}
	m.transactions.WithLabelValues(outcome).Inc()
}
