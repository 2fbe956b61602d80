package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// metadataAge is how long what is known of a topic is used for writing without
// asking again, so that partitions added by hand are noticed. A broker that
// says it is not the leader has it asked at once. Reads always ask.
const metadataAge = 5 * time.Minute

// topicMeta is what one metadata answer said of a topic; never changed after.
type topicMeta struct {
	leaders  []int32 // by partition; -1: none at present
	replicas int     // of partition 0
	at       time.Time
}

func newTopicMeta(t *metadata.ResponseTopic) topicMeta {
	meta := topicMeta{leaders: make([]int32, len(t.Partitions)), at: time.Now()}
	for i := range meta.leaders {
		meta.leaders[i] = -1
	}
	for _, p := range t.Partitions {
		if int(p.PartitionIndex) >= len(meta.leaders) || p.PartitionIndex < 0 {
			continue // partitions are numbered without gaps
		}
		if p.ErrorCode == 0 || Code(p.ErrorCode) == codeReplicaNotAvailable {
			meta.leaders[p.PartitionIndex] = p.LeaderID
		}
		if p.PartitionIndex == 0 {
			meta.replicas = len(p.ReplicaNodes)
		}
	}
	return meta
}

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int
}

func (tp TopicPartition) String() string { return fmt.Sprintf("%s-%d", tp.Topic, tp.Partition) }

// describe returns what is known of the named topics, asking for those of
// which nothing younger than age is known. Missing topics are absent.
func (n *network) describe(ctx context.Context, names []string, age time.Duration) (map[string]topicMeta, error) {
	known, unknown := n.known(names, age)
	for chunk := range slices.Chunk(unknown, namesPerRequest) {
		found, err := n.refresh(ctx, chunk)
		if err != nil {
			return nil, err
		}
		maps.Copy(known, found)
	}
	return known, nil
}

func (n *network) known(names []string, age time.Duration) (found map[string]topicMeta, rest []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	found = make(map[string]topicMeta, len(names))
	for _, name := range names {
		if meta, ok := n.topics[name]; ok && time.Since(meta.at) < age {
			found[name] = meta
		} else {
			rest = append(rest, name)
		}
	}
	return found, rest
}

// namesPerRequest bounds a metadata request; its answer for as many topics of
// a few partitions stays well under a megabyte.
const namesPerRequest = 1000

// leader is the broker that leads a partition.
func (n *network) leader(ctx context.Context, tp TopicPartition) (int32, error) {
	topics, err := n.describe(ctx, []string{tp.Topic}, metadataAge)
	if err != nil {
		return -1, err
	}
	meta, ok := topics[tp.Topic]
	if !ok || tp.Partition >= len(meta.leaders) {
		return -1, &TopicError{Topic: tp.Topic, Index: -1, Err: ErrTopicMissing}
	}
	if id := meta.leaders[tp.Partition]; id >= 0 {
		return id, nil
	}
	n.forget(tp.Topic)
	return -1, &codeError{op: "looking up the leader of " + tp.String(), code: codeLeaderNotAvailable}
}

// forget has the topic asked for again before its next use.
func (n *network) forget(topics ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, topic := range topics {
		delete(n.topics, topic)
	}
}

type coordinatorKey struct {
	kind int8 // 0 group, 1 transaction, as FindCoordinator has them
	id   string
}

// askCoordinator sends req to the coordinator of a group or a transactional
// id. code reads the answer's error; when it, or the lack of an answer, says
// that the coordinator is another one now, the next call looks it up again.
func (n *network) askCoordinator(ctx context.Context, key coordinatorKey, req protocol.Message, code func(protocol.Message) Code) (protocol.Message, error) {
	id, err := n.coordinator(ctx, key)
	if err != nil {
		return nil, err
	}
	res, err := n.askBroker(ctx, id, req)
	if err == nil {
		if answer := code(res); answer != codeNotCoordinator && answer != codeNoCoordinator {
			return res, nil
		}
	}
	n.mu.Lock()
	delete(n.coordinators, key)
	n.mu.Unlock()
	return res, err
}

func (n *network) coordinator(ctx context.Context, key coordinatorKey) (int32, error) {
	n.mu.Lock()
	id, ok := n.coordinators[key]
	n.mu.Unlock()
	if ok {
		return id, nil
	}
	msg, err := n.askAny(ctx, &findcoordinator.Request{Key: key.id, KeyType: key.kind})
	if err != nil {
		return -1, err
	}
	res := msg.(*findcoordinator.Response)
	switch code := Code(res.ErrorCode); code {
	case 0:
	case codeTxnIDAuthorization:
		return -1, &AuthorizationError{Resource: "transactional-id", Name: key.id, Operation: "Describe"}
	case codeGroupAuthorization:
		return -1, &AuthorizationError{Resource: "group", Name: key.id, Operation: "Describe"}
	default:
		return -1, &codeError{op: "looking up the coordinator of " + key.id, code: code, reason: res.ErrorMessage}
	}
	n.mu.Lock()
	_, met := n.brokers[res.NodeID]
	n.coordinators[key] = res.NodeID
	n.mu.Unlock()
	if !met {
		_, err = n.refresh(ctx, []string{})
	}
	return res.NodeID, err
}
