package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/internal/linkedin"
)

var errProbeEnd = errors.New("the number of requests that a probe may make is used up")

// get asks once, a failure of the moment aside. A refusal is an answer as well; the
// error is for what ends the probing or says nothing.
func (p *prober) get(ctx context.Context, q linkedin.Question) (body []byte, refused *linkedin.APIError, err error) {
	if err := cmp.Or(p.ended, p.stopped[q.Endpoint]); err != nil {
		return nil, nil, err
	}
	if p.asked >= MostProbeRequests {
		p.ended = errProbeEnd
		return nil, nil, p.ended
	}
	p.asked++
	body, err = p.c.Ask(ctx, q)
	refused, answered := errors.AsType[*linkedin.APIError](err)
	switch {
	case err == nil:
		return body, nil, nil
	case fault.Has[*linkedin.BudgetError](err), answered && refused.Status == http.StatusTooManyRequests:
		p.stopped[q.Endpoint] = err
	case answered && refused.Status == http.StatusUnauthorized && !refused.Denied():
		p.ended = err
	case answered:
		return nil, refused, nil
	}
	return nil, nil, err
}

// need is get where a refusal tells nothing.
func (p *prober) need(ctx context.Context, q linkedin.Question) ([]byte, error) {
	body, refused, err := p.get(ctx, q)
	if err == nil && refused != nil {
		err = refused
	}
	return body, err
}

// page is the page that answers; a refusal is an error.
func (p *prober) page(ctx context.Context, q linkedin.Question) (*page, error) {
	body, err := p.need(ctx, q)
	if err != nil {
		return nil, err
	}
	found, problem := decodePage(body)
	if problem != "" {
		return nil, &linkedin.AnswerError{Endpoint: q.Endpoint, Status: http.StatusOK, Problem: problem}
	}
	return found, nil
}

const (
	// ownersTried are as many organizations as are asked for leads to look at.
	ownersTried = 5
	// sampleSize is how many leads are looked at.
	sampleSize = 50
	// smallPage is the page of roles, events and forms that are looked at: its size
	// must not be what fails.
	smallPage = 25
	// leastPage is the smallest page asked for: LinkedIn's default count.
	leastPage = 10
)

// prepare finds an organization with leads. Only a token that is not accepted
// ends the probing; without leads the probes say that they lack them.
func (p *prober) prepare(ctx context.Context) error {
	owners, err := p.owners(ctx)
	if err != nil {
		return err
	}
	now, ok := p.c.Now()
	if !ok {
		now = time.Now()
	}
	p.year = span{now.Add(-365 * 24 * time.Hour).UnixMilli(), now.UnixMilli()}
	for _, owner := range owners[:min(len(owners), ownersTried)] {
		found, err := p.page(ctx, leadQuery(owner, p.year, 0, sampleSize))
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("probing LinkedIn's API: %w", ctx.Err())
		case err != nil:
			continue // another may do; if none does, each probe says so
		}
		// What is broken is of no use here.
		found.elements = slices.DeleteFunc(found.elements, func(r node) bool { return r.id() == "" || r.millis() <= 0 })
		if p.sample == nil || len(found.elements) > len(p.sample.elements) {
			p.owner, p.sample = owner, found
		}
		if len(p.sample.elements) > 1 {
			break
		}
	}
	if p.owner == "" && len(owners) > 0 {
		p.owner = owners[0]
	}
	return nil
}

// owners are those to ask about, also of a token that may not list them.
func (p *prober) owners(ctx context.Context) ([]string, error) {
	body, refused, err := p.get(ctx, p.sizeQuery(linkedin.EndpointRoles, smallPage))
	if err == nil && refused != nil && !refused.Denied() {
		err = refused
	}
	if err != nil {
		return nil, fmt.Errorf("reading the member's roles: %w", err)
	}
	p.rolesErr = refused
	if len(p.opts.Owners) > 0 {
		return p.opts.Owners, nil
	}
	held := map[string][]string{}
	if found, problem := decodePage(body); problem == "" {
		for _, r := range found.elements {
			for _, spelling := range []string{"organization", "organizationTarget"} { // both are in use
				if urn := r.at(spelling).text(); strings.HasPrefix(urn, "urn:li:") && len(urn) <= longestURN {
					held[urn] = append(held[urn], r.at("role").text())
					break
				}
			}
		}
	}
	maps.DeleteFunc(held, func(urn string, names []string) bool {
		problem, _ := lead.Access(names)
		return problem != ""
	})
	return slices.Sorted(maps.Keys(held)), nil
}

// longestURN bounds the URN of an organization.
const longestURN = 512

// span is a range of submittedAt in epoch milliseconds, as it goes out.
type span struct{ from, to int64 }

// leadQuery asks for so many event leads of an owner in a range, from the one at start on.
func leadQuery(owner string, of span, start, count int, more ...string) linkedin.Question {
	return question(linkedin.EndpointResponses, start, count, append([]string{
		"q=owner", "owner=" + linkedin.OwnerUnion(owner), "leadType=(leadType:EVENT)", fmt.Sprintf("submittedAtTimeRange=(start:%d,end:%d)", of.from, of.to),
	}, more...)...)
}

// inYear is leadQuery over the year that is looked at.
func (p *prober) inYear(start, count int, more ...string) linkedin.Question {
	return leadQuery(p.owner, p.year, start, count, more...)
}

func (p *prober) eventQuery(finder string, start, count int, more ...string) linkedin.Question {
	return question(linkedin.EndpointEvents, start, count, append([]string{"q=" + finder, "organizer=" + linkedin.Leaf(p.owner)}, more...)...)
}

func roleQuery(count int) linkedin.Question {
	return question(linkedin.EndpointRoles, 0, count, "q=roleAssignee", "state=APPROVED")
}

func question(endpoint string, start, count int, query ...string) linkedin.Question {
	return linkedin.Question{Endpoint: endpoint, Query: append(query, "start="+strconv.Itoa(start), "count="+strconv.Itoa(count))}
}

// sizeQuery asks for a page of so many rows.
func (p *prober) sizeQuery(endpoint string, count int) linkedin.Question {
	switch endpoint {
	case linkedin.EndpointResponses:
		return p.inYear(0, count)
	case linkedin.EndpointEvents:
		return p.eventQuery(linkedin.FinderWithForms, 0, count)
	case linkedin.EndpointForms:
		return question(endpoint, 0, count, "q=owner", "owner="+linkedin.OwnerUnion(p.owner))
	}
	return roleQuery(count)
}
