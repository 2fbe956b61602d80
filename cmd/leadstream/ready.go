package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"leadstream/connector"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedin"
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
func (v *viewer) reachKafka(ctx context.Context) (struct{}, error) {
	_, err := v.cluster.DescribeTopics(ctx, []string{delivery.CheckpointTopic(v.config.Name)})
	v.tell(ctx, askingKafka, err)
	return struct{}{}, err
}

// reachRegistry finds out whether the registry answers.
func (v *viewer) reachRegistry(ctx context.Context) (struct{}, error) {
	err := v.registry.Ping(ctx)
	v.tell(ctx, askingRegistry, err)
	return struct{}{}, err
}

// tell lets the page say how a piece of work went.
func (v *viewer) tell(ctx context.Context, work string, err error) {
	switch {
	case err == nil:
		v.work.Issues().Resolve(work)
	case ctx.Err() == nil:
		v.work.Issues().Report("", work, err)
	}
}

// ready is the answer to /readyz. Organizations and forms stand in it by their ids
// alone, for their names are nothing for everybody who reaches the port.
func (v *viewer) ready() web.Readiness {
	r := web.Readiness{Ready: v.reached.Load()}
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
	d, consent := consentDegraded(v.beat.Health())
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
func (v *viewer) keepFresh(active bool) {
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
func (v *viewer) away(ctx context.Context) []web.Degradation {
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
func (v *viewer) refusedNotifications() []web.Degradation {
	if v.receiver == nil {
		return nil
	}
	t, thrown := v.receiver.Issue()
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
func (v *viewer) fails(answered time.Time, away func(error) bool) bool {
	return slices.ContainsFunc(v.work.Issues().List(), func(t connector.Issue) bool {
		return !t.Resolved && answered.Sub(t.Last) < givenUp && away(t.Err)
	})
}

func isKafkaAway(err error) bool {
	return is[*kafka.UnreachableError](err) || is[*kafka.AuthenticationError](err)
}

// isRegistryAway: a registry that refuses one schema is there.
func isRegistryAway(err error) bool {
	failed, ok := errors.AsType[*schema.RegistryError](err)
	return ok && failed.Fault() == fault.Retry || is[*schema.AuthError](err)
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

// lateness is why a source is not read as often as it should be.
type lateness struct {
	state  web.State
	part   string // whose fault it is; empty where nobody says so
	reason string
	todo   string
	// public is the reason for everybody who reaches the port.
	public string
}

const notRead = "not read for three intervals"

// whyLate says why a source is late, by the last error of its poll, nil where it had
// none; paced: requests are spread over the day. That LinkedIn allows no more requests for now is no failure: it is asked
// again by itself.
func whyLate(err error, paced bool) lateness {
	text, todo := "", ""
	if err != nil {
		text, todo = connector.Told(err)
	}
	budget, limited := errors.AsType[*linkedin.BudgetError](err)
	refused, answered := errors.AsType[*linkedin.APIError](err)
	switch {
	case limited:
		l := lateness{state: web.Waiting, part: connector.PartLinkedIn, todo: todo, public: "LinkedIn allows no more requests for now; it goes on by itself at " + clock(budget.Until)}
		if budget.Own > 0 {
			l.public = "the requests that linkedin.daily_budget allows are used up for now; it goes on by itself at " + clock(budget.Until)
		}
		l.reason = l.public
		return l
	case answered && refused.Status == http.StatusTooManyRequests:
		const soon = "LinkedIn allows no more requests for the moment; it goes on by itself after a pause"
		return lateness{state: web.Waiting, part: connector.PartLinkedIn, reason: soon, todo: "nothing: it is asked again by itself", public: soon}
	case err == nil && paced:
		const spread = "LinkedIn allows fewer requests than `poll.interval` asks for, so they are spread over the day"
		return lateness{state: web.Waiting, part: connector.PartLinkedIn, reason: spread, public: strings.ReplaceAll(spread, "`", ""),
			todo: "nothing, unless leads come too late: see under Requests today"}
	case err == nil:
		return lateness{state: web.Warning, reason: notRead, public: notRead,
			todo: "see whether the process has enough CPU and memory, and what its log says"}
	}
	return lateness{state: web.Warning, part: connector.PartOf(err), reason: notRead + ": " + text, todo: todo, public: notRead}
}

// paced reports whether requests are spread over the day.
func (v *viewer) paced() bool { return v.linkedin != nil && v.linkedin.Budget().Paced }

// clock is a time of the day, for people.
func clock(t time.Time) string { return t.UTC().Format("15:04 UTC on 2 January") }

// late reports whether a source was not read for three intervals. A process that
// stands by reads none.
func (v *viewer) late(st connector.Status, src connector.SourceStatus) bool {
	last := src.Success
	if st.Since.After(last) {
		last = st.Since
	}
	return st.Active && time.Since(last) > v.lateAfter()
}

// lateAfter is how long after it was read a source is late.
func (v *viewer) lateAfter() time.Duration { return 3 * v.config.Poll.Interval }

// unread are the sources that are not read as they should be, in one line for all
// that have the same reason. Those whose organization cannot be read are told of
// there, and what waits for the consent need not be told beside it.
func (v *viewer) unread(st connector.Status, consent bool) []web.Degradation {
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

// bundle is what has one problem and one remedy, told in one line.
type bundle struct {
	problem, todo string
	ids           []string
}

// bundles gathers what is amiss, by problem and remedy: a thousand forms that are
// suspended for one reason are one thing that needs attention.
type bundles struct{ list []bundle }

// mostBundles bounds the lines that the probe gives one part of the work. The last
// of so many is for whatever has none of its own.
const mostBundles = 10

func (b *bundles) add(id, problem, todo string) {
	i := slices.IndexFunc(b.list, func(other bundle) bool { return other.problem == problem && other.todo == todo })
	if i < 0 && len(b.list) < mostBundles {
		if len(b.list) == mostBundles-1 {
			problem, todo = "the status page says why", "see the status page"
		}
		b.list = append(b.list, bundle{problem: problem, todo: todo})
	}
	if i < 0 {
		i = len(b.list) - 1
	}
	b.list[i].ids = append(b.list[i].ids, id)
}

// several names up to three of many.
func several(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
