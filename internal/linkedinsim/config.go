package linkedinsim

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// Config describes the world that New makes and how it answers. The zero value
// is an empty world (no organization) with everything else at its default;
// Default is a small world worth looking at.
type Config struct {
	// Organizations, Events and Forms are how many there are, spread evenly:
	// event i and form i belong to organization i modulo Organizations, and the
	// events of an organization share its forms in turn. Each organization has one
	// event more, without a form.
	Organizations, Events, Forms int
	// Leads are there from the start, spread over Span before the start.
	Leads int
	// Rate is how many new leads a minute Run makes.
	Rate float64
	// Seed makes ids, texts and times (relative to the start) reproducible.
	Seed uint64
	// ClockOffset is how far LinkedIn's clock is ahead of Now (behind: negative).
	ClockOffset time.Duration
	// Now is the base clock; nil means time.Now.
	Now func() time.Time

	// ClientID and ClientSecret are of the one app that LinkedIn knows;
	// default DefaultClientID and DefaultClientSecret.
	ClientID, ClientSecret string
	// RedirectURLs are registered with the app. Empty: every absolute HTTPS URL
	// and every loopback HTTP URL counts as registered.
	RedirectURLs []string
	// Scopes are what the app may ask for; default DefaultScopes with r_ads and
	// the profile scopes beside them.
	Scopes []string
	// AutoConsent answers the consent page with consent, without showing it.
	AutoConsent bool
	// AccessLife and RefreshLife are how long tokens live; default 60 and 365 days.
	AccessLife, RefreshLife time.Duration
	// TokenLength is the least length of a token in characters; default 350.
	TokenLength int
	// Member is the id of the person who consents; default SimMbr0001.
	Member string
	// Versions are the live values of LinkedIn-Version; default DefaultVersions.
	Versions []string

	// Questions is how many questions a form has, so about how many answers a
	// lead has: predefined ones, custom text and multiple choice; default 10.
	Questions int
	// Revisions is how many older versions a form has. The leads that were there
	// from the start answered them in turn, the oldest leads the oldest version.
	Revisions int
	// Span is the time over which Leads are spread; default 300 days.
	Span time.Duration
	// LateProbability is the share of generated leads that appear in the API
	// only some time after their submission, up to LateBy (default 2 hours).
	LateProbability float64
	LateBy          time.Duration
	// HiddenShare is the share of rows that LinkedIn drops after it has cut the
	// page, so that a page is short without being the last. They are no leads
	// and not in the ledger. 0 means 2 percent, negative means none.
	HiddenShare float64
	// TestShare is the share of generated leads that are test leads. 0 means one
	// percent, negative means none.
	TestShare float64

	// WebhookTransport carries the requests to webhooks; nil means the network.
	WebhookTransport http.RoundTripper

	// Latency is added to every API answer.
	Latency time.Duration
	// Switches choose among behaviours that LinkedIn does not document.
	Switches Switches
}

// Defaults of Config.
const (
	DefaultClientID     = "86simclient0001"
	DefaultClientSecret = "sim-client-secret-0001"
)

// DefaultScopes are what reading event leads needs.
func DefaultScopes() []string {
	return []string{"r_marketing_leadgen_automation", "r_events", "r_organization_admin"}
}

// DefaultVersions are the values of LinkedIn-Version that were live in
// November 2026. There never was a 202512.
func DefaultVersions() []string {
	return []string{"202601", "202602", "202603", "202604", "202605", "202606", "202607", "202608"}
}

// Default is a world of two organizations, four events and four forms with
// 1,000 leads and 60 new ones a minute.
func Default() Config {
	return Config{Organizations: 2, Events: 4, Forms: 4, Leads: 1000, Rate: 60, Seed: 1}
}

const (
	maxLeads  = 1 << 30
	day       = 24 * time.Hour
	retention = 365 * day // Lead Sync API: responses are kept for 365 days
)

