package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol/metadata"

	"leadstream/internal/fault"
)

const (
	// goneRounds is how often every broker is asked before a topic counts as gone,
	// goneBetween about how long lies between: what the controller knows reaches the
	// brokers one after another, and one that has just begun to lead a partition, or
	// to run, may not know a topic for a moment.
	goneRounds  = 3
	goneBetween = 100 * time.Millisecond
)

// Gone gives those of the topics that no broker knows, asked several times: what
// is remembered of a topic must not be thrown away on the word of one.
func (a *Admin) Gone(ctx context.Context, names ...string) ([]string, error) {
	gone := slices.Clone(names)
	pause := fault.NewBackoff(goneBetween, 2*goneBetween)
	for round := range goneRounds {
		if round > 0 && len(gone) > 0 && pause.Wait(ctx, 0) != nil {
			return nil, fmt.Errorf("asking every broker for topics: %w", context.Cause(ctx))
		}
		err := a.retry(ctx, "asking every broker for topics", func(ctx context.Context) (err error) {
			gone, err = a.unknown(ctx, gone)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// unknown gives those of the topics that no broker knows.
func (a *Admin) unknown(ctx context.Context, names []string) ([]string, error) {
	if _, err := a.refresh(ctx, []string{}); err != nil { // which brokers there are
		return names, err
	}
	a.mu.Lock()
	brokers := slices.Sorted(maps.Keys(a.brokers))
	a.mu.Unlock()
	if len(brokers) == 0 { // as one says that has just begun to run
		return names, &codeError{op: "asking every broker for topics", code: codeLeaderNotAvailable, reason: "no broker is named"}
	}
	for _, id := range brokers {
		for chunk := range slices.Chunk(slices.Clone(names), namesPerRequest) {
			msg, err := a.askBroker(ctx, id, &metadata.Request{TopicNames: chunk})
			if err != nil {
				return names, err
			}
			found, err := topicsOf(msg.(*metadata.Response))
			if err != nil {
				return names, err
			}
			names = slices.DeleteFunc(names, func(name string) bool { _, ok := found[name]; return ok })
		}
	}
	return names, nil
}
