package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/oauth"
)

// What is found of the consent means this.
var (
	tokenUnusable  = meaning{"linkedin token", Fail, "%[1]s", "%[2]s"}
	tokenFresh     = meaning{"linkedin token", Warn, "%[1]s", "nothing; check again in half a minute"}
	tokenExpired   = meaning{"linkedin token", Warn, "%[1]s", RenewFirst}
	tokenNoted     = meaning{"linkedin token", Warn, "%[1]s", "leadstream auth login"}
	tokenUnchecked = meaning{"linkedin token", Warn, "LinkedIn could not be asked about it: %[1]v", "look at linkedin.auth_url and the way to it"}
	tokenGood      = meaning{"linkedin token", Pass, "%[1]s", ""}

	tokenUnreadable = meaning{"linkedin token", Fail, "%[1]v", "fix token.file or token.passphrase, or consent anew: leadstream auth login"}
	tokenForbidden  = meaning{"linkedin token", Fail, "%[1]v", "%[2]s"}
	tokenKafkaAway  = meaning{"linkedin token", Fail, "%[1]v", "look at kafka.brokers, kafka.tls and kafka.sasl; a new consent does not help"}

	scopesMissing = meaning{"linkedin scopes", Fail, "missing: %[1]s", "have the products that give them added to the LinkedIn app, then leadstream auth login"}
	scopesThere   = meaning{"linkedin scopes", Pass, "%[1]s", ""}
)

// token looks at the consent, and notes whether anything can be asked with it.
func (k *checker) token(ctx context.Context) error {
	if k.away != nil && k.Config.Token.Store == "kafka" {
		k.unreadable(k.away)
		return nil
	}
	st, err := k.Session.Status(ctx)
	if err != nil {
		k.unreadable(err)
		return nil
	}
	k.usable = st.Usable
	switch {
	case !st.Usable:
		k.say(tokenUnusable, st.Problem, st.Todo)
	case st.Fresh:
		k.say(tokenFresh, st.Note)
	case st.Note != "" && expired(st):
		k.say(tokenExpired, st.Note)
	case st.Note != "":
		k.say(tokenNoted, st.Note)
	case st.Unchecked != nil:
		k.say(tokenUnchecked, st.Unchecked)
	default:
		k.say(tokenGood, life(st))
	}
	switch {
	case len(st.Missing) > 0:
		k.say(scopesMissing, strings.Join(st.Missing, ", "))
	case st.Usable:
		k.say(scopesThere, strings.Join(st.Scopes, ", "))
	}
	return nil
}

func expired(st oauth.Status) bool {
	return st.LinkedIn == "expired" || st.AccessDaysLeft != nil && *st.AccessDaysLeft < 0
}

// unreadable says why the tokens cannot be read where they are kept. Where that
// is Kafka, another consent could not be stored either.
func (k *checker) unreadable(err error) {
	missing, refused := errors.AsType[*kafka.AuthorizationError](err)
	switch {
	case k.Config.Token.Store != "kafka" || fault.Has[*oauth.RecordError](err):
		k.say(tokenUnreadable, err)
	case refused:
		k.say(tokenForbidden, err, aclCommand(k.Config, *missing, false))
	case fault.Has[*kafka.UnreachableError](err):
		k.say(tokenKafkaAway, fmt.Errorf("the tokens are kept in Kafka, which cannot be reached: %w", err))
	default:
		k.say(tokenKafkaAway, err)
	}
}

// life says how long a usable connection lasts.
func life(st oauth.Status) string {
	text := "access token until " + st.AccessExpiresAt.Format(time.DateOnly)
	if st.Refreshable {
		text += ", renewed by itself until " + st.RefreshExpiresAt.Format(time.DateOnly)
	}
	return text
}