// withDefaults is c with every unset field set.
func (c Config) withDefaults() Config {
	c.ClientID = cmp.Or(c.ClientID, DefaultClientID)
	c.ClientSecret = cmp.Or(c.ClientSecret, DefaultClientSecret)
	c.Member = cmp.Or(c.Member, "SimMbr0001")
	c.AccessLife, c.RefreshLife = cmp.Or(c.AccessLife, 60*day), cmp.Or(c.RefreshLife, 365*day)
	c.Span, c.LateBy = cmp.Or(c.Span, 300*day), cmp.Or(c.LateBy, 2*time.Hour)
	c.HiddenShare, c.TestShare = max(cmp.Or(c.HiddenShare, 0.02), 0), max(cmp.Or(c.TestShare, 0.01), 0)
	c.Questions, c.TokenLength = cmp.Or(c.Questions, 10), cmp.Or(c.TokenLength, 350)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Scopes == nil {
		c.Scopes = append(DefaultScopes(), "r_ads", "rw_ads", "rw_events", "rw_organization_admin",
			"r_basicprofile", "openid", "profile", "email")
	}
	if c.Versions == nil {
		c.Versions = DefaultVersions()
	}
	return c
}

var versionFormat = regexp.MustCompile(`^\d{6}$`)

// BoundError says that a number of a Config is out of its bounds.
type BoundError struct {
	Field            string // of Config
	Value, Low, High float64
}

// Error names the field, its value and the bounds.
func (e *BoundError) Error() string { return e.Named(e.Field) }

// Named is Error with another name for the field.
func (e *BoundError) Named(name string) string {
	return fmt.Sprintf("%s is %s, must be between %s and %s", name, plain(e.Value), plain(e.Low), plain(e.High))
}

// plain is a number without an exponent.
func plain(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// validate reports every field that is out of bounds.
func (c Config) validate() error {
	const decade = 10 * 365 * day
	var problems []error
	for _, b := range []BoundError{
		{"Organizations", float64(c.Organizations), 0, 1_000},
		{"Events", float64(c.Events), 0, 10_000},
		{"Forms", float64(c.Forms), 0, 10_000},
		{"Leads", float64(c.Leads), 0, maxLeads},
		{"Rate", c.Rate, 0, 6_000_000},
		{"Questions", float64(c.Questions), 1, 90},
		{"Revisions", float64(c.Revisions), 0, 20},
		{"LateProbability", c.LateProbability, 0, 1},
		{"HiddenShare", c.HiddenShare, 0, 0.5},
		{"TestShare", c.TestShare, 0, 1},
		{"AccessLife in seconds", c.AccessLife.Seconds(), 1, decade.Seconds()},
		{"RefreshLife in seconds", c.RefreshLife.Seconds(), 1, decade.Seconds()},
		{"Span in seconds", c.Span.Seconds(), 0, decade.Seconds()},
		{"LateBy in seconds", c.LateBy.Seconds(), 0, decade.Seconds()},
		{"Latency in seconds", c.Latency.Seconds(), 0, 3600},
	} {
		if !(b.Value >= b.Low && b.Value <= b.High) { // nor is what is no number
			problems = append(problems, &b)
		}
	}
	if (c.Events > 0 || c.Forms > 0) && c.Organizations == 0 {
		problems = append(problems, errors.New("events and forms need at least one organization"))
	}
	if (c.Leads > 0 || c.Rate > 0) && (c.Events == 0 || c.Forms == 0) {
		problems = append(problems, errors.New("leads need at least one event and one form"))
	}
	for _, v := range c.Versions {
		if !versionFormat.MatchString(v) {
			problems = append(problems, fmt.Errorf("version %q is not of the form YYYYMM", v))
		}
	}
	for _, u := range c.RedirectURLs {
		if parsed, err := url.Parse(u); err != nil || !parsed.IsAbs() || parsed.Fragment != "" {
			problems = append(problems, fmt.Errorf("redirect URL %q is not an absolute URL without fragment", u))
		}
	}
	problems = append(problems, c.Switches.validate())
	return errors.Join(problems...)
}
