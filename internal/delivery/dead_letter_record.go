package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"leadstream/internal/kafka"
)

// DeadLetterRecord is a dead letter as its topic holds it.
type DeadLetterRecord struct {
	Key string `json:"key"`
	// Lead is its id, also where the key is a hash because its time cannot be read; empty
	// when it cannot be read itself. It is for whoever can read elements to set.
	Lead    string    `json:"lead,omitempty"`
	Time    time.Time `json:"time"`
	Topic   string    `json:"topic,omitempty"`
	Owner   string    `json:"owner,omitempty"`
	Stage   string    `json:"stage"`
	Class   string    `json:"class"`
	Message string    `json:"message"`
	Bytes   int       `json:"bytes"`
	Element []byte    `json:"-"` // personal data; none of one that is too large to be ours
}

// maxElement is more than a dead letter takes that leadstream writes.
const maxElement = 1 << 20

// ReadDeadLetters is what the dead letter topic of an installation holds, oldest first; a
// topic that does not exist holds none.
func ReadDeadLetters(ctx context.Context, c *kafka.Client, name string) ([]DeadLetterRecord, error) {
	latest := map[entryPlace]DeadLetterRecord{} // in each partition a tombstone ends it
	err := c.Reader.Read(ctx, DeadLetterTopic(name), kafka.From{}, func(r *kafka.Record) error {
		at := entryPlace{string(r.Key), r.Partition}
		if r.Value == nil {
			delete(latest, at)
			return nil
		}
		d := DeadLetterRecord{Key: at.id, Time: r.Time.UTC(), Bytes: len(r.Value)}
		if len(r.Value) <= maxElement {
			d.Element = slices.Clone(r.Value)
		}
		texts := map[string]*string{HeaderErrorTopic: &d.Topic, HeaderOwner: &d.Owner, HeaderErrorStage: &d.Stage,
			HeaderErrorException: &d.Class, HeaderErrorMessage: &d.Message}
		for _, h := range r.Headers {
			if text := texts[h.Key]; text != nil {
				*text = string(h.Value)
			}
		}
		latest[at] = d
		return nil
	})
	if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		return nil, fmt.Errorf("reading the dead letters: %w", err)
	}
	deadLetters := slices.SortedFunc(maps.Values(latest), func(x, y DeadLetterRecord) int { return x.Time.Compare(y.Time) })
	seen := map[string]bool{} // one may stand in several partitions of a topic that was given more
	return slices.DeleteFunc(deadLetters, func(d DeadLetterRecord) bool {
		again := seen[d.Key]
		seen[d.Key] = true
		return again
	}), nil
}
