package kafka

import (
	"encoding/binary"
	"errors"
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
	fetchLimit = fetchBytes + maxDecompressed
)

var errFetchAnswer = errors.New("the answer to Fetch is not one")

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

// RawExchange writes the request and reads the answer. A connection carries
// one request at a time, so any correlation id is unique.
func (r *fetchRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	const correlation = 1
	if _, err := rw.Write(r.encode(correlation)); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(size[:])))
	if n < 4 || n > fetchLimit {
		return nil, fmt.Errorf("%w: size %d", errFetchAnswer, n)
	}
	if cap(r.buffer) < n {
		r.buffer = make([]byte, n)
	}
	answer := r.buffer[:n]
	if _, err := io.ReadFull(rw, answer); err != nil {
		return nil, err
	}
	if got := binary.BigEndian.Uint32(answer); got != correlation {
		return nil, fmt.Errorf("%w: correlation id %d instead of %d", errFetchAnswer, got, correlation)
	}
	return decodeFetch(answer[4:], r.buffer)
}

func (r *fetchRequest) encode(correlation uint32) []byte {
	be := binary.BigEndian
	text := func(out []byte, s string) []byte { return append(be.AppendUint16(out, uint16(len(s))), s...) }
	out := make([]byte, 4, 128+len(r.topic)+len(r.clientID))
	out = be.AppendUint16(out, uint16(protocol.Fetch))
	out = be.AppendUint16(out, fetchVersion)
	out = be.AppendUint32(out, correlation)
	out = text(out, r.clientID)
	out = be.AppendUint32(out, ^uint32(0)) // replica id: a consumer
	out = be.AppendUint32(out, fetchWait)
	out = be.AppendUint32(out, 1) // least bytes
	out = be.AppendUint32(out, fetchBytes)
	out = append(out, 0)                   // isolation: read uncommitted
	out = be.AppendUint32(out, 0)          // no fetch session
	out = be.AppendUint32(out, ^uint32(0)) // session epoch: none
	out = be.AppendUint32(out, 1)          // topics
	out = text(out, r.topic)
	out = be.AppendUint32(out, 1) // partitions
	out = be.AppendUint32(out, uint32(r.partition))
	out = be.AppendUint32(out, ^uint32(0)) // leader epoch: not known
	out = be.AppendUint64(out, uint64(r.offset))
	out = be.AppendUint64(out, ^uint64(0)) // log start offset: followers only
	out = be.AppendUint32(out, fetchBytes)
	out = be.AppendUint32(out, 0) // forgotten topics
	out = text(out, "")           // rack
	be.PutUint32(out, uint32(len(out)-4))
	return out
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
		return nil, errFetchAnswer
	}
	return res, nil
}

// fields reads the fixed-size parts of an answer; after the first that does
// not fit, bad is set and all further ones are zero.
type fields struct {
	data []byte
	bad  bool
}

func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.data) {
		f.bad, f.data = true, nil
		return nil
	}
	b := f.data[:n:n]
	f.data = f.data[n:]
	return b
}

func (f *fields) int16() int16 {
	if b := f.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (f *fields) int64() int64 {
	if b := f.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// count reads the length of an array or of bytes; null, -1, counts as 0. No
// element takes less than a byte, so that a length above what is left is bad.
func (f *fields) count() int {
	b := f.take(4)
	if b == nil {
		return 0
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	if n > len(f.data) {
		f.bad, f.data = true, nil
		return 0
	}
	return max(n, 0)
}
