package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"leadstream/config"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/internal/linkedin"
	"leadstream/internal/oauth"
	"leadstream/internal/webhook"
)

func (k *checker) linkedin(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*Timeout)
	defer cancel()
	if !k.token(ctx) {
		return
	}
	orgs, err := k.LinkedIn.Organizations(ctx)
	if err != nil {
		k.api(err)
		return
	}
	k.pass("linkedin API", "version %s is served", k.Config.LinkedIn.Version)
	k.clock()
	k.organizations(ctx, orgs)
	k.subscriptions(ctx, orgs)
}

// subscriptions looks whether LinkedIn notifies the webhook of each
// organization that can be read.
func (k *checker) subscriptions(ctx context.Context, orgs []lead.Organization) {
	const check = "linkedin notifications"
	if k.Config.Webhook.URL == "" {
		return
	}
	ours := webhook.Address(k.Config.Webhook.URL)
	var lacking []string
	sources := 0
	for _, org := range orgs {
		if org.Problem != "" {
			continue
		}
		for _, kind := range k.Config.LinkedIn.LeadTypes {
			src := lead.Source{Owner: org.URN, Type: kind}
			found, err := k.LinkedIn.Subscriptions(ctx, src)
			if err != nil {
				k.fail(check, "have the Lead Sync product added to the LinkedIn app; without notifications leads are found by polling", err)
				return
			}
			sources++
			if !slices.ContainsFunc(found, func(one lead.Subscription) bool { return one.Webhook == ours && !one.Narrowed }) {
				lacking = append(lacking, src.String())
			}
		}
	}
	if len(lacking) > 0 {
		k.warn(check, "leadstream run subscribes them; its log says why where it cannot", "LinkedIn does not have %s subscribed for the leads of %s", ours, strings.Join(lacking, ", "))
		return
	}
	k.pass(check, "LinkedIn has %s subscribed for all %d sources", ours, sources)
}

// token looks at the consent; false when nothing can be asked with it.
func (k *checker) token(ctx context.Context) bool {
	if k.away != nil && k.Config.Token.Store == "kafka" {
		k.unreadable(k.away)
		return false
	}
	st, err := k.Session.Status(ctx)
	switch {
	case err != nil:
		k.unreadable(err)
		return false
	case !st.Usable:
		k.fail("linkedin token", st.Todo, errors.New(st.Problem))
		if len(st.Missing) > 0 {
			k.scopes(st)
		}
		return false
	case st.Fresh:
		k.warn("linkedin token", "nothing; check again in half a minute", "%s", st.Note)
	case st.Note != "":
		k.warn("linkedin token", noteTodo(st), "%s", st.Note)
	case st.Unchecked != nil:
		k.warn("linkedin token", "look at linkedin.auth_url and the way to it", "LinkedIn could not be asked about it: %v", st.Unchecked)
	default:
		k.pass("linkedin token", "%s", life(st))
	}
	k.scopes(st)
	return true
}

// unreadable says why the tokens cannot be read where they are kept. Where that
// is Kafka, another consent could not be stored either.
func (k *checker) unreadable(err error) {
	const check = "linkedin token"
	if k.Config.Token.Store != "kafka" || is[*oauth.RecordError](err) {
		k.fail(check, "fix token.file or token.passphrase, or consent anew: leadstream auth login", err)
		return
	}
	if missing, refused := errors.AsType[*kafka.AuthorizationError](err); refused {
		k.fail(check, aclCommand(k.Config, *missing, false), err)
		return
	}
	if is[*kafka.UnreachableError](err) {
		err = fmt.Errorf("the tokens are kept in Kafka, which cannot be reached: %w", err)
	}
	k.fail(check, "look at kafka.brokers, kafka.tls and kafka.sasl; a new consent does not help", err)
}

func (k *checker) scopes(st oauth.Status) {
	if len(st.Missing) > 0 {
		k.failf("linkedin scopes", "have the products that give them added to the LinkedIn app, then leadstream auth login", "missing: %s", strings.Join(st.Missing, ", "))
		return
	}
	k.pass("linkedin scopes", "%s", strings.Join(st.Scopes, ", "))
}

// RenewFirst is how a command that changes nothing gets an access token that
// works again: by another one.
const RenewFirst = "nothing, if the connector runs: it renews the token; else leadstream forms does, then check again"

// noteTodo is what to do about what deserves attention although it works.
func noteTodo(st oauth.Status) string {
	if st.LinkedIn == "expired" || st.AccessDaysLeft != nil && *st.AccessDaysLeft < 0 {
		return RenewFirst
	}
	return "leadstream auth login"
}

// life says how long a usable connection lasts.
func life(st oauth.Status) string {
	text := "access token until " + st.AccessExpiresAt.Format(time.DateOnly)
	if st.Refreshable {
		text += ", renewed by itself until " + st.RefreshExpiresAt.Format(time.DateOnly)
	}
	return text
}

