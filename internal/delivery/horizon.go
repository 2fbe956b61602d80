package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
)

// The horizon of a topic is the moment before which it is not sure to remember what
// was published to it. It is drawn from the latest submission that may have been
// among what is removed: a lead younger than all of that was never published.

// beyondHorizon reports whether the topic might have held a lead submitted at that
// time, and lost it. fresh says that nothing of that time was published as far as the
// progress tells, which somebody before us may have done all the same: we ourselves,
// where the checkpoint was lost. now is LinkedIn's clock.
func (t *topicState) beyondHorizon(at time.Time, fresh bool, now time.Time) bool {
	if others := t.Existed && at.Before(t.Seen); fresh && !others {
		return false
	}
	if at.Before(t.Horizon) {
		return true
	}
	return t.retention >= 0 && at.Before(now.Add(-t.retention)) && !at.After(t.newest())
}

// newest is no earlier than any submission that was ever published to the topic.
func (t *topicState) newest() time.Time {
	if t.Existed {
		return later(t.LastLead, t.Seen)
	}
	return t.LastLead
}

// removed moves the horizon behind everything submitted up to that moment.
func (t *topicState) removed(upTo time.Time) {
	if !upTo.IsZero() {
		t.Horizon = later(t.Horizon, upTo.Add(time.Millisecond))
	}
}

// lost marks a topic that had our leads and is now another, empty one: what was
// published before must not come back by itself.
func (s *Store) lost(t *topicState) {
	if t.EndOffset == 0 {
		return
	}
	s.recreated = append(s.recreated, &TopicRecreatedError{Topic: t.Topic.Topic, Leads: t.Leads, At: s.opts.Now()})
	t.removed(t.newest())
	t.EndOffset, t.Partitions, t.Made, t.changed = 0, nil, 0, true
	t.SchemaID, t.Schemas = 0, nil // its records are gone
}

// remembers finds out from when on an existing topic can be trusted to hold what was
// published to it.
func (s *Store) remembers(ctx context.Context, name string, t *topicState, firstSight bool) error {
	offsets, err := s.opts.Cluster.Offsets(ctx, name)
	if err != nil {
		return fmt.Errorf("reading the offsets of topic %s: %w", name, err)
	}
	var end int64
	for _, o := range offsets {
		end += o.End
	}
	if end < t.EndOffset {
		s.lost(t)
	}
	t.EndOffset = max(t.EndOffset, end)
	t.Existed = t.Existed || firstSight && end > 0
	if err := s.lookForRemoved(ctx, name, t, offsets); err != nil {
		return err
	}
	if !firstSight || end == 0 {
		return nil
	}
	if t.retention >= 0 {
		t.Horizon = later(t.Horizon, t.Seen.Add(-t.retention))
	}
	return s.checkOwner(ctx, name)
}

// lookForRemoved moves the horizon where records were removed since the topic was
// looked at last.
func (s *Store) lookForRemoved(ctx context.Context, name string, t *topicState, offsets []kafka.Offsets) error {
	known := slices.Clone(t.Partitions)
	known = append(known, make([]checkpoint.Partition, max(len(offsets)-len(known), 0))...)
	var shortened []int
	for i, o := range offsets {
		p := &known[i]
		if o.End > p.End { // by commits that the record of the topic does not tell of
			p.End, p.LastLead = o.End, later(p.LastLead, t.newest())
		}
		if o.First > p.First {
			p.First = o.First
			shortened = append(shortened, i)
		}
	}
	if len(shortened) > 0 {
		oldest, err := s.opts.Cluster.Oldest(ctx, name)
		if err != nil {
			return fmt.Errorf("reading the oldest records of topic %s: %w", name, err)
		}
		for _, i := range shortened {
			upTo := known[i].LastLead
			if i < len(oldest) && !oldest[i].IsZero() { // what was removed was published before it
				upTo = earlier(upTo, s.onLinkedInsClock(oldest[i]))
			}
			t.removed(upTo)
		}
	}
	t.Partitions = known
	return nil
}

// onLinkedInsClock is a moment of our clock on LinkedIn's, as far apart as they are now.
func (s *Store) onLinkedInsClock(t time.Time) time.Time {
	return t.Add(s.linkedInNow().Sub(s.opts.Now()))
}

// publishedTo notes that a commit wrote to a partition up to that offset. newest is
// its latest submission in the topic.
func (t *topicState) publishedTo(partition int, last int64, newest time.Time) {
	const marker = 1 // stands behind the last record
	t.Partitions = slices.Clone(t.Partitions)
	for partition >= len(t.Partitions) {
		t.Partitions = append(t.Partitions, checkpoint.Partition{})
	}
	p := &t.Partitions[partition]
	p.End, p.LastLead = max(p.End, last+1+marker), later(p.LastLead, newest)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
