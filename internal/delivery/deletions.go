package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// pendingDeletion is a deletion that may lack its tombstone, and where it is recorded.
type pendingDeletion struct {
	Deletion
	partition int
	offset    int64
}

// Deletions are what LinkedIn or a person has deleted: what <name>.deletions says, and which of
// it still lacks its tombstones. They belong to whom the store belongs to; Read and Scan, which
// read Kafka, are for others.
type Deletions struct {
	store    *Store
	index    deletionIndex              // what <name>.deletions says
	tailer   *kafka.Tailer              // of that topic
	pending  map[string]pendingDeletion // by id: deletions that may lack their tombstones
	scans    map[string]*topicScan      // by topic: what they say of the pending deletions
	refusals map[string]Refusal         // by topics that did not take their tombstones
	applied  checkpoint.Deletions       // how far they have been carried out
	recorded *Recorded                  // what was taken in last
}

func newDeletions(s *Store) *Deletions {
	return &Deletions{store: s, index: newDeletionIndex(), pending: map[string]pendingDeletion{}, scans: map[string]*topicScan{},
		refusals: map[string]Refusal{}, tailer: s.opts.Cluster.Tailer(DeletionsTopic(s.opts.Name)).DetectRecreation()}
}

// Recorded are deletions that were recorded since the last time.
type Recorded struct {
	entries entries
	anew    bool // somebody made the topic anew: what stands in it now counts
	next    []int64
	marks   []checkpoint.Mark
	marked  []bool // by partition: the mark of the saved progress is there
}

// Read reads which leads were deleted, by notification or by hand, since the last
// call. One goroutine may call it.
func (d *Deletions) Read(ctx context.Context) (*Recorded, error) {
	r, err := d.read(ctx, checkpoint.Deletions{})
	return r, ownTopic(err)
}