// api says why LinkedIn's API does not answer.
func (k *checker) api(err error) {
	if errors.Is(err, oauth.ErrNotRenewed) {
		k.warn("linkedin API", RenewFirst, "not checked, nor are the roles: %v", oauth.ErrNotRenewed)
		return
	}
	todo := "look at linkedin.api_url and the way to it"
	switch refused, answered := errors.AsType[*linkedin.APIError](err); {
	case is[*linkedin.BudgetError](err):
		todo = "wait; see LinkedIn's daily limits in docs/operations.md"
	case answered && refused.Status == http.StatusUpgradeRequired:
		todo = "set linkedin.version to a version that LinkedIn serves (its release notes list them)"
	case answered && refused.Status == http.StatusForbidden:
		todo = "have r_organization_admin added to the LinkedIn app, then leadstream auth login"
	case answered && refused.Status == http.StatusUnauthorized:
		todo = "leadstream auth login"
	}
	k.fail("linkedin API", todo, err)
}

const (
	// skewRisky is a difference of clocks that something is wrong with; above
	// skewFatal what a topic holds would be looked for too late in it, and Kafka
	// refuses records of the future (message.timestamp.after.max.ms).
	skewRisky = time.Minute
	skewFatal = time.Hour
)

// clock compares our clock with LinkedIn's, which windows are made by.
func (k *checker) clock() {
	const check = "clock"
	theirs, ok := k.LinkedIn.Now()
	if !ok {
		k.warn(check, "", "LinkedIn's answers tell no time (Date header), so that it cannot be compared")
		return
	}
	// LinkedIn's is a lower bound, less than a second behind.
	switch ahead := time.Since(theirs); {
	case ahead.Abs() >= skewFatal:
		k.failf(check, "set this machine's clock (NTP)", "it is %s from LinkedIn's: records would bear a wrong time", shortSpan(ahead))
	case ahead.Abs() >= skewRisky:
		k.warn(check, "set this machine's clock (NTP)", "it is %s from LinkedIn's", shortSpan(ahead))
	default:
		k.pass(check, "within %s of LinkedIn's", shortSpan(max(ahead.Abs(), time.Second)))
	}
}

func shortSpan(d time.Duration) string { return config.FormatDuration(d.Abs().Round(time.Second)) }

// organizations looks at roles, and whether leads can really be read.
func (k *checker) organizations(ctx context.Context, orgs []lead.Organization) {
	if len(orgs) == 0 {
		k.warn("linkedin organizations", "let an administrator of the page consent, or give this member the role", "the member has no role on any organization")
	}
	orgs = k.withLost(orgs)
	problems := k.tryReading(ctx, orgs)
	forms := k.tryForms(ctx, orgs)
	for i, o := range orgs {
		check := "organization " + o.URN
		switch {
		case o.Incidental:
			k.warn(check, "nothing, unless its leads are wanted: then "+o.Todo, "%s", o.Problem)
		case o.Problem != "":
			k.fail(check, o.Todo+"; or let linkedin.organizations name the others alone", errors.New(o.Problem))
		case problems[i] != nil:
			k.fail(check, "give the member the role that these leads take, or take the lead type out of linkedin.lead_types", problems[i])
		case i >= triedOrganizations:
			k.pass(check, "%s: %s", o.Name, strings.Join(o.Roles, ", "))
		default:
			k.pass(check, "%s: %s; its leads can be read, and %d lead forms", o.Name, strings.Join(o.Roles, ", "), forms[i].read)
		}
	}
	k.formFindings(forms)
}

// withLost adds the organizations that were read before and on which the member
// has no role any more. Where that is refused to it which was read before, the
// role was lost, whoever asked for the page.
func (k *checker) withLost(orgs []lead.Organization) []lead.Organization {
	wanted := k.Config.LinkedIn.Organizations
	problem, todo := lead.Access(nil)
	for src := range k.state.Sources {
		i := slices.IndexFunc(orgs, func(o lead.Organization) bool { return o.URN == src.Owner })
		switch {
		case i >= 0:
			orgs[i].Incidental = false
		case len(wanted) == 0:
			orgs = append(orgs, lead.Organization{URN: src.Owner, Problem: problem, Todo: todo})
		}
	}
	slices.SortFunc(orgs, func(a, b lead.Organization) int { return strings.Compare(a.URN, b.URN) })
	return orgs
}

// triedOrganizations are as many as leads are really read of: one request for
// each lead type. The others are judged by their roles.
const triedOrganizations = 20

// tryReading reads the leads of the last minute of each organization.
func (k *checker) tryReading(ctx context.Context, orgs []lead.Organization) []error {
	problems := make([]error, len(orgs))
	now, ok := k.LinkedIn.Now()
	if !ok {
		now = time.Now()
	}
	w := lead.Window{From: now.Add(-time.Minute), To: now}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(k.Config.Poll.Concurrency)
	for i, o := range orgs[:min(len(orgs), triedOrganizations)] {
		if o.Problem != "" {
			continue
		}
		group.Go(func() error {
			for _, kind := range k.Config.LinkedIn.LeadTypes {
				err := k.LinkedIn.Responses(ctx, lead.Source{Owner: o.URN, Type: kind}, w, 1, func([]lead.Response) error { return nil })
				if err != nil && !is[*linkedin.TooManyError](err) {
					problems[i] = errors.Join(problems[i], fmt.Errorf("%s leads: %w", kind, err))
				}
			}
			return nil
		})
	}
	_ = group.Wait() // each problem is its organization's own
	return problems
}
