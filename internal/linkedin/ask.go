package linkedin

import (
	"context"
	"strings"
)

// NoVersion in a Question asks without a LinkedIn-Version.
const NoVersion = "-"

// The finders of events. It is not documented whether the first keeps events
// that are past or cancelled, so both are asked.
const (
	FinderWithForms = "organizerLeadGenFormEnabledEvents"
	FinderAll       = "eventsByOrganizer"
)

// CodeVersionMissing is the code of a refusal for want of a LinkedIn-Version.
const CodeVersionMissing = "VERSION_MISSING"

// Question is a GET request that its caller words, to see what LinkedIn does where
// its documentation leaves it open.
type Question struct {
	Endpoint string // one of the Endpoint constants, whose limits it counts towards
	Key      string // of one entity, not encoded; empty for a list
	// Query are the parameters, name=value with values as they go out: see Leaf.
	Query   []string
	Version string // LinkedIn-Version; the client's when empty
}

// Ask asks a question inside the client's limits and gives the body of the answer
// as it came. A failure of the moment is repeated as for any request.
func (c *Client) Ask(ctx context.Context, q Question) (body []byte, err error) {
	r := request{endpoint: q.Endpoint, path: "/rest/" + q.Endpoint, version: q.Version}
	if q.Key != "" {
		r.path += "/" + encodeKey(q.Key)
	}
	for _, p := range q.Query {
		name, value, _ := strings.Cut(p, "=")
		r.params = append(r.params, param{name, mask(value)})
	}
	err = c.do(ctx, r, func(answer []byte) (string, error) {
		body = answer
		return "", nil
	})
	return body, err
}

// Leaf writes a text as one leaf of a Rest.li parameter.
func Leaf(s string) string { return encodeKey(s) }

// OwnerUnion is the owner as a query parameter takes it.
func OwnerUnion(urn string) string { return "(" + ownerUnion(urn) + ":" + Leaf(urn) + ")" }

// Version is the LinkedIn-Version that the client asks with.
func (c *Client) Version() string { return c.opts.Version }

// Throttled reports whether this client was answered 429, and whether one of the
// answers had a Retry-After.
func (c *Client) Throttled() (met, named bool) {
	l := c.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.gates {
		met = met || !g.refused.IsZero()
		named = named || g.named
	}
	return met, named
}
