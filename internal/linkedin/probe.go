package linkedin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"leadstream/internal/lead"
)

// Verdict is what a probe came to.
type Verdict string

// The verdicts.
const (
	// Confirmed: LinkedIn does what is expected.
	Confirmed Verdict = "confirmed"
	// Differs: it does something else, under which the client is right as well.
	Differs Verdict = "differs"
	// Untold: it could not be told; Why says why.
	Untold Verdict = "not told"
	// Breaks: it does something else, under which the client is not right.
	Breaks Verdict = "breaks"
)

// Observation is one point that LinkedIn's documentation leaves open, and what
// LinkedIn was seen to do. It never holds an answer, a name or an id of a person
// or a lead.
type Observation struct {
	// Point is the number of the point in docs/linkedin.md.
	Point    string `json:"point"`
	Question string `json:"question"`
	// Asked is how it was found out, in words.
	Asked    string  `json:"asked"`
	Expected string  `json:"expected"`
	Observed string  `json:"observed"`
	Verdict  Verdict `json:"verdict"`
	// Why says why it could not be told, or what it breaks; else empty.
	Why string `json:"why,omitempty"`
}

// ProbeOptions say what a Probe may rely on.
type ProbeOptions struct {
	// Owners are the URNs of organizations to ask about; empty: those that the
	// member may read the leads of. The first ones with leads are taken.
	Owners []string
	// Scopes are those of the token; nil when they are not known.
	Scopes []string
	// Reach is the number of rows of a window that are read by offset before the
	// caller cuts it: offsets up to there must be served.
	Reach int
}

// MostProbeRequests bounds the requests of a Probe, repeated ones not counted.
const MostProbeRequests = 70

// Probe finds out by reading what LinkedIn's documentation leaves open. It makes
// GET requests alone, at most MostProbeRequests, inside the client's limits: when
// the day's are used up the rest is not told. Points that reading cannot settle
// are listed with the reason. The number is that of the requests made.
//
// The error is one of the token or of ctx; anything else is an observation.
func (c *Client) Probe(ctx context.Context, o ProbeOptions) ([]Observation, int, error) {
	p := &prober{c: c, opts: o, stopped: map[string]error{}}
	if err := p.prepare(ctx); err != nil {
		return nil, p.asked, err
	}
	var list []Observation
	for _, t := range probes() {
		seen, err := t.ask(ctx, p)
		switch {
		case ctx.Err() != nil:
			return nil, p.asked, fmt.Errorf("probing LinkedIn's API: %w", ctx.Err())
		case err != nil:
			seen = untold("%s", short(err))
		}
		list = append(list, Observation{Point: t.point, Question: t.question, Asked: t.asked, Expected: t.expected,
			Observed: seen.observed, Verdict: seen.verdict, Why: seen.why})
	}
	// Asked last, since what was met on the way counts; shown where it belongs.
	slices.SortStableFunc(list, func(a, b Observation) int { return cmp.Compare(order(a.Point), order(b.Point)) })
	return list, p.asked, nil
}

// order is that of a point among the others; those without a number come last.
func order(point string) int {
	n, err := strconv.Atoi(point)
	if err != nil {
		return math.MaxInt
	}
	return n
}

// probe finds out about one point.
type probe struct {
	point, question, asked, expected string
	ask                              func(ctx context.Context, p *prober) (outcome, error)
}

// probes are all of them, in the order in which they are asked.
func probes() []probe {
	list := append(leadProbes(), listProbes()...)
	return append(append(list, protocolProbes()...), unsettled()...)
}

// outcome is what a probe saw.
type outcome struct {
	observed string
	verdict  Verdict
	why      string
}

func confirmed(format string, args ...any) outcome {
	return outcome{observed: fmt.Sprintf(format, args...), verdict: Confirmed}
}

func differs(format string, args ...any) outcome {
	return outcome{observed: fmt.Sprintf(format, args...), verdict: Differs}
}

func untold(format string, args ...any) outcome {
	return outcome{verdict: Untold, why: fmt.Sprintf(format, args...)}
}

// as is Confirmed where what was expected was seen.
func as(expected bool, format string, args ...any) outcome {
	if expected {
		return confirmed(format, args...)
	}
	return differs(format, args...)
}

// prober makes the requests and keeps what several probes look at.
type prober struct {
	c       *Client
	opts    ProbeOptions
	asked   int
	ended   error            // no further request makes sense
	stopped map[string]error // nor one to the endpoint

	rolesErr error // why the member's roles could not be read
	owner    string
	from, to time.Time
	sample   *probePage // of the owner's leads, newest first or oldest first
	forms    []probeForm
	events   *probePage // with lead forms
}

var errProbeEnd = errors.New("the number of requests that a probe may make is used up")

