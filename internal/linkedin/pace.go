package linkedin

import (
	"cmp"
	"context"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// A day whose number of requests is known beforehand is spread: what is left of
// them over what is left of the day. They fill two accounts, one of live work
// and one of work in the background, and what one does not need flows into the
// other. So live polls have their share however much there is to backfill, and
// all of it when there is nothing; and so has a backfill when polls are few.
//
// A piece of work waits for its turn before its first request and then makes
// all of its requests at once, as a list must be read while it stays the same;
// its account goes below zero, and the next ones wait for longer. Live work is
// given turns in the order in which it asks.
//
// What is to be done at once or left to a poll (lead.AtOnce) is given no turns:
// it takes what the polls that are planned leave, request by request.

const (
	// liveShare of the requests are kept for live work. The rest keeps backfill
	// and discovery from standing still when polls alone would need the whole day.
	liveShare = 0.8
	// burstTime is how long an idle account fills: a round of polls over all
	// sources at the same moment need not wait.
	burstTime = 15 * time.Minute
	// leastBurst is what an account holds however slowly it fills.
	leastBurst = 3
	// livePatience is the longest wait in place of live work: a poll that must
	// wait for longer is to begin anew, with a window that ends when it is made.
	livePatience = 30 * time.Second
	// backgroundPatience is that of work in the background, which loses its place
	// in a sweep when it is turned away.
	backgroundPatience = 15 * time.Minute
	// turnSlack is by how much work may come before its turn, turnGrace by how
	// much later, before the turn is taken for given up.
	turnSlack = time.Second
	turnGrace = 2 * time.Minute
	// pollReserve is what work that is done at once or not at all leaves in the
	// account: the poll of a source that has no turn yet need not wait.
	pollReserve = 1
)

// pace is the state of an endpoint whose requests are spread.
type pace struct {
	live, background float64 // requests that may be made at once; below 0, made ahead of time
	filled           time.Time
	lot, lastLot     float64 // requests of work in the background since its last turn, and before it
	// due are the turns of live work that were promised and not used yet, by whom
	// they were promised to: nobody else takes one, and nobody has two.
	due map[string]time.Time
	// every is how far apart the turns of live work were when they last had to be
	// spread, at spread; said is the day on which that was logged.
	every  time.Duration
	spread time.Time
	said   string
}

// bursts are the most that the accounts hold, at so many requests a second.
func bursts(rate float64) (live, background float64) {
	most := rate * burstTime.Seconds()
	return max(most*liveShare, leastBurst), max(most*(1-liveShare), leastBurst)
}

// fill brings the accounts up to date.
func (p *pace) fill(now time.Time, rate float64) {
	mostLive, mostBackground := bursts(rate)
	if p.filled.IsZero() {
		p.live, p.background = mostLive, mostBackground
	} else {
		came := rate * max(now.Sub(p.filled), 0).Seconds()
		p.live += came * liveShare
		p.background += came * (1 - liveShare)
	}
	p.filled = now
	for who, turn := range p.due {
		if now.Sub(turn) > turnGrace {
			p.giveBack(who)
		}
	}
	over := max(p.live-mostLive, 0)
	p.live -= over
	p.background += over
	over = max(p.background-mostBackground, 0)
	p.background -= over
	p.live = min(p.live+over, mostLive)
}

// take pays for a request that has not waited for its turn.
func (p *pace) take(background bool) {
	if !background {
		p.live--
		return
	}
	p.background--
	p.lot++
}

// next gives the next turn of live work, at the time asked for or later.
func (p *pace) next(now, at time.Time, rate float64) time.Time {
	fills := rate * liveShare
	if _, most := bursts(rate); p.background >= most { // nothing else needs its part
		fills = rate
	}
	short := 1 - p.live - fills*at.Sub(now).Seconds()
	p.live--
	if short <= 0 {
		return at
	}
	turn := at.Add(seconds(short / fills))
	if turn.Sub(at) > livePatience {
		p.every, p.spread = turn.Sub(now), now
	}
	return turn
}

// promise keeps a turn for the work that comes back for it.
func (p *pace) promise(who string, turn time.Time) {
	if p.due == nil {
		p.due = map[string]time.Time{}
	}
	p.due[who] = turn
}

// giveBack returns a turn that was promised and is not used.
func (p *pace) giveBack(who string) {
	if _, promised := p.due[who]; promised {
		delete(p.due, who)
		p.live++
	}
}

// spare takes a request that no poll will miss, or says how long it takes until
// there is one.
func (p *pace) spare(rate float64) (wait time.Duration, ok bool) {
	if short := 1 + pollReserve - p.live; short > 0 {
		return seconds(short / (rate * liveShare)), false
	}
	p.live--
	return 0, true
}

// backgroundWait is how long the account of work in the background takes to hold
// a request, if live work needs nothing.
func (p *pace) backgroundWait(rate float64) time.Duration {
	return seconds(max(1-p.background, 0) / rate)
}

// seconds is a span, never longer than a day.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, 24*60*60) * float64(time.Second))
}

// allowance is how many requests the endpoint may have today; 0 is any number.
func (l *limits) allowance(g *gate) int {
	pace := g.limit.pace()
	if l.own > 0 && (pace == 0 || l.own < pace) {
		return l.own
	}
	return pace
}

