package status

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/internal/fault"
	"leadstream/internal/linkedin"
	"leadstream/internal/oauth"
	"leadstream/internal/web"
)

// IsConnection reports whether an error is about the connection to LinkedIn,
// which the heartbeat looks after and tells of.
func IsConnection(err error) bool {
	ofTokens := fault.Has[*oauth.FileError](err) || fault.Has[*oauth.RecordError](err)
	return errors.Is(err, oauth.ErrConsentNeeded) || fault.Has[*oauth.AppRefusedError](err) || ofTokens && fault.KindOf(err).NeedsPerson()
}

// ConnectionTold reports whether the heartbeat tells in the log that a person must
// act.
func ConnectionTold(p oauth.Health) bool { return p.Known && !p.Usable }

// ConnectionMetrics are the metrics of the consent at LinkedIn, as the
// heartbeat last found it. Before that there are none.
type ConnectionMetrics struct {
	authorized, expiry *prometheus.Desc
	health             func() oauth.Health
}

// NewConnectionMetrics makes the metrics over the heartbeat's health.
func NewConnectionMetrics(health func() oauth.Health) *ConnectionMetrics {
	return &ConnectionMetrics{
		authorized: prometheus.NewDesc("leadstream_authorized",
			"1 while LinkedIn takes the tokens or they can be renewed without a person, 0 when a person must act.", nil, nil),
		expiry: prometheus.NewDesc("leadstream_token_expiry_timestamp_seconds",
			"When a token ends, Unix time: access is renewed until refresh ends, which takes a new consent.", []string{"token"}, nil),
		health: health,
	}
}

// Describe implements prometheus.Collector.
func (m *ConnectionMetrics) Describe(descs chan<- *prometheus.Desc) {
	descs <- m.authorized
	descs <- m.expiry
}

// Collect implements prometheus.Collector.
func (m *ConnectionMetrics) Collect(metrics chan<- prometheus.Metric) {
	p := m.health()
	if !p.Known {
		return
	}
	authorized := 0.0
	if p.Usable {
		authorized = 1
	}
	metrics <- prometheus.MustNewConstMetric(m.authorized, prometheus.GaugeValue, authorized)
	for token, at := range map[string]time.Time{"access": p.AccessExpiresAt, "refresh": p.RefreshExpiresAt} {
		if !at.IsZero() {
			metrics <- prometheus.MustNewConstMetric(m.expiry, prometheus.GaugeValue, float64(at.Unix()), token)
		}
	}
}

// lookSoon is how long before its end a consent is to be looked after.
const lookSoon = 30 * 24 * time.Hour

// connection is the connection as the page shows it at that time.
func connection(p oauth.Health, now time.Time) web.Connection {
	c := web.Connection{
		State: web.OK, Problem: p.Problem, Todo: p.Todo, Note: p.Note, Stored: !p.AuthorizedAt.IsZero() || p.Unread != nil,
		AuthorizedAt: p.AuthorizedAt, AccessExpiresAt: p.AccessExpiresAt, RefreshExpiresAt: p.RefreshExpiresAt,
		Refreshable: p.Refreshable, CheckedAt: p.CheckedAt, Scopes: p.Scopes, MissingScopes: p.Missing,
	}
	ends := p.AccessExpiresAt
	if p.Refreshable {
		ends = p.RefreshExpiresAt
	}
	switch {
	case p.Known && !p.Usable, p.Problem != "":
		c.State = web.Failing
	case !p.Known:
		c.State = web.Waiting
	case !ends.IsZero() && ends.Sub(now) <= lookSoon:
		c.State = web.Warning
	}
	return c
}

// consentDegraded is what /readyz says of the connection; false when it works.
// Where the tokens are kept is nothing for everybody who reaches the port.
func consentDegraded(p oauth.Health) (web.Degradation, bool) {
	d := web.Degradation{Part: "consent", Reason: p.Problem, Todo: p.Todo}
	if p.Unread != nil {
		d.Reason, d.Todo = "the stored tokens cannot be read", "the status page and the log say why"
	}
	return d, p.Problem != ""
}

// budget is the use of LinkedIn's API as the status page shows it.
func budget(b linkedin.Budget) web.Budget {
	view := web.Budget{Resets: b.Resets, Paced: b.Paced, Note: b.Note, Endpoints: []web.Endpoint{}}
	for _, e := range b.Endpoints {
		view.Endpoints = append(view.Endpoints, web.Endpoint{
			Name: e.Endpoint, Used: int64(e.Used), Limit: int64(e.Limit), Throttled: int64(e.Throttled),
		})
	}
	return view
}
