package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	err = s.readDeletions(ctx)
	return len(s.graves), ownTopic(err)
}

// readDeletions reads which leads were deleted, by notification or by hand. Those
// that were carried out before are known from then on, the others are graves.
func (s *Store) readDeletions(ctx context.Context) error {
	var fresh []grave
	anew, err := s.deleted.Next(ctx, func(r *kafka.Record) error {
		d, ok, err := readDeletion(r)
		if ok && err == nil {
			fresh = append(fresh, grave{d, r.Partition, r.Offset})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the deletions: %w", err)
	}
	if anew { // somebody made the topic anew: what stands in it now counts
		s.graves, s.buried = nil, nil
		clear(s.deletions)
	}
	for _, g := range fresh {
		s.deletions[g.ID] = max(s.deletions[g.ID], g.At.UnixMilli())
		if g.partition >= len(s.buried) || g.offset >= s.buried[g.partition] {
			s.graves = append(s.graves, g)
		}
	}
	return nil
}

func (s *Store) deletedSince(id string, millis int64) bool {
	at, ok := s.deletions[id]
	return ok && at >= millis
}

// Bury carries out the deletions that are known: each lead becomes a tombstone in
// its topic, unless the member has registered again since, and a dead letter of
// it is removed. What one topic refuses waits for a later call and keeps no other
// waiting; the error is a *RefusedError as long as any does. It is idempotent:
// after a crash the rest is carried out.
func (p *Publication) Bury(ctx context.Context) (buried int, err error) {
	s := p.store
	if len(s.graves) == 0 {
		clear(s.refusals)
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
	maps.DeleteFunc(s.refusals, func(topic string, _ Refusal) bool { return byTopic[topic] == nil })
	var left []grave
	for topic, graves := range byTopic {
		if s.rests(topic) {
			left = append(left, graves...)
			continue
		}
		n, err := p.buryIn(ctx, topic, graves)
		buried += n
		if err == nil {
			delete(s.refusals, topic)
			continue
		}
		if ctx.Err() != nil || errors.Is(err, kafka.ErrEpochLost) {
			return buried, err
		}
		left = append(left, graves...)
		s.refuses(topic, err)
	}
	if err := p.moveBuried(ctx, left); err != nil {
		return buried, err
	}
	return buried, s.refused()
}

// buryDeadLetters removes the dead letters of deleted leads.
func (p *Publication) buryDeadLetters(ctx context.Context) error {
	s := p.store
	if err := s.readDeadLetters(ctx); err != nil {
		return err
	}
	var gone []string
	for key := range s.dead {
		if id, at, ok := deadIdentity(key); ok && s.deletedSince(id, at) {
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
	newest := map[string]Deletion{}
	for _, g := range graves {
		if g.At.Before(oldest) {
			oldest = g.At
		}
		if known, ok := newest[g.ID]; !ok || g.At.After(known.At) {
			newest[g.ID] = g.Deletion
		}
	}
	// Whatever was submitted or deleted since then stands behind that moment.
	err = s.read(ctx, topic, oldest, func(id []byte, e entry) {
		d, asked := newest[string(id)]
		if asked && (e.at.millis() > d.At.UnixMilli() || e.at == deleted(d.At.UnixMilli())) {
			delete(newest, string(id))
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
	open := make([]Deletion, 0, len(newest))
	for _, d := range newest {
		open = append(open, d)
	}
	slices.SortFunc(open, func(a, b Deletion) int { return strings.Compare(a.ID, b.ID) })
	return open, nil
}

// moveBuried records that all graves but those left are carried out.
func (p *Publication) moveBuried(ctx context.Context, left []grave) error {
	s := p.store
	next := s.deleted.Position()
	for _, g := range left {
		if g.partition < len(next) {
			next[g.partition] = min(next[g.partition], g.offset)
		}
	}
	if !slices.Equal(next, s.buried) {
		if err := p.Commit(ctx, Batch{Records: map[string]any{checkpoint.DeletionsKey: checkpoint.Deletions{Next: next}}}); err != nil {
			return err
		}
	}
	s.graves, s.buried = left, next
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
