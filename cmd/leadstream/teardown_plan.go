package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/internal/oauth"
	"leadstream/internal/webhook"
)

// demolition is a teardown under way.
type demolition struct {
	flags   teardownFlags
	config  *config.Config
	cluster *kafka.Client
	system  *system // with --webhooks
	// others says by topic of a form what it holds that is not ours.
	others map[string]string
}

// plan is what there is to remove, in the order in which it goes: the tokens
// after what they are needed for, and the checkpoints, which know the rest, last.
func (t *demolition) plan(ctx context.Context) ([]removal, error) {
	state, err := t.state(ctx)
	if err != nil {
		return nil, err
	}
	if t.flags.topics {
		if err := t.lookInto(ctx, state); err != nil {
			return nil, err
		}
	}
	var plan []removal
	for _, part := range []struct {
		wanted bool
		list   func(context.Context, checkpoint.State) ([]removal, error)
	}{
		{t.flags.webhooks, t.subscriptions}, {t.flags.schemas, t.subjects}, {t.flags.topics, t.topics},
		{t.flags.tokens, t.tokens}, {t.flags.checkpoints, t.internal},
	} {
		if !part.wanted {
			continue
		}
		list, err := part.list(ctx, state)
		if err != nil {
			return nil, err
		}
		plan = append(plan, list...)
	}
	return plan, nil
}

func (t *demolition) state(ctx context.Context) (checkpoint.State, error) {
	if t.system != nil { // LinkedIn will be asked
		return t.system.state(ctx)
	}
	return delivery.ReadState(ctx, t.cluster, t.config.Name)
}

// lookInto finds out which of the forms' topics hold what is not ours.
func (t *demolition) lookInto(ctx context.Context, state checkpoint.State) error {
	existed := map[string]bool{}
	for form := range state.Forms {
		existed[t.topicOf(form, state)] = state.Topics[form].Existed
	}
	found, err := t.cluster.Admin.DescribeTopics(ctx, slices.Sorted(maps.Keys(existed)))
	if err != nil {
		return err
	}
	t.others = map[string]string{}
	for topic, before := range existed {
		if _, there := found[topic]; !there {
			if before { // whose it was cannot be told any more
				t.others[topic] = "nothing any more"
			}
			continue
		}
		others, err := delivery.Others(ctx, t.cluster, topic, t.config.Name, before)
		if err != nil {
			return err
		}
		if others != "" {
			t.others[topic] = others
		}
	}
	return nil
}

// subscriptions are those to our webhook.
func (t *demolition) subscriptions(ctx context.Context, _ checkpoint.State) ([]removal, error) {
	if t.system == nil {
		return nil, nil // --all without webhook.url: there are none of ours
	}
	orgs, err := t.system.linkedin.Organizations(ctx)
	if t.flags.all && errors.Is(err, oauth.ErrConsentNeeded) { // the rest can go without LinkedIn
		return []removal{{Kind: "subscriptions", Name: t.config.Webhook.URL, Note: "without a consent LinkedIn cannot be asked to end them"}}, nil
	}
	if err != nil {
		return nil, err
	}
	var plan []removal
	for _, org := range orgs {
		if org.Problem != "" { // it can neither be listed nor notified of
			plan = append(plan, removal{Kind: "subscriptions", Name: org.URN, Note: org.Problem + "; " + org.Todo})
			continue
		}
		for _, kind := range t.config.LinkedIn.LeadTypes {
			ours, err := t.subscriptionsOf(ctx, lead.Source{Owner: org.URN, Type: kind})
			if fault.KindOf(err) == fault.Suspend {
				ours, err = []removal{{Kind: "subscriptions", Name: org.URN, Note: err.Error()}}, nil
			}
			if err != nil {
				return nil, err
			}
			plan = append(plan, ours...)
		}
	}
	return plan, nil
}

