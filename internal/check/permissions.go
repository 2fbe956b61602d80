package check

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"leadstream/config"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

// What Kafka allows means this.
var (
	permissionsUntold = meaning{"kafka permissions", Warn, "whether the topics may be written to cannot be told before Write on the transactional id is granted",
		"grant that, then run the check again"}
	permissionsThere  = meaning{"kafka permissions", Pass, "all there: topics %[1]s and %[2]s*, group %[3]s, transactional id %[3]s", ""}
	permissionMissing = meaning{"kafka permission", Fail, "%[1]s on %[2]s %[3]s is missing", "%[4]s"}
	// permissionLater concerns the topics of forms still to come, where there are forms
	// already: that may be left to those who grant them one by one.
	permissionLater = meaning{"kafka permission", Warn, "%[1]s on topics %[3]s is missing: the topic of a new form needs it", "%[4]s"}
	topicRefused    = meaning{"kafka topics", Fail, "a topic like this cannot be made: %[1]v", "look at kafka.replication_factor and kafka.partitions"}
	settingRefused  = meaning{"kafka topics", Warn, "the cluster refuses %[1]s (%[2]s): topics are made without it",
		"have the cluster allow it, or see docs/operations.md for what it is for"}
)

// TrialTopic is the end of the name of a topic that does not exist, by which
// the permissions on the topics of forms still to come are asked for.
const TrialTopic = "leadstream-check"

// permissions names every permission that is missing, as a command for
// kafka-acls.
func (k *checker) permissions(ctx context.Context) error {
	access, err := k.access(ctx)
	if err != nil {
		return err
	}
	found, err := k.Cluster.Admin.Permissions(ctx, access)
	if err != nil {
		return err
	}
	k.lacking = found.Missing
	for _, m := range found.Missing {
		k.missing(m, access.Absent.Name)
	}
	if len(found.Untold) > 0 {
		k.say(permissionsUntold)
	}
	for _, r := range found.Refused {
		k.sayError(topicRefused, r)
	}
	for _, setting := range slices.Sorted(maps.Keys(found.LeftOut)) {
		k.say(settingRefused, setting, found.LeftOut[setting])
	}
	if len(found.Missing) == 0 {
		k.say(permissionsThere, strings.Join(k.internalTopics(), ", "), k.Config.Kafka.TopicPrefix, k.Config.Name)
	}
	return nil
}

// internalTopics are the topics that are no form's.
func (k *checker) internalTopics() []string {
	name := k.Config.Name
	return []string{delivery.CheckpointTopic(name), delivery.DeadLetterTopic(name), delivery.DeletionsTopic(name)}
}

// access is what the connector needs of Kafka.
func (k *checker) access(ctx context.Context) (kafka.Access, error) {
	c := k.Config
	access := kafka.Access{
		Group: c.Name, TransactionalID: c.Name, Topics: k.internalTopics(),
		Absent: delivery.LeadTopic(k.Store, c.Kafka.TopicPrefix+TrialTopic),
	}
	for _, form := range slices.Sorted(maps.Keys(k.state.Forms)) {
		access.Topics = append(access.Topics, c.Kafka.TopicPrefix+form)
	}
	existing, err := k.Cluster.Admin.DescribeTopics(ctx, access.Topics)
	if fault.Has[*kafka.AuthorizationError](err) { // which topics exist is not told
		return access, nil
	}
	if err != nil {
		return access, err
	}
	needed := delivery.InternalTopics(k.Store)
	if c.Webhook.Listen != "" {
		needed = append(needed, delivery.DeletionTopic(k.Store))
	}
	for _, spec := range needed {
		if _, ok := existing[spec.Name]; !ok {
			access.Create = append(access.Create, spec)
		}
	}
	return access, nil
}

// missing names one permission.
func (k *checker) missing(m kafka.AuthorizationError, trial string) {
	name, found, ofMany := m.Name, permissionMissing, m.Resource == "topic" && m.Name == trial
	if ofMany {
		m.Name = k.Config.Kafka.TopicPrefix
		name = m.Name + "*"
		if len(k.state.Forms) > 0 {
			found = permissionLater
		}
	}
	k.say(found, m.Operation, m.Resource, name, aclCommand(k.Config, m, ofMany))
}

func (k *checker) lacks(resource, name string) bool {
	return slices.ContainsFunc(k.lacking, func(m kafka.AuthorizationError) bool { return m.Resource == resource && m.Name == name })
}

// aclCommand grants a permission, as kafka-acls takes it.
func aclCommand(c *config.Config, m kafka.AuthorizationError, prefixed bool) string {
	principal := "PRINCIPAL" // a person's to fill in: of a certificate, the broker's rules decide
	if c.Kafka.SASL.Mechanism != "" {
		principal = c.Kafka.SASL.Username
	}
	args := []string{kafkaCommand("kafka-acls", c), "--add", "--allow-principal", shellWord("User:" + principal)}
	if prefixed {
		args = append(args, "--resource-pattern-type", "prefixed")
	}
	return strings.Join(append(args, "--"+m.Resource, m.Name, "--operation", m.Operation), " ")
}

// kafkaCommand begins a command of Kafka's own tools.
func kafkaCommand(tool string, c *config.Config) string {
	command := tool + " --bootstrap-server " + strings.Join(c.Kafka.Brokers, ",")
	if c.Kafka.SASL.Mechanism != "" || c.Kafka.TLS.Enabled {
		command += " --command-config admin.properties"
	}
	return command
}

var plainWord = regexp.MustCompile(`^[\w:=.,@/+-]+$`)

// shellWord is a word as a shell takes it.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
