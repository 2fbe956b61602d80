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

	renewed []renewal // parts of the backlog that were recorded while somebody may have been reading
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

// Poll is the window of a poll that reads up to now: from the farthest reach of
// the steps that are due. after is the progress once that window is reconciled.
//
// now is LinkedIn's clock, and known only from what its answers say; it is never
// later than the end of the window. position bounds how far the progress moves: an
// answer with a date far ahead must not have what comes until then taken for read.
func (p Progress) Poll(ladder Ladder, now, position time.Time) (w lead.Window, after Progress) {
	position = lead.Later(p.Live, lead.Earlier(now, position))
	from := p.Live
	slack := ladder[0].Period / 2 // polls are not exact; a step must not slip by a whole one
	for _, s := range ladder {
		last := p.lastRun(s.Length)
		if due := !position.Add(slack).Before(last.Add(s.Period)); due || s == ladder[0] {
			from = lead.Earlier(from, last.Add(-s.Length))
		}
	}
	after = p.clone()
	after.Live = position
	after.Lookback = after.Lookback[:0]
	for _, s := range ladder {
		last := p.lastRun(s.Length)
		if !last.Add(-s.Length).Before(from) {
			last = position
		}
		after.Lookback = append(after.Lookback, Run{LengthMillis: s.Length.Milliseconds(), Last: last})
	}
	if !from.Before(now) {
		return lead.Window{From: now, To: now}, p
	}
	return lead.Window{From: from, To: now}, after
}

// Rewind is p taken back to t, a moment up to which everything had been read: the
// position and the runs of the look-back are no later, and no range ends later.
// It is for a position that lies in the future.
func (p Progress) Rewind(t time.Time) Progress {
	next := p.clone()
	next.Live = lead.Earlier(next.Live, t)
	for i := range next.Lookback {
		next.Lookback[i].Last = lead.Earlier(next.Lookback[i].Last, t)
	}
	for i := range next.Backlog {
		next.Backlog[i].To = lead.Earlier(next.Backlog[i].To, t)
	}
	next.Backlog = slices.DeleteFunc(next.Backlog, func(r Range) bool { return !r.Next.Before(r.To) })
	return next
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

// Defer is p, the progress after a window, with the part w of that window recorded
// as backlog instead of being done. fresh is where the window left what had been
// covered before. What of w is backlog already stays as it is; asOf counts for all
// of it: only what is read later takes it out again.
func (p Progress) Defer(w lead.Window, fresh time.Time, asOf ReadMark) Progress {
	next := p.clone()
	for _, gap := range without(w, next.Backlog) {
		next.Backlog = append(next.Backlog, Range{Kind: CatchUp, From: gap.From, Next: gap.From, To: gap.To,
			Fresh: lead.Earlier(lead.Later(fresh, gap.From), gap.To)})
	}
	next.Backlog = joinRanges(next.Backlog)
	next.renewed = renew(next.renewed, w, asOf)
	return next
}

// without are the parts of w that lie in none of the ranges.
func without(w lead.Window, ranges []Range) []lead.Window {
	parts := []lead.Window{w}
	for _, r := range ranges {
		var left []lead.Window
		for _, part := range parts {
			left = append(left, part.Without(r.Window())...)
		}
		parts = left
	}
	return parts
}

// joinRanges sorts the ranges and joins catch-ups that touch, as far as one moment
// can still say from where on the whole was never covered.
func joinRanges(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int { return a.Next.Compare(b.Next) })
	joined := ranges[:0]
	for _, r := range ranges {
		if n := len(joined); n > 0 {
			if before := &joined[n-1]; before.Kind == CatchUp && r.Kind == CatchUp && before.To.Equal(r.Next) && before.joins(r) {
				if !before.Fresh.Before(before.To) {
					before.Fresh = r.Fresh
				}
				before.To, before.Leads = r.To, before.Leads+r.Leads
				continue
			}
		}
		joined = append(joined, r)
	}
	return joined
}

// joins reports whether what was never covered of r and of next, which follows it,
// is one stretch up to the end.
func (r Range) joins(next Range) bool {
	return !r.Fresh.Before(r.To) || !next.Fresh.After(next.Next)
}

// Done is p with w reconciled: every range has what lies in w taken out, apart from
// what was recorded since w was read. A range of that kind which begins there counts
// so many leads published.
func (p Progress) Done(kind RangeKind, w lead.Window, leads int, readAt ReadMark) Progress {
	next := p.clone()
	for i, r := range next.Backlog {
		if r.Kind == kind && r.Next.Equal(w.From) {
			next.Backlog[i].Leads += int64(leads)
			break
		}
	}
	return next.Reconciled(w, readAt)
}

// Reconciled is p with w taken out of the backlog, apart from what was recorded
// since w was read.
func (p Progress) Reconciled(w lead.Window, readAt ReadMark) Progress {
	next := p.clone()
	for _, part := range cleared(w, next.renewed, readAt) {
		var left []Range
		for _, r := range next.Backlog {
			left = append(left, r.without(part)...)
		}
		next.Backlog = left
	}
	next.renewed = slices.DeleteFunc(next.renewed, func(r renewal) bool { return !r.within(next.Backlog) })
	return next
}

// without is what is left of the range once w is done.
func (r Range) without(w lead.Window) []Range {
	var left []Range
	for _, part := range r.Window().Without(w) {
		rest := r
		if !part.From.Equal(r.Next) && r.Next.Before(w.From) { // cut in two: the later part is a range of its own
			rest.From, rest.Leads = part.From, 0
		}
		rest.Next, rest.To = part.From, part.To
		left = append(left, rest)
	}
	return left
}

// Fresh are the windows of the backfill of which nothing was ever published: what a
// topic lacks of them it never had.
func (p Progress) Fresh() []lead.Window {
	var fresh []lead.Window
	for _, r := range p.Backlog {
		if from := lead.Later(r.Next, r.Fresh); r.Kind == Backfill && from.Before(r.To) {
			fresh = append(fresh, lead.Window{From: from, To: r.To})
		}
	}
	return fresh
}

func (p Progress) clone() Progress {
	p.Lookback = slices.Clone(p.Lookback)
	p.Backlog = slices.Clone(p.Backlog)
	p.renewed = slices.Clone(p.renewed)
	return p
}

// sameBacklog reports whether both list the same as still to be done.
func (p Progress) sameBacklog(other Progress) bool { return slices.Equal(p.Backlog, other.Backlog) }
