package linkedin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

const (
	organizationPrefix = "urn:li:organization:"
	brandPrefix        = "urn:li:organizationBrand:"
	rolesPath          = "/rest/organizationAcls"
	organizationsPath  = "/rest/organizations"
	lookupPath         = "/rest/organizationsLookup"
)

// Organizations are the company pages that are wanted, in the order of their
// URNs: those of Options.Organizations, also where the authorising member has no
// role, else all that the member has an approved role on, pages of another kind
// included. Problem says of each whether its event leads can be read. A page whose
// name cannot be read stays without one and hides none of the others; names are
// kept for a day.
//
// Source: Organization Access Control by Role; Organization Lookup API.
func (c *Client) Organizations(ctx context.Context) ([]lead.Organization, error) {
	roles, err := c.roles(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the organizations of the authorising member: %w", err)
	}
	wanted := slices.Sorted(slices.Values(c.opts.Organizations))
	if len(wanted) == 0 {
		wanted = slices.Sorted(maps.Keys(roles))
	}
	out := make([]lead.Organization, 0, len(wanted))
	for _, urn := range wanted {
		held := roles[urn]
		slices.Sort(held)
		problem, todo := access(urn, held)
		out = append(out, lead.Organization{URN: urn, Roles: held, Problem: problem, Todo: todo,
			Incidental: problem != "" && len(c.opts.Organizations) == 0})
	}
	// Several at once, as far as the slots allow.
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.opts.Concurrency)
	for i := range out {
		if len(out[i].Roles) == 0 || !strings.HasPrefix(out[i].URN, organizationPrefix) {
			continue // it would be refused
		}
		group.Go(func() (err error) {
			out[i].Name, err = c.organizationName(ctx, out[i].URN)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("reading the names of organizations: %w", err)
	}
	return out, nil
}

// access says why roles on a page do not read its event leads, and what to do about
// it; both are empty when they do.
func access(urn string, roles []string) (problem, todo string) {
	const elsewhere = "give the member " + lead.RoleAdministrator + " or " + lead.RoleContentAdmin + " on the company page that organizes its events"
	switch {
	case strings.HasPrefix(urn, organizationPrefix):
		return lead.Access(roles)
	case strings.HasPrefix(urn, brandPrefix):
		return "it is a showcase page, and leads are read of company pages (urn:li:organization:N)", elsewhere
	}
	return "it is no company page (urn:li:organization:N), and leads are read of those", elsewhere
}

type role struct{ organization, name, state string }

// roles are the approved roles of the member by organization.
func (c *Client) roles(ctx context.Context) (map[string][]string, error) {
	// No decoration: one revoked page would fail the whole answer with 403.
	q := request{endpoint: EndpointRoles, path: rolesPath, params: []param{{"q", text("roleAssignee")}, {"state", text("APPROVED")}}}
	rows, err := collect(ctx, c, q, func(r *reader) found[role] {
		row := decodeRole(r)
		if row.organization == "" || row.name == "" {
			return found[role]{row: row}
		}
		return found[role]{row: row, id: row.organization + " " + row.name + " " + row.state}
	})
	if err != nil {
		return nil, err
	}
	held := map[string][]string{}
	for _, row := range rows {
		if row.state != "APPROVED" && row.state != "" {
			continue // in case LinkedIn did not heed the parameter
		}
		if !slices.Contains(held[row.organization], row.name) {
			held[row.organization] = append(held[row.organization], row.name)
		}
	}
	return held, nil
}

func decodeRole(r *reader) role {
	var row role
	if !r.open(jsontext.KindBeginObject) {
		return row
	}
	for r.more() {
		switch r.name() {
		case "organization", "organizationTarget": // both spellings are in use
			if urn, what := r.text(); what == "" && strings.HasPrefix(urn, "urn:li:") && len(urn) <= maxID {
				row.organization = urn
			}
		case "role":
			row.name, _ = r.text()
		case "state":
			row.state, _ = r.text()
		default:
			r.skip()
		}
	}
	return row
}

// names remembers the names of organizations.
type names struct {
	mu    sync.Mutex
	known map[string]knownName
}

type knownName struct {
	name string
	at   time.Time
}

// nameLife is how long a name is kept, and noNameLife for how long it is not asked
// for again where it was refused.
const (
	nameLife   = 24 * time.Hour
	noNameLife = time.Hour
)

// organizationName is empty when the page refuses to tell its name; only what
// concerns all pages is an error.
func (c *Client) organizationName(ctx context.Context, urn string) (string, error) {
	c.names.mu.Lock()
	known, ok := c.names.known[urn]
	c.names.mu.Unlock()
	if age := time.Since(known.at); ok && (age < noNameLife || age < nameLife && known.name != "") {
		return known.name, nil
	}
	id := strings.TrimPrefix(urn, organizationPrefix)
	name, err := c.readName(ctx, id)
	if err == nil && name == "" || fault.KindOf(err) == fault.Suspend { // it is told to administrators of the page alone
		name, err = c.lookUpName(ctx, id)
	}
	var budget *BudgetError
	switch {
	case err == nil:
	case ctx.Err() != nil, fault.KindOf(err) == fault.Pause:
		return "", err
	case errors.As(err, &budget), fault.KindOf(err) == fault.Retry:
		return known.name, nil //nolint:nilerr // a page does without its name: an old one, if any
	default:
		c.log.Debug("organization does not tell its name", zap.String("organization", urn), zap.Error(err))
		name = known.name // one that it told while the member had a role there
	}
	c.names.mu.Lock()
	defer c.names.mu.Unlock()
	if c.names.known == nil {
		c.names.known = map[string]knownName{}
	}
	c.names.known[urn] = knownName{name, time.Now()}
	return name, nil
}

// readName asks for the page itself.
func (c *Client) readName(ctx context.Context, id string) (string, error) {
	var name string
	q := request{endpoint: EndpointOrganizations, path: organizationsPath + "/" + encodeKey(id)}
	err := c.do(ctx, q, func(body []byte) (string, error) {
		r := newReader(body)
		if problem, broken := r.object(); problem != "" {
			return problem, broken
		}
		name = decodePageName(r)
		return "", nil
	})
	return name, err
}

// lookUpName asks for what everybody may know of the page; empty where LinkedIn
// tells nothing.
//
// Source: Organization Lookup API, organizationsLookup.
func (c *Client) lookUpName(ctx context.Context, id string) (string, error) {
	var name string
	q := request{endpoint: EndpointLookup, path: lookupPath, method: "BATCH_GET", params: []param{{"ids", list{text(id)}}}}
	err := c.do(ctx, q, func(body []byte) (string, error) {
		name = ""
		r := newReader(body)
		if problem, broken := r.object(); problem != "" {
			return problem, broken
		}
		for r.open(jsontext.KindBeginObject); r.more(); {
			if r.name() != "results" || r.kind() != jsontext.KindBeginObject {
				r.skip()
				continue
			}
			for r.open(jsontext.KindBeginObject); r.more(); {
				if r.name() == id {
					name = decodePageName(r)
				} else {
					r.skip()
				}
			}
		}
		return "", nil
	})
	return name, err
}

// decodePageName reads the name out of an organization.
func decodePageName(r *reader) (name string) {
	r.own = true
	var full localized
	var locale string
	if !r.open(jsontext.KindBeginObject) {
		return ""
	}
	for r.more() {
		switch r.name() {
		case "localizedName":
			name, _ = r.text()
		case "name":
			full, locale = decodeName(r)
		default:
			r.skip()
		}
	}
	if name == "" {
		name = full.in(locale)
	}
	return name
}
