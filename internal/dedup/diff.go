package dedup

import (
	"slices"
	"strings"
	"time"

	"leadstream/internal/lead"
)

// Query is a question to one topic about the responses of one window that name its form.
type Query struct {
	Topic  string
	Window lead.Window
	Rows   []*lead.Response
	// Fresh are the windows of which nothing was ever published: what a topic lacks of
	// them it never had.
	Fresh []lead.Window
	// Explicit lifts the horizon: somebody asked for exactly this window.
	Explicit bool
	Facts    *Facts
	// Deleted reports whether submissions of the id at that moment, in epoch
	// milliseconds, are kept out.
	Deleted func(id string, millis int64) bool
	Now     time.Time // by LinkedIn's clock
	// Committed are the offsets of the last commit by partition that may not be visible yet.
	Committed map[int]int64
}

// IsFresh reports whether nothing submitted at t was ever published.
func (q *Query) IsFresh(t time.Time) bool {
	return slices.ContainsFunc(q.Fresh, func(w lead.Window) bool { return w.Contains(t) })
}

// Diff is what a topic says of the responses of a Query.
type Diff struct {
	// Missing are those to publish, in order of submission.
	Missing []*lead.Response
	// Held is the number of those that need not be published again, Deleted of those
	// whose deletion is recorded.
	Held, Deleted int
	// Overtaken are those that were never published, and are not any more, because the
	// topic has a later submission of their id.
	Overtaken []*lead.Response
	// Expired are those that the topic does not hold and is not sure to remember; only
	// an explicit replay publishes them.
	Expired []*lead.Response
}

// Add adds what another topic says.
func (d *Diff) Add(other Diff) {
	d.Missing = append(d.Missing, other.Missing...)
	d.Overtaken = append(d.Overtaken, other.Overtaken...)
	d.Expired = append(d.Expired, other.Expired...)
	d.Held, d.Deleted = d.Held+other.Held, d.Deleted+other.Deleted
}

// BySubmission is the order in which leads are published.
func BySubmission(a, b *lead.Response) int {
	if c := a.SubmittedAt.Compare(b.SubmittedAt); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// Diff answers the query, or gives the load that it takes first.
func (v *View) Diff(q Query) (Diff, *Load) {
	if !v.answers(q.Topic, q.Window) {
		return Diff{}, v.Begin(q.Topic, q.Window, q.Facts, q.Committed)
	}
	slices.SortFunc(q.Rows, BySubmission)
	var d Diff
	for i, r := range q.Rows {
		if i > 0 && BySubmission(q.Rows[i-1], r) == 0 {
			continue // LinkedIn's pages may repeat a row
		}
		v.sort(&q, r, &d)
	}
	c := v.topics[q.Topic]
	if len(d.Missing) == 0 || c.to == never {
		return d, nil
	}
	return v.confirm(&q, d, c)
}

// sort puts one response where it belongs.
func (v *View) sort(q *Query, r *lead.Response, d *Diff) {
	hash, at := v.hash(q.Topic, r.ID), Submitted(r.SubmittedAt)
	known, met := v.ids.Get(hash)
	_, superseded := v.superseded[submission(hash, at)]
	_, replayed := v.replayed[submission(hash, at)]
	switch later := met && known.Millis() >= at.Millis(); {
	case q.Deleted(r.ID, at.Millis()), later && known.IsDeletion():
		d.Deleted++
	case v.replay != "" && (!later || known == at):
		if replayed {
			d.Held++
		} else {
			d.Missing = append(d.Missing, r)
		}
	case later && known != at && !superseded:
		d.Overtaken = append(d.Overtaken, r)
	case later:
		d.Held++
	case !q.Explicit && q.Facts.Forgot(r.SubmittedAt, q.IsFresh(r.SubmittedAt), q.Now):
		d.Expired = append(d.Expired, r)
	default:
		d.Missing = append(d.Missing, r)
	}
}

// confirm looks at the missing responses again in a topic of which the view knows only a
// part: a later submission or a deletion may stand in the other part.
func (v *View) confirm(q *Query, d Diff, c *coverage) (Diff, *Load) {
	ids := map[string]*found{}
	for _, r := range d.Missing {
		if c.looked[r.ID] == nil {
			ids[r.ID] = &found{latest: -1, submissions: map[At]struct{}{}}
		}
	}
	if len(ids) > 0 {
		for _, r := range d.Missing { // all of them, so that one lookup answers for the window
			ids[r.ID] = &found{latest: -1, submissions: map[At]struct{}{}}
		}
		return Diff{}, v.lookUp(q.Topic, d.Missing[0].SubmittedAt, ids, q.Facts, q.Committed)
	}
	d.Missing = slices.DeleteFunc(d.Missing, func(r *lead.Response) bool {
		f, at := c.looked[r.ID], Submitted(r.SubmittedAt)
		_, there := f.submissions[at]
		switch {
		case f.latest < at, v.replay != "" && f.latest == at:
			return false
		case f.latest.IsDeletion():
			d.Deleted++
		case there:
			d.Held++
		default:
			d.Overtaken = append(d.Overtaken, r)
		}
		return true
	})
	return d, nil
}
