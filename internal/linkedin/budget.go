package linkedin

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	// throttleFirst is the pause after a first 429 that names none. LinkedIn
	// documents no pause; its limits are daily, but its infrastructure also
	// answers 429 for shorter spells.
	throttleFirst = time.Minute
	// throttleRow is how many 429 in a row mean that the day's limit is used up:
	// pauses of 1, 2, 4 and 8 minutes lie between them.
	throttleRow = 5
	// dayJitter spreads the first requests of a new day.
	dayJitter = 5 * time.Minute
	dayLayout = time.DateOnly
)

// Counters are the requests made on one UTC day. They marshal to JSON, for the
// caller to keep over restarts.
type Counters struct {
	// Day is the UTC day, as 2006-01-02.
	Day string `json:"day"`
	// Requests are the requests sent to each endpoint, repeated ones included.
	Requests map[string]int `json:"requests,omitempty"`
	// Paused are the endpoints whose daily limit is used up, and until when.
	Paused map[string]time.Time `json:"paused,omitempty"`
}

// limits keeps the client inside LinkedIn's limits and the caller's own. Limits
// are counted per endpoint and reset at 00:00 UTC.
//
// Source: LinkedIn API guide, Rate Limits. Safe for concurrent use.
type limits struct {
	own int                           // requests per endpoint and day; 0 is no bound
	now func() (t time.Time, ok bool) // LinkedIn's clock

	mu    sync.Mutex
	day   string
	gates map[string]*gate
}

// gate is what is known of one endpoint.
type gate struct {
	requests int // today
	refusals int // 429 in a row
	refused  time.Time
	opens    time.Time // no request before this, after a 429
	paused   time.Time // no request before this: the day's limit is used up
}

func newLimits(own int, now func() (time.Time, bool)) *limits {
	return &limits{own: own, now: now, gates: map[string]*gate{}}
}

// admit counts a request to the endpoint, or says why it must not be made: a
// *BudgetError, or an *APIError of 429 while the pause after one lasts.
func (l *limits) admit(endpoint string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gate(endpoint)
	now := time.Now()
	switch {
	case now.Before(g.paused):
		return &BudgetError{Endpoint: endpoint, Until: g.paused.UTC()}
	case now.Before(g.opens):
		return &APIError{Endpoint: endpoint, Status: http.StatusTooManyRequests, After: g.opens.Sub(now)}
	case l.own > 0 && g.requests >= l.own:
		return &BudgetError{Endpoint: endpoint, Until: now.Add(l.tomorrow()).UTC(), Own: l.own}
	}
	g.requests++
	return nil
}

// answered notes an answer that was not a 429.
func (l *limits) answered(endpoint string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate(endpoint).refusals = 0
}

// throttled notes a 429 to a request sent at the time given and says how long
// to leave the endpoint alone. asked is LinkedIn's Retry-After, 0 when absent.
// The fifth in a row closes the endpoint until the next day, as a
// *BudgetError. Answers to requests that were under way together count once.
func (l *limits) throttled(endpoint string, sent time.Time, asked time.Duration) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gate(endpoint)
	now := time.Now()
	if g.refusals == 0 || sent.After(g.refused) {
		g.refusals++
		g.refused = now
		if g.refusals >= throttleRow {
			g.refusals = 0
			g.paused = now.Add(l.tomorrow() + jitter(dayJitter))
		} else if asked == 0 {
			least := throttleFirst << (g.refusals - 1)
			g.opens = now.Add(least + jitter(least/2))
		}
	}
	if asked > 0 && g.opens.Before(now.Add(asked)) {
		g.opens = now.Add(asked)
	}
	if now.Before(g.paused) {
		return 0, &BudgetError{Endpoint: endpoint, Until: g.paused.UTC()}
	}
	return g.opens.Sub(now), nil
}

// counters is a copy of the day's figures.
func (l *limits) counters() Counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn()
	c := Counters{Day: l.day, Requests: map[string]int{}, Paused: map[string]time.Time{}}
	now := time.Now()
	for endpoint, g := range l.gates {
		if g.requests > 0 {
			c.Requests[endpoint] = g.requests
		}
		if now.Before(g.paused) {
			c.Paused[endpoint] = g.paused.UTC().Truncate(time.Second)
		}
	}
	return c
}

// restore takes over the figures of an earlier run, where they are the larger
// ones, so that restoring twice changes nothing. Those of another day are void.
func (l *limits) restore(c Counters) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for endpoint, until := range c.Paused {
		// Never longer than a day: whatever the clocks were, a new day has begun then.
		if g := l.gate(endpoint); g.paused.Before(until) && time.Until(until) <= 24*time.Hour+2*dayJitter {
			g.paused = until
		}
	}
	if l.turn(); c.Day != l.day {
		return
	}
	for endpoint, n := range c.Requests {
		g := l.gate(endpoint)
		g.requests = max(g.requests, n)
	}
}

// gate is the endpoint's, of today.
func (l *limits) gate(endpoint string) *gate {
	l.turn()
	g, ok := l.gates[endpoint]
	if !ok {
		g = &gate{}
		l.gates[endpoint] = g
	}
	return g
}

// turn starts the counts anew when LinkedIn's day has changed.
func (l *limits) turn() {
	day := l.clock().Format(dayLayout)
	if day == l.day {
		return
	}
	l.day = day
	for _, g := range l.gates {
		g.requests = 0
	}
}

// tomorrow is the time left until LinkedIn's next UTC day.
func (l *limits) tomorrow() time.Duration {
	now := l.clock()
	return now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
}

// clock is LinkedIn's where known, else ours; UTC.
func (l *limits) clock() time.Time {
	if t, ok := l.now(); ok {
		return t
	}
	return time.Now().UTC()
}

// jitter is a random time below most.
func jitter(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return rand.N(most)
}
