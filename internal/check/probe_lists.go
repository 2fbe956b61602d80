package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"leadstream/internal/lead"
	"leadstream/internal/linkedin"
)

// sizes tries page sizes of the endpoint, in rising order.
func sizes(endpoint string, tried ...int) func(context.Context, *prober) (string, error) {
	return func(ctx context.Context, p *prober) (string, error) {
		taken := 0
		for _, size := range tried {
			body, refused, err := p.get(ctx, p.sizeQuery(endpoint, size))
			switch {
			case err != nil:
				return "", err
			case refused != nil && refused.Status != http.StatusBadRequest:
				return "", refused
			case refused != nil && taken == 0:
				return fmt.Sprintf("%d is refused with %s", size, said(refused)), nil
			case refused != nil:
				return fmt.Sprintf("%d is taken, %d is refused", taken, size), nil
			}
			if found, problem := decodePage(body); problem == "" && found.count > 0 && found.count < size {
				return fmt.Sprintf("%d is cut to %d", size, found.count), nil
			}
			taken = size
		}
		return fmt.Sprintf("%d is taken", taken), nil
	}
}

// formEvents is the first page of the events that have forms.
func (p *prober) formEvents(ctx context.Context) (*page, error) {
	if p.events != nil {
		return p.events, nil
	}
	found, err := p.page(ctx, p.eventQuery(linkedin.FinderWithForms, 0, smallPage))
	p.events = found // nil after an error
	return found, err
}

const withVersion = "with its version"

func probeEventForm(ctx context.Context, p *prober) (string, error) {
	found, err := p.formEvents(ctx)
	if err != nil {
		return "", err
	}
	ways := map[string]bool{}
	for _, r := range found.elements {
		urn := r.at("leadGenForm").text()
		switch ref, err := lead.ParseFormURN(urn); {
		case urn == "":
		case err != nil:
			ways["in a way that leadstream cannot read"] = true
		case ref.Version > 0:
			ways[withVersion] = true
		default:
			ways["without version"] = true
		}
	}
	if len(ways) == 0 {
		return "", errors.New("no event has a form")
	}
	return strings.Join(slices.Sorted(maps.Keys(ways)), " and "), nil
}

// morePages are as many further pages of events as are looked through.
const morePages = 3

func probePast(ctx context.Context, p *prober) (string, error) {
	past, err := p.page(ctx, p.eventQuery(linkedin.FinderAll, 0, smallPage, "timeBasedFilter=(lifeCycleState:PAST)"))
	if err != nil {
		return "", err
	}
	wanted := map[string]bool{}
	for _, r := range past.elements {
		if r.at("leadGenForm").text() != "" {
			wanted[r.id()] = true
		}
	}
	if len(wanted) == 0 {
		return "", errors.New("no past event has a form")
	}
	found, err := p.formEvents(ctx)
	for n := 1; err == nil; n++ {
		switch {
		case slices.ContainsFunc(found.elements, func(r node) bool { return wanted[r.id()] }):
			return "yes", nil
		case len(found.elements) == 0:
			return "no", nil
		case n > morePages:
			return "", errors.New("there are too many events to look through")
		}
		found, err = p.page(ctx, p.eventQuery(linkedin.FinderWithForms, n*smallPage, smallPage))
	}
	return "", err
}

// ownForms are the first page of the owner's forms.
func (p *prober) ownForms(ctx context.Context) ([]node, error) {
	if p.forms == nil {
		body, err := p.need(ctx, p.sizeQuery(linkedin.EndpointForms, smallPage))
		if err != nil {
			return nil, err
		}
		if p.forms, _ = decodePage(body); p.forms == nil {
			p.forms = new(page) // one that cannot be read has none
		}
	}
	return p.forms.elements, nil
}

// formsOlder are as many forms as are looked for leads of an older version.
const formsOlder = 3

