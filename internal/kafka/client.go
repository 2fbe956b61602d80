package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"go.uber.org/zap"
)

// Config says which cluster to talk to, and how.
type Config struct {
	Brokers  []string // host:port to start from, at least one
	ClientID string   // stands in the brokers' logs and quotas
	TLS      *TLS     // nil: no encryption
	SASL     *SASL    // nil: no login
	Log      *zap.Logger
}

// Client is a Kafka cluster as leadstream uses it. It holds a few connections and what is known
// of the topics that were asked for; it starts no goroutine and is idle on the wire unless a
// method is running. It is safe for concurrent use.
type Client struct {
	*network
	Admin    *Admin
	Reader   *Reader
	outcomes *outcomes
}

// New checks the configuration and reads its certificate files. It does not
// connect.
func New(cfg Config) (*Client, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("no kafka broker is configured")
	}
	for _, b := range cfg.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("kafka broker %q: must be host:port: %w", b, err)
		}
	}
	n := &network{
		seeds:        slices.Clone(cfg.Brokers),
		pool:         &pool{dialer: dialer{clientID: cfg.ClientID, connect: new(net.Dialer).DialContext}, idle: map[string][]*conn{}},
		log:          cfg.Log,
		controller:   -1,
		topics:       map[string]topicMeta{},
		coordinators: map[coordinatorKey]int32{},
	}
	if n.log == nil {
		n.log = zap.NewNop()
	}
	var err error
	if cfg.TLS != nil {
		if n.pool.dialer.tls, err = cfg.TLS.config(); err != nil {
			return nil, err
		}
	}
	if cfg.SASL != nil {
		if n.pool.dialer.mechanism, err = cfg.SASL.mechanism(); err != nil {
			return nil, err
		}
	}
	return &Client{network: n, Admin: &Admin{network: n, refused: map[string]string{}}, Reader: &Reader{n}, outcomes: newOutcomes()}, nil
}

// Close ends the idle connections. Calls under way end with their own.
func (c *Client) Close() { c.pool.close() }

// Ping reaches a broker, logs in, and asks which brokers there are. It tries
// each known address once and does not wait for brokers to come up. Errors:
// *UnreachableError, with a hint where the listener's security seems to be
// another than the configured one, and *AuthenticationError.
func (c *Client) Ping(ctx context.Context) error {
	if _, err := c.refresh(ctx, []string{}); err != nil {
		return settled("reaching kafka", err)
	}
	return nil
}
