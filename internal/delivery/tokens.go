package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
)

// tokenTime bounds a look at the topic: whoever asks has a token in memory, as
// a rule, and goes on with that while Kafka is away.
const tokenTime = 5 * time.Second

// Tokens are the records of the LinkedIn tokens in the checkpoint topic, for
// processes that share no disk. Each is written by itself, outside of any
// transaction: that fences nobody, whichever process does the work. What they
// say and how they are encrypted is the affair of their user. Safe for
// concurrent use.
type Tokens struct {
	opts Options

	mu       sync.Mutex
	follower *kafka.Follower
	held     map[string][]byte // by id
}

// NewTokens makes Tokens with the Cluster, Name and ReplicationFactor of o; the
// rest of it does not matter. Nothing is read yet.
func NewTokens(o Options) *Tokens {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Tokens{opts: o, follower: o.Cluster.Follower(CheckpointTopic(o.Name)), held: map[string][]byte{}}
}

// All gives what is held by id: none without the topic. It reads only what
// came since the last time. A record whose JSON is not that of a
// checkpoint.Token is given as it is, so that it can be removed.
func (t *Tokens) All(ctx context.Context) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	came := map[string][]byte{} // the newest value of each, nil for a removed one
	anew, err := t.follower.Next(ctx, func(r *kafka.Record) error {
		if id, ok := checkpoint.ParseTokenKey(string(r.Key)); ok {
			came[id] = append([]byte(nil), r.Value...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the tokens in topic %s: %w", CheckpointTopic(t.opts.Name), err)
	}
	if anew {
		t.held = map[string][]byte{}
	}
	for id, value := range came {
		if len(value) == 0 {
			delete(t.held, id)
			continue
		}
		var token checkpoint.Token
		if err := checkpoint.Decode(checkpoint.TokenKey(id), value, &token); err != nil {
			token.Sealed = value
		}
		t.held[id] = token.Sealed
	}
	return maps.Clone(t.held), nil
}

// Put writes one record; it is durable when nil is returned. The topic is made
// if it does not exist: a consent may come before the first start.
func (t *Tokens) Put(ctx context.Context, id string, sealed []byte) error {
	value, err := checkpoint.Encode(&checkpoint.Token{Sealed: sealed})
	if err != nil {
		return err
	}
	err = t.append(ctx, id, value)
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
