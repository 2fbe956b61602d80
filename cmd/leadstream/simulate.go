package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"leadstream/config"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/oauth"
)

// simulateFlags are the flags of "leadstream simulate".
type simulateFlags struct {
	listen    string
	world     linkedinsim.Config
	tokenFile string
}

// newSimulate is "leadstream simulate".
func newSimulate(a *app) *cobra.Command {
	f := simulateFlags{world: linkedinsim.Default()}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "A simulated LinkedIn, to try leadstream without an app or a page",
		Long: `Serves the parts of LinkedIn's API that leadstream uses, consent page
included, over a world of invented organizations, events, forms and leads. It
refuses what LinkedIn refuses. The same seed makes the same world.

What goes on in it can be changed while it runs:

  POST /sim/leads       add leads now
  POST /sim/faults      schedule faults: statuses, latency, tokens that die, …
  GET  /sim/ledger      every lead ever made, as JSON lines, to compare against
  GET  /sim/deliveries  every notification sent to a webhook, and the answers

Like LinkedIn it notifies public HTTPS webhooks only; --local-webhooks lets it
notify a connector on this machine or beside it.

With --token-file it also consents in the place of a member and writes the
tokens as "leadstream auth login" would (encrypted when token.passphrase is
set), so that a connector can start without a person.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.tokenFile == "" {
				if err := refuseSettings(cmd, "reads a configuration with --token-file alone"); err != nil {
					return err
				}
			}
			return a.simulate(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8490", "`ADDRESS` to serve on")
	flags.IntVar(&f.world.Organizations, "organizations", f.world.Organizations, "`NUMBER` of organizations")
	flags.IntVar(&f.world.Events, "events", f.world.Events, "`NUMBER` of events with a lead form; each organization has one more, without")
	flags.IntVar(&f.world.Forms, "forms", f.world.Forms, "`NUMBER` of lead forms")
	flags.IntVar(&f.world.Leads, "leads", f.world.Leads, "`NUMBER` of leads that are there already")
	flags.Float64Var(&f.world.Rate, "rate", f.world.Rate, "new leads per minute, a `NUMBER`")
	flags.Uint64Var(&f.world.Seed, "seed", f.world.Seed, "`NUMBER` that the world is made from")
	flags.DurationVar(&f.world.ClockOffset, "clock-offset", 0, "`DURATION` that its clock is ahead of ours, behind when negative")
	flags.BoolVar(&f.world.Switches.LocalWebhooks, "local-webhooks", false, "notify webhooks that are not public HTTPS as well")
	flags.DurationVar(&f.world.Switches.WebhookRetry, "webhook-retry", 5*time.Minute, "`DURATION` until a notification that was not taken is sent again")
	flags.StringVar(&f.tokenFile, "token-file", "", "consent in the place of a member, and write the tokens to `FILE`")
	return cmd
}

// simulate serves the simulated LinkedIn until ctx ends.
func (a *app) simulate(ctx context.Context, f simulateFlags) error {
	var member *config.Config // how the member's tokens are kept
	if f.tokenFile != "" {
		var err error
		if member, _, err = a.readConfig(); err != nil {
			return err
		}
		f.world.AutoConsent = true // with the consent given at the start, LinkedIn does not ask again
	}
	sim, server, err := newSimulation(f.world)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return usageErrorf("listening for requests: %w", err)
	}
	address, err := localURL(listener.Addr().String())
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving the simulated LinkedIn: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return stopServer(server)
	})
	group.Go(func() error { return sim.Run(ctx) })
	group.Go(func() error {
		if member != nil {
			if err := writeSimulatedToken(ctx, f.tokenFile, member, sim.Describe(), address); err != nil {
				return err
			}
		}
		return a.describeSimulation(sim.Describe(), address)
	})
	return group.Wait()
}

// stopServer lets requests under way end, for a second.
func stopServer(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		if err := server.Close(); err != nil {
			return fmt.Errorf("stopping the HTTP server: %w", err)
		}
	}
	return nil
}

// describeSimulation prints what there is, and what to put into the
// configuration to work with it. Its secret opens nothing else.
func (a *app) describeSimulation(d linkedinsim.Description, address string) error {
	_, err := fmt.Fprintf(a.stdout, `Simulated LinkedIn on %s: %d organizations, %d events, %d forms, %d leads, %g new ones a minute.
Ctrl-C ends it. For leadstream.yaml:

linkedin:
  client_id: %s
  client_secret: %s
  api_url: %s
  auth_url: %s
`, address, len(d.Organizations), d.Events, d.Forms, d.Leads, d.Rate, d.ClientID, d.ClientSecret, address, address)
	if err != nil {
		return fmt.Errorf("writing what to configure: %w", err)
	}
	return nil
}

// worldError names the flags whose numbers do not make a world.
func worldError(err error) error {
	type several interface {
		error
		Unwrap() []error
	}
	joined, ok := errors.AsType[several](err)
	if !ok {
		return exitWith(exitUsage, err)
	}
	var problems []error
	for _, problem := range joined.Unwrap() {
		if bound, ok := errors.AsType[*linkedinsim.BoundError](problem); ok {
			problem = errors.New(bound.Named("--" + strings.ToLower(bound.Field)))
		}
		problems = append(problems, problem)
	}
	return exitWith(exitUsage, errors.Join(problems...))
}

// writeSimulatedToken stores the tokens of a simulated consent in file.
func writeSimulatedToken(ctx context.Context, file string, c *config.Config, d linkedinsim.Description, address string) error {
	session, err := newSimulatedSession(file, c, d, address)
	if err != nil {
		return err
	}
	defer session.Close()
	err = consentAsMember(ctx, session)
	if unusable, ok := errors.AsType[*oauth.FileError](err); ok && errors.Is(err, fs.ErrNotExist) {
		return exitWith(exitUsage, fmt.Errorf("--token-file %s cannot be written: create the directory %s, or name another file (%w)", file, filepath.Dir(file), unusable.Err))
	}
	return err
}

// consentAsMember goes the way of the browser through a consent that LinkedIn
// gives without asking, and leaves the tokens in the session's store.
func consentAsMember(ctx context.Context, session *oauth.Session) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, session.AuthorizeURL(""), nil)
	if err != nil {
		return fmt.Errorf("asking for consent: %w", err)
	}
	browser := &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := browser.Do(request)
	if err != nil {
		return fmt.Errorf("asking for consent: %w", err)
	}
	if err = answer.Body.Close(); err != nil {
		return fmt.Errorf("asking for consent: %w", err)
	}
	target, err := answer.Location()
	if err != nil {
		return fmt.Errorf("LinkedIn answered the request for consent with %s instead of a redirect: %w", answer.Status, err)
	}
	if _, err = session.Complete(ctx, target.Query(), ""); err != nil {
		return fmt.Errorf("completing the consent: %w", err)
	}
	return nil
}
