package check

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

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
	case is[*linkedin.BudgetError](err), answered && refused.Status == http.StatusTooManyRequests:
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

// pageOf is the page that answers; a refusal is an error.
func pageOf[T any](ctx context.Context, p *prober, q linkedin.Question) (*page[T], error) {
	body, err := p.need(ctx, q)
	if err != nil {
		return nil, err
	}
	found, problem := decodePage[T](body)
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
	p.from, p.to = now.Add(-365*24*time.Hour), now
	for _, owner := range owners[:min(len(owners), ownersTried)] {
		found, err := pageOf[row](ctx, p, leadQuery(owner, p.from.UnixMilli(), p.to.UnixMilli(), at(0, sampleSize)...))
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("probing LinkedIn's API: %w", ctx.Err())
		case err != nil:
			continue // another may do; if none does, each probe says so
		}
		// What is broken is of no use here.
		found.Elements = slices.DeleteFunc(found.Elements, func(r row) bool { return r.ID == "" || r.millis() <= 0 })
		if p.sample == nil || len(found.Elements) > len(p.sample.Elements) {
			p.owner, p.sample = owner, found
		}
		if len(p.sample.Elements) > 1 {
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
	if found, problem := decodePage[role](body); problem == "" {
		for _, r := range found.Elements {
			urn := r.organization()
			held[urn] = append(held[urn], r.RoleName.value)
		}
	}
	maps.DeleteFunc(held, func(urn string, names []string) bool {
		problem, _ := lead.Access(names)
		return urn == "" || problem != ""
	})
	return slices.Sorted(maps.Keys(held)), nil
}

// leadQuery asks for the event leads of an owner in a range of submittedAt, as
// it stands: bounds and all.
func leadQuery(owner string, from, to int64, more ...string) linkedin.Question {
	return linkedin.Question{Endpoint: linkedin.EndpointResponses, Query: append([]string{
		"q=owner", "owner=" + linkedin.OwnerUnion(owner), "leadType=(leadType:EVENT)", fmt.Sprintf("submittedAtTimeRange=(start:%d,end:%d)", from, to),
	}, more...)}
}

// inYear is leadQuery over the year that is looked at.
func (p *prober) inYear(more ...string) linkedin.Question {
	return leadQuery(p.owner, p.from.UnixMilli(), p.to.UnixMilli(), more...)
}

func (p *prober) eventQuery(finder string, more ...string) linkedin.Question {
	return linkedin.Question{Endpoint: linkedin.EndpointEvents, Query: append([]string{"q=" + finder, "organizer=" + linkedin.Leaf(p.owner)}, more...)}
}

func roleQuery(more ...string) linkedin.Question {
	return linkedin.Question{Endpoint: linkedin.EndpointRoles, Query: append([]string{"q=roleAssignee", "state=APPROVED"}, more...)}
}

func at(start, count int) []string {
	return []string{"start=" + strconv.Itoa(start), "count=" + strconv.Itoa(count)}
}

// sizeQuery asks for a page of so many rows.
func (p *prober) sizeQuery(endpoint string, count int) linkedin.Question {
	switch endpoint {
	case linkedin.EndpointResponses:
		return p.inYear(at(0, count)...)
	case linkedin.EndpointEvents:
		return p.eventQuery(linkedin.FinderWithForms, at(0, count)...)
	case linkedin.EndpointForms:
		return linkedin.Question{Endpoint: linkedin.EndpointForms, Query: append([]string{"q=owner", "owner=" + linkedin.OwnerUnion(p.owner)}, at(0, count)...)}
	}
	return roleQuery(at(0, count)...)
}

// page is a page of a finder as probes look at it.
type page[T any] struct {
	Paging struct {
		Total, Count *whole
	}
	Elements elements[T]
}

// mostElements is above the largest page that a probe asks for.
const mostElements = 1000

// decodePage reads a page; problem says that it is none.
func decodePage[T any](body []byte) (p *page[T], problem string) {
	p = new(page[T])
	err := json.Unmarshal(body, p)
	switch {
	case errors.Is(err, errTooManyElements):
		return nil, err.Error()
	case err != nil && !is[*json.UnmarshalTypeError](err):
		return nil, "it is not JSON from end to end"
	case !strings.HasPrefix(strings.TrimSpace(string(body[:min(len(body), 64)])), "{"):
		return nil, "it is not a JSON object"
	case p.Elements == nil:
		return nil, "there are no elements in it"
	}
	return p, ""
}
