package status

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"leadstream/connector"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/web"
	"leadstream/schema"
)

// readyPatience is how long a probe waits for what is not known yet or no longer:
// the kubelet gives up after a second.
const readyPatience = 500 * time.Millisecond

// The work of finding out who answers, as issues know it.
const (
	askingKafka    = "asking Kafka whether it is there"
	askingRegistry = "asking the registry whether it is there"
)

// reachKafka finds out whether Kafka answers. A process without anything to do
// speaks to it no more than that, and a standby would not notice.
func (v *Viewer) reachKafka(ctx context.Context) (struct{}, error) {
	_, err := v.Cluster.Admin.DescribeTopics(ctx, []string{delivery.CheckpointTopic(v.Config.Name)})
	v.tell(ctx, askingKafka, err)
	return struct{}{}, err
}

// reachRegistry finds out whether the registry answers.
func (v *Viewer) reachRegistry(ctx context.Context) (struct{}, error) {
	err := v.Registry.Ping(ctx)
	v.tell(ctx, askingRegistry, err)
	return struct{}{}, err
}

// tell lets the page say how a piece of work went.
func (v *Viewer) tell(ctx context.Context, work string, err error) {
	switch {
	case err == nil:
		v.Work.Issues().Resolve(work)
	case ctx.Err() == nil:
		v.Work.Issues().Report("", work, err)
	}
}

// Ready is the answer to /readyz. Organizations and forms stand in it by their ids
// alone, for their names are nothing for everybody who reaches the port.
func (v *Viewer) Ready() web.Readiness {
	r := web.Readiness{Ready: v.Reached()}
	if !r.Ready {
		r.Degraded = append(r.Degraded, web.Degradation{Part: "kafka", Reason: "Kafka was not reached yet", Todo: kafkaTodo})
		return r
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyPatience)
	defer cancel()
	st, _ := v.status()
	v.keepFresh(st.Active)
	r.Degraded = append(r.Degraded, v.away(ctx)...)
	if !st.Active {
		v.progress.get(ctx) //nolint:errcheck // see status
		st, _ = v.status()
	}
	d, consent := consentDegraded(v.Beat.Health())
	if consent {
		r.Degraded = append(r.Degraded, d)
	}
	r.Degraded = append(r.Degraded, v.refusedNotifications()...)
	r.Degraded = append(r.Degraded, roles(st)...)
	r.Degraded = append(r.Degraded, v.unread(st, consent)...)
	r.Degraded = append(r.Degraded, suspended(st)...)
	r.Degraded = append(r.Degraded, unreadable(st)...)
	return r
}

// keepFresh has what the answer rests on be found out anew: a process that stands
// by knows of roles and forms what the checkpoint topic says, and what was looked at
// in vain for a page counts until it is looked at again, which no page may ask for.
func (v *Viewer) keepFresh(active bool) {
	if active {
		v.progress.askAgain()
	} else {
		v.progress.ask()
	}
	v.letters.askAgain()
}

const kafkaTodo = "see that the brokers run and that `kafka.brokers` names them"

// away is what does not answer. It says no more than that: who asks may be
// anybody who reaches the port.
func (v *Viewer) away(ctx context.Context) []web.Degradation {
	v.schemas.ask()
	_, kafkaAt, kafkaErr := v.kafka.get(ctx)
	_, registryAt, registryErr := v.schemas.get(ctx)
	var list []web.Degradation
	if kafkaErr != nil || v.fails(kafkaAt, isKafkaAway) {
		list = append(list, web.Degradation{Part: "kafka", Reason: "Kafka does not answer", Todo: kafkaTodo})
	}
	if registryErr != nil || v.fails(registryAt, isRegistryAway) {
		list = append(list, web.Degradation{Part: "registry", Reason: "the schema registry does not answer",
			Todo: "see that it runs and that `registry.url` names it"})
	}
	return list
}

// refusedNotifications says that what LinkedIn notifies of is thrown away.
func (v *Viewer) refusedNotifications() []web.Degradation {
	if v.Receiver == nil {
		return nil
	}
	t, thrown := v.Receiver.Issue()
	if !thrown {
		return nil
	}
	return []web.Degradation{{Part: "notifications", Reason: t.Reason, Todo: t.Todo}}
}

