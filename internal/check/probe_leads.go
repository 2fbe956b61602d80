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

var (
	errNoEvent      = errors.New("no lead on the page names an event")
	errSameMoment   = errors.New("all leads were submitted in the same millisecond")
	errCrowded      = errors.New("too many leads were submitted in that millisecond")
	errNoTestLead   = errors.New("there is no test lead; LinkedIn makes them in Campaign Manager, as a preview of the form")
	errNoOlderLead  = errors.New("no lead that answered an older version of a form was found")
	errNoEventForm  = errors.New("no event has a form")
	errNoPastForm   = errors.New("no past event has a form")
	errManyEvents   = errors.New("there are too many events to look through")
	errNoValue      = errors.New("no form has any")
	errNoVanityName = errors.New("the organization tells no vanity name")
)

func probeBounds(ctx context.Context, p *prober) (string, error) {
	one := p.sample.Elements[0]
	var counts [2]bool // as start, as end
	for i, from := range []int64{one.millis(), one.millis() - 1} {
		found, err := pageOf[row](ctx, p, leadQuery(p.owner, from, from+1, at(0, sampleSize)...))
		if err != nil {
			return "", err
		}
		if counts[i] = has(found, one); !counts[i] && len(found.Elements) == sampleSize {
			return "", errCrowded
		}
	}
	words := map[bool]string{true: "counts", false: "does not"}
	return fmt.Sprintf("the start %s, the end %s", words[counts[0]], words[counts[1]]), nil
}

func probeOrder(_ context.Context, p *prober) (string, error) {
	var times []int64
	for _, r := range p.sample.Elements {
		times = append(times, r.millis())
	}
	rising := slices.IsSorted(times)
	slices.Reverse(times)
	switch falling := slices.IsSorted(times); {
	case rising && falling:
		return "", errSameMoment
	case falling:
		return "newest first", nil
	case rising:
		return "oldest first", nil
	}
	return "by another order than submittedAt", nil
}

func probeEventKey(_ context.Context, p *prober) (string, error) {
	keys := map[string]bool{}
	for _, r := range p.sample.Elements {
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
	for _, r := range p.sample.Elements {
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
	body, refused, err := p.get(ctx, p.inYear(append([]string{"associatedEntity=" + value}, at(0, sampleSize)...)...))
	if err != nil || refused != nil {
		return "refused", err
	}
	found, problem := decodePage[row](body)
	switch {
	case problem != "" || len(found.Elements) == 0:
		return "taken, and finds nothing", nil
	case slices.ContainsFunc(found.Elements, func(r row) bool { _, urn := r.event(); return urn != event }):
		return "ignored", nil
	}
	return "taken", nil
}

func probeTestLeads(ctx context.Context, p *prober) (string, error) {
	only, err := pageOf[row](ctx, p, p.inYear(append([]string{"limitedToTestLeads=true"}, at(0, sampleSize)...)...))
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(only.Elements, func(r row) bool { return r.TestLead.value })
	if i < 0 {
		return "", errNoTestLead
	}
	one := only.Elements[i]
	lists := map[string]string{}
	for _, way := range []string{"", "limitedToTestLeads=false"} {
		query := at(0, sampleSize)
		if way != "" {
			query = append([]string{way}, query...)
		}
		found, err := pageOf[row](ctx, p, leadQuery(p.owner, one.millis()-1, one.millis()+1, query...))
		if err != nil {
			return "", err
		}
		lists[way] = "leaves them out"
		if has(found, one) {
			lists[way] = "lists test leads"
		}
	}
	seen := fmt.Sprintf("without it %s, false %s", lists[""], lists["limitedToTestLeads=false"])
	if slices.ContainsFunc(only.Elements, func(r row) bool { return !r.TestLead.value }) {
		seen += "; true lists others too"
	}
	return seen, nil
}

func probeInfo(_ context.Context, p *prober) (string, error) {
	var given []string
	for _, info := range []struct {
		name  string
		there func(row) bool
	}{
		{"ownerInfo", func(r row) bool { return r.OwnerInfo != nil }},
		{"associatedEntityInfo", func(r row) bool { return r.AssociatedEntityInfo != nil }},
		{"leadMetadataInfo", func(r row) bool { return r.LeadMetadataInfo != nil }},
	} {
		if slices.ContainsFunc(p.sample.Elements, info.there) {
			given = append(given, info.name)
		}
	}
	if len(given) == 0 {
		return "no", nil
	}
	return strings.Join(given, ", "), nil
}

func probeUnknown(ctx context.Context, p *prober) (string, error) {
	_, refused, err := p.get(ctx, p.inYear(append([]string{"leadstreamProbe=1"}, at(0, leastPage)...)...))
	if refused != nil {
		return "refused with " + said(refused), nil
	}
	return "ignored", err
}

func probeEncoded(ctx context.Context, p *prober) (string, error) {
	q := p.inYear(at(0, leastPage)...)
	// A leaf is encoded as a whole, its parentheses and colons too.
	union, _, _ := strings.Cut(linkedin.OwnerUnion(p.owner), ":")
	q.Query[1] = "owner=" + linkedin.Leaf(union+":"+p.owner+")")
	q.Query[2] = "leadType=" + linkedin.Leaf("(leadType:EVENT)")
	body, refused, err := p.get(ctx, q)
	if err != nil || refused != nil {
		return "refused", err
	}
	if found, problem := decodePage[row](body); problem != "" || len(found.Elements) == 0 {
		return "taken, and finds nothing", nil
	}
	return "taken", nil
}

func probeTotal(ctx context.Context, p *prober) (string, error) {
	first, err := pageOf[row](ctx, p, p.inYear(at(0, leastPage)...))
	if err != nil {
		return "", err
	}
	if first.Paging.Total == nil || *first.Paging.Total < 0 {
		return "absent", nil
	}
	total := int(*first.Paging.Total)
	behind, err := pageOf[row](ctx, p, p.inYear(at(total, leastPage)...))
	switch {
	case err != nil:
		return "", err
	case len(behind.Elements) > 0:
		return "too low: rows follow", nil
	}
	before, err := pageOf[row](ctx, p, p.inYear(at(max(total-leastPage, 0), leastPage)...))
	switch {
	case err != nil:
		return "", err
	case len(before.Elements) == 0:
		return "too high: no rows in its last ten places", nil
	}
	return "right, to ten rows", nil
}

func probeReach(ctx context.Context, p *prober) (string, error) {
	reached := 0
	for _, start := range []int{1000, p.opts.Reach, 10_000, 100_000} {
		_, refused, err := p.get(ctx, p.inYear(at(start, leastPage)...))
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
