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

// DeadLetters are the dead letters of the installation, and the elements that may be some. They
// belong to whom the store belongs to; LookUp, which reads Kafka, is for others.
type DeadLetters struct {
	store      *Store
	keys       map[string][]int // of the dead letters to where they stand
	partitions int              // of their topic when it was read
	published  map[string]bool  // by key of elements that were looked for: whether their leads are in their topics
	lookedFor  map[string]int   // those that are looked for now, with how often
}

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
func (dl *DeadLetters) LookUp(ctx context.Context, lookups Lookups) error {
	for topic, l := range lookups {
		err := dl.store.waitVisible(ctx, l.visibility)
		if err == nil {
			err = dl.store.read(ctx, topic, l.oldest, l.take)
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
func (dl *DeadLetters) Unpublished(elements []*lead.Response) Lookups {
	lookups := Lookups{}
	for _, r := range elements {
		topic, key := dl.store.TopicName(r.Form.ID), DeadLetter{Response: r}.Key()
		_, dead := dl.keys[key]
		_, known := dl.published[key]
		if r.ID == "" || r.SubmittedAt.IsZero() || dl.store.topics[topic] == nil || dead || known || dl.lacks(topic, r) {
			continue
		}
		l := lookups[topic]
		if l == nil {
			l = &lookup{keys: map[string]map[dedup.At]string{}, oldest: r.SubmittedAt, visibility: dl.store.visibility(topic)}
			lookups[topic] = l
		}
		if l.keys[r.ID] == nil {
			l.keys[r.ID] = map[dedup.At]string{}
		}
		l.keys[r.ID][dedup.Submitted(r.SubmittedAt)] = key
		l.oldest = lead.Earlier(l.oldest, r.SubmittedAt)
		dl.lookedFor[key]++
	}
	return lookups
}

// LookedUp takes in what was found.
func (dl *DeadLetters) LookedUp(lookups Lookups) {
	for _, l := range lookups {
		for _, of := range l.keys {
			for _, key := range of {
				dl.published[key] = dl.published[key] || slices.Contains(l.found, key)
				if dl.lookedFor[key]--; dl.lookedFor[key] == 0 {
					delete(dl.lookedFor, key)
				}
			}
		}
	}
}

// found notes leads that were just published and that somebody is looking for, or has
// looked for in vain.
func (dl *DeadLetters) found(leads []Lead) {
	if len(dl.lookedFor)+len(dl.published) == 0 {
		return
	}
	for i := range leads {
		key := DeadLetter{Response: leads[i].Response}.Key()
		_, known := dl.published[key]
		if _, asked := dl.lookedFor[key]; asked || known {
			dl.published[key] = true
		}
	}
}

// lacks reports whether a view knows for certain that the topic has nothing of the id.
func (dl *DeadLetters) lacks(topic string, r *lead.Response) bool {
	w := lead.Window{From: r.SubmittedAt, To: r.SubmittedAt.Add(time.Millisecond)}
	for _, v := range dl.store.views {
		if _, there := v.Latest(topic, r.ID); !there && v.Covers(topic, w) {
			return true
		}
	}
	return false
}

// Shrink halves what is kept of an element that cannot be published,
// after its topic refused one as too large; false when nothing is left to cut.
func (dl *DeadLetters) Shrink() bool {
	if dl.store.opts.MaxDeadLetter < 1<<10 {
		return false
	}
	dl.store.opts.MaxDeadLetter /= 2
	return true
}

// New drops the dead letters that the topic has already, so that an
// element that is read on every poll is written once, and those of leads that are
// deleted, or published as far as LookUp found.
func (dl *DeadLetters) New(deadLetters []DeadLetter) []DeadLetter {
	seen := map[string]bool{}
	return slices.DeleteFunc(deadLetters, func(d DeadLetter) bool {
		if d.ID != "" && !d.SubmittedAt.IsZero() && dl.store.Deletions.index.since(d.ID, d.SubmittedAt.UnixMilli()) {
			return true
		}
		key := d.Key()
		_, dead := dl.keys[key]
		again := dead || dl.published[key] || seen[key]
		seen[key] = true
		return again
	})
}

// ResolvedBy are the keys of the dead letters that these leads put an end to: what
// could not be published when it was read before goes out now.
func (dl *DeadLetters) ResolvedBy(leads []Lead) (keys []string) {
	if len(dl.keys) == 0 {
		return nil
	}
	for i := range leads {
		key := DeadLetter{Response: leads[i].Response}.Key()
		if _, dead := dl.keys[key]; dead {
			keys = append(keys, key)
		}
	}
	return keys
}

// read makes the keys of the dead letters known.
func (dl *DeadLetters) read(ctx context.Context) error {
	dead := map[string][]int{}
	err := dl.store.opts.Cluster.Reader.Read(ctx, dl.store.DeadLetterTopic(), kafka.From{}, func(r *kafka.Record) error {
		key := string(r.Key)
		places := slices.DeleteFunc(dead[key], func(partition int) bool { return partition == r.Partition })
		if r.Value != nil {
			places = append(places, r.Partition)
		}
		if dead[key] = places; len(places) == 0 {
			delete(dead, key)
		}
		return nil
	})
	if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		return forPerson(fmt.Errorf("reading the dead letters: %w", err))
	}
	found, err := dl.store.opts.Cluster.Admin.DescribeTopics(ctx, []string{dl.store.DeadLetterTopic()})
	if err != nil {
		return forPerson(fmt.Errorf("describing topic %s: %w", dl.store.DeadLetterTopic(), err))
	}
	dl.keys, dl.partitions = dead, max(found[dl.store.DeadLetterTopic()].Partitions, 1)
	return nil
}

// resolved are the tombstones of dead letters: where each belongs, and wherever else it
// stands, or may stand, in a topic that was given more partitions since.
func (dl *DeadLetters) resolved(ctx context.Context, keys []string) ([]kafka.Message, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	found, err := dl.store.opts.Cluster.Admin.DescribeTopics(ctx, []string{dl.store.DeadLetterTopic()})
	if err != nil {
		return nil, forPerson(fmt.Errorf("describing topic %s: %w", dl.store.DeadLetterTopic(), err))
	}
	partitions := max(found[dl.store.DeadLetterTopic()].Partitions, 1)
	var msgs []kafka.Message
	for _, key := range keys {
		places := append([]int{kafka.PartitionOf([]byte(key), partitions)}, dl.keys[key]...)
		for n := dl.partitions; n < partitions; n++ { // when it was written there may have been so many
			places = append(places, kafka.PartitionOf([]byte(key), n))
		}
		slices.Sort(places)
		for _, partition := range slices.Compact(places) {
			msgs = append(msgs, kafka.Message{Topic: dl.store.DeadLetterTopic(), Key: []byte(key), Partition: &partition, Time: dl.store.opts.Now()})
		}
	}
	return msgs, nil
}
