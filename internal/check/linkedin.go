package check

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"leadstream/config"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/internal/linkedin"
	"leadstream/internal/oauth"
	"leadstream/internal/webhook"
)

// RenewFirst is how a command that changes nothing gets an access token that
// works again: by another one.
const RenewFirst = "nothing, if the connector runs: it renews the token; else leadstream forms does, then check again"

const setClock = "set this machine's clock (NTP)"

// What LinkedIn's API answers means this.
var (
	apiNotAsked = meaning{"linkedin API", Warn, "not checked, nor are the roles: %[1]v", RenewFirst}
	apiFailed   = meaning{"linkedin API", Fail, "%[1]v", "look at linkedin.api_url and the way to it"}
	apiGood     = meaning{"linkedin API", Pass, "version %[1]s is served", ""}

	clockUntold = meaning{"clock", Warn, "LinkedIn's answers tell no time (Date header), so that it cannot be compared", ""}
	clockWrong  = meaning{"clock", Fail, "it is %[1]s from LinkedIn's: records would bear a wrong time", setClock}
	clockOff    = meaning{"clock", Warn, "it is %[1]s from LinkedIn's", setClock}
	clockGood   = meaning{"clock", Pass, "within %[1]s of LinkedIn's", ""}

	subscriptionsLacking = meaning{"linkedin notifications", Warn, "LinkedIn does not have %[1]s subscribed for the leads of %[2]s",
		"leadstream run subscribes them; its log says why where it cannot"}
	subscriptionsThere = meaning{"linkedin notifications", Pass, "LinkedIn has %[1]s subscribed for all %[2]d sources", ""}
)

// apiRemedies are what to do about an error of the API, by what it is.
var apiRemedies = []struct {
	is   func(error) bool
	todo string
}{
	{fault.Has[*linkedin.BudgetError], "wait; see LinkedIn's daily limits in docs/operations.md"},
	{refusedWith(http.StatusUpgradeRequired), "set linkedin.version to a version that LinkedIn serves (its release notes list them)"},
	{refusedWith(http.StatusForbidden), "have r_organization_admin added to the LinkedIn app, then leadstream auth login"},
	{refusedWith(http.StatusUnauthorized), "leadstream auth login"},
}

func refusedWith(status int) func(error) bool {
	return func(err error) bool {
		refused, answered := errors.AsType[*linkedin.APIError](err)
		return answered && refused.Status == status
	}
}

// linkedinQuestions share the time that LinkedIn is given.
var linkedinQuestions = []precondition{
	{"", always, 0, (*checker).token, meaning{}},
	{"", tokenUsable, 0, (*checker).api, meaning{}},
	{"", apiAnswers, 0, (*checker).clock, meaning{}},
	{"", apiAnswers, 0, (*checker).organizations, meaning{}},
	{"", apiAnswers, 0, (*checker).subscriptions, meaning{"linkedin notifications", Fail, "%[1]v",
		"have the Lead Sync product added to the LinkedIn app; without notifications leads are found by polling"}},
}

func tokenUsable(k *checker) bool { return k.usable }
func apiAnswers(k *checker) bool  { return k.answers }

func (k *checker) linkedin(ctx context.Context) error {
	for _, q := range linkedinQuestions {
		k.look(ctx, q)
	}
	return nil
}

// api asks for the member's organizations, whose answer also tells version and time.
func (k *checker) api(ctx context.Context) error {
	orgs, err := k.LinkedIn.Organizations(ctx)
	switch {
	case err == nil:
		k.orgs, k.answers = orgs, true
		k.say(apiGood, k.Config.LinkedIn.Version)
	case errors.Is(err, oauth.ErrNotRenewed):
		k.say(apiNotAsked, oauth.ErrNotRenewed)
	default:
		found := apiFailed
		for _, r := range apiRemedies {
			if r.is(err) {
				found.todo = r.todo
				break
			}
		}
		k.say(found, err)
	}
	return nil
}

const (
	// skewRisky is a difference of clocks that something is wrong with; above
	// skewFatal what a topic holds would be looked for too late in it, and Kafka
	// refuses records of the future (message.timestamp.after.max.ms).
	skewRisky = time.Minute
	skewFatal = time.Hour
)

// clock compares our clock with LinkedIn's, which windows are made by.
func (k *checker) clock(context.Context) error {
	theirs, ok := k.LinkedIn.Now()
	if !ok {
		k.say(clockUntold)
		return nil
	}
	// LinkedIn's is a lower bound, less than a second behind.
	found, skew := clockGood, time.Since(theirs).Abs()
	switch {
	case skew >= skewFatal:
		found = clockWrong
	case skew >= skewRisky:
		found = clockOff
	}
	k.say(found, config.FormatDuration(max(skew, time.Second).Round(time.Second)))
	return nil
}

// subscriptions looks whether LinkedIn notifies the webhook of each
// organization that can be read.
func (k *checker) subscriptions(ctx context.Context) error {
	if k.Config.Webhook.URL == "" {
		return nil
	}
	ours := webhook.Address(k.Config.Webhook.URL)
	var lacking []string
	sources := 0
	for _, src := range k.readable() {
		found, err := k.LinkedIn.Subscriptions(ctx, src)
		if err != nil {
			return err
		}
		sources++
		if !slices.ContainsFunc(found, func(one lead.Subscription) bool { return one.Webhook == ours && !one.Narrowed }) {
			lacking = append(lacking, src.String())
		}
	}
	if len(lacking) > 0 {
		k.say(subscriptionsLacking, ours, strings.Join(lacking, ", "))
		return nil
	}
	k.say(subscriptionsThere, ours, sources)
	return nil
}

// readable are the sources of the organizations that the member may read.
func (k *checker) readable() []lead.Source {
	var list []lead.Source
	for _, org := range k.orgs {
		if org.Problem != "" {
			continue
		}
		for _, kind := range k.Config.LinkedIn.LeadTypes {
			list = append(list, lead.Source{Owner: org.URN, Type: kind})
		}
	}
	return list
}
