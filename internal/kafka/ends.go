package kafka

import (
	"context"
	"maps"
	"slices"

	"github.com/segmentio/kafka-go/protocol/listoffsets"
)

// Ends are the high watermarks of the partitions of many topics, in one request
// to each leader. A topic that does not exist is absent. Errors as of Offsets.
func (c *Cluster) Ends(ctx context.Context, topics []string) (map[TopicPartition]int64, error) {
	ends := map[TopicPartition]int64{}
	if len(topics) == 0 {
		return ends, nil
	}
	err := c.retry(ctx, "asking for the ends of topics", func(ctx context.Context) error {
		clear(ends)
		known, err := c.describe(ctx, topics, metadataAge)
		if err != nil {
			return err
		}
		byLeader := map[int32][]TopicPartition{}
		for topic, meta := range known {
			for partition := range meta.leaders {
				tp := TopicPartition{topic, partition}
				leader, err := c.leader(ctx, tp)
				if err != nil {
					return err
				}
				byLeader[leader] = append(byLeader[leader], tp)
			}
		}
		for _, leader := range slices.Sorted(maps.Keys(byLeader)) {
			if err := c.endsOf(ctx, leader, byLeader[leader], ends); err != nil {
				return err
			}
		}
		return nil
	})
	return ends, err
}

// endsOf asks one broker for the ends of the partitions that it leads.
func (c *Cluster) endsOf(ctx context.Context, leader int32, partitions []TopicPartition, into map[TopicPartition]int64) error {
	byTopic := map[string][]listoffsets.RequestPartition{}
	for _, tp := range partitions {
		byTopic[tp.Topic] = append(byTopic[tp.Topic], listoffsets.RequestPartition{Partition: int32(tp.Partition), CurrentLeaderEpoch: -1, Timestamp: latestOffset})
	}
	req := &listoffsets.Request{ReplicaID: -1}
	for topic, asked := range byTopic {
		req.Topics = append(req.Topics, listoffsets.RequestTopic{Topic: topic, Partitions: asked})
	}
	msg, err := c.askBroker(ctx, leader, req)
	if err != nil {
		for topic := range byTopic {
			c.forget(topic)
		}
		return err
	}
	for _, t := range msg.(*listoffsets.Response).Topics {
		for _, p := range t.Partitions {
			switch code := Code(p.ErrorCode); code {
			case codeUnknownTopic:
				c.forget(t.Topic) // deleted, or its leader is another broker: the metadata knows
			default:
				if err := c.readRefusal(t.Topic, code, "asking for offsets"); err != nil {
					return err
				}
				into[TopicPartition{t.Topic, int(p.Partition)}] = p.Offset
			}
		}
	}
	return nil
}
