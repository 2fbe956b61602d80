package fault

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Backoff spaces the attempts at one piece of work: exponential from First to
// Max, each delay randomised by half of it either way so that several waiting
// processes do not return together. The zero value is not usable; a Backoff is
// not safe for concurrent use.
type Backoff struct {
	policy   *backoff.ExponentialBackOff
	attempts int
}

// NewBackoff makes a Backoff whose first delay is about first and whose
// longest is about longest.
func NewBackoff(first, longest time.Duration) *Backoff {
	p := backoff.NewExponentialBackOff()
	p.InitialInterval, p.MaxInterval, p.Multiplier = first, longest, 2
	p.Reset()
	return &Backoff{policy: p}
}

// Attempts is how many waits there have been since the start or the last Reset.
func (b *Backoff) Attempts() int { return b.attempts }

// Reset starts over, after a success.
func (b *Backoff) Reset() {
	b.attempts = 0
	b.policy.Reset()
}

// Wait sleeps for the next delay, or for least if that is longer, and returns
// early with the context's error when ctx ends.
func (b *Backoff) Wait(ctx context.Context, least time.Duration) error {
	return b.WaitOr(ctx, least, nil)
}

// WaitOr is Wait that ends without an error when wake is closed, too.
func (b *Backoff) WaitOr(ctx context.Context, least time.Duration, wake <-chan struct{}) error {
	b.attempts++
	timer := time.NewTimer(max(b.policy.NextBackOff(), least))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	case <-wake:
	}
	return nil
}

// Sleep waits for d, or returns the context's error when ctx ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
