package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/dedup"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// topicScan is what a lead topic says of leads that were deleted. It is read while
// others publish. What they publish of those leads meanwhile is touched: the scan reads on
// before it is believed.
type topicScan struct {
	store  *Store
	topic  string
	reader *kafka.Tailer // nil: the topic does not exist
	// partitions is how many the topic has; mixed says that a key may stand in others
	// than where it belongs now, for there were not always as many.
	partitions int
	mixed      bool
	made       int                         // how many it had when we made it, 0 where somebody else did
	said       map[string]map[int]dedup.At // id to what each partition says of it
	asked      map[string]time.Time        // id to the deletion
	err        error

	scanned    bool // it was read
	touched    bool // something was published since
	visibility visibility
}

// Scans are what is to be read of the topics of pending deletions.
type Scans []*topicScan

func newTopicScan(s *Store, topic string, pending []pendingDeletion) *topicScan {
	c := &topicScan{store: s, topic: topic, said: map[string]map[int]dedup.At{}, asked: map[string]time.Time{}}
	if t := s.topics[topic]; t != nil {
		c.made = t.Made
	}
	for _, g := range pending {
		c.asked[g.ID] = g.At
	}
	return c
}

// touch notes what was just published of the leads that a scan has looked for.
func (d *Deletions) touch(topic string, leads []Lead) {
	c := d.scans[topic]
	if c == nil || c.touched {
		return
	}
	for i := range leads {
		if _, asked := c.asked[leads[i].ID]; asked && d.store.TopicName(leads[i].Form.ID) == topic {
			c.touched = true
			return
		}
	}
}

// knows reports whether it is these that the topic scan has looked for.
func (c *topicScan) knows(pending []pendingDeletion) bool {
	for _, g := range pending {
		if at, asked := c.asked[g.ID]; !asked || !at.Equal(g.At) {
			return false
		}
	}
	return len(pending) == len(c.asked)
}

// byTopic are the pending deletions by topic. Without a form there was no lead of ours to
// tell of.
func (d *Deletions) byTopic() map[string][]pendingDeletion {
	topics := map[string][]pendingDeletion{}
	for _, g := range d.pending {
		if lead.Digits(g.Form) {
			topics[d.store.TopicName(g.Form)] = append(topics[d.store.TopicName(g.Form)], g)
		}
	}
	return topics
}

// Scan reads the topics of the pending deletions. What cannot be read is told by
// ApplyDeletions. Any goroutine may call it, but nobody may apply deletions meanwhile.
func (d *Deletions) Scan(ctx context.Context, scans Scans) {
	var fresh []*topicScan
	for _, c := range scans {
		c.scanned = true
		if c.partitions > 0 || c.err != nil {
			c.readOn(ctx)
		} else {
			fresh = append(fresh, c)
		}
	}
	if len(fresh) == 0 {
		return
	}
	names := make([]string, len(fresh))
	for i, c := range fresh {
		names[i] = c.topic
	}
	found, err := d.store.opts.Cluster.Admin.DescribeTopics(ctx, names)
	if err != nil {
		for _, c := range fresh {
			c.err = fmt.Errorf("describing topic %s: %w", c.topic, err)
		}
		return
	}
	missing := slices.DeleteFunc(names, func(name string) bool { _, ok := found[name]; return ok })
	gone := []string{}
	if len(missing) > 0 {
		gone, err = d.store.opts.Cluster.Admin.Gone(ctx, missing...)
	}
	for _, c := range fresh {
		switch info, there := found[c.topic]; {
		case slices.Contains(gone, c.topic): // nothing was published
		case err != nil && !there:
			c.err = err
		default:
			c.begin(ctx, max(info.Partitions, 1))
		}
	}
}

// begin reads the topic from the oldest of the deletions on: whatever was submitted
// or deleted since then stands behind that moment. The partition of a key is where it
// belongs. Where it may stand in others as well the topic is read whole, to find it.
func (c *topicScan) begin(ctx context.Context, partitions int) {
	c.partitions, c.mixed = partitions, partitions > 1 && partitions != c.made
	c.reader = c.store.opts.Cluster.Tailer(c.topic)
	c.reader.MustExist()
	if !c.mixed {
		var oldest time.Time
		for _, at := range c.asked {
			if oldest.IsZero() || at.Before(oldest) {
				oldest = at
			}
		}
		if err := c.reader.Since(ctx, oldest.Add(-clockMargin)); err != nil {
			c.err = fmt.Errorf("finding what topic %s holds since %s: %w", c.topic, oldest.UTC().Format(time.RFC3339), err)
			return
		}
	}
	c.readOn(ctx)
}

// readOn reads what came since the last call, once it is visible.
func (c *topicScan) readOn(ctx context.Context) {
	if c.reader == nil || c.err != nil {
		return
	}
	err := c.store.waitVisible(ctx, c.visibility)
	if err == nil || errors.Is(err, kafka.ErrTopicMissing) {
		err = c.read(ctx)
	}
	c.err = err
}

// read takes in what came since the last call.
func (c *topicScan) read(ctx context.Context) error {
	fresh := map[string]map[int]dedup.At{}
	anew, err := c.reader.Next(ctx, func(r *kafka.Record) error {
		e, ok, err := c.store.entryOf(r)
		if _, asked := c.asked[string(r.Key)]; ok && asked {
			note(fresh, string(r.Key), r.Partition, e.At)
		}
		return err
	})
	if err != nil {
		return err
	}
	if anew {
		clear(c.said)
	}
	for id, places := range fresh {
		for partition, at := range places {
			note(c.said, id, partition, at)
		}
	}
	return nil
}

// note keeps the latest that a partition says of an id.
func note(said map[string]map[int]dedup.At, id string, partition int, at dedup.At) {
	if said[id] == nil {
		said[id] = map[int]dedup.At{}
	}
	said[id][partition] = max(said[id][partition], at)
}

// unapplied are the deletions that the topic needs a tombstone for, each with the
// partition: where the id belongs, and wherever else it stands. There is neither one
// already nor a later submission of the response, which a tombstone behind it would
// take away.
func (c *topicScan) unapplied(pending []pendingDeletion) ([]Deletion, error) {
	err := c.err
	var foreign *ForeignTopicError
	if errors.As(err, &foreign) {
		c.store.opts.Log.Warn("a deleted lead is not removed from another installation's topic", zap.String("topic", c.topic), zap.Error(err),
			zap.String("todo", "nothing: that installation removes it, if LinkedIn notifies it as well"))
		return nil, nil
	}
	if err != nil || c.reader == nil {
		return nil, err
	}
	var open []Deletion
	for _, g := range pending {
		home := kafka.PartitionOf([]byte(g.ID), c.partitions)
		places := c.said[g.ID]
		if _, there := places[home]; !there {
			open = append(open, g.in(home))
		}
		for partition, said := range places {
			if said < dedup.Deleted(g.At) {
				open = append(open, g.in(partition))
			}
		}
	}
	slices.SortFunc(open, func(a, b Deletion) int {
		return cmp.Or(cmp.Compare(*a.Partition, *b.Partition), strings.Compare(a.ID, b.ID))
	})
	return open, nil
}

// in is the deletion with the partition of its tombstone.
func (g pendingDeletion) in(partition int) Deletion {
	d := g.Deletion
	d.Partition = &partition
	return d
}
