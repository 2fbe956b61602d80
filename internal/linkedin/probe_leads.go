package linkedin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// leadProbes look at leadFormResponses.
func leadProbes() []probe {
	return []probe{
		{"1", "Which bounds of submittedAtTimeRange count?", "the millisecond of a lead as the start of a range, and as its end",
			"the start counts, the end does not", probeBounds},
		{"2", "In which order do leads come?", "a page of the last year", "newest first", probeOrder},
		{"4", "How is the event of a lead named in associatedEntity?", "a page of the last year", "event", probeEventKey},
		{"4", "Which form does the parameter associatedEntity take?", "a lead's event as bare URN and as (event:URN)", "the bare URN", probeEventParam},
		{"8", "Which leads are listed without limitedToTestLeads, and with false?", "the millisecond of a test lead, each way",
			"test leads as well", probeTestLeads},
		{"11", "Are ownerInfo, associatedEntityInfo and leadMetadataInfo given without projection?", "a page of the last year", "no", probeInfo},
		{"12", "Are unknown parameters refused?", "a page with leadstreamProbe=1", "ignored", probeUnknown},
		{"12", "Is a union taken that is percent-encoded as a whole?", "a page with owner and leadType encoded so", "refused", probeEncoded},
		{"paging", "Is paging.total right?", "the page behind it, and the last ten rows before it", "absent, or right", probeTotal},
		{"paging", "How far do offsets reach?", "ten rows at offsets that grow", "as far as a window is read", probeReach},
	}
}

func probeBounds(ctx context.Context, p *prober) (outcome, error) {
	if lacking := p.needLeads(1); lacking != nil {
		return *lacking, nil
	}
	row := p.sample.rows[0]
	first, err := p.leads(ctx, p.owner, row.millis, row.millis+1, sampleSize)
	if err != nil {
		return outcome{}, err
	}
	last, err := p.leads(ctx, p.owner, row.millis-1, row.millis, sampleSize)
	if err != nil {
		return outcome{}, err
	}
	start, end := first.has(row), last.has(row)
	if !start && len(first.rows) == sampleSize || !end && len(last.rows) == sampleSize {
		return untold("too many leads were submitted in that millisecond"), nil
	}
	counts := map[bool]string{true: "counts", false: "does not"}
	return as(start && !end, "the start %s, the end %s", counts[start], counts[end]), nil
}

func probeOrder(_ context.Context, p *prober) (outcome, error) {
	if lacking := p.needLeads(2); lacking != nil {
		return *lacking, nil
	}
	var times []int64
	for _, row := range p.sample.rows {
		times = append(times, row.millis)
	}
	rising := slices.IsSorted(times)
	slices.Reverse(times)
	switch falling := slices.IsSorted(times); {
	case rising && falling:
		return untold("all leads were submitted in the same millisecond"), nil
	case falling:
		return confirmed("newest first"), nil
	case rising:
		return differs("oldest first"), nil
	}
	return differs("by another order than submittedAt"), nil
}

func probeEventKey(_ context.Context, p *prober) (outcome, error) {
	if lacking := p.needLeads(1); lacking != nil {
		return *lacking, nil
	}
	keys := map[string]int{}
	for _, row := range p.sample.rows {
		if row.eventKey != "" {
			keys[row.eventKey]++
		}
	}
	if len(keys) == 0 {
		return untold("no lead on the page names an event"), nil
	}
	names := slices.Sorted(maps.Keys(keys))
	return as(len(names) == 1 && names[0] == "event", "%s", strings.Join(names, " and ")), nil
}

func probeEventParam(ctx context.Context, p *prober) (outcome, error) {
	if lacking := p.needLeads(1); lacking != nil {
		return *lacking, nil
	}
	i := slices.IndexFunc(p.sample.rows, func(r probeRow) bool { return r.event != "" })
	if i < 0 {
		return untold("no lead on the page names an event"), nil
	}
	event := p.sample.rows[i].event
	bare, err := p.takes(ctx, event, text(event))
	if err != nil {
		return outcome{}, err
	}
	union, err := p.takes(ctx, event, record{{"event", text(event)}})
	if err != nil {
		return outcome{}, err
	}
	return as(bare == "taken" && union == "refused", "the bare URN is %s, the union is %s", bare, union), nil
}

// takes tries a form of associatedEntity.
func (p *prober) takes(ctx context.Context, event string, v value) (string, error) {
	a, err := p.get(ctx, leadQuery(p.owner, p.from.UnixMilli(), p.to.UnixMilli(), append([]param{{"associatedEntity", v}}, at(0, sampleSize)...)...))
	if err != nil {
		return "", err
	}
	if a.refused != nil {
		return "refused", nil
	}
	page, problem := decodeProbePage(a.body)
	switch {
	case problem != "" || len(page.rows) == 0:
		return "taken, and finds nothing", nil
	case slices.ContainsFunc(page.rows, func(r probeRow) bool { return r.event != event }):
		return "ignored", nil
	}
	return "taken", nil
}

