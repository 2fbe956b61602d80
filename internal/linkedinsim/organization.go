package linkedinsim

import (
	"slices"
	"strconv"
)

// Organization is a company page and the roles held on it.
type Organization struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	VanityName string `json:"vanityName,omitempty"`
	Roles      []Role `json:"roles"`
	// Brand makes it a showcase page: roles name it urn:li:organizationBrand:<ID>,
	// and nothing else can be asked of it.
	Brand bool `json:"brand,omitempty"`
}

// URN is urn:li:organization:<ID>, or that of a showcase page.
func (o *Organization) URN() string {
	if o.Brand {
		return brandPrefix + strconv.FormatInt(o.ID, 10)
	}
	return organizationURN(o.ID)
}

// Role is one row of organizationAcls: one role of one member on one page.
type Role struct {
	// Role is ADMINISTRATOR, CONTENT_ADMINISTRATOR, ANALYST, …
	Role string `json:"role"`
	// State is APPROVED (default), REJECTED, REQUESTED or REVOKED.
	State string `json:"state,omitempty"`
	// Member is the id of the member; empty means the one who consents.
	Member       string `json:"member,omitempty"`
	Created      Stamp  `json:"created"`
	LastModified Stamp  `json:"lastModified"`
}

// Stamp says who did something and when; Time is in epoch milliseconds.
type Stamp struct {
	Actor        string `json:"actor"`
	Impersonator string `json:"impersonator,omitempty"`
	Time         int64  `json:"time"`
}

// Roles of Organization Access Control that matter here.
const (
	roleAdministrator        = "ADMINISTRATOR"
	roleContentAdministrator = "CONTENT_ADMINISTRATOR"
	stateApproved            = "APPROVED"
	stateRevoked             = "REVOKED"
)

var (
	// eventRoles may read events and event leads (Events API; Lead Sync API,
	// permissions by lead type).
	eventRoles = []string{roleAdministrator, roleContentAdministrator}
	// pageRoles may read the other page leads and the forms. LinkedIn does not
	// publish the list; these are the roles it accepts for sponsored leads.
	pageRoles = []string{roleAdministrator, roleContentAdministrator, "LEAD_GEN_FORMS_MANAGER", "CURATOR", "ANALYST"}
	// adminRoles may read the page itself and who holds roles on it.
	adminRoles = []string{roleAdministrator}
)

// leadRoles are those that may read leads of a type.
func leadRoles(k leadType) []string {
	if k == kindEvent {
		return eventRoles
	}
	return pageRoles
}

// grants reports whether member holds an approved role out of roles. There may
// be no organization.
func (o *Organization) grants(member string, roles []string) bool {
	return o != nil && slices.ContainsFunc(o.Roles, func(r Role) bool {
		return r.Member == member && r.State == stateApproved && slices.Contains(roles, r.Role)
	})
}
