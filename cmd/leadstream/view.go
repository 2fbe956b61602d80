package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"leadstream/connector"
	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/oauth"
	"leadstream/internal/web"
)

const (
	// topicAge is how old what a topic says may be on a page, when reading it
	// takes no longer than a second.
	topicAge = 30 * time.Second
	// pagePatience is how long a page waits for what is not known yet.
	pagePatience = 2 * time.Second
)

// viewer makes what the HTTP server shows from the parts' own snapshots. What
// takes a moment to find out is found out beside the requests.
type viewer struct {
	*system
	work    *connector.Connector
	beat    *oauth.Heartbeat
	id      string // of this process
	started time.Time

	kafka    *cachedHealth[struct{}] // whether it answers
	schemas  *cachedHealth[struct{}] // whether the registry does
	progress *cachedHealth[connector.Status]
	letters  *cachedHealth[delivery.DeadLetterCount]
}

func newViewer(s *system, work *connector.Connector, beat *oauth.Heartbeat) *viewer {
	v := &viewer{system: s, work: work, beat: beat, id: processID(), started: time.Now().UTC()}
	v.kafka = newCachedHealth(10*time.Second, v.reachKafka)
	v.schemas = newCachedHealth(topicAge, v.reachRegistry)
	v.kafka.untilFound, v.schemas.untilFound = true, true
	v.progress = newCachedHealth(topicAge, v.readProgress)
	count := deadLettersOf(s.cluster, s.config.Name)
	v.letters = newCachedHealth(topicAge, func(ctx context.Context) (delivery.DeadLetterCount, error) {
		deadLetters, err := count(ctx)
		v.tell(ctx, "counting the dead letters", err)
		return deadLetters, err
	})
	return v
}

// processID tells this process from others of the installation: the host's name,
// with the process's number unless it is the first one of a container, whose
// host name is its own (under Kubernetes, the pod's).
func processID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unnamed"
	}
	if pid := os.Getpid(); pid != 1 {
		host += ":" + strconv.Itoa(pid)
	}
	return host
}

// run looks after what takes a moment, until ctx ends.
func (v *viewer) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, run := range []func(context.Context) error{v.kafka.run, v.schemas.run, v.progress.run, v.letters.run} {
		group.Go(func() error { return run(ctx) })
	}
	return group.Wait()
}

// readProgress is what the checkpoint topic says of the work, for the page of a
// process that does not do it.
func (v *viewer) readProgress(ctx context.Context) (connector.Status, error) {
	state, err := delivery.ReadState(ctx, v.cluster, v.config.Name)
	v.tell(ctx, "reading the checkpoint topic", err)
	if err != nil {
		return connector.Status{}, err
	}
	return connector.StatusOf(state, v.config.Kafka.TopicPrefix), nil
}

// deadLettersOf counts the dead letters of an installation, anew only when their
// topic has changed.
func deadLettersOf(cluster *kafka.Cluster, name string) func(context.Context) (delivery.DeadLetterCount, error) {
	var before []kafka.Offsets
	var deadLetters delivery.DeadLetterCount
	return func(ctx context.Context) (delivery.DeadLetterCount, error) {
		now, err := cluster.Offsets(ctx, delivery.DeadLetterTopic(name))
		if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
			return delivery.DeadLetterCount{}, err
		}
		if before != nil && slices.Equal(now, before) {
			return deadLetters, nil
		}
		found, err := delivery.CountDeadLetters(ctx, cluster, name)
		if err == nil {
			deadLetters, before = found, now
		}
		return deadLetters, err
	}
}

// status is the work as this process knows it. at is when a process that stands
// by knew it: what the checkpoint topic said last, else what it did itself until
// it began to stand by. It is zero for the process that works, and for one that
// knows nothing.
func (v *viewer) status() (st connector.Status, at time.Time) {
	st = v.work.Status()
	if st.Active {
		return st, time.Time{}
	}
	known, at, _ := v.progress.last() // why there is no newer is told among the issues
	switch {
	case at.After(st.Since):
		known.Since = st.Since
		return known, at.UTC()
	case len(st.Organizations)+len(st.Forms) > 0:
		return st, st.Since
	}
	return st, time.Time{}
}

