package linkedinsim

import (
	"fmt"
	"slices"
	"strings"
)

// Description is what somebody needs to know to point a client here.
type Description struct {
	ClientID      string                    `json:"clientId"`
	ClientSecret  string                    `json:"clientSecret"`
	RedirectURLs  []string                  `json:"redirectUrls,omitempty"` // empty: any HTTPS or loopback URL
	ApplicationID string                    `json:"applicationId"`          // in challenges to webhooks
	Member        string                    `json:"member"`                 // id of who consents
	Scopes        []string                  `json:"scopes"`                 // what reading event leads needs
	AppScopes     []string                  `json:"appScopes"`              // what the app may ask for
	Versions      []string                  `json:"versions"`
	Organizations []OrganizationDescription `json:"organizations"`
	Events        int                       `json:"events"`
	Forms         int                       `json:"forms"`
	Leads         int                       `json:"leads"`
	Notifications int                       `json:"notifications"` // registered now
	Rate          float64                   `json:"rate"`          // new leads a minute
	Seed          uint64                    `json:"seed"`
}

// OrganizationDescription is an organization and the member's approved roles.
type OrganizationDescription struct {
	URN   string   `json:"urn"`
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
	Forms int      `json:"forms"`
}

// Describe is the state of the world now. The secret in it opens nothing but
// this simulator.
func (s *Server) Describe() Description {
	d := Description{
		ClientID: s.cfg.ClientID, ClientSecret: s.auth.clientSecret(), RedirectURLs: s.cfg.RedirectURLs,
		ApplicationID: applicationID, Member: s.cfg.Member, AppScopes: slices.Clone(s.cfg.Scopes),
		Notifications: s.notifier.registered(), Scopes: DefaultScopes(), Leads: s.Leads(), Rate: s.cfg.Rate, Seed: s.cfg.Seed,
		Organizations: []OrganizationDescription{}, Versions: []string{},
	}
	s.versionsMu.RLock()
	for v, live := range s.live {
		if live {
			d.Versions = append(d.Versions, v)
		}
	}
	s.versionsMu.RUnlock()
	slices.Sort(d.Versions)
	s.mu.RLock()
	orgs := s.orgs
	d.Events, d.Forms = len(s.events), len(s.formIDs)
	s.mu.RUnlock()
	for i, o := range orgs {
		about := OrganizationDescription{URN: o.URN(), Name: o.Name, Roles: []string{}, Forms: len(s.formsOf(int32(i)))}
		for _, r := range o.Roles {
			if r.State == stateApproved && r.Member == s.cfg.Member {
				about.Roles = append(about.Roles, r.Role)
			}
		}
		d.Organizations = append(d.Organizations, about)
	}
	return d
}

// String is the description for a terminal.
func (d Description) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "client id      %s\nclient secret  %s\n", d.ClientID, d.ClientSecret)
	fmt.Fprintf(&b, "scopes         %s\n", strings.Join(d.Scopes, " "))
	fmt.Fprintf(&b, "versions       %s\n", strings.Join(d.Versions, " "))
	fmt.Fprintf(&b, "world          %d organizations, %d events, %d forms, %d leads, %g new ones a minute, seed %d\n",
		len(d.Organizations), d.Events, d.Forms, d.Leads, d.Rate, d.Seed)
	for _, o := range d.Organizations {
		fmt.Fprintf(&b, "organization   %s %q %s, %d forms\n", o.URN, o.Name, strings.Join(o.Roles, " "), o.Forms)
	}
	return b.String()
}
