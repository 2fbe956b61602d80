package connector

import (
	"context"
	"fmt"
	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"time"

	"go.uber.org/zap"
)

// backfiller works through what a source's progress records as still to be done, while live
// polling goes on beside it.
type backfiller struct {
	*session
	src lead.Source
}

// run works through range after range, and waits for the next.
func (r *backfiller) run(ctx context.Context) error {
	for {
		now := r.publisher.current.Load()
		if len(now.state.Sources[r.src].Backlog) == 0 {
			select {
			case <-now.changed:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		err := r.retry(ctx, r.src.Owner, "working through the backlog of "+r.src.String(), func(ctx context.Context) error {
			backlog := r.state().Sources[r.src].Backlog
			if len(backlog) == 0 {
				return nil
			}
			return r.work(ctx, backlog[0])
		})
		if err != nil {
			r.sources.set(r.src, func(s *sourceState) { s.stuck = err })
			return r.unlessOthersGoOn(err)
		}
	}
}

// work reconciles one range of the backlog.
func (r *backfiller) work(ctx context.Context, part checkpoint.Range) error {
	select { // so many rows at once, however many sources there are
	case r.sweeping <- struct{}{}:
		defer func() { <-r.sweeping }()
	case <-ctx.Done():
		return ctx.Err()
	}
	view := r.live // knows the look-back, which is where most catching up is
	if part.Next.Before(r.opts.Now().Add(-r.opts.Lookback)) {
		view = r.store.NewView("")
		defer view.Close()
	}
	var became tally
	j := &work{src: r.src, view: view, tally: &became, delivery: freshDelivery(part.Fresh, delivery.DeliveryLive, delivery.DeliveryLate)}
	if part.Kind == checkpoint.Backfill {
		j.delivery = func(time.Time) delivery.Delivery { return delivery.DeliveryBackfill }
	}
	w := part.Window()
	if part.Kind == checkpoint.CatchUp {
		r.reportLost(r.src, part.Fresh)
	}
	begin := r.log.Info
	if part.Next.After(part.From) { // said when it was; "working" tells how much there is
		begin = r.log.Debug
	}
	about := []zap.Field{zap.Stringer("source", r.src), zap.String("kind", string(part.Kind)), zap.Stringer("window", w)}
	begin("working through the backlog", about...)
	err := r.sweep(ctx, j, w, func(w lead.Window, readAt checkpoint.ReadMark) checkpoint.Advance {
		return checkpoint.BacklogDone{Source: r.src, Kind: part.Kind, Part: w, ReadAt: readAt}
	})
	if err == nil {
		r.log.Info("backlog range done", append(about, zap.Int("leads", became.published))...)
	}
	return err
}

// reportLost says so when what was never read is too old to be read.
func (s *session) reportLost(src lead.Source, fresh time.Time) {
	if oldest := s.opts.Now().Add(-lead.Retained); fresh.Before(oldest) {
		s.issues.ReportAs(src.Owner, "what LinkedIn no longer has of "+src.String(), "leads submitted before LinkedIn's retention began are lost", &lostError{fresh, oldest},
			zap.Time("read_until", fresh), zap.Time("retained_since", oldest))
	}
}

// lostError says that leads were never read and cannot be read any more.
type lostError struct{ from, to time.Time }

func (e *lostError) Error() string {
	return fmt.Sprintf("leads submitted between %s and %s are lost: LinkedIn keeps them for 365 days", lead.FormatTime(e.from), lead.FormatTime(e.to))
}
func (e *lostError) Fault() fault.Kind { return fault.Suspend }
func (e *lostError) About() string     { return lead.FormatTime(e.from) }
func (e *lostError) Todo() string {
	return "nothing brings them back; see since when leadstream was not running, so that it does not happen again"
}
