package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// withoutPublished drops the dead letters whose leads are in their topics: LinkedIn may
// go on showing an element that could not be read long after a person retried it.
func (s *Store) withoutPublished(ctx context.Context, deadLetters []DeadLetter) ([]DeadLetter, error) {
	byTopic := map[string][]DeadLetter{}
	for _, d := range deadLetters {
		topic := s.TopicName(d.Form.ID)
		if d.ID != "" && !d.SubmittedAt.IsZero() && s.topics[topic] != nil && !s.lacks(topic, d) {
			byTopic[topic] = append(byTopic[topic], d)
		}
	}
	for topic, of := range byTopic {
		err := s.lookUpPublished(ctx, topic, of)
		var foreign *ForeignTopicError
		switch {
		case err == nil, errors.Is(err, kafka.ErrTopicMissing), errors.As(err, &foreign), fault.KindOf(err) == fault.Suspend:
			// a topic that cannot be looked at keeps no dead letter from being told
		default:
			return nil, fmt.Errorf("looking for %d dead letters among the leads of topic %s: %w", len(of), topic, err)
		}
	}
	return slices.DeleteFunc(deadLetters, func(d DeadLetter) bool {
		_, out := s.published[d.Key()]
		return out
	}), nil
}

// lacks reports whether a view knows for certain that the topic has nothing of the id.
func (s *Store) lacks(topic string, d DeadLetter) bool {
	at := d.SubmittedAt.UnixMilli()
	for l := range s.views {
		if c, ok := l.covered[topic]; ok && c.holds(at, at+1) {
			if _, found := l.ids.get(l.hash(topic, d.ID)); !found {
				return true
			}
		}
	}
	return false
}

// lookUpPublished notes which of the dead letters of one topic stand in it as leads.
func (s *Store) lookUpPublished(ctx context.Context, topic string, deadLetters []DeadLetter) error {
	keys := map[string]map[time.Time]string{} // by id and submission
	oldest := deadLetters[0].SubmittedAt
	for _, d := range deadLetters {
		if _, known := s.published[d.Key()]; known {
			continue
		}
		if keys[d.ID] == nil {
			keys[d.ID] = map[time.Time]string{}
		}
		keys[d.ID][d.SubmittedAt.UTC()] = d.Key()
		if d.SubmittedAt.Before(oldest) {
			oldest = d.SubmittedAt
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if err := s.waitVisible(ctx, topic); err != nil {
		return err
	}
	return s.read(ctx, topic, oldest, func(id []byte, e entry) {
		if key, asked := keys[string(id)][time.UnixMilli(e.at.millis()).UTC()]; asked && !e.at.isDeleted() {
			s.published[key] = struct{}{}
		}
	})
}
