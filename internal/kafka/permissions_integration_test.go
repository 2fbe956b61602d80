//go:build integration

package kafka

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/internal/realstack"
)

// guardedBroker has permissions; alice has none, and everybody on the PLAINTEXT
// listener has all.
func guardedBroker() realstack.KafkaOptions {
	return realstack.KafkaOptions{
		Listeners: map[string]string{"SASL": "SASL_PLAINTEXT"},
		Properties: map[string]string{
			"authorizer.class.name":                     "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users":                               "User:ANONYMOUS",
			"sasl.enabled.mechanisms":                   "PLAIN",
			"listener.name.sasl.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alice-secret";`,
		},
	}
}

// guarded is such a broker, as everybody and as alice.
func guarded(t *testing.T) (admin, alice *Client) {
	t.Helper()
	return bothOn(t, own(t, guardedBroker()))
}

func bothOn(t *testing.T, k *realstack.Kafka) (admin, alice *Client) {
	t.Helper()
	return connect(t, Config{Brokers: []string{k.Addr(realstack.PLAINTEXT)}}),
		connect(t, Config{Brokers: []string{k.Addr("SASL")}, SASL: &SASL{"PLAIN", "alice", "alice-secret"}})
}

// TestRealPermissionsAreToldWithoutUsingThem: every one that is missing is named,
// granting exactly those leaves none, and nothing in the cluster is different
// afterwards: no topic, no record, no producer's epoch.
func TestRealPermissionsAreToldWithoutUsingThem(t *testing.T) {
	admin, alice := guarded(t)
	create(t, admin, 1, "name.checkpoints", "leads.1")
	running := producer(t, admin, "name") // a connector that works
	commit(t, running, message("leads.1", "before"))
	eventuallyValues(t, admin, "leads.1", 1)
	access := Access{
		Group: "name", TransactionalID: "name", Absent: TopicSpec{Name: "leads.check", Partitions: 1},
		Topics: []string{"name.checkpoints", "name.deadletters", "leads.1"},
		Create: []TopicSpec{{Name: "name.deadletters", Partitions: 1}},
	}
	names := []string{"name.checkpoints", "name.deadletters", "leads.1", "leads.check"}
	var want []string
	for _, name := range names {
		want = append(want, "Describe topic "+name, "DescribeConfigs topic "+name, "Read topic "+name)
	}
	want = append(want, "Create topic name.deadletters", "Create topic leads.check", "Write transactional-id name",
		"Describe group name", "Describe transactional-id name", "Read group name")
	before := state(t, admin)

	got, err := alice.Admin.Permissions(t.Context(), access)
	if err != nil {
		t.Fatal(err)
	}
	sameNames(t, "missing", listed(got.Missing), want)
	if untold := listed(got.Untold); len(untold) != len(names) {
		t.Errorf("not to be told = %q, want Write on each of %q", untold, names)
	}
	for _, m := range got.Missing {
		resource, operation := aclCodes(m)
		allow(t, admin, "alice", resource, m.Name, operation)
	}
	var next Permissions
	eventually(t, "the permissions", func() bool {
		next, err = alice.Admin.Permissions(t.Context(), access)
		return err != nil || len(next.Untold) == 0
	})
	if err != nil {
		t.Fatal(err)
	}
	var writes []string
	for _, name := range names {
		writes = append(writes, "Write topic "+name)
	}
	sameNames(t, "missing then", listed(next.Missing), writes)
	for _, m := range next.Missing {
		resource, operation := aclCodes(m)
		allow(t, admin, "alice", resource, m.Name, operation)
	}
	eventually(t, "the last permissions", func() bool {
		next, err = alice.Admin.Permissions(t.Context(), access)
		return err != nil || len(next.Missing) == 0
	})
	if err != nil || len(next.Untold)+len(next.Refused) > 0 {
		t.Fatalf("with all permissions: %+v, %v", next, err)
	}
	if after := state(t, admin); after != before {
		t.Errorf("the cluster was\n%s\nand is\n%s", before, after)
	}
	commit(t, running, message("leads.1", "after")) // its epoch is the current one still
	if got := eventuallyValues(t, admin, "leads.1", 2); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("the topic holds %q", got)
	}
}

func listed(permissions []AuthorizationError) (list []string) {
	for _, p := range permissions {
		list = append(list, p.Operation+" "+p.Resource+" "+p.Name)
	}
	return list
}

func sameNames(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// state is what the topics are and hold.
func state(t *testing.T, c *Client) string {
	t.Helper()
	names := []string{"name.checkpoints", "name.deadletters", "leads.1", "leads.check"}
	infos, err := c.Admin.DescribeTopics(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, name := range names {
		if info, ok := infos[name]; ok {
			text += fmt.Sprintf("%s: %d partitions, %q\n", name, info.Partitions, values(t, c, name, From{}))
		}
	}
	return text
}

// TestRealBrokersTellTheirVersion.
func TestRealBrokersTellTheirVersion(t *testing.T) {
	brokers, err := real(t).Admin.Brokers(t.Context())
	if err != nil || len(brokers) != 1 {
		t.Fatalf("brokers = %+v, %v", brokers, err)
	}
	if b := brokers[0]; b.Err != nil || len(b.Lacks) > 0 || b.Version == "" || !strings.Contains(realAddr(t), b.Address) {
		t.Errorf("broker = %+v", b)
	} else {
		t.Log(b.Version)
	}
}

// TestRealAdvertisedAddressOutOfReachIsNamed: the classic of a broker that is
// found by one address and tells another.
func TestRealAdvertisedAddressOutOfReachIsNamed(t *testing.T) {
	k := own(t, realstack.KafkaOptions{
		Listeners: map[string]string{"ELSEWHERE": "PLAINTEXT"}, Advertised: map[string]string{"ELSEWHERE": "127.0.0.1:1"},
	})
	begun := time.Now()
	brokers, err := connect(t, Config{Brokers: []string{k.Addr("ELSEWHERE")}}).Admin.Brokers(t.Context())
	if err != nil || len(brokers) != 1 || brokers[0].Err == nil || brokers[0].Address != "127.0.0.1:1" {
		t.Fatalf("brokers = %+v, %v; want one that cannot be reached", brokers, err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
