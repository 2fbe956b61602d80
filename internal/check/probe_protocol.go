package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leadstream/internal/linkedin"
)

// oneRole is the cheapest question there is.
func oneRole(version string) linkedin.Question {
	q := roleQuery(1)
	q.Version = version
	return q
}

// versionsTried bounds the versions that are tried after the configured one.
const versionsTried = 6

func probeVersions(ctx context.Context, p *prober) (string, error) {
	month, err := time.Parse("200601", p.c.Version())
	if err != nil {
		return "", fmt.Errorf("reading version %q: %w", p.c.Version(), err)
	}
	var served, not []string
	for n := 0; n <= versionsTried && month.UnixMilli() <= p.year.to; n++ {
		version := month.Format("200601")
		_, refused, err := p.get(ctx, oneRole(version))
		switch {
		case err != nil:
			return "", err
		case refused == nil || refused.Denied(): // the version was looked at first
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
	return text, nil
}

func probeVersionMissing(ctx context.Context, p *prober) (string, error) {
	_, refused, err := p.get(ctx, oneRole(linkedin.NoVersion))
	if refused != nil {
		return said(refused), nil
	}
	return "answered all the same", err
}

func probeRetryAfter(_ context.Context, p *prober) (string, error) {
	switch met, named := p.c.Throttled(); {
	case !met:
		return "", errors.New("no 429 was met, and none is provoked")
	case named:
		return "Retry-After is there", nil
	}
	return "no Retry-After", nil
}

func probeScope(_ context.Context, p *prober) (string, error) {
	switch {
	case p.opts.Scopes == nil:
		return "", errors.New("the token's scopes are not known")
	case slices.Contains(p.opts.Scopes, "r_organization_admin"), slices.Contains(p.opts.Scopes, "rw_organization_admin"):
		return "", errors.New("the token has it")
	case p.rolesErr != nil:
		return "no", nil
	}
	return "yes", nil
}
