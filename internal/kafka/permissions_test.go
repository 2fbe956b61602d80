package kafka

import (
	"strings"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestPermissionsOfAClusterWithoutRules: where there is no authorizer nothing
// is missing, and nothing is made.
func TestPermissionsOfAClusterWithoutRules(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 1, "name.checkpoints")
	got, err := c.Admin.Permissions(t.Context(), Access{Group: "name", TransactionalID: "name", Absent: TopicSpec{Name: "leads.check", Partitions: 1},
		Topics: []string{"name.checkpoints", "name.deadletters"}, Create: []TopicSpec{{Name: "name.deadletters", Partitions: 1}}})
	if err != nil || len(got.Missing)+len(got.Untold)+len(got.Refused) > 0 {
		t.Errorf("permissions = %+v, %v; want none missing", got, err)
	}
	if infos, err := c.Admin.DescribeTopics(t.Context(), []string{"name.deadletters", "leads.check"}); err != nil || len(infos) > 0 {
		t.Errorf("made %v, %v", infos, err)
	}
}

// TestATopicThatCannotBeCreatedIsToldWithTheReason: too many replicas, say.
func TestATopicThatCannotBeCreatedIsToldWithTheReason(t *testing.T) {
	c, _ := fake(t)
	got, err := c.Admin.Permissions(t.Context(), Access{Group: "name", TransactionalID: "name", Absent: TopicSpec{Name: "leads.check", Partitions: 1},
		Create: []TopicSpec{{Name: "name.checkpoints", Partitions: 1, ReplicationFactor: 9}}})
	if err != nil || len(got.Refused) != 1 || got.Refused[0].Topic != "name.checkpoints" || got.Refused[0].Code != codeInvalidReplication {
		t.Errorf("permissions = %+v, %v; want the replication factor refused", got, err)
	}
}

// TestABrokerOfAnOldReleaseIsNamedWithWhatItLacks.
func TestABrokerOfAnOldReleaseIsNamedWithWhatItLacks(t *testing.T) {
	c, f := fake(t, kfake.NumBrokers(1))
	f.ControlKey(int16(protocol.ApiVersions), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		res := req.ResponseKind().(*kmsg.ApiVersionsResponse)
		for key, most := range map[protocol.ApiKey]int16{
			protocol.Produce: 2, protocol.Fetch: 3, protocol.Metadata: 2, protocol.ApiVersions: 0, protocol.FindCoordinator: 0,
		} {
			res.ApiKeys = append(res.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: int16(key), MaxVersion: most})
		}
		return res, nil, true
	})
	brokers, err := c.Admin.Brokers(t.Context())
	if err != nil || len(brokers) != 1 {
		t.Fatalf("brokers = %+v, %v", brokers, err)
	}
	lacks := strings.Join(brokers[0].Lacks, ", ")
	for _, want := range []string{"Produce version 3", "Fetch version 11", "InitProducerId", "EndTxn"} {
		if !strings.Contains(lacks, want) {
			t.Errorf("lacks = %q, want %s among them", lacks, want)
		}
	}
	if brokers[0].Version == "" {
		t.Error("no version was guessed")
	}
}

// TestBrokersAreListedWithTheirVersion.
func TestBrokersAreListedWithTheirVersion(t *testing.T) {
	c, f := fake(t)
	brokers, err := c.Admin.Brokers(t.Context())
	if err != nil || len(brokers) != len(f.ListenAddrs()) {
		t.Fatalf("brokers = %+v, %v", brokers, err)
	}
	for i, b := range brokers {
		if b.ID != i || b.Err != nil || len(b.Lacks) > 0 || b.Version == "" {
			t.Errorf("broker %d = %+v", i, b)
		}
	}
}
