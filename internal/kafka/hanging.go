package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"leadstream/internal/fault"
)

// EndHanging looks in the topics for transactions of this producer, or of those
// before it with the same id, that their coordinator takes for ended and that have
// no marker: it writes the marker, commit or abort as the transaction was ended,
// and returns where, once it shows there.
//
// A broker that is killed within milliseconds of its answer to a commit or an
// abort may, when it comes back, take the partitions for deleted while they have
// no leader and never write the markers (seen on Apache Kafka 4.4, one broker,
// "Couldn't find leader endpoint … likely deleted already and hence can be
// skipped"). What hangs so is ended by the next transaction of the producer in
// that partition, whichever way that one ends: a commit that counts could be lost,
// or an abort come to light.
//
// Topics that do not exist or must not be read are left out; their use tells.
// Errors: as of Commit.
func (p *Producer) EndHanging(ctx context.Context, topics []string) ([]TopicPartition, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endHanging(ctx, topics)
}

func (p *Producer) endHanging(ctx context.Context, topics []string) ([]TopicPartition, error) {
	if !p.live {
		return nil, p.lost("looking for hanging transactions", 0, errors.New("not initialised since"))
	}
	hanging, err := p.hanging(ctx, topics)
	if err != nil {
		return nil, err
	}
	ends := map[bool][]TopicPartition{}
	for _, tp := range hanging {
		committed, ours := p.ended[tp]
		if !ours {
			committed = p.inherited
		}
		ends[committed] = append(ends[committed], tp)
	}
	for committed, partitions := range ends {
		for part := range slices.Chunk(partitions, MaxPartitions) {
			if err := p.mark(ctx, part, committed); err != nil {
				return nil, err
			}
		}
	}
	return hanging, p.awaitMarks(ctx, hanging)
}

// awaitMarks waits until the partitions have their markers, as they are read next.
func (p *Producer) awaitMarks(ctx context.Context, marked []TopicPartition) error {
	if len(marked) == 0 {
		return nil
	}
	topics := topicsIn(marked)
	pause := fault.NewBackoff(time.Millisecond, 100*time.Millisecond)
	for began := time.Now(); ; {
		switch left, err := p.hanging(ctx, topics); {
		case err != nil:
			return err
		case len(left) == 0:
			return nil
		case time.Since(began) > openWithin:
			return &UnreachableError{Op: "ending hanging transactions", Err: fmt.Errorf("the marker of %v does not show", left[0])}
		}
		if pause.Wait(ctx, 0) != nil {
			return fmt.Errorf("ending hanging transactions: %w", context.Cause(ctx))
		}
	}
}

// topicsIn are the topics of the partitions, each once.
func topicsIn(partitions []TopicPartition) []string {
	var topics []string
	for _, tp := range partitions {
		topics = append(topics, tp.Topic)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// mark ends a transaction without records over the partitions.
func (p *Producer) mark(ctx context.Context, partitions []TopicPartition, committed bool) error {
	t := p.begin(&plan{partitions: partitions})
	if err := t.add(ctx); err != nil {
		return t.giveUp(ctx, err)
	}
	if committed {
		return t.commit(ctx)
	}
	if err := t.giveUp(ctx, errMarked); !errors.Is(err, errMarked) {
		return err
	}
	return nil
}

// errMarked is the cause of an abort that is what was wanted.
var errMarked = errors.New("aborted as it was before")

// hanging are the partitions in which something of this producer id is open.
// Nothing is under way while it looks, and a transaction that was ended a moment
// ago may still get its marker: another one takes no harm there.
func (p *Producer) hanging(ctx context.Context, topics []string) ([]TopicPartition, error) {
	var undecided map[TopicPartition]Offsets
	err := p.cluster.persist(ctx, "looking for hanging transactions", func(ctx context.Context) (err error) {
		undecided, err = p.cluster.undecided(ctx, topics)
		return err
	})
	if err != nil || len(undecided) == 0 {
		return nil, err
	}
	d, err := newDecoder()
	if err != nil {
		return nil, fmt.Errorf("preparing to look for hanging transactions: %w", err)
	}
	defer d.zstd.Close()
	var found []TopicPartition
	for tp, o := range undecided {
		r := &reader{cluster: p.cluster, topic: tp.Topic, decoder: d}
		open, err := r.partition(ctx, tp.Partition, o.First, o.End)
		if err != nil {
			return nil, err
		}
		if len(open[p.pid]) > 0 {
			found = append(found, tp)
		}
	}
	slices.SortFunc(found, func(a, b TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return found, nil
}

// undecided are the partitions of the topics whose last stable offset, First, is
// below their high watermark, End: some transaction there has no end. It takes two
// requests per broker, however many the topics are.
func (c *Cluster) undecided(ctx context.Context, topics []string) (map[TopicPartition]Offsets, error) {
	stable, err := c.latestOf(ctx, topics, readCommitted)
	if err != nil {
		return nil, err
	}
	ends, err := c.latestOf(ctx, topics, readUncommitted)
	if err != nil {
		return nil, err
	}
	undecided := map[TopicPartition]Offsets{}
	for tp, first := range stable {
		if end, ok := ends[tp]; ok && first < end {
			undecided[tp] = Offsets{First: first, End: end}
		}
	}
	return undecided, nil
}
