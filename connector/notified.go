package connector

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

const (
	// oneByOne is how many leads are fetched each by its id. More at once are read
	// as windows, no more than that: two requests each, however many they hold.
	oneByOne = 8
	// pushMargin is how far before its notification a lead may have been submitted
	// to be found by such a window.
	pushMargin = time.Minute
)

// notified fetches the leads of a source that LinkedIn has told of. What comes while it does so
// is fetched together the next time: a storm costs few requests.
type notified struct {
	*session
	src     lead.Source
	pending *pendingNotifications
}

// run fetches what is due, and waits for more.
func (r *notified) run(ctx context.Context) error {
	for {
		due, next := r.pending.ready()
		if len(due) == 0 {
			if err := r.pending.await(ctx, next); err != nil {
				return nil //nolint:nilerr // the work is over
			}
			continue
		}
		if err := r.once(ctx, due); err != nil {
			return err
		}
	}
}

// once tries once to fetch what is due. What is not found is due again later,
// or left to the poll.
func (r *notified) once(ctx context.Context, due map[string]time.Time) error {
	var got pushed
	err := r.retry(ctx, r.src.Owner, "fetching the leads that LinkedIn told of", func(ctx context.Context) (err error) {
		got, err = r.fetch(ctx, due)
		if err != nil && !kafka.EndsSession(err) && ctx.Err() == nil {
			r.log.Debug("leads that LinkedIn told of are tried again, or left to the poll", zap.Stringer("source", r.src), zap.Error(err))
			got.wait = fault.DelayOf(err)
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	hidden := maps.Clone(due)
	maps.DeleteFunc(hidden, func(id string, _ time.Time) bool { return got.found[id] || got.left[id] })
	if deleted := (&deletedOf{submitted: hidden}); len(hidden) > 0 {
		if err := r.ask(ctx, deleted); err != nil {
			return err
		}
		for _, id := range deleted.ids { // as another process was told
			r.pending.drop(id, due[id])
		}
	}
	if n := r.pending.finish(due, got); n > 0 {
		r.log.Info("leads that LinkedIn told of do not show, or cost too many requests; they are left to the poll", zap.Stringer("source", r.src), zap.Int("leads", n))
	}
	return nil
}

// pushed is what became of leads that LinkedIn told of.
type pushed struct {
	found map[string]bool
	left  map[string]bool // to the poll
	wait  time.Duration   // least, before the others are asked for again
}

// fetch publishes those of the responses that LinkedIn shows, beside the
// source's progress, which only polls move.
func (r *notified) fetch(ctx context.Context, due map[string]time.Time) (pushed, error) {
	p, begun := r.state().Sources[r.src]
	if !begun { // the first poll sees to it
		return pushed{}, nil
	}
	j := &work{src: r.src, view: r.live, readAt: r.mark(), delivery: func(time.Time) delivery.Delivery { return delivery.DeliveryPush }}
	got := pushed{found: map[string]bool{}}
	publish := func(rows []lead.Response) error {
		if len(rows) == 0 {
			return nil
		}
		if err := r.publishWithRetry(ctx, j, r.window(p, rows), rows, false); err != nil {
			return err
		}
		for i := range rows {
			got.found[rows[i].ID] = true
		}
		return nil
	}
	if len(due) <= oneByOne {
		rows, unread := r.fetchEach(ctx, due)
		if err := publish(rows); err != nil {
			return got, err
		}
		return got, unread
	}
	var windows []lead.Window
	windows, got.left = windowsOf(due, p.Live.Add(-max(r.ladder[0].Length, awaitMost)))
	for _, w := range windows {
		if err := r.read(ctx, w, publish); err != nil {
			return got, err
		}
	}
	return got, nil
}

// read reads a window and gives publish its rows, many at a time; also those
// before an error.
func (r *notified) read(ctx context.Context, w lead.Window, publish func([]lead.Response) error) error {
	var rows []lead.Response
	err := r.opts.LinkedIn.Responses(lead.AtOnce(ctx), r.src, w, 0, func(page []lead.Response) error {
		if rows = append(rows, page...); lead.Weigh(rows) < sliceRows {
			return nil
		}
		part := rows
		rows = nil
		return publish(part)
	})
	return errors.Join(publish(rows), err)
}

// fetchEach reads each of the responses by its id. The error is of one that could
// not be read; the others are given all the same.
func (r *notified) fetchEach(ctx context.Context, due map[string]time.Time) ([]lead.Response, error) {
	var mu sync.Mutex
	var rows []lead.Response
	group := new(errgroup.Group)
	for id := range due {
		group.Go(func() error {
			row, err := r.opts.LinkedIn.Response(lead.AtOnce(ctx), id)
			if err != nil {
				// Not shown yet, or deleted, which may be a 403 as well.
				if why := fault.RefusalOf(err); why == fault.Gone || why == fault.Forbidden && fault.KindOf(err) == fault.Suspend {
					return nil
				}
				return err
			}
			if row.ID != id || row.Owner != "" && row.Owner != r.src.Owner || row.Type != "" && row.Type != r.src.Type {
				return nil // the poll of its own source finds it
			}
			mu.Lock()
			defer mu.Unlock()
			rows = append(rows, row)
			return nil
		})
	}
	err := group.Wait()
	return rows, err
}

// windowsOf are the windows in which the submissions lie that were told of, the
// newest first: one for those that lie close together, so that nothing far from
// all of them is read. far are those for which that would be too many windows,
// and those from before passed, up to where polls have read all that showed
// (LinkedIn repeats what it could not deliver): the look-back finds them.
func windowsOf(due map[string]time.Time, passed time.Time) (windows []lead.Window, far map[string]bool) {
	ids := slices.SortedFunc(maps.Keys(due), func(a, b string) int { return due[b].Compare(due[a]) })
	far = map[string]bool{}
	for _, id := range ids {
		at, last := due[id], len(windows)-1
		switch from := at.Add(-pushMargin); {
		case at.Before(passed):
			far[id] = true
		case last >= 0 && !at.Before(windows[last].From):
			windows[last].From = from
		case len(windows) < oneByOne:
			windows = append(windows, lead.Window{From: from, To: at.Add(time.Millisecond)})
		default:
			far[id] = true
		}
	}
	return windows, far
}

// window holds the rows, and what the next poll will ask the topics for: they
// are read for both at once.
func (r *notified) window(p checkpoint.Progress, rows []lead.Response) lead.Window {
	w := lead.Window{From: p.Live.Add(-r.ladder[0].Length), To: p.Live}
	for i := range rows {
		if t := rows[i].SubmittedAt; !t.IsZero() && rows[i].Unreadable == "" {
			w.From, w.To = lead.Earlier(w.From, t), lead.Later(w.To, t.Add(time.Millisecond))
		}
	}
	return w
}
