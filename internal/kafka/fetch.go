package kafka

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/protocol"
)

const (
	fetchVersion = 11 // Kafka 2.3; the newest that still names topics
	fetchWait    = 500
	// fetchBytes is how much one answer may bring. A broker sends one batch
	// whole even if it is larger.
	fetchBytes = 4 << 20
	// fetchLimit guards the memory against an answer that is not one.
	fetchLimit = fetchBytes + maxBatch
)

// fetchRequest asks for the records of one partition, without filter: also
// those of open and aborted transactions, and the markers. It carries out its
// own exchange on kafka-go's connection, since kafka-go's decoded answer hides
// where a batch ends and takes several allocations per record.
//
// Source of the layout: Apache Kafka protocol guide, Fetch v11.
type fetchRequest struct {
	clientID  string
	topic     string
	partition int32
	offset    int64
	buffer    []byte // for the answer; grown as needed
}

// fetchResponse shares the request's buffer.
type fetchResponse struct {
	code          Code
	highWatermark int64
	records       []byte // whole batches, except perhaps the last
	buffer        []byte
}

func (*fetchRequest) ApiKey() protocol.ApiKey  { return protocol.Fetch }
func (*fetchResponse) ApiKey() protocol.ApiKey { return protocol.Fetch }

// Required makes kafka-go's connection call RawExchange.
func (*fetchRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange writes the request and reads the answer.
func (r *fetchRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	answer, buffer, err := exchangeRaw(rw, r.encode(), r.buffer, fetchLimit)
	if err != nil {
		return nil, err
	}
	return decodeFetch(answer, buffer)
}

func (r *fetchRequest) encode() []byte {
	be := binary.BigEndian
	out := rawRequest(protocol.Fetch, fetchVersion, r.clientID, 128+len(r.topic))
	out = be.AppendUint32(out, ^uint32(0)) // replica id: a consumer
	out = be.AppendUint32(out, fetchWait)
	out = be.AppendUint32(out, 1) // least bytes
	out = be.AppendUint32(out, fetchBytes)
	out = append(out, 0)                   // isolation: read uncommitted
	out = be.AppendUint32(out, 0)          // no fetch session
	out = be.AppendUint32(out, ^uint32(0)) // session epoch: none
	out = be.AppendUint32(out, 1)          // topics
	out = appendText(out, r.topic)
	out = be.AppendUint32(out, 1) // partitions
	out = be.AppendUint32(out, uint32(r.partition))
	out = be.AppendUint32(out, ^uint32(0)) // leader epoch: not known
	out = be.AppendUint64(out, uint64(r.offset))
	out = be.AppendUint64(out, ^uint64(0)) // log start offset: followers only
	out = be.AppendUint32(out, fetchBytes)
	out = be.AppendUint32(out, 0) // forgotten topics
	return appendText(out, "")    // rack
}

// decodeFetch reads an answer that holds at most one partition.
func decodeFetch(data, buffer []byte) (*fetchResponse, error) {
	in := fields{data: data}
	in.take(4) // throttle time
	res := &fetchResponse{code: Code(in.int16()), buffer: buffer}
	in.take(4) // session id
	for range in.count() {
		in.take(int(in.int16())) // topic
		for range in.count() {
			in.take(4) // partition
			code := Code(in.int16())
			if res.code == 0 {
				res.code = code
			}
			res.highWatermark = in.int64()
			in.take(8 + 8)           // last stable offset, log start offset
			in.take(16 * in.count()) // aborted transactions
			in.take(4)               // preferred read replica
			res.records = in.take(in.count())
		}
	}
	if in.bad {
		return nil, fmt.Errorf("%w to Fetch", errAnswer)
	}
	return res, nil
}
