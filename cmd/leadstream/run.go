package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"leadstream/config"
	"leadstream/connector"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/memory"
	"leadstream/internal/oauth"
	"leadstream/internal/status"
)

// newRun is "leadstream run".
func newRun(a *app) *cobra.Command {
	var replay replayFlags
	var once bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Read leads from LinkedIn and publish each once to Kafka",
		Long: `Runs the connector: it polls LinkedIn for all organizations that the
authorising member administers and publishes each lead once to the topic of
its form. It resumes by itself after any stop; nothing is to be configured for
that. Several processes of one name share the work: one is active, the others
stand by.

After an outage downstream, replay a window of submission time:

  leadstream run --replay-from 36h
  leadstream run --replay-from 2026-11-20 --replay-to 2026-11-21

A replay resumes after a crash and is a no-op once done, so the flag may stay
in a pod's specification. Beside an active process of the same name it does not
begin before that one has stopped: give the flag to the process that works.

With --once it ends when everything is caught up. Beside an active process of
the same name it stands by like any other, and does not end before that one
has stopped and it has caught up itself.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, log, err := a.load(forLinkedIn...)
			if err != nil {
				return err
			}
			options, warning, err := replay.options(time.Now().UTC())
			if err != nil {
				return err
			}
			if warning != "" {
				log.Warn("replay", zap.String("reason", warning), zap.String("todo", "nothing: what LinkedIn no longer has, nobody can read"))
			}
			return runConnector(cmd.Context(), c, log, connector.Options{Once: once, Replay: options})
		},
	}
	replay.add(cmd.Flags())
	cmd.Flags().BoolVar(&once, "once", false, "end with 0 once everything is caught up: replay, backfill, live position, due look-back")
	return cmd
}

// runConnector runs the connector, and the HTTP server beside it, until ctx
// ends or the work is done.
func runConnector(ctx context.Context, c *config.Config, log *zap.Logger, base connector.Options) error {
	s, err := build(c, useTokens, log)
	if err != nil {
		return err
	}
	defer s.close()
	return s.operate(ctx, base)
}

// operate is runConnector over parts that are there.
func (s *system) operate(ctx context.Context, base connector.Options) error {
	c, log := s.config, s.log
	var heartbeat *oauth.Heartbeat
	base.Connection = func(err error) (about, said bool) {
		return status.IsConnection(err), status.ConnectionTold(heartbeat.Health())
	}
	work := s.newConnector(base)
	heartbeat = s.newHeartbeat(work.Resume)
	s.metrics.MustRegister(status.NewConnectionMetrics(heartbeat.Health))
	var err error
	if s.receiver, err = s.newReceiver(work); err != nil {
		return err
	}
	log.Info("starting", zap.String("name", c.Name), zap.Strings("brokers", c.Kafka.Brokers), zap.String("version", readBuild().Version))
	group, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group.Go(func() error { return s.serve(ctx, work, heartbeat) })
	group.Go(func() error { return s.receive(ctx) })
	group.Go(func() error {
		heartbeat.Run(ctx)
		return nil
	})
	group.Go(func() error { return memory.Limit(ctx) })
	group.Go(func() error {
		defer cancel() // the server ends with the work
		if err := s.prepare(ctx, base.Once, work.Issues()); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		return s.cluster.Member(kafka.GroupConfig{
			ID: c.Name, Topic: delivery.CheckpointTopic(c.Name), StandbyNote: standbyNote(base), OnReach: onReach(work.Issues()), Log: log.Named("group"),
		}, work.Run).Run(ctx)
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("running the connector: %w", err)
	}
	log.Info("stopped")
	return nil
}

// onReach tells the issues whether the consumer group can be reached.
func onReach(issues *connector.Issues) func(error) {
	const work = "reaching the consumer group"
	return func(err error) {
		if err == nil {
			issues.Resolve(work)
		} else {
			issues.Report("", work, err)
		}
	}
}

// standbyNote is what a process that stands by says of what its flags ask for.
func standbyNote(base connector.Options) string {
	const catches = "--once catches up when that process stops; while it runs, it does the catching up itself"
	const replays = "the replay does not begin before that process has stopped, which knows nothing of it: stop it, or start it anew with the same --replay flags"
	switch {
	case base.Replay != nil && base.Once:
		return "--once waits: " + replays
	case base.Replay != nil:
		return replays
	case base.Once:
		return catches
	}
	return ""
}

// prepare waits for Kafka and makes the internal topics: the group is formed on
// one of them.
func (s *system) prepare(ctx context.Context, once bool, issues *connector.Issues) error {
	return s.awaitKafka(ctx, once, issues, func(ctx context.Context) error {
		err := delivery.EnsureInternal(ctx, s.storeOptions())
		if err == nil && s.config.Webhook.Listen != "" {
			err = delivery.EnsureDeletions(ctx, s.storeOptions())
		}
		return err
	})
}

// awaitKafka does what is first asked of Kafka until it succeeds; with once it
// is tried once. What stands in the way is told as Issues do.
func (s *system) awaitKafka(ctx context.Context, once bool, issues *connector.Issues, first func(context.Context) error) error {
	const work = "reaching Kafka for the first time"
	wait := fault.NewBackoff(200*time.Millisecond, 10*time.Second)
	for {
		err := first(ctx)
		if err == nil {
			s.reached.Store(true)
			issues.Resolve(work)
			return nil
		}
		if once || ctx.Err() != nil || fault.KindOf(err) == fault.Fatal {
			return err
		}
		issues.ReportAs("", work, "waiting for Kafka", err)
		if err := wait.Wait(ctx, 0); err != nil {
			return err
		}
	}
}
