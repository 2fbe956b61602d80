package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// Partitions is how many the topic of a form's leads has, as it was described last;
// at least one.
func (s *Store) Partitions(form string) int {
	if t := s.topics[s.TopicName(form)]; t != nil {
		return max(t.PartitionCount, 1)
	}
	return 1
}

// Batch is what one transaction makes durable, all of it or none.
type Batch struct {
	Leads       []Lead // in order of submission
	DeadLetters []DeadLetter
	// Resolved are the keys of dead letters that have been dealt with.
	Resolved []string
	// Deletions become tombstones in the topics of their forms.
	Deletions []Deletion
	// Records are checkpoint records by key; a nil value removes the key.
	Records map[string]any
}

// Empty reports whether there is nothing to commit.
func (b *Batch) Empty() bool {
	return len(b.Leads) == 0 && len(b.DeadLetters) == 0 && len(b.Resolved) == 0 && len(b.Deletions) == 0 && len(b.Records) == 0
}

// String says what the batch holds, for errors.
func (b Batch) String() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{len(b.Leads), "lead"}, {len(b.DeadLetters), "dead letter"}, {len(b.Resolved), "removed dead letter"},
		{len(b.Deletions), "tombstone"}, {len(b.Records), "checkpoint record"},
	} {
		switch part.n {
		case 0:
		case 1:
			parts = append(parts, "1 "+part.what)
		default:
			parts = append(parts, fmt.Sprintf("%d %ss", part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// Commit makes the batch durable in one transaction. Memory of what the topics
// hold changes only after Kafka has acknowledged it. On an error nothing of the
// batch is visible to a read_committed consumer, or, where the commit is in
// doubt (kafka.ErrEpochLost), only the topics can tell: the session is over then.
func (s *Store) Commit(ctx context.Context, b Batch) error {
	if b.Empty() {
		return nil
	}
	msgs := s.messages(b.Leads, make([]kafka.Message, 0, len(b.Leads)+len(b.DeadLetters)+len(b.Records)+8))
	for _, d := range b.DeadLetters {
		msgs = append(msgs, s.deadMessage(d))
	}
	resolved, err := s.DeadLetters.resolved(ctx, b.Resolved)
	if err != nil {
		return err
	}
	msgs = append(msgs, resolved...)
	for _, d := range b.Deletions {
		msgs = append(msgs, s.tombstone(d, s.opts.Now()))
	}
	topics := s.nextTopics(&b)
	records := make(map[string]any, len(b.Records)+len(topics))
	for form, t := range topics {
		records[checkpoint.TopicKey(form)] = t
	}
	for key, v := range b.Records {
		records[key] = v
	}
	if msgs, err = s.recordMessages(msgs, records); err != nil {
		return err
	}
	written, err := s.write(ctx, msgs)
	if err != nil {
		return s.refusal(fmt.Errorf("committing %s: %w", b, err))
	}
	s.committed(&b, topics, written)
	return nil
}

// refusal is the error of a commit as it concerns the topic that refused it.
func (s *Store) refusal(err error) error {
	var refused *kafka.TopicError
	if !errors.As(err, &refused) {
		return err
	}
	missing := errors.Is(err, kafka.ErrTopicMissing)
	if missing {
		s.forget(refused.Topic)
	}
	switch own := refused.Topic == CheckpointTopic(s.opts.Name) || refused.Topic == s.DeadLetterTopic(); {
	case own && missing: // somebody removed it: what a new session reads of it counts
		return &kafka.EpochLostError{TransactionalID: s.opts.Name, Op: "writing to " + refused.Topic, Err: err}
	case refused.Topic == s.DeadLetterTopic() && refused.Index >= 0:
		return err // it takes less of the element: ShrinkDeadLetters
	case own:
		return ownTopic(err)
	}
	return err
}

// nextTopics is the state of each topic as it will be once b is committed.
func (s *Store) nextTopics(b *Batch) map[string]checkpoint.Topic {
	topics := map[string]checkpoint.Topic{}
	for i := range b.Leads {
		l := &b.Leads[i]
		t, ok := topics[l.Form.ID]
		if !ok {
			name := s.TopicName(l.Form.ID)
			t = checkpoint.Topic{Topic: name}
			if known := s.topics[name]; known != nil {
				t = known.Topic
				t.Schemas = slices.Clone(t.Schemas) // the old ones stand until this is committed
			}
			t.EndOffset++ // the commit's marker
		}
		t.Published(l.Schema.ID, l.Schema.Columns, l.SubmittedAt, s.opts.Now().UTC())
		t.Leads++
		t.EndOffset++
		t.LastLead = lead.Later(t.LastLead, l.SubmittedAt)
		topics[l.Form.ID] = t
	}
	return topics
}

// recordMessages appends the checkpoint records, in order of key.
func (s *Store) recordMessages(msgs []kafka.Message, records map[string]any) ([]kafka.Message, error) {
	keys := make([]string, 0, len(records))
	for key := range records {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	now := s.opts.Now()
	for _, key := range keys {
		var value []byte
		if v := records[key]; v != nil {
			var err error
			if value, err = checkpoint.Encode(v); err != nil {
				return nil, fmt.Errorf("record %q: %w", key, err)
			}
		}
		msgs = append(msgs, kafka.Message{Topic: CheckpointTopic(s.opts.Name), Key: []byte(key), Value: value, Time: now})
	}
	return msgs, nil
}

// committed lets memory follow the topics.
func (s *Store) committed(b *Batch, topics map[string]checkpoint.Topic, written map[kafka.TopicPartition]int64) {
	changed := map[string]checkpoint.Topic{}
	for form, t := range topics {
		name := s.TopicName(form)
		known := s.topics[name]
		if known == nil {
			known = &topicState{}
			s.topics[name] = known
		}
		known.Topic, changed[name] = t, t
	}
	if len(changed) > 0 {
		s.show(changed)
	}
	names := s.topicNames(b.Leads)
	newest := map[string]time.Time{}
	for i := range b.Leads {
		l := &b.Leads[i]
		newest[names[l.Form.ID]] = lead.Later(newest[names[l.Form.ID]], l.SubmittedAt)
	}
	for tp, last := range written {
		if t := s.topics[tp.Topic]; t != nil {
			if t.written == nil {
				t.written = map[int]int64{}
			}
			t.written[tp.Partition] = last
			t.Facts.Published(tp.Partition, last, newest[tp.Topic])
		}
	}
	s.views = slices.DeleteFunc(s.views, (*dedup.View).Closed)
	for _, v := range s.views {
		for i := range b.Leads {
			l := &b.Leads[i]
			v.Committed(names[l.Form.ID], l.ID, dedup.Entry{At: dedup.Submitted(l.SubmittedAt), Replay: l.Replay})
		}
		for _, d := range b.Deletions {
			v.Committed(s.TopicName(d.Form), d.ID, dedup.Entry{At: dedup.Deleted(d.At)})
		}
	}
	for i := range b.DeadLetters {
		if _, known := s.DeadLetters.keys[b.DeadLetters[i].Key()]; !known {
			s.DeadLetters.keys[b.DeadLetters[i].Key()] = nil // where it belongs
		}
	}
	for _, key := range b.Resolved {
		delete(s.DeadLetters.keys, key)
	}
	s.DeadLetters.found(b.Leads)
	for _, topic := range names {
		s.Deletions.touch(topic, b.Leads)
	}
}

// Topics is the state of the lead topics by name, as of the last commits. It is not to be
// changed. Any goroutine may ask.
func (s *Store) Topics() map[string]checkpoint.Topic { return *s.shown.Load() }

// show replaces what Topics gives.
func (s *Store) show(changed map[string]checkpoint.Topic) {
	next := maps.Clone(*s.shown.Load())
	maps.Copy(next, changed)
	s.shown.Store(&next)
}
