package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// PolicyError says that Kafka would delete what an internal topic must remember.
type PolicyError struct{ Topic, Policy string }

func (e *PolicyError) Error() string {
	return fmt.Sprintf("topic %s has cleanup.policy=%s, it must be compact, or Kafka deletes what must not be forgotten; %s", e.Topic, e.Policy, e.Todo())
}

// Todo is what to do about it, read by fault.TodoOf.
func (e *PolicyError) Todo() string {
	return fmt.Sprintf("run `kafka-configs --alter --entity-type topics --entity-name %s --add-config cleanup.policy=compact`, then start leadstream again", e.Topic)
}

// Fault makes it fatal.
func (e *PolicyError) Fault() fault.Kind { return fault.Fatal }

// PartitionsError says that the checkpoint topic has more partitions than one: the
// records of a key are in order within one alone, and by it one process is given the
// work.
type PartitionsError struct {
	Topic      string
	Partitions int
}

func (e *PartitionsError) Error() string {
	return fmt.Sprintf("topic %s has %d partitions, it must have 1, within which alone Kafka keeps its records in order; %s", e.Topic, e.Partitions, e.Todo())
}

// Todo is what a person can do about it.
func (e *PartitionsError) Todo() string {
	return "partitions cannot be taken away, so delete the topic and start again, which makes it anew: that is a first start, and repeats nothing (with token.store kafka it needs a new consent: leadstream auth login)"
}

// Fault makes it fatal.
func (e *PartitionsError) Fault() fault.Kind { return fault.Fatal }

// EnsureInternal makes the checkpoint and dead letter topics exist and refuses
// a checkpoint topic that would lose what it is for.
func EnsureInternal(ctx context.Context, o Options) error {
	return makeInternal(ctx, o, InternalTopics(o))
}

// EnsureDeletions makes the topic of deletions exist. The error is a *PolicyError when it
// would forget them.
func EnsureDeletions(ctx context.Context, o Options) error {
	return makeInternal(ctx, o, []kafka.TopicSpec{DeletionTopic(o)})
}

func makeInternal(ctx context.Context, o Options, specs []kafka.TopicSpec) error {
	missing, err := inspect(ctx, o, specs)
	if err != nil || len(missing) == 0 {
		return err
	}
	created, err := o.Cluster.Admin.CreateTopics(ctx, missing)
	if err != nil {
		return fmt.Errorf("creating topics %s: %w", strings.Join(namesOf(missing), " and "), err)
	}
	raced := false
	for name, err := range created {
		if errors.Is(err, kafka.ErrTopicExists) {
			raced = true
		} else if err != nil {
			return fmt.Errorf("creating topic %s: %w", name, err)
		}
	}
	if raced { // whoever was faster may have made it in another way
		_, err = inspect(ctx, o, specs)
	}
	return err
}

// Inspect is a *PolicyError or a *PartitionsError where the checkpoint topic exists and
// would lose what it is for.
func Inspect(ctx context.Context, o Options) error {
	_, err := inspect(ctx, o, InternalTopics(o))
	return err
}

// inspect refuses topics that would lose what they are for, and gives those that are
// missing. A dead letter may be forgotten.
func inspect(ctx context.Context, o Options, specs []kafka.TopicSpec) (missing []kafka.TopicSpec, err error) {
	found, err := o.Cluster.Admin.DescribeTopics(ctx, namesOf(specs), keyPolicy)
	if err != nil {
		return nil, fmt.Errorf("describing topics %s: %w", strings.Join(namesOf(specs), " and "), err)
	}
	for _, spec := range specs {
		info, there := found[spec.Name]
		switch policy := info.Configs[keyPolicy]; {
		case !there:
			missing = append(missing, spec)
		case spec.Name != DeadLetterTopic(o.Name) && policy != "compact":
			return nil, &PolicyError{Topic: spec.Name, Policy: policy}
		case spec.Name == CheckpointTopic(o.Name) && info.Partitions != 1:
			return nil, &PartitionsError{Topic: spec.Name, Partitions: info.Partitions}
		}
	}
	return missing, nil
}

func namesOf(specs []kafka.TopicSpec) (names []string) {
	for _, spec := range specs {
		names = append(names, spec.Name)
	}
	return names
}

// inspectEvery is how often the internal topics are looked at by whoever writes to
// them: what somebody sets in one of them takes what is in it only later.
const inspectEvery = time.Minute

// write commits messages, all that a session writes. That the checkpoint topic is
// another one than it began with, because it was deleted and somebody made it anew,
// shows when a commit stands where one stood before: the session ends then, and the next
// one knows from the topic that it lacks progress (see begin).
func (s *Store) write(ctx context.Context, msgs []kafka.Message) (map[kafka.TopicPartition]int64, error) {
	if now := s.opts.Now(); now.Sub(s.inspected) >= inspectEvery {
		err := Inspect(ctx, s.opts)
		if fault.KindOf(err) == fault.Fatal {
			return nil, err
		}
		s.inspected = now // what cannot be looked at now is not waited for
	}
	written, err := s.opts.Producer.Commit(ctx, msgs)
	if err != nil {
		return nil, err
	}
	name := CheckpointTopic(s.opts.Name)
	if last, ok := written[kafka.TopicPartition{Topic: name}]; ok {
		if last <= s.last {
			return nil, &kafka.EpochLostError{TransactionalID: s.opts.Name, Op: "writing to " + name,
				Err: fmt.Errorf("topic %s was deleted and made anew: it ends at offset %d, where it ended at %d before", name, last, s.last)}
		}
		s.last = last
	}
	return written, nil
}
