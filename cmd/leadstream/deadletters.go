package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"leadstream/connector"
	"leadstream/internal/delivery"
	"leadstream/internal/lead"
	"leadstream/internal/linkedin"
)

// newDeadLetters is "leadstream deadletters".
func newDeadLetters(a *app) *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "What could not be published and why",
		Long: `Lists the dead letters with the reason for each. The elements themselves are
personal data and stay in the topic <name>.deadletters.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listDeadLetters(cmd.Context()) },
	}
	a.addOutput(list)
	retry := &cobra.Command{
		Use:   "retry [KEY…]",
		Short: "Fetch dead letters again and send them through",
		Long: `Fetches each lead again from LinkedIn, or takes the stored element where
LinkedIn does not have it, and publishes it. A dead letter that has gone out is
removed. Without keys all are tried. Refused while a connector of this name is
running. Ends with 6 when some could not be published.`,
		RunE: func(cmd *cobra.Command, keys []string) error { return a.retryDeadLetters(cmd.Context(), keys) },
	}
	a.addOutput(retry)
	return newGroup("deadletters", "What could not be published, why, and another try", list, retry)
}

// deadLetters is what the dead letter topic holds, oldest first.
func (s *system) deadLetters(ctx context.Context) ([]delivery.DeadLetterRecord, error) {
	deadLetters, err := delivery.ReadDeadLetters(ctx, s.cluster, s.config.Name)
	for i := range deadLetters {
		deadLetters[i].Lead = linkedin.Parse(deadLetters[i].Element).ID
	}
	return deadLetters, err
}

func (a *app) listDeadLetters(ctx context.Context) error {
	s, err := a.kafkaAlone()
	if err != nil {
		return err
	}
	defer s.close()
	deadLetters, err := s.deadLetters(ctx)
	if err != nil {
		return err
	}
	return printList(a, deadLetters, []string{"KEY", "LEAD", "TIME", "STAGE", "CLASS", "TOPIC", "MESSAGE"}, func(d delivery.DeadLetterRecord) []string {
		return []string{d.Key, d.Lead, lead.FormatTime(d.Time), d.Stage, d.Class, d.Topic, d.Message}
	})
}

func (a *app) retryDeadLetters(ctx context.Context, keys []string) error {
	s, err := a.system(useTokens)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.refuseWhileRunning(ctx); err != nil {
		return err
	}
	deadLetters, err := s.deadLetters(ctx)
	if err != nil {
		return err
	}
	chosen, err := s.choose(deadLetters, keys)
	if err != nil {
		return err
	}
	if _, err := s.state(ctx); err != nil {
		return err
	}
	work := s.newConnector(connector.Options{Once: true})
	again, err := work.FetchAgain(ctx, chosen)
	if err != nil {
		return err
	}
	outcomes, err := work.Republish(ctx, again)
	return a.printOutcomes(outcomes, err)
}

// printOutcomes shows what became of dead letters, also of those before the one
// at which failed ended the work.
func (a *app) printOutcomes(outcomes []connector.Outcome, failed error) error {
	if failed != nil && len(outcomes) == 0 {
		return failed
	}
	err := printList(a, outcomes, []string{"KEY", "RESULT"}, func(o connector.Outcome) []string {
		return []string{o.Key, cmp.Or(o.Problem, o.Result)}
	})
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.Problem != "" {
			return exitWith(exitDifferences, nil)
		}
	}
	return nil
}

// choose is the dead letters of the keys, all without keys.
func (s *system) choose(deadLetters []delivery.DeadLetterRecord, keys []string) ([]connector.StoredDeadLetter, error) {
	var chosen []connector.StoredDeadLetter
	byKey := map[string]connector.StoredDeadLetter{}
	for _, d := range deadLetters {
		stored := connector.StoredDeadLetter{Key: d.Key, Response: s.linkedin.Kept(d.Element)}
		stored.Response.Owner = cmp.Or(stored.Response.Owner, d.Owner)
		chosen, byKey[d.Key] = append(chosen, stored), stored
	}
	if len(keys) == 0 {
		return chosen, nil
	}
	chosen = nil
	for _, key := range keys {
		stored, ok := byKey[key]
		if !ok {
			return nil, usageErrorf("there is no dead letter %q; see leadstream deadletters list", key)
		}
		chosen = append(chosen, stored)
	}
	return chosen, nil
}

// refuseWhileRunning is for commands that change what a running connector
// relies on.
func (s *system) refuseWhileRunning(ctx context.Context) error {
	members, err := s.cluster.Admin.GroupMembers(ctx, s.config.Name)
	if err != nil {
		return fmt.Errorf("asking whether a connector is running: %w", err)
	}
	if members > 0 {
		return usageErrorf("%d connector(s) named %q are running; stop them first (after a kill it takes up to 10 s until Kafka notices)", members, s.config.Name)
	}
	return nil
}
