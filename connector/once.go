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
	"leadstream/internal/lead"
)

// onceAttempts is how often --once tries the same work before it gives up: a
// command that ends must not wait for ever.
const onceAttempts = 7

// onceLimit is how long --once waits in all before it tries the same work again:
// a limit of the day is over tomorrow.
const onceLimit = 10 * time.Minute

// errFinished ends an epoch that has done all it was asked to (--once).
var errFinished = errors.New("finished")

// untilFinished ends the epoch when everything that --once asks for is done.
func (e *leader) untilFinished(ctx context.Context) error {
	for {
		if fault.Sleep(ctx, 50*time.Millisecond) != nil {
			return nil
		}
		if e.finished() {
			return e.lastRound(ctx)
		}
	}
}

func (e *leader) finished() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.discovered || !e.deletionsApplied {
		return false
	}
	for src, s := range e.sources {
		if s.err == nil && s.stuck == nil && (!e.polledUntil(s) || len(e.state().Sources[src].Backlog) > 0) {
			return false
		}
	}
	if e.opts.Replay != nil {
		r, begun := e.state().Replays[e.opts.Replay.ID]
		return begun && r.Done()
	}
	return true
}

const (
	// onceAgain is how soon --once polls again while it has not caught up.
	onceAgain = 50 * time.Millisecond
	// onceMargin is how far LinkedIn's clock may be ahead of what is known of it.
	onceMargin = 2 * time.Second
)

// polledUntil reports whether a source was polled up to the moment at which --once
// began. LinkedIn's clock is known to a second only, so that this moment is over
// once what is known of it has passed by more. The caller holds the mutex.
func (e *leader) polledUntil(s *sourceState) bool {
	if e.until.IsZero() {
		now, ok := e.opts.LinkedIn.Now()
		if !ok {
			return false
		}
		e.until = now.Add(onceMargin)
	}
	return !s.polledTo.Before(e.until)
}

// caughtUp is polledUntil of a source.
func (e *leader) caughtUp(src lead.Source) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sources[src]
	return s == nil || e.polledUntil(s)
}

// lastRound ends an epoch that has caught up with everything else (--once): it
// tries once more to fix the suspended forms and to deliver what is deferred. The
// answer is errFinished when everything was read and nothing is left deferred, else
// what was not, and why: a command that ends must not hide it behind success.
func (e *leader) lastRound(ctx context.Context) error {
	err := e.retry(ctx, "", "delivering what is deferred of forms", func(ctx context.Context) error {
		return e.deferredRound(ctx, true)
	})
	if err != nil {
		return err
	}
	return e.left()
}

// left is errFinished when everything was read, nothing is deferred of a form, no lead
// that was deleted is left in its topic, and no deletion is in doubt.
func (e *leader) left() error {
	left := slices.Concat(e.unread(), e.waiting(), e.unapplied())
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.unreadableDeletion != nil {
		left = append(left, e.unreadableDeletion)
	}
	if len(left) > 0 {
		return errors.Join(left...)
	}
	return errFinished
}

// errNothingToRead says that there is nothing that this installation could read.
var errNothingToRead = errors.New("nothing was read: the authorising member has no role on any organization's page")

// unread names what could not be read: sources, and organizations that never
// became one.
func (e *leader) unread() []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var left []error
	started := map[string]bool{}
	for _, src := range slices.SortedFunc(maps.Keys(e.sources), func(a, b lead.Source) int { return strings.Compare(a.String(), b.String()) }) {
		started[src.Owner] = true
		s := e.sources[src]
		for _, why := range []error{s.err, s.stuck} {
			if why != nil {
				left = append(left, fmt.Errorf("the leads of %s are not all read: %w", src, why))
				break
			}
		}
	}
	for _, org := range e.orgs {
		if org.Problem != "" && !org.Incidental && !started[org.URN] {
			left = append(left, fmt.Errorf("the leads of %s are not read: %s", org.URN, org.Problem))
		}
	}
	if len(left) == 0 && len(e.sources) == 0 {
		left = append(left, errNothingToRead)
	}
	return left
}

// errUnsettled is why a form that is not suspended has something deferred still.
var errUnsettled = errors.New("its leads were not delivered yet")

// waiting says what is deferred of forms, and why.
func (e *leader) waiting() []error {
	held := e.state().Deferred
	ids := slices.SortedFunc(maps.Keys(held), func(a, b checkpoint.DeferredID) int { return strings.Compare(a.Form, b.Form) })
	var deferred []error
	for _, id := range ids {
		why := e.forms.Suspended(id.Form)
		if why == nil {
			why = errUnsettled
		}
		window := held[id]
		deferred = append(deferred, fmt.Errorf("leads of form %s are deferred, submitted in %s: %w", id.Form, window.Window(), why))
	}
	return deferred
}
