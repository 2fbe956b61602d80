package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"leadstream/internal/teardown"
)

// newTeardown is "leadstream teardown".
func newTeardown(a *app) *cobra.Command {
	var choice teardown.Choice
	var yes bool
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
		RunE: func(cmd *cobra.Command, _ []string) error { return a.teardown(cmd.Context(), choice, yes) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&choice.Topics, "topics", false, "the lead topics and the dead letters")
	flags.BoolVar(&choice.Schemas, "schemas", false, "the subjects in the registry")
	flags.BoolVar(&choice.Checkpoints, "checkpoints", false, "the progress")
	flags.BoolVar(&choice.Webhooks, "webhooks", false, "LinkedIn's notifications to webhook.url")
	flags.BoolVar(&choice.Tokens, "tokens", false, "the tokens of the consent")
	flags.BoolVar(&choice.All, "all", false, "all of these, and the record of deleted leads")
	flags.BoolVar(&yes, "yes", false, "do it")
	a.addOutput(cmd)
	return cmd
}

// teardown prints the plan and, when it is meant, carries it out.
func (a *app) teardown(ctx context.Context, choice teardown.Choice, yes bool) error {
	if choice.All {
		choice = teardown.Choice{Topics: true, Schemas: true, Checkpoints: true, Webhooks: true, Tokens: true, All: true}
	}
	if choice == (teardown.Choice{}) {
		return usageErrorf("say what to remove: --topics, --schemas, --checkpoints, --webhooks, --tokens or --all")
	}
	var required []string
	if choice.Schemas {
		required = append(required, "registry.url")
	}
	if choice.Webhooks && !choice.All {
		required = append(required, "linkedin.client_id", "linkedin.client_secret", "webhook.url")
	}
	s, err := a.forTeardown(choice, required)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.refuseWhileRunning(ctx); err != nil {
		return err
	}
	plan, err := teardown.Plan(ctx, s.teardownParts(), choice)
	if err != nil {
		return err
	}
	if yes {
		err = teardown.CarryOut(ctx, plan)
	}
	printed := printList(a, plan, []string{"KIND", "NAME", "WHAT"}, func(r teardown.Removal) []string {
		return []string{r.Kind, r.Name, r.What()}
	})
	if err := errors.Join(err, printed); err != nil {
		return err
	}
	if !yes && a.output == "table" {
		return a.print("\nNothing was removed. Repeat the command with --yes to do it.\n")
	}
	return nil
}
