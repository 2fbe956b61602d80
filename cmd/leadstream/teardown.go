package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/internal/oauth"
)

// teardownFlags say what to remove.
type teardownFlags struct {
	topics, schemas, checkpoints, webhooks, tokens, all, yes bool
}

// any reports whether there is anything to remove.
func (f *teardownFlags) any() bool {
	return f.topics || f.schemas || f.checkpoints || f.webhooks || f.tokens
}

// newTeardown is "leadstream teardown".
func newTeardown(a *app) *cobra.Command {
	var f teardownFlags
	cmd := &cobra.Command{
		Use:   "teardown",
		Short: "Remove what the connector created",
		Long: `Removes what the connector of this name created, the checkpoints last, and
prints each thing that it removes. Without --yes it prints the plan, removes
nothing, and ends with 0.

Topics that held something before the connector first wrote to them are left
alone. Schemas are deleted softly, so that ids keep decoding, and for good when
the topics go as well. Refused while a connector of this name is running.
Afterwards "leadstream run" builds it all anew.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.teardown(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.topics, "topics", false, "the lead topics and the dead letters")
	flags.BoolVar(&f.schemas, "schemas", false, "the subjects in the registry")
	flags.BoolVar(&f.checkpoints, "checkpoints", false, "the progress")
	flags.BoolVar(&f.webhooks, "webhooks", false, "LinkedIn's notifications to webhook.url")
	flags.BoolVar(&f.tokens, "tokens", false, "the tokens of the consent")
	flags.BoolVar(&f.all, "all", false, "all of these, and the record of deleted leads")
	flags.BoolVar(&f.yes, "yes", false, "do it")
	a.addOutput(cmd)
	return cmd
}

// removal is one thing that a teardown removes.
type removal struct {
	Kind string `json:"kind"` // subscription, subject, topic, tokens
	Name string `json:"name"`
	Note string `json:"note,omitempty"`
	Done bool   `json:"done"`

	do func(context.Context) error // nil: it is left alone, for the reason in Note
}

func (a *app) teardown(ctx context.Context, f teardownFlags) error {
	if f.all {
		f.topics, f.schemas, f.checkpoints, f.webhooks, f.tokens = true, true, true, true, true
	}
	if !f.any() {
		return usageErrorf("say what to remove: --topics, --schemas, --checkpoints, --webhooks, --tokens or --all")
	}
	var required []string
	if f.schemas {
		required = append(required, "registry.url")
	}
	if f.webhooks && !f.all {
		required = append(required, "linkedin.client_id", "linkedin.client_secret", "webhook.url")
	}
	c, log, err := a.load(required...)
	if err != nil {
		return err
	}
	t := &demolition{flags: f, config: c}
	if t.cluster, err = newCluster(c, log); err != nil {
		return err
	}
	defer t.cluster.Close()
	if err := refuseWhileRunning(ctx, t.cluster, c.Name); err != nil {
		return err
	}
	if f.webhooks && c.Webhook.URL != "" {
		if t.system, err = build(c, log); err != nil {
			return err
		}
		defer t.system.close()
	}
	return a.demolish(ctx, t)
}

// demolish prints the plan and, when it is meant, carries it out in its order.
func (a *app) demolish(ctx context.Context, t *demolition) error {
	plan, err := t.plan(ctx)
	if err != nil {
		return err
	}
	if t.flags.yes {
		for i := range plan {
			if plan[i].do == nil {
				continue
			}
			if err = plan[i].do(ctx); err != nil {
				err = fmt.Errorf("removing %s %s (what stands before it is gone; repeat the command for the rest): %w", plan[i].Kind, plan[i].Name, err)
				break
			}
			plan[i].Done = true
		}
	}
	printed := printList(a, plan,
		column[removal]{"kind", func(r removal) string { return r.Kind }},
		column[removal]{"name", func(r removal) string { return r.Name }},
		column[removal]{"what", func(r removal) string {
			switch {
			case r.do == nil:
				return "left alone: " + r.Note
			case r.Done:
				return "removed"
			case r.Note != "":
				return "to be removed: " + r.Note
			}
			return "to be removed"
		}},
	)
	if err := errors.Join(err, printed); err != nil {
		return err
	}
	if !t.flags.yes && a.output == "table" {
		return a.print("\nNothing was removed. Repeat the command with --yes to do it.\n")
	}
	return nil
}

// demolition is a teardown under way.
type demolition struct {
	flags   teardownFlags
	config  *config.Config
	cluster *kafka.Cluster
	system  *system // with --webhooks
}

// plan is what there is to remove, in the order in which it goes: the tokens
// after what they are needed for, and the checkpoints, which know the rest, last.
func (t *demolition) plan(ctx context.Context) ([]removal, error) {
	state, err := delivery.ReadState(ctx, t.cluster, t.config.Name)
	if err != nil {
		return nil, err
	}
	var plan []removal
	for _, part := range []struct {
		wanted bool
		list   func(context.Context, delivery.State) ([]removal, error)
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

// subscriptions are those to our webhook.
func (t *demolition) subscriptions(ctx context.Context, _ delivery.State) ([]removal, error) {
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
	ours := webhookURL(t.config.Webhook.URL)
	for _, org := range orgs {
		for _, kind := range t.config.LinkedIn.LeadTypes {
			if org.Problem != "" {
				continue // it can neither be listed nor notified of
			}
			found, err := t.system.linkedin.Subscriptions(ctx, lead.Source{Owner: org.URN, Type: kind})
			if err != nil {
				return nil, err
			}
			for _, s := range found {
				if s.Webhook == ours && !s.Narrowed {
					plan = append(plan, removal{Kind: "subscription", Name: s.ID, Note: kind + " leads of " + org.URN,
						do: func(ctx context.Context) error { return t.system.linkedin.Unsubscribe(ctx, s.ID) }})
				}
			}
		}
	}
	return plan, nil
}

// subjects are those of the forms' schemas.
func (t *demolition) subjects(ctx context.Context, state delivery.State) ([]removal, error) {
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
		forGood := t.flags.topics && !state.Topics[form].Existed
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
func (t *demolition) topicOf(form string, state delivery.State) string {
	return cmp.Or(state.Topics[form].Topic, t.config.Kafka.TopicPrefix+form)
}

// topics are the lead topics and the dead letters.
func (t *demolition) topics(ctx context.Context, state delivery.State) ([]removal, error) {
	names := []string{delivery.DeadLetterTopic(t.config.Name)}
	before := map[string]bool{}
	for form := range state.Forms {
		name := t.topicOf(form, state)
		names = append(names, name)
		before[name] = state.Topics[form].Existed
	}
	return t.there(ctx, names, func(r *removal) {
		if before[r.Name] {
			r.Note, r.do = "it held something before the connector first wrote to it", nil
		}
	})
}

// internal are the checkpoints and, with --all, the record of deletions.
func (t *demolition) internal(ctx context.Context, _ delivery.State) ([]removal, error) {
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
	found, err := t.cluster.DescribeTopics(ctx, names)
	if err != nil {
		return nil, err
	}
	var plan []removal
	for _, name := range slices.Sorted(maps.Keys(found)) {
		r := removal{Kind: "topic", Name: name, do: func(ctx context.Context) error { return t.cluster.DeleteTopics(ctx, []string{name}) }}
		adjust(&r)
		plan = append(plan, r)
	}
	return plan, nil
}

// tokens are those of the consent.
func (t *demolition) tokens(ctx context.Context, _ delivery.State) ([]removal, error) {
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
