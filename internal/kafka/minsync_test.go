package kafka

import (
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// minInSyncOf makes a topic and looks what it was made with; "1" is Kafka's default.
func minInSyncOf(t *testing.T, c *Client, spec TopicSpec) string {
	t.Helper()
	results, err := c.Admin.CreateTopics(t.Context(), []TopicSpec{spec})
	if err != nil || results[spec.Name] != nil {
		t.Fatalf("CreateTopics = %v, %v", results, err)
	}
	infos, err := c.Admin.DescribeTopics(t.Context(), []string{spec.Name}, keyMinInSync)
	if err != nil {
		t.Fatal(err)
	}
	return infos[spec.Name].Configs[keyMinInSync]
}

// TestTwoReplicasMustHaveWhatCountsAsWritten: also where the brokers decide how
// many there are, and never so that the end of one broker stops all writing.
func TestTwoReplicasMustHaveWhatCountsAsWritten(t *testing.T) {
	for _, test := range []struct {
		name              string
		brokers, replicas int
		configs           map[string]string
		want              string
	}{
		{"three by setting", 3, 3, nil, "2"},
		{"more by setting", 5, 5, nil, "2"},
		{"two by setting", 3, 2, nil, "1"},
		{"one by setting", 3, 1, nil, "1"},
		{"three by default", 3, -1, nil, "2"},
		{"three by default, with other settings", 3, -1, map[string]string{"cleanup.policy": "compact"}, "2"},
		{"two by default", 2, -1, nil, "1"},
		{"one by default", 1, -1, nil, "1"},
		{"somebody's own by setting", 3, 3, map[string]string{keyMinInSync: "1"}, "1"},
		{"somebody's own by default", 3, -1, map[string]string{keyMinInSync: "3"}, "3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := fake(t, kfake.NumBrokers(test.brokers))
			spec := TopicSpec{Name: "topic", Partitions: 1, ReplicationFactor: test.replicas, MinInSync: 2, Configs: test.configs}
			if got := minInSyncOf(t, c, spec); got != test.want {
				t.Errorf("min.insync.replicas = %s, want %s", got, test.want)
			}
			if _, added := test.configs[keyMinInSync]; added && test.want == "2" {
				t.Error("the settings that were handed in have changed")
			}
		})
	}
}

// TestTheNumberOfReplicasIsAskedUntilItIsTold: issues of the moment must not
// leave a topic with less than was promised.
func TestTheNumberOfReplicasIsAskedUntilItIsTold(t *testing.T) {
	for _, code := range []Code{codeNotController, codeRequestTimedOut, codeQuotaExceeded, -1} {
		c, f := fake(t)
		if err := c.Ping(t.Context()); err != nil { // so that it knows the controller
			t.Fatal(err)
		}
		refuse(f, protocol.CreateTopics, code)
		if got := minInSyncOf(t, c, TopicSpec{Name: "topic", Partitions: 1, ReplicationFactor: -1, MinInSync: 2}); got != "2" {
			t.Errorf("after code %d min.insync.replicas = %s, want 2", code, got)
		}
	}
}

// TestATopicOfAnUntoldNumberOfReplicasIsMadeAllTheSame: with what the brokers
// have for it.
func TestATopicOfAnUntoldNumberOfReplicasIsMadeAllTheSame(t *testing.T) {
	c, f := fake(t)
	f.ControlKey(int16(protocol.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if !req.(*kmsg.CreateTopicsRequest).ValidateOnly {
			return nil, nil, false
		}
		f.KeepControl()
		res := answerWith(req, 0).(*kmsg.CreateTopicsResponse)
		res.Topics[0].ReplicationFactor, res.Topics[0].NumPartitions = -1, -1
		return res, nil, true
	})
	if got := minInSyncOf(t, c, TopicSpec{Name: "topic", Partitions: 1, ReplicationFactor: -1, MinInSync: 2}); got != "1" {
		t.Errorf("min.insync.replicas = %s, want Kafka's own", got)
	}
}
