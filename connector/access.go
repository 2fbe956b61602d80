package connector

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// accessAgain is the least time between two looks at the member's roles that a
// refused request sets off.
const accessAgain = 10 * time.Second

// organizations reads on which organizations the member has which roles, and
// begins with the sources of those that can be read.
func (d *discovery) organizations(ctx context.Context) ([]lead.Organization, error) {
	orgs, err := d.opts.LinkedIn.Organizations(lead.Background(ctx)) // not of the sources started below
	if err != nil {
		return nil, fmt.Errorf("reading the organizations: %w", err)
	}
	orgs = slices.DeleteFunc(orgs, func(o lead.Organization) bool { return !d.wanted(o.URN) })
	if d.noteOrganizations(orgs) {
		d.Resume() // what waits for access goes on where it stopped
	}
	for _, org := range orgs {
		if org.Problem == "" {
			for _, kind := range d.opts.LeadTypes {
				d.start(ctx, lead.Source{Owner: org.URN, Type: kind})
			}
		}
	}
	return orgs, d.saveAccess(ctx)
}

// rest waits for the next discovery, and looks at the roles meanwhile when a
// request was refused. It ends early when recovered is closed: with another consent
// there may be other roles, and with a role that is back, new forms. Its error is
// that ctx has ended or the session has.
func (d *discovery) rest(ctx context.Context, next time.Time, recovered <-chan struct{}) error {
	for {
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-recovered:
			timer.Stop()
			return nil
		case <-d.refused:
			timer.Stop()
		}
		const looking = "looking at the roles after a refusal"
		switch _, err := d.organizations(ctx); {
		case err == nil:
			d.issues.Resolve(looking)
		case ctx.Err() != nil || kafka.EndsSession(err):
			return err
		default:
			d.issues.Report("", looking, err)
		}
		select {
		case <-recovered:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(accessAgain, max(time.Until(next), 0))):
		}
	}
}

// noteOrganizations keeps the newest list with those that are missing in it,
// says once what changed, and reports whether one can be read again.
func (d *discovery) noteOrganizations(listed []lead.Organization) (regained bool) {
	before, told := map[string]string{}, map[string]bool{}
	for _, o := range d.catalog.all() {
		before[o.URN] = o.Problem
	}
	for _, o := range d.catalog.before().Known { // whoever worked before has said so, this process or another
		told[o.URN] = true
	}
	orgs := slices.Clone(listed)
	for i := range orgs {
		orgs[i].Incidental = orgs[i].Incidental && !d.readOnce(orgs[i].URN)
	}
	known, missed := d.withMissed(orgs)
	d.catalog.setOrganizations(orgs, missed, known)
	for _, o := range slices.Concat(orgs, missed) {
		was, known := before[o.URN]
		switch {
		case o.Incidental && was != o.Problem && !told[o.URN]:
			d.log.Info("organization is left out; that is right unless its leads are wanted", zap.String("owner", o.URN), zap.String("name", o.Name), zap.String("reason", o.Problem))
		case o.Incidental:
		case o.Problem == "" && !known && !told[o.URN]:
			d.log.Info("organization found", zap.String("owner", o.URN), zap.Strings("roles", o.Roles))
		case o.Problem == "" && was != "":
			regained = true
			d.log.Info("organization can be read again", zap.String("owner", o.URN), zap.Strings("roles", o.Roles))
		}
		if work := "the access to " + o.URN; o.Problem != "" && !o.Incidental {
			d.issues.ReportAs(o.URN, work, "organization cannot be read", &accessError{o.Problem, o.Todo}, zap.String("name", o.Name))
		} else {
			d.issues.Resolve(work)
		}
	}
	return regained
}

// readOnce reports whether leads of the owner were read before: where that is
// refused now, a role was lost.
func (d *discovery) readOnce(owner string) bool {
	for src := range d.state().Sources {
		if src.Owner == owner {
			return true
		}
	}
	return false
}

// withMissed is what the checkpoint keeps of these organizations and of those that discovery
// should have found as well: those that were read before, and those that the configuration
// names. Whoever has lost the last role on a page is told so, until linkedin.organizations says
// that the page is not wanted.
func (d *discovery) withMissed(orgs []lead.Organization) (all checkpoint.Organizations, missed []lead.Organization) {
	known := map[string]checkpoint.Organization{}
	for _, o := range orgs {
		known[o.URN] = checkpoint.Organization{URN: o.URN, Name: o.Name, Roles: o.Roles, Problem: o.Problem, Todo: o.Todo, Incidental: o.Incidental}
	}
	problem, todo := lead.Access(nil)
	names := map[string]string{}
	for _, o := range d.catalog.before().Known {
		names[o.URN] = o.Name
	}
	miss := func(urn string) {
		if _, listed := known[urn]; !listed && d.wanted(urn) {
			known[urn] = checkpoint.Organization{URN: urn, Name: names[urn], Problem: problem, Todo: todo}
			missed = append(missed, lead.Organization{URN: urn, Name: names[urn], Problem: problem, Todo: todo})
		}
	}
	for src := range d.state().Sources {
		miss(src.Owner)
	}
	for _, urn := range d.opts.Organizations {
		miss(urn)
	}
	all.Known = slices.SortedFunc(maps.Values(known), func(a, b checkpoint.Organization) int { return strings.Compare(a.URN, b.URN) })
	return all, missed
}

// saveAccess records which organizations there are, as long as it takes.
func (d *discovery) saveAccess(ctx context.Context) error {
	return d.retry(ctx, "", "recording which organizations can be read", func(ctx context.Context) error {
		return d.ask(ctx, &setOrganizations{d.catalog.before()})
	})
}

// accessError says that the member may not read an organization's leads.
type accessError struct{ problem, todo string }

func (e *accessError) Error() string     { return e.problem }
func (e *accessError) Fault() fault.Kind { return fault.Suspend }
func (e *accessError) Todo() string      { return e.todo }
