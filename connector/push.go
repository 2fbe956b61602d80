package connector

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

const (
	// oneByOne is how many leads are fetched each by its id. More at once are read
	// as a window: two requests, however many they are.
	oneByOne = 8
	// pushMargin is how far before its notification a lead may have been submitted
	// to be found by such a window.
	pushMargin = time.Minute
	// noticeInterval is how often the work of other processes is looked at.
	noticeInterval = 250 * time.Millisecond
)

// Notify takes in what LinkedIn reports, whether this process works or stands by.
// A deletion is durable when it returns nil. A new response is fetched at once by
// the process that works; that it is found does not depend on it.
func (c *Connector) Notify(ctx context.Context, n lead.Notification) error {
	c.mu.Lock()
	e := c.current
	c.mu.Unlock()
	if n.Action == lead.Deleted {
		err := c.opts.Notices.Delete(ctx, delivery.Deletion{ID: n.ResponseID, Form: n.Form.ID, At: n.OccurredAt})
		if err == nil && e != nil {
			e.nudge()
		}
		return err
	}
	pushed := checkpoint.Pushed{Response: n.ResponseID, At: n.OccurredAt}
	if e != nil {
		e.pushed(n.Source, pushed)
		return nil
	}
	return c.opts.Notices.Create(ctx, n.Source, pushed)
}

// pushed hands a notification to the source's loop. A source that is not known
// yet is polled as soon as it is.
func (e *epoch) pushed(src lead.Source, p checkpoint.Pushed) {
	e.mu.Lock()
	s := e.sources[src]
	e.mu.Unlock()
	if s != nil {
		s.inbox.add(p)
	}
}

// nudge has the notices looked at now.
func (e *epoch) nudge() {
	select {
	case e.notice <- struct{}{}:
	default:
	}
}

