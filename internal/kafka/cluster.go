package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"go.uber.org/zap"

	"leadstream/internal/fault"
)

// Config says which cluster to talk to, and how.
type Config struct {
	Brokers  []string // host:port to start from, at least one
	ClientID string   // stands in the brokers' logs and quotas
	TLS      *TLS     // nil: no encryption
	SASL     *SASL    // nil: no login
	Log      *zap.Logger
}

// Cluster is a Kafka cluster as leadstream uses it. It holds a few connections
// and what is known of the topics that were asked for; it starts no goroutine
// and is idle on the wire unless a method is running. It is safe for
// concurrent use.
type Cluster struct {
	seeds []string
	pool  *pool
	log   *zap.Logger

	mu           sync.Mutex
	brokers      map[int32]string // id to host:port
	controller   int32
	topics       map[string]topicMeta
	coordinators map[coordinatorKey]int32
	commits      map[string]producerEpoch   // see lastCommitted
	opened       map[string]openTransaction // see lastOpen
	refused      map[string]string          // see RefusedSettings
}

// New checks the configuration and reads its certificate files. It does not
// connect.
func New(cfg Config) (*Cluster, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("no kafka broker is configured")
	}
	for _, b := range cfg.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("kafka broker %q: must be host:port: %w", b, err)
		}
	}
	c := &Cluster{
		seeds:        slices.Clone(cfg.Brokers),
		pool:         &pool{dialer: dialer{clientID: cfg.ClientID, connect: new(net.Dialer).DialContext}, idle: map[string][]*conn{}},
		log:          cfg.Log,
		controller:   -1,
		topics:       map[string]topicMeta{},
		coordinators: map[coordinatorKey]int32{},
		commits:      map[string]producerEpoch{},
		opened:       map[string]openTransaction{},
		refused:      map[string]string{},
	}
	if c.log == nil {
		c.log = zap.NewNop()
	}
	var err error
	if cfg.TLS != nil {
		if c.pool.dialer.tls, err = cfg.TLS.config(); err != nil {
			return nil, err
		}
	}
	if cfg.SASL != nil {
		if c.pool.dialer.mechanism, err = cfg.SASL.mechanism(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Close ends the idle connections. Calls under way end with their own.
func (c *Cluster) Close() { c.pool.close() }

// Ping reaches a broker, logs in, and asks which brokers there are. It tries
// each known address once and does not wait for brokers to come up. Errors:
// *UnreachableError, with a hint where the listener's security seems to be
// another than the configured one, and *AuthenticationError.
func (c *Cluster) Ping(ctx context.Context) error {
	if _, err := c.refresh(ctx, []string{}); err != nil {
		return settled("reaching kafka", err)
	}
	return nil
}

// addresses is where to ask when any broker will do: those that were met
// first, since the configured ones may be gone by now.
func (c *Cluster) addresses() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	addrs := slices.Sorted(maps.Values(c.brokers))
	for _, s := range c.seeds {
		if !slices.Contains(addrs, s) {
			addrs = append(addrs, s)
		}
	}
	return addrs
}

// askAny sends req to the first broker that answers. When none does, the error
// is the last one, or the refusal to let us in if there was one, or that something
// else than a broker was met.
func (c *Cluster) askAny(ctx context.Context, req protocol.Message) (protocol.Message, error) {
	var last error
	for _, addr := range c.addresses() {
		res, err := c.pool.exchange(ctx, addr, req)
		if err == nil {
			return res, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		if last == nil || telling(err) >= telling(last) {
			last = err
		}
	}
	return nil, last
}

// telling ranks errors by how likely they are what a person has to fix.
func telling(err error) int {
	if _, refused := errors.AsType[*AuthenticationError](err); refused {
		return 2
	}
	if _, stranger := errors.AsType[*notKafkaError](err); stranger {
		return 1
	}
	return 0
}

// askBroker sends req to one broker by its id.
func (c *Cluster) askBroker(ctx context.Context, id int32, req protocol.Message) (protocol.Message, error) {
	c.mu.Lock()
	addr, ok := c.brokers[id]
	c.mu.Unlock()
	if !ok {
		return nil, &codeError{op: "looking up broker " + strconv.Itoa(int(id)), code: codeLeaderNotAvailable}
	}
	return c.pool.exchange(ctx, addr, req)
}

// askController sends req to the controller, or to any broker when the cluster
// does not name one.
func (c *Cluster) askController(ctx context.Context, req protocol.Message) (protocol.Message, error) {
	c.mu.Lock()
	id := c.controller
	_, known := c.brokers[id]
	c.mu.Unlock()
	if !known {
		return c.askAny(ctx, req)
	}
	return c.askBroker(ctx, id, req)
}

// retry repeats do while its error is retriable and patience lasts. Between
// attempts it asks again which brokers there are, since the one that failed
// may have been replaced.
func (c *Cluster) retry(ctx context.Context, op string, do func(context.Context) error) error {
	start := time.Now()
	pause := fault.NewBackoff(time.Millisecond, time.Second)
	for {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if !retriable(err) || time.Since(start) > patience {
			return settled(op, err)
		}
		if waited := pause.Wait(ctx, 0); waited != nil {
			return fmt.Errorf("%s: %w (last failure: %w)", op, context.Cause(ctx), settled(op, err))
		}
		// Its own failure shows in the next attempt.
		_, _ = c.refresh(ctx, []string{})
	}
}

// refresh asks for the brokers and for the named topics, and returns those of
// them that exist; with no name it asks for the brokers alone, never for all
// topics of the cluster. Topics that do not exist are forgotten.
func (c *Cluster) refresh(ctx context.Context, names []string) (map[string]topicMeta, error) {
	msg, err := c.askAny(ctx, &metadata.Request{TopicNames: names})
	if err != nil {
		return nil, err
	}
	res := msg.(*metadata.Response)
	found, err := topicsOf(res)
	if err != nil {
		return nil, err
	}
	c.learn(res, names, found)
	return found, nil
}

// topicsOf are the topics that an answer knows.
func topicsOf(res *metadata.Response) (map[string]topicMeta, error) {
	found := make(map[string]topicMeta, len(res.Topics))
	for i := range res.Topics {
		t := &res.Topics[i]
		switch code := Code(t.ErrorCode); code {
		case 0, codeLeaderNotAvailable, codeReplicaNotAvailable:
			found[t.Name] = newTopicMeta(t)
		case codeUnknownTopic, codeInvalidTopic:
		case codeTopicAuthorization:
			return nil, &TopicError{Topic: t.Name, Code: code, Index: -1, Err: topicPermission(t.Name, "Describe")}
		default:
			return nil, &codeError{op: "describing topic " + t.Name, code: code}
		}
	}
	return found, nil
}

func (c *Cluster) learn(res *metadata.Response, names []string, found map[string]topicMeta) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.brokers = make(map[int32]string, len(res.Brokers))
	for _, b := range res.Brokers {
		c.brokers[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	c.controller = res.ControllerID
	for _, name := range names {
		if meta, ok := found[name]; ok {
			c.topics[name] = meta
		} else {
			delete(c.topics, name)
		}
	}
}
