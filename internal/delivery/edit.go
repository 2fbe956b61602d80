package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
)

// ErrOrphans says that the progress in the checkpoint topic does not count, so that none
// can be added to it.
var ErrOrphans = errors.New("the topic was deleted and made anew, so that its progress does not count: start the connector once, or remove what is there with leadstream checkpoints reset --all")

// EditCheckpoints commits records that a person wrote, nil values as removals; existing
// are those that the topic has. It is the only writer: starting the producer fences a
// connector that is just starting. What is written into a topic without progress comes
// with the record by which the next start knows that it counts.
//
// Errors: ErrOrphans, and kafka.ErrTopicMissing where there is no topic yet.
func EditCheckpoints(ctx context.Context, o Options, process checkpoint.Process, existing, edits map[string][]byte) error {
	edits = maps.Clone(edits)
	if _, begun := existing[checkpoint.ProcessKey]; !begun && slices.ContainsFunc(slices.Collect(maps.Values(edits)), func(v []byte) bool { return v != nil }) {
		if len(Orphans(existing)) > 0 {
			return ErrOrphans
		}
		value, err := checkpoint.Encode(process)
		if err != nil {
			return err
		}
		edits[checkpoint.ProcessKey] = value
	}
	if err := Inspect(ctx, o); err != nil {
		return err
	}
	if err := o.Producer.Init(ctx); err != nil {
		return fmt.Errorf("starting the transactional producer: %w", err)
	}
	var msgs []kafka.Message
	for _, key := range slices.Sorted(maps.Keys(edits)) {
		msgs = append(msgs, kafka.Message{Topic: CheckpointTopic(o.Name), Key: []byte(key), Value: edits[key], Time: process.Since})
	}
	if _, err := o.Producer.Commit(ctx, msgs); err != nil {
		return fmt.Errorf("writing %d records: %w", len(msgs), err)
	}
	return nil
}
