package connector

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

const (
	// sliceRows is how many responses a slice of a window aims at, and
	// sliceLimit how many it may hold before it is cut; one that takes much memory
	// counts as several (lead.Response.Weight).
	sliceRows  = 2500
	sliceLimit = 4000
	// idleCommit is how seldom progress is written when nothing was published.
	// What is older in the topic than in memory only makes a restart look
	// back further.
	idleCommit = 10 * time.Second
)

// poller reconciles the live window of a source.
type poller struct {
	*session
	src lead.Source
	// until is how far --once reads: up to the moment at which this began, by LinkedIn's clock.
	// It waits for as long as onceFor for that clock to pass it.
	until   time.Time
	onceFor time.Duration
}

// run polls at once, and then at every interval, a little scattered so that several sources and
// processes spread out.
func (r *poller) run(ctx context.Context) error {
	if r.awaitClock(ctx) != nil {
		return nil
	}
	next := time.Now()
	for began := next; ; {
		err := r.retry(ctx, r.src.Owner, polling+r.src.String(), func(ctx context.Context) error {
			err := r.poll(ctx)
			r.outcome(err)
			if fault.Has[*clockBehindError](err) && !r.opts.Once {
				return nil // compareClocks has said so; there is nothing to ask for until it is right again
			}
			return err
		})
		if err != nil {
			return r.unlessOthersGoOn(err)
		}
		if s, _ := r.sources.get(r.src); r.opts.Once && !s.caughtUp {
			if now, _ := r.opts.LinkedIn.Now(); time.Since(began) > r.onceFor && now.Before(r.until) {
				err := &ClockError{Now: now}
				r.sources.set(r.src, func(s *sourceState) { s.err = err })
				return r.unlessOthersGoOn(err)
			}
			if err := fault.Sleep(ctx, onceAgain); err != nil {
				return err
			}
			continue
		}
		scatter := time.Duration((rand.Float64() - 0.5) * 0.1 * float64(r.opts.Interval))
		next = lead.Later(next.Add(r.opts.Interval), time.Now())
		if err := fault.Sleep(ctx, time.Until(r.opts.LinkedIn.Moment(r.src, next.Add(scatter)))); err != nil {
			return err
		}
	}
}

// awaitClock waits for LinkedIn's first answer, which tells its time. Discovery
// asks for it, and says what is wrong when none comes.
func (r *poller) awaitClock(ctx context.Context) error {
	for {
		if _, ok := r.opts.LinkedIn.Now(); ok {
			return nil
		}
		if err := fault.Sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// outcome notes how a poll went, for status, metrics and --once.
func (r *poller) outcome(err error) {
	if err != nil && fault.KindOf(err) == fault.Suspend {
		r.suspect()
	}
	r.sources.set(r.src, func(s *sourceState) {
		if err == nil {
			s.err, s.success = nil, r.opts.Now()
		} else if fault.KindOf(err).NeedsPerson() {
			s.err = err
		}
	})
}

// poll reconciles the window that is due for a source: what is new, and as far
// back as the look-back steps that are due reach. A window that holds too much
// for one poll is cut: its newest part is done at once, the rest is backlog.
func (r *poller) poll(ctx context.Context) error {
	now, ok := r.opts.LinkedIn.Now()
	if !ok { // nothing was asked yet: the discovery's first answer tells the time
		return fault.As(fault.Retry, errNoClock)
	}
	now = now.Truncate(time.Millisecond)
	position, _ := r.position()
	p, err := r.begin(ctx, now, position)
	if err != nil {
		return err
	}
	w, after := p.Poll(r.ladder, now, position)
	r.reportLost(r.src, p.Live)
	j := &work{src: r.src, view: r.live, floor: now.Add(-r.opts.Lookback - 2*r.opts.Interval - time.Hour), readAt: r.mark(), delivery: freshDelivery(p.Live, delivery.DeliveryLive, delivery.DeliveryLate)}
	j.advance = checkpoint.Polled{Source: r.src, After: after, Read: w, ReadAt: j.readAt}
	err = r.reconcile(ctx, j, w, sliceLimit)
	for cut := w.From; isTooMany(err); {
		cut = nextCut(cut, p.Live.Add(-r.ladder[0].Length), now)
		limit := sliceLimit
		if now.Sub(cut) <= time.Second {
			limit = 0 // so many in one second: take them as they come
		}
		newest, older := lead.Window{From: cut, To: now}, lead.Window{From: w.From, To: cut}
		j.readAt = r.mark()
		j.advance = checkpoint.Polled{Source: r.src, After: after, Read: newest, ReadAt: j.readAt, Later: older, Fresh: p.Live, AsOf: r.mark()}
		err = r.reconcile(ctx, j, newest, limit)
	}
	if err == nil {
		if r.until.IsZero() { // LinkedIn's clock is known to a second only
			r.until = now.Add(onceMargin)
		}
		r.sources.set(r.src, func(s *sourceState) { s.caughtUp = s.caughtUp || !now.Before(r.until) })
	}
	return err
}

var errNoClock = errors.New("LinkedIn's clock is not known yet")

// nextCut moves the start of the part that a poll does itself towards now.
func nextCut(cut, base, now time.Time) time.Time {
	if cut.Before(base) {
		return base
	}
	return now.Add(-max(now.Sub(cut)/4, time.Second)).Truncate(time.Millisecond)
}

// freshDelivery labels what was never covered before one way, what was looked back
// on another.
func freshDelivery(fresh time.Time, isFresh, isNot delivery.Delivery) func(time.Time) delivery.Delivery {
	return func(t time.Time) delivery.Delivery {
		if t.Before(fresh) {
			return isNot
		}
		return isFresh
	}
}
