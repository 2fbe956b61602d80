package connector

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/lead"
)

// shown is what an epoch keeps in the checkpoint topic for people alone. It is
// written beside something else: an idle connector makes no transaction for a
// chart. Only who can be read is worth one, see saveAccess. Guarded by the
// epoch's mu.
type shown struct {
	hours  checkpoint.Hours
	owners checkpoint.Organizations
	// unsaved: owners is not in the topic yet; urgent: and not who can be read.
	unsaved, urgent bool
}

func newShown(state *checkpoint.State) shown {
	return shown{hours: state.Hours, owners: state.Organizations}
}

// addTopicState adds to a transaction what people are shown; what it returns is
// called once that is durable. It is called while nobody else publishes.
func (e *leader) addTopicState(b *delivery.Batch) (committed func()) {
	if b.Empty() {
		return func() {}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	next := e.shown
	if b.Records == nil {
		b.Records = map[string]any{}
	}
	if len(b.Leads) > 0 {
		next.hours = next.hours.Add(e.opts.Now(), len(b.Leads))
		b.Records[checkpoint.HoursKey] = next.hours
	}
	if next.unsaved {
		b.Records[checkpoint.OrganizationsKey] = next.owners
	}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.shown.hours = next.hours
		if next.unsaved && reflect.DeepEqual(e.shown.owners, next.owners) { // else found anew meanwhile
			e.shown.unsaved, e.shown.urgent = false, false
		}
	}
}

// saveAccess writes to the topic which organizations can be read when that has
// changed, as long as it takes. Where the only one has lost its role nothing else
// is committed, and processes that stand by would go on calling it readable.
func (e *leader) saveAccess(ctx context.Context) error {
	e.mu.Lock()
	urgent := e.shown.urgent
	e.mu.Unlock()
	if !urgent {
		return nil
	}
	return e.retry(ctx, "", "recording which organizations can be read", func(ctx context.Context) error {
		return e.ask(ctx, recordAccess{})
	})
}

// problems are the reasons why organizations that are wanted cannot be read.
func problems(owners checkpoint.Organizations) map[string]string {
	of := map[string]string{}
	for _, o := range owners.Known {
		if o.Problem != "" && !o.Incidental {
			of[o.URN] = o.Problem
		}
	}
	return of
}

// recordOrganizations keeps what a discovery has found, and gives the organizations that it
// should have found as well: those that were read before, and those that the
// configuration names. Whoever has lost the last role on a page is told so,
// until linkedin.organizations says that the page is not wanted. e.mu is held.
func (e *leader) recordOrganizations(orgs []lead.Organization) (missed []lead.Organization) {
	known := map[string]checkpoint.Organization{}
	for _, o := range orgs {
		known[o.URN] = checkpoint.Organization{URN: o.URN, Name: o.Name, Roles: o.Roles, Problem: o.Problem, Todo: o.Todo, Incidental: o.Incidental}
	}
	problem, todo := lead.Access(nil)
	names := map[string]string{}
	for _, o := range e.shown.owners.Known {
		names[o.URN] = o.Name
	}
	miss := func(urn string) {
		if _, listed := known[urn]; !listed && e.wanted(urn) {
			known[urn] = checkpoint.Organization{URN: urn, Name: names[urn], Problem: problem, Todo: todo}
			missed = append(missed, lead.Organization{URN: urn, Name: names[urn], Problem: problem, Todo: todo})
		}
	}
	for src := range e.state().Sources {
		miss(src.Owner)
	}
	for _, urn := range e.opts.Organizations {
		miss(urn)
	}
	owners := checkpoint.Organizations{Known: make([]checkpoint.Organization, 0, len(known))}
	for _, o := range known {
		owners.Known = append(owners.Known, o)
	}
	slices.SortFunc(owners.Known, func(a, b checkpoint.Organization) int { return strings.Compare(a.URN, b.URN) })
	if !reflect.DeepEqual(owners, e.shown.owners) {
		e.shown.urgent = e.shown.urgent || !maps.Equal(problems(owners), problems(e.shown.owners))
		e.shown.owners, e.shown.unsaved = owners, true
	}
	return missed
}
