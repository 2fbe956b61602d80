package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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
	hanging, seen, err := p.hanging(ctx, topics)
	if err != nil {
		return nil, err
	}
	ends := map[bool][]TopicPartition{}
	var marked []TopicPartition
	for _, h := range hanging {
		committed := p.endedAs(h)
		ends[committed] = append(ends[committed], h.TopicPartition)
		marked = append(marked, h.TopicPartition)
	}
	for committed, partitions := range ends {
		for part := range slices.Chunk(partitions, MaxPartitions) {
			if err := p.mark(ctx, part, committed); err != nil {
				return nil, err
			}
		}
	}
	if err := p.awaitMarks(ctx, marked); err != nil {
		return marked, err
	}
	for _, tp := range seen {
		delete(p.committed, tp)
	}
	return marked, nil
}

// awaitMarks waits until the partitions have their markers, as they are read next.
func (p *Producer) awaitMarks(ctx context.Context, marked []TopicPartition) error {
	if len(marked) == 0 {
		return nil
	}
	topics := topicsIn(marked)
	pause := fault.NewBackoff(time.Millisecond, 100*time.Millisecond)
	for began := time.Now(); ; {
		switch left, _, err := p.hanging(ctx, topics); {
		case err != nil:
			return err
		case len(left) == 0:
			return nil
		case time.Since(began) > openWithin:
			return &UnreachableError{Op: "ending hanging transactions", Err: fmt.Errorf("the marker of %v does not show", left[0].TopicPartition)}
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

// hung is where something of this producer id has no end: from the record of that
// epoch and sequence number on.
type hung struct {
	TopicPartition
	epoch    int16
	sequence int32
}

// hanging are the partitions in which something of this producer id is open; seen are
// those that could be looked at. Nothing is under way while it looks, and a
// transaction that was ended a moment ago may still get its marker: another one takes
// no harm there.
func (p *Producer) hanging(ctx context.Context, topics []string) (found []hung, seen []TopicPartition, err error) {
	var belowStable map[TopicPartition]Offsets
	err = p.client.retry(ctx, "looking for hanging transactions", func(ctx context.Context) (err error) {
		belowStable, seen, err = p.client.Reader.belowStable(ctx, topics)
		return err
	})
	if err != nil || len(belowStable) == 0 {
		return nil, seen, err
	}
	d, err := newDecoder()
	if err != nil {
		return nil, nil, fmt.Errorf("preparing to look for hanging transactions: %w", err)
	}
	defer d.zstd.Close()
	for tp, o := range belowStable {
		r := &topicRead{reader: p.client.Reader, topic: tp.Topic, decoder: d}
		open, err := r.partition(ctx, tp.Partition, o.First, o.End)
		if err != nil {
			return nil, nil, err
		}
		if ours := open[p.pid]; len(ours) > 0 {
			found = append(found, hung{tp, ours[0].epoch, ours[0].sequence})
		}
	}
	slices.SortFunc(found, func(a, b hung) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return found, seen, nil
}

// belowStable are the partitions of the topics whose last stable offset, First, is
// below their high watermark, End: some transaction there has no end. seen are all
// that could be looked at. It takes two requests per broker, however many the topics
// are.
func (r *Reader) belowStable(ctx context.Context, topics []string) (belowStable map[TopicPartition]Offsets, seen []TopicPartition, err error) {
	stable, err := r.latestOf(ctx, topics, readCommitted)
	if err != nil {
		return nil, nil, err
	}
	ends, err := r.latestOf(ctx, topics, readUncommitted)
	if err != nil {
		return nil, nil, err
	}
	belowStable = map[TopicPartition]Offsets{}
	for tp, first := range stable {
		end, ok := ends[tp]
		if !ok {
			continue
		}
		seen = append(seen, tp)
		if first < end {
			belowStable[tp] = Offsets{First: first, End: end}
		}
	}
	return belowStable, seen, nil
}

const (
	// markersWithin is how long the markers of the transaction before are waited for
	// before somebody looks where they are, which reads what was written. They take a
	// few milliseconds, on a busy broker and over many partitions more.
	markersWithin = time.Second
	// overdue is how long they may be missing in a partition that is not written to:
	// a consumer does not pass them either.
	overdue = 10 * time.Second
)

// awaitingMarker is what was written to a partition and not seen to be ended there yet.
type awaitingMarker struct {
	last int64 // offset
	at   time.Time
}

// settleEarlier makes sure that what was committed or aborted in the partitions
// before is seen as that by everybody, before another transaction there could end
// it the other way: see EndHanging. It takes one request per broker as a rule, and
// looks after what is overdue elsewhere too.
func (p *Producer) settleEarlier(ctx context.Context, next []TopicPartition) error {
	pause := fault.NewBackoff(time.Millisecond, 20*time.Millisecond)
	for began := time.Now(); len(p.awaiting) > 0; {
		if p.see(ctx, slices.Collect(maps.Keys(p.awaiting))) != nil { // perhaps one of those elsewhere
			_ = p.see(ctx, next) // what cannot be seen is waited for
		}
		waiting := slices.DeleteFunc(slices.Clone(next), func(tp TopicPartition) bool { _, ok := p.awaiting[tp]; return !ok })
		if len(waiting) == 0 {
			return p.settleOverdue(ctx)
		}
		if time.Since(began) > markersWithin {
			return p.endAwaiting(ctx, waiting)
		}
		if pause.Wait(ctx, 0) != nil {
			return fmt.Errorf("waiting for the markers of the transaction before: %w", context.Cause(ctx))
		}
	}
	return nil
}

// see takes out what shows by now: the last stable offset lies behind it.
func (p *Producer) see(ctx context.Context, partitions []TopicPartition) error {
	stable, err := p.client.Reader.latestOf(ctx, topicsIn(partitions), readCommitted)
	if err != nil {
		return err
	}
	for _, tp := range partitions {
		if w, ok := p.awaiting[tp]; ok && stable[tp] > w.last {
			delete(p.awaiting, tp)
			delete(p.committed, tp)
		}
	}
	return nil
}

// settleOverdue ends what hangs in partitions that are not written to now. Where
// that is not possible for the moment it keeps nothing waiting.
func (p *Producer) settleOverdue(ctx context.Context) error {
	var late []TopicPartition
	for tp, w := range p.awaiting {
		if time.Since(w.at) > overdue {
			late = append(late, tp)
			p.awaiting[tp] = awaitingMarker{w.last, time.Now()} // not again at once
		}
	}
	if len(late) == 0 {
		return nil
	}
	if _, _, err := p.client.Reader.belowStable(ctx, topicsIn(late)); err != nil {
		return nil //nolint:nilerr // not now
	}
	err := p.endAwaiting(ctx, late)
	if errors.Is(err, ErrEpochLost) || ctx.Err() != nil {
		return err
	}
	return nil
}

// endAwaiting ends what hangs in the partitions, as it was ended before.
func (p *Producer) endAwaiting(ctx context.Context, partitions []TopicPartition) error {
	if _, err := p.endHanging(ctx, topicsIn(partitions)); err != nil {
		return err
	}
	for _, tp := range partitions {
		delete(p.awaiting, tp)
	}
	return nil
}
