package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

const (
	// lookahead is how many slices are fetched at once. They share the client's
	// request slots; a second slice fills the gaps at the ends of the first.
	lookahead = 2
	// fullPage is how many rows in a first page promise a slice of full size.
	fullPage = 50
	// firstSlice is the length of the first slice of a sweep.
	firstSlice = 24 * time.Hour
)

// slice is a part of a sweep's window on its way from LinkedIn.
type slice struct {
	window lead.Window
	chunks chan chunk
	readAt checkpoint.ReadMark
	err    error // valid once chunks is closed
	weight int   // of its rows, likewise
}

// chunk is rows of one window that were read together; last says that the
// window ends with them.
type chunk struct {
	window lead.Window
	rows   []lead.Response
	last   bool
}

// sweep reconciles a window of any length, oldest part first: it is cut into
// slices of about sliceRows responses, which are fetched ahead while earlier
// ones are committed. done is what is committed with each part.
func (e *leader) sweep(ctx context.Context, j *work, w lead.Window, done func(part lead.Window, readAt checkpoint.ReadMark) checkpoint.Advance) error {
	ctx, cancel := context.WithCancel(lead.Background(ctx)) // polls go first
	var ahead []*slice
	defer func() {
		cancel()
		for _, s := range ahead {
			for range s.chunks { // let its goroutine end
			}
		}
	}()
	length, next := min(firstSlice, w.Length()), w.From
	for next.Before(w.To) || len(ahead) > 0 {
		for len(ahead) < lookahead && next.Before(w.To) {
			s := &slice{window: lead.Window{From: next, To: lead.Earlier(next.Add(length), w.To)}, chunks: make(chan chunk, 1), readAt: e.mark()}
			ahead = append(ahead, s)
			next = s.window.To
			go e.fetch(ctx, j.src, s)
		}
		s := ahead[0]
		for c := range s.chunks {
			part := *j
			part.advance, part.readAt = done(c.window, s.readAt), s.readAt
			if part.floor = s.window.From; j.view == e.live { // else the sweep does not come back
				part.floor = time.Time{}
			}
			if err := e.publishWithRetry(ctx, &part, c.window, c.rows, c.last); err != nil {
				return err
			}
		}
		ahead = ahead[1:]
		if s.err != nil {
			return fmt.Errorf("reading %s of %s: %w", s.window, j.src, s.err)
		}
		length = nextLength(s.window.Length(), s.weight)
	}
	return nil
}

// publishWithRetry flushes rows again and again while only time can fix what stands in
// the way: with Kafka away, LinkedIn is not read for nothing.
func (e *leader) publishWithRetry(ctx context.Context, j *work, w lead.Window, rows []lead.Response, last bool) error {
	var final error
	err := e.retry(ctx, j.src.Owner, "publishing leads of "+j.src.String(), func(ctx context.Context) error {
		err := e.flush(ctx, j, w, rows, last)
		if err != nil && fault.KindOf(err) != fault.Retry {
			final = err
			return nil
		}
		return err
	})
	return errors.Join(final, err)
}

// nextLength aims the next slice at sliceRows, growing at most fourfold.
func nextLength(length time.Duration, rows int) time.Duration {
	if rows*4 <= sliceRows {
		return length * 4
	}
	return max(time.Duration(float64(length)*sliceRows/float64(rows)), time.Millisecond).Truncate(time.Millisecond)
}

