package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

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
	v := &viewer{system: s, work: work, started: time.Now().UTC()}
	server, err := web.New(web.Options{
		Listen: s.config.HTTP.Listen, Password: s.config.HTTP.Password.Reveal(),
		RedirectURL: s.config.LinkedIn.RedirectURL, AuthURL: s.config.LinkedIn.AuthURL,
		View: v.view, Ready: v.ready,
		Consent: &webConsent{s.session, store},
		Metrics: promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}), Log: s.log.Named("http"),
	})
	if err != nil {
		return exitWith(exitUsage, err)
	}
	return server.Run(ctx)
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

// viewer makes what the HTTP server shows from the parts' own snapshots.
type viewer struct {
	*system
	work    *connector.Connector
	started time.Time

	mu    sync.Mutex
	conn  web.Connection
	asked time.Time
}

// connectionAge is how old the state of the LinkedIn connection may be on a
// page; each look asks LinkedIn.
const connectionAge = 30 * time.Second

func (v *viewer) view(ctx context.Context) web.View {
	st := v.work.Status()
	host, err := os.Hostname()
	if err != nil {
		host = "this process"
	}
	view := web.View{
		Name: v.config.Name, Version: readBuild().Version,
		Process:    web.Process{ID: host, Active: st.Active, Started: v.started},
		Connection: v.connection(ctx),
	}
	for _, o := range st.Organizations {
		row := web.Organization{URN: o.URN, Name: o.Name, Roles: o.Roles, Access: web.OK, Problem: o.Problem}
		if o.Problem != "" {
			row.Access = web.Failing
		}
		view.Organizations = append(view.Organizations, row)
	}
	for _, src := range st.Sources {
		row := web.Source{Owner: src.Owner, LeadType: src.LeadType, State: web.OK, Live: src.Live, LastSuccess: src.Success,
			LagSeconds: max(time.Since(src.Live).Seconds(), 0), Problem: src.Problem}
		switch {
		case src.Problem != "":
			row.State = web.Failing
		case src.Success.IsZero():
			row.State = web.Waiting
		}
		view.Sources = append(view.Sources, row)
		for _, r := range src.Backlog {
			view.Tasks = append(view.Tasks, web.Task{Kind: string(r.Kind), Name: src.Owner, From: r.From, To: r.To, Ratio: r.Ratio()})
		}
	}
	for _, f := range st.Forms {
		row := web.Form{ID: f.ID, Name: f.Name, Owner: f.Owner, Events: f.Events, Topic: f.Topic, SchemaID: f.SchemaID,
			Leads: f.Leads, LastLead: f.LastLead, State: web.OK, Label: f.State, Problem: f.Problem}
		if f.Problem != "" {
			row.State = web.Failing
		}
		view.Forms = append(view.Forms, row)
	}
	if r := st.Replay; r != nil {
		view.Tasks = append(view.Tasks, web.Task{Kind: "replay", Name: r.ID, Ratio: r.Ratio, Done: r.Done})
	}
	return view
}

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

// ready is the answer to /readyz.
func (v *viewer) ready() web.Readiness {
	st := v.work.Status()
	r := web.Readiness{Ready: v.reached.Load()}
	add := func(part, reason string) {
		r.Degraded = append(r.Degraded, web.Degradation{Part: part, Reason: reason})
	}
	if !r.Ready {
		add("kafka", "Kafka was not reached yet")
	}
	for _, o := range st.Organizations {
		if o.Problem != "" && !o.Incidental {
			add("role", o.URN+" cannot be read")
		}
	}
	for _, src := range st.Sources {
		switch late := time.Since(src.Success) > 3*v.config.Poll.Interval; {
		case src.Problem != "":
			add("source", src.Owner+" cannot be read")
		case st.Active && late && time.Since(v.started) > 3*v.config.Poll.Interval:
			add("source", src.Owner+" was not polled for three intervals")
		}
	}
	for _, f := range st.Forms {
		if f.State == "suspended" {
			add("form", f.ID+" is suspended")
		}
	}
	return r
}
