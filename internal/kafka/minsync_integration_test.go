//go:build integration

package kafka

import "testing"

// TestRealBrokersTellHowManyReplicasATopicGets: where their default is three, two
// must have what counts as written; a single broker goes on by itself. It takes
// no permission that a connector does not need anyway.
func TestRealBrokersTellHowManyReplicasATopicGets(t *testing.T) {
	spec := TopicSpec{Name: name(t, "topic"), Partitions: 1, ReplicationFactor: -1, MinInSync: 2,
		Configs: map[string]string{"cleanup.policy": "compact"}}
	if got := minInSyncOf(t, real(t), spec); got != "1" {
		t.Errorf("min.insync.replicas on one broker = %s, want 1", got)
	}

	options := guardedBroker()
	options.Properties["default.replication.factor"] = "3"
	first := own(t, options)
	options.Joins = first
	for options.Node = 2; options.Node <= 3; options.Node++ {
		own(t, options)
	}
	admin, alice := bothOn(t, first)
	for _, operation := range []string{"Describe", "DescribeConfigs", "Create"} {
		resource, code := aclCodes(*topicPermission(spec.Name, operation))
		allow(t, admin, "alice", resource, spec.Name, code)
	}
	var got map[string]error
	eventually(t, "three brokers that know of the permissions", func() bool {
		var err error
		got, err = alice.Admin.CreateTopics(t.Context(), []TopicSpec{spec})
		return err == nil && got[spec.Name] == nil
	})
	infos, err := alice.Admin.DescribeTopics(t.Context(), []string{spec.Name}, keyMinInSync)
	if err != nil {
		t.Fatal(err)
	}
	if info := infos[spec.Name]; info.ReplicationFactor != 3 || info.Configs[keyMinInSync] != "2" {
		t.Errorf("%d replicas and %v, want 3 and min.insync.replicas=2", info.ReplicationFactor, info.Configs)
	}
}
