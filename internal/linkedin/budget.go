package linkedin

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"leadstream/internal/lead"
)

const (
	// throttleFirst is the pause after a first 429 that names none, and throttleMost
	// the longest one. LinkedIn documents no pause. Its daily limits say so in their
	// message; its infrastructure also answers 429 for shorter spells. So a 429 that
	// does not speak of the day is a guess, which is looked at again, by one request.
	throttleFirst = time.Minute
	throttleMost  = time.Hour
	// throttleRow is how many 429 in a row, up to midnight, say that it was the day's
	// limit after all, if LinkedIn answers as soon as the day is over.
	throttleRow = 5
	// probeTime is how long that one request may take, and probeWait how soon the
	// others look whether it was answered.
	probeTime = time.Minute
	probeWait = 2 * time.Second
	// dayJitter spreads the first requests of a new day. LinkedIn's clock is known
	// as a lower bound, a second behind at most: until daySlack the day before may
	// be what it tells.
	dayJitter = 5 * time.Minute
	daySlack  = 2 * time.Second
	dayLayout = time.DateOnly
)

// Counters are the requests made on one UTC day, and what is known of
// LinkedIn's limits. They marshal to JSON, for the caller to keep over restarts;
// what an older release wrote can be read.
type Counters struct {
	// Day is the UTC day, as 2006-01-02.
	Day string `json:"day"`
	// Requests are the requests sent to each endpoint, repeated ones included.
	Requests map[string]int `json:"requests,omitempty"`
	// Answered are those of them that LinkedIn answered other than with 429, and
	// Throttled those with 429. The rest got no answer, or were given up on.
	Answered  map[string]int `json:"answered,omitempty"`
	Throttled map[string]int `json:"throttled,omitempty"`
	// Before is what Answered was on the day before.
	Before map[string]int `json:"before,omitempty"`
	// Paused are the endpoints whose daily limit is used up, and until when.
	Paused map[string]time.Time `json:"paused,omitempty"`
	// Limits are the daily limits that LinkedIn has shown.
	Limits map[string]DailyLimit `json:"limits,omitempty"`
	// Partial: the counts began in the middle of the day, and nothing is known of
	// the requests before.
	Partial bool `json:"partial,omitempty"`
}

// limits keeps the client inside LinkedIn's limits and the caller's own. Limits
// are counted per endpoint and reset at 00:00 UTC of LinkedIn's clock.
//
// Source: LinkedIn API guide, Rate Limits. Safe for concurrent use.
type limits struct {
	own int                           // requests per endpoint and day; 0 is no bound
	now func() (t time.Time, ok bool) // LinkedIn's clock

	mu      sync.Mutex
	day     string
	partial bool     // as Counters.Partial
	saved   Counters // what was restored last
	gates   map[string]*gate
}

// gate is what is known of one endpoint.
type gate struct {
	requests  int  // today
	answered  int  // of them, other than with 429
	throttled int  // of them, with 429
	named     bool // the last 429 had a Retry-After
	before    int  // answered on the day before
	refusals  int  // 429 in a row
	refused   time.Time
	opens     time.Time // no request before this, after a 429
	probing   time.Time // one request is under way until then to see whether it is over
	paused    time.Time // no request before this: the day's limit is used up
	limit     DailyLimit
	guess     DailyLimit // of the day before, if LinkedIn answers now
	pace      pace
}

func newLimits(own int, now func() (time.Time, bool)) *limits {
	return &limits{own: own, now: now, partial: true, gates: map[string]*gate{}}
}

// admit counts a request to the endpoint, or says why it must not be made. A
// request that has not waited for its turn is made up for by those that will, but
// for one that is made at once or not at all: it is made if nobody will miss it.
func (l *limits) admit(ctx context.Context, endpoint string, turned bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, now := l.gate(endpoint), time.Now()
	if err := l.barred(endpoint, g, now); err != nil {
		return err
	}
	if !turned && l.allowance(g) > 0 {
		rate := l.rate(g)
		g.pace.fill(now, rate)
		if !lead.IsAtOnce(ctx) {
			g.pace.take(lead.IsBackground(ctx))
		} else if wait, ok := g.pace.spare(rate); !ok {
			return &BudgetError{Endpoint: endpoint, Until: now.Add(wait).UTC(), Pace: l.allowance(g), Spread: true}
		}
	}
	if g.refusals > 0 {
		g.probing = now.Add(probeTime)
	}
	g.requests++
	return nil
}

// suspended says why no request at all must be made to the endpoint now: a
// *BudgetError, or an *APIError of 429 while the pause after one lasts.
func (l *limits) barred(endpoint string, g *gate, now time.Time) error {
	switch allowance := l.allowance(g); {
	case now.Before(g.paused):
		return l.closed(endpoint, g)
	case now.Before(g.opens):
		return &APIError{Endpoint: endpoint, Status: http.StatusTooManyRequests, After: g.opens.Sub(now), held: true}
	case g.refusals > 0 && now.Before(g.probing):
		return &APIError{Endpoint: endpoint, Status: http.StatusTooManyRequests, After: probeWait + jitter(probeWait), held: true}
	case allowance > 0 && g.requests >= allowance:
		e := &BudgetError{Endpoint: endpoint, Until: now.Add(l.tomorrow()).UTC(), Own: l.own}
		if allowance != l.own {
			e.Own, e.Pace = 0, allowance
		}
		return e
	}
	return nil
}

// answered notes an answer that was not a 429.
func (l *limits) answered(endpoint string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gate(endpoint)
	if g.guess.Limit > 0 {
		g.limit, g.guess = g.guess, DailyLimit{}
	}
	g.refusals, g.probing = 0, time.Time{}
	g.answered++
}

