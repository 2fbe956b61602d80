package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"leadstream/internal/dedup"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// LookForPublished finds out which of these elements, which become dead letters, are in
// their topics as leads: LinkedIn may go on showing an element that could not be read long
// after a person retried it. It is called before the publication that makes them, while
// others publish. A topic that cannot be looked at keeps no dead letter from being told.
func (s *Store) LookForPublished(ctx context.Context, elements []*lead.Response) error {
	looks := s.lookFor(elements)
	defer s.lookedUp(looks)
	for topic, l := range looks {
		err := s.waitVisible(ctx, topic, l.written)
		if err == nil {
			err = s.read(ctx, topic, l.oldest, l.take)
		}
		var foreign *ForeignTopicError
		switch {
		case err == nil, errors.Is(err, kafka.ErrTopicMissing), errors.As(err, &foreign), fault.KindOf(err) == fault.Suspend:
		default:
			return fmt.Errorf("looking for %d dead letters among the leads of topic %s: %w", len(l.keys), topic, err)
		}
	}
	return nil
}

// publishedLook is what is looked for in one topic.
type publishedLook struct {
	keys    map[string]map[dedup.At]string // of the dead letters, by id and submission
	oldest  time.Time
	written map[int]int64
	found   []string
}

func (l *publishedLook) take(id []byte, e dedup.Entry) error {
	if key, asked := l.keys[string(id)][e.At]; asked {
		l.found = append(l.found, key)
	}
	return nil
}

// lookFor are the topics in which one of the elements may stand, as far as memory can
// tell. What is committed from here on until lookedUp is noticed.
func (s *Store) lookFor(elements []*lead.Response) map[string]*publishedLook {
	s.mu.Lock()
	defer s.mu.Unlock()
	looks := map[string]*publishedLook{}
	for _, r := range elements {
		topic, key := s.TopicName(r.Form.ID), DeadLetter{Response: r}.Key()
		_, dead := s.dead[key]
		_, published := s.published[key]
		if r.ID == "" || r.SubmittedAt.IsZero() || s.topics[topic] == nil || dead || published || s.lacks(topic, r) {
			continue
		}
		l := looks[topic]
		if l == nil {
			l = &publishedLook{keys: map[string]map[dedup.At]string{}, oldest: r.SubmittedAt, written: maps.Clone(s.topics[topic].written)}
			looks[topic] = l
		}
		if l.keys[r.ID] == nil {
			l.keys[r.ID] = map[dedup.At]string{}
		}
		l.keys[r.ID][dedup.Submitted(r.SubmittedAt)] = key
		l.oldest = earlier(l.oldest, r.SubmittedAt)
		s.lookedFor[key]++
	}
	return looks
}

// lookedUp takes in what was found.
func (s *Store) lookedUp(looks map[string]*publishedLook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range looks {
		for _, key := range l.found {
			s.published[key] = struct{}{}
		}
		for _, of := range l.keys {
			for _, key := range of {
				if s.lookedFor[key]--; s.lookedFor[key] == 0 {
					delete(s.lookedFor, key)
				}
			}
		}
	}
}

// found notes leads that were just published and that somebody is looking for.
func (s *Store) found(leads []Lead) {
	if len(s.lookedFor) == 0 {
		return
	}
	for i := range leads {
		key := DeadLetter{Response: leads[i].Response}.Key()
		if _, asked := s.lookedFor[key]; asked {
			s.published[key] = struct{}{}
		}
	}
}

// lacks reports whether a view knows for certain that the topic has nothing of the id.
func (s *Store) lacks(topic string, r *lead.Response) bool {
	w := lead.Window{From: r.SubmittedAt, To: r.SubmittedAt.Add(time.Millisecond)}
	for _, v := range s.views {
		if _, there := v.Latest(topic, r.ID); !there && v.Covers(topic, w) {
			return true
		}
	}
	return false
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
