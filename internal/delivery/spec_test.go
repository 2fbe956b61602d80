package delivery

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"leadstream/internal/embedded"
	"leadstream/internal/kafka"
)

const (
	dayMillis  = "86400000"
	yearMillis = "31536000000" // 365 days
)

// made checks what a topic is to be made with: each of the settings, and nothing
// for those that are empty.
func made(t *testing.T, spec kafka.TopicSpec, partitions int, settings map[string]string) {
	t.Helper()
	if spec.Partitions != partitions || spec.MinInSync != 2 {
		t.Errorf("%s: %d partitions, at least %d in sync; want %d and 2", spec.Name, spec.Partitions, spec.MinInSync, partitions)
	}
	for key, want := range settings {
		if got := spec.Configs[key]; got != want {
			t.Errorf("%s: %s = %q, want %q", spec.Name, key, got, want)
		}
	}
}

// TestTopicsAreMadeAsDocumented: docs/records.md, the first table.
func TestTopicsAreMadeAsDocumented(t *testing.T) {
	o := Options{Name: "leadstream", Partitions: 6, ReplicationFactor: -1, Lookback: 168 * time.Hour}
	made(t, LeadTopic(o, topic), 6, map[string]string{
		"cleanup.policy": "compact,delete", "retention.ms": yearMillis, "segment.ms": dayMillis,
		"delete.retention.ms": "604800000", // the look-back
	})
	internal := InternalTopics(o)
	if len(internal) != 2 || internal[0].Name != "leadstream.checkpoints" || internal[1].Name != "leadstream.deadletters" {
		t.Fatalf("internal topics = %v", internal)
	}
	made(t, internal[0], 1, map[string]string{"cleanup.policy": "compact", "retention.ms": "", "delete.retention.ms": ""})
	made(t, internal[1], 1, map[string]string{"cleanup.policy": "compact,delete", "retention.ms": yearMillis})
	deletions := DeletionTopic(o)
	made(t, deletions, 1, map[string]string{"cleanup.policy": "compact", "retention.ms": ""})
	for _, spec := range append(internal, deletions, LeadTopic(o, topic)) {
		if spec.ReplicationFactor != -1 {
			t.Errorf("%s: %d replicas, want those of the setting", spec.Name, spec.ReplicationFactor)
		}
	}
}

// TestATombstoneStaysAsLongAsALookBackReaches, and a day where that is shorter:
// what it says must be there for who reads the topic the next time.
func TestATombstoneStaysAsLongAsALookBackReaches(t *testing.T) {
	for lookback, want := range map[time.Duration]string{
		time.Hour: dayMillis, 25 * time.Hour: "90000000", 720 * time.Hour: "2592000000",
	} {
		if got := LeadTopic(Options{Lookback: lookback}, topic).Configs["delete.retention.ms"]; got != want {
			t.Errorf("delete.retention.ms with a look-back of %s = %s, want %s", lookback, got, want)
		}
	}
}

// TestTopicConfigIsForLeadTopicsAlone: it adds to their settings and replaces
// them, and leaves what progress depends on as it is.
func TestTopicConfigIsForLeadTopicsAlone(t *testing.T) {
	o := Options{Name: "leadstream", TopicConfig: map[string]string{"retention.ms": "1", "max.message.bytes": "2"}}
	made(t, LeadTopic(o, topic), 0, map[string]string{"retention.ms": "1", "max.message.bytes": "2", "cleanup.policy": "compact,delete"})
	for _, spec := range append(InternalTopics(o), DeletionTopic(o)) {
		if spec.Configs["retention.ms"] == "1" || spec.Configs["max.message.bytes"] == "2" {
			t.Errorf("%s: %v", spec.Name, spec.Configs)
		}
	}
}

// TestEveryTopicOutlivesTheEndOfABroker: with the default setting, on brokers
// whose default is three replicas.
func TestEveryTopicOutlivesTheEndOfABroker(t *testing.T) {
	stack, err := embedded.Start(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	cluster, err := kafka.New(kafka.Config{Brokers: stack.Brokers, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	o := Options{Cluster: cluster, Name: "leadstream", Prefix: "linkedin.leads.", Partitions: 1, ReplicationFactor: -1, Log: zap.NewNop()}
	o.Producer = cluster.NewProducer(o.Name, 15*time.Second)
	s := New(o)
	if _, err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if refused, err := ensured(t, s, []string{formID}); err != nil || len(refused) > 0 {
		t.Fatalf("EnsureTopics: %v, %v", refused, err)
	}
	if err := EnsureDeletions(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	names := []string{topic, CheckpointTopic(o.Name), DeadLetterTopic(o.Name), DeletionsTopic(o.Name)}
	infos, err := cluster.Admin.DescribeTopics(t.Context(), names, "min.insync.replicas")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if info := infos[name]; info.ReplicationFactor != 3 || info.Configs["min.insync.replicas"] != "2" {
			t.Errorf("%s: %d replicas, %v; want 3 and min.insync.replicas=2", name, info.ReplicationFactor, info.Configs)
		}
	}
}

// TestInternalTopicConfigIsForInternalTopicsAlone, and none but cleanup.policy of ours is
// insisted on.
func TestInternalTopicConfigIsForInternalTopicsAlone(t *testing.T) {
	o := Options{Name: "leadstream", InternalTopicConfig: map[string]string{"segment.ms": "1", "max.message.bytes": "2"}, TopicConfig: map[string]string{"retention.ms": "3"}}
	for _, spec := range append(InternalTopics(o), DeletionTopic(o), LeadTopic(o, topic)) {
		internal := spec.Name != topic
		if got := spec.Configs["segment.ms"] == "1" && spec.Configs["max.message.bytes"] == "2"; got != internal {
			t.Errorf("%s: %v", spec.Name, spec.Configs)
		}
		for key := range spec.Configs {
			given := map[bool]string{true: "kafka.internal_topic_config", false: "kafka.topic_config"}[internal]
			if spec.Given[key] != "" && spec.Given[key] != given || spec.Optional[key] != (spec.Given[key] == "" && key != "cleanup.policy") {
				t.Errorf("%s: %s is given by %q and optional: %v", spec.Name, key, spec.Given[key], spec.Optional[key])
			}
		}
	}
}

// TestATopicIsTrustedNoLongerThanTheClusterKeepsIt: what it refuses of the settings of a
// lead topic is not taken for granted.
func TestATopicIsTrustedNoLongerThanTheClusterKeepsIt(t *testing.T) {
	w, broker := newTwistedWorld(t)
	broker.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		res := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, asked := range req.(*kmsg.CreateTopicsRequest).Topics {
			if asked.Topic == topic && slices.ContainsFunc(asked.Configs, func(c kmsg.CreateTopicsRequestTopicConfig) bool { return c.Name == "retention.ms" }) {
				one := kmsg.NewCreateTopicsResponseTopic()
				one.Topic, one.ErrorCode = asked.Topic, kerr.PolicyViolation.Code
				res.Topics = append(res.Topics, one)
			}
		}
		return res, nil, len(res.Topics) > 0
	})
	s, _ := w.epoch()
	if refused, err := ensured(t, s, []string{formID}); err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
	if got := s.topics[topic].Retention; got != 7*24*time.Hour { // a broker's default
		t.Errorf("the topic is trusted for %v, want 7 days", got)
	}
	publish(t, s, "", response("a", w.now)) // and is used
}
