package main

import (
	"cmp"
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/internal/check"
)

// newCheck is "leadstream check".
func newCheck(a *app) *cobra.Command {
	var probe bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Every precondition as a line, with what to do about it",
		Long: `Checks the configuration, Kafka (brokers, version, permissions, transactions,
the topics that exist), the schema registry, the LinkedIn connection (token,
scopes, API version, clock), the roles and the leads of each organization, and
the webhook. Nothing is changed: permissions are asked for without being used,
transactions are tried under an id of its own, <name>.check, which Kafka
forgets after a week, and LinkedIn gets nothing but GET requests and the
introspection of the token. An access token that has expired is left to be
renewed by the connector, and what takes one is not checked then. May run
beside the connector.

Missing permissions are printed as commands for kafka-acls. Where Kafka is
reached without a login, put the connector's principal in the place of
User:PRINCIPAL; admin.properties is the file with your own login.

Ends with 0 when nothing failed, else with 6; with 2 when the configuration is
not valid.

--probe looks at LinkedIn alone, and at what its documentation leaves open: page
sizes, order, bounds, offsets, spellings, versions (docs/linkedin.md). It makes
at most ` + strconv.Itoa(check.MostProbeRequests) + ` GET requests, about 50 as a rule, which count towards the day's limits,
and shows no answer and no name. The connector is right under whatever is seen
to differ; only what would break it ends with 6. It takes an access token that
has not expired, and ends with 5 otherwise.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if probe {
				return a.probe(cmd.Context())
			}
			return a.check(cmd.Context())
		},
	}
	a.addOutput(cmd)
	cmd.Flags().BoolVar(&probe, "probe", false, "see what LinkedIn does where its documentation leaves it open, by reading")
	return cmd
}

func (a *app) check(ctx context.Context) error {
	c, warnings, err := a.readConfig(forLinkedIn...)
	if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
		return cmp.Or(a.printFindings(check.Invalid(invalid)), exitWith(exitUsage, nil))
	}
	if err != nil {
		return err
	}
	// What goes wrong stands in the findings; the log would say it twice.
	s, err := build(c, lookAtTokens, zap.NewNop())
	if err != nil {
		return err
	}
	defer s.close()
	progress := a.newProgress()
	findings := check.Run(ctx, s.checkParts(warnings, progress.at))
	progress.stop()
	if err := a.printFindings(findings); err != nil {
		return err
	}
	if check.Failed(findings) {
		return exitWith(exitDifferences, nil)
	}
	return nil
}

func (a *app) printFindings(findings []check.Finding) error {
	return printList(a, findings, []string{"RESULT", "CHECK", "FINDING", "WHAT TO DO"}, func(f check.Finding) []string {
		return []string{f.Result, f.Check, f.Text, f.Todo}
	})
}
