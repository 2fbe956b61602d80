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

// grants reports whether member holds an approved role out of roles.
func (o *Organization) grants(member string, roles []string) bool {
	return slices.ContainsFunc(o.Roles, func(r Role) bool {
		return r.Member == member && r.State == stateApproved && slices.Contains(roles, r.Role)
	})
}

// withDefaults is a copy of o with every role complete.
func (o Organization) withDefaults(member string, millis int64) *Organization {
	o.Roles = slices.Clone(o.Roles)
	for i := range o.Roles {
		r := &o.Roles[i]
		if r.Member == "" {
			r.Member = member
		}
		if r.State == "" {
			r.State = stateApproved
		}
		for _, stamp := range []*Stamp{&r.Created, &r.LastModified} {
			if stamp.Actor == "" {
				*stamp = Stamp{Actor: personPrefix + r.Member, Impersonator: stamp.Impersonator, Time: millis}
			}
		}
	}
	return &o
}

// wire is the organization as organizations/{id} gives it.
func (o *Organization) wire() map[string]any {
	return map[string]any{
		"id":                      o.ID,
		"localizedName":           o.Name,
		"name":                    map[string]any{"localized": map[string]string{"en_US": o.Name}, "preferredLocale": Locale{Country: "US", Language: "en"}},
		"vanityName":              o.VanityName,
		"primaryOrganizationType": "NONE",
	}
}

// summary is the organization as organizationsLookup gives it to anybody.
func (o *Organization) summary() map[string]any {
	return map[string]any{"id": o.ID, "localizedName": o.Name, "vanityName": o.VanityName}
}

// aclRow is the wire form of a role. LinkedIn's samples name the organization
// in two ways.
type aclRow struct {
	Assignee           string `json:"roleAssignee"`
	Role               string `json:"role"`
	State              string `json:"state"`
	Organization       string `json:"organization,omitempty"`
	OrganizationTarget string `json:"organizationTarget,omitempty"`
	Created            Stamp  `json:"created"`
	LastModified       Stamp  `json:"lastModified"`
}

func (o *Organization) aclRow(r Role, target bool) aclRow {
	row := aclRow{
		Assignee: personPrefix + r.Member, Role: r.Role, State: r.State,
		Created: r.Created, LastModified: r.LastModified,
	}
	if target {
		row.OrganizationTarget = o.URN()
	} else {
		row.Organization = o.URN()
	}
	return row
}
