package kafka

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// refuse has the broker answer the next requests of a kind with these codes
// instead of carrying them out. An answer of -1 cuts the connection.
func refuse(f *kfake.Cluster, kind protocol.ApiKey, codes ...Code) {
	for _, code := range codes {
		f.ControlKey(int16(kind), func(req kmsg.Request) (kmsg.Response, error, bool) {
			if code < 0 {
				return nil, io.ErrClosedPipe, true
			}
			return answerWith(req, int16(code)), nil, true
		})
	}
}

func answerWith(req kmsg.Request, code int16) kmsg.Response {
	res := req.ResponseKind()
	res.SetVersion(req.GetVersion())
	switch res := res.(type) {
	case *kmsg.EndTxnResponse:
		res.ErrorCode = code
	case *kmsg.InitProducerIDResponse:
		res.ErrorCode = code
	case *kmsg.FindCoordinatorResponse:
		res.ErrorCode = code
	case *kmsg.CreateTopicsResponse:
		for _, t := range req.(*kmsg.CreateTopicsRequest).Topics {
			rt := kmsg.NewCreateTopicsResponseTopic()
			rt.Topic, rt.ErrorCode = t.Topic, code
			res.Topics = append(res.Topics, rt)
		}
	case *kmsg.DeleteTopicsResponse:
		for _, name := range req.(*kmsg.DeleteTopicsRequest).TopicNames {
			rt := kmsg.NewDeleteTopicsResponseTopic()
			rt.Topic, rt.ErrorCode = &name, code
			res.Topics = append(res.Topics, rt)
		}
	case *kmsg.DescribeConfigsResponse:
		for _, r := range req.(*kmsg.DescribeConfigsRequest).Resources {
			rr := kmsg.NewDescribeConfigsResponseResource()
			rr.ResourceType, rr.ResourceName, rr.ErrorCode = r.ResourceType, r.ResourceName, code
			res.Resources = append(res.Resources, rr)
		}
	case *kmsg.AddPartitionsToTxnResponse:
		for _, t := range req.(*kmsg.AddPartitionsToTxnRequest).Topics {
			rt := kmsg.NewAddPartitionsToTxnResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p, code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
	case *kmsg.ProduceResponse:
		for _, t := range req.(*kmsg.ProduceRequest).Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
	case *kmsg.FetchResponse:
		for _, t := range req.(*kmsg.FetchRequest).Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
	case *kmsg.ListOffsetsResponse:
		for _, t := range req.(*kmsg.ListOffsetsRequest).Topics {
			rt := kmsg.NewListOffsetsResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewListOffsetsResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, code
				rt.Partitions = append(rt.Partitions, rp)
			}
			res.Topics = append(res.Topics, rt)
		}
	}
	return res
}

// count counts the requests of a kind from now on; -1 is every kind.
func count(f *kfake.Cluster, kind protocol.ApiKey) *atomic.Int32 {
	var n atomic.Int32
	f.ControlKey(int16(kind), func(kmsg.Request) (kmsg.Response, error, bool) {
		n.Add(1)
		return nil, nil, false
	})
	return &n
}

// loseAnswers has the broker carry out the next n requests of a kind, and their
// answers get lost on the way, with the connection.
func loseAnswers(t testing.TB, c *Client, kind protocol.ApiKey, n int) {
	t.Helper()
	var left atomic.Int32
	left.Store(int32(n))
	c.pool.close() // connections without the loss
	c.pool.closed = false
	dial := c.pool.dialer.connect
	c.pool.dialer.connect = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &lossyConn{Conn: conn, kind: kind, left: &left}, nil
	}
}

type lossyConn struct {
	net.Conn
	kind  protocol.ApiKey
	left  *atomic.Int32
	armed bool
}

func (c *lossyConn) Write(b []byte) (int, error) {
	c.armed = len(b) >= 6 && protocol.ApiKey(binary.BigEndian.Uint16(b[4:])) == c.kind
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.armed && err == nil && c.left.Add(-1) >= 0 {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}
