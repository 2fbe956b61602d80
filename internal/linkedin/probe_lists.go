package linkedin

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"leadstream/internal/lead"
)

// listProbes look at page sizes, events, forms and organizations.
func listProbes() []probe {
	const asked = "pages of growing count, until one is refused"
	return []probe{
		{"3", "How large may a page of leadFormResponses be?", asked, "at least 100", probeSize(EndpointResponses, 100, 50, 51, 100, 101, 500)},
		{"3", "How large may a page of events be?", asked, "at least 50", probeSize(EndpointEvents, 50, 25, 50, 51, 100, 101)},
		{"3", "How large may a page of leadForms be?", asked, "at least 50", probeSize(EndpointForms, 50, 25, 50, 51, 100, 101)},
		{"3", "How large may a page of organizationAcls be?", asked, "at least 100", probeSize(EndpointRoles, 100, 50, 51, 100, 101, 500)},
		{"5", "How does an event name its form?", "events with forms", "with its version", probeEventForm},
		{"6", "Does organizerLeadGenFormEnabledEvents keep past events?", "past events that have a form, looked for in its list", "yes", probePast},
		{"9", "Which version of a form does form:(…) inline in a lead?", "a lead that answered an older version", "the one that was answered", probeInlined},
		{"10", "Which values of predefinedField are there?", "the forms of the organization", "known ones", probePredefined},
		{"10", "Which values of reviewStatus are there?", "the forms of the organization", "known ones", probeReview},
		{"24", "Is there organizations?q=vanityName?", "the organization's own vanity name", "no", probeVanity},
	}
}

// sizeQuery asks for a page of so many rows.
func (p *prober) sizeQuery(endpoint string, count int) request {
	switch endpoint {
	case EndpointResponses:
		return leadQuery(p.owner, p.from.UnixMilli(), p.to.UnixMilli(), at(0, count)...)
	case EndpointEvents:
		return p.eventQuery(finderWithForms, at(0, count)...)
	case EndpointForms:
		return request{endpoint: EndpointForms, path: formsPath, params: append([]param{
			{"q", text("owner")}, {"owner", record{{ownerUnion(p.owner), text(p.owner)}}}}, at(0, count)...)}
	}
	return request{endpoint: EndpointRoles, path: rolesPath, params: append([]param{{"q", text("roleAssignee")}, {"state", text("APPROVED")}}, at(0, count)...)}
}

func (p *prober) eventQuery(finder string, more ...param) request {
	return request{endpoint: EndpointEvents, path: eventsPath,
		params: append([]param{{"q", text(finder)}, {"organizer", text(p.owner)}}, more...)}
}

// probeSize tries page sizes of the endpoint, in rising order. expected is what
// the client asks for at first.
func probeSize(endpoint string, expected int, sizes ...int) func(context.Context, *prober) (outcome, error) {
	return func(ctx context.Context, p *prober) (outcome, error) {
		if p.owner == "" && endpoint != EndpointRoles {
			return *p.needLeads(0), nil
		}
		taken := 0
		for _, size := range sizes {
			a, err := p.get(ctx, p.sizeQuery(endpoint, size))
			switch {
			case err != nil:
				return outcome{}, err
			case a.refused != nil && a.status != 400:
				return outcome{}, a.refusedError()
			case a.refused != nil && taken == 0:
				return differs("%d is refused with %s", size, a.said()), nil
			case a.refused != nil:
				return as(taken >= expected, "%d is taken, %d is refused", taken, size), nil
			}
			page, problem := decodeProbePage(a.body)
			if problem == "" && page.count > 0 && page.count < size {
				return as(taken >= expected, "%d is cut to %d", size, page.count), nil
			}
			taken = size
		}
		return confirmed("%d is taken", taken), nil
	}
}

// formEvents is the first page of the events that have forms.
func (p *prober) formEvents(ctx context.Context) (*probePage, error) {
	if p.events != nil {
		return p.events, nil
	}
	page, err := p.page(ctx, p.eventQuery(finderWithForms, at(0, smallPage)...))
	if err == nil {
		p.events = page
	}
	return page, err
}