// rate is how many requests a second spread what is left of the allowance over
// what is left of the day.
func (l *limits) rate(g *gate) float64 {
	return float64(max(l.allowance(g)-g.requests, 0)) / max(l.tomorrow().Seconds(), 1)
}

// kept is how long work in the background has to wait so that the share of live
// work is left for the rest of the day, also when it takes as many requests at
// once as it did the last time.
func (l *limits) kept(g *gate) time.Duration {
	perSecond := liveShare * float64(l.allowance(g)) / (24 * 60 * 60)
	spare := float64(l.allowance(g)-g.requests) - max(g.pace.lot, g.pace.lastLot, 1)
	return max(l.tomorrow()-seconds(max(spare, 0)/perSecond), 0)
}

// wait is how long a piece of work has to wait before its first request.
// turned says that its turn comes then; else it is to ask again. A wait above
// patience is a *BudgetError. who comes back for a turn is known by its name.
func (l *limits) wait(endpoint, who string, background bool, patience time.Duration) (wait time.Duration, turned bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, now := l.gate(endpoint), time.Now()
	if err := l.barred(endpoint, g, now); err != nil || l.allowance(g) == 0 {
		return 0, true, err
	}
	p, rate := &g.pace, l.rate(g)
	p.fill(now, rate)
	away := func(until time.Time) error {
		return &BudgetError{Endpoint: endpoint, Until: until.UTC(), Pace: l.allowance(g), Spread: true}
	}
	switch {
	case background:
		if wait = max(p.backgroundWait(rate), l.kept(g)); wait > patience {
			return 0, false, away(now.Add(wait))
		}
		if wait > 0 {
			return max(wait, 10*time.Millisecond), false, nil // what live work leaves may come sooner
		}
		p.lot, p.lastLot = 0, p.lot
		p.take(background)
		return 0, true, nil
	}
	turn, promised := p.due[who]
	if !promised {
		turn = p.next(now, now, rate)
	}
	if wait = turn.Sub(now); wait > patience {
		p.promise(who, turn)
		if left := l.tomorrow(); wait >= left { // another day, of which nothing is known yet
			p.giveBack(who)
			turn = now.Add(left)
		}
		return 0, false, away(turn)
	}
	delete(p.due, who)
	if promised && wait <= turnSlack {
		wait = 0
	}
	return wait, true, nil
}

// plan gives live work a turn at a time to come, or later where that is too
// soon, in place of one that it was promised before. first says that it is the
// first of the day that has to wait.
func (l *limits) plan(endpoint, who string, at time.Time) (turn time.Time, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, now := l.gate(endpoint), time.Now()
	if l.allowance(g) == 0 || l.barred(endpoint, g, now) != nil {
		return at, false
	}
	if at.Before(now) {
		at = now
	}
	p, rate := &g.pace, l.rate(g)
	p.fill(now, rate)
	p.giveBack(who)
	turn = p.next(now, at, rate)
	if turn.Sub(now) >= l.tomorrow() { // another day, of which nothing is known yet
		p.live++
		return at, false
	}
	p.promise(who, turn)
	if late := turn.Sub(at); late > livePatience && p.said != l.day {
		p.said = l.day
		return turn, true
	}
	return turn, false
}

// await waits for the turn of a piece of work, outside of the slots for
// requests; false when it is under way already, or is given no turns. A wait that
// is too long to be worth it is a *BudgetError.
func (c *Client) await(ctx context.Context, q request) (turned bool, err error) {
	if ctx.Value(underWayKey{}) != nil || lead.IsAtOnce(ctx) {
		return false, nil
	}
	background, patience := lead.IsBackground(ctx), livePatience
	if background {
		patience = backgroundPatience
	}
	for end := time.Now().Add(patience); ; {
		wait, turned, err := c.limits.wait(q.endpoint, cmp.Or(q.who, q.path), background, time.Until(end))
		if err != nil {
			return false, err
		}
		if wait > 0 {
			if err := fault.Sleep(ctx, wait); err != nil {
				return false, err
			}
		}
		if turned {
			return true, nil
		}
	}
}

type underWayKey struct{}

// underWay marks the further requests of a piece of work whose turn has come.
func underWay(ctx context.Context) context.Context {
	return context.WithValue(ctx, underWayKey{}, true)
}

// Moment is when to poll a source, for a poll that is meant for t. It gives the
// poll a turn: where the day's requests are spread and others come first, it is
// later than t, and a poll of the source at the moment given need not wait again.
//
// Else it is the time nearest to t, half a second away at most, at which a
// request sharpens Now the most: t itself where that is sharp to 50 ms. Who
// polls at the same part of every second without it learns nothing new from any
// answer, and stays up to a second behind.
func (c *Client) Moment(src lead.Source, t time.Time) time.Time {
	turn, first := c.limits.plan(EndpointResponses, src.String(), t)
	if first {
		c.log.Warn("live polls are spread over the day: LinkedIn allows fewer requests than they ask for",
			zap.String("endpoint", EndpointResponses), zap.Duration("wait", turn.Sub(t)),
			zap.String("todo", "nothing; if leads come too late, ask LinkedIn for a higher limit or take other programs off the app"))
	}
	return c.clock.moment(turn)
}
