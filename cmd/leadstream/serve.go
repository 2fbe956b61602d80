package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"leadstream/connector"
	"leadstream/internal/oauth"
	"leadstream/internal/web"
)

// serve runs the HTTP server beside the connector until ctx ends.
func (s *system) serve(ctx context.Context, work *connector.Connector, beat *oauth.Heartbeat) error {
	v := newViewer(s, work, beat)
	server, err := web.New(web.Options{
		Listen: s.config.HTTP.Listen, Password: s.config.HTTP.Password.Reveal(),
		RedirectURL: s.config.LinkedIn.RedirectURL, AuthURL: s.config.LinkedIn.AuthURL,
		View: v.view, Ready: v.ready,
		Consent: &webConsent{s.session, beat},
		Metrics: promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}), Log: s.log.Named("http"),
	})
	if err != nil {
		return exitWith(exitUsage, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Run(ctx) })
	group.Go(func() error { return v.run(ctx) })
	return group.Wait()
}

// webConsent is the consent in the browser, over the session.
type webConsent struct {
	session *oauth.Session
	beat    *oauth.Heartbeat
}

// AuthorizeURL implements web.Consent.
func (c *webConsent) AuthorizeURL(browserBinding string) (string, error) {
	return c.session.AuthorizeURLFor(browserBinding), nil
}

// Callback implements web.Consent.
func (c *webConsent) Callback(ctx context.Context, params url.Values, browserBinding string) error {
	_, err := c.session.CompleteFor(ctx, params, browserBinding)
	var needed *oauth.ConsentNeededError
	switch {
	case errors.Is(err, oauth.ErrState):
		return fmt.Errorf("%w: %w", web.ErrForeignState, err)
	case errors.As(err, &needed):
		return &web.ConsentError{Problem: "LinkedIn gave no consent: " + string(needed.Reason) + ".", Todo: needed.Todo(), Err: err}
	case err == nil:
		c.beat.Check(ctx) // the page that comes next shows it
	}
	return err
}

// Disconnect implements web.Consent.
func (c *webConsent) Disconnect(ctx context.Context) error {
	_, err := c.session.Logout(ctx)
	if err != nil && !errors.Is(err, oauth.ErrNoToken) {
		return err
	}
	c.beat.Check(ctx)
	return nil
}
