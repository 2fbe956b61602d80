package linkedinsim

import "slices"

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
func (w *World) Describe() Description {
	leads := w.Leads()
	w.mu.RLock()
	defer w.mu.RUnlock()
	d := Description{
		ClientID: w.cfg.ClientID, ClientSecret: w.auth.secret, RedirectURLs: w.cfg.RedirectURLs,
		ApplicationID: applicationID, Member: w.cfg.Member, AppScopes: slices.Clone(w.cfg.Scopes),
		Notifications: len(w.notifier.subscriptions), Scopes: DefaultScopes(), Leads: leads, Rate: w.cfg.Rate, Seed: w.cfg.Seed,
		Events: len(w.events), Forms: len(w.formIDs), Organizations: []OrganizationDescription{}, Versions: []string{},
	}
	for v, live := range w.live {
		if live {
			d.Versions = append(d.Versions, v)
		}
	}
	slices.Sort(d.Versions)
	for _, o := range w.orgs {
		about := OrganizationDescription{URN: o.URN(), Name: o.Name, Roles: []string{}, Forms: len(w.formsOf(o))}
		for _, r := range o.Roles {
			if r.State == stateApproved && r.Member == w.cfg.Member {
				about.Roles = append(about.Roles, r.Role)
			}
		}
		d.Organizations = append(d.Organizations, about)
	}
	return d
}
