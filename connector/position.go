package connector

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

const (
	// clockSlack is how far a position may be ahead of the clocks before it counts as
	// wrong: clocks are set right by less all the time.
	clockSlack = time.Second
	// clocksApart is how far our clock and LinkedIn's may differ without a word.
	clocksApart = time.Minute
	// comparingClocks is the work that meets such a difference.
	comparingClocks = "comparing the clocks"
)

// begin is the source's progress. A source met for the first time starts at
// position, and one that is ahead of it is taken back.
func (r *poller) begin(ctx context.Context, now, position time.Time) (checkpoint.Progress, error) {
	r.compareClocks(now)
	p, ok := r.state().Sources[r.src]
	switch {
	case !ok:
		p = checkpoint.Start(position.Add(-r.ladder[0].Length).Truncate(time.Millisecond), r.opts.Backfill, r.ladder)
		return p, r.ask(ctx, &setProgress{r.src, p})
	case p.Live.After(r.opts.Now().Add(clockSlack)):
		ahead := &aheadError{Source: r.src, Live: p.Live, Now: position, Back: r.trusted(position)}
		r.log.Error("a position in the future is taken back", zap.Stringer("source", r.src), zap.Time("position", p.Live),
			zap.Time("now", position), zap.Time("read_again_from", ahead.Back), zap.String("todo", ahead.Todo()))
		r.issues.ReportSilently(r.src.Owner, polling+r.src.String(), ahead)
		p = p.Rewind(ahead.Back)
		return p, r.ask(ctx, &setProgress{r.src, p})
	case p.Live.After(now.Add(max(clockSlack, r.ladder[0].Length))):
		return p, &clockBehindError{LinkedIn: now, Live: p.Live}
	}
	return p, nil
}

// trusted is a moment up to which everything had been read when the progress of the
// source moved last, told by our clock; where that was wrong as well, as far back as
// the look-back reaches.
func (r *poller) trusted(position time.Time) time.Time {
	at := r.state().Recorded[r.src]
	since := r.opts.Now().Sub(at)
	if at.IsZero() || since < 0 {
		since = r.opts.Lookback
	}
	return position.Add(-since - clocksApart).Truncate(time.Millisecond)
}

// compareClocks says when our clock and LinkedIn's are far apart.
func (r *poller) compareClocks(linkedIn time.Time) {
	ours := r.opts.Now()
	if apart := ours.Sub(linkedIn); apart.Abs() > clocksApart {
		r.issues.ReportSilently("", comparingClocks, &clocksApartError{Ours: ours, LinkedIn: linkedIn})
		if !r.apart.Swap(true) {
			r.log.Warn("this machine's clock and LinkedIn's are far apart", zap.Duration("ahead", apart), zap.String("todo", (&clocksApartError{}).Todo()))
		}
		return
	}
	if r.apart.Swap(false) {
		r.log.Info("this machine's clock and LinkedIn's are together again")
	}
	r.issues.Resolve(comparingClocks)
}

// aheadError says that the progress of a source lay in the future.
type aheadError struct {
	Source    lead.Source
	Live, Now time.Time
	Back      time.Time // from where it is read again
}

func (e *aheadError) Error() string {
	return fmt.Sprintf("the position of %s was %s, in the future (it is %s); what was submitted since %s is read again",
		e.Source, lead.FormatTime(e.Live), lead.FormatTime(e.Now), lead.FormatTime(e.Back))
}

// Fault is Retry.
func (e *aheadError) Fault() fault.Kind { return fault.Retry }

// Todo is what a person can do about it.
func (e *aheadError) Todo() string {
	return "nothing if LinkedIn or this machine had a wrong clock for a while; if it comes back, see that this machine keeps its clock by NTP"
}

// clockBehindError says that LinkedIn's clock is behind what was read already.
type clockBehindError struct{ LinkedIn, Live time.Time }

func (e *clockBehindError) Error() string {
	return fmt.Sprintf("LinkedIn's clock says %s, and everything up to %s has been read: nothing newer can be asked for until it is right again",
		lead.FormatTime(e.LinkedIn), lead.FormatTime(e.Live))
}

// Fault is Retry.
func (e *clockBehindError) Fault() fault.Kind { return fault.Retry }

// ClockError says that LinkedIn's clock stands still, as its answers tell it.
type ClockError struct{ Now time.Time }

func (e *ClockError) Error() string {
	return fmt.Sprintf("LinkedIn's clock does not go on: by the Date of its answers it is still %s, and what was submitted since cannot be asked for", lead.FormatTime(e.Now))
}

// Fault is Suspend.
func (e *ClockError) Fault() fault.Kind { return fault.Suspend }

// Todo is what a person can do about it.
func (e *ClockError) Todo() string {
	return "see what stands between leadstream and LinkedIn, such as a cache, and have it pass on the header Date as it comes"
}

// clocksApartError says that our clock and LinkedIn's differ.
type clocksApartError struct{ Ours, LinkedIn time.Time }

func (e *clocksApartError) Error() string {
	return fmt.Sprintf("this machine's clock says %s and LinkedIn's %s", lead.FormatTime(e.Ours), lead.FormatTime(e.LinkedIn))
}

// Fault is Retry.
func (e *clocksApartError) Fault() fault.Kind { return fault.Retry }

// About names the issue whatever the clocks say.
func (e *clocksApartError) About() string { return "clocks" }

// Todo is what a person can do about it.
func (e *clocksApartError) Todo() string {
	return "have this machine keep its clock by NTP, and see that nothing on the way to LinkedIn changes the Date of its answers; leads are neither lost nor repeated, but while LinkedIn's clock is behind they come later by as much"
}