func (v *viewer) view(ctx context.Context) web.View {
	v.look(ctx)
	st, at := v.status()
	view := web.View{
		Name: v.config.Name, Version: readBuild().Version, Time: time.Now().UTC(), ReadAt: at,
		Process:     web.Process{ID: v.id, Active: st.Active, Since: st.Since, Started: v.started},
		Connection:  connectionView(v.beat.Health(), time.Now()),
		Latency:     web.Latency{P50Seconds: st.Latency.P50.Seconds(), P99Seconds: st.Latency.P99.Seconds(), Leads: int64(st.Latency.Leads)},
		DeadLetters: v.deadLetters(),
		Errors:      v.errors(),
	}
	if st.Active {
		view.Budget = budgetView(v.linkedin.Budget()) // of the requests that others make this process knows nothing
	} else if st.Worker.ID != v.id {
		view.Process.Other = st.Worker.ID
	}
	if at.IsZero() {
		at = view.Time
	}
	view.Organizations = organizations(st)
	view.Sources = v.sources(st, at)
	view.Forms = forms(st, view.Sources, at)
	view.Tasks = tasks(st)
	if st.Active || !view.ReadAt.IsZero() {
		view.Hours = hours(st.Hours)
	}
	return view
}

// look has whatever is due be found out, all of it at the same time.
func (v *viewer) look(ctx context.Context) {
	if !v.reached.Load() {
		return // Kafka is being waited for as it is
	}
	ctx, cancel := context.WithTimeout(ctx, pagePatience)
	defer cancel()
	v.letters.ask()
	v.kafka.ask()
	v.schemas.ask()
	if !v.work.Status().Active {
		v.progress.get(ctx) //nolint:errcheck // see status
	}
	v.letters.get(ctx) //nolint:errcheck // see deadLetters
}

func organizations(st connector.Status) []web.Organization {
	var rows []web.Organization
	for _, o := range st.Organizations {
		row := web.Organization{URN: o.URN, Name: o.Name, Roles: o.Roles, Access: web.OK, Problem: o.Problem, Todo: o.Todo}
		switch {
		case o.Incidental:
			row.Access, row.Todo = web.Warning, "nothing, unless its leads are wanted: then "+o.Todo
		case o.Problem != "":
			row.Access = web.Failing
		}
		rows = append(rows, row)
	}
	return rows
}

// sources are the sources as they stood at a time.
func (v *viewer) sources(st connector.Status, at time.Time) []web.Source {
	barred := map[string]bool{}
	for _, o := range st.Organizations {
		barred[o.URN] = o.Problem != ""
	}
	var rows []web.Source
	for _, src := range st.Sources {
		row := web.Source{Owner: src.Owner, LeadType: src.LeadType, State: web.OK, Live: src.Live, LastSuccess: src.Success,
			Notified: src.Notified, Problem: src.Problem, Todo: src.Todo}
		row.LagSeconds = behind(src, at)
		switch {
		case src.Waits:
			row.State, row.Problem, row.Todo = web.Waiting, "", "" // told once, above
		case barred[src.Owner]:
			row.State, row.Problem, row.Todo = web.Failing, "", "" // told at the organization
		case src.Problem != "":
			row.State = web.Failing
		case v.late(st, src), st.Active && fault.DelayOf(src.Err) > v.lateAfter():
			why := whyLate(src.Err, v.paced())
			row.State, row.Cause, row.Problem, row.Todo = why.state, why.part, why.reason, why.todo
		case st.Active && src.Success.IsZero():
			row.State = web.Waiting
		}
		rows = append(rows, row)
	}
	return rows
}

// behind is how many seconds ago the oldest lead can have been submitted that should
// be in Kafka and is not. A first start's past is no delay.
func behind(src connector.SourceStatus, at time.Time) float64 {
	if src.Live.IsZero() {
		return 0
	}
	oldest := src.Live
	for _, r := range src.Backlog {
		if r.Kind == checkpoint.CatchUp && r.Next.Before(oldest) {
			oldest = r.Next
		}
	}
	return max(at.Sub(oldest).Seconds(), 0)
}

