package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"leadstream/config"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
)

const lookAtRecords = "see docs/records.md; leadstream checkpoints list shows the records"

// What Kafka answers means this.
var (
	kafkaReached = meaning{"kafka reachable", Pass, "%[1]s", ""}

	brokerAway = meaning{"kafka brokers", Fail, "broker %[1]d advertises %[2]s: %[3]v",
		"let broker %[1]d advertise an address that can be reached from here (advertised.listeners), or open the way to %[2]s"}
	brokersReached = meaning{"kafka brokers", Pass, "%[1]d, each reached where it advertises to be", ""}
	brokerOld      = meaning{"kafka version", Fail, "broker %[1]d (%[2]s) does not serve %[3]s", "upgrade the brokers to Apache Kafka 2.3 or later"}
	brokersNew     = meaning{"kafka version", Pass, "serves the requests of Apache Kafka %[1]s", ""}

	recordsUnreadable = meaning{"checkpoints", Fail, "%[1]v", lookAtRecords}

	trialStarted = meaning{"kafka transactions", Pass, "a transactional producer can be started (id %[1]s)", ""}
	trialRefused = meaning{"kafka transactions", Warn, "not tried: the id %[1]s may not be used, while %[2]s, the connector's own, may", "%[3]s"}

	groupMembers = meaning{"kafka group", Pass, "%[1]d running under the name %[2]s", ""}
)

func kafkaAnswers(k *checker) bool { return k.away == nil }

// mayUseGroup: a group that this login may not describe is named among the
// permissions.
func mayUseGroup(k *checker) bool { return kafkaAnswers(k) && !k.lacks("group", k.Config.Name) }

// reach asks for a sign of life. What answers in another language than Kafka's may
// keep us waiting.
func (k *checker) reach(ctx context.Context) error {
	brokers := strings.Join(k.Config.Kafka.Brokers, ", ")
	k.away = k.Cluster.Ping(ctx)
	if k.away == nil {
		k.say(kafkaReached, brokers)
		return nil
	}
	if ctx.Err() != nil {
		k.away = fmt.Errorf("no answer of a Kafka broker at %s within %s: %w", brokers, config.FormatDuration(PingTimeout), k.away)
	}
	return k.away
}

// brokers looks at each broker where the cluster says that it is.
func (k *checker) brokers(ctx context.Context) error {
	brokers, err := k.Cluster.Admin.Brokers(ctx)
	if err != nil {
		return err
	}
	versions := map[string]bool{}
	reached := 0
	for _, b := range brokers {
		if b.Err != nil {
			k.say(brokerAway, b.ID, b.Address, b.Err)
			continue
		}
		if len(b.Lacks) > 0 {
			k.say(brokerOld, b.ID, b.Version, strings.Join(b.Lacks, ", "))
		}
		reached++
		versions[b.Version] = true
	}
	if reached == 0 {
		return nil
	}
	if reached == len(brokers) {
		k.say(brokersReached, reached)
	}
	// Brokers do not tell their release; there are several during an upgrade.
	k.say(brokersNew, strings.Join(slices.Sorted(maps.Keys(versions)), " and "))
	return nil
}

// checkpoints reads what there is, and lets the requests of this command count
// with those of the day. A missing permission is named with the others.
func (k *checker) checkpoints(ctx context.Context) error {
	state, err := k.State(ctx)
	if fault.Has[*kafka.AuthorizationError](err) {
		return nil
	}
	k.state = state
	return err
}

// transactions starts a transactional producer, under an id of its own.
func (k *checker) transactions(ctx context.Context) error {
	id, own := TrialID(k.Config.Name), k.Config.Name
	err := k.Trial.Init(ctx)
	missing, refused := errors.AsType[*kafka.AuthorizationError](err)
	switch {
	case err == nil:
		k.say(trialStarted, id)
	case refused && k.lacks("transactional-id", own): // named above; it is the same to grant
	case refused:
		missing.Name = own
		k.say(trialRefused, id, own, aclCommand(k.Config, *missing, true))
	default:
		return err
	}
	return nil
}

func (k *checker) group(ctx context.Context) error {
	members, err := k.Cluster.Admin.GroupMembers(ctx, k.Config.Name)
	if err != nil {
		return err
	}
	k.say(groupMembers, members, k.Config.Name)
	return nil
}
