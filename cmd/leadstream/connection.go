package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/oauth"
)

// connectionMetrics are the metrics of the consent at LinkedIn, as it was last
// looked at. Before the first look there are none. Safe for concurrent use.
type connectionMetrics struct {
	authorized, expiry *prometheus.Desc

	mu     sync.Mutex
	status oauth.Status
	seen   bool
}

func newConnectionMetrics() *connectionMetrics {
	return &connectionMetrics{
		authorized: prometheus.NewDesc("leadstream_authorized",
			"1 while LinkedIn takes the tokens or they can be renewed without a person, 0 when a person must act.", nil, nil),
		expiry: prometheus.NewDesc("leadstream_token_expiry_timestamp_seconds",
			"When a token ends, Unix time: access is renewed until refresh ends, which takes a new consent.", []string{"token"}, nil),
	}
}

func (m *connectionMetrics) observe(st oauth.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status, m.seen = st, true
}

// usable is whether the tokens are of use, as was last seen.
func (m *connectionMetrics) usable() (usable, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status.Usable, m.seen
}

// Describe implements prometheus.Collector.
func (m *connectionMetrics) Describe(descs chan<- *prometheus.Desc) {
	descs <- m.authorized
	descs <- m.expiry
}

// Collect implements prometheus.Collector.
func (m *connectionMetrics) Collect(metrics chan<- prometheus.Metric) {
	m.mu.Lock()
	st, seen := m.status, m.seen
	m.mu.Unlock()
	if !seen {
		return
	}
	authorized := 0.0
	if st.Usable {
		authorized = 1
	}
	metrics <- prometheus.MustNewConstMetric(m.authorized, prometheus.GaugeValue, authorized)
	for token, at := range map[string]time.Time{"access": st.AccessExpiresAt, "refresh": st.RefreshExpiresAt} {
		if !at.IsZero() {
			metrics <- prometheus.MustNewConstMetric(m.expiry, prometheus.GaugeValue, float64(at.Unix()), token)
		}
	}
}

// connectionStatus looks at the consent and lets the metrics tell of it.
func (s *system) connectionStatus(ctx context.Context) (oauth.Status, error) {
	st, err := s.session.Status(ctx)
	if err == nil {
		s.connection.observe(st)
	}
	return st, err
}

// connectionEvery is the longest time between two looks at the consent: so old
// its metrics may be. Each look asks LinkedIn's introspection.
const connectionEvery = time.Minute

// watchConnection keeps the metrics of the consent fresh until ctx ends, in the
// active process and in those that stand by.
func (s *system) watchConnection(ctx context.Context) error {
	failing := false
	for {
		_, err := s.connectionStatus(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.log.Warn("looking at the LinkedIn connection", zap.Error(err))
		}
		failing = err != nil
		if fault.Sleep(ctx, min(connectionEvery, s.config.Poll.DiscoveryInterval)) != nil {
			return nil
		}
	}
}
