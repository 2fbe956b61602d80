// Package status says how the program is: for the page and its API, and for the
// readiness probe.
package status

import (
	"cmp"
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"leadstream/config"
	"leadstream/connector"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedin"
	"leadstream/internal/oauth"
	"leadstream/internal/web"
	"leadstream/internal/webhook"
	"leadstream/schema"
)

const (
	// topicAge is how old what a topic says may be on a page, when reading it
	// takes no longer than a second.
	topicAge = 30 * time.Second
	// pagePatience is how long a page waits for what is not known yet.
	pagePatience = 2 * time.Second
)

// Parts are the parts of the program that a Viewer looks at.
type Parts struct {
	Config   *config.Config
	Cluster  *kafka.Client
	Registry *schema.Registry
	LinkedIn *linkedin.Client
	Receiver *webhook.Receiver // nil without a webhook
	Work     *connector.Connector
	Beat     *oauth.Heartbeat
	// Reached reports whether Kafka has answered since the start.
	Reached func() bool
	Process string // the id of this one
	Version string // of the program
	// Refresh is how old what a topic says may be on a page, when reading it takes no
	// longer than a second; default 30 s.
	Refresh time.Duration
}

// Viewer makes what the HTTP server shows from the parts' own snapshots. What
// takes a moment to find out is found out beside the requests.
type Viewer struct {
	Parts
	started time.Time

	kafka    *cached[struct{}] // whether it answers
	schemas  *cached[struct{}] // whether the registry does
	progress *cached[connector.Status]
	letters  *cached[delivery.DeadLetterCount]
}

// New makes a Viewer; Run has to be called for it to find anything out.
func New(parts Parts) *Viewer {
	parts.Refresh = cmp.Or(parts.Refresh, topicAge)
	v := &Viewer{Parts: parts, started: time.Now().UTC()}
	v.kafka = newCached(10*time.Second, v.reachKafka)
	v.schemas = newCached(topicAge, v.reachRegistry)
	v.kafka.untilFound, v.schemas.untilFound = true, true
	v.progress = newCached(parts.Refresh, v.readProgress)
	count := CountDeadLetters(v.Cluster, v.Config.Name)
	v.letters = newCached(parts.Refresh, func(ctx context.Context) (delivery.DeadLetterCount, error) {
		deadLetters, err := count(ctx)
		v.tell(ctx, "counting the dead letters", err)
		return deadLetters, err
	})
	return v
}

// Run looks after what takes a moment, until ctx ends.
func (v *Viewer) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, run := range []func(context.Context) error{v.kafka.run, v.schemas.run, v.progress.run, v.letters.run} {
		group.Go(func() error { return run(ctx) })
	}
	return group.Wait()
}

// readProgress is what the checkpoint topic says of the work, for the page of a
// process that does not do it.
func (v *Viewer) readProgress(ctx context.Context) (connector.Status, error) {
	state, err := delivery.ReadState(ctx, v.Cluster, v.Config.Name)
	v.tell(ctx, "reading the checkpoint topic", err)
	if err != nil {
		return connector.Status{}, err
	}
	return connector.StatusOf(state, v.Config.Kafka.TopicPrefix), nil
}

// status is the work as this process knows it. at is when a process that stands
// by knew it: what the checkpoint topic said last, else what it did itself until
// it began to stand by. It is zero for the process that works, and for one that
// knows nothing.
func (v *Viewer) status() (st connector.Status, at time.Time) {
	st = v.Work.Status()
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

// View is what the page shows now.
func (v *Viewer) View(ctx context.Context) web.View {
	v.look(ctx)
	st, at := v.status()
	view := web.View{
		Name: v.Config.Name, Version: v.Version, Time: time.Now().UTC(), ReadAt: at,
		Process:     web.Process{ID: v.Process, Active: st.Active, Since: st.Since, Started: v.started},
		Connection:  connection(v.Beat.Health(), time.Now()),
		Latency:     web.Latency{P50Seconds: st.Latency.P50.Seconds(), P99Seconds: st.Latency.P99.Seconds(), Leads: int64(st.Latency.Leads)},
		DeadLetters: v.deadLetters(),
		Errors:      v.errors(),
	}
	if st.Active {
		view.Budget = budget(v.LinkedIn.Budget()) // of the requests that others make this process knows nothing
	} else if st.Worker.ID != v.Process {
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
func (v *Viewer) look(ctx context.Context) {
	if !v.Reached() {
		return // Kafka is being waited for as it is
	}
	ctx, cancel := context.WithTimeout(ctx, pagePatience)
	defer cancel()
	v.letters.ask()
	v.kafka.ask()
	v.schemas.ask()
	if !v.Work.Status().Active {
		v.progress.get(ctx) //nolint:errcheck // see status
	}
	v.letters.get(ctx) //nolint:errcheck // see deadLetters
}

// errors are what went wrong of late.
func (v *Viewer) errors() []web.Error {
	var list []web.Error
	for _, t := range v.Work.Issues().List() {
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
		if IsConnection(t.Err) {
			e.Part = "consent"
		}
		list = append(list, e)
	}
	return list
}
