package connector

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// accessAgain is the least time between two looks at the member's roles that a
// refused request sets off.
const accessAgain = 10 * time.Second

// organizations reads on which organizations the member has which roles, and
// begins with the sources of those that can be read.
func (e *leader) organizations(ctx context.Context) ([]lead.Organization, error) {
	orgs, err := e.opts.LinkedIn.Organizations(lead.Background(ctx)) // not of the sources started below
	if err != nil {
		return nil, fmt.Errorf("reading the organizations: %w", err)
	}
	orgs = slices.DeleteFunc(orgs, func(o lead.Organization) bool { return !e.wanted(o.URN) })
	if e.noteOrganizations(orgs) {
		e.Resume() // what waits for access goes on where it stopped
	}
	for _, org := range orgs {
		if org.Problem == "" {
			for _, kind := range e.opts.LeadTypes {
				e.start(ctx, lead.Source{Owner: org.URN, Type: kind})
			}
		}
	}
	return orgs, nil
}

// suspect has the roles looked at before the next discovery, since LinkedIn
// refused a request for good.
func (e *leader) suspect() {
	select {
	case e.refused <- struct{}{}:
	default: // they will be
	}
}

// rest waits for the next discovery, and looks at the roles meanwhile when a
// request was refused. It ends early when recovered is closed: with another consent
// there may be other roles, and with a role that is back, new forms. Its error is
// that ctx has ended or the epoch has.
func (e *leader) rest(ctx context.Context, next time.Time, recovered <-chan struct{}) error {
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
		case <-e.refused:
			timer.Stop()
		}
		const looking = "looking at the roles after a refusal"
		if _, err := e.organizations(ctx); err != nil {
			e.issues.Report("", looking, err)
		} else {
			e.issues.Resolve(looking)
		}
		if err := e.saveAccess(ctx); err != nil {
			return err
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
func (e *leader) noteOrganizations(listed []lead.Organization) (regained bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := map[string]string{}
	for _, o := range slices.Concat(e.orgs, e.missed) {
		before[o.URN] = o.Problem
	}
	told := e.toldBefore()
	e.orgs = append([]lead.Organization{}, listed...)
	for i := range e.orgs {
		e.orgs[i].Incidental = e.orgs[i].Incidental && !e.readOnce(e.orgs[i].URN)
	}
	e.missed = e.recordOrganizations(e.orgs)
	for _, o := range slices.Concat(e.orgs, e.missed) {
		was, known := before[o.URN]
		switch {
		case o.Incidental && was != o.Problem && !told[o.URN]:
			e.log.Info("organization is left out; that is right unless its leads are wanted", zap.String("owner", o.URN), zap.String("name", o.Name), zap.String("reason", o.Problem))
		case o.Incidental:
		case o.Problem == "" && !known && !told[o.URN]:
			e.log.Info("organization found", zap.String("owner", o.URN), zap.Strings("roles", o.Roles))
		case o.Problem == "" && was != "":
			regained = true
			e.log.Info("organization can be read again", zap.String("owner", o.URN), zap.Strings("roles", o.Roles))
		}
		if work := "the access to " + o.URN; o.Problem != "" && !o.Incidental {
			e.issues.ReportAs(o.URN, work, "organization cannot be read", &accessError{o.Problem, o.Todo}, zap.String("name", o.Name))
		} else {
			e.issues.Resolve(work)
		}
	}
	return regained
}

// toldBefore are the organizations that whoever worked before, this process or
// another, has found as well: the checkpoint names them. e.mu is held.
func (e *leader) toldBefore() map[string]bool {
	told := map[string]bool{}
	for _, o := range e.shown.owners.Known {
		told[o.URN] = true
	}
	return told
}

// accessError says that the member may not read an organization's leads.
type accessError struct{ problem, todo string }

func (e *accessError) Error() string     { return e.problem }
func (e *accessError) Fault() fault.Kind { return fault.Suspend }
func (e *accessError) Todo() string      { return e.todo }
