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
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	headerTime = 5 * time.Second  // to send a request's header
	readTime   = 10 * time.Second // to send a whole request
	writeTime  = 15 * time.Second // to take the answer
	idleTime   = 60 * time.Second // between requests; Prometheus scrapes more often
	stopTime   = 2 * time.Second  // for requests under way at the end

	maxHeader = 16 << 10 // bytes; LinkedIn's code and state fit many times
	maxBody   = 8 << 10  // bytes; the largest form holds a password
)

// Options is what a Server is made of. View, Ready, Metrics and Log are required.
type Options struct {
	// Listen is host:port; port 0 takes a free one, see Addr.
	Listen string
	// Password protects the page, /api and /oauth. Without one they are served
	// on loopback only.
	Password string
	// Hosts are the names, with or without a port, under which the server may be
	// asked. The loopback names always count on a loopback connection, and so do
	// the address itself and the host of RedirectURL.
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
	opts     Options
	log      *zap.Logger
	now      func() time.Time
	redirect *url.URL // of RedirectURL; nil without one
	hosts    map[string]bool
	policy   string
	sessions *sessions // nil without a password
	guesses  *guesses
	handler  http.Handler
	limit    int // of connections

	listening chan struct{} // closed once addr is set
	addr      net.Addr
}

// New makes a Server. The error names the option that cannot be used. It does
// not listen yet.
func New(o Options) (*Server, error) {
	if o.View == nil || o.Ready == nil || o.Metrics == nil || o.Log == nil {
		return nil, errors.New("making the HTTP server: View, Ready, Metrics and Log are required")
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("reading http.listen %q: %w", o.Listen, err)
	}
	s := &Server{opts: o, log: o.Log, now: o.Now, hosts: map[string]bool{}, guesses: newGuesses(),
		limit: maxConnections, listening: make(chan struct{})}
	if s.now == nil {
		s.now = time.Now
	}
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
	for _, name := range append([]string{host}, o.Hosts...) {
		s.hosts[strings.ToLower(name)] = name != ""
	}
	if o.Password != "" {
		s.sessions = newSessions(o.Password, keyRounds)
	}
	s.handler = s.routes()
	return s, nil
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

// Addr is the address that Run listens on. It waits until Run listens, and is
// nil when ctx ends before.
func (s *Server) Addr(ctx context.Context) net.Addr {
	select {
	case <-s.listening:
		return s.addr
	case <-ctx.Done():
		return nil
	}
}

// Run listens and serves until ctx ends, then lets requests under way finish
// for up to two seconds and returns nil. An error says that it cannot listen or
// that serving broke off.
func (s *Server) Run(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.opts.Listen)
	if err != nil {
		return fmt.Errorf("listening on http.listen %q: %w", s.opts.Listen, err)
	}
	s.addr = listener.Addr()
	close(s.listening)
	server := s.server(ctx)
	s.log.Info("serving HTTP", zap.Stringer("address", s.addr))
	if s.opts.Password == "" && !onLoopback(s.addr) {
		s.log.Info("the status page and the consent are served to this machine only: set http.password to reach them from elsewhere")
	}
	broken := make(chan error, 1)
	go func() { broken <- server.Serve(listener) }()
	select {
	case err := <-broken:
		return fmt.Errorf("serving HTTP on %s: %w", s.addr, err)
	case <-ctx.Done():
	}
	return s.stop(server, broken)
}

// onLoopback tells whether only this machine can reach an address.
func onLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func (s *Server) server(ctx context.Context) *http.Server {
	open := newConnections(s.limit, s.now)
	return &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          stdLog(s.log),
		ConnContext:       open.accept,
		ConnState:         open.follow,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
}

// stop ends the server in at most stopTime.
func (s *Server) stop(server *http.Server, broken <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		s.log.Debug("cutting requests that outlast the stop", zap.Error(err))
		if err := server.Close(); err != nil {
			s.log.Debug("closing the HTTP server", zap.Error(err))
		}
	}
	if err := <-broken; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving HTTP on %s: %w", s.addr, err)
	}
	return nil
}