// lost notes a request without an answer, which tells nothing of the limits.
func (l *limits) lost(endpoint string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate(endpoint).probing = time.Time{}
}

// throttled notes a 429 to a request sent at the time given and says how long
// to leave the endpoint alone. asked is LinkedIn's Retry-After, 0 when absent;
// daily says that the message speaks of the day's limit. That, or a Retry-After
// that ends with the day, closes the endpoint until then, as a *BudgetError.
// Answers to requests that were under way together count once.
func (l *limits) throttled(endpoint string, sent time.Time, asked time.Duration, daily bool) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gate(endpoint)
	now, left := time.Now(), l.tomorrow()
	daily = daily || left > time.Hour && (asked-left).Abs() <= time.Minute
	g.throttled++
	g.named, g.probing, g.guess = asked > 0, time.Time{}, DailyLimit{}
	switch first := g.refusals == 0 || sent.After(g.refused); {
	case daily && !now.Before(g.paused):
		g.refusals, g.refused = 0, now
		g.paused = now.Add(left + daySlack + jitter(dayJitter-daySlack))
		g.learn(l.day, l.partial)
	case first && !now.Before(g.paused):
		g.refusals++
		g.refused = now
		least := min(throttleFirst<<min(g.refusals-1, 10), throttleMost)
		switch {
		case asked > 0:
		case least > left: // another day may be another matter
			g.opens = now.Add(left + daySlack + jitter(dayJitter-daySlack))
		default:
			g.opens = now.Add(least + jitter(min(least/2, dayJitter)))
		}
	}
	if asked > 0 && g.opens.Before(now.Add(asked)) {
		g.opens = now.Add(asked)
	}
	if now.Before(g.paused) {
		return 0, l.closed(endpoint, g)
	}
	return g.opens.Sub(now), nil
}

// closed says that LinkedIn has stopped the endpoint.
func (l *limits) closed(endpoint string, g *gate) *BudgetError {
	e := &BudgetError{Endpoint: endpoint, Until: g.paused.UTC()}
	if g.limit.Day == l.day {
		e.Allowed = g.limit.Allowed
	}
	return e
}

// counters is a copy of the day's figures.
func (l *limits) counters() Counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn()
	c := Counters{Day: l.day, Partial: l.partial, Requests: map[string]int{}, Answered: map[string]int{}, Throttled: map[string]int{},
		Before: map[string]int{}, Paused: map[string]time.Time{}, Limits: map[string]DailyLimit{}}
	keep := func(m map[string]int, endpoint string, n int) {
		if n > 0 {
			m[endpoint] = n
		}
	}
	now := time.Now()
	for endpoint, g := range l.gates {
		keep(c.Requests, endpoint, g.requests)
		keep(c.Answered, endpoint, g.answered)
		keep(c.Throttled, endpoint, g.throttled)
		keep(c.Before, endpoint, g.before)
		if now.Before(g.paused) {
			c.Paused[endpoint] = g.paused.UTC().Truncate(time.Second)
		}
		if g.limit.Limit > 0 {
			c.Limits[endpoint] = g.limit
		}
	}
	return c
}

// restore takes over the figures of an earlier run, where they are the larger
// ones, and its limits, where they are the newer ones, so that restoring twice
// changes nothing. The requests of an earlier day only tell how it ended.
func (l *limits) restore(c Counters) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for endpoint, until := range c.Paused {
		// Never longer than a day: whatever the clocks were, a new day has begun then.
		if g := l.gate(endpoint); g.paused.Before(until) && time.Until(until) <= 24*time.Hour+2*dayJitter {
			g.paused = until
		}
	}
	for endpoint, limit := range c.Limits {
		if g := l.gate(endpoint); limit.Limit > 0 && g.limit.changed() < limit.changed() {
			g.limit = limit
		}
	}
	if c.Answered == nil { // of a release that did not count them
		c.Answered = c.Requests
	}
	l.saved = c
	switch l.turn(); {
	case c.Day == l.day:
		l.count(c)
	case c.Day != "" && c.Day < l.day:
		l.partial = false
		for endpoint := range c.Requests {
			g := l.gate(endpoint)
			past := gate{answered: c.Answered[endpoint], before: c.Before[endpoint], limit: g.limit}
			past.endDay(c.Day, c.Partial)
			g.limit, g.before = past.limit, max(g.before, past.before)
		}
	}
}

// count takes over the counts of this very day.
func (l *limits) count(c Counters) {
	l.partial = c.Partial
	for endpoint, n := range c.Requests {
		g := l.gates[endpoint]
		if g == nil {
			g = &gate{}
			l.gates[endpoint] = g
		}
		g.requests, g.answered = max(g.requests, n), max(g.answered, c.Answered[endpoint])
		g.throttled, g.before = max(g.throttled, c.Throttled[endpoint]), max(g.before, c.Before[endpoint])
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

// turn starts the counts anew when LinkedIn's day has changed. Before its first
// answer the day is ours, which may prove wrong near midnight: then the counts
// of LinkedIn's day come back. Afterwards its clock falls back by a second at
// most, when the answers that told it best have expired; that is the same day.
func (l *limits) turn() {
	now := l.clock()
	day := now.Format(dayLayout)
	if day == l.day || day < l.day && now.Add(2*time.Second).Format(dayLayout) == l.day {
		return
	}
	over, partial := l.day, l.partial
	l.day = day
	ended := over != "" && over < day
	if ended {
		l.partial = false
	}
	for _, g := range l.gates {
		if ended {
			g.endDay(over, partial)
		}
		g.requests, g.answered, g.throttled = 0, 0, 0
	}
	if l.saved.Day == day {
		l.count(l.saved)
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