// givenUp is how long after it last met that Kafka or the registry is away a piece of
// work counts as waiting, while that answers: longer than its longest attempt and the pause
// after it. What is silent for longer is tried by nobody any more.
const givenUp = 3 * time.Minute

// fails reports whether some work waits for what answered last at that time.
func (v *Viewer) fails(answered time.Time, away func(error) bool) bool {
	return slices.ContainsFunc(v.Work.Issues().List(), func(t connector.Issue) bool {
		return !t.Resolved && answered.Sub(t.Last) < givenUp && away(t.Err)
	})
}

func isKafkaAway(err error) bool {
	return fault.Has[*kafka.UnreachableError](err) || fault.Has[*kafka.AuthenticationError](err)
}

// isRegistryAway: a registry that refuses one schema is there.
func isRegistryAway(err error) bool {
	failed, ok := errors.AsType[*schema.RegistryError](err)
	return ok && failed.Fault() == fault.Retry || fault.Has[*schema.AuthError](err)
}

// roles are the organizations that cannot be read.
func roles(st connector.Status) []web.Degradation {
	var together bundles
	for _, o := range st.Organizations {
		if o.Problem != "" && !o.Incidental {
			together.add(o.URN, o.Problem, o.Todo)
		}
	}
	var list []web.Degradation
	for _, b := range together.list {
		list = append(list, web.Degradation{Part: "role", Reason: several(b.ids) + " cannot be read: " + b.problem, Todo: b.todo})
	}
	return list
}

// unread are the sources that are not read as they should be, in one line for all
// that have the same reason. Those whose organization cannot be read are told of
// there, and what waits for the consent need not be told beside it.
func (v *Viewer) unread(st connector.Status, consent bool) []web.Degradation {
	lost := map[string]bool{}
	for _, o := range st.Organizations {
		lost[o.URN] = o.Problem != ""
	}
	const waits, refused = "nothing is read until somebody acts: ", "LinkedIn refuses to be read: "
	reasons := []string{waits, refused}
	of := map[string][]string{}
	for _, src := range st.Sources {
		switch {
		case lost[src.Owner], src.Waits && consent:
		case src.Waits:
			of[waits] = append(of[waits], src.Owner)
		case src.Problem != "":
			of[refused] = append(of[refused], src.Owner)
		case v.late(st, src):
			late := whyLate(src.Err, v.paced()).public + ": "
			if !slices.Contains(reasons, late) {
				reasons = append(reasons, late)
			}
			of[late] = append(of[late], src.Owner)
		case v.held(st, src):
			late := behindClock.public + ": "
			if !slices.Contains(reasons, late) {
				reasons = append(reasons, late)
			}
			of[late] = append(of[late], src.Owner)
		}
	}
	var list []web.Degradation
	for _, reason := range reasons {
		if len(of[reason]) > 0 {
			list = append(list, web.Degradation{Part: "source", Reason: reason + several(of[reason]), Todo: "the status page says why and what to do"})
		}
	}
	return list
}

// suspended are the forms whose leads wait.
func suspended(st connector.Status) []web.Degradation {
	var together bundles
	for _, f := range st.Forms {
		if f.Suspended() {
			together.add(f.ID, "", cmp.Or(f.Todo, "see the form on the status page"))
		}
	}
	var list []web.Degradation
	for _, b := range together.list {
		reason := b.ids[0] + " is suspended; its leads are kept"
		if len(b.ids) > 1 {
			reason = several(b.ids) + " are suspended; their leads are kept"
		}
		list = append(list, web.Degradation{Part: "form", Reason: reason, Todo: b.todo})
	}
	return list
}

// unreadable are the forms with records that the registry knows no schema of.
func unreadable(st connector.Status) []web.Degradation {
	forms, todo := st.Unreadable()
	if len(forms) == 0 {
		return nil
	}
	return []web.Degradation{{Part: connector.PartSchemas, Todo: todo,
		Reason: "records of " + several(forms) + " cannot be read: the registry has lost schemas that they carry, or has given their ids to others"}}
}