func (d *Deletions) read(ctx context.Context, saved checkpoint.Deletions) (*Recorded, error) {
	read := &Recorded{entries: entries{}, marked: make([]bool, len(saved.Next))}
	anew, err := d.tailer.Next(ctx, func(r *kafka.Record) error {
		if r.Partition < len(read.marked) && r.Partition < len(saved.Marks) {
			m := saved.Marks[r.Partition]
			read.marked[r.Partition] = read.marked[r.Partition] || r.Offset == m.Offset && r.Time.Equal(m.Time)
		}
		read.entries.add(readDeletion(r))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the deletions: %w", err)
	}
	read.anew, read.next = anew, d.tailer.Position()
	for _, m := range d.tailer.Marks() {
		read.marks = append(read.marks, checkpoint.Mark{Offset: m.Offset, Time: m.Time.UTC()})
	}
	return read, nil
}

// Take takes in what was recorded. Those that were carried out before are known
// from then on, the others are pending. The scans are what is to be read before they can be
// carried out, with Scan: of topics that have pending deletions which nobody has looked
// for, and of those that were written to since. A topic that refuses its tombstones is not
// read over and over.
func (d *Deletions) Take(r *Recorded) (pending int, scans Scans) {
	d.take(r)
	return len(d.pending), d.toScan()
}

func (d *Deletions) take(r *Recorded) {
	if r.anew {
		d.applied = checkpoint.Deletions{}
		clear(d.pending)
		d.index.clear()
	}
	d.recorded = r
	r.entries.inOrder(func(e deletionEntry) {
		d.index.enter(e)
		if e.partition >= len(d.applied.Next) || e.offset >= d.applied.Next[e.partition] {
			d.add(e)
		}
	})
}

func (d *Deletions) toScan() (scans Scans) {
	byTopic := d.byTopic()
	maps.DeleteFunc(d.scans, func(topic string, c *topicScan) bool {
		return c.err != nil && !d.rests(topic) || !c.knows(byTopic[topic])
	})
	for topic, pending := range byTopic {
		c := d.scans[topic]
		if c == nil {
			c = newTopicScan(d.store, topic, pending)
			d.scans[topic] = c
		}
		if c.scanned && (!c.touched || c.err != nil) {
			continue
		}
		c.touched, c.scanned, c.visibility = false, false, d.store.visibility(topic)
		scans = append(scans, c)
	}
	return scans
}

// Unreadable is an *UnreadableDeletionError while an entry of the
// deletions cannot be read, else nil.
func (d *Deletions) Unreadable() error {
	return d.index.problem(DeletionsTopic(d.store.opts.Name))
}

// believed is what the record of progress says of the topic that was read: nothing
// of a partition that lacks its mark. That was made anew while nobody followed it,
// or compaction took the mark; either way what is done already is found done.
func believed(saved checkpoint.Deletions, marked []bool) checkpoint.Deletions {
	saved.Next = slices.Clone(saved.Next)
	for partition := range saved.Next {
		if !marked[partition] {
			saved.Next[partition] = 0
		}
	}
	return saved
}

// add makes a pending deletion of a deletion. Of several of one lead the newest counts.
func (d *Deletions) add(e deletionEntry) {
	if e.anew {
		delete(d.pending, e.ID)
	}
	known, ok := d.pending[e.ID]
	switch {
	case e.lifted:
		delete(d.pending, e.ID)
	case e.unreadable:
	case ok && known.At.After(e.At):
		known.Form = cmp.Or(known.Form, e.Form)
		d.pending[e.ID] = known
	default:
		g := pendingDeletion{e.Deletion, e.partition, e.offset}
		if e.Form == "" && ok { // an entry by hand may lack it; the next process is to read it as well
			g.Form, g.partition, g.offset = known.Form, known.partition, known.offset
		}
		d.pending[e.ID] = g
	}
}

// Apply carries out the deletions that are known: each lead becomes a tombstone in
// its topic, unless the member has registered again since, and a dead letter of
// it is removed. What one topic refuses waits for a later call and keeps no other
// waiting; the error is a *RefusedError as long as any does. It is idempotent:
// after a crash the rest is carried out.
func (d *Deletions) Apply(ctx context.Context) (applied int, err error) {
	if len(d.pending) == 0 {
		clear(d.refusals)
		return 0, nil
	}
	if err := d.removeDeadLetters(ctx); err != nil {
		return 0, err
	}
	byTopic := d.byTopic()
	maps.DeleteFunc(d.refusals, func(topic string, _ Refusal) bool { return byTopic[topic] == nil })
	var left []pendingDeletion
	for topic, pending := range byTopic {
		if d.rests(topic) {
			left = append(left, pending...)
			continue
		}
		n, ready, err := d.applyIn(ctx, topic, pending)
		applied += n
		if !ready {
			left = append(left, pending...)
			continue
		}
		if err == nil {
			delete(d.refusals, topic)
			delete(d.scans, topic) // it may hold much, and need not be asked again
			continue
		}
		if ctx.Err() != nil || errors.Is(err, kafka.ErrEpochLost) {
			return applied, err
		}
		left = append(left, pending...)
		d.refuses(topic, err)
	}
	if err := d.record(ctx, left); err != nil {
		return applied, err
	}
	return applied, d.refused()
}

// removeDeadLetters removes the dead letters of deleted leads.
func (d *Deletions) removeDeadLetters(ctx context.Context) error {
	var gone []string
	for key := range d.store.DeadLetters.keys {
		if id, at, ok := deadIdentity(key); ok && d.index.sure(id, at) {
			gone = append(gone, key)
		}
	}
	for part := range slices.Chunk(gone, MaxLeads) {
		if err := d.store.Commit(ctx, Batch{Resolved: part}); err != nil {
			return fmt.Errorf("removing the dead letters of deleted leads: %w", err)
		}
	}
	return nil
}

// applyIn carries out the deletions of one topic, and says of how many leads. ready is
// false while what the topic says of them is still to be read.
func (d *Deletions) applyIn(ctx context.Context, topic string, pending []pendingDeletion) (n int, ready bool, err error) {
	looked := d.scans[topic]
	if looked == nil || looked.touched || !looked.scanned || !looked.knows(pending) {
		return 0, false, nil
	}
	open, err := looked.unapplied(pending)
	if err != nil {
		return 0, true, err
	}
	for part := range tombstonesAtOnce(open) {
		if err := d.store.Commit(ctx, Batch{Deletions: part}); err != nil {
			if errors.Is(err, kafka.ErrTopicMissing) {
				delete(d.scans, topic) // removed since it was looked at
			}
			return 0, true, err
		}
	}
	ids := map[string]struct{}{}
	for _, d := range open {
		ids[d.ID] = struct{}{}
	}
	return len(ids), true, nil
}

// tombstonesAtOnce cuts tombstones, in order of partitions, into transactions.
func tombstonesAtOnce(open []Deletion) iter.Seq[[]Deletion] {
	return func(yield func([]Deletion) bool) {
		for len(open) > 0 {
			n, partitions, at := 0, 0, -1
			for ; n < min(len(open), MaxLeads); n++ {
				if *open[n].Partition != at {
					if partitions++; partitions > maxPartitions {
						break
					}
					at = *open[n].Partition
				}
			}
			if !yield(open[:n]) {
				return
			}
			open = open[n:]
		}
	}
}

// maxPartitions leaves room for the internal topics in a transaction.
const maxPartitions = kafka.MaxPartitions - 2

// record records that all pending deletions but those left are carried out.
func (d *Deletions) record(ctx context.Context, left []pendingDeletion) error {
	next := slices.Clone(d.recorded.next)
	pending := make(map[string]pendingDeletion, len(left))
	for _, g := range left {
		pending[g.ID] = g
		if g.partition < len(next) {
			next[g.partition] = min(next[g.partition], g.offset)
		}
	}
	done := checkpoint.Deletions{Next: next, Marks: d.recorded.marks}
	if !slices.Equal(next, d.applied.Next) || !slices.Equal(done.Marks, d.applied.Marks) {
		if err := d.store.Commit(ctx, Batch{Records: map[string]any{checkpoint.DeletionsKey: done}}); err != nil {
			return err
		}
	}
	d.pending, d.applied = pending, done
	return nil
}

// tombstone is the record of a deletion in a lead topic.
func (s *Store) tombstone(d Deletion, now time.Time) kafka.Message {
	return kafka.Message{Topic: s.TopicName(d.Form), Key: []byte(d.ID), Partition: d.Partition, Time: lead.Later(now, d.At), Headers: []kafka.Header{
		{Key: HeaderDeletedAt, Value: lead.AppendTime(nil, d.At)},
		{Key: HeaderName, Value: []byte(s.opts.Name)},
	}}
}

// deadIdentity reads the key of a dead letter that has a lead's identity.
func deadIdentity(key string) (id string, millis int64, ok bool) {
	i := strings.LastIndexByte(key, '@')
	if i < 0 {
		return "", 0, false
	}
	at, err := time.Parse(lead.TimeLayout, key[i+1:])
	return key[:i], at.UnixMilli(), err == nil
}
