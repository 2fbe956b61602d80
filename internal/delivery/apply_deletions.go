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

// Recorded are deletions that were recorded since the last time.
type Recorded struct {
	entries entries
	anew    bool // somebody made the topic anew: what stands in it now counts
	next    []int64
	marks   []checkpoint.Mark
	marked  []bool // by partition: the mark of the saved progress is there
}

// ReadDeletions reads which leads were deleted, by notification or by hand, since the last
// call. One goroutine may call it.
func (s *Store) ReadDeletions(ctx context.Context) (*Recorded, error) {
	r, err := s.readDeletions(ctx, checkpoint.Deletions{})
	return r, ownTopic(err)
}

func (s *Store) readDeletions(ctx context.Context, saved checkpoint.Deletions) (*Recorded, error) {
	read := &Recorded{entries: entries{}, marked: make([]bool, len(saved.Next))}
	anew, err := s.deleted.Next(ctx, func(r *kafka.Record) error {
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
	read.anew, read.next = anew, s.deleted.Position()
	for _, m := range s.deleted.Marks() {
		read.marks = append(read.marks, checkpoint.Mark{Offset: m.Offset, Time: m.Time.UTC()})
	}
	return read, nil
}

// TakeDeletions takes in what was recorded. Those that were carried out before are known
// from then on, the others are pending. The scans are what is to be read before they can be
// carried out, with Scan: of topics that have pending deletions which nobody has looked
// for, and of those that were written to since. A topic that refuses its tombstones is not
// read over and over.
func (s *Store) TakeDeletions(r *Recorded) (pending int, scans Scans) {
	s.takeDeletions(r)
	return len(s.pending), s.toScan()
}

func (s *Store) takeDeletions(r *Recorded) {
	if r.anew {
		s.applied = checkpoint.Deletions{}
		clear(s.pending)
		s.deletions.clear()
	}
	s.recorded = r
	r.entries.inOrder(func(e deletionEntry) {
		s.deletions.enter(e)
		if e.partition >= len(s.applied.Next) || e.offset >= s.applied.Next[e.partition] {
			s.addPending(e)
		}
	})
}

func (s *Store) toScan() (scans Scans) {
	byTopic := s.byTopic()
	maps.DeleteFunc(s.scans, func(topic string, c *topicScan) bool {
		return c.err != nil && !s.rests(topic) || !c.knows(byTopic[topic])
	})
	for topic, pending := range byTopic {
		c := s.scans[topic]
		if c == nil {
			c = newTopicScan(s, topic, pending)
			s.scans[topic] = c
		}
		if c.scanned && (!c.touched || c.err != nil) {
			continue
		}
		c.touched, c.scanned, c.visibility = false, false, s.visibility(topic)
		scans = append(scans, c)
	}
	return scans
}

// UnreadableDeletion is an *UnreadableDeletionError while an entry of the
// deletions cannot be read, else nil.
func (s *Store) UnreadableDeletion() error {
	return s.deletions.problem(DeletionsTopic(s.opts.Name))
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

// addPending makes a pending deletion of a deletion. Of several of one lead the newest counts.
func (s *Store) addPending(e deletionEntry) {
	if e.anew {
		delete(s.pending, e.ID)
	}
	known, ok := s.pending[e.ID]
	switch {
	case e.lifted:
		delete(s.pending, e.ID)
	case e.unreadable:
	case ok && known.At.After(e.At):
		known.Form = cmp.Or(known.Form, e.Form)
		s.pending[e.ID] = known
	default:
		g := pendingDeletion{e.Deletion, e.partition, e.offset}
		if e.Form == "" && ok { // an entry by hand may lack it; the next process is to read it as well
			g.Form, g.partition, g.offset = known.Form, known.partition, known.offset
		}
		s.pending[e.ID] = g
	}
}

// ApplyDeletions carries out the deletions that are known: each lead becomes a tombstone in
// its topic, unless the member has registered again since, and a dead letter of
// it is removed. What one topic refuses waits for a later call and keeps no other
// waiting; the error is a *RefusedError as long as any does. It is idempotent:
// after a crash the rest is carried out.
func (s *Store) ApplyDeletions(ctx context.Context) (applied int, err error) {
	if len(s.pending) == 0 {
		clear(s.refusals)
		return 0, nil
	}
	if err := s.removeDeadLetters(ctx); err != nil {
		return 0, err
	}
	byTopic := s.byTopic()
	maps.DeleteFunc(s.refusals, func(topic string, _ Refusal) bool { return byTopic[topic] == nil })
	var left []pendingDeletion
	for topic, pending := range byTopic {
		if s.rests(topic) {
			left = append(left, pending...)
			continue
		}
		n, ready, err := s.applyIn(ctx, topic, pending)
		applied += n
		if !ready {
			left = append(left, pending...)
			continue
		}
		if err == nil {
			delete(s.refusals, topic)
			delete(s.scans, topic) // it may hold much, and need not be asked again
			continue
		}
		if ctx.Err() != nil || errors.Is(err, kafka.ErrEpochLost) {
			return applied, err
		}
		left = append(left, pending...)
		s.refuses(topic, err)
	}
	if err := s.recordApplied(ctx, left); err != nil {
		return applied, err
	}
	return applied, s.refused()
}

// removeDeadLetters removes the dead letters of deleted leads.
func (s *Store) removeDeadLetters(ctx context.Context) error {
	var gone []string
	for key := range s.dead {
		if id, at, ok := deadIdentity(key); ok && s.deletions.sure(id, at) {
			gone = append(gone, key)
		}
	}
	for part := range slices.Chunk(gone, MaxLeads) {
		if err := s.Commit(ctx, Batch{Resolved: part}); err != nil {
			return fmt.Errorf("removing the dead letters of deleted leads: %w", err)
		}
	}
	return nil
}

// applyIn carries out the deletions of one topic, and says of how many leads. ready is
// false while what the topic says of them is still to be read.
func (s *Store) applyIn(ctx context.Context, topic string, pending []pendingDeletion) (n int, ready bool, err error) {
	looked := s.scans[topic]
	if looked == nil || looked.touched || !looked.scanned || !looked.knows(pending) {
		return 0, false, nil
	}
	open, err := looked.unapplied(pending)
	if err != nil {
		return 0, true, err
	}
	for part := range tombstonesAtOnce(open) {
		if err := s.Commit(ctx, Batch{Deletions: part}); err != nil {
			if errors.Is(err, kafka.ErrTopicMissing) {
				delete(s.scans, topic) // removed since it was looked at
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

// recordApplied records that all pending deletions but those left are carried out.
func (s *Store) recordApplied(ctx context.Context, left []pendingDeletion) error {
	next := slices.Clone(s.recorded.next)
	pending := make(map[string]pendingDeletion, len(left))
	for _, g := range left {
		pending[g.ID] = g
		if g.partition < len(next) {
			next[g.partition] = min(next[g.partition], g.offset)
		}
	}
	done := checkpoint.Deletions{Next: next, Marks: s.recorded.marks}
	if !slices.Equal(next, s.applied.Next) || !slices.Equal(done.Marks, s.applied.Marks) {
		if err := s.Commit(ctx, Batch{Records: map[string]any{checkpoint.DeletionsKey: done}}); err != nil {
			return err
		}
	}
	s.pending, s.applied = pending, done
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
