package check

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"leadstream/internal/linkedin"
)

// point is a row of the table of probes: what LinkedIn's documentation leaves open,
// and how that is found out.
type point struct {
	number, question, asked, expected string
	takes                             func(*prober) error // why it cannot be asked
	ask                               func(context.Context, *prober) (observed string, err error)
	confirms                          func(p *prober, observed string) bool
}

const (
	lastYear = "a page of the last year"
	growing  = "pages of growing count, until one is refused"
	ofOwner  = "the forms of the organization"
)

// points are all that reading can tell, in the order in which they are asked.
var points = []point{
	{"1", "Which bounds of submittedAtTimeRange count?", "the millisecond of a lead as the start of a range, and as its end",
		"the start counts, the end does not", leads(1), probeBounds, exactly("the start counts, the end does not")},
	{"2", "In which order do leads come?", lastYear, "newest first", leads(2), probeOrder, exactly("newest first")},
	{"4", "How is the event of a lead named in associatedEntity?", lastYear, "event", leads(1), probeEventKey, exactly("event")},
	{"4", "Which form does the parameter associatedEntity take?", "a lead's event as bare URN and as (event:URN)",
		"the bare URN", leads(1), probeEventParam, exactly("the bare URN is taken, the union is refused")},
	{"8", "Which leads are listed without limitedToTestLeads, and with false?", "the millisecond of a test lead, each way",
		"test leads as well", leads(1), probeTestLeads, exactly("without it lists test leads, false lists test leads")},
	{"11", "Are ownerInfo, associatedEntityInfo and leadMetadataInfo given without projection?", lastYear, "no", leads(1), probeInfo, exactly("no")},
	{"12", "Are unknown parameters refused?", "a page with leadstreamProbe=1", "ignored", leads(0), probeUnknown, exactly("ignored")},
	{"12", "Is a union taken that is percent-encoded as a whole?", "a page with owner and leadType encoded so", "refused", leads(1), probeEncoded, exactly("refused")},
	{"paging", "Is paging.total right?", "the page behind it, and the last ten rows before it", "absent, or right", leads(1), probeTotal, exactly("absent", "right, to ten rows")},
	{"paging", "How far do offsets reach?", "ten rows at offsets that grow", "as far as a window is read", leads(0), probeReach, whatever},

	{"3", "How large may a page of leadFormResponses be?", growing, "at least 100", anOwner, sizes(linkedin.EndpointResponses, 50, 51, 100, 101, 500), atLeast(100)},
	{"3", "How large may a page of events be?", growing, "at least 50", anOwner, sizes(linkedin.EndpointEvents, 25, 50, 51, 100, 101), atLeast(50)},
	{"3", "How large may a page of leadForms be?", growing, "at least 50", anOwner, sizes(linkedin.EndpointForms, 25, 50, 51, 100, 101), atLeast(50)},
	{"3", "How large may a page of organizationAcls be?", growing, "at least 100", nothing, sizes(linkedin.EndpointRoles, 50, 51, 100, 101, 500), atLeast(100)},
	{"5", "How does an event name its form?", "events with forms", "with its version", anOwner, probeEventForm, exactly(withVersion)},
	{"6", "Does organizerLeadGenFormEnabledEvents keep past events?", "past events that have a form, looked for in its list", "yes", anOwner, probePast, exactly("yes")},
	{"9", "Which version of a form does form:(…) inline in a lead?", "a lead that answered an older version", "the one that was answered",
		leads(1), probeInlined, exactly("the one that was answered")},
	{"10", "Which values of predefinedField are there?", ofOwner, "known ones", anOwner, values(knownPredefined, predefinedFields), knownBefore},
	{"10", "Which values of reviewStatus are there?", ofOwner, "known ones", anOwner, values(knownReview, reviewStatus), knownBefore},
	{"24", "Is there organizations?q=vanityName?", "the organization's own vanity name", "no", anOwner, probeVanity, beginning("no: ")},

	{"15", "Which versions are served?", "one role under each version from the configured one on", "the configured one", nothing, probeVersions, configuredServed},
	{"16", "What is the answer without LinkedIn-Version?", "one role without it", "400 VERSION_MISSING", nothing, probeVersionMissing, exactly("400 " + linkedin.CodeVersionMissing)},
	{"19", "Does a 429 tell when to come back?", "any 429 met by these requests", "no Retry-After", nothing, probeRetryAfter, exactly("no Retry-After")},
	{"23", "Are roles read without r_organization_admin?", "the member's roles, when the token lacks it", "no", nothing, probeScope, exactly("no")},
}

// unsettled are the points that reading cannot settle, or that would take more
// than a GET.
var unsettled = []Observation{
	{Point: "7", Question: "How does a deleted lead look?", Expected: "404, 403 or 410, listed or not", Why: "it takes a lead that is known to be deleted"},
	{Point: "13", Question: "How does LinkedIn repeat notifications?", Expected: "pulling does not rely on it", Why: "it takes deliveries to the webhook over hours"},
	{Point: "14", Question: "How is X-LI-Signature written?", Expected: "as documented", Why: "it takes a delivery to the webhook"},
	{Point: "17", Question: "Can refresh tokens be introspected?", Expected: "not relied on",
		Why: "it takes a POST with the app's secret to the token endpoints, and only GETs are made"},
	{Point: "18", Question: "Where does the native consent with PKCE begin?", Expected: "not used", Why: "it takes an app of that kind"},
	{Point: "19", Question: "How many requests are allowed in a day?", Expected: "learnt by meeting the limit",
		Why: "it takes using a day's limit up; the status page shows what is known of it"},
	{Point: "20", Question: "How late do leads appear?", Expected: "minutes, and seldom up to days",
		Why: "it takes watching: the metric leadstream_leads_total with delivery late counts them"},
	{Point: "21", Question: "How long does Campaign Manager offer leads?", Expected: "irrelevant here", Why: "the API does not show it"},
	{Point: "22", Question: "Which rules does LinkedIn's newer page list?", Expected: "ask LinkedIn", Why: "the API does not show it"},
	{Point: "25", Question: "What does deleting a subscription answer?", Expected: "any 2xx, or 404", Why: "it takes a DELETE"},
}

// exactly confirms by one of the observations.
func exactly(expected ...string) func(*prober, string) bool {
	return func(_ *prober, observed string) bool { return slices.Contains(expected, observed) }
}

func beginning(with string) func(*prober, string) bool {
	return func(_ *prober, observed string) bool { return strings.HasPrefix(observed, with) }
}

func whatever(*prober, string) bool { return true }

func knownBefore(_ *prober, observed string) bool { return !strings.HasPrefix(observed, unknownBefore) }

func configuredServed(p *prober, observed string) bool {
	return strings.HasPrefix(observed, "served: "+p.c.Version())
}

var sizeTaken = regexp.MustCompile(`^(\d+) is taken|cut to (\d+)$`)

// atLeast confirms by a page size that is taken.
func atLeast(size int) func(*prober, string) bool {
	return func(_ *prober, observed string) bool {
		found := sizeTaken.FindStringSubmatch(observed)
		if found == nil {
			return false
		}
		taken, err := strconv.Atoi(found[1] + found[2])
		return err == nil && taken >= size
	}
}