// fetch reads a slice and closes its chunks.
func (e *leader) fetch(ctx context.Context, src lead.Source, s *slice) {
	defer close(s.chunks)
	s.err = e.scan(ctx, src, s.window, func(c chunk) error {
		s.weight += lead.Weigh(c.rows)
		select {
		case s.chunks <- c:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// scan reads a window, cut further while it holds too many responses. A single
// millisecond is read in parts, however many it holds.
func (e *leader) scan(ctx context.Context, src lead.Source, w lead.Window, emit func(chunk) error) error {
	limit := sliceLimit
	if w.Length() <= time.Millisecond {
		limit = 0
	}
	var rows []lead.Response
	err := e.opts.LinkedIn.Responses(ctx, src, w, limit, func(page []lead.Response) error {
		if rows == nil && len(page) >= fullPage {
			rows = make([]lead.Response, 0, sliceRows*5/4) // growing to that copies every row twice
		}
		rows = append(rows, page...)
		if limit > 0 || lead.Weigh(rows) < sliceRows {
			return nil
		}
		part := rows
		rows = nil
		return emit(chunk{window: w, rows: part})
	})
	var many tooMany
	if errors.As(err, &many) {
		rows = nil // read again in parts, oldest first
		for _, part := range cut(w, many.TooMany()) {
			if err = e.scan(ctx, src, part, emit); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	return emit(chunk{window: w, rows: rows, last: true})
}

// cut divides a window in equal parts that should hold sliceRows each.
func cut(w lead.Window, rows int) []lead.Window {
	n := min(max(rows/sliceRows+1, 2), 64)
	update := max(w.Length()/time.Duration(n), time.Millisecond).Truncate(time.Millisecond)
	var parts []lead.Window
	for from := w.From; from.Before(w.To); {
		to := lead.Earlier(from.Add(update), w.To)
		if len(parts) == n-1 {
			to = w.To
		}
		parts = append(parts, lead.Window{From: from, To: to})
		from = to
	}
	return parts
}

// backlogLoop works through what a source's progress records as still to be
// done, while live polling goes on beside it.
func (e *leader) backlogLoop(ctx context.Context, src lead.Source) error {
	for {
		e.mu.Lock()
		backlog, wake := e.state().Sources[src].Backlog, e.wake
		e.mu.Unlock()
		if len(backlog) == 0 {
			select {
			case <-wake:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		err := e.retry(ctx, src.Owner, "working through the backlog of "+src.String(), func(ctx context.Context) error {
			backlog := e.state().Sources[src].Backlog
			if len(backlog) == 0 {
				return nil
			}
			return e.work(ctx, src, backlog[0])
		})
		if err != nil {
			e.mu.Lock()
			e.sources[src].stuck = err
			e.mu.Unlock()
			return e.unlessOthersGoOn(err)
		}
	}
}

// work reconciles one range of the backlog.
func (e *leader) work(ctx context.Context, src lead.Source, r checkpoint.Range) error {
	select { // so many rows at once, however many sources there are
	case e.sweeping <- struct{}{}:
		defer func() { <-e.sweeping }()
	case <-ctx.Done():
		return ctx.Err()
	}
	view := e.live // knows the look-back, which is where most catching up is
	if r.Next.Before(e.opts.Now().Add(-e.opts.Lookback)) {
		view = e.store.NewView("")
		defer view.Close()
	}
	j := &work{src: src, view: view, delivery: freshDelivery(r.Fresh, delivery.DeliveryLive, delivery.DeliveryLate)}
	if r.Kind == checkpoint.Backfill {
		j.delivery = func(time.Time) delivery.Delivery { return delivery.DeliveryBackfill }
	}
	w := r.Window()
	if r.Kind == checkpoint.CatchUp {
		e.reportLost(src, r.Fresh)
	}
	begin := e.log.Info
	if r.Next.After(r.From) { // said when it was; "working" tells how much there is
		begin = e.log.Debug
	}
	begin("working through the backlog", zap.Stringer("source", src), zap.String("kind", string(r.Kind)), zap.Stringer("window", w))
	err := e.sweep(ctx, j, w, func(part lead.Window, readAt checkpoint.ReadMark) checkpoint.Advance {
		return checkpoint.BacklogDone{Source: src, Kind: r.Kind, Part: part, ReadAt: readAt}
	})
	if err == nil {
		e.log.Info("backlog range done", zap.Stringer("source", src), zap.String("kind", string(r.Kind)), zap.Stringer("window", w))
	}
	return err
}

// reportLost says so when what was never read is too old to be read.
func (e *leader) reportLost(src lead.Source, fresh time.Time) {
	if oldest := e.opts.Now().Add(-lead.Retained); fresh.Before(oldest) {
		e.issues.ReportAs(src.Owner, "what LinkedIn no longer has of "+src.String(), "leads submitted before LinkedIn's retention began are lost", &lostError{fresh, oldest},
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

// recoverInterval is how often suspended forms are looked at; each has a back-off
// of its own, up to the discovery interval.
const recoverInterval = time.Second

// deferredLoop looks after suspended forms: it tries to fix each now and then, and
// delivers what is deferred of recovered forms.
func (e *leader) deferredLoop(ctx context.Context) error {
	ctx = lead.Background(ctx)
	const settling = "delivering what is deferred of forms"
	for {
		if fault.Sleep(ctx, recoverInterval) != nil {
			return nil
		}
		err := e.deferredRound(ctx, false)
		switch {
		case err == nil:
			e.issues.Resolve(settling)
		case ctx.Err() != nil:
			return nil
		case endsLeadership(err):
			return err
		default:
			e.issues.Report("", settling, err)
		}
	}
}

// deferredRound tries to fix the suspended forms and to deliver what is deferred of the
// others, once. all also tries the forms whose back-off is not over.
func (e *leader) deferredRound(ctx context.Context, all bool) error {
	e.deferredWork.Lock()
	defer e.deferredWork.Unlock()
	if err := e.forms.Recover(ctx, all); err != nil {
		return err
	}
	return e.deliverAllDeferred(ctx)
}

// deliverAllDeferred delivers what is deferred of forms that are not suspended any more.
func (e *leader) deliverAllDeferred(ctx context.Context) error {
	for id, window := range e.state().Deferred {
		if e.forms.Suspended(id.Form) != nil {
			continue
		}
		if err := e.deliverDeferred(ctx, id, window); err != nil {
			return fmt.Errorf("delivering what is deferred of form %s: %w", id.Form, err)
		}
		if _, left := e.state().Deferred[id]; !left { // else it could not go out after all, or grew
			e.log.Info("delivered what was deferred of a form", zap.String("form", id.Form), zap.Stringer("window", window.Window()))
		}
	}
	return nil
}

// deliverDeferred reconciles the ranges of a deferred window for its form. They shrink with each part; what
// is deferred anew meanwhile is kept for the next time.
func (e *leader) deliverDeferred(ctx context.Context, id checkpoint.DeferredID, window checkpoint.DeferredWindow) error {
	for _, r := range window.Parts() {
		if err := e.deliverRange(ctx, id, r); err != nil {
			return err
		}
	}
	return nil
}

func (e *leader) deliverRange(ctx context.Context, id checkpoint.DeferredID, r checkpoint.DeferredRange) error {
	view := e.store.NewView("")
	defer view.Close()
	j := &work{src: id.Source, view: view, bound: &r.Bound, form: id.Form,
		delivery: func(time.Time) delivery.Delivery { return delivery.DeliveryLate }}
	return e.sweep(ctx, j, r.Window(), func(part lead.Window, readAt checkpoint.ReadMark) checkpoint.Advance {
		return checkpoint.DeferredDone{ID: id, Part: part, Bound: r.Bound, ReadAt: readAt}
	})
}
