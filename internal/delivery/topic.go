package delivery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// ForeignTopicError says that a topic holds another installation's leads.
type ForeignTopicError struct {
	Topic, Name string
}

func (e *ForeignTopicError) Error() string {
	return fmt.Sprintf("topic %s holds leads of the installation %q: choose another kafka.topic_prefix, or set kafka.adopt_topics to publish to it all the same", e.Topic, e.Name)
}

// Fault suspends the form.
func (e *ForeignTopicError) Fault() fault.Kind { return fault.Suspend }

// topicState is what is known of one lead topic.
type topicState struct {
	checkpoint.Topic
	ready     bool
	changed   bool          // learnt something that is not recorded yet
	retention time.Duration // negative: unlimited
	// partitions is how many the topic has, 0 while it was not described.
	partitions int
	oldest     time.Time // of what is left, where something was removed; else zero
	// written is the last offset by partition of our last commit; a reader sees
	// that commit once its marker stands behind it.
	written map[int]int64
	// unlooked: it may hold a transaction of an epoch before that has no end.
	unlooked bool
}

// beyondHorizon reports whether the topic might have held a lead of that time
// and lost it. fresh is the first moment that was never reconciled: what lies
// behind it only somebody before us may have published, which is us as well
// where the checkpoint was lost.
func (t *topicState) beyondHorizon(at, fresh, now time.Time) bool {
	if others := t.Existed && at.Before(t.Seen); !at.Before(fresh) && !others {
		return false
	}
	if at.Before(t.Horizon) || at.Before(t.oldest) {
		return true
	}
	return t.retention >= 0 && at.Before(now.Add(-t.retention))
}

// TopicName is the topic of a form.
func (s *Store) TopicName(form string) string { return s.opts.Prefix + form }

// EnsureTopics makes the topics of these forms exist and be known. The answer
// has an entry for every form whose topic cannot be written to, with the reason.
func (s *Store) EnsureTopics(ctx context.Context, forms []string) (map[string]error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, form := range forms {
		if t := s.topics[s.TopicName(form)]; t == nil || !t.ready {
			names = append(names, s.TopicName(form))
		}
	}
	refused := map[string]error{}
	if len(names) == 0 {
		return refused, nil
	}
	found, err := s.opts.Cluster.DescribeTopics(ctx, names, "retention.ms", "cleanup.policy")
	if err != nil {
		return nil, fmt.Errorf("describing %d lead topics: %w", len(names), err)
	}
	created, err := s.create(ctx, names, found)
	if err != nil {
		return nil, err
	}
	changed := map[string]any{}
	for _, name := range names {
		form := strings.TrimPrefix(name, s.opts.Prefix)
		if err := s.learn(ctx, name, found, created[name]); err != nil {
			if fault.KindOf(err) != fault.Suspend {
				return nil, err
			}
			refused[form] = err
		} else if t := s.topics[name]; t.changed {
			changed[checkpoint.TopicKey(form)] = t.Topic
		}
	}
	return refused, s.recordTopics(ctx, changed)
}

// recordTopics commits what was learnt of topics before anything is written to
// them: what they were on first sight, and what those that are not what they
// were have forgotten. Afterwards their offsets would not tell.
func (s *Store) recordTopics(ctx context.Context, changed map[string]any) error {
	if len(changed) == 0 {
		return nil
	}
	msgs, err := s.recordMessages(nil, changed)
	if err != nil {
		return err
	}
	if _, err := s.opts.Producer.Commit(ctx, msgs); err != nil {
		for _, t := range s.topics {
			t.ready = t.ready && !t.changed
		}
		return s.refusal(fmt.Errorf("recording the state of %d topics: %w", len(changed), err))
	}
	for _, t := range s.topics {
		t.changed = false
	}
	return nil
}

