package web

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxConnections bounds the memory that clients can take: about 20 KiB each.
	maxConnections = 512
	// patience is how long a request under way is safe from making room. Every
	// handler is done far sooner unless its client is slow, except a callback
	// that waits for LinkedIn.
	patience = 2 * time.Second
)

// connections bounds the number of open connections. When there are too many,
// the one that has been waiting longest for a request is closed, so that slow
// clients never keep a new one out: /healthz answers beside a thousand of them.
type connections struct {
	limit int
	now   func() time.Time

	mu   sync.Mutex
	open map[net.Conn]*connection
}

// connection is one of them, guarded by its connections' mu.
type connection struct {
	all   *connections
	busy  bool      // a request is with its handler
	since time.Time // when busy last changed
}

type connectionKey struct{}

func newConnections(limit int, now func() time.Time) *connections {
	return &connections{limit: limit, now: now, open: map[net.Conn]*connection{}}
}

// accept is the server's ConnContext: it takes note of a new connection and
// makes room for it.
func (c *connections) accept(ctx context.Context, conn net.Conn) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &connection{all: c, since: c.now()}
	if len(c.open) >= c.limit {
		if victim := c.slowest(one.since); victim != nil {
			delete(c.open, victim)
			_ = victim.Close() // cut on purpose: what its client thinks of it does not matter
		} else {
			_ = conn.Close() // all are busy with fresh requests
			return ctx
		}
	}
	c.open[conn] = one
	return context.WithValue(ctx, connectionKey{}, one)
}

// slowest is the connection to give up: the one that waits longest for a
// request, else the oldest request past patience, else nil.
func (c *connections) slowest(now time.Time) net.Conn {
	var slowest net.Conn
	var its *connection
	for conn, one := range c.open {
		if one.busy && now.Sub(one.since) < patience {
			continue
		}
		if its == nil || its.busy && !one.busy || its.busy == one.busy && one.since.Before(its.since) {
			slowest, its = conn, one
		}
	}
	return slowest
}

// follow is the server's ConnState.
func (c *connections) follow(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

// enter notes that a request has come to its handler; the function it returns
// notes that it was answered.
func enter(ctx context.Context) (leave func()) {
	one, ok := ctx.Value(connectionKey{}).(*connection)
	if !ok {
		return func() {} // a test's request, or one mounted elsewhere
	}
	one.set(true)
	return func() { one.set(false) }
}

func (one *connection) set(busy bool) {
	one.all.mu.Lock()
	defer one.all.mu.Unlock()
	one.busy, one.since = busy, one.all.now()
}
