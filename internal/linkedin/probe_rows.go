package linkedin

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"leadstream/internal/lead"
)

// probePage is a page of a finder as probes look at it.
type probePage struct {
	total int // paging.total; -1 when absent
	count int // paging.count; -1 when absent
	rows  []probeRow
}

// probeRow is as much of an element as tells how LinkedIn writes it: no answer,
// no name.
type probeRow struct {
	id     string // of the lead, event or form; never shown
	millis int64  // submittedAt
	test   bool
	event  string // URN
	form   lead.FormRef
	// members are the names of the element's members, and eventKey that of the
	// member of associatedEntity which holds the event.
	members  map[string]bool
	eventKey string
	leadForm string // of an event: the URN of its form
}

const (
	// mostProbeRows is above the largest page that a probe asks for.
	mostProbeRows = 1000
	// mostMembers bounds the names that are kept of an element's members.
	mostMembers = 100
)

// decodeProbePage reads a page; problem says that it is none.
func decodeProbePage(body []byte) (*probePage, string) {
	p := &probePage{total: -1, count: -1}
	r := newReader(body)
	if problem, _ := r.object(); problem != "" {
		return nil, problem
	}
	found := false
	for r.open(jsontext.KindBeginObject); r.more(); {
		switch r.name() {
		case "paging":
			_, p.total, p.count = decodePaging(r)
		case "elements":
			if found = r.open(jsontext.KindBeginArray); !found {
				continue
			}
			for r.more() {
				if len(p.rows) == mostProbeRows {
					return nil, "it holds more elements than any page that is asked for"
				}
				p.rows = append(p.rows, decodeProbeRow(r))
			}
		default:
			r.skip()
		}
	}
	if !found {
		return nil, errNoElements
	}
	return p, ""
}

func decodeProbeRow(r *reader) probeRow {
	row := probeRow{members: map[string]bool{}}
	if !r.open(jsontext.KindBeginObject) {
		return row
	}
	for r.more() {
		name := strings.Clone(r.name())
		if len(row.members) < mostMembers {
			row.members[name] = true
		}
		switch name {
		case "id":
			row.id, _ = r.digits()
		case "submittedAt":
			row.millis, _ = r.integer()
		case "testLead":
			row.test, _ = r.boolean()
		case "associatedEntity":
			row.associated(r)
		case "versionedLeadGenFormUrn":
			urn, _ := r.text()
			row.form, _ = lead.ParseFormURN(urn) // none: the row is of no use for it
		case "leadGenForm":
			row.leadForm, _ = r.text()
		default:
			r.skip()
		}
	}
	return row
}

func (row *probeRow) associated(r *reader) {
	if !r.open(jsontext.KindBeginObject) {
		return
	}
	for r.more() {
		name := strings.Clone(r.name())
		if urn, what := r.text(); what == "" && strings.HasPrefix(urn, "urn:li:event:") {
			row.eventKey, row.event = name, urn
		}
	}
}

// has reports whether a lead is on the page.
func (p *probePage) has(row probeRow) bool {
	return slices.ContainsFunc(p.rows, func(r probeRow) bool { return r.id == row.id && r.millis == row.millis })
}

// leadQuery asks for the event leads of an owner in a range of submittedAt, as
// it stands: bounds and all.
func leadQuery(owner string, from, to int64, more ...param) request {
	return request{endpoint: EndpointResponses, path: responsesPath, params: append([]param{
		{"q", text("owner")},
		{"owner", record{{ownerUnion(owner), text(owner)}}},
		{"leadType", record{{"leadType", text("EVENT")}}},
		{"submittedAtTimeRange", record{{"start", number(from)}, {"end", number(to)}}},
	}, more...)}
}

func at(start, count int) []param {
	return []param{{"start", text(strconv.Itoa(start))}, {"count", text(strconv.Itoa(count))}}
}

// leads is the first page of a range; a refusal is an error.
func (p *prober) leads(ctx context.Context, owner string, from, to int64, count int, more ...param) (*probePage, error) {
	return p.page(ctx, leadQuery(owner, from, to, append(more, at(0, count)...)...))
}

// page is the page that answers; a refusal is an error.
func (p *prober) page(ctx context.Context, q request) (*probePage, error) {
	a, err := p.get(ctx, q)
	if err == nil {
		err = a.refusedError()
	}
	if err != nil {
		return nil, err
	}
	page, problem := decodeProbePage(a.body)
	if problem != "" {
		return nil, &AnswerError{Endpoint: q.endpoint, Status: a.status, Problem: problem}
	}
	return page, nil
}
