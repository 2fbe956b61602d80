package connector

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/delivery"
)

// noticeInterval is how often the work of other processes is looked at.
const noticeInterval = 250 * time.Millisecond

// onceBuries is how often --once tries to remove deleted leads from a topic that
// refuses it; the leads are read meanwhile.
const onceBuries = 4

// noticeLoop carries out the deletions that are recorded and, where LinkedIn
// notifies this installation, goes on to follow those that come and what other
// processes are told.
func (e *leader) noticeLoop(ctx context.Context) error {
	var pushes *delivery.ForwardedNotifications
	if e.opts.DeletionLog != nil {
		err := e.retry(ctx, "", "following what other processes are told", func(ctx context.Context) (err error) {
			pushes, err = e.opts.DeletionLog.Forwarded(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	for {
		if err := e.retry(ctx, "", "carrying out deletions", e.applyDeletions); err != nil {
			return err
		}
		if pushes == nil && len(e.unapplied()) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.notice:
		case <-time.After(noticeInterval):
		}
		if pushes == nil {
			continue
		}
		err := e.retry(ctx, "", "following what other processes are told", func(ctx context.Context) error {
			return pushes.Next(ctx, e.pushed)
		})
		if err != nil {
			return err
		}
	}
}

// applyDeletions makes tombstones of the deletions that lack one. That a topic refuses its
// own is noted, and is no error: it is tried again, and keeps nothing waiting.
func (e *leader) applyDeletions(ctx context.Context) error {
	recorded, err := e.store.ReadDeletions(ctx)
	if err != nil {
		return err
	}
	take := &takeDeletions{recorded: recorded}
	if err := e.ask(ctx, take); err != nil {
		return err
	}
	e.doubtDeletions(take.unreadable)
	e.store.Scan(ctx, take.scans)
	if take.pending > 0 {
		carry := &carryOut{}
		err = e.ask(ctx, carry)
		e.opts.Metrics.deletions.Add(float64(carry.applied))
		if carry.applied > 0 {
			e.log.Info("deleted leads were removed from their topics", zap.Int("leads", carry.applied))
		}
	}
	refused, some := errors.AsType[*delivery.RefusedError](err)
	switch {
	case some:
		e.noteRefusals(refused.Topics)
	case err != nil:
		return err
	default:
		e.noteRefusals(nil)
	}
	return nil
}

// unapplied is a topic with leads that were deleted, which refuses to have them
// removed.
type unapplied struct {
	delivery.Refusal
}

// noteRefusals takes note of the topics that do not take their tombstones: each is said
// once, and when it is over.
func (e *leader) noteRefusals(topics map[string]delivery.Refusal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	tried := true
	for topic, r := range topics {
		tried = tried && r.Tries >= onceBuries
		u := e.unappliedTopics[topic]
		if u == nil {
			u = &unapplied{}
			e.unappliedTopics[topic] = u
		}
		if r.Tries == u.Tries {
			continue // it was not tried again
		}
		u.Refusal = r
		form, _ := e.formOf(topic)
		e.issues.ReportAs(form, removingFrom(topic), "deleted leads stay in a topic that refuses their removal; it is tried again", r.Err, zap.String("topic", topic))
	}
	for topic := range e.unappliedTopics {
		if _, still := topics[topic]; !still {
			delete(e.unappliedTopics, topic)
			e.issues.Resolve(removingFrom(topic))
		}
	}
	e.deletionsApplied = e.deletionsApplied || tried
}

func removingFrom(topic string) string { return "removing deleted leads from topic " + topic }

// unapplied says in which topics deleted leads still are, and why.
func (e *leader) unapplied() []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var left []error
	for _, topic := range slices.Sorted(maps.Keys(e.unappliedTopics)) {
		left = append(left, e.unappliedTopics[topic].Err)
	}
	return left
}
