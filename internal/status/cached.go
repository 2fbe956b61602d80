package status

import (
	"context"
	"sync"
	"time"
)

// cached keeps something that takes a moment to find out, such as what a topic
// holds, for those who look at the page or ask whether all is well. It is found
// out only when somebody asks, beside the request, and what succeeds takes no more
// than a twentieth of the time: who keeps a page open costs little, however large
// the topic. Safe for concurrent use.
type cached[T any] struct {
	find  func(context.Context) (T, error)
	every time.Duration // the least time between two looks
	asked chan struct{} // has room for one
	// untilFound has it looked for again by itself after a look that failed: that
	// something does not answer is told, and so must be its end, though nobody asks.
	untilFound bool

	mu    sync.Mutex
	value T
	at    time.Time // when value was found, zero when it never was
	err   error     // of the last look
	due   time.Time // when the next look is
	done  chan struct{}
}

func newCached[T any](every time.Duration, find func(context.Context) (T, error)) *cached[T] {
	return &cached[T]{find: find, every: every, asked: make(chan struct{}, 1), done: make(chan struct{})}
}

const (
	// healthShare is how many times as long as a look took there is none.
	healthShare = 20
	// healthAge is how soon after a look that failed there may be another, however
	// long it took, which was waiting and no work: that all is well again should not
	// take long to show.
	healthAge = 5 * time.Second
	// healthAlone is how soon after a look that failed there is another though
	// nobody asks.
	healthAlone = 2 * healthAge
)

// run looks when it is asked to, until ctx ends.
func (g *cached[T]) run(ctx context.Context) error {
	for {
		var again <-chan time.Time
		if _, _, err := g.last(); err != nil && g.untilFound {
			again = time.After(healthAlone)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-g.asked:
		case <-again:
		}
		if !g.isDue() { // asked for while the last look was under way, which has answered it
			continue
		}
		began := time.Now()
		value, err := g.find(ctx)
		if ctx.Err() != nil {
			return nil
		}
		g.found(began, value, err)
	}
}

func (g *cached[T]) isDue() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !time.Now().Before(g.due)
}

func (g *cached[T]) found(began time.Time, value T, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.err = err; err == nil {
		g.value, g.at = value, now
		g.due = now.Add(max(g.every, healthShare*now.Sub(began)))
	} else {
		g.due = now.Add(min(g.every, healthAge))
	}
	close(g.done)
	g.done = make(chan struct{})
}

// ask has a look begin when one is due; fresh is closed once there was one, nil
// when none is due.
func (g *cached[T]) ask() (fresh <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Now().Before(g.due) {
		return nil
	}
	select {
	case g.asked <- struct{}{}:
	default: // somebody has asked already
	}
	return g.done
}

// askAgain is ask when the last look has failed, and nothing otherwise.
func (g *cached[T]) askAgain() {
	if _, _, err := g.last(); err != nil {
		g.ask()
	}
}

// get is what was found last and when, the zero time when nothing was, and the
// error of the last look. When one is due it is waited for until ctx ends.
func (g *cached[T]) get(ctx context.Context) (T, time.Time, error) {
	if fresh := g.ask(); fresh != nil {
		select {
		case <-fresh:
		case <-ctx.Done():
		}
	}
	return g.last()
}

// last is get without a look.
func (g *cached[T]) last() (T, time.Time, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.value, g.at, g.err
}
