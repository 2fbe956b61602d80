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

	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// topicScan is what a lead topic says of leads that were deleted. It is read before
// the publication that makes the tombstones, which reads on where it ended: a busy
// topic holds much, and nobody publishes meanwhile.
type topicScan struct {
	store  *Store
	topic  string
	reader *kafka.Tailer // nil: the topic does not exist
	// partitions is how many the topic has; mixed says that a key may stand in others
	// than where it belongs now, for there were not always as many.
	partitions int
	mixed      bool
	said       map[string]map[int]entryTime // id to what each partition says of it
	asked      map[string]time.Time         // id to the deletion
	err        error
}

func newTopicScan(s *Store, topic string, pending []pendingDeletion) *topicScan {
	c := &topicScan{store: s, topic: topic, said: map[string]map[int]entryTime{}, asked: map[string]time.Time{}}
	for _, g := range pending {
		c.asked[g.ID] = g.At
	}
	return c
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
func (s *Store) byTopic() map[string][]pendingDeletion {
	topics := map[string][]pendingDeletion{}
	for _, g := range s.pending {
		if lead.Digits(g.Form) {
			topics[s.TopicName(g.Form)] = append(topics[s.TopicName(g.Form)], g)
		}
	}
	return topics
}

// madeWith is how many partitions the topics of the pending deletions had when we made them, 0
// where somebody else did.
func (s *Store) madeWith(pending map[string][]pendingDeletion) map[string]int {
	made := make(map[string]int, len(pending))
	for topic := range pending {
		if t := s.topics[topic]; t != nil {
			made[topic] = t.Made
		}
	}
	return made
}

// scan look at the topics of the pending deletions. What cannot be read is told by the
// topic scan. It needs no mutex.
func (s *Store) scan(ctx context.Context, pending map[string][]pendingDeletion, made map[string]int) map[string]*topicScan {
	scans := make(map[string]*topicScan, len(pending))
	var names []string
	for topic := range pending {
		scans[topic] = newTopicScan(s, topic, pending[topic])
		names = append(names, topic)
	}
	if len(names) == 0 {
		return scans
	}
	found, err := s.opts.Cluster.DescribeTopics(ctx, names)
	if err != nil {
		for _, c := range scans {
			c.err = fmt.Errorf("describing topic %s: %w", c.topic, err)
		}
		return scans
	}
	missing := slices.DeleteFunc(names, func(name string) bool { _, ok := found[name]; return ok })
	gone := []string{}
	if len(missing) > 0 {
		gone, err = s.opts.Cluster.Gone(ctx, missing...)
	}
	for topic, c := range scans {
		switch _, there := found[topic]; {
		case slices.Contains(gone, topic): // nothing was published
		case err != nil && !there:
			c.err = err
		default:
			c.partitions = max(found[topic].Partitions, 1)
			c.mixed = c.partitions > 1 && c.partitions != made[topic]
			c.err = c.begin(ctx, pending[topic])
		}
	}
	return scans
}

// begin reads the topic from the oldest of the deletions on: whatever was submitted
// or deleted since then stands behind that moment. The partition of a key is where it
// belongs. Where it may stand in others as well the topic is read whole, to find it.
func (c *topicScan) begin(ctx context.Context, pending []pendingDeletion) error {
	c.reader = c.store.opts.Cluster.Tailer(c.topic)
	c.reader.MustExist()
	if c.mixed {
		return c.read(ctx)
	}
	oldest := pending[0].At
	for _, g := range pending {
		if g.At.Before(oldest) {
			oldest = g.At
		}
	}
	if err := c.reader.Since(ctx, oldest.Add(-clockMargin)); err != nil {
		return fmt.Errorf("finding what topic %s holds since %s: %w", c.topic, oldest.UTC().Format(time.RFC3339), err)
	}
	return c.read(ctx)
}

// read takes in what came since the last call.
func (c *topicScan) read(ctx context.Context) error {
	fresh := map[string]map[int]entryTime{}
	anew, err := c.reader.Next(ctx, func(r *kafka.Record) error {
		e, ok, err := c.store.entryOf(r)
		if _, asked := c.asked[string(r.Key)]; ok && asked {
			note(fresh, string(r.Key), r.Partition, e.at)
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
func note(said map[string]map[int]entryTime, id string, partition int, at entryTime) {
	if said[id] == nil {
		said[id] = map[int]entryTime{}
	}
	said[id][partition] = max(said[id][partition], at)
}

// unapplied are the deletions that the topic needs a tombstone for, each with the
// partition: where the id belongs, and wherever else it stands. There is neither one
// already nor a later submission of the response, which a tombstone behind it would
// take away.
func (c *topicScan) unapplied(ctx context.Context, pending []pendingDeletion) ([]Deletion, error) {
	err := c.err
	if err == nil && c.reader != nil {
		if err = c.store.waitVisible(ctx, c.topic); err == nil || errors.Is(err, kafka.ErrTopicMissing) {
			err = c.read(ctx)
		}
	}
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
			if said < deleted(g.At.UnixMilli()) {
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
