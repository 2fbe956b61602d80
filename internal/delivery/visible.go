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

// visibility is what must be readable in a topic before it is read.
type visibility struct {
	topic     string
	committed map[int]int64 // the last offsets by partition of our last commit
	unlooked  bool          // an earlier process may have left something open there
	open      []string      // topics in which something of ours may be open
}

// visibility is what must be readable in the topic now.
func (s *Store) visibility(topic string) visibility {
	v := visibility{topic: topic, open: []string{CheckpointTopic(s.opts.Name)}}
	if t := s.topics[topic]; t != nil {
		v.committed, v.unlooked = maps.Clone(t.written), t.unlooked
	}
	for name, t := range s.topics {
		if len(t.written) > 0 {
			v.open = append(v.open, name)
		}
	}
	return v
}

// seen takes in that it is readable. A later commit is waited for as before.
func (s *Store) seen(v visibility) {
	if t := s.topics[v.topic]; t != nil {
		t.unlooked = t.unlooked && !v.unlooked
		maps.DeleteFunc(t.written, func(partition int, last int64) bool { return v.committed[partition] == last })
	}
}

// waitVisible waits until our last commit to the topic is readable: an acknowledged commit
// is decided, but perhaps not visible yet. What others write behind it does not make it
// so. One whose end Kafka seems to have lost is ended, and so is what the process before
// us left where that could not be seen when we began. Any goroutine may call it.
func (s *Store) waitVisible(ctx context.Context, v visibility) error {
	if v.unlooked {
		if err := s.endHanging(ctx, []string{v.topic}); err != nil {
			return fmt.Errorf("ending the last transaction in topic %s: %w", v.topic, err)
		}
	}
	if len(v.committed) == 0 {
		return nil
	}
	wait := fault.NewBackoff(time.Millisecond, 100*time.Millisecond)
	began, ended := time.Now(), false
	for {
		reached, visible, err := s.isVisible(ctx, v)
		if err != nil {
			return err
		}
		switch over := time.Since(began) > s.opts.VisibleTime; {
		case visible:
			return nil
		case over && reached && !ended:
			if err := s.endHanging(ctx, v.open); err != nil {
				return fmt.Errorf("ending our last commit to topic %s: %w", v.topic, err)
			}
			began, ended = time.Now(), true
		case over && reached:
			return fmt.Errorf("topic %s: %w", v.topic, errNotVisible)
		case over:
			return fmt.Errorf("topic %s does not reach the offsets that were acknowledged to us: it is another one: %w", v.topic, kafka.ErrTopicMissing)
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
func (s *Store) isVisible(ctx context.Context, v visibility) (reached, visible bool, err error) {
	offsets, err := s.opts.Cluster.Reader.Offsets(ctx, v.topic)
	if err != nil {
		return false, false, fmt.Errorf("reading the offsets of topic %s: %w", v.topic, err)
	}
	for partition, last := range v.committed {
		if partition >= len(offsets) || offsets[partition].End <= last {
			return false, false, nil
		}
	}
	if visible, err = s.opts.Cluster.Reader.MarkersVisible(ctx, v.topic, v.committed); err != nil {
		return true, false, fmt.Errorf("looking for our last commit in topic %s: %w", v.topic, err)
	}
	return true, visible, nil
}

// endHanging ends what Kafka ended without showing it.
func (s *Store) endHanging(ctx context.Context, topics []string) error {
	ended, err := s.opts.Producer.EndHanging(ctx, topics)
	if len(ended) > 0 {
		s.opts.Log.Warn("Kafka ended a transaction of ours and did not write its markers; they are written now", zap.Stringers("partitions", ended), zap.String("todo", "nothing"))
	}
	return err
}
