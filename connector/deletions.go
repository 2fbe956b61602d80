package connector

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/delivery"
)

// noticeInterval is how often the work of other processes is looked at.
const noticeInterval = 250 * time.Millisecond

// onceBuries is how often --once tries to remove deleted leads from a topic that
// refuses it; the leads are read meanwhile.
const onceBuries = 4

// deletions carries out the deletions that are recorded and, where LinkedIn notifies this
// installation, follows those that come and what other processes are told.
type deletions struct {
	*session
	recorded chan struct{} // holds one when a deletion was recorded here

	mu sync.Mutex
	// settled: those of before have been carried out, or tried as often as --once does.
	settled bool
	refused map[string]delivery.Refusal // topics that refuse some
	// unreadable is why an entry cannot be read, nil while all can.
	unreadable error
}

// run goes on until all are carried out, or with ctx where others may come.
func (d *deletions) run(ctx context.Context) error {
	var forwarded *delivery.ForwardedNotifications
	if d.opts.DeletionLog != nil {
		err := d.retry(ctx, "", "following what other processes are told", func(ctx context.Context) (err error) {
			forwarded, err = d.opts.DeletionLog.Forwarded(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	for {
		if err := d.retry(ctx, "", "carrying out deletions", d.apply); err != nil {
			return err
		}
		if forwarded == nil && len(d.unapplied()) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.recorded:
		case <-time.After(noticeInterval):
		}
		if forwarded == nil {
			continue
		}
		err := d.retry(ctx, "", "following what other processes are told", func(ctx context.Context) error {
			return forwarded.Next(ctx, d.notified)
		})
		if err != nil {
			return err
		}
	}
}

// apply makes tombstones of the deletions that lack one. That a topic refuses its
// own is noted, and is no error: it is tried again, and keeps nothing waiting.
func (d *deletions) apply(ctx context.Context) error {
	recorded, err := d.store.Deletions.Read(ctx)
	if err != nil {
		return err
	}
	take := &takeDeletions{recorded: recorded}
	if err := d.ask(ctx, take); err != nil {
		return err
	}
	d.doubt(take.unreadable)
	d.store.Deletions.Scan(ctx, take.scans)
	if take.pending > 0 {
		carry := &carryOut{}
		err = d.ask(ctx, carry)
		d.opts.Metrics.deletions.Add(float64(carry.applied))
		if carry.applied > 0 {
			d.log.Info("deleted leads were removed from their topics", zap.Int("leads", carry.applied))
		}
	}
	refused, some := errors.AsType[*delivery.RefusedError](err)
	switch {
	case some:
		d.noteRefusals(refused.Topics)
	case err != nil:
		return err
	default:
		d.noteRefusals(nil)
	}
	return nil
}

// noteRefusals takes note of the topics that do not take their tombstones: each is said
// once, and when it is over.
func (d *deletions) noteRefusals(topics map[string]delivery.Refusal) {
	d.mu.Lock()
	before := d.refused
	d.refused = topics
	d.settled = d.settled || !slices.ContainsFunc(slices.Collect(maps.Values(topics)), func(r delivery.Refusal) bool { return r.Tries < onceBuries })
	d.mu.Unlock()
	for topic, r := range topics {
		if r.Tries == before[topic].Tries {
			continue // it was not tried again
		}
		form, _ := d.formOf(topic)
		d.issues.ReportAs(form, removingFrom(topic), "deleted leads stay in a topic that refuses their removal; it is tried again", r.Err, zap.String("topic", topic))
	}
	for topic := range before {
		if _, still := topics[topic]; !still {
			d.issues.Resolve(removingFrom(topic))
		}
	}
}

func removingFrom(topic string) string { return "removing deleted leads from topic " + topic }

// unapplied says in which topics deleted leads still are, and why.
func (d *deletions) unapplied() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var left []error
	for _, topic := range slices.Sorted(maps.Keys(d.refused)) {
		left = append(left, d.refused[topic].Err)
	}
	return left
}

// left is unapplied, and which entries cannot be read.
func (d *deletions) left() []error {
	left := d.unapplied()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unreadable != nil {
		left = append(left, d.unreadable)
	}
	return left
}

// done reports whether those of before have been carried out, or tried as often as --once does.
func (d *deletions) done() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settled
}

// wake has the recorded deletions looked at now.
func (d *deletions) wake() {
	select {
	case d.recorded <- struct{}{}:
	default:
	}
}

// readingDeletions is the work of making sense of the deletions' entries.
const readingDeletions = "reading the deletions"

// doubt says, once each, which entries of the deletions cannot be read. Nothing waits for them
// but the leads that they are about.
func (d *deletions) doubt(err error) {
	d.mu.Lock()
	d.unreadable = err
	d.mu.Unlock()
	if err == nil {
		d.issues.Resolve(readingDeletions)
		return
	}
	d.issues.ReportAs("", readingDeletions, "a deletion cannot be read; its lead is neither published nor removed", err)
}
