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

// pollLoop polls a source at once, and then at every interval, a little
// scattered so that several sources and processes spread out.
func (e *leader) pollLoop(ctx context.Context, src lead.Source) error {
	if e.awaitClock(ctx) != nil {
		return nil
	}
	next := time.Now()
	for {
		err := e.retry(ctx, src.Owner, polling+src.String(), func(ctx context.Context) error {
			err := e.poll(ctx, src)
			e.outcome(src, err)
			return err
		})
		if err != nil {
			return e.unlessOthersGoOn(err)
		}
		if e.opts.Once && !e.caughtUp(src) {
			if err := fault.Sleep(ctx, onceAgain); err != nil {
				return err
			}
			continue
		}
		scatter := time.Duration((rand.Float64() - 0.5) * 0.1 * float64(e.opts.Interval))
		next = later(next.Add(e.opts.Interval), time.Now())
		if err := fault.Sleep(ctx, time.Until(e.opts.LinkedIn.Moment(src, next.Add(scatter)))); err != nil {
			return err
		}
	}
}

// awaitClock waits for LinkedIn's first answer, which tells its time. Discovery
// asks for it, and says what is wrong when none comes.
func (e *leader) awaitClock(ctx context.Context) error {
	for {
		if _, ok := e.opts.LinkedIn.Now(); ok {
			return nil
		}
		if err := fault.Sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// outcome notes how a poll went, for status, metrics and --once.
func (e *leader) outcome(src lead.Source, err error) {
	if err != nil && fault.KindOf(err) == fault.Suspend {
		e.suspect()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.sources[src]
	if s == nil {
		return
	}
	if err == nil {
		s.err, s.success = nil, e.opts.Now()
	} else if fault.KindOf(err).NeedsPerson() {
		s.err = err
	}
}

// unlessOthersGoOn is nil where --once gives up one source that cannot be read:
// the others are caught up with first, and lastRound says why this one was not.
func (e *leader) unlessOthersGoOn(err error) error {
	if e.opts.Once && fault.KindOf(err) == fault.Suspend {
		return nil
	}
	return err
}

// poll reconciles the window that is due for a source: what is new, and as far
// back as the look-back steps that are due reach. A window that holds too much
// for one poll is cut: its newest part is done at once, the rest is backlog.
func (e *leader) poll(ctx context.Context, src lead.Source) error {
	now, ok := e.opts.LinkedIn.Now()
	if !ok { // nothing was asked yet: the discovery's first answer tells the time
		return fault.As(fault.Retry, errNoClock)
	}
	now = now.Truncate(time.Millisecond)
	position, _ := e.position()
	p, err := e.begin(ctx, src, now, position)
	if err != nil {
		return err
	}
	w, after := p.Poll(e.ladder, now, position)
	e.reportLost(src, p.Live)
	j := &work{src: src, view: e.live, floor: now.Add(-e.opts.Lookback - 2*e.opts.Interval - time.Hour), readAt: e.mark(), delivery: freshDelivery(p.Live, delivery.DeliveryLive, delivery.DeliveryLate)}
	j.advance = checkpoint.Polled{Source: src, After: after, Read: w, ReadAt: j.readAt}
	err = e.reconcile(ctx, j, w, sliceLimit)
	for cut := w.From; isTooMany(err); {
		cut = nextCut(cut, p.Live.Add(-e.ladder[0].Length), now)
		limit := sliceLimit
		if now.Sub(cut) <= time.Second {
			limit = 0 // so many in one second: take them as they come
		}
		newest, older := lead.Window{From: cut, To: now}, lead.Window{From: w.From, To: cut}
		j.readAt = e.mark()
		j.advance = checkpoint.Polled{Source: src, After: after, Read: newest, ReadAt: j.readAt, Later: older, Fresh: p.Live, AsOf: e.mark()}
		err = e.reconcile(ctx, j, newest, limit)
	}
	if err == nil {
		e.polledTo(src, now)
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

// saveTime bounds the last commit of an epoch that ends in peace.
const saveTime = 3 * time.Second

// saveProgress commits the progress that was left for later, so that the next start
// need not look back for it. Without it nothing is lost.
func (e *leader) saveProgress(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	records := checkpoint.Records{}
	e.mu.Lock()
	for src, s := range e.sources {
		if s.unsaved {
			records[checkpoint.SourceKey(src)] = e.state().Sources[src]
		}
	}
	e.mu.Unlock()
	if e.opts.Requests != nil { // with LinkedIn's limit met, nothing else was committed
		records[checkpoint.RequestsKey] = checkpoint.Requests{Counters: e.opts.Requests()}
	}
	return e.store.Commit(ctx, delivery.Batch{Records: records})
}
