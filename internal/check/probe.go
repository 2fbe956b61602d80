package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"leadstream/internal/linkedin"
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
func Probe(ctx context.Context, c *linkedin.Client, o ProbeOptions) ([]Observation, int, error) {
	p := &prober{c: c, opts: o, stopped: map[string]error{}}
	if err := p.prepare(ctx); err != nil {
		return nil, p.asked, err
	}
	list := slices.Clone(unsettled)
	for i := range list {
		list[i].Asked, list[i].Verdict = "not asked", Untold
	}
	var seen []Observation
	for _, t := range points {
		one := t.observe(ctx, p)
		if ctx.Err() != nil {
			return nil, p.asked, fmt.Errorf("probing LinkedIn's API: %w", ctx.Err())
		}
		seen = append(seen, one)
	}
	// Asked last, since what was met on the way counts; shown where it belongs.
	list = append(seen, list...)
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

// observe asks about the point, if what that takes is there.
func (t point) observe(ctx context.Context, p *prober) Observation {
	o := Observation{Point: t.number, Question: t.question, Asked: t.asked, Expected: t.expected, Verdict: Differs}
	err := t.takes(p)
	if err == nil {
		o.Observed, err = t.ask(ctx, p)
	}
	broken := errors.As(err, new(breaks))
	switch {
	case broken:
		o.Verdict, o.Why = Breaks, err.Error()
	case err != nil:
		o.Observed, o.Verdict, o.Why = "", Untold, short(err)
	case t.confirms(p, o.Observed):
		o.Verdict = Confirmed
	}
	return o
}

// breaks is the error of something under which the client is not right.
type breaks string

func (b breaks) Error() string { return string(b) }

// short is why a question was not answered, without LinkedIn's own words.
func short(err error) string {
	if refused, ok := errors.AsType[*linkedin.APIError](err); ok {
		return fmt.Sprintf("LinkedIn's %s answered %s", refused.Endpoint, said(refused))
	}
	return err.Error()
}

// said is a refusal in short.
func said(e *linkedin.APIError) string {
	if e.Code == "" {
		return fmt.Sprintf("%d without a code", e.Status)
	}
	return fmt.Sprintf("%d %s", e.Status, e.Code)
}

// prober makes the requests and keeps what several probes look at.
type prober struct {
	c       *linkedin.Client
	opts    ProbeOptions
	asked   int
	ended   error            // no further request makes sense
	stopped map[string]error // nor one to the endpoint

	rolesErr *linkedin.APIError // why the member's roles could not be read
	owner    string
	year     span
	sample   *page // of the owner's leads, newest first or oldest first
	forms    *page
	events   *page // with lead forms
}

// What a probe takes: nothing, an organization, or some leads of it.
func nothing(*prober) error { return nil }

func anOwner(p *prober) error {
	if p.owner == "" {
		return p.leadsFor(0)
	}
	return nil
}

func leads(n int) func(*prober) error { return func(p *prober) error { return p.leadsFor(n) } }

// leadsFor is why nothing can be told without leads; nil when there are so many.
func (p *prober) leadsFor(n int) error {
	stopped := cmp.Or(p.ended, p.stopped[linkedin.EndpointResponses])
	switch {
	case stopped != nil && p.sample == nil:
		return stopped
	case p.owner == "":
		return errors.New("the member may read the leads of no organization")
	case p.sample == nil || len(p.sample.elements) < n:
		return errors.New("there are too few leads to tell it by")
	}
	return nil
}
