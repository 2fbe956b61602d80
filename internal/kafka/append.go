package kafka

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// Append writes one record outside any transaction and returns once all in-sync
// replicas have it. It fences nobody and needs no Init: it is for what a process
// may say whoever does the work, such as a deletion that LinkedIn reports.
//
// While no answer comes the record is sent again, so that it may stand in the
// topic twice: its key and value must mean the same then. Errors: *TopicError
// (missing, without the permission to write, or refusing the record) and
// *UnreachableError, after which it may be there all the same.
func (c *Cluster) Append(ctx context.Context, m Message) error {
	var e encoder // without compression: such records are small
	batch := e.appendBatch(nil, nobody, []Message{m}, []int32{0}, time.Now())
	return c.persist(ctx, "writing to topic "+m.Topic, func(ctx context.Context) error {
		topics, err := c.describe(ctx, []string{m.Topic}, metadataAge)
		if err != nil {
			return err
		}
		meta, ok := topics[m.Topic]
		if !ok {
			return &TopicError{Topic: m.Topic, Index: -1, Err: ErrTopicMissing}
		}
		return c.append(ctx, TopicPartition{m.Topic, partitionOf(m.Key, len(meta.leaders))}, batch)
	})
}

// append makes one Produce request of one batch.
func (c *Cluster) append(ctx context.Context, tp TopicPartition, batch []byte) error {
	leader, err := c.leader(ctx, tp)
	if err != nil {
		return err
	}
	msg, err := c.askBroker(ctx, leader, &rawproduce.Request{
		Acks: -1, Timeout: int32(produceTimeout.Milliseconds()),
		Topics: []rawproduce.RequestTopic{{Topic: tp.Topic, Partitions: []rawproduce.RequestPartition{{
			Partition: int32(tp.Partition), RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(batch)},
		}}}},
	})
	if err != nil {
		c.forget(tp.Topic)
		return err
	}
	answer, ok := answersOf(msg.(*produce.Response))[tp]
	if !ok {
		return &codeError{op: "writing to " + tp.Topic, code: codeNetworkException, reason: "the answer does not name the partition"}
	}
	switch code := Code(answer.ErrorCode); {
	case code == 0:
		return nil
	case code == codeTopicAuthorization:
		return &TopicError{Topic: tp.Topic, Code: code, Index: -1, Err: topicPermission(tp.Topic, "Write")}
	case code.retriable():
		c.forget(tp.Topic)
		return &codeError{op: "writing to " + tp.Topic, code: code, reason: answer.ErrorMessage}
	default:
		return &TopicError{Topic: tp.Topic, Code: code, Reason: answer.ErrorMessage, Index: 0}
	}
}

// Follower reads what comes to a topic, piece by piece. It is for records that
// Append wrote: of a transaction that was open when it read on, those before the
// place where it stands are passed over. It is not safe for concurrent use.
type Follower struct {
	cluster *Cluster
	topic   string
	next    []int64 // by partition
}

// Follower makes a follower that begins with the first record of the topic.
func (c *Cluster) Follower(topic string) *Follower { return &Follower{cluster: c, topic: topic} }

// Next hands fn the committed records that came since the last call, as Read
// does, and reports whether the topic is another one than before, which is read
// from its beginning. A topic that does not exist has no records. After an error
// the same records are handed out again.
func (f *Follower) Next(ctx context.Context, fn func(*Record) error) (anew bool, err error) {
	bounds, err := f.cluster.Offsets(ctx, f.topic)
	if errors.Is(err, ErrTopicMissing) {
		anew, f.next = len(f.next) > 0, nil
		return anew, nil
	}
	if err != nil {
		return false, err
	}
	next, least, anew := f.position(bounds)
	if least < 0 {
		return anew, nil
	}
	err = f.cluster.Read(ctx, f.topic, From{Offset: least}, func(r *Record) error {
		if r.Partition >= len(next) || r.Offset < f.at(r.Partition, anew) {
			return nil
		}
		next[r.Partition] = max(next[r.Partition], r.Offset+1) // it came after the bounds were asked for
		return fn(r)
	})
	if err != nil {
		return false, err
	}
	f.next = next
	return anew, nil
}

// Since moves to the first record of that time or later, or to the end of the
// topic where there is none: only what stands from there on is handed out.
func (f *Follower) Since(ctx context.Context, t time.Time) error {
	f.next = nil
	bounds, err := f.cluster.Offsets(ctx, f.topic)
	if errors.Is(err, ErrTopicMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	var at []int64
	err = f.cluster.persist(ctx, "asking for the offsets of topic "+f.topic, func(ctx context.Context) (err error) {
		at, err = f.cluster.offsetsAt(ctx, f.topic, max(0, t.UnixMilli()))
		return err
	})
	if err != nil {
		return err
	}
	for partition, b := range bounds {
		if partition < len(at) && at[partition] >= 0 {
			b.End = min(b.End, at[partition])
		}
		f.next = append(f.next, b.End)
	}
	return nil
}

// Position is the offset by partition that comes next.
func (f *Follower) Position() []int64 { return slices.Clone(f.next) }

// position is where each partition will be read up to, and the least offset that
// was not read yet, -1 when nothing came.
func (f *Follower) position(bounds []Offsets) (next []int64, least int64, anew bool) {
	anew = len(bounds) < len(f.next)
	for partition, b := range bounds {
		anew = anew || b.End < f.at(partition, false)
	}
	least = -1
	for partition, b := range bounds {
		next = append(next, b.End)
		if from := f.at(partition, anew); from < b.End && (least < 0 || from < least) {
			least = from
		}
	}
	return next, least, anew
}

// at is the offset of a partition that comes next.
func (f *Follower) at(partition int, anew bool) int64 {
	if anew || partition >= len(f.next) {
		return 0
	}
	return f.next[partition]
}
