package connector

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// Subscriber manages LinkedIn's promises to notify a webhook.
type Subscriber interface {
	// Subscriptions are those of the source, whoever asked for them.
	Subscriptions(ctx context.Context, src lead.Source) ([]lead.Subscription, error)
	// Subscribe adds one, also where there is the same already.
	Subscribe(ctx context.Context, src lead.Source, webhook string) (id string, err error)
	// Unsubscribe ends one; one that is gone is no error.
	Unsubscribe(ctx context.Context, id string) error
}

// repairEvery is how often a source's subscription is looked at: LinkedIn does
// not say what ends one.
const repairEvery = 24 * time.Hour

// subscription is what is known of that of a source.
type subscription struct {
	seen time.Time // when it was last as it should be
}

// subscriptions keeps one subscription for each source that can be read. One
// that cannot be had is tried again at the next discovery interval; polls go on
// without.
type subscriptions struct{ *session }

// run looks at all of them now and then.
func (u *subscriptions) run(ctx context.Context) error {
	known := map[lead.Source]*subscription{}
	for {
		readable := u.readable()
		for src := range known { // without the role LinkedIn may end it: looked at anew with the role
			if !slices.Contains(readable, src) {
				delete(known, src)
				u.issues.Resolve(subscribingTo(src))
				u.subscribed(src, false)
			}
		}
		for _, src := range readable {
			s := known[src]
			if s == nil {
				s = &subscription{}
				known[src] = s
			}
			if u.opts.Now().Sub(s.seen) < repairEvery {
				continue
			}
			err := u.subscribe(ctx, src)
			if ctx.Err() != nil {
				return nil
			}
			u.recordResult(src, s, err)
		}
		wait := u.opts.Discovery
		if len(readable) == 0 { // discovery has just begun
			wait = min(wait, time.Second)
		}
		if fault.Sleep(ctx, wait) != nil {
			return nil
		}
	}
}

// recordResult takes note of how a look at a source's subscription went. That it cannot
// be had is said once, and so is that it is there again.
func (u *subscriptions) recordResult(src lead.Source, s *subscription, err error) {
	u.subscribed(src, err == nil)
	if err == nil {
		*s = subscription{seen: u.opts.Now()}
		u.issues.Resolve(subscribingTo(src))
		return
	}
	u.issues.ReportAs(src.Owner, subscribingTo(src), "no notifications from LinkedIn; its leads are found by polling", err)
}

func subscribingTo(src lead.Source) string {
	return "subscribing to the notifications of " + src.String()
}

// readable are the sources whose organizations can be read.
func (u *subscriptions) readable() []lead.Source {
	var readable []lead.Source
	for _, org := range u.catalog.organizations() {
		for _, kind := range u.opts.LeadTypes {
			if org.Problem == "" {
				readable = append(readable, lead.Source{Owner: org.URN, Type: kind})
			}
		}
	}
	return readable
}

// subscribed notes how the subscription of a source fares.
func (u *subscriptions) subscribed(src lead.Source, ok bool) {
	u.sources.set(src, func(s *sourceState) { s.notified = ok })
}

// subscribe makes sure that there is exactly one subscription of the source to
// our webhook. Those to other addresses are somebody else's.
func (u *subscriptions) subscribe(ctx context.Context, src lead.Source) error {
	all, err := u.opts.Subscriber.Subscriptions(ctx, src)
	if err != nil {
		return err
	}
	kept := ""
	for _, s := range all {
		switch {
		case s.Webhook != u.opts.Webhook || s.Narrowed:
		case kept == "":
			kept = s.ID
		default: // LinkedIn takes the same subscription twice, and then notifies twice
			if err := u.opts.Subscriber.Unsubscribe(ctx, s.ID); err != nil {
				return fmt.Errorf("ending the second of two subscriptions: %w", err)
			}
		}
	}
	if kept != "" {
		return nil
	}
	id, err := u.opts.Subscriber.Subscribe(ctx, src, u.opts.Webhook)
	if err != nil {
		return err
	}
	// It notifies only once its challenge of the webhook is answered, which may come
	// later and to another process.
	u.log.Info("subscribed to LinkedIn's notifications; they come once it has validated the webhook",
		zap.Stringer("source", src), zap.String("subscription", strings.TrimSpace(id)), zap.String("webhook", u.opts.Webhook))
	return nil
}