// create makes the topics that were not found; the answer has an entry, nil or
// the refusal, for each that it tried.
func (s *Store) create(ctx context.Context, names []string, found map[string]kafka.TopicInfo) (map[string]error, error) {
	var specs []kafka.TopicSpec
	for _, name := range names {
		if _, ok := found[name]; !ok {
			specs = append(specs, LeadTopic(s.opts, name))
		}
	}
	if len(specs) == 0 {
		return nil, nil
	}
	created, err := s.opts.Cluster.CreateTopics(ctx, specs)
	if err != nil {
		return nil, fmt.Errorf("creating %d lead topics: %w", len(specs), err)
	}
	return created, nil
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// learn takes a topic into use: one that was just created is empty for every
// lane, one that existed is asked what it can be trusted to remember.
func (s *Store) learn(ctx context.Context, name string, found map[string]kafka.TopicInfo, created error) error {
	info, existed := found[name]
	if !existed && errors.Is(created, kafka.ErrTopicExists) {
		existed = true // another client was faster
		again, err := s.opts.Cluster.DescribeTopics(ctx, []string{name}, "retention.ms", "cleanup.policy")
		if err != nil {
			return fmt.Errorf("describing topic %s: %w", name, err)
		}
		if info, existed = again[name]; !existed {
			return fault.As(fault.Suspend, fmt.Errorf("topic %s exists but is not shown to us: %w", name, kafka.ErrTopicMissing))
		}
	} else if created != nil {
		return fmt.Errorf("creating topic %s: %w", name, created)
	}
	t := s.topics[name]
	firstSight := t == nil
	if firstSight {
		t = &topicState{Topic: checkpoint.Topic{Topic: name, Seen: s.opts.Now().UTC()}, changed: true}
	}
	t.retention = retentionOf(info, existed, LeadTopic(s.opts, name))
	if t.partitions = s.opts.Partitions; existed {
		t.partitions = info.Partitions
	}
	if existed {
		if err := s.remembers(ctx, name, t, firstSight); err != nil {
			return err
		}
	} else {
		t.lost(s.opts.Now())
	}
	t.ready = true
	s.topics[name] = t
	return nil
}

// lost marks a topic that had our leads and is now another, empty one: what was
// published before must not come back by itself.
func (t *topicState) lost(now time.Time) {
	t.oldest = time.Time{}
	if t.EndOffset > 0 {
		t.Horizon, t.EndOffset, t.changed = now, 0, true
	}
}

// remembers finds out from when on an existing topic can be trusted to hold
// what was published to it.
func (s *Store) remembers(ctx context.Context, name string, t *topicState, firstSight bool) error {
	offsets, err := s.opts.Cluster.Offsets(ctx, name)
	if err != nil {
		return fmt.Errorf("reading the offsets of topic %s: %w", name, err)
	}
	now := s.opts.Now()
	var end int64
	t.oldest = time.Time{}
	removed := false
	for _, o := range offsets {
		end += o.End
		removed = removed || o.First > 0
	}
	if removed {
		if t.oldest, err = s.oldest(ctx, name, offsets, now); err != nil {
			return err
		}
	}
	if end < t.EndOffset {
		t.lost(now)
	}
	t.EndOffset = max(t.EndOffset, end)
	if !firstSight || end == 0 {
		return nil
	}
	t.Existed = true
	if t.Horizon = t.oldest; t.retention >= 0 && t.Horizon.Before(now.Add(-t.retention)) {
		t.Horizon = now.Add(-t.retention)
	}
	return s.checkOwner(ctx, name)
}

// oldest is the moment from which on every partition holds what was published:
// the latest of the oldest record times of those from which something was
// removed, now for one that holds nothing any more.
func (s *Store) oldest(ctx context.Context, name string, offsets []kafka.Offsets, now time.Time) (time.Time, error) {
	times, err := s.opts.Cluster.Oldest(ctx, name)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the oldest records of topic %s: %w", name, err)
	}
	var latest time.Time
	for partition, o := range offsets {
		switch {
		case o.First == 0:
		case partition >= len(times) || times[partition].IsZero():
			return now, nil
		default:
			latest = later(latest, times[partition])
		}
	}
	return latest, nil
}

func retentionOf(info kafka.TopicInfo, existed bool, spec kafka.TopicSpec) time.Duration {
	configs := spec.Configs
	if existed {
		configs = info.Configs
	}
	if !strings.Contains(configs["cleanup.policy"], "delete") && configs["cleanup.policy"] != "" {
		return -1 // compacted only: nothing is removed by age
	}
	ms, err := strconv.ParseInt(configs["retention.ms"], 10, 64)
	if err != nil || ms < 0 {
		return -1
	}
	return time.Duration(min(ms, int64(1<<62)/int64(time.Millisecond))) * time.Millisecond
}

// again looks at a topic that was used before as if for the first time: what
// was removed from it meanwhile must not come back either.
func (s *Store) again(ctx context.Context, topic string) error {
	t := s.topics[topic]
	found, err := s.opts.Cluster.DescribeTopics(ctx, []string{topic}, "retention.ms", "cleanup.policy")
	if err != nil {
		return fmt.Errorf("describing topic %s: %w", topic, err)
	}
	info, ok := found[topic]
	if !ok {
		return &kafka.TopicError{Topic: topic, Index: -1, Err: kafka.ErrTopicMissing}
	}
	t.retention, t.partitions = retentionOf(info, true, kafka.TopicSpec{}), info.Partitions
	if err := s.remembers(ctx, topic, t, false); err != nil {
		return err
	}
	if t.changed { // another topic of the same name: to be recorded before it is used
		return &kafka.TopicError{Topic: topic, Index: -1, Err: kafka.ErrTopicMissing}
	}
	return nil
}

// forget makes the next use of a topic learn it again, e.g. after the broker
// said that it does not exist.
func (s *Store) forget(topic string) {
	if t := s.topics[topic]; t != nil {
		t.ready, t.written = false, nil
	}
	for l := range s.lanes {
		delete(l.covered, topic)
	}
}
