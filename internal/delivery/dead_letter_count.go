package delivery

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"leadstream/internal/kafka"
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
	// maxDeadLetters bounds the memory that counting takes, about 30 bytes each.
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
	seed    maphash.Seed
	letters map[uint64]uint8 // fingerprint to number of the reason
	reasons map[string]uint8
	names   []string // of the reasons, by number
	more    bool
	last    time.Time
}

func newCounter() *counter {
	return &counter{seed: maphash.MakeSeed(), letters: map[uint64]uint8{}, reasons: map[string]uint8{}}
}

func (n *counter) take(r *kafka.Record) {
	key := maphash.Comparable(n.seed, entryPlace{string(r.Key), r.Partition}) // in each a tombstone ends it
	if r.Value == nil {
		delete(n.letters, key)
		return
	}
	if _, known := n.letters[key]; !known && len(n.letters) >= maxDeadLetters {
		n.more = true
		return
	}
	n.letters[key] = n.reason(r)
	n.last = later(n.last, r.Time)
}

// reason is the number of a record's reason.
func (n *counter) reason(r *kafka.Record) uint8 {
	name := ""
	for _, h := range r.Headers {
		if h.Key == HeaderErrorException {
			name = string(h.Value)
		}
	}
	if _, known := n.reasons[name]; !known && len(n.names) >= maxReasons-1 {
		name = otherReasons
	}
	number, known := n.reasons[name]
	if !known {
		number = uint8(len(n.names))
		n.reasons[name], n.names = number, append(n.names, name)
	}
	return number
}

func (n *counter) count() DeadLetterCount {
	l := DeadLetterCount{Total: len(n.letters), More: n.more, Reasons: map[string]int{}}
	if l.Total > 0 {
		l.Last = n.last.UTC()
	}
	for _, reason := range n.letters {
		l.Reasons[n.names[reason]]++
	}
	return l
}
