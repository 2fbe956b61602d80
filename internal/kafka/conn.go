package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
)

const (
	dialTimeout    = 5 * time.Second  // TCP, TLS, versions and SASL together
	requestTimeout = 10 * time.Second // one request on a connection that stands
	// Brokers close connections after connections.max.idle.ms, 10 minutes by
	// default; using one that is about to be closed costs a failed request.
	idleLimit = 4 * time.Minute
	// More than this many requests at once to one broker dial anew.
	idlePerBroker = 4
)

// dialer opens connections that are ready for requests.
type dialer struct {
	clientID  string
	tls       *tls.Config
	mechanism sasl.Mechanism
	connect   func(ctx context.Context, network, addr string) (net.Conn, error)
}

// pool keeps connections that are not in use, by address. A connection carries
// one request at a time. It is safe for concurrent use.
type pool struct {
	dialer dialer

	mu       sync.Mutex
	idle     map[string][]*conn
	answered bool // whether any broker ever answered
	closed   bool
}

type conn struct {
	*protocol.Conn
	guard  *guard // what it reads from and writes to
	usedAt time.Time
}

// exchange sends one request to the broker at addr and returns its answer.
// Errors are ctx's, an *AuthenticationError or a *transportError; after the
// last one nobody knows whether the broker has carried the request out.
func (p *pool) exchange(ctx context.Context, addr string, req protocol.Message) (protocol.Message, error) {
	c, err := p.grab(ctx, addr)
	if err != nil {
		return nil, p.failed(ctx, addr, err)
	}
	deadline := time.Now().Add(requestTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	err = c.SetDeadline(deadline)
	// A deadline in the past is the one way to interrupt a read under way.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	var res protocol.Message
	if err == nil {
		res, err = c.RoundTrip(req)
	}
	interrupted := !stop()
	if err != nil {
		_ = c.Close() // nothing more can be learnt from it
		p.drop(addr)
		return nil, p.failed(ctx, addr, err)
	}
	p.release(addr, c, interrupted)
	return res, nil
}

// failed gives a failure on the wire its type.
func (p *pool) failed(ctx context.Context, addr string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, ok := errors.AsType[*AuthenticationError](err); ok {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return &transportError{broker: addr, first: !p.answered, err: err}
}

func (p *pool) grab(ctx context.Context, addr string) (*conn, error) {
	p.mu.Lock()
	for idle := p.idle[addr]; len(idle) > 0; idle = p.idle[addr] {
		c := idle[len(idle)-1]
		p.idle[addr] = idle[:len(idle)-1]
		if time.Since(c.usedAt) < idleLimit {
			p.mu.Unlock()
			return c, nil
		}
		_ = c.Close() // stale
	}
	p.mu.Unlock()
	return p.dialer.dial(ctx, addr)
}

func (p *pool) release(addr string, c *conn, interrupted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = true
	if interrupted || p.closed || len(p.idle[addr]) >= idlePerBroker {
		_ = c.Close() // the answer is here; nothing is lost with the connection
		return
	}
	c.usedAt = time.Now()
	p.idle[addr] = append(p.idle[addr], c)
}

// drop closes the idle connections to a broker that just failed: they most
// likely ended with it.
func (p *pool) drop(addr string) {
	p.mu.Lock()
	idle := p.idle[addr]
	delete(p.idle, addr)
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	addrs := make([]string, 0, len(p.idle))
	for addr := range p.idle {
		addrs = append(addrs, addr)
	}
	p.mu.Unlock()
	for _, addr := range addrs {
		p.drop(addr)
	}
}

func (d *dialer) dial(ctx context.Context, addr string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := d.connect(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	ready, err := d.prepare(ctx, raw, addr)
	if err != nil {
		_ = raw.Close() // the first error is the one to report
		return nil, err
	}
	return ready, nil
}

// prepare makes a TCP connection ready for requests: TLS, versions, SASL.
func (d *dialer) prepare(ctx context.Context, raw net.Conn, addr string) (*conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if d.tls != nil {
		secured, err := d.handshake(ctx, raw, addr)
		if err != nil {
			return nil, err
		}
		raw = secured
	}
	g := newGuard(raw)
	c := &conn{Conn: protocol.NewConn(g, d.clientID), guard: g}
	if err := negotiate(c); err != nil {
		return nil, tlsRefused(addr, silent(err)) // TLS 1.3 brings a refused certificate here
	}
	if d.mechanism != nil {
		if err := d.authenticate(ctx, c, addr); err != nil {
			return nil, err
		}
	}
	if !stop() {
		return nil, ctx.Err()
	}
	return c, nil
}

func (d *dialer) handshake(ctx context.Context, raw net.Conn, addr string) (net.Conn, error) {
	config := d.tls
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("reading broker address %q: %w", addr, err)
		}
		config = config.Clone()
		config.ServerName = host
	}
	secured := tls.Client(raw, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, tlsRefused(addr, silent(err))
	}
	return secured, nil
}

// negotiate asks for the broker's versions and settles on the newest of each
// request that both sides know.
func negotiate(c *conn) error {
	msg, err := c.RoundTrip(&versionsRequest{})
	if err != nil {
		return err
	}
	res := msg.(*versionsResponse)
	if res.code != 0 {
		return &codeError{op: "asking for the broker's versions", code: res.code}
	}
	versions := make(map[protocol.ApiKey]int16, len(res.served))
	for _, r := range res.served {
		versions[r.key] = r.key.SelectVersion(r.lowest, r.highest)
	}
	c.SetVersions(versions)
	return nil
}

func (d *dialer) authenticate(ctx context.Context, c *conn, addr string) error {
	refused := func(err error, hint string) error {
		return &AuthenticationError{Broker: addr, Hint: hint, Err: err}
	}
	msg, err := c.RoundTrip(&saslhandshake.Request{Mechanism: d.mechanism.Name()})
	if err != nil {
		return err
	}
	shake := msg.(*saslhandshake.Response)
	if code := Code(shake.ErrorCode); code != 0 {
		slices.Sort(shake.Mechanisms)
		return refused(&codeError{op: "offering " + d.mechanism.Name(), code: code},
			"the listener offers "+theirWords(strings.Join(shake.Mechanisms, ", ")))
	}
	session, state, err := d.mechanism.Start(ctx)
	if err != nil {
		return refused(err, "check kafka.sasl")
	}
	for done := false; !done; {
		msg, err := c.RoundTrip(&saslauthenticate.Request{AuthBytes: state})
		if err != nil {
			return err
		}
		res := msg.(*saslauthenticate.Response)
		if code := Code(res.ErrorCode); code != 0 {
			return refused(&codeError{op: "logging in by " + d.mechanism.Name(), code: code}, "check the user name and password of kafka.sasl")
		}
		if tooCostly(res.AuthBytes) {
			return refused(errTooCostly, "no broker of Kafka asks for that: is it the right one?")
		}
		if done, state, err = session.Next(ctx, res.AuthBytes); err != nil {
			return refused(err, "the broker did not prove that it knows the password")
		}
	}
	return nil
}