func probeInlined(ctx context.Context, p *prober) (string, error) {
	forms, err := p.ownForms(ctx)
	if err != nil {
		return "", err
	}
	tried := 0
	for _, f := range forms {
		version := f.at("versionId").whole()
		if version < 2 || tried == formsOlder {
			continue
		}
		tried++
		older := lead.FormRef{ID: f.id(), Version: version - 1}
		found, err := p.page(ctx, p.inYear(0, 1, "versionedLeadGenFormUrn="+linkedin.Leaf(older.URN())))
		if err != nil {
			return "", err
		}
		if len(found.elements) > 0 && found.elements[0].form() == older && found.elements[0].id() != "" {
			return p.inlined(ctx, found.elements[0], version)
		}
	}
	return "", errors.New("no lead that answered an older version of a form was found")
}

// inlined looks at the version that is inlined in a lead of an older one.
func (p *prober) inlined(ctx context.Context, one node, current int) (string, error) {
	body, refused, err := p.get(ctx, linkedin.Question{Endpoint: linkedin.EndpointResponses, Key: one.id(),
		Query: []string{"fields=versionedLeadGenFormUrn,form:(id,versionId)"}})
	if err != nil {
		return "", err
	}
	if refused != nil {
		return "the projection is refused with " + said(refused), nil
	}
	answer, _ := decode(body) // one that cannot be read tells no version
	switch answer.at("form", "versionId").digits() {
	case strconv.Itoa(one.form().Version):
		return "the one that was answered", nil
	case strconv.Itoa(current):
		return "the current one", nil
	case "":
		return "none that tells its version", nil
	}
	return "neither the one that was answered nor the current one", nil
}

// knownPredefined and knownReview are the values that LinkedIn's samples, its
// form builder or working integrations show.
var (
	knownPredefined = []string{"FIRST_NAME", "LAST_NAME", "EMAIL", "WORK_EMAIL", "PHONE_NUMBER", "WORK_PHONE_NUMBER", "JOB_TITLE",
		"JOB_FUNCTION", "SENIORITY", "INDUSTRY", "COMPANY_NAME", "LINKEDIN_PROFILE_LINK"}
	knownReview = []string{"NEEDS_REVIEW"}
	enumName    = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,40}$`)
)

const unknownBefore = "not known before: "

func reviewStatus(form node) []string { return []string{form.at("reviewInfo", "reviewStatus").text()} }

func predefinedFields(form node) (list []string) {
	for _, q := range form.at("content", "questions").list() {
		list = append(list, q.at("predefinedField").text())
	}
	return list
}

// values lists what the forms have of an open list.
func values(known []string, of func(node) []string) func(context.Context, *prober) (string, error) {
	return func(ctx context.Context, p *prober) (string, error) {
		forms, err := p.ownForms(ctx)
		if err != nil {
			return "", err
		}
		seen, fresh := map[string]bool{}, map[string]bool{}
		for _, f := range forms {
			for _, v := range of(f) {
				switch {
				case v == "":
					continue
				case !enumName.MatchString(v):
					v = "a value of another shape"
				}
				if seen[v] = true; !slices.Contains(known, v) {
					fresh[v] = true
				}
			}
		}
		switch {
		case len(fresh) > 0:
			return unknownBefore + strings.Join(slices.Sorted(maps.Keys(fresh)), ", "), nil
		case len(seen) == 0:
			return "", errors.New("no form has any")
		}
		return strings.Join(slices.Sorted(maps.Keys(seen)), ", "), nil
	}
}

func probeVanity(ctx context.Context, p *prober) (string, error) {
	body, err := p.need(ctx, linkedin.Question{Endpoint: linkedin.EndpointOrganizations, Key: strings.TrimPrefix(p.owner, "urn:li:organization:")})
	if err != nil {
		return "", err
	}
	organization, _ := decode(body) // one that cannot be read tells no name
	name := organization.at("vanityName").text()
	if name == "" {
		return "", errors.New("the organization tells no vanity name")
	}
	_, refused, err := p.get(ctx, linkedin.Question{Endpoint: linkedin.EndpointOrganizations, Query: []string{"q=vanityName", "vanityName=" + linkedin.Leaf(name)}})
	if refused != nil {
		return "no: " + said(refused), nil
	}
	return "yes", err
}
