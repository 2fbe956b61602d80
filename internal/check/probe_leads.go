package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"leadstream/internal/linkedin"
)

var errNoEvent = errors.New("no lead on the page names an event")

func probeBounds(ctx context.Context, p *prober) (string, error) {
	one := p.sample.elements[0]
	var counts [2]bool // as start, as end
	for i, from := range []int64{one.millis(), one.millis() - 1} {
		found, err := p.page(ctx, leadQuery(p.owner, span{from, from + 1}, 0, sampleSize))
		if err != nil {
			return "", err
		}
		if counts[i] = found.has(one); !counts[i] && len(found.elements) == sampleSize {
			return "", errors.New("too many leads were submitted in that millisecond")
		}
	}
	words := map[bool]string{true: "counts", false: "does not"}
	return fmt.Sprintf("the start %s, the end %s", words[counts[0]], words[counts[1]]), nil
}

func probeOrder(_ context.Context, p *prober) (string, error) {
	var times []int64
	for _, r := range p.sample.elements {
		times = append(times, r.millis())
	}
	rising := slices.IsSorted(times)
	slices.Reverse(times)
	switch falling := slices.IsSorted(times); {
	case rising && falling:
		return "", errors.New("all leads were submitted in the same millisecond")
	case falling:
		return "newest first", nil
	case rising:
		return "oldest first", nil
	}
	return "by another order than submittedAt", nil
}

func probeEventKey(_ context.Context, p *prober) (string, error) {
	keys := map[string]bool{}
	for _, r := range p.sample.elements {
		if key, _ := r.event(); key != "" {
			keys[key] = true
		}
	}
	if len(keys) == 0 {
		return "", errNoEvent
	}
	return strings.Join(slices.Sorted(maps.Keys(keys)), " and "), nil
}

func probeEventParam(ctx context.Context, p *prober) (string, error) {
	var event string
	for _, r := range p.sample.elements {
		if _, event = r.event(); event != "" {
			break
		}
	}
	if event == "" {
		return "", errNoEvent
	}
	bare, err := p.takesEvent(ctx, event, linkedin.Leaf(event))
	if err != nil {
		return "", err
	}
	union, err := p.takesEvent(ctx, event, "(event:"+linkedin.Leaf(event)+")")
	return fmt.Sprintf("the bare URN is %s, the union is %s", bare, union), err
}

// takesEvent tries a form of associatedEntity.
func (p *prober) takesEvent(ctx context.Context, event, value string) (string, error) {
	body, refused, err := p.get(ctx, p.inYear(0, sampleSize, "associatedEntity="+value))
	if err != nil || refused != nil {
		return "refused", err
	}
	found, problem := decodePage(body)
	switch {
	case problem != "" || len(found.elements) == 0:
		return "taken, and finds nothing", nil
	case slices.ContainsFunc(found.elements, func(r node) bool { _, urn := r.event(); return urn != event }):
		return "ignored", nil
	}
	return "taken", nil
}

func probeTestLeads(ctx context.Context, p *prober) (string, error) {
	only, err := p.page(ctx, p.inYear(0, sampleSize, "limitedToTestLeads=true"))
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(only.elements, func(r node) bool { return r.at("testLead").isTrue() })
	if i < 0 {
		return "", errors.New("there is no test lead; LinkedIn makes them in Campaign Manager, as a preview of the form")
	}
	one := only.elements[i]
	lists := map[string]string{}
	for way, query := range map[string][]string{"without it": nil, "false": {"limitedToTestLeads=false"}} {
		found, err := p.page(ctx, leadQuery(p.owner, span{one.millis() - 1, one.millis() + 1}, 0, sampleSize, query...))
		if err != nil {
			return "", err
		}
		lists[way] = "leaves them out"
		if found.has(one) {
			lists[way] = "lists test leads"
		}
	}
	seen := fmt.Sprintf("without it %s, false %s", lists["without it"], lists["false"])
	if slices.ContainsFunc(only.elements, func(r node) bool { return !r.at("testLead").isTrue() }) {
		seen += "; true lists others too"
	}
	return seen, nil
}

func probeInfo(_ context.Context, p *prober) (string, error) {
	var given []string
	for _, name := range []string{"ownerInfo", "associatedEntityInfo", "leadMetadataInfo"} {
		if slices.ContainsFunc(p.sample.elements, func(r node) bool { return r.at(name).there() }) {
			given = append(given, name)
		}
	}
	if len(given) == 0 {
		return "no", nil
	}
	return strings.Join(given, ", "), nil
}

func probeUnknown(ctx context.Context, p *prober) (string, error) {
	_, refused, err := p.get(ctx, p.inYear(0, leastPage, "leadstreamProbe=1"))
	if refused != nil {
		return "refused with " + said(refused), nil
	}
	return "ignored", err
}

func probeEncoded(ctx context.Context, p *prober) (string, error) {
	q := p.inYear(0, leastPage)
	// A leaf is encoded as a whole, its parentheses and colons too.
	union, _, _ := strings.Cut(linkedin.OwnerUnion(p.owner), ":")
	q.Query[1] = "owner=" + linkedin.Leaf(union+":"+p.owner+")")
	q.Query[2] = "leadType=" + linkedin.Leaf("(leadType:EVENT)")
	body, refused, err := p.get(ctx, q)
	if err != nil || refused != nil {
		return "refused", err
	}
	if found, problem := decodePage(body); problem != "" || len(found.elements) == 0 {
		return "taken, and finds nothing", nil
	}
	return "taken", nil
}

func probeTotal(ctx context.Context, p *prober) (string, error) {
	first, err := p.page(ctx, p.inYear(0, leastPage))
	if err != nil {
		return "", err
	}
	total := first.total
	if total < 0 {
		return "absent", nil
	}
	behind, err := p.page(ctx, p.inYear(total, leastPage))
	switch {
	case err != nil:
		return "", err
	case len(behind.elements) > 0:
		return "too low: rows follow", nil
	}
	before, err := p.page(ctx, p.inYear(max(total-leastPage, 0), leastPage))
	switch {
	case err != nil:
		return "", err
	case len(before.elements) == 0:
		return "too high: no rows in its last ten places", nil
	}
	return "right, to ten rows", nil
}

func probeReach(ctx context.Context, p *prober) (string, error) {
	reached := 0
	for _, start := range []int{1000, p.opts.Reach, 10_000, 100_000} {
		_, refused, err := p.get(ctx, p.inYear(start, leastPage))
		switch {
		case err != nil:
			return "", err
		case refused != nil && start <= p.opts.Reach:
			return fmt.Sprintf("%d is refused with %s", start, said(refused)),
				breaks(fmt.Sprintf("windows of more leads than that fail: leadstream reads up to %d of one by offset", p.opts.Reach))
		case refused != nil:
			return fmt.Sprintf("%d is served, %d is refused with %s", reached, start, said(refused)), nil
		}
		reached = start
	}
	return fmt.Sprintf("%d is served", reached), nil
}
