package linkedin

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the client's Prometheus metrics. Label endpoint is the resource
// asked for, code the HTTP status or "error" when no answer came.
type metrics struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	throttled *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "leadstream_api_requests_total",
			Help: "Requests to LinkedIn's API, repeated ones included, by HTTP status; code error is one without an answer.",
		}, []string{"endpoint", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "leadstream_api_request_seconds",
			Help:    "Time from sending a request to LinkedIn's API to the end of its answer.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"endpoint"}),
		throttled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "leadstream_api_throttled_total",
			Help: "Requests that LinkedIn's API answered with 429.",
		}, []string{"endpoint"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.throttled} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering the metrics of LinkedIn's API: %w", err)
		}
	}
	return m, nil
}
