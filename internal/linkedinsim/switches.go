package linkedinsim

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Switches choose among behaviours that LinkedIn does not document or that
// differ between apps. The zero value of each field is the default, which is
// what LinkedIn's text or most observations say. A field is one of those that
// are allowed, and at least its least, which is 0.
type Switches struct {
	Bounds      string `json:"bounds,omitempty" allowed:"[) (] [] ()"` // of submittedAtTimeRange, default "[)"
	OldestFirst bool   `json:"oldestFirst,omitempty"`                  // lists leads by rising submittedAt; default newest first
	// The greatest counts accepted; default 100, 50, 100 and 100.
	MaxResponses int `json:"maxResponses,omitempty"`
	MaxEvents    int `json:"maxEvents,omitempty"`
	MaxForms     int `json:"maxForms,omitempty"`
	MaxACLs      int `json:"maxAcls,omitempty"`
	// Total is paging.total of responses and events: "" counts the rows before
	// some are dropped, "absent" leaves it out, "low" counts the page's elements
	// only, "high" is more than there are. Roles never have a total.
	Total string `json:"total,omitempty" allowed:"absent low high"`
	// Links are paging.links: "" has a next link on full pages only, "none" has
	// no links, "always" has a next link wherever rows follow.
	Links string `json:"links,omitempty" allowed:"none always"`

	AssociatedEventKey bool `json:"associatedEventKey,omitempty"` // names the event of a lead associatedEvent; default event
	// AssociatedEntityParam is the form of the associatedEntity parameter: ""
	// wants the bare URN, "union" wants (event:urn), "both" takes either.
	AssociatedEntityParam string `json:"associatedEntityParam,omitempty" allowed:"union both"`
	// UnversionedEventForm makes an event name its form as urn:li:leadGenForm;
	// default urn:li:versionedLeadGenForm.
	UnversionedEventForm bool `json:"unversionedEventForm,omitempty"`
	// FormFinderDropsPast leaves past and cancelled events out of
	// organizerLeadGenFormEnabledEvents.
	FormFinderDropsPast bool `json:"formFinderDropsPast,omitempty"`
	DeletedStatus       int  `json:"deletedStatus,omitempty" allowed:"404 403 410"` // answers the GET of a deleted lead; default 404
	DeletedListed       bool `json:"deletedListed,omitempty"`                       // keeps deleted leads in the finder
	// ReplacedVanish takes the earlier submission out of the finder when the same
	// id is submitted again; default both are listed.
	ReplacedVanish bool `json:"replacedVanish,omitempty"`
	// TestLeads is what limitedToTestLeads means besides true: "" lists test leads
	// when it is false or omitted, "false_excludes" leaves them out when it is
	// false, "omitted_excludes" when it is false or omitted.
	TestLeads string `json:"testLeads,omitempty" allowed:"false_excludes omitted_excludes"`
	// InlinedCurrent makes the form:(…) projection of a response give the form's
	// current version; default the version that was answered.
	InlinedCurrent bool `json:"inlinedCurrent,omitempty"`
	InfoAlways     bool `json:"infoAlways,omitempty"`     // gives the info members of leads without projection too
	BlankInFormURN bool `json:"blankInFormUrn,omitempty"` // prints a blank after the comma of a versioned form's URN

	RefuseUnknown      bool `json:"refuseUnknown,omitempty"`      // answers unknown query parameters with 400; default ignored
	AcceptEncodedUnion bool `json:"acceptEncodedUnion,omitempty"` // takes %28organization%3A…%29 as the union; default 400
	RefuseFields       bool `json:"refuseFields,omitempty"`       // answers the fields parameter of responses with 400
	// VersionMissingBare leaves the code out of the answer to a request without
	// LinkedIn-Version.
	VersionMissingBare bool `json:"versionMissingBare,omitempty"`
	VanityNameFinder   bool `json:"vanityNameFinder,omitempty"` // offers organizations?q=vanityName

	// RolesWithoutAdminScope lets organizationAcls answer to a token that has
	// lead and event scopes only.
	RolesWithoutAdminScope bool `json:"rolesWithoutAdminScope,omitempty"`
	// RoleMissingStatus answers a member without the role, with code ACCESS_DENIED;
	// default 403.
	RoleMissingStatus  int  `json:"roleMissingStatus,omitempty" allowed:"403 401"`
	OrganizationTarget bool `json:"organizationTarget,omitempty"` // names the organization of a role organizationTarget

	RetryAfter   bool `json:"retryAfter,omitempty"`   // puts a Retry-After header on 429
	BareThrottle bool `json:"bareThrottle,omitempty"` // leaves the name of the limit out of the 429 of a day's limit
	// DailyBudget is how many requests one endpoint answers per UTC day before
	// 429; 0 is no limit.
	DailyBudget int `json:"dailyBudget,omitempty"`

	// How long tokens live that are issued from now on; 0 is as Config says.
	AccessLife  time.Duration `json:"accessLife,omitempty" least:"1s"`
	RefreshLife time.Duration `json:"refreshLife,omitempty" least:"1s"`
	// WithheldScopes are scopes, separated by blanks, that a consent does not grant
	// although the app asks for them. By LinkedIn's text there is no such consent.
	WithheldScopes string `json:"withheldScopes,omitempty"`
	BearerOnly     bool   `json:"bearerOnly,omitempty"` // issues no refresh tokens
	// RefreshAnswer is what a refresh says of the refresh token: "" repeats it,
	// "rotated" gives a new one and kills the old, "absent" leaves it out.
	RefreshAnswer string `json:"refreshAnswer,omitempty" allowed:"rotated absent"`
	// RefreshLifeInMinutes prints refresh_token_expires_in in minutes, as one of
	// LinkedIn's samples does.
	RefreshLifeInMinutes bool          `json:"refreshLifeInMinutes,omitempty"`
	SpacesInScope        bool          `json:"spacesInScope,omitempty"`     // separates the token answer's scopes by spaces; default commas
	FreshTokenLag        time.Duration `json:"freshTokenLag,omitempty"`     // how long a new token is answered as revoked
	IntrospectionBare    bool          `json:"introspectionBare,omitempty"` // tells only active and status of an expired or revoked token
	IntrospectRefresh    bool          `json:"introspectRefresh,omitempty"` // answers for refresh tokens too; default they are unknown
	SkipConsent          bool          `json:"skipConsent,omitempty"`       // shows no consent page to a member who has granted the same scopes

	// LocalWebhooks accepts webhooks that are not public HTTPS, which LinkedIn
	// refuses: plain http, this machine and private networks. For tests.
	LocalWebhooks bool `json:"localWebhooks,omitempty"`
	// RefuseUnvalidated makes the handshake before the request to create a
	// notification is answered, and answers 400 when it fails; default afterwards.
	RefuseUnvalidated        bool          `json:"refuseUnvalidated,omitempty"`
	ChallengeBare            bool          `json:"challengeBare,omitempty"`                              // leaves applicationId out of the challenge
	SignaturePrefixed        bool          `json:"signaturePrefixed,omitempty"`                          // writes hmacsha256= before the signature in the header
	SignatureOfBody          bool          `json:"signatureOfBody,omitempty"`                            // signs the bare body; default hmacsha256= and the body
	OccurredInSeconds        bool          `json:"occurredInSeconds,omitempty"`                          // gives occurredAt in epoch seconds; default milliseconds
	OccurredAfter            time.Duration `json:"occurredAfter,omitempty"`                              // how long after submittedAt the occurredAt of CREATED is
	BlankInNotice            bool          `json:"blankInNotice,omitempty"`                              // BlankInFormURN for notifications, as in LinkedIn's samples
	NotificationDeleteStatus int           `json:"notificationDeleteStatus,omitempty" allowed:"204 200"` // answers the DELETE of a notification; default 204
	// WebhookDiesWithRole deletes the notifications of a member who loses the
	// role that reading their leads needs; default they stay.
	WebhookDiesWithRole bool `json:"webhookDiesWithRole,omitempty"`
	// WebhookRetry is how long after a delivery that was not taken the next
	// attempt follows, WebhookRetryFor how long after the first attempt there is
	// none any more, and WebhookTimeout how long an attempt waits for the answer;
	// default 5 minutes, 8 hours and 10 seconds, by the base clock.
	WebhookRetry    time.Duration `json:"webhookRetry,omitempty" least:"1ms"`
	WebhookRetryFor time.Duration `json:"webhookRetryFor,omitempty" least:"1ms"`
	WebhookTimeout  time.Duration `json:"webhookTimeout,omitempty" least:"1ms"`
}

// validate reports every switch that is not allowed.
func (s Switches) validate() error {
	var problems []error
	for field, value := range reflect.ValueOf(s).Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		allowed, limited := field.Tag.Lookup("allowed")
		least, _ := time.ParseDuration(field.Tag.Get("least")) // nothing is 0
		switch {
		case value.IsZero():
		case limited && !slices.Contains(strings.Fields(allowed), fmt.Sprint(value)):
			problems = append(problems, fmt.Errorf("switch %s is %v, must be one of: %s", name, value, allowed))
		case value.CanInt() && value.Int() < int64(least):
			problems = append(problems, fmt.Errorf("switch %s is %v, must be at least %v", name, value, least))
		}
	}
	return errors.Join(problems...)
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

// variant is one of Variants or NotificationVariants.
func variant(name string) (Switches, error) {
	all := Variants()
	maps.Copy(all, NotificationVariants())
	sw, known := all[name]
	if !known {
		return sw, fmt.Errorf("there is no variant %q", name)
	}
	return sw, nil
}