func probeEventForm(ctx context.Context, p *prober) (outcome, error) {
	if p.owner == "" {
		return *p.needLeads(0), nil
	}
	page, err := p.formEvents(ctx)
	if err != nil {
		return outcome{}, err
	}
	ways := map[string]bool{}
	for _, row := range page.rows {
		switch ref, err := lead.ParseFormURN(row.leadForm); {
		case row.leadForm == "":
		case err != nil:
			ways["in a way that leadstream cannot read"] = true
		case ref.Version > 0:
			ways["with its version"] = true
		default:
			ways["without version"] = true
		}
	}
	if len(ways) == 0 {
		return untold("no event has a form"), nil
	}
	seen := slices.Sorted(maps.Keys(ways))
	return as(len(seen) == 1 && ways["with its version"], "%s", strings.Join(seen, " and ")), nil
}

// smallPage is the page of events and forms that are looked at: its size must not
// be what fails.
const smallPage = 25

// morePages are as many further pages of events as are looked through.
const morePages = 3

func probePast(ctx context.Context, p *prober) (outcome, error) {
	if p.owner == "" {
		return *p.needLeads(0), nil
	}
	past, err := p.page(ctx, p.eventQuery(finderAll, append([]param{{"timeBasedFilter", record{{"lifeCycleState", text("PAST")}}}}, at(0, smallPage)...)...))
	if err != nil {
		return outcome{}, err
	}
	wanted := map[string]bool{}
	for _, row := range past.rows {
		if row.leadForm != "" {
			wanted[row.id] = true
		}
	}
	if len(wanted) == 0 {
		return untold("no past event has a form"), nil
	}
	page, err := p.formEvents(ctx)
	for n := 1; err == nil; n++ {
		if slices.ContainsFunc(page.rows, func(r probeRow) bool { return wanted[r.id] }) {
			return confirmed("yes"), nil
		}
		if len(page.rows) == 0 {
			return differs("no"), nil
		}
		if n > morePages {
			return untold("there are too many events to look through"), nil
		}
		page, err = p.page(ctx, p.eventQuery(finderWithForms, at(n*smallPage, smallPage)...))
	}
	return outcome{}, err
}

// probeForm is as much of a form as tells how LinkedIn writes it.
type probeForm struct {
	id         string
	version    int
	review     string
	predefined []string
}

// ownForms are the first page of the owner's forms.
func (p *prober) ownForms(ctx context.Context) ([]probeForm, error) {
	if p.forms != nil {
		return p.forms, nil
	}
	a, err := p.get(ctx, p.sizeQuery(EndpointForms, smallPage))
	if err == nil {
		err = a.refusedError()
	}
	if err != nil {
		return nil, err
	}
	r := newReader(a.body)
	p.forms = []probeForm{}
	for r.open(jsontext.KindBeginObject); r.more(); {
		if r.name() != "elements" || !r.open(jsontext.KindBeginArray) {
			r.skip()
			continue
		}
		for r.more() {
			if element := r.raw(); len(p.forms) < mostProbeRows {
				p.forms = append(p.forms, decodeProbeForm(element))
			}
		}
	}
	return p.forms, nil
}

// decodeProbeForm reads a form twice: as the client does, and for what the
// client leaves aside.
func decodeProbeForm(element []byte) probeForm {
	form, _ := decodeForm(newReader(element)) // one with too much is of no use
	f := probeForm{id: form.ID, version: form.Version}
	for _, q := range form.Questions {
		if q.Predefined != "" {
			f.predefined = append(f.predefined, q.Predefined)
		}
	}
	r := newReader(element)
	for r.open(jsontext.KindBeginObject); r.more(); {
		if r.name() != "reviewInfo" || !r.open(jsontext.KindBeginObject) {
			r.skip()
			continue
		}
		for r.more() {
			if r.name() == "reviewStatus" {
				f.review, _ = r.text()
			} else {
				r.skip()
			}
		}
	}
	return f
}

// formsTried are as many forms as are looked for leads of an older version.
const formsTried = 3

const inlinedVersion = mask("versionedLeadGenFormUrn,form:(id,versionId)")

func probeInlined(ctx context.Context, p *prober) (outcome, error) {
	if lacking := p.needLeads(1); lacking != nil {
		return *lacking, nil
	}
	forms, err := p.ownForms(ctx)
	if err != nil {
		return outcome{}, err
	}
	tried := 0
	for _, f := range forms {
		if f.version < 2 || tried == formsTried {
			continue
		}
		tried++
		older := lead.FormRef{ID: f.id, Version: f.version - 1}
		page, err := p.leads(ctx, p.owner, p.from.UnixMilli(), p.to.UnixMilli(), 1, param{"versionedLeadGenFormUrn", text(older.URN())})
		if err != nil {
			return outcome{}, err
		}
		if len(page.rows) > 0 && page.rows[0].form == older && page.rows[0].id != "" {
			return p.inlined(ctx, page.rows[0], f.version)
		}
	}
	return untold("no lead that answered an older version of a form was found"), nil
}

