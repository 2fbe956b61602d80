package dedup

import (
	"slices"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/lead"
)

// Facts are what is known of a lead topic beside its leads. The embedded record is its
// state in the checkpoint topic.
//
// The horizon of a topic is the moment before which it is not sure to remember what was
// published to it. It is drawn from the latest submission that may have been among what
// is removed, by LinkedIn's clock: a lead younger than all of that was never published.
type Facts struct {
	checkpoint.Topic
	// Retention is how long the topic keeps its records; negative: for ever.
	Retention time.Duration
	// PartitionCount is how many partitions it had when it was described last.
	PartitionCount int
}

// Forgot reports whether the topic might have held a lead submitted at that time, and
// lost it. fresh says that nothing of that time was published as far as progress tells,
// which somebody before us may have done all the same: we ourselves, where the
// checkpoint was lost. now is LinkedIn's clock.
func (f *Facts) Forgot(at time.Time, fresh bool, now time.Time) bool {
	if others := f.Existed && at.Before(f.Seen); fresh && !others {
		return false
	}
	if at.Before(f.Horizon) {
		return true
	}
	return f.Retention >= 0 && at.Before(now.Add(-f.Retention)) && !at.After(f.newest())
}

// newest is no earlier than any submission that was ever published to the topic.
func (f *Facts) newest() time.Time {
	if f.Existed {
		return lead.Later(f.LastLead, f.Seen)
	}
	return f.LastLead
}

// removed moves the horizon behind everything submitted up to that moment.
func (f *Facts) removed(upTo time.Time) {
	if !upTo.IsZero() {
		f.Horizon = lead.Later(f.Horizon, upTo.Add(time.Millisecond))
	}
}

// FirstSight takes in what a topic holds that nobody of this installation has met
// before, as far as its checkpoint tells. The clocks are ours and LinkedIn's now.
func (f *Facts) FirstSight(bounds []Bounds, clocks Clocks) {
	for _, b := range bounds {
		f.Existed = f.Existed || b.End > 0
	}
	f.Look(bounds, clocks)
	if f.Existed && f.Retention >= 0 {
		f.Horizon = lead.Later(f.Horizon, f.Seen.Add(-f.Retention))
	}
}

// Replaced says that the topic is another one than before, an empty one under the old
// name. What was published to the one before must not come back by itself. It reports
// whether that is news: something was published to it.
func (f *Facts) Replaced() bool {
	if f.EndOffset == 0 {
		return false
	}
	f.removed(f.newest())
	f.EndOffset, f.Partitions = 0, nil
	return true
}

// Clocks are the same moment by our clock and by LinkedIn's.
type Clocks struct{ Ours, LinkedIn time.Time }

// linkedIn is a moment of our clock by LinkedIn's, as far apart as they are now.
func (c Clocks) linkedIn(t time.Time) time.Time { return t.Add(c.LinkedIn.Sub(c.Ours)) }

// Look takes in the bounds of the topic's partitions. Where records were removed since
// it was looked at last, the horizon moves.
func (f *Facts) Look(bounds []Bounds, clocks Clocks) {
	known := slices.Clone(f.Partitions)
	known = append(known, make([]checkpoint.Partition, max(len(bounds)-len(known), 0))...)
	var end int64
	for i, b := range bounds {
		end += b.End
		p := &known[i]
		if b.End > p.End { // by commits that the record of the topic does not tell of
			p.End, p.LastLead = b.End, lead.Later(p.LastLead, f.newest())
		}
		if b.First <= p.First {
			continue
		}
		p.First = b.First
		upTo := p.LastLead
		if !b.Oldest.IsZero() { // what was removed was published before it
			upTo = lead.Earlier(upTo, clocks.linkedIn(b.Oldest))
		}
		f.removed(upTo)
	}
	f.Partitions, f.EndOffset = known, max(f.EndOffset, end)
}

// Firsts are the first offsets that are known, by partition.
func (f *Facts) Firsts() []int64 {
	var firsts []int64
	for _, p := range f.Partitions {
		firsts = append(firsts, p.First)
	}
	return firsts
}

// Published takes in that a commit wrote to a partition up to the offset last. newest is
// its latest submission in the topic.
func (f *Facts) Published(partition int, last int64, newest time.Time) {
	const marker = 1                          // stands behind the last record
	f.Partitions = slices.Clone(f.Partitions) // snapshots have the old one
	for partition >= len(f.Partitions) {
		f.Partitions = append(f.Partitions, checkpoint.Partition{})
	}
	p := &f.Partitions[partition]
	p.End, p.LastLead = max(p.End, last+1+marker), lead.Later(p.LastLead, newest)
}
