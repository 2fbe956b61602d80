package status

import (
	"cmp"
	"time"

	"leadstream/connector"
	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/internal/web"
)

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
func (v *Viewer) sources(st connector.Status, at time.Time) []web.Source {
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
		case v.held(st, src):
			row.State, row.Cause, row.Problem, row.Todo = behindClock.state, behindClock.part, behindClock.reason, behindClock.todo
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
