package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	return fmt.Sprintf("topic %s holds leads of the installation %q; %s", e.Topic, e.Name, e.Todo())
}

// Todo is what to do about it, read by fault.TodoOf.
func (e *ForeignTopicError) Todo() string {
	return "choose another `kafka.topic_prefix`, or set `kafka.adopt_topics` to publish to it all the same"
}

// Fault suspends the form.
func (e *ForeignTopicError) Fault() fault.Kind { return fault.Suspend }

// TopicRecreatedError says that a lead topic was deleted, and that what bears its
// name now is another one.
type TopicRecreatedError struct {
	Topic string
	Leads int64 // that had been published to it
	At    time.Time
}

func (e *TopicRecreatedError) Error() string {
	return fmt.Sprintf("topic %s, to which %d leads had been published, was deleted; new leads flow into another one, older ones do not come back by themselves; %s", e.Topic, e.Leads, e.Todo())
}

// Todo is what to do about it, read by fault.TodoOf.
func (e *TopicRecreatedError) Todo() string {
	return "nothing, if that was meant; else `leadstream run --replay-from 365d` publishes again what LinkedIn still has"
}

// About is the one time that it happened, for fault.Issue.
func (e *TopicRecreatedError) About() string { return e.Topic + " at " + e.At.String() }

// Fault waits for a person, although the form goes on.
func (e *TopicRecreatedError) Fault() fault.Kind { return fault.Suspend }

// Recreated are the lead topics that were found to be others than before, each once.
func (s *Store) Recreated() []*TopicRecreatedError {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.recreated
	s.recreated = nil
	return found
}

// topicState is what is known of one lead topic.
type topicState struct {
	checkpoint.Topic
	ready     bool
	changed   bool          // learnt something that is not recorded yet
	retention time.Duration // negative: unlimited
	// partitions is how many the topic has, 0 while it was not described.
	partitions int
	// written is the last offset by partition of our last commit; a reader sees
	// that commit once its marker stands behind it.
	written map[int]int64
	// unlooked: it may hold a transaction of an epoch before that has no end.
	unlooked bool
}

// TopicName is the topic of a form.
func (s *Store) TopicName(form string) string { return s.opts.Prefix + form }

// Existing are those of the forms whose topics exist.
func (s *Store) Existing(ctx context.Context, forms []string) (map[string]bool, error) {
	names := make([]string, len(forms))
	for i, form := range forms {
		names[i] = s.TopicName(form)
	}
	found, err := s.opts.Cluster.DescribeTopics(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("describing %d lead topics: %w", len(names), err)
	}
	existing := map[string]bool{}
	for _, form := range forms {
		_, existing[form] = found[s.TopicName(form)]
	}
	return existing, nil
}

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
	if _, err := s.write(ctx, msgs); err != nil {
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
	if len(s.opts.Cluster.RefusedSettings()) == 0 {
		return created, nil
	}
	var made []string // without some settings: what they have instead is the cluster's to say
	for name, err := range created {
		if err == nil {
			made = append(made, name)
		}
	}
	actual, err := s.opts.Cluster.DescribeTopics(ctx, made, "retention.ms", "cleanup.policy")
	if err != nil {
		return nil, fmt.Errorf("describing %d lead topics: %w", len(made), err)
	}
	maps.Copy(found, actual)
	return created, nil
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// learn takes a topic into use: one that was just created is empty for every
// view, one that existed is asked what it can be trusted to remember.
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
		t = &topicState{Topic: checkpoint.Topic{Topic: name, Seen: s.linkedInNow()}, changed: true}
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
		s.lost(t)
		if t.Made != t.partitions {
			t.Made, t.changed = t.partitions, true
		}
	}
	t.ready = true
	s.topics[name] = t
	return nil
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
	for l := range s.views {
		delete(l.covered, topic)
	}
}
