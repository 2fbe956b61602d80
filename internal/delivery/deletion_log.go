package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// HeaderForm is the id of the form whose lead a record of the deletions is about.
const HeaderForm = "leadstream.form"

// DeletionLog is what any process of an installation makes known to the one that
// works: each record stands outside any transaction, so that nobody is fenced.
// It is safe for concurrent use.
type DeletionLog struct {
	opts Options

	mu      sync.Mutex
	ensured time.Time // when their topic was looked at last
	reader  *kafka.Tailer
	read    time.Time     // when the deletions were read last
	known   deletionIndex // what the topic said then
	said    deletionIndex // what was written to it since

	gathering sync.Mutex
	gathered  map[lead.Source]*gathered
}

// gathered are notifications that are passed on together.
type gathered struct {
	created []checkpoint.Pushed
	done    chan struct{} // closed once err is set
	err     error
}

// NewDeletionLog makes the log of the installation that o describes. It does no
// I/O.
func NewDeletionLog(o Options) *DeletionLog {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &DeletionLog{opts: o, reader: o.Cluster.Tailer(DeletionsTopic(o.Name)).DetectRecreation(), known: newDeletionIndex(), said: newDeletionIndex(), gathered: map[lead.Source]*gathered{}}
}

// known deletions are read again when they are older than this: LinkedIn repeats
// a delivery after minutes, to whichever process.
const knownFor = time.Second

// Delete makes a deletion durable before it returns nil. One that is known, or
// older than one that is, changes nothing: compaction keeps the last record of an
// id, which must be the newest deletion. One that was lifted is not known any more.
func (n *DeletionLog) Delete(ctx context.Context, d Deletion) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := n.opts.Now(); now.Sub(n.ensured) >= inspectEvery {
		if err := EnsureDeletions(ctx, n.opts); err != nil {
			return err // what is written there might be forgotten
		}
		n.ensured = now
	}
	if time.Since(n.read) > knownFor {
		if err := n.refresh(ctx); err != nil {
			return err
		}
	}
	if at := d.At.UnixMilli(); n.known.sure(d.ID, at) || n.said.sure(d.ID, at) {
		return nil
	}
	m := kafka.Message{Topic: DeletionsTopic(n.opts.Name), Key: []byte(d.ID), Value: lead.AppendTime(nil, d.At),
		Headers: []kafka.Header{{Key: HeaderForm, Value: []byte(d.Form)}}, Time: n.opts.Now()}
	err := n.opts.Cluster.Append(ctx, m)
	if errors.Is(err, kafka.ErrTopicMissing) {
		if err = EnsureDeletions(ctx, n.opts); err == nil {
			err = n.opts.Cluster.Append(ctx, m)
		}
	}
	if err != nil {
		return fmt.Errorf("recording a deletion: %w", err)
	}
	n.said.record(d)
	return nil
}

// refresh reads the deletions that other processes have recorded.
func (n *DeletionLog) refresh(ctx context.Context) error {
	begun := time.Now()
	fresh := entries{}
	anew, err := n.reader.Next(ctx, func(r *kafka.Record) error {
		fresh.add(readDeletion(r))
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the deletions: %w", err)
	}
	if anew {
		n.known.clear()
	}
	fresh.inOrder(n.known.enter)
	n.said.clear() // it stands there, if the topic is still the same
	n.read = begun
	return nil
}

const (
	// gatherFor is how long a notification waits for others of its source: a storm
	// makes few records.
	gatherFor = 50 * time.Millisecond
	// passOnTime bounds passing them on, whoever of those that wait gives up.
	passOnTime = 10 * time.Second
)

// Create passes on what LinkedIn said of a new response of a source. Whether it
// arrives decides about seconds only: the poll finds the lead in any case.
func (n *DeletionLog) Create(ctx context.Context, src lead.Source, p checkpoint.Pushed) error {
	n.gathering.Lock()
	g, first := n.gathered[src], false
	if g == nil {
		g, first = &gathered{done: make(chan struct{})}, true
		n.gathered[src] = g
	}
	g.created = append(g.created, p)
	n.gathering.Unlock()
	if first {
		time.Sleep(gatherFor)
		n.gathering.Lock()
		delete(n.gathered, src)
		n.gathering.Unlock()
		g.err = n.passOn(context.WithoutCancel(ctx), src, g.created)
		close(g.done)
	}
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *DeletionLog) passOn(ctx context.Context, src lead.Source, created []checkpoint.Pushed) error {
	ctx, cancel := context.WithTimeout(ctx, passOnTime)
	defer cancel()
	value, err := checkpoint.Encode(checkpoint.Push{Created: created})
	if err != nil {
		return err
	}
	err = n.opts.Cluster.Append(ctx, kafka.Message{Topic: CheckpointTopic(n.opts.Name), Key: []byte(checkpoint.PushKey(src)), Value: value, Time: n.opts.Now()})
	if err != nil {
		return fmt.Errorf("passing on %d notifications of %s: %w", len(created), src, err)
	}
	return nil
}

// ForwardedNotifications reads what Create passes on.
type ForwardedNotifications struct {
	reader *kafka.Tailer
}

// forwardedSpan is how far before its start a process that begins to work looks for
// what was passed on: until then nobody may have been there to read it.
const forwardedSpan = 2 * time.Minute

// Forwarded begins with what was passed on just before this call.
func (n *DeletionLog) Forwarded(ctx context.Context) (*ForwardedNotifications, error) {
	p := &ForwardedNotifications{reader: n.opts.Cluster.Tailer(CheckpointTopic(n.opts.Name))}
	if err := p.reader.Since(ctx, n.opts.Now().Add(-forwardedSpan)); err != nil {
		return nil, fmt.Errorf("finding what was passed on last: %w", err)
	}
	return p, nil
}

// Next gives fn each notification that was passed on since the last call.
func (p *ForwardedNotifications) Next(ctx context.Context, fn func(src lead.Source, pushed checkpoint.Pushed)) error {
	_, err := p.reader.Next(ctx, func(r *kafka.Record) error {
		key := string(r.Key)
		if r.Value == nil || !strings.HasPrefix(key, checkpoint.KindPush+"/") {
			return nil
		}
		src, ok := checkpoint.ParsePushKey(key)
		var push checkpoint.Push
		if !ok || checkpoint.Decode(key, r.Value, &push) != nil {
			return nil // of another release: the poll finds the leads
		}
		for _, one := range push.Created {
			fn(src, one)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading what was passed on: %w", err)
	}
	return nil
}
