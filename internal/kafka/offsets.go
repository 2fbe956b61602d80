package kafka

import (
	"context"
	"errors"
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

// Reader reads what topics hold: their bounds and their committed records.
type Reader struct{ *network }

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
func (r *Reader) Offsets(ctx context.Context, topic string) ([]Offsets, error) {
	var bounds []Offsets
	err := r.retry(ctx, "asking for the offsets of topic "+topic, func(ctx context.Context) error {
		first, err := r.offsetsAt(ctx, topic, earliestOffset)
		if err != nil {
			return err
		}
		end, err := r.offsetsAt(ctx, topic, latestOffset)
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
func (r *Reader) offsetsAt(ctx context.Context, topic string, millis int64) ([]int64, error) {
	topics, err := r.describe(ctx, []string{topic}, time.Second)
	if err != nil {
		return nil, err
	}
	meta, ok := topics[topic]
	if !ok {
		return nil, &TopicError{Topic: topic, Index: -1, Err: ErrTopicMissing}
	}
	offsets := make([]int64, len(meta.leaders))
	err = r.listOffsets(ctx, topics, millis, readUncommitted, func(tp TopicPartition, offset int64, refused error) error {
		if refused == nil && tp.Partition >= 0 && tp.Partition < len(offsets) {
			offsets[tp.Partition] = offset
		}
		return refused
	})
	if err != nil {
		return nil, err
	}
	return offsets, nil
}

// latestOf are the latest offsets of the partitions of topics, without those that
// do not exist or must not be read.
func (r *Reader) latestOf(ctx context.Context, topics []string, isolation int8) (map[TopicPartition]int64, error) {
	known, err := r.describe(ctx, topics, metadataAge)
	if refused, ok := errors.AsType[*TopicError](err); ok {
		return r.latestOf(ctx, slices.DeleteFunc(slices.Clone(topics), func(topic string) bool { return topic == refused.Topic }), isolation)
	}
	if err != nil {
		return nil, err
	}
	latest := map[TopicPartition]int64{}
	err = r.listOffsets(ctx, known, latestOffset, isolation, func(tp TopicPartition, offset int64, refused error) error {
		if refused == nil {
			latest[tp] = offset
		} else if retriable(refused) {
			return refused
		}
		return nil
	})
	return latest, err
}

// listOffsets asks for an offset of every partition of the topics, in one request to
// each leader, and hands fn each offset or why it was refused. An error of fn ends it.
func (r *Reader) listOffsets(ctx context.Context, topics map[string]topicMeta, millis int64, isolation int8, fn func(TopicPartition, int64, error) error) error {
	byLeader, err := r.offsetRequests(ctx, topics, millis)
	if err != nil {
		return err
	}
	for _, leader := range slices.Sorted(maps.Keys(byLeader)) {
		msg, err := r.askBroker(ctx, leader, &listoffsets.Request{ReplicaID: -1, IsolationLevel: isolation, Topics: byLeader[leader]})
		if err != nil {
			for _, t := range byLeader[leader] {
				r.forget(t.Topic)
			}
			return err
		}
		for _, t := range msg.(*listoffsets.Response).Topics {
			for _, p := range t.Partitions {
				refused := r.readRefusal(t.Topic, Code(p.ErrorCode), "asking for offsets")
				if err := fn(TopicPartition{t.Topic, int(p.Partition)}, p.Offset, refused); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// offsetRequests are the partitions to ask for, by their leaders.
func (r *Reader) offsetRequests(ctx context.Context, topics map[string]topicMeta, millis int64) (map[int32][]listoffsets.RequestTopic, error) {
	byLeader := map[int32][]listoffsets.RequestTopic{}
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		partitions := map[int32][]listoffsets.RequestPartition{}
		for partition := range topics[topic].leaders {
			leader, err := r.leader(ctx, TopicPartition{topic, partition})
			if err != nil {
				return nil, err
			}
			partitions[leader] = append(partitions[leader], listoffsets.RequestPartition{
				Partition: int32(partition), CurrentLeaderEpoch: -1, Timestamp: millis,
			})
		}
		for leader, ps := range partitions {
			byLeader[leader] = append(byLeader[leader], listoffsets.RequestTopic{Topic: topic, Partitions: ps})
		}
	}
	return byLeader, nil
}

// Ends are the high watermarks of the partitions of many topics, in one request
// to each leader. A topic that does not exist is absent. Errors as of Offsets.
func (r *Reader) Ends(ctx context.Context, topics []string) (map[TopicPartition]int64, error) {
	ends := map[TopicPartition]int64{}
	if len(topics) == 0 {
		return ends, nil
	}
	err := r.retry(ctx, "asking for the ends of topics", func(ctx context.Context) error {
		clear(ends)
		known, err := r.describe(ctx, topics, metadataAge)
		if err != nil {
			return err
		}
		return r.listOffsets(ctx, known, latestOffset, readUncommitted, func(tp TopicPartition, offset int64, refused error) error {
			if answer, ok := errors.AsType[*codeError](refused); ok && answer.code == codeUnknownTopic {
				return nil // deleted, or its leader is another broker: the metadata knows
			}
			if refused == nil {
				ends[tp] = offset
			}
			return refused
		})
	})
	return ends, err
}
