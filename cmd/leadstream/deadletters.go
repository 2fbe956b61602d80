package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"leadstream/connector"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/internal/linkedin"
)

// deadLetter is one dead letter, without its element.
type deadLetter struct {
	Key string `json:"key"`
	// Lead is its id, also where the key is a hash because its time cannot be read;
	// empty when it cannot be read itself.
	Lead    string    `json:"lead,omitempty"`
	Time    time.Time `json:"time"`
	Topic   string    `json:"topic,omitempty"`
	Owner   string    `json:"owner,omitempty"`
	Stage   string    `json:"stage"`
	Class   string    `json:"class"`
	Message string    `json:"message"`
	Bytes   int       `json:"bytes"`
	element []byte
}

// newDeadLetters is "leadstream deadletters".
func newDeadLetters(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletters",
		Short: "What could not be published, why, and another try",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
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
	cmd.AddCommand(list, retry)
	return cmd
}

// mostElement is more than a dead letter takes that leadstream writes; of a larger one,
// which is somebody else's, the element is not kept.
const mostElement = 1 << 20

// readDeadLetters is what the dead letter topic holds, oldest first.
func readDeadLetters(ctx context.Context, cluster *kafka.Client, name string) ([]deadLetter, error) {
	type place struct {
		key       string
		partition int
	}
	latest := map[place]deadLetter{} // in each partition a tombstone ends it
	err := cluster.Reader.Read(ctx, delivery.DeadLetterTopic(name), kafka.From{}, func(r *kafka.Record) error {
		at := place{string(r.Key), r.Partition}
		if r.Value == nil {
			delete(latest, at)
			return nil
		}
		d := deadLetter{Key: string(r.Key), Time: r.Time.UTC(), Bytes: len(r.Value)}
		if len(r.Value) <= mostElement {
			d.element = slices.Clone(r.Value)
		}
		for _, h := range r.Headers {
			switch h.Key {
			case delivery.HeaderErrorTopic:
				d.Topic = string(h.Value)
			case delivery.HeaderOwner:
				d.Owner = string(h.Value)
			case delivery.HeaderErrorStage:
				d.Stage = string(h.Value)
			case delivery.HeaderErrorException:
				d.Class = string(h.Value)
			case delivery.HeaderErrorMessage:
				d.Message = string(h.Value)
			}
		}
		d.Lead = linkedin.Parse(d.element).ID
		latest[at] = d
		return nil
	})
	if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		return nil, fmt.Errorf("reading the dead letters: %w", err)
	}
	deadLetters := slices.SortedFunc(maps.Values(latest), func(x, y deadLetter) int { return x.Time.Compare(y.Time) })
	seen := map[string]bool{} // one may stand in several partitions of a topic that was given more
	return slices.DeleteFunc(deadLetters, func(d deadLetter) bool {
		again := seen[d.Key]
		seen[d.Key] = true
		return again
	}), nil
}

func (a *app) listDeadLetters(ctx context.Context) error {
	c, cluster, err := a.cluster()
	if err != nil {
		return err
	}
	defer cluster.Close()
	deadLetters, err := readDeadLetters(ctx, cluster, c.Name)
	if err != nil {
		return err
	}
	return printList(a, deadLetters, []string{"KEY", "LEAD", "TIME", "STAGE", "CLASS", "TOPIC", "MESSAGE"}, func(d deadLetter) []string {
		return []string{d.Key, d.Lead, lead.FormatTime(d.Time), d.Stage, d.Class, d.Topic, d.Message}
	})
}

func (a *app) retryDeadLetters(ctx context.Context, keys []string) error {
	s, err := a.system(useTokens)
	if err != nil {
		return err
	}
	defer s.close()
	if err := refuseWhileRunning(ctx, s.cluster, s.config.Name); err != nil {
		return err
	}
	deadLetters, err := readDeadLetters(ctx, s.cluster, s.config.Name)
	if err != nil {
		return err
	}
	chosen, err := choose(deadLetters, keys)
	if err != nil {
		return err
	}
	if _, err := s.state(ctx); err != nil {
		return err
	}
	again, err := s.fetchAgain(ctx, chosen)
	if err != nil {
		return err
	}
	outcomes, err := s.newConnector(connector.Options{Once: true}).Republish(ctx, again)
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

// choose is the letters of the keys, all without keys.
func choose(deadLetters []deadLetter, keys []string) ([]deadLetter, error) {
	if len(keys) == 0 {
		return deadLetters, nil
	}
	var chosen []deadLetter
	for _, key := range keys {
		i := slices.IndexFunc(deadLetters, func(d deadLetter) bool { return d.Key == key })
		if i < 0 {
			return nil, usageErrorf("there is no dead letter %q; see leadstream deadletters list", key)
		}
		chosen = append(chosen, deadLetters[i])
	}
	return chosen, nil
}

// fetchAgain reads each lead anew; the stored element serves where LinkedIn has
// none, or has another submission under the id by now. What LinkedIn answers about one keeps
// no other from being retried.
func (s *system) fetchAgain(ctx context.Context, deadLetters []deadLetter) ([]connector.StoredDeadLetter, error) {
	var out []connector.StoredDeadLetter
	for _, d := range deadLetters {
		stored := s.linkedin.Kept(d.element)
		if stored.Owner == "" {
			stored.Owner = d.Owner
		}
		r, problem := stored, ""
		if stored.ID != "" {
			fetched, err := s.linkedin.Response(ctx, stored.ID)
			switch {
			case err == nil && (stored.SubmittedAt.IsZero() || fetched.SubmittedAt.Equal(stored.SubmittedAt)):
				r = fetched
			case err != nil && fault.KindOf(err) != fault.Suspend:
				if answer, answered := errors.AsType[*linkedin.APIError](err); !answered || fault.KindOf(answer).NeedsPerson() {
					return nil, err // it is the same for all
				}
				problem = err.Error()
			}
		}
		out = append(out, connector.StoredDeadLetter{Key: d.Key, Response: r, Problem: problem, Timeless: stored.SubmittedAt.IsZero()})
	}
	return out, nil
}

// refuseWhileRunning is for commands that change what a running connector
// relies on.
func refuseWhileRunning(ctx context.Context, cluster *kafka.Client, name string) error {
	members, err := cluster.Admin.GroupMembers(ctx, name)
	if err != nil {
		return fmt.Errorf("asking whether a connector is running: %w", err)
	}
	if members > 0 {
		return usageErrorf("%d connector(s) named %q are running; stop them first (after a kill it takes up to 10 s until Kafka notices)", members, name)
	}
	return nil
}
