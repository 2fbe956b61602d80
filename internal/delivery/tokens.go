package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"

	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
)

// tokenTime bounds a look at what is new in the topic: whoever asks has a token
// in memory by then, and goes on with that while Kafka is away.
const tokenTime = 5 * time.Second

// Tokens are the records of the LinkedIn tokens in the checkpoint topic, for
// processes that share no disk. Each is written by itself, outside of any
// transaction: that fences nobody, whichever process does the work. What they
// say and how they are encrypted is the affair of their user. Safe for
// concurrent use.
type Tokens struct {
	opts Options
	tail time.Duration // tokenTime, unless a test says otherwise

	turn   *semaphore.Weighted // of one reader at a time; guards what follows
	reader *kafka.Tailer
	values map[string][]byte // by id, as far as was read
	whole  bool              // the topic was read to its end once
}

// NewTokens makes Tokens with the Cluster, Name, ReplicationFactor and
// InternalTopicConfig of o; the rest of it does not matter. Nothing is read yet.
func NewTokens(o Options) *Tokens {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Tokens{opts: o, tail: tokenTime, turn: semaphore.NewWeighted(1), values: map[string][]byte{},
		reader: o.Cluster.Tailer(CheckpointTopic(o.Name)).DetectRecreation().KeepProgress()}
}

// All gives the records by id: none without the topic. The first call reads
// the whole topic, however long that takes, and the next one goes on where it
// was cut short; from then on it reads only what is new. A record whose JSON is
// not that of a checkpoint.Token is given as it is, so that it can be removed.
func (t *Tokens) All(ctx context.Context) (map[string][]byte, error) {
	err := t.turn.Acquire(ctx, 1)
	if err == nil {
		defer t.turn.Release(1)
		err = t.catchUp(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the tokens in topic %s: %w", CheckpointTopic(t.opts.Name), err)
	}
	return maps.Clone(t.values), nil
}

// catchUp reads what is new. A topic that is not the one it was, for it was
// deleted and made anew, is read from its beginning: what is not in it is lost,
// and to go on with the memory of it would be to lose the tokens at the next
// start.
func (t *Tokens) catchUp(ctx context.Context) error {
	if t.whole {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.tail)
		defer cancel()
	}
	came := map[string][]byte{} // the newest value of each, empty for a removed one
	anew, err := t.reader.Next(ctx, func(r *kafka.Record) error {
		if id, ok := checkpoint.ParseTokenKey(string(r.Key)); ok {
			came[id] = slices.Clone(r.Value)
		}
		return nil
	})
	if anew {
		clear(t.values)
	}
	for id, value := range came {
		t.enter(id, value)
	}
	t.whole = err == nil || t.whole && !anew
	return err
}

func (t *Tokens) enter(id string, value []byte) {
	if len(value) == 0 {
		delete(t.values, id)
		return
	}
	var token checkpoint.Token
	if err := checkpoint.Decode(checkpoint.TokenKey(id), value, &token); err != nil {
		token.Sealed = value
	}
	t.values[id] = token.Sealed
}

// Put writes one record; it is durable when nil is returned. The topic is made
// if it does not exist: a consent may come before the first start.
func (t *Tokens) Put(ctx context.Context, id string, sealed []byte) error {
	value, err := checkpoint.Encode(&checkpoint.Token{Sealed: sealed})
	if err != nil {
		return err
	}
	return t.write(ctx, id, value)
}

// trial is the id of the record by which Try finds out what it does.
const trial = "trial"

// Try writes a record that says nothing, the removal of one that never was, just
// as Put writes one: with the topic made, and acknowledged by all in-sync replicas.
func (t *Tokens) Try(ctx context.Context) error { return t.write(ctx, trial, nil) }

// write appends a record to the topic, which is made if it does not exist.
func (t *Tokens) write(ctx context.Context, id string, value []byte) error {
	err := t.append(ctx, id, value)
	if errors.Is(err, kafka.ErrTopicMissing) {
		if err := EnsureInternal(ctx, t.opts); err != nil {
			return err
		}
		err = t.append(ctx, id, value)
	}
	if err != nil {
		return fmt.Errorf("writing the tokens to topic %s: %w", CheckpointTopic(t.opts.Name), err)
	}
	return nil
}

// Delete removes a record, if it is there.
func (t *Tokens) Delete(ctx context.Context, id string) error {
	if err := t.append(ctx, id, nil); err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		return fmt.Errorf("removing tokens from topic %s: %w", CheckpointTopic(t.opts.Name), err)
	}
	return nil
}

func (t *Tokens) append(ctx context.Context, id string, value []byte) error {
	return t.opts.Cluster.Append(ctx, kafka.Message{
		Topic: CheckpointTopic(t.opts.Name), Key: []byte(checkpoint.TokenKey(id)), Value: value, Time: t.opts.Now(),
	})
}
