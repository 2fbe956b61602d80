package kafka

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// defaultMaxMessage is max.message.bytes of Apache Kafka unless configured. It
// is taken for every topic until one refuses it, so that a thousand topics
// need no thousand questions.
const defaultMaxMessage = 1<<20 + 12

// share is one batch: what one partition gets in one request.
type share struct {
	tp       TopicPartition
	round    int     // batches of a partition go one after another
	chosen   []int32 // indexes of the messages in it
	sequence int32
	from, to int   // its bytes in the producer's arena
	offset   int64 // of its last record, -1 before it was written
	// unsure: it was sent and it is not known whether it was appended, so that
	// the next sequence number is not known either.
	unsure bool
}

// plan is a transaction laid out: which batches go where, encoded.
type plan struct {
	shares     []share
	rounds     int
	partitions []TopicPartition // each once
	written    []Written        // what its manifest names first
	manifest   bool             // it holds one
}

// plan routes the messages and encodes their batches. No transaction is open
// while it asks for topics.
func (p *Producer) plan(ctx context.Context, msgs []Message) (*plan, error) {
	topics, err := p.topicsOf(ctx, msgs)
	if err != nil {
		return nil, err
	}
	chosen := make(map[TopicPartition][]int32)
	pl := &plan{}
	route := func(i int) error {
		tp, err := p.routed(&msgs[i], topics)
		if err != nil {
			return err
		}
		if _, met := chosen[tp]; !met {
			pl.partitions = append(pl.partitions, tp)
		}
		chosen[tp] = append(chosen[tp], int32(i))
		return nil
	}
	for i := range msgs {
		if err := route(i); err != nil {
			return nil, err
		}
	}
	if pl.written, pl.manifest = p.writes(chosen); pl.manifest {
		record, err := p.manifest(pl.written)
		if err != nil {
			return nil, err
		}
		msgs = append(slices.Clip(msgs), record)
		if err := route(len(msgs) - 1); err != nil {
			return nil, err
		}
	}
	p.arena = p.arena[:0]
	now := time.Now()
	for _, tp := range pl.partitions {
		if err := p.lay(ctx, pl, tp, chosen[tp], msgs, now); err != nil {
			return nil, err
		}
	}
	return pl, nil
}

// routed is the partition of a message. One that the topic lacks, though it was read
// there, belonged to another topic of that name.
func (p *Producer) routed(m *Message, topics map[string]topicMeta) (TopicPartition, error) {
	n := len(topics[m.Topic].leaders)
	if m.Partition == nil {
		return TopicPartition{m.Topic, partitionOf(m.Key, n)}, nil
	}
	if at := *m.Partition; at >= 0 && at < n {
		return TopicPartition{m.Topic, at}, nil
	}
	p.client.forget(m.Topic)
	return TopicPartition{}, &TopicError{Topic: m.Topic, Index: -1, Err: ErrTopicMissing}
}

