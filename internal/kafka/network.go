package kafka

import (
	"context"
	"errors"
	"fmt"
	"leadstream/internal/fault"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"go.uber.org/zap"
)

// network finds the broker that a request is for and sends it there: its connections, and what
// is known of brokers, leaders and coordinators. It is safe for concurrent use.
type network struct {
	seeds []string
	pool  *pool
	log   *zap.Logger

	mu           sync.Mutex
	brokers      map[int32]string // id to host:port
	controller   int32
	topics       map[string]topicMeta
	coordinators map[coordinatorKey]int32
}

// addresses is where to ask when any broker will do: those that were met
// first, since the configured ones may be gone by now.
func (n *network) addresses() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	addrs := slices.Sorted(maps.Values(n.brokers))
	for _, s := range n.seeds {
		if !slices.Contains(addrs, s) {
			addrs = append(addrs, s)
		}
	}
	return addrs
}

// askAny sends req to the first broker that answers. When none does, the error
// is the last one, or the refusal to let us in if there was one, or that something
// else than a broker was met.
func (n *network) askAny(ctx context.Context, req protocol.Message) (protocol.Message, error) {
	var last error
	for _, addr := range n.addresses() {
		res, err := n.pool.exchange(ctx, addr, req)
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
func (n *network) askBroker(ctx context.Context, id int32, req protocol.Message) (protocol.Message, error) {
	n.mu.Lock()
	addr, ok := n.brokers[id]
	n.mu.Unlock()
	if !ok {
		return nil, &codeError{op: "looking up broker " + strconv.Itoa(int(id)), code: codeLeaderNotAvailable}
	}
	return n.pool.exchange(ctx, addr, req)
}

// askController sends req to the controller, or to any broker when the cluster
// does not name one.
func (n *network) askController(ctx context.Context, req protocol.Message) (protocol.Message, error) {
	n.mu.Lock()
	id := n.controller
	_, known := n.brokers[id]
	n.mu.Unlock()
	if !known {
		return n.askAny(ctx, req)
	}
	return n.askBroker(ctx, id, req)
}

// retry repeats do while its error is retriable and patience lasts. Between
// attempts it asks again which brokers there are, since the one that failed
// may have been replaced.
func (n *network) retry(ctx context.Context, op string, do func(context.Context) error) error {
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
		_, _ = n.refresh(ctx, []string{})
	}
}

// refresh asks for the brokers and for the named topics, and returns those of
// them that exist; with no name it asks for the brokers alone, never for all
// topics of the cluster. Topics that do not exist are forgotten.
func (n *network) refresh(ctx context.Context, names []string) (map[string]topicMeta, error) {
	msg, err := n.askAny(ctx, &metadata.Request{TopicNames: names})
	if err != nil {
		return nil, err
	}
	res := msg.(*metadata.Response)
	found, err := topicsOf(res)
	if err != nil {
		return nil, err
	}
	n.learn(res, names, found)
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

func (n *network) learn(res *metadata.Response, names []string, found map[string]topicMeta) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.brokers = make(map[int32]string, len(res.Brokers))
	for _, b := range res.Brokers {
		n.brokers[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	n.controller = res.ControllerID
	for _, name := range names {
		if meta, ok := found[name]; ok {
			n.topics[name] = meta
		} else {
			delete(n.topics, name)
		}
	}
}

// readRefusal gives the code of a read its error, nil for 0, and has the topic
// asked for again when the code says that its leader is another one.
func (n *network) readRefusal(topic string, code Code, op string) error {
	switch code {
	case 0:
		return nil
	case codeTopicAuthorization:
		return &TopicError{Topic: topic, Code: code, Index: -1, Err: topicPermission(topic, "Read")}
	default:
		n.forget(topic)
		if !code.retriable() {
			return &TopicError{Topic: topic, Code: code, Reason: "refused while " + op, Index: -1}
		}
		return &codeError{op: op + " of topic " + topic, code: code}
	}
}
