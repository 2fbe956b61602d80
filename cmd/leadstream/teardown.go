package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
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

Topics that hold anything else than this installation's leads are left alone,
and so is a topic in which nothing tells whose it is. Schemas are deleted softly, so that ids keep decoding, and for good when
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
