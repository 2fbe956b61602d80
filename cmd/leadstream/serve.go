package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"leadstream/config"
	"leadstream/connector"
	"leadstream/internal/fault"
	"leadstream/internal/oauth"
	"leadstream/internal/web"
)

// serve runs the HTTP server beside the connector until ctx ends.
func (s *system) serve(ctx context.Context, work *connector.Connector, heartbeat *oauth.Heartbeat) error {
	v := s.newViewer(work, heartbeat)
	consent := &webConsent{session: s.session, heartbeat: heartbeat}
	defer consent.looks.Wait()
	server, err := s.newServer(v, consent)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Run(ctx) })
	group.Go(func() error { return v.Run(ctx) })
	return group.Wait()
}

// receive serves the webhook, on a listener of its own, until ctx ends.
func (s *system) receive(ctx context.Context) error {
	if s.receiver == nil {
		return nil
	}
	listener, err := s.newWebhookListener()
	if err != nil {
		return err
	}
	return listener.Run(ctx)
}

// hosts are the names by which the HTTP server may be asked: those of the
// configuration, and this machine's.
func (s *system) hosts() []string {
	names := slices.Clone(s.config.HTTP.Hosts)
	if own, err := os.Hostname(); err == nil {
		names = append(names, own)
	}
	return names
}

// lookPatience is how long a browser waits for the heartbeat to see what has
// just changed. The heartbeat may be in the midst of a look for which LinkedIn
// lets it wait; it sees the change right after.
const lookPatience = 10 * time.Second

// webConsent is the consent in the browser, over the session.
type webConsent struct {
	session   *oauth.Session
	heartbeat *oauth.Heartbeat
	looks     sync.WaitGroup // that the heartbeat was asked for
}

// AuthorizeURL implements web.Consent.
func (c *webConsent) AuthorizeURL(ctx context.Context, browserBinding string) (string, error) {
	if err := c.session.Ready(ctx); err != nil {
		return "", cannotStore(err)
	}
	return c.session.AuthorizeURL(browserBinding), nil
}

// cannotStore says to a person why no consent is begun, or finished.
func cannotStore(err error) error {
	return &web.ConsentError{
		Problem: "The tokens that LinkedIn gives could not be stored, so LinkedIn was not asked for any.",
		Todo:    "See the program's log for what is in the way where the tokens are kept. Once that is fixed, connect again.",
		Err:     err,
	}
}

// Callback implements web.Consent.
func (c *webConsent) Callback(ctx context.Context, params url.Values, browserBinding string) error {
	_, err := c.session.Complete(ctx, params, browserBinding)
	switch needed, refused := errors.AsType[*oauth.ConsentNeededError](err); {
	case err == nil:
		c.look(ctx)
	case errors.Is(err, oauth.ErrState):
		err = fmt.Errorf("%w: %w", web.ErrForeignState, err)
		if elsewhere, ok := errors.AsType[*oauth.StateError](err); ok && elsewhere.BegunFor != nil {
			return &web.ConsentError{Problem: elsewhere.Elsewhere(), Err: err}
		}
		return err
	case errors.Is(err, oauth.ErrCannotStore):
		return cannotStore(err)
	case refused:
		return &web.ConsentError{Problem: "LinkedIn gave no consent: " + string(needed.Reason) + ".", Todo: needed.Todo(), Err: err}
	case fault.Has[*oauth.AppRefusedError](err):
		return &web.ConsentError{
			Problem: "You have allowed the access, but LinkedIn refused the app's credentials: linkedin.client_id or linkedin.client_secret is wrong.",
			Todo: "Compare them with the Auth page of the app in LinkedIn's developer portal, correct them in leadstream's configuration, " +
				"restart leadstream, then connect again.",
			Err: err,
		}
	}
	return err
}

// Disconnect implements web.Consent.
func (c *webConsent) Disconnect(ctx context.Context) error {
	_, err := c.session.Logout(ctx)
	if err != nil && !errors.Is(err, oauth.ErrNoToken) {
		return err
	}
	c.look(ctx)
	return nil
}

// look has the heartbeat look at the connection, so that the page that comes
// next shows it.
func (c *webConsent) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	seen := make(chan struct{})
	c.looks.Go(func() {
		defer cancel()
		defer close(seen)
		c.heartbeat.Check(ctx)
	})
	select {
	case <-seen:
	case <-ctx.Done():
	}
}

// pageAddress is where people find the status page: LinkedIn sends them back
// to it, unless the redirect URL is no page of ours.
func pageAddress(c *config.Config) string {
	if base, ours := strings.CutSuffix(c.LinkedIn.RedirectURL, "oauth/callback"); ours {
		return base
	}
	address, err := localURL(c.HTTP.Listen)
	if err != nil { // the configuration was checked
		return c.HTTP.Listen
	}
	return address + "/"
}
