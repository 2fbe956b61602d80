package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// waitVisible waits until our last commit to the topic, up to these offsets by partition,
// is readable: an acknowledged commit is decided, but perhaps not visible yet. What others
// write behind it does not make it so. One whose end Kafka seems to have lost is ended,
// and so is what the process before us left where that could not be seen when we began.
func (s *Store) waitVisible(ctx context.Context, topic string, committed map[int]int64) error {
	if err := s.endEarlierIn(ctx, topic); err != nil || len(committed) == 0 {
		return err
	}
	wait := fault.NewBackoff(time.Millisecond, 100*time.Millisecond)
	began, ended := time.Now(), false
	for {
		reached, visible, err := s.isVisible(ctx, topic, committed)
		if err != nil {
			return err
		}
		switch over := time.Since(began) > s.opts.VisibleTime; {
		case visible:
			s.seen(topic, committed)
			return nil
		case over && reached && !ended:
			if err := s.endOpen(ctx, topic); err != nil {
				return err
			}
			began, ended = time.Now(), true
		case over && reached:
			return fmt.Errorf("topic %s: %w", topic, errNotVisible)
		case over:
			return fmt.Errorf("topic %s does not reach the offsets that were acknowledged to us: it is another one: %w", topic, kafka.ErrTopicMissing)
		}
		if err := wait.Wait(ctx, 0); err != nil {
			return err
		}
	}
}

// errNotVisible is of kind Retry: to go on would be to miss what we published.
var errNotVisible = errors.New("our last commit is acknowledged and not readable yet")

// isVisible reports whether the topic reaches these offsets, and whether what stands
// there can be read.
func (s *Store) isVisible(ctx context.Context, topic string, committed map[int]int64) (reached, visible bool, err error) {
	offsets, err := s.opts.Cluster.Offsets(ctx, topic)
	if err != nil {
		return false, false, fmt.Errorf("reading the offsets of topic %s: %w", topic, err)
	}
	for partition, last := range committed {
		if partition >= len(offsets) || offsets[partition].End <= last {
			return false, false, nil
		}
	}
	if visible, err = s.opts.Cluster.MarkersVisible(ctx, topic, committed); err != nil {
		return true, false, fmt.Errorf("looking for our last commit in topic %s: %w", topic, err)
	}
	return true, visible, nil
}

// seen forgets commits that are visible now. A later one is waited for as before.
func (s *Store) seen(topic string, committed map[int]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[topic]; t != nil {
		maps.DeleteFunc(t.written, func(partition int, last int64) bool { return committed[partition] == last })
	}
}

// endEarlierIn ends what a process before us left open in the topic, where that could not
// be done when we began.
func (s *Store) endEarlierIn(ctx context.Context, topic string) error {
	s.mu.Lock()
	t := s.topics[topic]
	unlooked := t != nil && t.unlooked
	s.mu.Unlock()
	if !unlooked {
		return nil
	}
	if err := s.endHanging(ctx, []string{topic}); err != nil {
		return s.ownRefusal(fmt.Errorf("ending the last transaction in topic %s: %w", topic, err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.unlooked = false
	return nil
}

// endOpen ends what our commits may have left open: until it is ended no consumer
// passes it.
func (s *Store) endOpen(ctx context.Context, topic string) error {
	open := []string{CheckpointTopic(s.opts.Name)}
	s.mu.Lock()
	for name, t := range s.topics {
		if len(t.written) > 0 {
			open = append(open, name)
		}
	}
	s.mu.Unlock()
	if err := s.endHanging(ctx, open); err != nil {
		return s.ownRefusal(fmt.Errorf("ending our last commit to topic %s: %w", topic, err))
	}
	return nil
}

// ownRefusal is refusal for whoever does not publish.
func (s *Store) ownRefusal(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusal(err)
}

// endHanging ends what Kafka ended without showing it.
func (s *Store) endHanging(ctx context.Context, topics []string) error {
	ended, err := s.opts.Producer.EndHanging(ctx, topics)
	if len(ended) > 0 {
		s.opts.Log.Warn("Kafka ended a transaction of ours and did not write its markers; they are written now", zap.Stringers("partitions", ended), zap.String("todo", "nothing"))
	}
	return err
}
