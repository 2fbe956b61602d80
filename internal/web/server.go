// Package web is the HTTP side of the connector: the probes, the metrics, the
// status page and the consent at LinkedIn in the browser. It reads a View, a
// snapshot that its caller makes, and never the loop's own state.
//
// What protects it: beyond loopback the page, /api and /oauth need a password;
// the Host header is checked against DNS rebinding; every change refuses
// cross-origin requests; a strict Content-Security-Policy allows nothing but
// the embedded style sheet and script; requests are bounded in size and time
// and connections in number.
//
// It serves plain HTTP: TLS is the business of what stands in front of it.
package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// maxBody bounds a request in bytes; the largest form holds a password.
const maxBody = 8 << 10

// Options is what a Server is made of. View, Ready, Metrics and Log are required.
type Options struct {
	// Listen is host:port; port 0 takes a free one, see Addr.
	Listen string
	// Installation is the `name`: a login at one installation is none at another.
	Installation string
	// Password protects the page, /api and /oauth. Without one they are served
	// on loopback only.
	Password string
	// Hosts are the names, with or without a port, under which the server may be
	// asked. The loopback names always count on a connection from this machine, and
	// so do the address itself and the host of RedirectURL.
	Hosts []string
	// RedirectURL is where LinkedIn sends the browser after consent. A consent
	// begins at its host, so that the cookie comes back with the callback.
	RedirectURL string
	// AuthURL is the base of LinkedIn's consent page: the one foreign origin to
	// which the Connect button may lead.
	AuthURL string
	// View makes the snapshot. It is called for each page and must be quick.
	View func(ctx context.Context) View
	// Ready tells whether the connector is of use. It must be quick.
	Ready func() Readiness
	// Metrics serves /metrics.
	Metrics http.Handler
	// Consent does the consent; nil hides it from the page.
	Consent Consent
	Log     *zap.Logger
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Server serves the HTTP side. Make it with New, then call Run once.
type Server struct {
	*Listener
	opts     Options
	log      *zap.Logger
	strange  *zap.Logger // for what anybody can bring about, as often as he likes
	now      func() time.Time
	redirect *url.URL // of RedirectURL; nil without one
	hosts    map[string]bool
	policy   string
	sessions *sessions // nil without a password
	attempts *loginAttempts
}

// New makes a Server. The error names the option that cannot be used. It does
// not listen yet.
func New(o Options) (*Server, error) {
	if o.View == nil || o.Ready == nil || o.Metrics == nil || o.Log == nil {
		return nil, errors.New("making the HTTP server: View, Ready, Metrics and Log are required")
	}
	s := &Server{opts: o, log: o.Log, strange: seldom(o.Log), now: o.Now, hosts: map[string]bool{}}
	if s.now == nil {
		s.now = time.Now
	}
	s.attempts = newLoginAttempts(s.now)
	var err error
	if s.redirect, err = absolute("linkedin.redirect_url", o.RedirectURL); err != nil {
		return nil, err
	}
	auth, err := absolute("linkedin.auth_url", o.AuthURL)
	if err != nil {
		return nil, err
	}
	s.policy = policy(auth, s.redirect)
	if s.redirect != nil {
		s.hosts[s.redirect.Hostname()] = true
	}
	for _, name := range append([]string{hostname(o.Listen)}, o.Hosts...) {
		s.hosts[strings.ToLower(name)] = name != ""
	}
	if o.Password != "" {
		s.sessions = newSessions(o.Installation, o.Password, keyRounds, s.now())
	}
	if s.Listener, err = NewListener("http.listen", o.Listen, s.routes(), o.Log); err != nil {
		return nil, err
	}
	s.Listener.now = s.now
	return s, nil
}

// The lines of one message that are logged of what strangers do: so many a minute,
// and no more.
const (
	strangeLines = 5
	strangeEvery = time.Minute
)

// seldom is log with a limit for each message.
func seldom(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, strangeEvery, strangeLines, 0)
	}))
}

// absolute reads the URL of a setting, nil when it is not set.
func absolute(setting, text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", setting, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("reading %s %q: it must begin with http:// or https:// and name a host", setting, text)
	}
	u.Host = strings.ToLower(u.Host)
	return u, nil
}

// Handler is everything the server serves, for tests and for mounting elsewhere.
func (s *Server) Handler() http.Handler { return s.handler }

// Run serves as Listener.Run does, and says at its start who is served.
func (s *Server) Run(ctx context.Context) error {
	if s.opts.Password == "" && !s.onLoopback() {
		s.log.Info("the status page and the consent are served to this machine only: set http.password to reach them from elsewhere")
	}
	return s.Listener.Run(ctx)
}

// onLoopback tells whether only this machine can reach http.listen.
func (s *Server) onLoopback() bool {
	host := hostname(s.opts.Listen)
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || isLocalhost(host)
}
