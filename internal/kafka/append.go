package kafka

import (
	"bytes"
	"context"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// Append writes one record outside any transaction and returns once all in-sync
// replicas have it. It fences nobody and needs no Init: it is for what a process
// may say whoever does the work, such as a deletion that LinkedIn reports.
//
// While no answer comes the record is sent again, so that it may stand in the
// topic twice: its key and value must mean the same then. Errors: *TopicError
// (missing, without the permission to write, or refusing the record) and
// *UnreachableError, after which it may be there all the same.
func (c *Client) Append(ctx context.Context, m Message) error {
	var e encoder // without compression: such records are small
	batch := e.appendBatch(nil, nobody, []Message{m}, []int32{0}, time.Now())
	return c.retry(ctx, "writing to topic "+m.Topic, func(ctx context.Context) error {
		topics, err := c.describe(ctx, []string{m.Topic}, metadataAge)
		if err != nil {
			return err
		}
		meta, ok := topics[m.Topic]
		if !ok {
			return &TopicError{Topic: m.Topic, Index: -1, Err: ErrTopicMissing}
		}
		return c.append(ctx, TopicPartition{m.Topic, partitionOf(m.Key, len(meta.leaders))}, batch)
	})
}

// append makes one Produce request of one batch.
func (c *Client) append(ctx context.Context, tp TopicPartition, batch []byte) error {
	leader, err := c.leader(ctx, tp)
	if err != nil {
		return err
	}
	msg, err := c.askBroker(ctx, leader, &rawproduce.Request{
		Acks: -1, Timeout: int32(produceTimeout.Milliseconds()),
		Topics: []rawproduce.RequestTopic{{Topic: tp.Topic, Partitions: []rawproduce.RequestPartition{{
			Partition: int32(tp.Partition), RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(batch)},
		}}}},
	})
	if err != nil {
		c.forget(tp.Topic)
		return err
	}
	answer, ok := answersOf(msg.(*produce.Response))[tp]
	if !ok {
		return &codeError{op: "writing to " + tp.Topic, code: codeNetworkException, reason: "the answer does not name the partition"}
	}
	switch code := Code(answer.ErrorCode); {
	case code == 0:
		return nil
	case code == codeTopicAuthorization:
		return &TopicError{Topic: tp.Topic, Code: code, Index: -1, Err: topicPermission(tp.Topic, "Write")}
	case code.retriable():
		c.forget(tp.Topic)
		return &codeError{op: "writing to " + tp.Topic, code: code, reason: answer.ErrorMessage}
	default:
		return &TopicError{Topic: tp.Topic, Code: code, Reason: answer.ErrorMessage, Index: 0}
	}
}
