package delivery

import (
	"maps"
	"strconv"
	"time"

	"leadstream/internal/kafka"
)

// checkpointSegment is the size of the segments of the checkpoint topic. Kafka
// compacts all but the newest one, and every start reads the topic whole: with
// Kafka's own 1 GiB that would be a million commits. It leaves room for the
// largest batch of a transaction.
const checkpointSegment = 16 << 20

// InternalTopics are the checkpoint and the dead letter topic as they are made.
func InternalTopics(o Options) []kafka.TopicSpec {
	return []kafka.TopicSpec{
		o.spec(CheckpointTopic(o.Name), 1, map[string]string{
			"cleanup.policy": "compact",
			"segment.bytes":  strconv.Itoa(checkpointSegment),
			"segment.ms":     millis(24 * time.Hour),
		}),
		o.spec(DeadLetterTopic(o.Name), 1, map[string]string{"cleanup.policy": "compact,delete", "retention.ms": millis(365 * 24 * time.Hour)}),
	}
}

// DeletionTopic is the topic of deletions as it is made, where there is one.
func DeletionTopic(o Options) kafka.TopicSpec {
	return o.spec(DeletionsTopic(o.Name), 1, map[string]string{"cleanup.policy": "compact"})
}

// LeadTopic is a lead topic as it is made.
func LeadTopic(o Options, name string) kafka.TopicSpec {
	spec := o.spec(name, o.Partitions, map[string]string{
		"cleanup.policy":      "compact,delete",
		"retention.ms":        millis(365 * 24 * time.Hour),
		"delete.retention.ms": millis(max(o.Lookback, 24*time.Hour)),
		"segment.ms":          millis(24 * time.Hour),
	})
	maps.Copy(spec.Configs, o.TopicConfig)
	return spec
}

// minInSync is how many replicas must have what counts as written, where a topic
// has three or more: the end of one broker then takes nothing that was
// acknowledged, and stops nothing.
const minInSync = 2

func (o Options) spec(name string, partitions int, configs map[string]string) kafka.TopicSpec {
	return kafka.TopicSpec{Name: name, Partitions: partitions, ReplicationFactor: o.ReplicationFactor, MinInSync: minInSync, Configs: configs}
}