// inlined looks at the version that is inlined in a lead of an older one.
func (p *prober) inlined(ctx context.Context, row probeRow, current int) (outcome, error) {
	q := responseRequest(row.id)
	q.params = []param{{"fields", inlinedVersion}}
	a, err := p.get(ctx, q)
	if err != nil {
		return outcome{}, err
	}
	if a.refused != nil {
		return differs("the projection is refused with %s", a.said()), nil
	}
	version := ""
	r := newReader(a.body)
	for r.open(jsontext.KindBeginObject); r.more(); {
		if r.name() != "form" || !r.open(jsontext.KindBeginObject) {
			r.skip()
			continue
		}
		for r.more() {
			if r.name() == "versionId" {
				version, _ = r.digits()
			} else {
				r.skip()
			}
		}
	}
	switch version {
	case strconv.Itoa(row.form.Version):
		return confirmed("the one that was answered"), nil
	case strconv.Itoa(current):
		return differs("the current one"), nil
	case "":
		return differs("none that tells its version"), nil
	}
	return differs("neither the one that was answered nor the current one"), nil
}

// knownPredefined and knownReview are the values that LinkedIn's samples, its
// form builder or working integrations show.
var (
	knownPredefined = []string{"FIRST_NAME", "LAST_NAME", "EMAIL", "WORK_EMAIL", "PHONE_NUMBER", "WORK_PHONE_NUMBER", "JOB_TITLE",
		"JOB_FUNCTION", "SENIORITY", "INDUSTRY", "COMPANY_NAME", "LINKEDIN_PROFILE_LINK"}
	knownReview = []string{"NEEDS_REVIEW"}
	enumName    = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,40}$`)
)

func probePredefined(ctx context.Context, p *prober) (outcome, error) {
	return p.values(ctx, knownPredefined, func(f probeForm) []string { return f.predefined })
}

func probeReview(ctx context.Context, p *prober) (outcome, error) {
	return p.values(ctx, knownReview, func(f probeForm) []string { return []string{f.review} })
}

// values lists what the forms have of an open list.
func (p *prober) values(ctx context.Context, known []string, of func(probeForm) []string) (outcome, error) {
	if p.owner == "" {
		return *p.needLeads(0), nil
	}
	forms, err := p.ownForms(ctx)
	if err != nil {
		return outcome{}, err
	}
	seen, fresh := map[string]bool{}, map[string]bool{}
	for _, f := range forms {
		for _, v := range of(f) {
			if v != "" && !enumName.MatchString(v) {
				v = "a value of another shape"
			}
			if seen[v] = v != ""; v != "" && !slices.Contains(known, v) {
				fresh[v] = true
			}
		}
	}
	delete(seen, "")
	switch {
	case len(fresh) > 0:
		return differs("not known before: %s", strings.Join(slices.Sorted(maps.Keys(fresh)), ", ")), nil
	case len(seen) == 0:
		return untold("no form has any"), nil
	}
	return confirmed("%s", strings.Join(slices.Sorted(maps.Keys(seen)), ", ")), nil
}

func probeVanity(ctx context.Context, p *prober) (outcome, error) {
	if p.owner == "" {
		return *p.needLeads(0), nil
	}
	id := strings.TrimPrefix(p.owner, organizationPrefix)
	a, err := p.get(ctx, request{endpoint: EndpointOrganizations, path: organizationsPath + "/" + encodeKey(id)})
	if err == nil {
		err = a.refusedError()
	}
	if err != nil {
		return outcome{}, err
	}
	vanity := ""
	r := newReader(a.body)
	for r.open(jsontext.KindBeginObject); r.more(); {
		if r.name() == "vanityName" {
			vanity, _ = r.text()
		} else {
			r.skip()
		}
	}
	if vanity == "" {
		return untold("the organization tells no vanity name"), nil
	}
	a, err = p.get(ctx, request{endpoint: EndpointOrganizations, path: organizationsPath, params: []param{{"q", text("vanityName")}, {"vanityName", text(vanity)}}})
	if err != nil {
		return outcome{}, err
	}
	if a.refused != nil {
		return confirmed("no: %s", a.said()), nil
	}
	return differs("yes"), nil
}
