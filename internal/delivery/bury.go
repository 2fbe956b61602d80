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

	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// grave is a deletion that may lack its tombstone, and where it is recorded.
type grave struct {
	Deletion
	partition int
	offset    int64
}

// FollowDeletions takes in the deletions that were recorded since the last call
// and says how many still have to be carried out.
func (s *Store) FollowDeletions(ctx context.Context) (pending int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.readDeletions(ctx, nil)
	return len(s.graves), ownTopic(err)
}

// UnreadableDeletion is an *UnreadableDeletionError while an entry of the
// deletions cannot be read, else nil.
func (s *Store) UnreadableDeletion() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deletions.problem(DeletionsTopic(s.opts.Name))
}

// readDeletions reads which leads were deleted, by notification or by hand. Those
// that were carried out before are known from then on, the others are graves. At
// the beginning of an epoch saved is how far the one before has come.
func (s *Store) readDeletions(ctx context.Context, saved *checkpoint.Deletions) error {
	var fresh []deletionEntry
	anew, err := s.deleted.Next(ctx, func(r *kafka.Record) error {
		fresh = append(fresh, readDeletion(r))
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the deletions: %w", err)
	}
	if anew { // somebody made the topic anew: what stands in it now counts
		s.buried = checkpoint.Deletions{}
		clear(s.graves)
		s.deletions.clear()
	}
	if saved != nil {
		s.buried = *saved
	}
	for _, e := range fresh {
		s.deletions.enter(e)
		if e.partition >= len(s.buried.Next) || e.offset >= s.buried.Next[e.partition] {
			s.dig(e)
		}
	}
	return nil
}

// dig makes a grave of a deletion. Of several of one lead the newest counts.
func (s *Store) dig(e deletionEntry) {
	known, ok := s.graves[e.ID]
	switch {
	case e.lifted:
		delete(s.graves, e.ID)
	case e.unreadable:
	case ok && known.At.After(e.At):
		known.Form = cmp.Or(known.Form, e.Form)
		s.graves[e.ID] = known
	default:
		e.Form = cmp.Or(e.Form, known.Form) // an entry by hand may lack it
		s.graves[e.ID] = grave{e.Deletion, e.partition, e.offset}
	}
}

// Bury carries out the deletions that are known: each lead becomes a tombstone in
// its topic, unless the member has registered again since, and a dead letter of
// it is removed. What one topic refuses waits for the next call and keeps no
// other waiting; the error is the first such refusal. It is idempotent: after a
// crash the rest is carried out.
func (p *Publication) Bury(ctx context.Context) (buried int, err error) {
	s := p.store
	if len(s.graves) == 0 {
		return 0, nil
	}
	if err := p.buryDeadLetters(ctx); err != nil {
		return 0, err
	}
	byTopic := map[string][]grave{}
	for _, g := range s.graves {
		if lead.Digits(g.Form) { // without a form there was no lead of ours to tell of
			byTopic[s.TopicName(g.Form)] = append(byTopic[s.TopicName(g.Form)], g)
		}
	}
	var left []grave
	var first error
	for topic, graves := range byTopic {
		n, err := p.buryIn(ctx, topic, graves)
		buried += n
		if err == nil {
			continue
		}
		if ctx.Err() != nil || errors.Is(err, kafka.ErrEpochLost) {
			return buried, err
		}
		left = append(left, graves...)
		if first == nil {
			first = fmt.Errorf("removing deleted leads from topic %s: %w", topic, err)
		}
	}
	return buried, errors.Join(first, p.moveBuried(ctx, left))
}

// buryDeadLetters removes the dead letters of deleted leads.
func (p *Publication) buryDeadLetters(ctx context.Context) error {
	s := p.store
	if err := s.readDeadLetters(ctx); err != nil {
		return err
	}
	var gone []string
	for key := range s.dead {
		if id, at, ok := deadIdentity(key); ok && s.deletions.sure(id, at) {
			gone = append(gone, key)
		}
	}
	for part := range slices.Chunk(gone, MaxLeads) {
		if err := p.Commit(ctx, Batch{Resolved: part}); err != nil {
			return fmt.Errorf("removing the dead letters of deleted leads: %w", err)
		}
	}
	return nil
}

// buryIn carries out the deletions of one topic.
func (p *Publication) buryIn(ctx context.Context, topic string, graves []grave) (int, error) {
	open, err := p.store.unburied(ctx, topic, graves)
	if err != nil {
		return 0, err
	}
	for part := range slices.Chunk(open, MaxLeads) {
		if err := p.Commit(ctx, Batch{Deletions: part}); err != nil {
			return 0, err
		}
	}
	return len(open), nil
}

// unburied are the deletions that a topic needs a tombstone for: it has neither
// one already nor a later submission of the response, which a tombstone behind it
// would take away.
func (s *Store) unburied(ctx context.Context, topic string, graves []grave) ([]Deletion, error) {
	found, err := s.opts.Cluster.DescribeTopics(ctx, []string{topic})
	if err != nil {
		return nil, fmt.Errorf("describing topic %s: %w", topic, err)
	}
	if _, ok := found[topic]; !ok {
		return nil, nil // nothing was published
	}
	if err := s.settle(ctx, topic); err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		return nil, err
	}
	oldest := graves[0].At
	without := map[string]Deletion{}
	for _, g := range graves {
		if g.At.Before(oldest) {
			oldest = g.At
		}
		without[g.ID] = g.Deletion
	}
	// Whatever was submitted or deleted since then stands behind that moment.
	err = s.read(ctx, topic, oldest, func(id []byte, e entry) {
		d, asked := without[string(id)]
		if asked && (e.at.millis() > d.At.UnixMilli() || e.at == deleted(d.At.UnixMilli())) {
			delete(without, string(id))
		}
	})
	var foreign *ForeignTopicError
	if errors.As(err, &foreign) {
		s.opts.Log.Warn("a deleted lead is not removed from another installation's topic", zap.String("topic", topic), zap.Error(err))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	open := make([]Deletion, 0, len(without))
	for _, d := range without {
		open = append(open, d)
	}
	slices.SortFunc(open, func(a, b Deletion) int { return strings.Compare(a.ID, b.ID) })
	return open, nil
}

// moveBuried records that all graves but those left are carried out.
func (p *Publication) moveBuried(ctx context.Context, left []grave) error {
	s := p.store
	next := s.deleted.Position()
	graves := make(map[string]grave, len(left))
	for _, g := range left {
		graves[g.ID] = g
		if g.partition < len(next) {
			next[g.partition] = min(next[g.partition], g.offset)
		}
	}
	if !slices.Equal(next, s.buried.Next) {
		if err := p.Commit(ctx, Batch{Records: map[string]any{checkpoint.DeletionsKey: checkpoint.Deletions{Next: next}}}); err != nil {
			return err
		}
	}
	s.graves, s.buried.Next = graves, next
	return nil
}

// tombstone is the record of a deletion in a lead topic.
func (s *Store) tombstone(d Deletion, now time.Time) kafka.Message {
	return kafka.Message{Topic: s.TopicName(d.Form), Key: []byte(d.ID), Time: later(now, d.At), Headers: []kafka.Header{
		{Key: HeaderDeletedAt, Value: lead.AppendStamp(nil, d.At)},
		{Key: HeaderName, Value: []byte(s.opts.Name)},
	}}
}

// deadIdentity reads the key of a dead letter that has a lead's identity.
func deadIdentity(key string) (id string, millis int64, ok bool) {
	i := strings.LastIndexByte(key, '@')
	if i < 0 {
		return "", 0, false
	}
	at, err := time.Parse(lead.StampLayout, key[i+1:])
	return key[:i], at.UnixMilli(), err == nil
}
