package linkedin

import (
	"sync"
	"time"
)

const (
	// clockPeriod is how long an answer's Date counts.
	clockPeriod = 10 * time.Minute
	clockSlots  = 60
	clockSlot   = clockPeriod / clockSlots
	// clockSharp is how far the bound may fall behind without anything being
	// done about it.
	clockSharp = 50 * time.Millisecond
)

// clock reckons a lower bound of LinkedIn's clock. A Date header has a
// resolution of one second, rounded down, and was written before the answer
// arrived: Date plus the time since the arrival never exceeds LinkedIn's clock.
// Of the answers of the last ten minutes the best bound counts, so that many
// requests at different parts of a second sharpen it to a few milliseconds. Who
// asks at the same part of every second would stay up to a second behind; moment
// says when to ask instead.
//
// A clock that was set back is noticed by an answer whose Date lies more than
// its resolution below the bound; the bound then starts anew from that answer.
//
// Source: RFC 9110 §6.6.1. Safe for concurrent use.
type clock struct {
	start time.Time // origin of our monotonic time

	mu    sync.Mutex
	known bool
	last  time.Duration // offset of the newest answer, for when all others have expired
	slots [clockSlots]clockBest
}

// clockBest is what the answers of one slot of the period say of the offset,
// LinkedIn's time less our monotonic time: at least, and less than.
type clockBest struct {
	slot         int64 // number of the slot since the start, from 1; 0 is empty
	least, below time.Duration
}

func newClock() *clock { return &clock{start: time.Now()} }

// observe takes the Date of an answer to a request sent at the time given,
// which has just arrived.
func (c *clock) observe(date, sent time.Time) {
	at := time.Since(c.start)
	seen := clockBest{
		slot:  int64(at/clockSlot) + 1,
		least: date.Sub(c.start) - at,
		below: date.Add(time.Second).Sub(c.start) - sent.Sub(c.start),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if best, ok := c.best(at, clockSlots); ok && best.least >= seen.below {
		c.slots = [clockSlots]clockBest{}
	}
	c.known, c.last = true, seen.least
	s := &c.slots[seen.slot%clockSlots]
	if s.slot == seen.slot {
		seen.least, seen.below = max(seen.least, s.least), min(seen.below, s.below)
	}
	*s = seen
}

// now is the bound, false before the first answer.
func (c *clock) now() (time.Time, bool) {
	at := time.Since(c.start)
	c.mu.Lock()
	defer c.mu.Unlock()
	offset := c.last
	if best, ok := c.best(at, clockSlots); ok {
		offset = best.least
	}
	return c.start.Add(at + offset).Round(0).UTC(), c.known // Round drops our monotonic reading
}

// moment is the time nearest to t, half a second away at most, at which an
// answer halves what is not known of the offset: when LinkedIn's second changes,
// should the offset lie in the middle. While the bound is sharp it is t; that is
// judged by the later part of the period, so that it is sharpened anew before
// the old answers expire.
func (c *clock) moment(t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	best, ok := c.best(time.Since(c.start), clockSlots*3/4)
	doubt := best.below - best.least
	if !ok || doubt <= clockSharp {
		return t
	}
	theirs := c.start.Add(t.Sub(c.start) + best.least + doubt/2).Round(0)
	return t.Add(theirs.Round(time.Second).Sub(theirs))
}

// best is what the answers of the last slots say together.
func (c *clock) best(at time.Duration, slots int64) (best clockBest, ok bool) {
	oldest := int64(at/clockSlot) + 1 - slots
	for _, s := range c.slots {
		if s.slot <= oldest || s.slot == 0 {
			continue
		}
		if ok {
			s.least, s.below = max(s.least, best.least), min(s.below, best.below)
		}
		best, ok = s, true
	}
	return best, ok
}
