package check

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"leadstream/config"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// What is found of the topics means this.
var (
	topicsGood           = meaning{"topics", Pass, "%[1]d exist, with several replicas and a retention above poll.lookback", ""}
	topicRisk            = meaning{"topic %[1]s", Warn, "%[2]s", "%[3]s"}
	topicsRisk           = meaning{"%[1]d topics", Warn, "%[2]s (%[4]s)", "%[3]s"}
	checkpointsAbsent    = meaning{"checkpoints", Pass, "topic %[1]s does not exist yet: the first start makes it", ""}
	checkpointsReadable  = meaning{"checkpoints", Pass, "topic %[1]s is compacted and its records of %[2]d sources can be read", ""}
	checkpointsPlain     = meaning{"checkpoints", Fail, "%[1]v", "%[2]s"}
	checkpointsScattered = meaning{"checkpoints", Fail, "topic %[1]s has %[2]d partitions instead of 1, by which one process at a time is given the work", "%[3]s"}
	deletionsPlain       = meaning{"deletions", Fail, "%[1]v", "%[2]s"}
)

// A risk is a row of the table of what is risky to rely on in a topic.
type risk struct {
	// holds reports whether the topic has it; what it found is for text and todo.
	holds      func(risky) (found []any, holds bool)
	text, todo string
}

// risky is a topic that is looked at.
type risky struct {
	kafka.TopicInfo
	lookback time.Duration
	least    int // min.insync.replicas; 0 when it is not known
}

// replicaRisks are of every topic. The first one that holds is told.
var replicaRisks = []risk{
	{oneReplica, "one replica: losing its disk loses the topic", "raise the replication factor to 3 (kafka-reassign-partitions), with min.insync.replicas=2"},
	{oneInSync, "min.insync.replicas is 1: the end of a broker can lose acknowledged records", "set min.insync.replicas=2"},
	{allInSync, "min.insync.replicas is %[1]d of %[2]d: nothing can be written while one broker is away", "set min.insync.replicas below the replication factor"},
}

// retentionRisks are of lead topics that forget sooner than the look-back reaches.
// Each that holds is told.
var retentionRisks = []risk{
	{forgets("retention.ms", "delete"), "leads are kept for %[1]s, shorter than poll.lookback (%[2]s): late leads older than that are left to an explicit replay",
		"raise retention.ms above poll.lookback"},
	{forgets("delete.retention.ms", "compact"),
		"deletions are kept for %[1]s after compaction, shorter than poll.lookback (%[2]s): leads that are deleted there may come back (docs/guarantees.md)",
		"set delete.retention.ms=%[3]d, which is poll.lookback, or more"},
}

func oneReplica(t risky) ([]any, bool) { return nil, t.ReplicationFactor == 1 }
func oneInSync(t risky) ([]any, bool)  { return nil, t.least == 1 }
func allInSync(t risky) ([]any, bool) {
	return []any{t.least, t.ReplicationFactor}, t.least > 0 && t.least >= t.ReplicationFactor
}

// forgets looks whether a time of a topic with that policy is shorter than the
// look-back.
func forgets(setting, policy string) func(risky) ([]any, bool) {
	return func(t risky) ([]any, bool) {
		ms, err := strconv.ParseInt(t.Configs[setting], 10, 64)
		// Kafka's longest is no duration of Go's.
		if err != nil || ms < 0 || ms >= t.lookback.Milliseconds() || !strings.Contains(t.Configs["cleanup.policy"], policy) {
			return nil, false
		}
		return []any{config.FormatDuration(time.Duration(ms) * time.Millisecond), config.FormatDuration(t.lookback), t.lookback.Milliseconds()}, true
	}
}

// topics looks at what exists: what it is risky to rely on.
func (k *checker) topics(ctx context.Context) error {
	internal := k.internalTopics()
	names := slices.Clone(internal)
	for form := range k.state.Forms {
		names = append(names, k.Config.Kafka.TopicPrefix+form)
	}
	found, err := k.Cluster.Admin.DescribeTopics(ctx, names, "cleanup.policy", "retention.ms", "delete.retention.ms", "min.insync.replicas")
	if fault.Has[*kafka.AuthorizationError](err) { // named among the permissions
		return nil
	}
	if err != nil {
		return err
	}
	k.there = found
	k.checkpointTopic()
	r := &risks{}
	k.deletionsTopic(r)
	for _, name := range slices.Sorted(slices.Values(names)) {
		if info, ok := found[name]; ok {
			r.look(name, info, k.Config.Poll.Lookback, !slices.Contains(internal, name))
		}
	}
	k.transactionLog(ctx, r)
	k.report(r, len(found))
	return nil
}

