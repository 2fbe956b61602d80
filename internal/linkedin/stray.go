package linkedin

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// A row that LinkedIn was not asked for (of another time, owner or lead type) is a
// contradiction: either it did not heed the question, or the row is odd. The
// question that the row itself answers to tells the two apart. If LinkedIn shows it
// there, it is read for that one and is nobody's loss here; if not, it shows up here
// alone and is given as an element that contradicts.

const (
	// mostJudged is how many such rows of one reading are asked about one by one.
	// More are no odd rows.
	mostJudged = 8
	// mostStrays ends a reading that brings little else.
	mostStrays = 1000
	// doubtLife is for how long an answer about LinkedIn's answers counts.
	doubtLife = time.Hour
	// mostVerdicts bounds the rows whose verdicts are remembered.
	mostVerdicts = 10_000
)

const noTimeOfALead = "submittedAt is outside of the time range asked for, and no time at which a lead can have been submitted (is it in seconds?)"

// contradict marks a response as one that is not what was asked for.
func contradict(r *lead.Response, how string) {
	r.Contradicts = true
	if r.Unreadable != "" {
		how = r.Unreadable + "; " + how
	}
	r.Unreadable = how
}

// doubts are what was found out about contradictory answers. They are looked at
// again after doubtLife. Safe for concurrent use.
type doubts struct {
	mu       sync.Mutex
	verdicts map[uint64]verdict // by row
	controls map[lead.Source]control
}

type verdict struct {
	shown bool // for its own question
	at    time.Time
}

// control is how LinkedIn answers for a time in which no lead can be.
type control struct {
	rows  bool // it shows some: submittedAtTimeRange is not heeded
	total bool // it tells of some: paging.total is not of the range
	at    time.Time
}

// settle decides on the rows of a reading that were not asked for. The error is
// that of an answer to something else, or of a question that was not answered.
func (c *Client) settle(ctx context.Context, f *filter) error {
	switch {
	case f.strayed == 0:
		return nil
	case f.rows == 0 && f.foreign == f.strayed: // it answers for somebody else
		return f.refuse()
	}
	var odd []lead.Response
	for i := range f.strays {
		if f.strayed > mostJudged {
			break
		}
		r := &f.strays[i]
		shown, err := c.shows(ctx, r)
		if err != nil {
			return err
		}
		if !shown {
			contradict(r, f.contradiction(r))
			odd = append(odd, *r)
		}
	}
	elsewhere := f.strayed - len(odd)
	if f.strayed > mostJudged {
		answers, err := c.control(ctx, f.source)
		if err != nil {
			return err
		}
		if !answers.rows {
			return f.refuse()
		}
	}
	if elsewhere > 0 {
		if f.rows == 0 {
			return f.refuse()
		}
		if _, said := c.said.LoadOrStore("strays "+f.source.String(), true); !said {
			c.log.Warn("LinkedIn shows leads that were not asked for; they are left to the window, owner and lead type that they belong to",
				zap.Stringer("source", f.source), zap.Int("leads", elsewhere),
				zap.String("todo", "nothing, unless leads are missing: then report it"))
		}
	}
	if len(odd) == 0 {
		return nil
	}
	return f.fn(odd)
}

// refuse is the error of an answer to another question than was asked.
func (f *filter) refuse() error {
	return &AnswerError{Endpoint: EndpointResponses, Status: http.StatusOK,
		Problem: fmt.Sprintf("%d of its leads are not of the time, owner and lead type asked for, and %d are", f.strayed, f.rows)}
}

func (f *filter) contradiction(r *lead.Response) string {
	what := "submittedAt is outside of the time range asked for"
	switch {
	case r.Owner != f.source.Owner:
		what = "it belongs to another owner than was asked for"
	case r.Type != f.source.Type:
		what = "it is of another lead type than was asked for"
	}
	return what + ", and LinkedIn does not show it where it says that it belongs"
}

// shows reports whether LinkedIn shows a row for the time, owner and lead type that
// the row itself names.
func (c *Client) shows(ctx context.Context, r *lead.Response) (bool, error) {
	src := lead.Source{Owner: r.Owner, Type: r.Type}
	key := keyOf(r) ^ xxhash.Sum64String(src.String())
	if v, ok := c.doubts.verdict(key); ok {
		return v, nil
	}
	if r.SubmittedAt.IsZero() { // there is no time to ask for
		return false, nil
	}
	w := lead.Window{From: r.SubmittedAt, To: r.SubmittedAt.Add(time.Millisecond)}
	p, err := c.responsePage(ctx, responsesRequest(src, w, 0, leastPage), src, 0, leastPage)
	var shown bool
	switch {
	case isTooLong(err): // it may be in it
		shown = true
	case fault.KindOf(err) == fault.Suspend: // gone, forbidden or wrong alike: it does not show there
	case err != nil:
		return false, fmt.Errorf("asking for the time of a lead that was not asked for: %w", err)
	default:
		shown = len(p.rows) == leastPage // it may be on another page
		for i := range p.rows {
			shown = shown || keyOf(&p.rows[i]) == keyOf(r)
		}
	}
	c.doubts.remember(key, shown)
	return shown, nil
}

// control asks for the leads of the source's first millisecond, in which there are
// none.
func (c *Client) control(ctx context.Context, src lead.Source) (control, error) {
	c.doubts.mu.Lock()
	known := c.doubts.controls[src]
	c.doubts.mu.Unlock()
	if !known.at.IsZero() && time.Since(known.at) < doubtLife {
		return known, nil
	}
	w := lead.Window{From: time.UnixMilli(1), To: time.UnixMilli(2)}
	p, err := c.responsePage(ctx, responsesRequest(src, w, 0, leastPage), src, 0, leastPage)
	if err != nil {
		return control{}, fmt.Errorf("asking for a time without leads: %w", err)
	}
	known = control{rows: len(p.rows) > 0, total: p.total > 0, at: time.Now()}
	c.doubts.mu.Lock()
	defer c.doubts.mu.Unlock()
	if c.doubts.controls == nil {
		c.doubts.controls = map[lead.Source]control{}
	}
	c.doubts.controls[src] = known
	return known, nil
}

// doubtEnd decides on a window that has ended although LinkedIn's total says that
// it holds much more. Where the total is not that of the window, it says nothing;
// else rows are kept back, for example those beyond the greatest offset, and the
// window is to be cut.
func (c *Client) doubtEnd(ctx context.Context, f *filter, total int) error {
	answers, err := c.control(ctx, f.source)
	switch {
	case err != nil:
		return err
	case answers.rows, answers.total:
		return nil
	case f.limit > 0:
		return f.tooMany(total)
	}
	return &AnswerError{Endpoint: EndpointResponses, Status: http.StatusOK,
		Problem: fmt.Sprintf("it shows %d of %d leads", f.rows, total)}
}

func (d *doubts) verdict(key uint64) (shown, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.verdicts[key]
	return v.shown, ok && time.Since(v.at) < doubtLife
}

func (d *doubts) remember(key uint64, shown bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.verdicts == nil || len(d.verdicts) >= mostVerdicts {
		d.verdicts = map[uint64]verdict{}
	}
	d.verdicts[key] = verdict{shown: shown, at: time.Now()}
}
