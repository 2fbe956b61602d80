package connector

import (
	"slices"
	"sync"
	"time"
)

// latencyWindow is how many of the latest leads the latency is taken from.
const latencyWindow = 1000

// latencies remembers how long the latest leads took. Safe for concurrent use.
type latencies struct {
	mu   sync.Mutex
	ring []time.Duration
	next int // where the oldest is, once the ring is full
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) < latencyWindow {
		l.ring = append(l.ring, d)
		return
	}
	l.ring[l.next] = d
	l.next = (l.next + 1) % latencyWindow
}

// Latency is the time from submission to commit of the leads that came last,
// live or by push, to this process.
type Latency struct {
	// P50 and P99 are the times within which half of them, and all but one in a
	// hundred, were committed.
	P50, P99 time.Duration
	// Leads is how many the figures rest on, at most the last 1,000.
	Leads int
}

func (l *latencies) figures() Latency {
	l.mu.Lock()
	sorted := slices.Clone(l.ring)
	l.mu.Unlock()
	if len(sorted) == 0 {
		return Latency{}
	}
	slices.Sort(sorted)
	rank := func(percent int) time.Duration { // nearest rank
		return sorted[(len(sorted)*percent+99)/100-1]
	}
	return Latency{P50: rank(50), P99: rank(99), Leads: len(sorted)}
}
