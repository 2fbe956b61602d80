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
	"leadstream/internal/kafka"
)

// topics looks at what exists: what it is risky to rely on.
func (k *checker) topics(ctx context.Context) {
	checkpoints, deadLetters := delivery.CheckpointTopic(k.Config.Name), delivery.DeadLetterTopic(k.Config.Name)
	names := []string{checkpoints, deadLetters, delivery.DeletionsTopic(k.Config.Name)}
	for form := range k.state.Forms {
		names = append(names, k.Config.Kafka.TopicPrefix+form)
	}
	found, err := k.Cluster.DescribeTopics(ctx, names, "cleanup.policy", "retention.ms", "delete.retention.ms", "min.insync.replicas")
	if err != nil {
		if !is[*kafka.AuthorizationError](err) { // named among the permissions
			k.fail("topics", "look at kafka.brokers", err)
		}
		return
	}
	k.there = found
	info, ok := found[checkpoints]
	switch {
	case !ok:
		k.pass("checkpoints", "topic %s does not exist yet: the first start makes it", checkpoints)
	case info.Configs["cleanup.policy"] != "compact":
		k.fail("checkpoints", k.alterCommand(checkpoints, "cleanup.policy=compact"),
			&delivery.PolicyError{Topic: checkpoints, Policy: info.Configs["cleanup.policy"]})
	case info.Partitions != 1:
		wrong := &delivery.PartitionsError{Topic: checkpoints, Partitions: info.Partitions}
		k.failf("checkpoints", wrong.Todo(), "topic %s has %d partitions instead of 1, by which one process at a time is given the work", checkpoints, info.Partitions)
	case k.state.Sources != nil:
		k.pass("checkpoints", "topic %s is compacted and its records of %d sources can be read", checkpoints, len(k.state.Sources))
	}
	deletions := delivery.DeletionsTopic(k.Config.Name)
	if info, ok := found[deletions]; ok && info.Configs["cleanup.policy"] != "compact" {
		k.fail("deletions", k.alterCommand(deletions, "cleanup.policy=compact"), &delivery.PolicyError{Topic: deletions, Policy: info.Configs["cleanup.policy"]})
	}
	r := &risks{}
	if info, ok := found[deletions]; ok && info.Partitions != 1 {
		r.add(deletions, "leave it as it is, and write what lifts a deletion to the partition of its entry", fmt.Sprintf("%d partitions instead of 1: an entry that lifts a deletion and stands in another partition is lost once Kafka compacts it", info.Partitions))
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		if info, ok := found[name]; ok {
			k.risky(r, name, info, name == checkpoints || name == deadLetters || name == deletions)
		}
	}
	k.transactionLog(ctx, r)
	k.report(r, len(found))
}

// risks are what is risky, each with the topics that it is true of, in the
// order in which they were met: a hundred topics made alike are one line.
type risks struct {
	texts  []string
	todo   map[string]string
	topics map[string][]string
}

func (r *risks) add(topic, todo, text string) {
	if r.topics == nil {
		r.todo, r.topics = map[string]string{}, map[string][]string{}
	}
	if !slices.Contains(r.texts, text) {
		r.texts = append(r.texts, text)
	}
	r.todo[text] = todo
	r.topics[text] = append(r.topics[text], topic)
}

// risky notes what is risky in one topic.
func (k *checker) risky(r *risks, name string, info kafka.TopicInfo, internal bool) {
	least, err := strconv.Atoi(info.Configs["min.insync.replicas"])
	switch {
	case info.ReplicationFactor == 1:
		r.add(name, "raise the replication factor to 3 (kafka-reassign-partitions), with min.insync.replicas=2", "one replica: losing its disk loses the topic")
	case err == nil && least == 1:
		r.add(name, "set min.insync.replicas=2", "min.insync.replicas is 1: the end of a broker can lose acknowledged records")
	case err == nil && least >= info.ReplicationFactor:
		r.add(name, "set min.insync.replicas below the replication factor", fmt.Sprintf("min.insync.replicas is %d of %d: nothing can be written while one broker is away", least, info.ReplicationFactor))
	}
	if !internal {
		k.forgetful(r, name, info)
	}
}

// forgetful notes that a lead topic forgets sooner than the look-back reaches.
func (k *checker) forgetful(r *risks, name string, info kafka.TopicInfo) {
	lookback := k.Config.Poll.Lookback
	shorter := func(setting string) (span string, is bool) {
		ms, err := strconv.ParseInt(info.Configs[setting], 10, 64)
		if err != nil || ms < 0 || ms >= lookback.Milliseconds() { // Kafka's longest is no duration of Go's
			return "", false
		}
		return config.FormatDuration(time.Duration(ms) * time.Millisecond), true
	}
	policy := info.Configs["cleanup.policy"]
	if span, is := shorter("retention.ms"); is && strings.Contains(policy, "delete") {
		r.add(name, "raise retention.ms above poll.lookback", fmt.Sprintf("leads are kept for %s, shorter than poll.lookback (%s): late leads older than that are left to an explicit replay",
			span, config.FormatDuration(lookback)))
	}
	if span, is := shorter("delete.retention.ms"); is && strings.Contains(policy, "compact") {
		r.add(name, fmt.Sprintf("set delete.retention.ms=%d, which is poll.lookback, or more", lookback.Milliseconds()),
			fmt.Sprintf("deletions are kept for %s after compaction, shorter than poll.lookback (%s): leads that are deleted there may come back (docs/guarantees.md)",
				span, config.FormatDuration(lookback)))
	}
}

// transactionState is Kafka's own topic of transactions.
const transactionState = "__transaction_state"

// transactionLog looks at the topic that all transactions rest on. It may not
// exist yet, nor be ours to describe.
func (k *checker) transactionLog(ctx context.Context, r *risks) {
	found, err := k.Cluster.DescribeTopics(ctx, []string{transactionState})
	if err == nil && found[transactionState].ReplicationFactor == 1 {
		r.add(transactionState, "set transaction.state.log.replication.factor=3 and min.isr=2, and raise the topic's replicas", "Kafka's own topic of transactions has one replica: without its broker nothing can be written")
	}
}

// report makes a line of each risk.
func (k *checker) report(r *risks, topics int) {
	for _, text := range r.texts {
		names := r.topics[text]
		if len(names) == 1 {
			k.warn("topic "+names[0], r.todo[text], "%s", text)
			continue
		}
		shown := strings.Join(names[:min(len(names), 5)], ", ")
		if more := len(names) - 5; more > 0 {
			shown += fmt.Sprintf(" and %d more", more)
		}
		k.warn(fmt.Sprintf("%d topics", len(names)), r.todo[text], "%s (%s)", text, shown)
	}
	if len(r.texts) == 0 && topics > 0 {
		k.pass("topics", "%d exist, with several replicas and a retention above poll.lookback", topics)
	}
}

// alterCommand changes a setting of a topic, as kafka-configs takes it.
func (k *checker) alterCommand(topic, setting string) string {
	c := k.Config
	command := "kafka-configs --bootstrap-server " + strings.Join(c.Kafka.Brokers, ",")
	if c.Kafka.SASL.Mechanism != "" || c.Kafka.TLS.Enabled {
		command += " --command-config admin.properties"
	}
	return command + " --alter --entity-type topics --entity-name " + topic + " --add-config " + setting
}
