package connector

import (
	"context"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/lead"
)

// noticeInterval is how often the work of other processes is looked at.
const noticeInterval = 250 * time.Millisecond

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
			e.unpush(n.ResponseID, n.OccurredAt)
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

// unpush has no request made any more for a response that was deleted.
func (e *epoch) unpush(id string, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sources {
		s.inbox.drop(id, at)
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
