package webhook

import (
	"sync"
	"time"
)

// eventKind says when something that may happen any number of times is worth a
// line in the log. Safe for concurrent use.
type eventKind struct {
	every time.Duration
	now   func() time.Time

	mu   sync.Mutex
	kept map[string]*count
}

type count struct {
	times int
	said  time.Time
}

// come notes that it happened. say is true for the first time, and then at most
// once in every; times is how often it happened since it was said last.
func (o *eventKind) come(kind string) (times int, say bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.kept == nil {
		o.kept = map[string]*count{}
	}
	c := o.kept[kind]
	if c == nil {
		c = &count{}
		o.kept[kind] = c
	}
	c.times++
	if now := o.now(); c.said.IsZero() || now.Sub(c.said) >= o.every {
		times, c.times, c.said = c.times, 0, now
		return times, true
	}
	return 0, false
}
