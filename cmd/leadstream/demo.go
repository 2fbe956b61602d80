package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"leadstream/config"
	"leadstream/connector"
	"leadstream/internal/embedded"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/tail"
)

// demoFlags are the flags of "leadstream demo".
type demoFlags struct {
	length time.Duration
	world  linkedinsim.Config
	quiet  bool
	level  string
}

// newDemo is "leadstream demo".
func newDemo(a *app) *cobra.Command {
	f := demoFlags{world: linkedinsim.Default()}
	f.world.Leads, f.world.Rate = 200, 120
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The whole path with nothing installed",
		Long: `Runs everything in this one process: a simulated LinkedIn, an embedded Kafka
and schema registry, and the connector between them. It consents, fills in the
leads of the past year, then follows new ones, of which LinkedIn notifies it,
and prints each lead as a consumer of its topic sees it: one JSON object on a
line. The status page is served meanwhile; its address is printed first.

With --for it ends by itself, and the summary compares what consumers saw with
what the simulated LinkedIn made: 0 when nothing was lost or repeated, else 6.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := refuseSettings(cmd, "makes its own configuration"); err != nil {
				return err
			}
			return a.demo(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.length, "for", 0, "end by itself after `DURATION`, with a summary; 0 runs until Ctrl-C")
	flags.IntVar(&f.world.Leads, "leads", f.world.Leads, "`NUMBER` of leads that are there already")
	flags.Float64Var(&f.world.Rate, "rate", f.world.Rate, "new leads per minute, a `NUMBER`")
	flags.Uint64Var(&f.world.Seed, "seed", f.world.Seed, "`NUMBER` that the world is made from")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "do not print the leads")
	flags.StringVar(&f.level, "log-level", "warn", "least `LEVEL` of the connector's log")
	return cmd
}

// check refuses what would only show once everything runs, or never.
func (f *demoFlags) check() error {
	if f.length < 0 {
		return usageErrorf("--for is %s, must be 0s (until Ctrl-C) or more", f.length)
	}
	if levels := []string{"debug", "info", "warn", "error"}; !slices.Contains(levels, f.level) {
		return usageErrorf("--log-level is %q, must be one of %s", f.level, strings.Join(levels, ", "))
	}
	return nil
}

// demo builds the world, runs the connector in it and watches as a consumer.
func (a *app) demo(ctx context.Context, f demoFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "leadstream-demo-")
	if err != nil {
		return fmt.Errorf("making a directory for the demo's token: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a leftover in the temporary directory is harmless
	// The member consents at once: the page is for people. LinkedIn notifies a
	// webhook on this machine, which the real one would not.
	f.world.AutoConsent, f.world.Switches.LocalWebhooks = true, true
	d := &demoRun{app: a, flags: f, seen: map[string]int{}}
	stop, err := d.start(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	return d.run(ctx)
}

// demoRun is a running demo.
type demoRun struct {
	*app
	flags  demoFlags
	sim    *linkedinsim.Server
	simURL string
	config *config.Config
	log    *zap.Logger
	seen   map[string]int // id@submittedAt of each record a consumer saw
}

// start brings up the simulated LinkedIn, Kafka and the registry, and makes the
// configuration that joins them.
func (d *demoRun) start(ctx context.Context, dir string) (stop func(), err error) {
	var server *http.Server
	if d.sim, server, err = newSimulation(d.flags.world); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the simulated LinkedIn: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	stack, err := embedded.Start(ctx, 1)
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	d.simURL = "http://" + listener.Addr().String()
	d.configure(ctx, dir, stack)
	d.log, err = newLogger(d.config.Log, d.stderr)
	return func() {
		if err := errors.Join(stack.Close(), server.Close()); err != nil {
			fmt.Fprintf(d.stderr, "leadstream: stopping the demo: %s\n", err)
		}
		<-served
	}, err
}

func (d *demoRun) configure(ctx context.Context, dir string, stack *embedded.Stack) {
	c := config.Default()
	about := d.sim.Describe()
	c.LinkedIn.ClientID, c.LinkedIn.ClientSecret = about.ClientID, config.NewSecret(about.ClientSecret)
	c.LinkedIn.APIURL, c.LinkedIn.AuthURL = d.simURL, d.simURL
	c.Token.File = filepath.Join(dir, "token")
	c.Poll.Interval, c.Poll.DiscoveryInterval = time.Second, 10*time.Second
	c.Kafka.Brokers, c.Registry.URL = stack.Brokers, stack.RegistryURL
	c.Log.Level = d.flags.level
	c.HTTP.Listen = free(ctx, c.HTTP.Listen, "127.0.0.1:0") // another leadstream may have the usual port
	c.LinkedIn.RedirectURL = "http://" + c.HTTP.Listen + "/oauth/callback"
	c.Webhook.Listen = free(ctx, "127.0.0.1:0")
	c.Webhook.URL = "http://" + c.Webhook.Listen
	d.config = c
}

// free is the first of the addresses that can be listened on, with its port; the
// last one where that cannot be said.
func free(ctx context.Context, addresses ...string) string {
	for _, address := range addresses {
		probe, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			continue
		}
		_ = probe.Close() // the server takes it in a moment
		return probe.Addr().String()
	}
	return addresses[len(addresses)-1]
}

// run lets it all work until ctx or the time given ends.
func (d *demoRun) run(ctx context.Context) error {
	s, err := build(d.config, useTokens, d.log)
	if err != nil {
		return err
	}
	defer s.close()
	if err := consentAsMember(ctx, s.session); err != nil {
		return err
	}
	fmt.Fprintf(d.stderr, "simulated LinkedIn  %s\nstatus page         http://%s/\nKafka               %v\nregistry            %s\n\n",
		d.simURL, d.config.HTTP.Listen, d.config.Kafka.Brokers, d.config.Registry.URL)
	// The parts end in this order: new leads, then the consumer once it has
	// seen them all, then the connector.
	leads, stopLeads := context.WithCancel(ctx)
	defer stopLeads()
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	group := new(errgroup.Group)
	made := make(chan struct{}) // closed when no more leads are made
	group.Go(func() error {
		defer close(made)
		return d.sim.Run(leads)
	})
	group.Go(func() error { return s.operate(working, connector.Options{}) })
	group.Go(func() error {
		defer stopWork()
		defer stopLeads()
		return d.watch(ctx, s.newConsumer(), func() { stopLeads(); <-made })
	})
	return group.Wait()
}

// demoGrace is how long, at the end, the last leads may take to arrive.
const demoGrace = 20 * time.Second

// watch consumes until the end, and then until everything that was made is seen.
func (d *demoRun) watch(ctx context.Context, c *tail.Consumer, stopLeads func()) error {
	var end <-chan time.Time
	if d.flags.length > 0 {
		end = time.After(d.flags.length)
	}
	for {
		if err := d.consume(context.WithoutCancel(ctx), c); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-end:
		case <-time.After(100 * time.Millisecond):
			continue
		}
		break
	}
	stopLeads()
	return d.finish(context.WithoutCancel(ctx), c)
}

// consume prints what came since the last time.
func (d *demoRun) consume(ctx context.Context, c *tail.Consumer) error {
	out := json.NewEncoder(d.stdout)
	out.SetEscapeHTML(false)
	topics, err := c.Topics(ctx, nil)
	if err != nil {
		return err
	}
	return c.Read(ctx, topics, func(r tail.Record) error {
		d.seen[r.ID+"@"+r.SubmittedAt]++
		if d.flags.quiet {
			return nil
		}
		return out.Encode(r)
	})
}

// finish waits for the last leads and compares with the ledger.
func (d *demoRun) finish(ctx context.Context, c *tail.Consumer) error {
	var made []string // by the simulated LinkedIn
	for e := range d.sim.Ledger() {
		made = append(made, e.ID+"@"+lead.FormatTime(time.UnixMilli(e.SubmittedAt)))
	}
	for deadline := time.Now().Add(demoGrace); d.lost(made) > 0 && time.Now().Before(deadline); {
		if err := fault.Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		if err := d.consume(ctx, c); err != nil {
			return err
		}
	}
	published, repeated := 0, 0
	for _, n := range d.seen {
		published++
		repeated += n - 1
	}
	lost := d.lost(made)
	fmt.Fprintf(d.stdout, "\nmade %d  published %d  lost %d  repeated %d\n", len(made), published, lost, repeated)
	if lost > 0 || repeated > 0 || published != len(made) {
		return exitWith(exitDifferences, errors.New("the consumers did not see exactly what was made"))
	}
	return nil
}

func (d *demoRun) lost(made []string) int {
	lost := 0
	for _, key := range made {
		if d.seen[key] == 0 {
			lost++
		}
	}
	return lost
}