// probeAnswer is LinkedIn's answer to a probe: a body, or a refusal.
type probeAnswer struct {
	status  int
	code    string
	refused *APIError // nil when it was answered
	body    []byte
}

// get asks once, a failure of the moment aside. Refusals are answers; the error
// is for what ends the probing or says nothing.
func (p *prober) get(ctx context.Context, q request) (*probeAnswer, error) {
	if err := cmp.Or(p.ended, p.stopped[q.endpoint]); err != nil {
		return nil, err
	}
	if p.asked >= MostProbeRequests {
		p.ended = errProbeEnd
		return nil, p.ended
	}
	p.asked++
	a := &probeAnswer{status: http.StatusOK}
	err := p.c.do(ctx, q, func(body []byte) (string, error) {
		a.body = body
		return "", nil
	})
	var budget *BudgetError
	switch {
	case err == nil:
		return a, nil
	case errors.As(err, &budget):
		p.stopped[q.endpoint] = err
		return nil, err
	case !errors.As(err, &a.refused):
		return nil, err
	}
	a.status, a.code = a.refused.Status, a.refused.Code
	switch {
	case a.status == http.StatusTooManyRequests:
		p.stopped[q.endpoint] = err
		return nil, err
	case a.status == http.StatusUnauthorized && !a.refused.denied():
		p.ended = err
		return nil, err
	}
	return a, nil
}

// said is a refusal in short.
func (a *probeAnswer) said() string {
	if a.code == "" {
		return fmt.Sprintf("%d without a code", a.status)
	}
	return fmt.Sprintf("%d %s", a.status, a.code)
}

// short is why a question was not answered, without LinkedIn's own words.
func short(err error) string {
	var refused *APIError
	if errors.As(err, &refused) {
		return fmt.Sprintf("LinkedIn's %s answered %s", refused.Endpoint, (&probeAnswer{status: refused.Status, code: refused.Code}).said())
	}
	return err.Error()
}

// refusedError is the refusal of a question whose answer was needed.
func (a *probeAnswer) refusedError() error {
	if a.refused == nil {
		return nil
	}
	return a.refused
}

// owners are those to ask about, also of a token that may not list them.
func (p *prober) owners(ctx context.Context) ([]string, error) {
	roles, err := p.get(ctx, p.sizeQuery(EndpointRoles, smallPage))
	if err != nil {
		return nil, fmt.Errorf("reading the member's roles: %w", err)
	}
	if p.rolesErr = roles.refusedError(); p.rolesErr != nil && !roles.refused.denied() {
		return nil, fmt.Errorf("reading the member's roles: %w", p.rolesErr)
	}
	if len(p.opts.Owners) > 0 {
		return p.opts.Owners, nil
	}
	held := map[string][]string{}
	r := newReader(roles.body)
	r.own = true
	for r.open(jsontext.KindBeginObject); r.more(); {
		if r.name() != "elements" || !r.open(jsontext.KindBeginArray) {
			r.skip()
			continue
		}
		for r.more() {
			row := decodeRole(r)
			held[row.organization] = append(held[row.organization], row.name)
		}
	}
	var owners []string
	for urn, names := range held {
		if problem, _ := lead.Access(names); urn != "" && problem == "" {
			owners = append(owners, urn)
		}
	}
	slices.Sort(owners)
	return owners, nil
}

// ownersTried are as many organizations as are asked for leads to look at.
const ownersTried = 5

// sampleSize is how many leads are looked at.
const sampleSize = 50

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
		page, err := p.leads(ctx, owner, p.from.UnixMilli(), p.to.UnixMilli(), sampleSize)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("probing LinkedIn's API: %w", ctx.Err())
		case err != nil:
			continue // another may do; if none does, each probe says so
		}
		// What is broken is of no use here.
		page.rows = slices.DeleteFunc(page.rows, func(r probeRow) bool { return r.id == "" || r.millis <= 0 })
		if p.sample == nil || len(page.rows) > len(p.sample.rows) {
			p.owner, p.sample = owner, page
		}
		if len(p.sample.rows) > 1 {
			break
		}
	}
	if p.owner == "" && len(owners) > 0 {
		p.owner = owners[0]
	}
	return nil
}

// needLeads is why nothing can be told without leads; nil when there are so many.
func (p *prober) needLeads(n int) *outcome {
	switch {
	case cmp.Or(p.ended, p.stopped[EndpointResponses]) != nil && p.sample == nil:
		o := untold("%s", short(cmp.Or(p.ended, p.stopped[EndpointResponses])))
		return &o
	case p.owner == "":
		o := untold("the member may read the leads of no organization")
		return &o
	case p.sample == nil || len(p.sample.rows) < n:
		o := untold("there are too few leads to tell it by")
		return &o
	}
	return nil
}
