package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/dedup"
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
	found := s.recreated
	s.recreated = nil
	return found
}

// topicState is what is known of one lead topic.
type topicState struct {
	dedup.Facts
	ready   bool
	changed bool // learnt something that is not recorded yet
	// written is the last offset by partition of our last commit; a reader sees
	// that commit once its marker stands behind it.
	written map[int]int64
	// unlooked: it may hold a transaction of a session before that has no end.
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
	found, err := s.opts.Cluster.Admin.DescribeTopics(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("describing %d lead topics: %w", len(names), err)
	}
	existing := map[string]bool{}
	for _, form := range forms {
		_, existing[form] = found[s.TopicName(form)]
	}
	return existing, nil
}

// Looks are lead topics on their way to be known, by name.
type Looks map[string]*look

// look is a topic as it is found before it is taken into use.
type look struct {
	firstSight bool    // nothing is known of it
	firsts     []int64 // first offsets that are known
	endOffset  int64   // where it ended when it was asked about

	info    kafka.TopicInfo
	existed bool // before we tried to make it
	bounds  []dedup.Bounds
	refused error // why it cannot be written to
}

// Unknown are the topics of these forms that are not known to exist. LookAt makes them
// exist, then Learn makes them known.
func (s *Store) Unknown(forms []string) Looks {
	looks := Looks{}
	for _, form := range forms {
		name := s.TopicName(form)
		switch t := s.topics[name]; {
		case t == nil:
			looks[name] = &look{firstSight: true}
		case !t.ready:
			looks[name] = &look{firsts: t.Firsts(), endOffset: t.EndOffset}
		}
	}
	return looks
}

// Learn takes topics into use. The answer has an entry for every form whose topic cannot
// be written to, with the reason.
func (s *Store) Learn(ctx context.Context, looks Looks) (map[string]error, error) {
	refused, changed := map[string]error{}, map[string]any{}
	for name, l := range looks {
		form := strings.TrimPrefix(name, s.opts.Prefix)
		if l.refused != nil {
			refused[form] = l.refused
			continue
		}
		s.learn(name, l)
		if t := s.topics[name]; t.changed {
			changed[checkpoint.TopicKey(form)] = t.Topic
		}
	}
	return refused, s.recordTopics(ctx, changed)
}

// LookAt makes those of the topics that are missing, and finds out what the others are
// like. What concerns one topic alone is its refusal. Any goroutine may call it.
func (s *Store) LookAt(ctx context.Context, looks Looks) error {
	if len(looks) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(looks))
	found, err := s.opts.Cluster.Admin.DescribeTopics(ctx, names, "retention.ms", "cleanup.policy")
	if err != nil {
		return fmt.Errorf("describing %d lead topics: %w", len(names), err)
	}
	created, err := s.create(ctx, names, found)
	if err != nil {
		return err
	}
	for _, name := range names {
		l := looks[name]
		if l.refused = s.inspect(ctx, name, l, found, created[name]); l.refused != nil && fault.KindOf(l.refused) != fault.Suspend {
			return l.refused
		}
	}
	return nil
}

// inspect finds out what one topic is like. created says what became of making it.
func (s *Store) inspect(ctx context.Context, name string, l *look, found map[string]kafka.TopicInfo, created error) error {
	l.info, l.existed = found[name]
	switch {
	case !l.existed && errors.Is(created, kafka.ErrTopicExists): // another client was faster
		again, err := s.opts.Cluster.Admin.DescribeTopics(ctx, []string{name}, "retention.ms", "cleanup.policy")
		if err != nil {
			return fmt.Errorf("describing topic %s: %w", name, err)
		}
		if l.info, l.existed = again[name]; !l.existed {
			return fault.As(fault.Suspend, fmt.Errorf("topic %s exists but is not shown to us: %w", name, kafka.ErrTopicMissing))
		}
	case created != nil:
		return fmt.Errorf("creating topic %s: %w", name, created)
	}
	if !l.existed {
		return nil
	}
	var err error
	if l.bounds, err = s.bounds(ctx, name, l.firsts); err != nil {
		return err
	}
	if l.firstSight && end(l.bounds) > 0 {
		return s.checkOwner(ctx, name)
	}
	return nil
}

// learn takes a topic into use: one that was just made is empty for every view, one that
// existed says what it can be trusted to remember.
func (s *Store) learn(name string, l *look) {
	t := s.topics[name]
	switch {
	case t == nil:
		t = &topicState{Facts: dedup.Facts{Topic: checkpoint.Topic{Topic: name, Seen: s.linkedInNow()}}, changed: true}
	case t.ready:
		return // somebody else was faster
	}
	t.Retention = retentionOf(l.info, l.existed, LeadTopic(s.opts, name))
	if t.PartitionCount = s.opts.Partitions; l.existed {
		t.PartitionCount = l.info.Partitions
	}
	if !l.existed || end(l.bounds) < l.endOffset {
		s.replaced(t)
	}
	switch {
	case !l.existed && t.Made != t.PartitionCount:
		t.Made, t.changed = t.PartitionCount, true
	case l.firstSight:
		t.FirstSight(l.bounds, s.clocks())
	case l.existed:
		t.Look(l.bounds, s.clocks())
	}
	t.ready = true
	s.topics[name] = t
}

// replaced notes that a topic which had our leads is another, empty one now.
func (s *Store) replaced(t *topicState) {
	if !t.Replaced() {
		return
	}
	s.recreated = append(s.recreated, &TopicRecreatedError{Topic: t.Topic.Topic, Leads: t.Leads, At: s.opts.Now()})
	t.Made, t.SchemaID, t.Schemas, t.changed = 0, 0, nil, true
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
	created, err := s.opts.Cluster.Admin.CreateTopics(ctx, specs)
	if err != nil {
		return nil, fmt.Errorf("creating %d lead topics: %w", len(specs), err)
	}
	if len(s.opts.Cluster.Admin.RefusedSettings()) == 0 {
		return created, nil
	}
	var made []string // without some settings: what they have instead is the cluster's to say
	for name, err := range created {
		if err == nil {
			made = append(made, name)
		}
	}
	actual, err := s.opts.Cluster.Admin.DescribeTopics(ctx, made, "retention.ms", "cleanup.policy")
	if err != nil {
		return nil, fmt.Errorf("describing %d lead topics: %w", len(made), err)
	}
	maps.Copy(found, actual)
	return created, nil
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

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

// forget makes the next use of a topic learn it again, e.g. after the broker
// said that it does not exist.
func (s *Store) forget(topic string) {
	if t := s.topics[topic]; t != nil {
		t.ready, t.written = false, nil
	}
	for _, v := range s.views {
		v.Drop(topic)
	}
}
