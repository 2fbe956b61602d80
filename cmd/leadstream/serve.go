package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"leadstream/connector"
	"leadstream/internal/oauth"
	"leadstream/internal/web"
)

// serve runs the HTTP server beside the connector until ctx ends.
func (s *system) serve(ctx context.Context, work *connector.Connector) error {
	store, err := newTokenStore(s.config)
	if err != nil {
		return err
	}
	v := newViewer(s, work)
	server, err := web.New(web.Options{
		Listen: s.config.HTTP.Listen, Password: s.config.HTTP.Password.Reveal(),
		RedirectURL: s.config.LinkedIn.RedirectURL, AuthURL: s.config.LinkedIn.AuthURL,
		View: v.view, Ready: v.ready,
		Consent: &refreshing{&webConsent{s.session, store}, v},
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
	store   oauth.Store
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
	}
	return err
}

// Disconnect implements web.Consent.
func (c *webConsent) Disconnect(ctx context.Context) error {
	_, err := oauth.Logout(ctx, c.store)
	if errors.Is(err, oauth.ErrNoToken) {
		return nil
	}
	return err
}

// connectionAge is how old the state of the LinkedIn connection may be on a
// page; each look asks LinkedIn.
const connectionAge = 30 * time.Second

// connection is the state of the consent, asked for at most every connectionAge.
func (v *viewer) connection(ctx context.Context) web.Connection {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.asked) < connectionAge {
		return v.conn
	}
	st, err := v.connectionStatus(ctx)
	if err != nil {
		return web.Connection{State: web.Failing, Problem: err.Error()}
	}
	v.asked = time.Now()
	v.conn = web.Connection{
		State: web.OK, Problem: st.Problem, Todo: st.Todo, Note: st.Note, Stored: !st.AuthorizedAt.IsZero(),
		AuthorizedAt: st.AuthorizedAt, AccessExpiresAt: st.AccessExpiresAt, RefreshExpiresAt: st.RefreshExpiresAt,
		Refreshable: st.Refreshable, Scopes: st.Scopes, MissingScopes: st.Missing,
	}
	if !st.Usable {
		v.conn.State = web.Failing
	}
	return v.conn
}
