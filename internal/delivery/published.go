package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"leadstream/internal/dedup"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// Lookups are elements that are looked for among the leads, by topic.
type Lookups map[string]*lookup

// lookup is what is looked for in one topic.
type lookup struct {
	keys       map[string]map[dedup.At]string // of the dead letters, by id and submission
	oldest     time.Time
	visibility visibility
	found      []string
}

// LookUp finds out which of the elements are in their topics as leads. A topic that
// cannot be looked at keeps no dead letter from being told. Any goroutine may call it.
func (s *Store) LookUp(ctx context.Context, lookups Lookups) error {
	for topic, l := range lookups {
		err := s.waitVisible(ctx, l.visibility)
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

func (l *lookup) take(id []byte, e dedup.Entry) error {
	if key, asked := l.keys[string(id)][e.At]; asked {
		l.found = append(l.found, key)
	}
	return nil
}

// Unpublished are the lookups that these elements take, which are to become dead letters:
// LinkedIn may go on showing an element that could not be read long after a person retried
// it. There are none for what memory can tell. What is committed from here on until
// LookedUp is noticed.
func (s *Store) Unpublished(elements []*lead.Response) Lookups {
	lookups := Lookups{}
	for _, r := range elements {
		topic, key := s.TopicName(r.Form.ID), DeadLetter{Response: r}.Key()
		_, dead := s.dead[key]
		_, known := s.published[key]
		if r.ID == "" || r.SubmittedAt.IsZero() || s.topics[topic] == nil || dead || known || s.lacks(topic, r) {
			continue
		}
		l := lookups[topic]
		if l == nil {
			l = &lookup{keys: map[string]map[dedup.At]string{}, oldest: r.SubmittedAt, visibility: s.visibility(topic)}
			lookups[topic] = l
		}
		if l.keys[r.ID] == nil {
			l.keys[r.ID] = map[dedup.At]string{}
		}
		l.keys[r.ID][dedup.Submitted(r.SubmittedAt)] = key
		l.oldest = lead.Earlier(l.oldest, r.SubmittedAt)
		s.lookedFor[key]++
	}
	return lookups
}

// LookedUp takes in what was found.
func (s *Store) LookedUp(lookups Lookups) {
	for _, l := range lookups {
		for _, of := range l.keys {
			for _, key := range of {
				s.published[key] = s.published[key] || slices.Contains(l.found, key)
				if s.lookedFor[key]--; s.lookedFor[key] == 0 {
					delete(s.lookedFor, key)
				}
			}
		}
	}
}

// found notes leads that were just published and that somebody is looking for, or has
// looked for in vain.
func (s *Store) found(leads []Lead) {
	if len(s.lookedFor)+len(s.published) == 0 {
		return
	}
	for i := range leads {
		key := DeadLetter{Response: leads[i].Response}.Key()
		_, known := s.published[key]
		if _, asked := s.lookedFor[key]; asked || known {
			s.published[key] = true
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
