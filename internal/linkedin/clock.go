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
)

// clock reckons a lower bound of LinkedIn's clock. A Date header has a
// resolution of one second, rounded down, and was written before the answer
// arrived: Date plus the time since the arrival never exceeds LinkedIn's clock.
// Of the answers of the last ten minutes the best bound counts, so that many
// requests at different parts of a second sharpen it to a few milliseconds.
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

// clockBest is the largest offset (LinkedIn's time less our monotonic time) seen
// in one slot of the period.
type clockBest struct {
	slot   int64 // number of the slot since the start, from 1; 0 is empty
	offset time.Duration
}

func newClock() *clock { return &clock{start: time.Now()} }

// observe takes the Date of an answer to a request sent at the time given,
// which has just arrived.
func (c *clock) observe(date, sent time.Time) {
	now := time.Now()
	at := now.Sub(c.start)
	offset := date.Sub(c.start) - at
	c.mu.Lock()
	defer c.mu.Unlock()
	if best, ok := c.best(at); ok && best >= offset+time.Second+now.Sub(sent) {
		c.slots = [clockSlots]clockBest{}
	}
	c.known, c.last = true, offset
	slot := int64(at/clockSlot) + 1
	s := &c.slots[slot%clockSlots]
	if s.slot != slot || s.offset < offset {
		*s = clockBest{slot: slot, offset: offset}
	}
}

// now is the bound, false before the first answer.
func (c *clock) now() (time.Time, bool) {
	at := time.Since(c.start)
	c.mu.Lock()
	defer c.mu.Unlock()
	best, ok := c.best(at)
	if !ok {
		best = c.last
	}
	return c.start.Add(at + best).Round(0).UTC(), c.known // Round drops our monotonic reading
}

// best is the largest offset of the period that ends now.
func (c *clock) best(at time.Duration) (best time.Duration, ok bool) {
	oldest := int64(at/clockSlot) + 1 - clockSlots
	for _, s := range c.slots {
		if s.slot > oldest && s.slot > 0 && (!ok || s.offset > best) {
			best, ok = s.offset, true
		}
	}
	return best, ok
}
