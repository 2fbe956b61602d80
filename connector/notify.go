package connector

import (
	"context"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/lead"
)

// Notify takes in what LinkedIn reports, whether this process works or stands by.
// A deletion is durable when it returns nil. A new response is fetched at once by
// the process that works; that it is found does not depend on it.
func (c *Connector) Notify(ctx context.Context, n lead.Notification) error {
	c.mu.Lock()
	e := c.current
	c.mu.Unlock()
	n.OccurredAt = c.occurred(n.OccurredAt)
	if n.Action == lead.Deleted {
		err := c.opts.DeletionLog.Delete(ctx, delivery.Deletion{ID: n.ResponseID, Form: n.Form.ID, At: n.OccurredAt})
		if err == nil && e != nil {
			e.sources.drop(n.ResponseID, n.OccurredAt)
			e.deletions.wake()
		}
		return err
	}
	pushed := checkpoint.Pushed{Response: n.ResponseID, At: n.OccurredAt}
	if e != nil {
		e.notified(n.Source, pushed)
		return nil
	}
	return c.opts.DeletionLog.Create(ctx, n.Source, pushed)
}

// occurred is when something was, as LinkedIn tells it, and not in the future but for
// what clocks may differ: a deletion would keep out what is submitted until then.
func (c *Connector) occurred(told time.Time) time.Time {
	now := c.opts.Now().UTC()
	if theirs, ok := c.opts.LinkedIn.Now(); ok {
		now = lead.Later(now, theirs)
	}
	return lead.Earlier(told, now.Add(clocksApart))
}

// notified hands a notification to its source, and says so once of one that is not read.
func (s *session) notified(src lead.Source, p checkpoint.Pushed) {
	if s.sources.notify(src, p, s.catalog.complete()) {
		s.log.Warn("LinkedIn notifies of leads that are not read", zap.String("owner", src.Owner), zap.String("lead_type", src.Type),
			zap.String("todo", "give the member a role on the organization's page and let linkedin.organizations name it, if its leads are wanted; else end the subscription"))
	}
}
