package checkpoint

import (
	"slices"
	"time"

	"leadstream/internal/lead"
)

// Progress is what one source need not look at again: everything submitted
// before Live has been reconciled, except what Backlog still lists. It is a
// value; its methods return the progress that will hold once a window is done,
// to be committed together with that window's leads.
type Progress struct {
	// Live is the end of the last live window, in LinkedIn's clock.
	Live time.Time `json:"live"`
	// Lookback is when each step of the look-back ladder last ran.
	Lookback []Run `json:"lookback,omitempty"`
	// Backlog is what is recorded as still to be reconciled, oldest first:
	// the first start's backfill, and what an outage left behind.
	Backlog []Range `json:"backlog,omitempty"`
}

// Run is the last run of the look-back step of that length.
type Run struct {
	LengthMillis int64     `json:"length_ms"`
	Last         time.Time `json:"last"`
}

// RangeKind says what a backlog range came from.
type RangeKind string

const (
	// Backfill is the first start's reach into the past.
	Backfill RangeKind = "backfill"
	// CatchUp is what a poll left for later because it was too much for one.
	CatchUp RangeKind = "catch_up"
)

// Range is a recorded obligation to reconcile [Next, To).
type Range struct {
	Kind RangeKind `json:"kind"`
	// From is where the range began, for showing how far it is.
	From time.Time `json:"from"`
	Next time.Time `json:"next"`
	To   time.Time `json:"to"`
	// Fresh is the first moment of the range that no window had covered when
	// the range was recorded; what lies before it is looked at again.
	Fresh time.Time `json:"fresh"`
	// Leads is how many were published of it.
	Leads int64 `json:"leads,omitempty"`
}

// Window is what is left of the range.
func (r Range) Window() lead.Window { return lead.Window{From: r.Next, To: r.To} }

// Ratio is the part of the range that is done, 0 to 1, by submission time.
func (r Range) Ratio() float64 {
	if whole := r.To.Sub(r.From); whole > 0 {
		return float64(r.Next.Sub(r.From)) / float64(whole)
	}
	return 1
}

// Start is the progress of a source's first start at now: live polling begins
// there, and the time before it, as far as backfill reaches, is backlog.
func Start(now time.Time, backfill time.Duration, ladder Ladder) Progress {
	p := Progress{Live: now}
	for _, s := range ladder {
		p.Lookback = append(p.Lookback, Run{LengthMillis: s.Length.Milliseconds(), Last: now})
	}
	if backfill > 0 {
		from := now.Add(-backfill)
		p.Backlog = []Range{{Kind: Backfill, From: from, Next: from, To: now, Fresh: from}}
	}
	return p
}

// Poll is the window of a poll at now: from the farthest reach of the steps
// that are due to now. after is the progress once that window is reconciled.
// A clock of LinkedIn's that stands still or went back gives an empty window.
func (p Progress) Poll(ladder Ladder, now time.Time) (w lead.Window, after Progress) {
	if !now.After(p.Live) {
		return lead.Window{From: now, To: now}, p
	}
	from := p.Live
	slack := ladder[0].Period / 2 // polls are not exact; a step must not slip by a whole one
	for _, s := range ladder {
		last := p.lastRun(s.Length)
		if due := !now.Add(slack).Before(last.Add(s.Period)); due || s == ladder[0] {
			from = earlier(from, last.Add(-s.Length))
		}
	}
	after = p.clone()
	after.Live = now
	after.Lookback = after.Lookback[:0]
	for _, s := range ladder {
		last := p.lastRun(s.Length)
		if !last.Add(-s.Length).Before(from) {
			last = now
		}
		after.Lookback = append(after.Lookback, Run{LengthMillis: s.Length.Milliseconds(), Last: last})
	}
	return lead.Window{From: from, To: now}, after
}

// Onto is current with p's live position and look-back: polls and the backlog
// move at the same time, each its own part.
func (p Progress) Onto(current Progress) Progress {
	next := current.clone()
	next.Live, next.Lookback = p.Live, slices.Clone(p.Lookback)
	return next
}

// lastRun is the latest moment by which a step at least that long had run, or,
// when the look-back was shorter until now, the last run of the longest.
func (p Progress) lastRun(length time.Duration) time.Time {
	last, longest := time.Time{}, Run{Last: p.Live}
	for _, r := range p.Lookback {
		if r.LengthMillis >= length.Milliseconds() && r.Last.After(last) {
			last = r.Last
		}
		if r.LengthMillis > longest.LengthMillis {
			longest = r
		}
	}
	if last.IsZero() {
		return longest.Last
	}
	return last
}

// Defer is p, the progress after a window, with the part of that window below
// w.To recorded as backlog instead of being done. fresh is where the window
// left what had been covered before. Ranges that touch become one; what is not
// fresh in any of them is not in that one.
func (p Progress) Defer(w lead.Window, fresh time.Time) Progress {
	next := p.clone()
	add := Range{Kind: CatchUp, From: w.From, Next: w.From, To: w.To, Fresh: earlier(fresh, w.To)}
	parts := []Range{add}
	next.Backlog = slices.DeleteFunc(next.Backlog, func(r Range) bool {
		if r.Kind != CatchUp || r.To.Before(add.Next) || add.To.Before(r.Next) {
			return false
		}
		add.From, add.Next = earlier(add.From, r.From), earlier(add.Next, r.Next)
		add.Leads += r.Leads
		if r.To.After(add.To) {
			add.To = r.To
		}
		parts = append(parts, r)
		return true
	})
	if len(parts) > 1 {
		add.Fresh = freshOf(parts, add.To)
	}
	next.Backlog = append(next.Backlog, add)
	slices.SortFunc(next.Backlog, func(a, b Range) int { return a.Next.Compare(b.Next) })
	return next
}

// freshOf is the first moment of the ranges that no window had covered, to where
// there is none.
func freshOf(ranges []Range, to time.Time) time.Time {
	fresh := to
	for _, r := range ranges {
		if r.Fresh.Before(r.To) {
			fresh = earlier(fresh, r.Fresh)
		}
	}
	return fresh
}

// Done is p with the part w of its backlog of that kind reconciled, and so many
// leads published. A range that no longer begins at w.From, because it grew
// meanwhile, stays as it is.
func (p Progress) Done(kind RangeKind, w lead.Window, leads int) Progress {
	next := p.clone()
	for i, r := range next.Backlog {
		if r.Kind != kind || !r.Next.Equal(w.From) {
			continue
		}
		next.Backlog[i].Next = w.To
		next.Backlog[i].Leads += int64(leads)
		if !w.To.Before(r.To) {
			next.Backlog = slices.Delete(next.Backlog, i, i+1)
		}
		break
	}
	return next
}

func (p Progress) clone() Progress {
	p.Lookback = slices.Clone(p.Lookback)
	p.Backlog = slices.Clone(p.Backlog)
	return p
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
