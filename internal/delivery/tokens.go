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

	mu   sync.Mutex
	held map[string][]byte // by id
	end  int64             // of the topic when it was read last
	last mark              // the last record that was read then
}

// mark is a record by which a topic is known again.
type mark struct {
	offset int64
	at     time.Time
}

// NewTokens makes Tokens with the Cluster, Name and ReplicationFactor of o; the
// rest of it does not matter. Nothing is read yet.
func NewTokens(o Options) *Tokens {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Tokens{opts: o, held: map[string][]byte{}}
}

// All gives what is held by id: none without the topic. It reads only what
// came since the last time. A record whose JSON is not that of a
// checkpoint.Token is given as it is, so that it can be removed.
func (t *Tokens) All(ctx context.Context) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.catchUp(ctx); err != nil {
		return nil, fmt.Errorf("reading the tokens in topic %s: %w", CheckpointTopic(t.opts.Name), err)
	}
	return maps.Clone(t.held), nil
}

// catchUp reads what is new. A topic that is not the one it was, for it was
// deleted and made anew, is read from its beginning: what is not in it is lost,
// and to go on with the memory of it would be to lose the tokens at the next
// start.
func (t *Tokens) catchUp(ctx context.Context) error {
	bounds, err := t.opts.Cluster.Offsets(ctx, CheckpointTopic(t.opts.Name))
	if errors.Is(err, kafka.ErrTopicMissing) {
		t.forget()
		return nil
	}
	if err != nil {
		return err
	}
	end := int64(0)
	for _, b := range bounds {
		end += b.End
	}
	if end == t.end {
		return nil
	}
	same := false
	if len(bounds) == 1 && end > t.end { // as it is made: offsets tell the order
		if same, err = t.read(ctx); err != nil {
			return err
		}
	}
	if !same {
		t.forget()
		if _, err = t.read(ctx); err != nil {
			return err
		}
	}
	t.end = end
	return nil
}

func (t *Tokens) forget() {
	t.held, t.end, t.last = map[string][]byte{}, 0, mark{}
}

// read takes in what stands from the last record on that was read before. It
// is false, and takes nothing in, when that record is another one or gone.
func (t *Tokens) read(ctx context.Context) (same bool, err error) {
	same = t.last.at.IsZero()
	last := t.last
	came := map[string][]byte{} // the newest value of each, nil for a removed one
	err = t.opts.Cluster.Read(ctx, CheckpointTopic(t.opts.Name), kafka.From{Offset: t.last.offset}, func(r *kafka.Record) error {
		same = same || r.Offset == t.last.offset && r.Time.Equal(t.last.at)
		if r.Offset >= last.offset {
			last = mark{r.Offset, r.Time}
		}
		if id, ok := checkpoint.ParseTokenKey(string(r.Key)); ok {
			came[id] = append([]byte(nil), r.Value...)
		}
		return nil
	})
	if err != nil || !same {
		return false, err
	}
	t.last = last
	for id, value := range came {
		t.enter(id, value)
	}
	return true, nil
}

func (t *Tokens) enter(id string, value []byte) {
	if len(value) == 0 {
		delete(t.held, id)
		return
	}
	var token checkpoint.Token
	if err := checkpoint.Decode(checkpoint.TokenKey(id), value, &token); err != nil {
		token.Sealed = value
	}
	t.held[id] = token.Sealed
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
