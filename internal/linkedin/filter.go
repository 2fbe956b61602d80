package linkedin

import (
	"slices"
	"time"

	"leadstream/internal/lead"
)

// filter passes the rows of a window on and counts them.
type filter struct {
	source lead.Source
	window lead.Window
	limit  int
	fn     func([]lead.Response) error
	// asked is the range that LinkedIn was asked for, both bounds included: what
	// lies in it and not in the window is another window's, by rounding alone.
	asked lead.Window
	// conceivable is when a lead can have been submitted at all.
	conceivable lead.Window

	// Of this reading:
	rows, weight   int // of the window
	oldest, newest time.Time
	strays         []lead.Response // that were not asked for, as many as are looked at
	strayed        int             // of them, all
	foreign        int             // of them, of another owner or lead type
}

const (
	// latestAhead is how far ahead of the clocks a lead's time may be.
	latestAhead = 24 * time.Hour
	// oldestBack is how old a lead can be, with a margin: LinkedIn shows them for
	// 365 days.
	oldestBack = 400 * 24 * time.Hour
)

func (c *Client) newFilter(src lead.Source, w lead.Window, limit int, fn func([]lead.Response) error) *filter {
	from, to := askedRange(w)
	return &filter{source: src, window: w, limit: limit, fn: fn, conceivable: c.conceivable(w),
		asked: lead.Window{From: lead.FromMillis(from), To: lead.FromMillis(to + 1)}}
}

// conceivable is when a lead can have been submitted, by the clocks and by what a
// window that is asked for implies. It is generous: what lies outside is no time at
// all.
func (c *Client) conceivable(asked lead.Window) lead.Window {
	times := []time.Time{time.Now()}
	if theirs, known := c.Now(); known {
		times = append(times, theirs)
	}
	if !asked.Empty() {
		times = append(times, asked.From, asked.To)
	}
	earliest, latest := slices.MinFunc(times, time.Time.Compare), slices.MaxFunc(times, time.Time.Compare)
	return lead.Window{From: earliest.Add(-oldestBack), To: latest.Add(latestAhead)}
}

// give passes a page's rows on, and ends the reading when there are too many.
func (f *filter) give(start, total int, rows []lead.Response) error {
	if start == 0 {
		f.rows, f.weight, f.oldest, f.newest = 0, 0, time.Time{}, time.Time{}
		f.strays, f.strayed, f.foreign = nil, 0, 0
	}
	full := len(rows)
	rows = f.inside(rows)
	f.rows += len(rows)
	f.weight += lead.Weigh(rows)
	if len(rows) > 0 {
		if err := f.fn(rows); err != nil {
			return err
		}
	}
	// A first page that is all but empty tells more than the total above it.
	told := start == 0 && total > f.limit && full >= leastPage
	if f.limit > 0 && (told || f.weight > f.limit) {
		return f.tooMany(total)
	}
	if f.strayed > mostStrays {
		return f.refuse()
	}
	return nil
}

func (f *filter) tooMany(total int) *TooManyError {
	return &TooManyError{Source: f.source, Window: f.window, AtLeast: f.weight, Estimate: f.estimate(total)}
}

// inside are the rows of the window, and those that tell no time. Others are noted.
func (f *filter) inside(rows []lead.Response) []lead.Response {
	kept := rows[:0]
	for _, r := range rows {
		switch t := r.SubmittedAt; {
		case r.Owner != f.source.Owner, r.Type != f.source.Type:
			f.foreign++
			f.stray(&r)
			continue
		case t.IsZero():
		case f.window.Contains(t):
			if f.oldest.IsZero() || t.Before(f.oldest) {
				f.oldest = t
			}
			if t.After(f.newest) {
				f.newest = t
			}
		case f.asked.Contains(t):
			continue
		case !f.conceivable.Contains(t):
			contradict(&r, noTimeOfALead)
		default:
			f.stray(&r)
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// stray notes a row that was not asked for.
func (f *filter) stray(r *lead.Response) {
	if f.strayed++; f.strayed <= mostJudged {
		f.strays = append(f.strays, *r)
	}
}

// estimate is how much the window's rows weigh.
func (f *filter) estimate(total int) int {
	if total > f.rows {
		return max(total*f.weight/max(f.rows, 1), total, f.weight)
	}
	span := max(f.newest.Sub(f.oldest), time.Millisecond)
	return max(f.weight, int(min(float64(f.weight)*float64(f.window.Length())/float64(span), 1e8)))
}
