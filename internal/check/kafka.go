package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"leadstream/config"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

func (k *checker) kafka(ctx context.Context) {
	if k.away = k.reach(ctx); k.away != nil {
		k.fail("kafka reachable", "look at kafka.brokers, kafka.tls and kafka.sasl", k.away)
		return
	}
	k.pass("kafka reachable", "%s", strings.Join(k.Config.Kafka.Brokers, ", "))
	k.bounded(ctx, "Kafka's brokers", k.brokers)
	k.bounded(ctx, "checkpoints", k.checkpoints)
	var lacking []kafka.AuthorizationError
	k.bounded(ctx, "permissions", func(ctx context.Context) { lacking = k.permissions(ctx) })
	k.bounded(ctx, "transactions", func(ctx context.Context) { k.transactions(ctx, lacking) })
	if !lacks(lacking, "group", k.Config.Name) {
		k.bounded(ctx, "consumer group", k.group)
	}
	k.bounded(ctx, "topics", k.topics)
}

// reach asks for a sign of life. What answers in another language than Kafka's may
// keep us waiting.
func (k *checker) reach(ctx context.Context) error {
	k.At("reaching Kafka", 0, 0)
	ctx, cancel := context.WithTimeout(ctx, PingTimeout)
	defer cancel()
	err := k.Cluster.Ping(ctx)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("no answer of a Kafka broker at %s within %s: %w",
			strings.Join(k.Config.Kafka.Brokers, ", "), config.FormatDuration(PingTimeout), err)
	}
	return err
}

// checkpoints reads what there is, and lets the requests of this command count
// with those of the day. A missing permission is named with the others.
func (k *checker) checkpoints(ctx context.Context) {
	state, err := k.State(ctx)
	if err != nil {
		if !is[*kafka.AuthorizationError](err) {
			k.fail("checkpoints", "see docs/records.md; leadstream checkpoints list shows the records", err)
		}
		return
	}
	k.state = state
}

// brokers looks at each broker where the cluster says that it is.
func (k *checker) brokers(ctx context.Context) {
	brokers, err := k.Cluster.Brokers(ctx)
	if err != nil {
		k.fail("kafka brokers", "look at kafka.brokers", err)
		return
	}
	versions := map[string]bool{}
	reached := 0
	for _, b := range brokers {
		switch {
		case b.Err != nil:
			k.fail("kafka brokers", fmt.Sprintf("let broker %d advertise an address that can be reached from here (advertised.listeners), or open the way to %s", b.ID, b.Address),
				fmt.Errorf("broker %d advertises %s: %w", b.ID, b.Address, b.Err))
			continue
		case len(b.Lacks) > 0:
			k.failf("kafka version", "upgrade the brokers to Apache Kafka 2.3 or later", "broker %d (%s) does not serve %s", b.ID, b.Version, strings.Join(b.Lacks, ", "))
		}
		reached++
		versions[b.Version] = true
	}
	if reached == 0 {
		return
	}
	if reached == len(brokers) {
		k.pass("kafka brokers", "%d, each reached where it advertises to be", reached)
	}
	// Brokers do not tell their release; there are several during an upgrade.
	k.pass("kafka version", "serves the requests of Apache Kafka %s", strings.Join(slices.Sorted(maps.Keys(versions)), " and "))
}

// TrialTopic is the end of the name of a topic that does not exist, by which
// the permissions on the topics of forms still to come are asked for.
const TrialTopic = "leadstream-check"