func (p *Producer) topicsOf(ctx context.Context, msgs []Message) (map[string]topicMeta, error) {
	var names []string
	met := map[string]bool{}
	if p.manifests != nil {
		met[p.manifests.topic] = true
		names = append(names, p.manifests.topic)
	}
	for i := range msgs {
		if name := msgs[i].Topic; !met[name] {
			met[name] = true
			names = append(names, name)
		}
	}
	var topics map[string]topicMeta
	err := p.client.retry(ctx, "describing the topics of a transaction", func(ctx context.Context) (err error) {
		topics, err = p.client.describe(ctx, names, metadataAge)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if len(topics[name].leaders) == 0 {
			return nil, &TopicError{Topic: name, Index: -1, Err: ErrTopicMissing}
		}
	}
	return topics, nil
}

// lay cuts the messages of one partition into batches and encodes them.
func (p *Producer) lay(ctx context.Context, pl *plan, tp TopicPartition, chosen []int32, msgs []Message, now time.Time) error {
	sequence := p.next[tp]
	for round := 0; len(chosen) > 0; round++ {
		n := fitting(msgs, chosen, p.limit(tp.Topic))
		if size := batchOverhead + recordBound(&msgs[chosen[0]]); size > maxBatch { // what nobody here reads back is not written
			return tooLarge(tp.Topic, size, maxBatch, int(chosen[0]))
		}
		s := share{tp: tp, round: round, chosen: chosen[:n], sequence: sequence, from: len(p.arena), offset: -1}
		p.arena = p.encoder.appendBatch(p.arena, producerState{p.pid, p.epoch, sequence}, msgs, s.chosen, now)
		s.to = len(p.arena)
		if size := s.to - s.from; n == 1 && size > p.limit(tp.Topic) {
			if err := p.allowLarge(ctx, tp.Topic, size, int(chosen[0])); err != nil {
				return err
			}
		}
		pl.shares = append(pl.shares, s)
		pl.rounds = max(pl.rounds, round+1)
		sequence = advance(sequence, n)
		chosen = chosen[n:]
	}
	return nil
}

// fitting is how many of the chosen messages fit into a batch of limit bytes,
// before compression; at least one.
func fitting(msgs []Message, chosen []int32, limit int) int {
	size := batchOverhead
	for i, at := range chosen {
		if size += recordBound(&msgs[at]); size > limit && i > 0 {
			return i
		}
	}
	return len(chosen)
}

func (p *Producer) limit(topic string) int {
	if limit, ok := p.limits[topic]; ok {
		return min(limit, maxBatch)
	}
	return defaultMaxMessage
}

// allowLarge lets a batch of one message that is larger than the limit assumed
// for its topic pass, when the topic's real limit allows it or is not for us
// to know.
func (p *Producer) allowLarge(ctx context.Context, topic string, size, index int) error {
	limit, err := p.askLimit(ctx, topic)
	if err != nil {
		return err
	}
	if limit > 0 && size > limit {
		return tooLarge(topic, size, limit, index)
	}
	return nil
}

// askLimit asks for a topic's max.message.bytes and keeps it; 0 when we lack
// the permission to ask.
func (p *Producer) askLimit(ctx context.Context, topic string) (int, error) {
	const key = "max.message.bytes"
	infos, err := p.client.Admin.DescribeTopics(ctx, []string{topic}, key)
	if _, refused := errors.AsType[*AuthorizationError](err); refused {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	limit, err := strconv.Atoi(infos[topic].Configs[key])
	if err != nil || limit <= 0 {
		return 0, nil // nothing that can be used; the broker is the judge then
	}
	p.limits[topic] = limit
	return limit, nil
}

// shrink lowers the limit of a topic that refused a batch of n messages and
// size bytes. With a single message nothing can be made smaller.
func (p *Producer) shrink(ctx context.Context, s *share) error {
	size := s.to - s.from
	assumed := p.limit(s.tp.Topic)
	limit, err := p.askLimit(ctx, s.tp.Topic)
	switch {
	case err != nil:
		return err
	case len(s.chosen) == 1:
		return tooLarge(s.tp.Topic, size, limit, int(s.chosen[0]))
	case limit == 0 || limit >= assumed:
		p.limits[s.tp.Topic] = size / 2
	}
	return nil
}

func tooLarge(topic string, size, limit, index int) error {
	reason := "the record takes " + strconv.Itoa(size) + " bytes"
	switch {
	case limit == maxBatch:
		reason += ", leadstream writes and reads " + strconv.Itoa(limit) + " at most"
	case limit > 0:
		reason += ", the topic's max.message.bytes is " + strconv.Itoa(limit)
	}
	return &TopicError{Topic: topic, Code: codeMessageTooLarge, Reason: reason, Index: index}
}

// PartitionOf is the partition where a key belongs in a topic that has so many.
func PartitionOf(key []byte, partitions int) int { return partitionOf(key, partitions) }

// partitionOf is the partition that the Java client would choose.
func partitionOf(key []byte, partitions int) int {
	if partitions == 1 {
		return 0
	}
	all := make([]int, partitions)
	for i := range all {
		all[i] = i
	}
	return kafkago.Murmur2Balancer{Consistent: true}.Balance(kafkago.Message{Key: key}, all...)
}
