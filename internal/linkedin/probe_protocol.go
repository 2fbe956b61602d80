package linkedin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// protocolProbes look at versions, limits and scopes.
func protocolProbes() []probe {
	return []probe{
		{"15", "Which versions are served?", "one role under each version from the configured one on", "the configured one", probeVersions},
		{"16", "What is the answer without LinkedIn-Version?", "one role without it", "400 VERSION_MISSING", probeVersionMissing},
		{"19", "Does a 429 tell when to come back?", "any 429 met by these requests", "no Retry-After", probeRetryAfter},
		{"23", "Are roles read without r_organization_admin?", "the member's roles, when the token lacks it", "no", probeScope},
	}
}

// oneRole is the cheapest question there is.
func oneRole(version string) request {
	return request{endpoint: EndpointRoles, path: rolesPath, version: version,
		params: append([]param{{"q", text("roleAssignee")}, {"state", text("APPROVED")}}, at(0, 1)...)}
}

// versionsTried bounds the versions that are tried after the configured one.
const versionsTried = 6

func probeVersions(ctx context.Context, p *prober) (outcome, error) {
	month, err := time.Parse("200601", p.c.opts.Version)
	if err != nil {
		return outcome{}, fmt.Errorf("reading version %q: %w", p.c.opts.Version, err)
	}
	var served, not []string
	for n := 0; n <= versionsTried && !month.After(p.to); n++ {
		version := month.Format("200601")
		a, err := p.get(ctx, oneRole(version))
		switch {
		case err != nil:
			return outcome{}, err
		case a.refused == nil || a.refused.denied(): // the version was looked at first
			served = append(served, version)
		default:
			not = append(not, version)
		}
		month = month.AddDate(0, 1, 0)
	}
	text := "served: " + strings.Join(served, ", ")
	if len(not) > 0 {
		text += "; not: " + strings.Join(not, ", ")
	}
	return as(slices.Contains(served, p.c.opts.Version), "%s", text), nil
}

func probeVersionMissing(ctx context.Context, p *prober) (outcome, error) {
	a, err := p.get(ctx, oneRole(noVersion))
	if err != nil {
		return outcome{}, err
	}
	if a.refused == nil {
		return differs("answered all the same"), nil
	}
	return as(a.status == 400 && a.code == codeVersionMissing, "%s", a.said()), nil
}

func probeRetryAfter(_ context.Context, p *prober) (outcome, error) {
	switch met, named := p.c.limits.met(); {
	case !met:
		return untold("no 429 was met, and none is provoked"), nil
	case named:
		return differs("Retry-After is there"), nil
	}
	return confirmed("no Retry-After"), nil
}

// met reports whether this client was answered 429, and whether one of the
// answers had a Retry-After.
func (l *limits) met() (met, named bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.gates {
		met = met || !g.refused.IsZero()
		named = named || g.named
	}
	return met, named
}

func probeScope(_ context.Context, p *prober) (outcome, error) {
	switch {
	case p.opts.Scopes == nil:
		return untold("the token's scopes are not known"), nil
	case slices.Contains(p.opts.Scopes, "r_organization_admin"), slices.Contains(p.opts.Scopes, "rw_organization_admin"):
		return untold("the token has it"), nil
	case p.rolesErr != nil:
		return confirmed("no"), nil
	}
	return differs("yes"), nil
}

// unsettled are the points that reading cannot settle, or that would take more
// than a GET.
func unsettled() []probe {
	list := []struct{ point, question, expected, why string }{
		{"7", "How does a deleted lead look?", "404, 403 or 410, listed or not", "it takes a lead that is known to be deleted"},
		{"13", "How does LinkedIn repeat notifications?", "pulling does not rely on it", "it takes deliveries to the webhook over hours"},
		{"14", "How is X-LI-Signature written?", "as documented", "it takes a delivery to the webhook"},
		{"17", "Can refresh tokens be introspected?", "not relied on", "it takes a POST with the app's secret to the token endpoints, and only GETs are made"},
		{"18", "Where does the native consent with PKCE begin?", "not used", "it takes an app of that kind"},
		{"19", "How many requests are allowed in a day?", "learnt by meeting the limit", "it takes using a day's limit up; the status page shows what is known of it"},
		{"20", "How late do leads appear?", "minutes, and seldom up to days", "it takes watching: the metric leadstream_leads_total with delivery late counts them"},
		{"21", "How long does Campaign Manager offer leads?", "irrelevant here", "the API does not show it"},
		{"22", "Which rules does LinkedIn's newer page list?", "ask LinkedIn", "the API does not show it"},
		{"25", "What does deleting a subscription answer?", "any 2xx, or 404", "it takes a DELETE"},
	}
	var probes []probe
	for _, u := range list {
		probes = append(probes, probe{u.point, u.question, "not asked", u.expected,
			func(context.Context, *prober) (outcome, error) { return untold("%s", u.why), nil }})
	}
	return probes
}
