package linkedin

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Budget is the use of LinkedIn's API in its current UTC day, for people.
type Budget struct {
	// Resets is when LinkedIn counts anew, by our clock.
	Resets time.Time
	// Paced: the requests of an endpoint are spread over the day, or paused,
	// because a limit was met.
	Paced bool
	// Note says in words what is paced, why and to how much; empty when nothing is.
	Note string
	// Endpoints are those that were asked today or have a limit, by name.
	Endpoints []EndpointUse
}

// EndpointUse is the use of one endpoint.
type EndpointUse struct {
	Endpoint string
	Used     int // requests today
	// Limit is how many there may be today; 0 is any number.
	Limit     int
	Throttled int // of Used, answered with 429
	Paced     bool
	Note      string
}

// Budget is the use of the API today, and what limits it.
func (c *Client) Budget() Budget { return c.limits.budget() }

func (l *limits) budget() Budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn()
	now := time.Now()
	b := Budget{Resets: now.Add(l.tomorrow()).UTC().Round(time.Second), Endpoints: []EndpointUse{}}
	for endpoint, g := range l.gates {
		use := EndpointUse{Endpoint: endpoint, Used: g.requests, Limit: l.allowance(g), Throttled: g.throttled}
		if use.Used == 0 && use.Limit == 0 && !now.Before(g.paused) && !now.Before(g.opens) {
			continue
		}
		use.Note = l.note(endpoint, g, now)
		use.Paced = use.Note != ""
		b.Endpoints = append(b.Endpoints, use)
	}
	var notes []string
	slices.SortFunc(b.Endpoints, func(a, b EndpointUse) int { return strings.Compare(a.Endpoint, b.Endpoint) })
	for _, use := range b.Endpoints {
		if use.Paced {
			b.Paced, notes = true, append(notes, use.Note)
		}
	}
	b.Note = strings.Join(notes, " ")
	return b
}

// spreadWithin is how long it is told that live work had to be spread.
const spreadWithin = time.Hour

// note says what slows an endpoint down; empty when nothing does. What stands
// between backquotes is a name.
func (l *limits) note(endpoint string, g *gate, now time.Time) string {
	allowance, own := l.allowance(g), l.own > 0 && l.allowance(g) == l.own
	var text string
	switch {
	case now.Before(g.paused) && g.limit.Day == l.day:
		return fmt.Sprintf("LinkedIn's daily limit of `%s` was met after %d requests; it is asked again at %s, and from then on paced to %d a day.",
			endpoint, g.limit.Allowed, minute(g.paused), g.limit.pace())
	case now.Before(g.paused) && allowance == 0:
		return fmt.Sprintf("LinkedIn's daily limit of `%s` was met; it is asked again at %s.", endpoint, minute(g.paused))
	case now.Before(g.opens):
		return fmt.Sprintf("LinkedIn refuses requests to `%s` for the moment (429), and does not say that the day's limit is used up; it is asked again at %s.",
			endpoint, minute(g.opens))
	case own && g.requests >= allowance:
		return fmt.Sprintf("The %d requests to `%s` that `linkedin.daily_budget` allows are used up for today.", allowance, endpoint)
	case own:
		text = fmt.Sprintf("`linkedin.daily_budget` binds `%s` to %d requests a day.", endpoint, allowance)
	case allowance > 0:
		text = fmt.Sprintf("`%s` is paced to %d requests a day, %d %% of its limit: LinkedIn stopped it on %s after %d.",
			endpoint, allowance, pacePercent, g.limit.Day, g.limit.Allowed)
		if g.limit.Limit > g.limit.Allowed {
			text += fmt.Sprintf(" As LinkedIn has refused nothing since, the limit is taken for %d now.", g.limit.Limit)
		}
		if g.requests >= allowance {
			text += " They are used up for today."
		}
	}
	switch {
	case g.pace.every > 0 && now.Sub(g.pace.spread) < spreadWithin:
		text += fmt.Sprintf(" Live polls ask for more than that, so they are spread evenly: a source is polled about every %s.", g.pace.every.Round(time.Second))
	case own:
		return ""
	case text != "":
		text += fmt.Sprintf(" At least %.0f %% are kept for live leads.", liveShare*100)
	}
	return text
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
