package delivery

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// DeadLetterCount are how many dead letters there are, without the dead letters.
type DeadLetterCount struct {
	Total int
	// More: there are more than Total, which is as far as is counted.
	More bool
	Last time.Time // of the latest, by our clock when it was written
	// Reasons counts them by reason.
	Reasons map[string]int
}

const (
	// maxDeadLetters bounds the memory that counting takes, about 50 bytes each.
	maxDeadLetters = 100_000
	// maxReasons bounds the reasons: there are three, but whoever may write to
	// the topic can make up more.
	maxReasons   = 20
	otherReasons = "other"
)

// CountDeadLetters counts what the dead letter topic of an installation holds. A
// topic that does not exist holds none.
func CountDeadLetters(ctx context.Context, c *kafka.Client, name string) (DeadLetterCount, error) {
	n := newCounter()
	err := c.Reader.Read(ctx, DeadLetterTopic(name), kafka.From{}, func(r *kafka.Record) error {
		n.take(r)
		return nil
	})
	if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		return DeadLetterCount{}, fmt.Errorf("counting the dead letters: %w", err)
	}
	return n.count(), nil
}

// counter knows each dead letter by a fingerprint of its key.
type counter struct {
	seed        maphash.Seed
	deadLetters map[uint64]string // fingerprint to reason
	reasons     map[string]string // one text for each
	more        bool
	last        time.Time
}

func newCounter() *counter {
	return &counter{seed: maphash.MakeSeed(), deadLetters: map[uint64]string{}, reasons: map[string]string{}}
}

func (n *counter) take(r *kafka.Record) {
	key := maphash.Comparable(n.seed, entryPlace{string(r.Key), r.Partition}) // in each a tombstone ends it
	if r.Value == nil {
		delete(n.deadLetters, key)
		return
	}
	if _, known := n.deadLetters[key]; !known && len(n.deadLetters) >= maxDeadLetters {
		n.more = true
		return
	}
	n.deadLetters[key] = n.reason(r)
	n.last = lead.Later(n.last, r.Time)
}

func (n *counter) reason(r *kafka.Record) string {
	name := ""
	for _, h := range r.Headers {
		if h.Key == HeaderErrorException {
			name = string(h.Value)
		}
	}
	if _, known := n.reasons[name]; !known {
		if len(n.reasons) >= maxReasons-1 {
			return otherReasons
		}
		n.reasons[name] = name
	}
	return n.reasons[name]
}

func (n *counter) count() DeadLetterCount {
	l := DeadLetterCount{Total: len(n.deadLetters), More: n.more, Reasons: map[string]int{}}
	if l.Total > 0 {
		l.Last = n.last.UTC()
	}
	for _, reason := range n.deadLetters {
		l.Reasons[reason]++
	}
	return l
}
