package web

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	headerTime = 5 * time.Second  // to send a request's header
	readTime   = 10 * time.Second // to send a whole request
	writeTime  = 15 * time.Second // to take the answer
	idleTime   = 60 * time.Second // between requests; Prometheus scrapes more often
	stopTime   = 2 * time.Second  // for requests under way at the end

	maxHeader = 16 << 10 // bytes; LinkedIn's code and state fit many times
)

// Listener serves a handler on one address: with bounds on the time, the size and
// the number of everything that a client may hold. Make it with NewListener, then
// call Run once.
type Listener struct {
	setting string // that names the address, for errors
	address string
	handler http.Handler
	log     *zap.Logger
	now     func() time.Time
	limit   int // of connections

	listening chan struct{} // closed once addr is set
	addr      net.Addr
}

// NewListener makes a Listener for host:port; port 0 takes a free one, which the
// log names. setting is the name of the setting that holds the address. It does
// not listen yet.
func NewListener(setting, address string, handler http.Handler, log *zap.Logger) (*Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("reading %s %q: %w", setting, address, err)
	}
	return &Listener{setting: setting, address: address, handler: handler, log: log, now: time.Now,
		limit: maxConnections, listening: make(chan struct{})}, nil
}

// Run listens and serves until ctx ends, then lets requests under way finish
// for up to two seconds and returns nil. An error says that it cannot listen or
// that serving broke off.
func (l *Listener) Run(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", l.address)
	if err != nil {
		return fmt.Errorf("listening on %s %q: %w", l.setting, l.address, err)
	}
	l.addr = listener.Addr()
	close(l.listening)
	server := l.server(ctx)
	l.log.Info("serving HTTP", zap.Stringer("address", l.addr), zap.String("setting", l.setting))
	broken := make(chan error, 1)
	go func() { broken <- server.Serve(listener) }()
	select {
	case err := <-broken:
		return fmt.Errorf("serving HTTP on %s: %w", l.addr, err)
	case <-ctx.Done():
	}
	return l.stop(server, broken)
}

func (l *Listener) server(ctx context.Context) *http.Server {
	open := newConnections(l.limit, l.now)
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer enter(r.Context())()
			l.handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          stdLog(l.log),
		ConnContext:       open.accept,
		ConnState:         open.follow,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
}

// stop ends the server in at most stopTime.
func (l *Listener) stop(server *http.Server, broken <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		l.log.Debug("cutting requests that outlast the stop", zap.Error(err))
		if err := server.Close(); err != nil {
			l.log.Debug("closing the HTTP server", zap.Error(err))
		}
	}
	if err := <-broken; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving HTTP on %s: %w", l.addr, err)
	}
	return nil
}

// stdLog takes net/http's own complaints, such as a failing accept.
func stdLog(l *zap.Logger) *log.Logger {
	std, err := zap.NewStdLogAt(l, zapcore.WarnLevel)
	if err != nil { // only for a level that zap does not know
		return nil
	}
	return std
}