// checkpointTopic looks at the topic that holds the connector's memory.
func (k *checker) checkpointTopic() {
	name := delivery.CheckpointTopic(k.Config.Name)
	info, ok := k.there[name]
	switch policy := info.Configs["cleanup.policy"]; {
	case !ok:
		k.say(checkpointsAbsent, name)
	case policy != "compact":
		k.say(checkpointsPlain, &delivery.PolicyError{Topic: name, Policy: policy}, k.compactCommand(name))
	case info.Partitions != 1:
		k.say(checkpointsScattered, name, info.Partitions, (&delivery.PartitionsError{Topic: name, Partitions: info.Partitions}).Todo())
	case k.state.Sources != nil:
		k.say(checkpointsReadable, name, len(k.state.Sources))
	}
}

// deletionsTopic looks at the topic of deletions, where there is one.
func (k *checker) deletionsTopic(r *risks) {
	name := delivery.DeletionsTopic(k.Config.Name)
	info, ok := k.there[name]
	if !ok {
		return
	}
	if policy := info.Configs["cleanup.policy"]; policy != "compact" {
		k.say(deletionsPlain, &delivery.PolicyError{Topic: name, Policy: policy}, k.compactCommand(name))
	}
	if info.Partitions != 1 {
		r.add(name, "leave it as it is, and write what lifts a deletion to the partition of its entry",
			fmt.Sprintf("%d partitions instead of 1: an entry that lifts a deletion and stands in another partition is lost once Kafka compacts it", info.Partitions))
	}
}

// transactionState is Kafka's own topic of transactions.
const transactionState = "__transaction_state"

// transactionLog looks at the topic that all transactions rest on. It may not
// exist yet, nor be ours to describe.
func (k *checker) transactionLog(ctx context.Context, r *risks) {
	found, err := k.Cluster.Admin.DescribeTopics(ctx, []string{transactionState})
	if err == nil && found[transactionState].ReplicationFactor == 1 {
		r.add(transactionState, "set transaction.state.log.replication.factor=3 and min.isr=2, and raise the topic's replicas",
			"Kafka's own topic of transactions has one replica: without its broker nothing can be written")
	}
}

// compactCommand has a topic compacted, as kafka-configs takes it.
func (k *checker) compactCommand(topic string) string {
	return kafkaCommand("kafka-configs", k.Config) + " --alter --entity-type topics --entity-name " + topic + " --add-config cleanup.policy=compact"
}

// risks are what is risky, each with the topics that it is true of, in the
// order in which they were met: a hundred topics made alike are one line.
type risks []*met

type met struct {
	text, todo string
	topics     []string
}

func (r *risks) add(topic, todo, text string) {
	i := slices.IndexFunc(*r, func(m *met) bool { return m.text == text })
	if i < 0 {
		i = len(*r)
		*r = append(*r, &met{text: text, todo: todo})
	}
	(*r)[i].topics = append((*r)[i].topics, topic)
}

// look notes what is risky in one topic.
func (r *risks) look(name string, info kafka.TopicInfo, lookback time.Duration, leads bool) {
	t := risky{TopicInfo: info, lookback: lookback}
	t.least, _ = strconv.Atoi(info.Configs["min.insync.replicas"]) // 0: a broker that does not tell it
	for _, one := range replicaRisks {
		if found, holds := one.holds(t); holds {
			r.add(name, one.todo, fill(one.text, found))
			break
		}
	}
	for _, one := range retentionRisks {
		if found, holds := one.holds(t); holds && leads {
			r.add(name, fill(one.todo, found), fill(one.text, found))
		}
	}
}

// report makes a line of each risk.
func (k *checker) report(r *risks, topics int) {
	for _, m := range *r {
		if len(m.topics) == 1 {
			k.say(topicRisk, m.topics[0], m.text, m.todo)
		} else {
			k.say(topicsRisk, len(m.topics), m.text, m.todo, few(m.topics, 5))
		}
	}
	if len(*r) == 0 && topics > 0 {
		k.say(topicsGood, topics)
	}
}