// subscriptionsOf are those of one source to our webhook.
func (t *demolition) subscriptionsOf(ctx context.Context, src lead.Source) ([]removal, error) {
	found, err := t.system.linkedin.Subscriptions(ctx, src)
	if err != nil {
		return nil, err
	}
	var plan []removal
	for _, s := range found {
		if s.Webhook == webhook.Address(t.config.Webhook.URL) && !s.Narrowed {
			plan = append(plan, removal{Kind: "subscription", Name: s.ID, Note: src.Type + " leads of " + src.Owner,
				do: func(ctx context.Context) error { return t.system.linkedin.Unsubscribe(ctx, s.ID) }})
		}
	}
	return plan, nil
}

// subjects are those of the forms' schemas.
func (t *demolition) subjects(ctx context.Context, state checkpoint.State) ([]removal, error) {
	registry, err := newRegistry(t.config)
	if err != nil {
		return nil, err
	}
	defer registry.Close()
	var plan []removal
	for _, form := range slices.Sorted(maps.Keys(state.Forms)) {
		subject := t.topicOf(form, state) + "-value"
		versions, err := registry.Versions(ctx, subject)
		if err != nil {
			return nil, err
		}
		forGood := t.flags.topics && t.others[t.topicOf(form, state)] == ""
		if len(versions) == 0 && !forGood {
			continue
		}
		note := "softly: ids keep decoding"
		if forGood {
			note = "for good"
		}
		plan = append(plan, removal{Kind: "subject", Name: subject, Note: note, do: func(ctx context.Context) error {
			registry, err := newRegistry(t.config)
			if err != nil {
				return err
			}
			defer registry.Close()
			return registry.Delete(ctx, subject, forGood)
		}})
	}
	return plan, nil
}

// topicOf is where a form's leads were published, under whatever prefix.
func (t *demolition) topicOf(form string, state checkpoint.State) string {
	return cmp.Or(state.Topics[form].Topic, t.config.Kafka.TopicPrefix+form)
}

// topics are the lead topics and the dead letters.
func (t *demolition) topics(ctx context.Context, state checkpoint.State) ([]removal, error) {
	names := []string{delivery.DeadLetterTopic(t.config.Name)}
	for form := range state.Forms {
		names = append(names, t.topicOf(form, state))
	}
	return t.there(ctx, names, func(r *removal) {
		if others := t.others[r.Name]; others != "" {
			r.Note, r.do = "it holds "+others, nil
		}
	})
}

// internal are the checkpoints and, with --all, the record of deletions.
func (t *demolition) internal(ctx context.Context, _ checkpoint.State) ([]removal, error) {
	var names []string
	if t.flags.all {
		names = append(names, delivery.DeletionsTopic(t.config.Name))
	}
	deletions, err := t.there(ctx, names, func(r *removal) { r.Note = "deleted leads may come back by a replay" })
	if err != nil {
		return nil, err
	}
	checkpoints, err := t.there(ctx, []string{delivery.CheckpointTopic(t.config.Name)}, func(r *removal) {
		if t.config.Token.Store == "kafka" {
			r.Note = "and the tokens in it"
		}
	})
	return append(deletions, checkpoints...), err
}

// there are the removals of those topics that exist.
func (t *demolition) there(ctx context.Context, names []string, adjust func(*removal)) ([]removal, error) {
	if len(names) == 0 {
		return nil, nil
	}
	found, err := t.cluster.Admin.DescribeTopics(ctx, names)
	if err != nil {
		return nil, err
	}
	var plan []removal
	for _, name := range slices.Sorted(maps.Keys(found)) {
		r := removal{Kind: "topic", Name: name, do: func(ctx context.Context) error { return t.cluster.Admin.DeleteTopics(ctx, []string{name}) }}
		adjust(&r)
		plan = append(plan, r)
	}
	return plan, nil
}

// tokens are those of the consent.
func (t *demolition) tokens(ctx context.Context, _ checkpoint.State) ([]removal, error) {
	store := newTokenStore(t.config, t.cluster, zap.NewNop())
	if _, err := store.Load(ctx); errors.Is(err, oauth.ErrNoToken) {
		return nil, nil
	}
	return []removal{{Kind: "tokens", Name: tokenPlace(t.config), do: func(ctx context.Context) error {
		_, err := oauth.Logout(ctx, store)
		if errors.Is(err, oauth.ErrNoToken) {
			return nil
		}
		return err
	}}}, nil
}
