package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// waitVisible waits until our last commit to the topic is readable: an acknowledged
// commit is decided, but perhaps not visible yet. What others write behind it
// does not make it so. One whose end Kafka seems to have lost is sealed, and so is
// what the process before us left where that could not be seen when we began.
func (s *Store) waitVisible(ctx context.Context, topic string) error {
	t := s.topics[topic]
	if t == nil {
		return nil
	}
	if t.unlooked {
		if err := s.endHanging(ctx, []string{topic}); err != nil {
			return s.refusal(fmt.Errorf("ending the last transaction in topic %s: %w", topic, err))
		}
		t.unlooked = false
	}
	if len(t.written) == 0 {
		return nil
	}
	wait := fault.NewBackoff(time.Millisecond, 100*time.Millisecond)
	began, sealed := time.Now(), false
	for {
		offsets, err := s.opts.Cluster.Offsets(ctx, topic)
		if err != nil {
			return fmt.Errorf("reading the offsets of topic %s: %w", topic, err)
		}
		reached, visible := true, false
		for partition, last := range t.written {
			reached = reached && partition < len(offsets) && offsets[partition].End > last
		}
		if reached {
			if visible, err = s.opts.Cluster.MarkersVisible(ctx, topic, t.written); err != nil {
				return fmt.Errorf("looking for our last commit in topic %s: %w", topic, err)
			}
		}
		switch over := time.Since(began) > s.opts.VisibleTime; {
		case visible:
			t.written = nil
			return nil
		case over && reached && !sealed:
			if err := s.endHangingIn(ctx, topic); err != nil {
				return err
			}
			began, sealed = time.Now(), true
		case over && reached:
			return fmt.Errorf("topic %s: %w", topic, errUnsettled)
		case over:
			return fmt.Errorf("topic %s does not reach the offsets that were acknowledged to us: it is another one: %w", topic, kafka.ErrTopicMissing)
		}
		if err := wait.Wait(ctx, 0); err != nil {
			return err
		}
	}
}

// errUnsettled is of kind Retry: to go on would be to miss what we published.
var errUnsettled = errors.New("our last commit is acknowledged and not readable yet")

// endHangingIn ends what our commits may have left open: until it is ended no consumer
// passes it.
func (s *Store) endHangingIn(ctx context.Context, topic string) error {
	open := []string{CheckpointTopic(s.opts.Name)}
	for name, t := range s.topics {
		if len(t.written) > 0 {
			open = append(open, name)
		}
	}
	if err := s.endHanging(ctx, open); err != nil {
		return s.refusal(fmt.Errorf("ending our last commit to topic %s: %w", topic, err))
	}
	return nil
}

// endHanging ends what Kafka ended without showing it.
func (s *Store) endHanging(ctx context.Context, topics []string) error {
	ended, err := s.opts.Producer.EndHanging(ctx, topics)
	if len(ended) > 0 {
		s.opts.Log.Warn("Kafka ended a transaction of ours and did not write its markers; they are written now", zap.Stringers("partitions", ended), zap.String("todo", "nothing"))
	}
	return err
}