func probeTestLeads(ctx context.Context, p *prober) (outcome, error) {
	if lacking := p.needLeads(1); lacking != nil {
		return *lacking, nil
	}
	only, err := p.leads(ctx, p.owner, p.from.UnixMilli(), p.to.UnixMilli(), sampleSize, param{"limitedToTestLeads", text("true")})
	if err != nil {
		return outcome{}, err
	}
	i := slices.IndexFunc(only.rows, func(r probeRow) bool { return r.test })
	if i < 0 {
		return untold("there is no test lead; LinkedIn makes them in Campaign Manager, as a preview of the form"), nil
	}
	row := only.rows[i]
	omitted, err := p.leads(ctx, p.owner, row.millis-1, row.millis+1, sampleSize)
	if err != nil {
		return outcome{}, err
	}
	no, err := p.leads(ctx, p.owner, row.millis-1, row.millis+1, sampleSize, param{"limitedToTestLeads", text("false")})
	if err != nil {
		return outcome{}, err
	}
	lists := map[bool]string{true: "lists test leads", false: "leaves them out"}
	seen := as(omitted.has(row) && no.has(row), "without it %s, false %s", lists[omitted.has(row)], lists[no.has(row)])
	if slices.ContainsFunc(only.rows, func(r probeRow) bool { return !r.test }) {
		seen = differs("%s; true lists others too", seen.observed)
	}
	return seen, nil
}

func probeInfo(_ context.Context, p *prober) (outcome, error) {
	if lacking := p.needLeads(1); lacking != nil {
		return *lacking, nil
	}
	var given []string
	for _, name := range []string{"ownerInfo", "associatedEntityInfo", "leadMetadataInfo"} {
		if slices.ContainsFunc(p.sample.rows, func(r probeRow) bool { return r.members[name] }) {
			given = append(given, name)
		}
	}
	if len(given) > 0 {
		return differs("%s", strings.Join(given, ", ")), nil
	}
	return confirmed("no"), nil
}

func probeUnknown(ctx context.Context, p *prober) (outcome, error) {
	if lacking := p.needLeads(0); lacking != nil {
		return *lacking, nil
	}
	a, err := p.get(ctx, leadQuery(p.owner, p.from.UnixMilli(), p.to.UnixMilli(), append([]param{{"leadstreamProbe", text("1")}}, at(0, leastPage)...)...))
	if err != nil {
		return outcome{}, err
	}
	if a.refused != nil {
		return differs("refused with %s", a.said()), nil
	}
	return confirmed("ignored"), nil
}

func probeEncoded(ctx context.Context, p *prober) (outcome, error) {
	if lacking := p.needLeads(1); lacking != nil {
		return *lacking, nil
	}
	q := leadQuery(p.owner, p.from.UnixMilli(), p.to.UnixMilli(), at(0, leastPage)...)
	// A leaf is encoded as a whole, its parentheses and colons too.
	q.params[1].value = text("(" + ownerUnion(p.owner) + ":" + p.owner + ")")
	q.params[2].value = text("(leadType:EVENT)")
	a, err := p.get(ctx, q)
	if err != nil {
		return outcome{}, err
	}
	if a.refused != nil {
		return confirmed("refused"), nil
	}
	if page, problem := decodeProbePage(a.body); problem != "" || len(page.rows) == 0 {
		return differs("taken, and finds nothing"), nil
	}
	return differs("taken"), nil
}

func probeTotal(ctx context.Context, p *prober) (outcome, error) {
	if lacking := p.needLeads(1); lacking != nil {
		return *lacking, nil
	}
	from, to := p.from.UnixMilli(), p.to.UnixMilli()
	first, err := p.leads(ctx, p.owner, from, to, leastPage)
	switch {
	case err != nil:
		return outcome{}, err
	case first.total < 0:
		return confirmed("absent"), nil
	}
	behind, err := p.page(ctx, leadQuery(p.owner, from, to, at(first.total, leastPage)...))
	if err != nil {
		return outcome{}, err
	}
	if len(behind.rows) > 0 {
		return differs("too low: rows follow"), nil
	}
	before, err := p.page(ctx, leadQuery(p.owner, from, to, at(max(first.total-leastPage, 0), leastPage)...))
	if err != nil {
		return outcome{}, err
	}
	if len(before.rows) == 0 {
		return differs("too high: no rows in its last ten places"), nil
	}
	return confirmed("right, to ten rows"), nil
}

func probeReach(ctx context.Context, p *prober) (outcome, error) {
	if lacking := p.needLeads(0); lacking != nil {
		return *lacking, nil
	}
	reached := 0
	for _, start := range []int{1000, p.opts.Reach, 10_000, 100_000} {
		a, err := p.get(ctx, leadQuery(p.owner, p.from.UnixMilli(), p.to.UnixMilli(), at(start, leastPage)...))
		switch {
		case err != nil:
			return outcome{}, err
		case a.refused != nil && start <= p.opts.Reach:
			return outcome{observed: fmt.Sprintf("%d is refused with %s", start, a.said()), verdict: Breaks,
				why: fmt.Sprintf("windows of more leads than that fail: leadstream reads up to %d of one by offset", p.opts.Reach)}, nil
		case a.refused != nil:
			return confirmed("%d is served, %d is refused with %s", reached, start, a.said()), nil
		}
		reached = start
	}
	return confirmed("%d is served", reached), nil
}
