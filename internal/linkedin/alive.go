package linkedin

import (
	"context"
	"errors"
	"fmt"
)

// AnyRole asks for one of the member's roles: nil says that LinkedIn accepts
// the token, whether or not that may read roles.
//
// Source: Organization Access Control by Role.
func (c *Client) AnyRole(ctx context.Context) error {
	q := request{endpoint: EndpointRoles, path: "/rest/organizationAcls", params: []param{{"q", text("roleAssignee")}, {"count", text("1")}}}
	err := c.do(ctx, q, func([]byte) (string, error) { return "", nil })
	if e := (*APIError)(nil); errors.As(err, &e) && e.Denied() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking for a role of the member: %w", err)
	}
	return nil
}