// forms are the forms, each as far behind as its owner's sources, or as what it
// is deferred. A form waits whichever of its owner's sources is stopped.
func forms(st connector.Status, sources []web.Source, at time.Time) []web.Form {
	lag, waiting := map[string]float64{}, map[string]float64{}
	stopped := map[string]bool{}
	for _, src := range sources {
		lag[src.Owner] = max(lag[src.Owner], src.LagSeconds)
		if src.State == web.Failing || src.State == web.Waiting && !src.LastSuccess.IsZero() {
			stopped[src.Owner] = true
		}
	}
	for _, d := range st.Deferred {
		waiting[d.Form] = max(waiting[d.Form], at.Sub(d.From).Seconds())
	}
	var rows []web.Form
	for _, f := range st.Forms {
		row := web.Form{ID: f.ID, Name: f.Name, Owner: f.Owner, Events: f.Events, Topic: f.Topic, SchemaID: f.SchemaID,
			SchemaVersion: f.SchemaVersion, Fields: f.Fields, Leads: f.Leads, LastLead: f.LastLead,
			LagSeconds: max(lag[f.Owner], waiting[f.ID]), State: web.OK, Label: f.State, Problem: f.Problem, Todo: f.Todo, Cause: f.Cause}
		_, row.Waiting = waiting[f.ID]
		switch {
		case f.Suspended():
			row.State = web.Failing
		case len(f.Lost) > 0:
			row.State, row.Label = web.Failing, "Records cannot be read"
		case f.Gone():
			row.State, row.Label = web.Waiting, "Gone"
		case row.Waiting:
			row.State, row.Label = web.Waiting, "Catching up"
		case stopped[f.Owner]:
			row.State, row.Label = web.Waiting, "Waiting"
		}
		rows = append(rows, row)
	}
	return rows
}

// kinds are the words for what a backlog came from.
var kinds = map[checkpoint.RangeKind]string{checkpoint.Backfill: "backfill", checkpoint.CatchUp: "catching up"}

// tasks are what has an end and has not come to it, and the replay that was
// asked for also when it has.
func tasks(st connector.Status) []web.Task {
	names := map[string]string{}
	for _, o := range st.Organizations {
		names[o.URN] = o.Name
	}
	var list []web.Task
	if r := st.Replay; r != nil && (st.Active || !r.Done) {
		list = append(list, web.Task{Kind: "replay", Name: r.ID, From: r.From, To: r.To, Ratio: r.Ratio, Done: r.Done, Leads: r.Leads})
	}
	for _, src := range st.Sources {
		for _, r := range src.Backlog {
			list = append(list, web.Task{Kind: kinds[r.Kind], Name: cmp.Or(names[src.Owner], src.Owner),
				From: r.From, To: r.To, Ratio: r.Ratio(), Leads: r.Leads})
		}
	}
	return list
}

func hours(h checkpoint.Hours) []web.Hour {
	list := []web.Hour{}
	for start, leads := range h.All() {
		list = append(list, web.Hour{Start: start, Leads: leads})
	}
	return list
}

// reasons are the words for why an element is a dead letter.
var reasons = map[string]string{
	"UnreadableElement":    "could not be read",
	"ContradictoryElement": "not what LinkedIn was asked for",
	"NotEncodable":         "did not fit the schema",
	"RecordRefused":        "refused by Kafka",
}

func (v *viewer) deadLetters() web.DeadLetters {
	deadLetters, at, _ := v.letters.last() // why there is no newer is told among the issues
	if at.IsZero() {
		return web.DeadLetters{}
	}
	d := web.DeadLetters{Topic: delivery.DeadLetterTopic(v.config.Name), Total: int64(deadLetters.Total), More: deadLetters.More, Last: deadLetters.Last}
	for _, name := range slices.Sorted(maps.Keys(deadLetters.Reasons)) {
		d.Reasons = append(d.Reasons, web.Reason{Name: name, Text: reasons[name], Count: int64(deadLetters.Reasons[name])})
	}
	slices.SortStableFunc(d.Reasons, func(a, b web.Reason) int { return int(b.Count - a.Count) })
	return d
}

// errors are what went wrong of late.
func (v *viewer) errors() []web.Error {
	var list []web.Error
	for _, t := range v.work.Issues().List() {
		text, todo := connector.Told(t.Err)
		e := web.Error{Time: t.Last, Since: t.Since, Count: t.Count, Part: t.Part, Text: text, Todo: todo, Over: t.Resolved, State: web.Waiting}
		switch {
		case t.Event, t.Kind == fault.Reject:
			e.State = web.Warning
		case t.Kind.NeedsPerson(), t.Kind == fault.Fatal:
			e.State = web.Failing
		}
		if t.Count > 1 {
			e.First = t.First
		}
		if connectionError(t.Err) {
			e.Part = "consent"
		}
		list = append(list, e)
	}
	return list
}
