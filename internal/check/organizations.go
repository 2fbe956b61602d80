package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/internal/linkedin"
)

// What is found of an organization means this.
var (
	organizationsNone    = meaning{"linkedin organizations", Warn, "the member has no role on any organization", "let an administrator of the page consent, or give this member the role"}
	organizationUnwanted = meaning{"organization %[1]s", Warn, "%[2]s", "nothing, unless its leads are wanted: then %[3]s"}
	organizationLost     = meaning{"organization %[1]s", Fail, "%[2]s", "%[3]s; or let linkedin.organizations name the others alone"}
	organizationRefused  = meaning{"organization %[1]s", Fail, "%[2]v", "give the member the role that these leads take, or take the lead type out of linkedin.lead_types"}
	organizationUntried  = meaning{"organization %[1]s", Pass, "%[2]s: %[3]s", ""}
	organizationRead     = meaning{"organization %[1]s", Pass, "%[2]s: %[3]s; its leads can be read, and %[4]d lead forms", ""}
)

// organizations looks at roles, and whether leads can really be read.
func (k *checker) organizations(ctx context.Context) error {
	if len(k.orgs) == 0 {
		k.say(organizationsNone)
	}
	orgs := k.withLost(slices.Clone(k.orgs))
	problems := k.tryReading(ctx, orgs)
	forms := k.tryForms(ctx, orgs)
	for i, o := range orgs {
		switch roles := strings.Join(o.Roles, ", "); {
		case o.Incidental:
			k.say(organizationUnwanted, o.URN, o.Problem, o.Todo)
		case o.Problem != "":
			k.say(organizationLost, o.URN, o.Problem, o.Todo)
		case problems[i] != nil:
			k.say(organizationRefused, o.URN, problems[i])
		case i >= triedOrganizations:
			k.say(organizationUntried, o.URN, o.Name, roles)
		default:
			k.say(organizationRead, o.URN, o.Name, roles, forms[i].read)
		}
	}
	k.formFindings(forms)
	return nil
}

// withLost adds the organizations that were read before and on which the member
// has no role any more. Where that is refused to it which was read before, the
// role was lost, whoever asked for the page.
func (k *checker) withLost(orgs []lead.Organization) []lead.Organization {
	problem, todo := lead.Access(nil)
	for src := range k.state.Sources {
		i := slices.IndexFunc(orgs, func(o lead.Organization) bool { return o.URN == src.Owner })
		switch {
		case i >= 0:
			orgs[i].Incidental = false
		case len(k.Config.LinkedIn.Organizations) == 0:
			orgs = append(orgs, lead.Organization{URN: src.Owner, Problem: problem, Todo: todo})
		}
	}
	slices.SortFunc(orgs, func(a, b lead.Organization) int { return strings.Compare(a.URN, b.URN) })
	return orgs
}

// triedOrganizations are as many as leads are really read of: one request for
// each lead type. The others are judged by their roles.
const triedOrganizations = 20

// tryReading reads the leads of the last minute of each organization.
func (k *checker) tryReading(ctx context.Context, orgs []lead.Organization) []error {
	problems := make([]error, len(orgs))
	now, ok := k.LinkedIn.Now()
	if !ok {
		now = time.Now()
	}
	w := lead.Window{From: now.Add(-time.Minute), To: now}
	k.each(orgs, func(i int) {
		for _, kind := range k.Config.LinkedIn.LeadTypes {
			err := k.LinkedIn.Responses(ctx, lead.Source{Owner: orgs[i].URN, Type: kind}, w, 1, func([]lead.Response) error { return nil })
			if err != nil && !fault.Has[*linkedin.TooManyError](err) {
				problems[i] = errors.Join(problems[i], fmt.Errorf("%s leads: %w", kind, err))
			}
		}
	})
	return problems
}

// each tries something with the first organizations that the member may read, some
// of them at a time.
func (k *checker) each(orgs []lead.Organization, try func(i int)) {
	group := new(errgroup.Group)
	group.SetLimit(k.Config.Poll.Concurrency)
	for i := range orgs[:min(len(orgs), triedOrganizations)] {
		if orgs[i].Problem == "" {
			group.Go(func() error {
				try(i)
				return nil
			})
		}
	}
	_ = group.Wait() // each problem is its organization's own
}
