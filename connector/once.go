package connector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
)

// onceAttempts is how often --once tries the same work before it gives up: a
// command that ends must not wait for ever.
const onceAttempts = 7

// onceLimit is how long --once waits in all before it tries the same work again:
// a limit of the day is over tomorrow.
const onceLimit = 10 * time.Minute

// errFinished ends a session that has done all it was asked to (--once).
var errFinished = errors.New("finished")

// untilFinished ends the session when everything that --once asks for is done.
func (l *leader) untilFinished(ctx context.Context) error {
	for {
		if fault.Sleep(ctx, 50*time.Millisecond) != nil {
			return nil
		}
		if l.finished() {
			return l.lastRound(ctx)
		}
	}
}

// finished reports whether there is nothing more to wait for.
func (l *leader) finished() bool {
	if !l.catalog.complete() || !l.deletions.done() {
		return false
	}
	for _, src := range l.sources.list() {
		s, _ := l.sources.get(src)
		if s.err == nil && s.stuck == nil && (!s.caughtUp || len(l.state().Sources[src].Backlog) > 0) {
			return false
		}
	}
	if l.opts.Replay != nil {
		r, begun := l.state().Replays[l.opts.Replay.ID]
		return begun && r.Done()
	}
	return true
}

const (
	// onceAgain is how soon --once polls again while it has not caught up.
	onceAgain = 50 * time.Millisecond
	// onceMargin is how far LinkedIn's clock may be ahead of what is known of it: it is known
	// to a second only.
	onceMargin = 2 * time.Second
	// onceClock is how long --once polls for LinkedIn's clock to pass that.
	onceClock = 30 * time.Second
)

// lastRound ends a session that has caught up with everything else (--once): it
// tries once more to fix the suspended forms and to deliver what is deferred. The
// answer is errFinished when everything was read and nothing is left deferred, else
// what was not, and why: a command that ends must not hide it behind success.
func (l *leader) lastRound(ctx context.Context) error {
	err := l.retry(ctx, "", settling, func(ctx context.Context) error { return l.deferrer.round(ctx, true) })
	if err != nil {
		return err
	}
	return l.left()
}

// left is errFinished when everything was read, nothing is deferred of a form, no lead
// that was deleted is left in its topic, and no deletion is in doubt.
func (l *leader) left() error {
	if left := slices.Concat(l.unread(), l.waiting(), l.deletions.left()); len(left) > 0 {
		return errors.Join(left...)
	}
	return errFinished
}

// errNothingToRead says that there is nothing that this installation could read.
var errNothingToRead = errors.New("nothing was read: the authorising member has no role on any organization's page")

// unread names what could not be read: sources, and organizations that never
// became one.
func (l *leader) unread() []error {
	var left []error
	started := map[string]bool{}
	for _, src := range l.sources.list() {
		started[src.Owner] = true
		s, _ := l.sources.get(src)
		for _, why := range []error{s.err, s.stuck} {
			if why != nil {
				left = append(left, fmt.Errorf("the leads of %s are not all read: %w", src, why))
				break
			}
		}
	}
	for _, org := range l.catalog.organizations() {
		if org.Problem != "" && !org.Incidental && !started[org.URN] {
			left = append(left, fmt.Errorf("the leads of %s are not read: %s", org.URN, org.Problem))
		}
	}
	if len(left) == 0 && len(started) == 0 {
		left = append(left, errNothingToRead)
	}
	return left
}

// errUnsettled is why a form that is not suspended has something deferred still.
var errUnsettled = errors.New("its leads were not delivered yet")

// waiting says what is deferred of forms, and why.
func (l *leader) waiting() []error {
	held := l.state().Deferred
	ids := slices.SortedFunc(maps.Keys(held), func(a, b checkpoint.DeferredID) int { return strings.Compare(a.Form, b.Form) })
	var deferred []error
	for _, id := range ids {
		why := l.forms.Suspended(id.Form)
		if why == nil {
			why = errUnsettled
		}
		window := held[id]
		deferred = append(deferred, fmt.Errorf("leads of form %s are deferred, submitted in %s: %w", id.Form, window.Window(), why))
	}
	return deferred
}
