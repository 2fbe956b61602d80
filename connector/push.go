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
			e.unpush(n.ResponseID, n.OccurredAt)
			e.wakeUp()
		}
		return err
	}
	pushed := checkpoint.Pushed{Response: n.ResponseID, At: n.OccurredAt}
	if e != nil {
		e.pushed(n.Source, pushed)
		return nil
	}
	return c.opts.DeletionLog.Create(ctx, n.Source, pushed)
}

// occurred is when something was, as LinkedIn tells it, and not in the future but for
// what clocks may differ: a deletion would keep out what is submitted until then.
func (c *Connector) occurred(told time.Time) time.Time {
	now := c.opts.Now().UTC()
	if theirs, ok := c.opts.LinkedIn.Now(); ok {
		now = later(now, theirs)
	}
	return lead.Earlier(told, now.Add(clocksApart))
}

// pushed hands a notification to the source's loop. A source that is not known
// yet is polled as soon as it is; one that discovery has not found is said once.
func (e *leader) pushed(src lead.Source, p checkpoint.Pushed) {
	e.mu.Lock()
	s, unknown := e.sources[src], e.discovered && !e.strangers[src] && len(e.strangers) < mostStrangers
	if s == nil && unknown {
		e.strangers[src] = true
	}
	e.mu.Unlock()
	switch {
	case s != nil:
		s.inbox.add(p)
	case unknown:
		e.log.Warn("LinkedIn notifies of leads that are not read", zap.String("owner", src.Owner), zap.String("lead_type", src.Type),
			zap.String("todo", "give the member a role on the organization's page and let linkedin.organizations name it, if its leads are wanted; else end the subscription"))
	}
}

// mostStrangers bounds the sources that are said to be none of ours.
const mostStrangers = 100

// unpush has no request made any more for a response that was deleted.
func (e *leader) unpush(id string, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sources {
		s.inbox.drop(id, at)
	}
}

// wakeUp has the notices looked at now.
func (e *leader) wakeUp() {
	select {
	case e.notice <- struct{}{}:
	default:
	}
}
