package linkedinsim

import (
	"errors"
	"fmt"
	"time"
)

// Switches choose among behaviours that LinkedIn does not document or that
// differ between apps. The zero value of each field is the default, which is
// what LinkedIn's text or most observations say.
type Switches struct {
	// Bounds are of submittedAtTimeRange: "[)" (default), "(]", "[]" or "()".
	Bounds string `json:"bounds,omitempty"`
	// OldestFirst lists leads by rising submittedAt; default newest first.
	OldestFirst bool `json:"oldestFirst,omitempty"`
	// MaxResponses, MaxEvents, MaxForms and MaxACLs are the greatest count
	// accepted, default 100, 50, 100 and 100.
	MaxResponses int `json:"maxResponses,omitempty"`
	MaxEvents    int `json:"maxEvents,omitempty"`
	MaxForms     int `json:"maxForms,omitempty"`
	MaxACLs      int `json:"maxAcls,omitempty"`
	// Total is paging.total of responses and events: "" counts the rows before
	// some are dropped, "absent" leaves it out, "low" counts the page's elements
	// only, "high" is more than there are. Roles never have a total.
	Total string `json:"total,omitempty"`
	// Links are paging.links: "" has a next link on full pages only, "none" has
	// no links, "always" has a next link wherever rows follow.
	Links string `json:"links,omitempty"`

	// AssociatedEventKey names the event of a lead associatedEvent; default event.
	AssociatedEventKey bool `json:"associatedEventKey,omitempty"`
	// AssociatedEntityParam is the form of the associatedEntity parameter: ""
	// wants the bare URN, "union" wants (event:urn), "both" takes either.
	AssociatedEntityParam string `json:"associatedEntityParam,omitempty"`
	// UnversionedEventForm makes an event name its form as urn:li:leadGenForm;
	// default urn:li:versionedLeadGenForm.
	UnversionedEventForm bool `json:"unversionedEventForm,omitempty"`
	// FormFinderDropsPast leaves past and cancelled events out of
	// organizerLeadGenFormEnabledEvents.
	FormFinderDropsPast bool `json:"formFinderDropsPast,omitempty"`
	// DeletedStatus answers the GET of a deleted lead: 404 (default), 403 or 410.
	DeletedStatus int `json:"deletedStatus,omitempty"`
	// DeletedListed keeps deleted leads in the finder.
	DeletedListed bool `json:"deletedListed,omitempty"`
	// ReplacedVanish takes the earlier submission out of the finder when the same
	// id is submitted again; default both are listed.
	ReplacedVanish bool `json:"replacedVanish,omitempty"`
	// TestLeads is what limitedToTestLeads means besides true: "" lists test leads
	// when it is false or omitted, "false_excludes" leaves them out when it is
	// false, "omitted_excludes" when it is false or omitted.
	TestLeads string `json:"testLeads,omitempty"`
	// InlinedCurrent makes the form:(…) projection of a response give the form's
	// current version; default the version that was answered.
	InlinedCurrent bool `json:"inlinedCurrent,omitempty"`
	// InfoAlways gives ownerInfo, associatedEntityInfo and leadMetadataInfo
	// without projection too.
	InfoAlways bool `json:"infoAlways,omitempty"`
	// BlankInFormURN prints a blank after the comma of a versioned form's URN.
	BlankInFormURN bool `json:"blankInFormUrn,omitempty"`

	// RefuseUnknown answers unknown query parameters with 400; default ignored.
	RefuseUnknown bool `json:"refuseUnknown,omitempty"`
	// AcceptEncodedUnion takes %28organization%3A…%29 as the union; default 400.
	AcceptEncodedUnion bool `json:"acceptEncodedUnion,omitempty"`
	// RefuseFields answers the fields parameter of responses with 400.
	RefuseFields bool `json:"refuseFields,omitempty"`
	// VersionMissingBare leaves the code out of the answer to a request without
	// LinkedIn-Version.
	VersionMissingBare bool `json:"versionMissingBare,omitempty"`
	// VanityNameFinder offers organizations?q=vanityName.
	VanityNameFinder bool `json:"vanityNameFinder,omitempty"`

	// RolesWithoutAdminScope lets organizationAcls answer to a token that has
	// lead and event scopes only.
	RolesWithoutAdminScope bool `json:"rolesWithoutAdminScope,omitempty"`
	// RoleMissingStatus answers requests of a member without the role they need:
	// 403 (default) or 401; the code is ACCESS_DENIED either way.
	RoleMissingStatus int `json:"roleMissingStatus,omitempty"`
	// OrganizationTarget names the organization of a role organizationTarget.
	OrganizationTarget bool `json:"organizationTarget,omitempty"`

	// RetryAfter puts a Retry-After header on 429.
	RetryAfter bool `json:"retryAfter,omitempty"`
	// BareThrottle leaves the name of the limit out of the 429 of a day's limit.
	BareThrottle bool `json:"bareThrottle,omitempty"`
	// DailyBudget is how many requests one endpoint answers per UTC day before
	// 429; 0 is no limit.
	DailyBudget int `json:"dailyBudget,omitempty"`

	// AccessLife and RefreshLife are how long tokens live that are issued from now
	// on; 0 is as long as Config says.
	AccessLife  time.Duration `json:"accessLife,omitempty"`
	RefreshLife time.Duration `json:"refreshLife,omitempty"`
	// WithheldScopes are scopes, separated by blanks, that a consent does not grant
	// although the app asks for them. By LinkedIn's text there is no such consent.
	WithheldScopes string `json:"withheldScopes,omitempty"`
	// BearerOnly issues no refresh tokens.
	BearerOnly bool `json:"bearerOnly,omitempty"`
	// RefreshAnswer is what a refresh says of the refresh token: "" repeats it,
	// "rotated" gives a new one and kills the old, "absent" leaves it out.
	RefreshAnswer string `json:"refreshAnswer,omitempty"`
	// RefreshLifeInMinutes prints refresh_token_expires_in in minutes, as one of
	// LinkedIn's samples does.
	RefreshLifeInMinutes bool `json:"refreshLifeInMinutes,omitempty"`
	// SpacesInScope separates the token answer's scopes by spaces; default commas.
	SpacesInScope bool `json:"spacesInScope,omitempty"`
	// FreshTokenLag is how long a new token is answered as revoked.
	FreshTokenLag time.Duration `json:"freshTokenLag,omitempty"`
	// IntrospectionBare leaves all but active and status out of the answer about
	// an expired or revoked token.
	IntrospectionBare bool `json:"introspectionBare,omitempty"`
	// IntrospectRefresh answers for refresh tokens as for access tokens; default
	// they are unknown.
	IntrospectRefresh bool `json:"introspectRefresh,omitempty"`
	// SkipConsent shows no consent page to a member who has already granted the
	// same scopes.
	SkipConsent bool `json:"skipConsent,omitempty"`

	// LocalWebhooks accepts webhooks that are not public HTTPS, which LinkedIn
	// refuses: plain http, this machine and private networks. For tests.
	LocalWebhooks bool `json:"localWebhooks,omitempty"`
	// RefuseUnvalidated makes the handshake with a webhook before the request to
	// create a notification is answered, and answers 400 when it fails; default
	// the handshake follows the answer.
	RefuseUnvalidated bool `json:"refuseUnvalidated,omitempty"`
	// ChallengeBare leaves applicationId out of the challenge.
	ChallengeBare bool `json:"challengeBare,omitempty"`
	// SignaturePrefixed writes hmacsha256= before the signature in the header.
	SignaturePrefixed bool `json:"signaturePrefixed,omitempty"`
	// SignatureOfBody signs the bare body; default hmacsha256= and the body.
	SignatureOfBody bool `json:"signatureOfBody,omitempty"`
	// OccurredInSeconds gives occurredAt in epoch seconds; default milliseconds.
	OccurredInSeconds bool `json:"occurredInSeconds,omitempty"`
	// OccurredAfter is how long after submittedAt the occurredAt of CREATED is;
	// default not at all. That of DELETED is when the member left.
	OccurredAfter time.Duration `json:"occurredAfter,omitempty"`
	// BlankInNotice prints a blank after the comma of the versioned form's URN in
	// notifications, as samples of LinkedIn's do.
	BlankInNotice bool `json:"blankInNotice,omitempty"`
	// NotificationDeleteStatus answers the DELETE of a notification: 204
	// (default) or 200.
	NotificationDeleteStatus int `json:"notificationDeleteStatus,omitempty"`
	// WebhookDiesWithRole deletes the notifications of a member who loses the
	// role that reading their leads needs; default they stay.
	WebhookDiesWithRole bool `json:"webhookDiesWithRole,omitempty"`
	// WebhookRetry is how long after a delivery that was not taken the next
	// attempt follows, WebhookRetryFor how long after the first attempt there is
	// none any more, and WebhookTimeout how long an attempt waits for the answer;
	// default 5 minutes, 8 hours and 10 seconds, by the base clock.
	WebhookRetry    time.Duration `json:"webhookRetry,omitempty"`
	WebhookRetryFor time.Duration `json:"webhookRetryFor,omitempty"`
	WebhookTimeout  time.Duration `json:"webhookTimeout,omitempty"`
}

