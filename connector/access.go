package connector

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/lead"
)

// accessAgain is the least time between two looks at the member's roles that a
// refused request sets off.
const accessAgain = 10 * time.Second

// organizations reads on which organizations the member has which roles, and
// begins with the sources of those that can be read.
func (e *epoch) organizations(ctx context.Context) ([]lead.Organization, error) {
	orgs, err := e.opts.LinkedIn.Organizations(ctx)
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
func (e *epoch) suspect() {
	select {
	case e.refused <- struct{}{}:
	default: // they will be
	}
}

// rest waits for the next discovery, and looks at the roles meanwhile when a
// request was refused. It ends early when there is something new to discover.
func (e *epoch) rest(ctx context.Context, next time.Time) error {
	for {
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-e.refused:
			timer.Stop()
		}
		mended := e.resumed()
		if _, err := e.organizations(ctx); err != nil {
			e.log.Warn("looking at the roles after a refusal", zap.Error(err))
		}
		select {
		case <-mended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(accessAgain, max(time.Until(next), 0))):
		}
	}
}

// absent are the organizations that LinkedIn should have listed as well: those
// that it listed before, that there is progress of, or that the configuration
// names. The member has no role on them. e.mu is held.
func (e *epoch) absent(listed []lead.Organization) []lead.Organization {
	known := map[string]bool{}
	for _, o := range listed {
		known[o.URN] = true
	}
	problem, todo := lead.Access(nil)
	var out []lead.Organization
	add := func(urn, name string) {
		if !known[urn] && e.wanted(urn) {
			known[urn] = true
			out = append(out, lead.Organization{URN: urn, Name: name, Problem: problem, Todo: todo})
		}
	}
	for _, o := range slices.Concat(e.orgs, e.missed) {
		add(o.URN, o.Name)
	}
	for src := range e.progress {
		add(src.Owner, "")
	}
	for _, urn := range e.opts.Organizations {
		add(urn, "")
	}
	return out
}

// noteOrganizations keeps the newest list with those that are missing in it,
// says once what changed, and reports whether one can be read again.
func (e *epoch) noteOrganizations(listed []lead.Organization) (regained bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := map[string]string{}
	for _, o := range slices.Concat(e.orgs, e.missed) {
		before[o.URN] = o.Problem
	}
	e.orgs, e.missed = append([]lead.Organization{}, listed...), e.absent(listed)
	for _, o := range slices.Concat(e.orgs, e.missed) {
		was, known := before[o.URN]
		switch {
		case o.Problem != "" && was != o.Problem:
			e.log.Error("organization cannot be read", zap.String("owner", o.URN), zap.String("name", o.Name), zap.String("problem", o.Problem), zap.String("todo", o.Todo))
		case o.Problem == "" && !known:
			e.log.Info("organization found", zap.String("owner", o.URN), zap.Strings("roles", o.Roles))
		case o.Problem == "" && was != "":
			regained = true
			e.log.Info("organization can be read again", zap.String("owner", o.URN), zap.Strings("roles", o.Roles))
		}
	}
	return regained
}