// noticeLoop carries out the deletions that are recorded and, where LinkedIn
// notifies this installation, goes on to follow those that come and what other
// processes are told.
func (e *epoch) noticeLoop(ctx context.Context) error {
	var pushes *delivery.Pushes
	if e.opts.Notices != nil {
		err := e.persist(ctx, "", "following what other processes are told", func(ctx context.Context) (err error) {
			pushes, err = e.opts.Notices.Pushes(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	for {
		if err := e.persist(ctx, "", "carrying out deletions", e.bury); err != nil {
			return err
		}
		if pushes == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.notice:
		case <-time.After(noticeInterval):
		}
		err := e.persist(ctx, "", "following what other processes are told", func(ctx context.Context) error {
			return pushes.Next(ctx, e.pushed)
		})
		if err != nil {
			return err
		}
	}
}

// bury makes tombstones of the deletions that lack one.
func (e *epoch) bury(ctx context.Context) error {
	pending, err := e.store.FollowDeletions(ctx)
	if err != nil {
		return err
	}
	e.doubtDeletions()
	if pending > 0 {
		buried := 0
		err = e.store.Publish(func(p *delivery.Publication) (err error) {
			buried, err = p.Bury(ctx)
			return err
		})
		e.opts.Metrics.deletions.Add(float64(buried))
		if buried > 0 {
			e.log.Info("deleted leads were removed from their topics", zap.Int("leads", buried))
		}
	}
	if err == nil {
		e.mu.Lock()
		e.buried = true
		e.mu.Unlock()
	}
	return err
}

// pushLoop fetches the leads of a source that LinkedIn has told of. What comes
// while it does so is fetched together the next time: a storm costs few requests.
func (e *epoch) pushLoop(ctx context.Context, src lead.Source, box *inbox) error {
	for {
		due, next := box.ready()
		if len(due) == 0 {
			if err := box.await(ctx, next); err != nil {
				return nil //nolint:nilerr // the work is over
			}
			continue
		}
		var found map[string]bool
		err := e.persist(ctx, src.Owner, "fetching the leads that LinkedIn told of", func(ctx context.Context) (err error) {
			found, err = e.fetchPushed(ctx, src, due)
			if err != nil && !endsEpoch(err) && ctx.Err() == nil {
				e.log.Debug("leads that LinkedIn told of are tried again, or left to the poll", zap.Stringer("source", src), zap.Error(err))
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
		if n := box.settle(due, found); n > 0 {
			e.log.Info("leads that LinkedIn told of do not show; they are left to the poll", zap.Stringer("source", src), zap.Int("leads", n))
		}
	}
}

// await waits until something comes, or for the next that is due.
func (b *inbox) await(ctx context.Context, next time.Duration) error {
	var timer <-chan time.Time
	if next >= 0 {
		timer = time.After(next)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-b.wake:
	case <-timer:
	}
	return nil
}

// fetchPushed publishes those of the responses that LinkedIn shows, beside the
// source's progress, which only polls move.
func (e *epoch) fetchPushed(ctx context.Context, src lead.Source, due map[string]time.Time) (found map[string]bool, err error) {
	e.mu.Lock()
	p, begun := e.progress[src]
	e.mu.Unlock()
	if !begun { // the first poll sees to it
		return nil, nil
	}
	j := &job{src: src, lane: e.live, fresh: p.Live, via: func(time.Time) delivery.Via { return delivery.ViaPush }}
	found = map[string]bool{}
	publish := func(rows []lead.Response) error {
		if len(rows) == 0 {
			return nil
		}
		if err := e.insist(ctx, j, e.pushWindow(p, rows), rows, false); err != nil {
			return err
		}
		for i := range rows {
			found[rows[i].ID] = true
		}
		return nil
	}
	if len(due) > oneByOne {
		return found, e.readPushed(ctx, src, windowOf(due), publish)
	}
	rows, unread := e.fetchEach(ctx, src, due)
	if err := publish(rows); err != nil {
		return found, err
	}
	return found, unread
}

// readPushed reads a window and gives publish its rows, many at a time.
func (e *epoch) readPushed(ctx context.Context, src lead.Source, w lead.Window, publish func([]lead.Response) error) error {
	var rows []lead.Response
	err := e.opts.LinkedIn.Responses(ctx, src, w, 0, func(page []lead.Response) error {
		if rows = append(rows, page...); len(rows) < sliceRows {
			return nil
		}
		part := rows
		rows = nil
		return publish(part)
	})
	if err != nil {
		return err
	}
	return publish(rows)
}

// fetchEach reads each of the responses by its id. The error is of one that could
// not be read; the others are given all the same.
func (e *epoch) fetchEach(ctx context.Context, src lead.Source, due map[string]time.Time) ([]lead.Response, error) {
	var mu sync.Mutex
	var rows []lead.Response
	group := new(errgroup.Group)
	for id := range due {
		group.Go(func() error {
			r, err := e.opts.LinkedIn.Response(ctx, id)
			if err != nil {
				if fault.KindOf(err) == fault.Suspend { // not shown yet, or not any more
					return nil
				}
				return err
			}
			if r.ID != id || r.Owner != "" && r.Owner != src.Owner || r.Type != "" && r.Type != src.Type {
				return nil // the poll of its own source finds it
			}
			mu.Lock()
			defer mu.Unlock()
			rows = append(rows, r)
			return nil
		})
	}
	err := group.Wait()
	return rows, err
}

// windowOf holds the submissions that were told of.
func windowOf(due map[string]time.Time) lead.Window {
	var w lead.Window
	for _, at := range due {
		if w.From.IsZero() || at.Before(w.From) {
			w.From = at
		}
		w.To = later(w.To, at)
	}
	return lead.Window{From: w.From.Add(-pushMargin), To: w.To.Add(time.Millisecond)}
}

// pushWindow holds the rows, and what the next poll will ask the topics for: they
// are read for both at once.
func (e *epoch) pushWindow(p checkpoint.Progress, rows []lead.Response) lead.Window {
	w := lead.Window{From: p.Live.Add(-e.ladder[0].Length), To: p.Live}
	for i := range rows {
		if t := rows[i].SubmittedAt; !t.IsZero() {
			w.From, w.To = earlier(w.From, t), later(w.To, t.Add(time.Millisecond))
		}
	}
	return w
}