// Variants are the alternatives to the default, each alone, by a name for test
// output. A client that is right under each of them does not rely on anything
// that LinkedIn leaves open.
func Variants() map[string]Switches {
	return map[string]Switches{
		"bounds start exclusive, end inclusive": {Bounds: "(]"},
		"bounds inclusive":                      {Bounds: "[]"},
		"bounds exclusive":                      {Bounds: "()"},
		"oldest first":                          {OldestFirst: true},
		"at most 50 responses":                  {MaxResponses: 50},
		"at most 100 events":                    {MaxEvents: 100},
		"at most 25 events":                     {MaxEvents: 25},
		"at most 50 forms":                      {MaxForms: 50},
		"at most 50 roles":                      {MaxACLs: 50},
		"at most 500 roles":                     {MaxACLs: 500},
		"no total":                              {Total: "absent"},
		"total too low":                         {Total: "low"},
		"total too high":                        {Total: "high"},
		"no links":                              {Links: "none"},
		"links everywhere":                      {Links: "always"},
		"associatedEvent":                       {AssociatedEventKey: true},
		"associatedEntity as union":             {AssociatedEntityParam: "union"},
		"associatedEntity either way":           {AssociatedEntityParam: "both"},
		"event names form without version":      {UnversionedEventForm: true},
		"form finder drops past events":         {FormFinderDropsPast: true},
		"deleted lead is 403":                   {DeletedStatus: 403},
		"deleted lead is 410":                   {DeletedStatus: 410},
		"deleted lead stays listed":             {DeletedListed: true},
		"replaced submission vanishes":          {ReplacedVanish: true},
		"limitedToTestLeads=false excludes":     {TestLeads: "false_excludes"},
		"test leads only when asked for":        {TestLeads: "omitted_excludes"},
		"projected form is the current version": {InlinedCurrent: true},
		"info fields always":                    {InfoAlways: true},
		"blank in form URN":                     {BlankInFormURN: true},
		"unknown parameters refused":            {RefuseUnknown: true},
		"encoded union accepted":                {AcceptEncodedUnion: true},
		"fields refused":                        {RefuseFields: true},
		"missing version without code":          {VersionMissingBare: true},
		"vanityName finder":                     {VanityNameFinder: true},
		"roles without admin scope":             {RolesWithoutAdminScope: true},
		"role missing is 401":                   {RoleMissingStatus: 401},
		"organizationTarget":                    {OrganizationTarget: true},
		"Retry-After on 429":                    {RetryAfter: true},
		"429 does not name the day":             {BareThrottle: true},
		"access token lives a second less":      {AccessLife: 5183999 * time.Second},
		"refresh token lives a solar year":      {RefreshLife: 31556951 * time.Second},
		"no refresh token":                      {BearerOnly: true},
		"refresh token rotates":                 {RefreshAnswer: "rotated"},
		"refresh token not repeated":            {RefreshAnswer: "absent"},
		"refresh life in minutes":               {RefreshLifeInMinutes: true},
		"scopes by spaces":                      {SpacesInScope: true},
		"fresh tokens lag":                      {FreshTokenLag: 3 * time.Second},
		"introspection is bare":                 {IntrospectionBare: true},
		"refresh tokens can be introspected":    {IntrospectRefresh: true},
		"consent page skipped":                  {SkipConsent: true},
	}
}

