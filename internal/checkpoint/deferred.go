package checkpoint

import (
	"cmp"
	"slices"
	"time"

	"leadstream/internal/lead"
)

// DeferredWindow is what is deferred of a suspended form: the leads submitted in its ranges are not
// in its topic yet.
type DeferredWindow struct {
	// From, To, Fresh and Explicit are what releases without ranges read: the hull of
	// the ranges, fresh from where one of them is, explicit where one is.
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Fresh    time.Time `json:"fresh,omitzero"`
	Explicit bool      `json:"explicit,omitempty"`
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason"`
	// Ranges are what is deferred, sorted. Empty in a record of an earlier release.
	Ranges []DeferredRange `json:"ranges,omitempty"`
}

// DeferredRange is a window of a deferred window, with how far the topic's horizon counts in it.
type DeferredRange struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Bound

	asOf ReadMark // when it was recorded last
	open bool     // nothing was published to the form's topic since
}

// Bound says how far the horizon of the topics counts for leads that they do not
// hold. Where none of it is set, what may have been removed stays out.
type Bound struct {
	// Fresh: nothing of it was ever published.
	Fresh bool `json:"fresh,omitempty"`
	// Explicit: somebody asked for exactly this.
	Explicit bool `json:"explicit,omitempty"`
}

// Window is the window that the range covers.
func (r DeferredRange) Window() lead.Window { return lead.Window{From: r.From, To: r.To} }

const (
	// deferredGap is how far apart two deferred leads may be to share a range.
	deferredGap = time.Hour
	// maxDeferred bounds the ranges of a deferred window. Of more, the two nearest with one bound
	// are one.
	maxDeferred = 32
)

// Window is the hull of what is deferred.
func (d DeferredWindow) Window() lead.Window { return lead.Window{From: d.From, To: d.To} }

// Parts are the ranges, also of a record that an earlier release wrote.
func (d DeferredWindow) Parts() []DeferredRange {
	if len(d.Ranges) > 0 || !d.From.Before(d.To) {
		return slices.Clone(d.Ranges)
	}
	if d.Explicit {
		return []DeferredRange{{From: d.From, To: d.To, Bound: Bound{Explicit: true}}}
	}
	fresh := lead.Earlier(lead.Later(d.Fresh, d.From), d.To)
	var parts []DeferredRange
	if d.From.Before(fresh) {
		parts = append(parts, DeferredRange{From: d.From, To: fresh})
	}
	if fresh.Before(d.To) {
		parts = append(parts, DeferredRange{From: fresh, To: d.To, Bound: Bound{Fresh: true}})
	}
	return parts
}

// Defer is the deferred window with a lead submitted at t deferred as well, under that bound. Of
// what was deferred before, only what is read later than asOf takes it out again. changed
// says whether the deferred window differs in what is stored.
func (d DeferredWindow) Defer(t time.Time, b Bound, asOf ReadMark) (next DeferredWindow, changed bool) {
	parts := d.Parts()
	at := slices.IndexFunc(parts, func(r DeferredRange) bool {
		return (r.Bound == b || r.Explicit) && r.Window().Contains(t)
	})
	if at < 0 {
		at = slices.IndexFunc(parts, func(r DeferredRange) bool {
			return r.Bound == b && r.open && t.Sub(r.To) < deferredGap && r.From.Sub(t) < deferredGap
		})
	}
	if at < 0 {
		at = len(parts)
		parts = append(parts, DeferredRange{From: t, To: t, Bound: b, open: true})
	}
	r := &parts[at]
	changed = !r.Window().Contains(t)
	r.From, r.To, r.asOf = lead.Earlier(r.From, t), lead.Later(r.To, t.Add(time.Millisecond)), asOf
	return d.with(parts), changed
}

// Published is the deferred window after a lead submitted at t was published to the form's
// topic by other work: what is fresh there is fresh no more, and nothing joins the
// ranges as they are. changed says whether it differs in what is stored.
func (d DeferredWindow) Published(t time.Time) (next DeferredWindow, changed bool) {
	parts := d.Parts()
	for i := range parts {
		parts[i].open = false
		if parts[i].Fresh && parts[i].Window().Contains(t) {
			parts[i].Fresh, changed = false, true
		}
	}
	return d.with(parts), changed
}

// Reconciled is the deferred window with w taken out of the ranges of that bound, apart from
// those recorded since w was read. It is zero when nothing is deferred any more.
func (d DeferredWindow) Reconciled(w lead.Window, b Bound, readAt ReadMark) DeferredWindow {
	var left []DeferredRange
	for _, r := range d.Parts() {
		if r.Bound != b || r.asOf > readAt {
			left = append(left, r)
			continue
		}
		for _, part := range r.Window().Without(w) {
			rest := r
			rest.From, rest.To = part.From, part.To
			left = append(left, rest)
		}
	}
	return d.with(left)
}

// with is the deferred window of these ranges.
func (d DeferredWindow) with(parts []DeferredRange) DeferredWindow {
	if len(parts) == 0 {
		return DeferredWindow{}
	}
	slices.SortFunc(parts, func(a, b DeferredRange) int {
		return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To))
	})
	for len(parts) > maxDeferred {
		parts = joinNearest(parts)
	}
	d.Ranges, d.From, d.To, d.Explicit = parts, parts[0].From, parts[0].To, false
	for _, r := range parts {
		d.To, d.Explicit = lead.Later(d.To, r.To), d.Explicit || r.Explicit
	}
	d.Fresh = d.To
	for _, r := range parts {
		if r.Fresh {
			d.Fresh = lead.Earlier(d.Fresh, r.From)
		}
	}
	return d
}

// joinNearest makes one of the two ranges with one bound that are closest.
func joinNearest(parts []DeferredRange) []DeferredRange {
	first, second, nearest := 0, 1, time.Duration(-1)
	for i := range parts {
		for j := i + 1; j < len(parts); j++ {
			if parts[i].Bound != parts[j].Bound {
				continue
			}
			if gap := parts[j].From.Sub(parts[i].To); nearest < 0 || gap < nearest {
				first, second, nearest = i, j, max(gap, 0)
			}
			break
		}
	}
	a, b := &parts[first], parts[second]
	a.To, a.asOf, a.open = lead.Later(a.To, b.To), max(a.asOf, b.asOf), a.open && b.open
	return slices.Delete(parts, second, second+1)
}
