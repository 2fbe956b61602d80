package delivery

import (
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
		o.internal(CheckpointTopic(o.Name), map[string]string{
			keyPolicy:       "compact",
			"segment.bytes": strconv.Itoa(checkpointSegment),
			"segment.ms":    millis(24 * time.Hour),
		}),
		o.internal(DeadLetterTopic(o.Name), map[string]string{keyPolicy: "compact,delete", "retention.ms": millis(365 * 24 * time.Hour)}),
	}
}

// DeletionTopic is the topic of deletions as it is made, where there is one.
func DeletionTopic(o Options) kafka.TopicSpec {
	return o.internal(DeletionsTopic(o.Name), map[string]string{keyPolicy: "compact"})
}

// LeadTopic is a lead topic as it is made.
func LeadTopic(o Options, name string) kafka.TopicSpec {
	return o.spec(name, o.Partitions, map[string]string{
		keyPolicy:             "compact,delete",
		"retention.ms":        millis(365 * 24 * time.Hour),
		"delete.retention.ms": millis(max(o.Lookback, 24*time.Hour)),
		"segment.ms":          millis(24 * time.Hour),
	}).given("kafka.topic_config", o.TopicConfig)
}

// keyPolicy is the one setting of ours that no topic is made without: by it Kafka keeps
// what must not be forgotten, and forgets what must not be kept.
const keyPolicy = "cleanup.policy"

// minInSync is how many replicas must have what counts as written, where a topic
// has three or more: the end of one broker then takes nothing that was
// acknowledged, and stops nothing.
const minInSync = 2

// spec is a topic with settings of ours.
func (o Options) spec(name string, partitions int, configs map[string]string) spec {
	optional := map[string]bool{}
	for key := range configs {
		optional[key] = key != keyPolicy
	}
	return spec{Name: name, Partitions: partitions, ReplicationFactor: o.ReplicationFactor, MinInSync: minInSync, Configs: configs, Optional: optional}
}

// internal is a topic of the installation's own.
func (o Options) internal(name string, configs map[string]string) kafka.TopicSpec {
	return o.spec(name, 1, configs).given("kafka.internal_topic_config", o.InternalTopicConfig)
}

type spec kafka.TopicSpec

// given is the spec with what a person set under that key of the configuration, which
// adds to our settings or replaces them.
func (s spec) given(key string, configs map[string]string) kafka.TopicSpec {
	s.Given = map[string]string{}
	for setting, value := range configs {
		s.Configs[setting], s.Given[setting] = value, key
		delete(s.Optional, setting)
	}
	return kafka.TopicSpec(s)
}