// variant is one of Variants or NotificationVariants.
func variant(name string) (Switches, error) {
	sw, known := Variants()[name]
	if !known {
		sw, known = NotificationVariants()[name]
	}
	if !known {
		return sw, fmt.Errorf("there is no variant %q", name)
	}
	return sw, nil
}

// NotificationVariants are the alternatives to the default that bear on
// notifications and webhooks, each alone, by a name for test output. Whoever
// only reads does not notice them.
func NotificationVariants() map[string]Switches {
	return map[string]Switches{
		"webhook validated first":           {RefuseUnvalidated: true},
		"challenge without application":     {ChallengeBare: true},
		"signature with prefix":             {SignaturePrefixed: true},
		"signature of the bare body":        {SignatureOfBody: true},
		"occurredAt in seconds":             {OccurredInSeconds: true},
		"occurredAt later than submittedAt": {OccurredAfter: 678 * time.Millisecond},
		"blank in notified form URN":        {BlankInNotice: true},
		"notification deleted with 200":     {NotificationDeleteStatus: 200},
		"webhook dies with the role":        {WebhookDiesWithRole: true},
	}
}

func (s Switches) validate() error {
	var problems []error
	oneOf := func(name, v string, allowed ...string) {
		for _, a := range allowed {
			if v == a {
				return
			}
		}
		problems = append(problems, fmt.Errorf("switch %s is %q, must be one of %q", name, v, allowed))
	}
	oneOf("bounds", s.Bounds, "", "[)", "(]", "[]", "()")
	oneOf("total", s.Total, "", "absent", "low", "high")
	oneOf("links", s.Links, "", "none", "always")
	oneOf("associatedEntityParam", s.AssociatedEntityParam, "", "union", "both")
	oneOf("testLeads", s.TestLeads, "", "false_excludes", "omitted_excludes")
	oneOf("refreshAnswer", s.RefreshAnswer, "", "rotated", "absent")
	switch s.DeletedStatus {
	case 0, 403, 404, 410:
	default:
		problems = append(problems, fmt.Errorf("switch deletedStatus is %d, must be 404, 403 or 410", s.DeletedStatus))
	}
	switch s.NotificationDeleteStatus {
	case 0, 200, 204:
	default:
		problems = append(problems, fmt.Errorf("switch notificationDeleteStatus is %d, must be 204 or 200", s.NotificationDeleteStatus))
	}
	switch s.RoleMissingStatus {
	case 0, 401, 403:
	default:
		problems = append(problems, fmt.Errorf("switch roleMissingStatus is %d, must be 403 or 401", s.RoleMissingStatus))
	}
	atLeast := func(name string, d, least time.Duration) {
		if d != 0 && d < least {
			problems = append(problems, fmt.Errorf("switch %s is %v, must be at least %v", name, d, least))
		}
	}
	atLeast("accessLife", s.AccessLife, time.Second)
	atLeast("refreshLife", s.RefreshLife, time.Second)
	atLeast("occurredAfter", s.OccurredAfter, 0)
	atLeast("webhookRetry", s.WebhookRetry, time.Millisecond)
	atLeast("webhookRetryFor", s.WebhookRetryFor, time.Millisecond)
	atLeast("webhookTimeout", s.WebhookTimeout, time.Millisecond)
	for _, n := range []int{s.MaxResponses, s.MaxEvents, s.MaxForms, s.MaxACLs, s.DailyBudget, int(s.FreshTokenLag)} {
		if n < 0 {
			problems = append(problems, fmt.Errorf("a switch is %d, must not be negative", n))
		}
	}
	return errors.Join(problems...)
}

// orDefault is n, or the default when n is 0.
func orDefault[N int | time.Duration](n, otherwise N) N {
	if n == 0 {
		return otherwise
	}
	return n
}
