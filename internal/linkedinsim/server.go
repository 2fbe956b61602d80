package linkedinsim

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the simulated LinkedIn, an http.Handler. OAuth is under /oauth/v2,
// the API under /rest and /v2, and the control API under /sim.
type Server struct {
	*World
	auth   *auth
	faults faults
	stats  stats
	sim    http.Handler // the control API

	versionsMu sync.RWMutex
	live       map[string]bool // values of LinkedIn-Version
}

// New makes a simulated LinkedIn. It reports every field of cfg that is out of
// bounds, starts nothing and opens nothing.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configuring the simulated LinkedIn: %w", err)
	}
	c := &clock{base: cfg.Now}
	c.offset.Store(int64(cfg.ClockOffset))
	s := &Server{World: newWorld(cfg, c), live: map[string]bool{}}
	s.auth = newAuth(s.World)
	s.notifier = newNotifier(s)
	s.stats.init()
	s.sim = s.control()
	for _, v := range cfg.Versions {
		s.live[v] = true
	}
	if err := s.generate(); err != nil {
		return nil, fmt.Errorf("making the simulated world: %w", err)
	}
	return s, nil
}

// Now is LinkedIn's clock, which the Date header shows.
func (s *Server) Now() time.Time { return s.clock.now() }

// SetClockOffset sets how far LinkedIn's clock is ahead of the base clock.
func (s *Server) SetClockOffset(d time.Duration) {
	s.clock.offset.Store(int64(d))
	s.notifier.stir()
}

// shiftClock moves LinkedIn's clock from where it is. With keepTokens the times
// of tokens and codes move too, as if only what the clock shows had changed;
// without, they are so much older.
func (s *Server) shiftClock(d time.Duration, keepTokens bool) {
	s.clock.offset.Add(int64(d))
	if keepTokens {
		s.auth.move(d)
	}
	s.notifier.stir()
}

// Switches are the switches in force.
func (s *Server) Switches() Switches { return *s.switches.Load() }

// SetSwitches puts other switches in force.
func (s *Server) SetSwitches(sw Switches) error {
	if err := sw.validate(); err != nil {
		return fmt.Errorf("setting switches: %w", err)
	}
	s.switches.Store(&sw)
	s.relist()
	s.notifier.stir()
	return nil
}

// SetVersion makes a value of LinkedIn-Version live, or retires it.
func (s *Server) SetVersion(version string, live bool) error {
	if !versionFormat.MatchString(version) {
		return fmt.Errorf("version %q is not of the form YYYYMM", version)
	}
	s.versionsMu.Lock()
	defer s.versionsMu.Unlock()
	s.live[version] = live
	return nil
}

func (s *Server) versionLive(version string) bool {
	s.versionsMu.RLock()
	defer s.versionsMu.RUnlock()
	return s.live[version]
}

// ServeHTTP answers as LinkedIn does, or under /sim as the control API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/sim" || strings.HasPrefix(r.URL.Path, "/sim/") {
		s.sim.ServeHTTP(w, r)
		return
	}
	at := locate(r.URL.EscapedPath())
	sequence := s.stats.count(at.endpoint, s.clock.now())
	h := w.Header()
	h.Set("Date", s.clock.now().Format(http.TimeFormat))
	h.Set("X-Li-Uuid", fmt.Sprintf("AAY%020X==", mix(s.seed+sequence)))
	h.Set("X-Li-Request-Id", strconv.FormatUint(sequence, 10))
	h.Set("X-Li-Fabric", "simulated")
	fault, latency, err := s.applyFaults(at, r)
	if err != nil {
		envelope{Status: http.StatusInternalServerError, Message: "the scheduled fault could not be carried out: " + err.Error()}.answer().write(w)
		return
	}
	if !at.oauth() {
		latency += s.cfg.Latency
	}
	if latency > 0 && !wait(r.Context(), latency) {
		return
	}
	var answer *answer
	switch {
	case fault != nil && fault.def.replace != nil:
		answer = fault.def.replace(s, &fault.Fault)
	case at.oauth():
		answer = s.oauth(at, r)
	default:
		answer = s.api(at, w.Header(), fault.misread(r))
	}
	s.stats.status(answer.status)
	fault.send(w, r, answer)
	answer.release()
}

// wait reports whether d passed before the context ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
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

func (l location) oauth() bool { return l.root == "oauth" }

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
	parts = parts[1:]
	if l.root == "oauth" {
		if len(parts) == 0 || parts[0] != "v2" {
			return l
		}
		parts = parts[1:]
	}
	if len(parts) == 0 {
		return l
	}
	for _, name := range endpoints[l.root] {
		if name == parts[0] {
			l.endpoint = name
		}
	}
	if len(parts) > 1 {
		l.key = parts[1]
	}
	l.deeper = len(parts) > 2
	return l
}

// stats counts requests.
type stats struct {
	mu         sync.Mutex
	total      uint64
	byEndpoint map[string]uint64
	byStatus   map[int]uint64
	today      map[string]int
	day        string // UTC
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

func (s *stats) init() {
	s.byEndpoint, s.byStatus, s.today = map[string]uint64{}, map[int]uint64{}, map[string]int{}
}

func (s *stats) count(endpoint string, now time.Time) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if today := now.Format(time.DateOnly); today != s.day {
		s.day = today
		clear(s.today)
	}
	s.total++
	s.byEndpoint[endpoint]++
	s.today[endpoint]++
	return s.total
}

func (s *stats) status(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byStatus[status]++
}

// spent reports whether today's requests to the endpoint are more than budget.
func (s *stats) spent(endpoint string, budget int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return budget > 0 && s.today[endpoint] > budget
}

// Stats are the requests answered so far.
func (s *Server) Stats() Stats {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	return Stats{
		Total:      s.stats.total,
		ByEndpoint: maps.Clone(s.stats.byEndpoint),
		ByStatus:   maps.Clone(s.stats.byStatus),
		Today:      maps.Clone(s.stats.today),
	}
}
