package kafka

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol/listoffsets"
)

// Offsets are the bounds of one partition.
type Offsets struct {
	First int64 // of the oldest record still there
	End   int64 // the high watermark: one past the last record that all in-sync replicas have
}

// Special times and isolation levels of ListOffsets. With readCommitted the
// latest offset is the last stable one, that of the first record of a transaction
// that is not ended. Source: Apache Kafka protocol guide.
const (
	latestOffset   = -1
	earliestOffset = -2

	readUncommitted = 0
	readCommitted   = 1
)

// Offsets are the bounds of every partition of a topic, by partition. A
// missing topic gives ErrTopicMissing.
func (c *Cluster) Offsets(ctx context.Context, topic string) ([]Offsets, error) {
	var bounds []Offsets
	err := c.persist(ctx, "asking for the offsets of topic "+topic, func(ctx context.Context) error {
		first, err := c.offsetsAt(ctx, topic, earliestOffset)
		if err != nil {
			return err
		}
		end, err := c.offsetsAt(ctx, topic, latestOffset)
		if err != nil {
			return err
		}
		bounds = make([]Offsets, min(len(first), len(end))) // the topic may have changed in between
		for i := range bounds {
			bounds[i] = Offsets{First: first[i], End: end[i]}
		}
		return nil
	})
	return bounds, err
}

// offsetsAt asks each leader of the topic for the first offset whose record
// time is at or after millis, or for one of the special times. A partition
// without such a record has -1.
func (c *Cluster) offsetsAt(ctx context.Context, topic string, millis int64) ([]int64, error) {
	topics, err := c.describe(ctx, []string{topic}, time.Second)
	if err != nil {
		return nil, err
	}
	meta, ok := topics[topic]
	if !ok {
		return nil, &TopicError{Topic: topic, Index: -1, Err: ErrTopicMissing}
	}
	byLeader := map[int32][]listoffsets.RequestPartition{}
	for partition := range meta.leaders {
		leader, err := c.leader(ctx, TopicPartition{topic, partition})
		if err != nil {
			return nil, err
		}
		byLeader[leader] = append(byLeader[leader], listoffsets.RequestPartition{
			Partition: int32(partition), CurrentLeaderEpoch: -1, Timestamp: millis,
		})
	}
	offsets := make([]int64, len(meta.leaders))
	for _, leader := range slices.Sorted(maps.Keys(byLeader)) {
		if err := c.listOffsets(ctx, leader, topic, byLeader[leader], offsets); err != nil {
			return nil, err
		}
	}
	return offsets, nil
}

func (c *Cluster) listOffsets(ctx context.Context, leader int32, topic string, partitions []listoffsets.RequestPartition, into []int64) error {
	msg, err := c.askBroker(ctx, leader, &listoffsets.Request{
		ReplicaID: -1, Topics: []listoffsets.RequestTopic{{Topic: topic, Partitions: partitions}},
	})
	if err != nil {
		c.forget(topic)
		return err
	}
	for _, t := range msg.(*listoffsets.Response).Topics {
		for _, p := range t.Partitions {
			if err := c.readRefusal(topic, Code(p.ErrorCode), "asking for offsets"); err != nil {
				return err
			}
			if int(p.Partition) < len(into) {
				into[p.Partition] = p.Offset
			}
		}
	}
	return nil
}

// readRefusal gives the code of a read its error, nil for 0, and has the topic
// asked for again when the code says that its leader is another one.
func (c *Cluster) readRefusal(topic string, code Code, op string) error {
	switch code {
	case 0:
		return nil
	case codeTopicAuthorization:
		return &TopicError{Topic: topic, Code: code, Index: -1, Err: topicPermission(topic, "Read")}
	default:
		c.forget(topic)
		return &codeError{op: op + " of topic " + topic, code: code}
	}
}
