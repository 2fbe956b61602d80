package connector

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
)

// Metrics are the connector's Prometheus metrics. Counters whose labels are
// known stand at 0 from the start, so that the first event is an increase.
type Metrics struct {
	leads        *prometheus.CounterVec
	latency      prometheus.Histogram
	active       prometheus.Gauge
	deadLetters  *prometheus.CounterVec
	fieldErrors  *prometheus.CounterVec
	transactions *prometheus.CounterVec
	deletions    prometheus.Counter
	overtaken    *prometheus.CounterVec
	expired      *prometheus.CounterVec
	state        *stateCollector
}

// The outcomes of a transaction. One is lost when a newer producer has taken
// over before it could be committed.
const (
	outcomeCommitted = "committed"
	outcomeAborted   = "aborted"
	outcomeLost      = "lost"
)

// NewMetrics makes the metrics and registers them; a nil registerer leaves them
// unregistered. They belong to one Connector.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		leads: counter("leadstream_leads_total", "Leads published, by owner, form and how they came to be.", "owner", "form", "delivery"),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "leadstream_lead_latency_seconds",
			Help: "Time from a lead's submission to its commit, of leads that arrive live or by push.",
			// From a push on a near network to a lead that waited for a day.
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600, 14400, 86400},
		}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "leadstream_active", Help: "1 while this process does the work, 0 while it stands by.",
		}),
		deadLetters:  counter("leadstream_dead_letters_total", "Elements written to the dead letters, by reason.", "reason"),
		fieldErrors:  counter("leadstream_field_errors_total", "Fields that could not be read and are null in their lead, by form.", "form"),
		transactions: counter("leadstream_transactions_total", "Kafka transactions, by outcome: committed, aborted, or lost to a newer producer.", "outcome"),
		deletions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "leadstream_deletions_total", Help: "Tombstones published for leads that were deleted on LinkedIn or erased.",
		}),
		overtaken: counter("leadstream_overtaken_total", "Leads not published because a later submission of their id is in the topic already, by form.", "form"),
		expired:   counter("leadstream_expired_total", "Leads not published because their topic may have had them and lost them, by form.", "form"),
		state:     newStateCollector(),
	}
	for _, reason := range []string{reasonUnreadable, reasonContradictory, reasonNotEncodable, reasonRefused} {
		m.deadLetters.WithLabelValues(reason)
	}
	for _, outcome := range []string{outcomeCommitted, outcomeAborted, outcomeLost} {
		m.transactions.WithLabelValues(outcome)
	}
	if r != nil {
		r.MustRegister(m.leads, m.latency, m.active, m.deadLetters, m.fieldErrors, m.transactions, m.deletions, m.overtaken, m.expired, m.state)
	}
	return m
}

// published counts a lead. It gives the time since its submission where that
// counts for the latency.
func (m *Metrics) published(l *delivery.Lead, now time.Time) (took time.Duration, counts bool) {
	m.leads.WithLabelValues(l.Owner, l.Form.ID, string(l.Delivery)).Inc()
	for _, c := range []*prometheus.CounterVec{m.fieldErrors, m.overtaken, m.expired} {
		c.WithLabelValues(l.Form.ID) // at 0 until there is one
	}
	switch l.Delivery {
	case delivery.DeliveryBackfill, delivery.DeliveryLate, delivery.DeliveryReplay: // old before anybody could have read them
		return 0, false
	default:
		took = max(now.Sub(l.SubmittedAt), 0)
		m.latency.Observe(took.Seconds())
		return took, true
	}
}

func (m *Metrics) transaction(err error) {
	outcome := outcomeAborted
	switch {
	case err == nil:
		outcome = outcomeCommitted
	case errors.Is(err, kafka.ErrEpochLost):
		outcome = outcomeLost
	}
	m.transactions.WithLabelValues(outcome).Inc()
}

// stateCollector makes the gauges of sources, forms and the replay from the
// connector's status at the moment they are asked for: a lag grows while polls
// fail, and a process that stands by claims nothing about work it does not do.
// Safe for concurrent use.
type stateCollector struct {
	connector                   atomic.Pointer[Connector]
	lag, success, forms, replay *prometheus.Desc
	lost                        *prometheus.Desc
}

func newStateCollector() *stateCollector {
	return &stateCollector{
		lag: prometheus.NewDesc("leadstream_source_lag_seconds",
			"How far the position up to which a source is in Kafka is behind the clock.", []string{"owner", "lead_type"}, nil),
		success: prometheus.NewDesc("leadstream_last_success_timestamp_seconds",
			"When a source was last polled successfully by this process, Unix time.", []string{"owner", "lead_type"}, nil),
		forms: prometheus.NewDesc("leadstream_forms", "Forms known, by state: ok, suspended, or gone from LinkedIn.", []string{"state"}, nil),
		lost: prometheus.NewDesc("leadstream_schemas_lost",
			"Schema ids that records carry and that the registry does not know, or has given to other schemas.", nil, nil),
		replay: prometheus.NewDesc("leadstream_replay_progress_ratio",
			"How much of the replay that was asked for is done, 0 to 1; 1 when none was.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (s *stateCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.lag, s.success, s.forms, s.lost, s.replay} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (s *stateCollector) Collect(metrics chan<- prometheus.Metric) {
	c := s.connector.Load()
	if c == nil {
		return
	}
	status := c.Status()
	if !status.Active {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	now := c.opts.Now()
	for _, src := range status.Sources {
		if !src.Live.IsZero() {
			gauge(s.lag, max(now.Sub(src.Live), 0).Seconds(), src.Owner, src.LeadType)
		}
		if !src.Success.IsZero() {
			gauge(s.success, float64(src.Success.UnixMilli())/1000, src.Owner, src.LeadType)
		}
	}
	forms := map[string]int{formOK: 0, formSuspended: 0, formGone: 0}
	lost := 0
	for _, f := range status.Forms {
		forms[f.State]++
		lost += len(f.Lost)
	}
	gauge(s.lost, float64(lost))
	for state, n := range forms {
		gauge(s.forms, float64(n), state)
	}
	done := 1.0
	if status.Replay != nil {
		done = status.Replay.Ratio
	}
	gauge(s.replay, done)
}
