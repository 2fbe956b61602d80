package connector

import (
	"context"
	"sync"
	"time"

	"leadstream/internal/checkpoint"
)

const (
	// maxPending bounds what waits; the poll finds what is turned away.
	maxPending = 20_000
	// A lead that LinkedIn told of but does not show yet is looked for after a
	// second, then at twice the distance each time, and after five minutes left to
	// the polls. How far it lags behind its notification is not documented.
	awaitFirst = time.Second
	awaitMost  = 5 * time.Minute
)

// pendingNotifications holds the responses of one source that LinkedIn has told of and that are
// not in their topics yet. Repeated notifications merge. It is safe for
// concurrent use.
type pendingNotifications struct {
	wake chan struct{} // holds one when something came

	mu      sync.Mutex
	waiting map[string]*awaited // by response id
}

// awaited is one of them.
type awaited struct {
	occurred time.Time // at LinkedIn
	came     time.Time
	due      time.Time // not to be asked for before
	tries    int
}

func newPendingNotifications() *pendingNotifications {
	return &pendingNotifications{wake: make(chan struct{}, 1), waiting: map[string]*awaited{}}
}

// add takes in a notification; of two with one id the later counts.
func (b *pendingNotifications) add(p checkpoint.Pushed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.waiting[p.Response]
	if known != nil && !known.occurred.Before(p.At) || known == nil && len(b.waiting) >= maxPending {
		return
	}
	b.waiting[p.Response] = &awaited{occurred: p.At, came: time.Now()}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// ready are those that are due, with when they occurred, and otherwise how long
// until one is, -1 when none waits.
func (b *pendingNotifications) ready() (due map[string]time.Time, next time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	due, next = map[string]time.Time{}, -1
	for id, a := range b.waiting {
		switch wait := a.due.Sub(now); {
		case wait <= 0:
			due[id] = a.occurred
		case next < 0 || wait < next:
			next = wait
		}
	}
	return due, next
}

// drop takes out a response that was deleted, unless it was submitted again since.
func (b *pendingNotifications) drop(id string, deleted time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.waiting[id]; a != nil && !a.occurred.After(deleted) {
		delete(b.waiting, id)
	}
}

// finish takes out what was found or is left to the poll, unless a later
// notification of it has come meanwhile, and lets the rest of what was due wait
// for another time. It gives the number of those given up.
func (b *pendingNotifications) finish(due map[string]time.Time, got pushed) (givenUp int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for id, occurred := range due {
		a := b.waiting[id]
		if a == nil || !a.occurred.Equal(occurred) {
			continue
		}
		wait := max(awaitFirst<<min(a.tries, 10), got.wait)
		switch {
		case got.found[id]:
			delete(b.waiting, id)
		case got.left[id] || now.Add(wait).Sub(a.came) > awaitMost:
			delete(b.waiting, id)
			givenUp++
		default:
			a.tries++
			a.due = now.Add(wait)
		}
	}
	return givenUp
}

// await waits until something comes, or for the next that is due.
func (b *pendingNotifications) await(ctx context.Context, next time.Duration) error {
	var timer <-chan time.Time
	if next >= 0 {
		timer = time.After(next)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-b.wake:
	case <-timer:
	}
	return nil
}