// permissions names every permission that is missing, as a command for
// kafka-acls, and gives them back.
func (k *checker) permissions(ctx context.Context) []kafka.AuthorizationError {
	c, o := k.Config, k.Store
	access := kafka.Access{
		Group: c.Name, TransactionalID: c.Name,
		Topics: []string{delivery.CheckpointTopic(c.Name), delivery.DeadLetterTopic(c.Name), delivery.DeletionsTopic(c.Name)},
		Absent: delivery.LeadTopic(o, c.Kafka.TopicPrefix+TrialTopic),
	}
	for _, form := range slices.Sorted(maps.Keys(k.state.Forms)) {
		access.Topics = append(access.Topics, c.Kafka.TopicPrefix+form)
	}
	existing, err := k.Cluster.DescribeTopics(ctx, access.Topics)
	if err != nil && !is[*kafka.AuthorizationError](err) {
		k.fail("kafka permissions", "look at kafka.brokers", err)
		return nil
	}
	internal := delivery.InternalTopics(o)
	if c.Webhook.Listen != "" {
		internal = append(internal, delivery.DeletionTopic(o))
	}
	for _, spec := range internal {
		if _, ok := existing[spec.Name]; !ok && err == nil {
			access.Create = append(access.Create, spec)
		}
	}
	found, err := k.Cluster.Permissions(ctx, access)
	if err != nil {
		k.fail("kafka permissions", "look at kafka.brokers", err)
		return nil
	}
	for _, m := range found.Missing {
		k.missing(m, access.Absent.Name, len(k.state.Forms) > 0)
	}
	if len(found.Untold) > 0 {
		k.warn("kafka permissions", "grant that, then run the check again",
			"whether the topics may be written to cannot be told before Write on the transactional id is granted")
	}
	for _, r := range found.Refused {
		todo := cmp.Or(fault.TodoOf(r), "look at kafka.replication_factor and kafka.partitions")
		k.fail("kafka topics", todo, fmt.Errorf("a topic like this cannot be made: %w", r))
	}
	for _, setting := range slices.Sorted(maps.Keys(found.LeftOut)) {
		k.warn("kafka topics", "have the cluster allow it, or see docs/operations.md for what it is for", "the cluster refuses %s (%s): topics are made without it", setting, found.LeftOut[setting])
	}
	if len(found.Missing) == 0 {
		k.pass("kafka permissions", "all there: topics %s and %s*, group %s, transactional id %s",
			strings.Join(access.Topics[:3], ", "), c.Kafka.TopicPrefix, c.Name, c.Name)
	}
	return found.Missing
}

// missing names one permission. Where there are forms already, and only topics
// of forms still to come are concerned, that is left to those who grant them one
// by one.
func (k *checker) missing(m kafka.AuthorizationError, trial string, formsKnown bool) {
	c := k.Config
	name, todo := m.Name, aclCommand(c, m, false)
	if m.Resource == "topic" && m.Name == trial {
		m.Name = c.Kafka.TopicPrefix
		name, todo = m.Name+"*", aclCommand(c, m, true)
		if formsKnown {
			k.warn("kafka permission", todo, "%s on topics %s is missing: the topic of a new form needs it", m.Operation, name)
			return
		}
	}
	k.failf("kafka permission", todo, "%s on %s %s is missing", m.Operation, m.Resource, name)
}

// aclCommand grants a permission, as kafka-acls takes it.
func aclCommand(c *config.Config, m kafka.AuthorizationError, prefixed bool) string {
	principal := "PRINCIPAL" // a person's to fill in: of a certificate, the broker's rules decide
	if c.Kafka.SASL.Mechanism != "" {
		principal = c.Kafka.SASL.Username
	}
	args := []string{"kafka-acls", "--bootstrap-server", strings.Join(c.Kafka.Brokers, ",")}
	if c.Kafka.SASL.Mechanism != "" || c.Kafka.TLS.Enabled {
		args = append(args, "--command-config", "admin.properties")
	}
	args = append(args, "--add", "--allow-principal", shellWord("User:"+principal))
	if prefixed {
		args = append(args, "--resource-pattern-type", "prefixed")
	}
	return strings.Join(append(args, "--"+m.Resource, m.Name, "--operation", m.Operation), " ")
}

var plainWord = regexp.MustCompile(`^[\w:=.,@/+-]+$`)

// shellWord is a word as a shell takes it.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func lacks(missing []kafka.AuthorizationError, resource, name string) bool {
	return slices.ContainsFunc(missing, func(m kafka.AuthorizationError) bool { return m.Resource == resource && m.Name == name })
}

// transactions starts a transactional producer. It has an id of its own: that of
// the connector would fence a connector that runs.
func (k *checker) transactions(ctx context.Context, lacking []kafka.AuthorizationError) {
	const check = "kafka transactions"
	c := k.Config
	id := TrialID(c.Name)
	err := k.Trial.Init(ctx)
	missing, refused := errors.AsType[*kafka.AuthorizationError](err)
	switch {
	case err == nil:
		k.pass(check, "a transactional producer can be started (id %s)", id)
	case refused && lacks(lacking, "transactional-id", c.Name): // named above; it is the same to grant
	case refused:
		missing.Name = c.Name
		k.warn(check, aclCommand(c, *missing, true), "not tried: the id %s may not be used, while %s, the connector's own, may", id, c.Name)
	default:
		k.fail(check, "see that Kafka's own __transaction_state has its replicas: transaction.state.log.replication.factor brokers, transaction.state.log.min.isr in sync", err)
	}
}

func (k *checker) group(ctx context.Context) {
	name := k.Config.Name
	members, err := k.Cluster.GroupMembers(ctx, name)
	if err != nil {
		k.fail("kafka group", "see that Kafka's own __consumer_offsets has its replicas: offsets.topic.replication.factor brokers", err)
		return
	}
	k.pass("kafka group", "%d running under the name %s", members, name)
}
