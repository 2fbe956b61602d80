package linkedinsim

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the simulated LinkedIn, an http.Handler. OAuth is under /oauth/v2,
// the API under /rest and /v2, and the control API under /sim.
type Server struct {
	*World
	sim http.Handler // the control API
}

// New makes a simulated LinkedIn. It reports every field of cfg that is out of
// bounds, starts nothing and opens nothing.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configuring the simulated LinkedIn: %w", err)
	}
	s := &Server{World: newWorld(cfg)}
	s.sim = s.control()
	if err := s.generate(); err != nil {
		return nil, fmt.Errorf("making the simulated world: %w", err)
	}
	return s, nil
}

// ServeHTTP answers as LinkedIn does, or under /sim as the control API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/sim" || strings.HasPrefix(r.URL.Path, "/sim/") {
		s.sim.ServeHTTP(w, r)
		return
	}
	at := locate(r.URL.EscapedPath())
	sequence := s.count(at.endpoint)
	h := w.Header()
	h.Set("Date", s.Now().Format(http.TimeFormat))
	h.Set("X-Li-Uuid", fmt.Sprintf("AAY%020X==", mix(s.seed+sequence)))
	h.Set("X-Li-Request-Id", strconv.FormatUint(sequence, 10))
	h.Set("X-Li-Fabric", "simulated")
	fault, latency, err := s.applyFaults(at, r)
	if err != nil {
		refusal(http.StatusInternalServerError, "the scheduled fault could not be carried out: "+err.Error()).write(w)
		return
	}
	if at.root != "oauth" {
		latency += s.cfg.Latency
	}
	if latency > 0 && !wait(r.Context(), latency) {
		return
	}
	var a *answer
	switch {
	case fault != nil && fault.def.replace != nil:
		a = fault.def.replace(s.World, &fault.Fault)
	case at.root == "oauth":
		a = s.oauth(at, r)
	default:
		a = s.api(at, h, fault.misread(r))
	}
	s.mu.Lock()
	s.stats.ByStatus[a.status]++
	s.mu.Unlock()
	if fault != nil && fault.def.send != nil {
		fault.def.send(&fault.Fault, w, r, a)
		return
	}
	a.write(w)
}

// wait reports whether d passed before the context ended.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// location is what a path names.
type location struct {
	root     string // oauth, rest, v2
	endpoint string // the resource, or unknown
	key      string // still percent-encoded
	deeper   bool   // more follows
}

// webhookLocation stands for a request that LinkedIn makes, where faults look.
var webhookLocation = location{root: "webhook", endpoint: "webhook"}

const endpointUnknown = "unknown"

var endpoints = map[string][]string{
	"oauth": {"authorization", "accessToken", "introspectToken"},
	"rest":  {"organizationAcls", "organizations", "organizationsLookup", "events", "leadForms", "leadFormResponses", "leadNotifications", "me"},
	"v2":    {"me", "userinfo"},
}

func locate(escapedPath string) location {
	parts := strings.Split(strings.TrimPrefix(escapedPath, "/"), "/")
	l := location{root: parts[0], endpoint: endpointUnknown}
	if parts = parts[1:]; l.root == "oauth" {
		if len(parts) == 0 || parts[0] != "v2" {
			return l
		}
		parts = parts[1:]
	}
	if len(parts) > 0 && slices.Contains(endpoints[l.root], parts[0]) {
		l.endpoint = parts[0]
	}
	if len(parts) > 1 {
		l.key = parts[1]
	}
	l.deeper = len(parts) > 2
	return l
}

// Run makes new leads at the configured rate and sends notifications until ctx
// ends; it returns nil when all it started has ended. Handshakes with webhooks
// and deliveries happen here alone (and in Notify): without Run they wait.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var notifying sync.WaitGroup
	defer notifying.Wait()
	defer stop() // before the wait
	notifying.Go(func() { s.notifier.run(ctx) })
	return s.makeNew(ctx)
}

// Stats are the requests answered since the start, those to the control API
// not counted.
type Stats struct {
	Total      uint64            `json:"total"`
	ByEndpoint map[string]uint64 `json:"byEndpoint"`
	ByStatus   map[int]uint64    `json:"byStatus"`
	// Today counts by endpoint since midnight UTC of LinkedIn's clock.
	Today map[string]int `json:"today"`
}

// count counts a request and returns how many there were. It takes the lock.
func (w *World) count(endpoint string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if today := w.clock.now().Format(time.DateOnly); today != w.today {
		w.today, w.stats.Today = today, map[string]int{}
	}
	w.stats.Total++
	w.stats.ByEndpoint[endpoint]++
	w.stats.Today[endpoint]++
	return w.stats.Total
}

// Stats are the requests answered so far.
func (w *World) Stats() Stats {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return Stats{w.stats.Total, maps.Clone(w.stats.ByEndpoint), maps.Clone(w.stats.ByStatus), maps.Clone(w.stats.Today)}
}
