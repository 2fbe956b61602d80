package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Header is one record header.
type Header struct {
	Key   string
	Value []byte
}

// Message is one record to write. A nil Value is a tombstone; a nil Key has no
// place in a compacted topic.
type Message struct {
	Topic   string
	Key     []byte
	Value   []byte
	Headers []Header
	Time    time.Time // record time, in milliseconds; zero: when it is encoded
	// Partition is where it goes, nil where its key belongs.
	Partition *int
}

// Layout of a record batch, magic 2. Source: Apache Kafka, "Record Batch".
const (
	batchOverhead = 61 // bytes before the first record
	afterLength   = 49 // of these, those that the length field counts
	atBaseOffset  = 0
	atLength      = 8
	atMagic       = 16
	atCRC         = 17
	atAttributes  = 21 // the checksum covers everything from here
	atLastDelta   = 23
	atFirstTime   = 27
	atMaxTime     = 35
	atProducerID  = 43
	atEpoch       = 51
	atSequence    = 53
	atCount       = 57
	codecMask     = 0x07
	codecSnappy   = 2
	codecZstd     = 4
	logAppendTime = 1 << 3
	transactional = 1 << 4
	controlBatch  = 1 << 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// compressFrom is the least number of bytes worth compressing.
const compressFrom = 200

// encoder writes record batches. Its buffers are used again, so it is not safe
// for concurrent use.
type encoder struct {
	body, one, packed []byte
	zstd              *zstd.Encoder
}

// newEncoder keeps the window at half a megabyte and one encoder in all: about
// a megabyte of memory. kafka-go's codec keeps nine, for a few percent in size.
func newEncoder() (*encoder, error) {
	z, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(false), // the batch has a checksum
	)
	if err != nil {
		return nil, err
	}
	return &encoder{zstd: z}, nil
}

// producerState is the producer's identity and the place of a batch in its sequence.
type producerState struct {
	producerID int64
	epoch      int16
	sequence   int32
}

// nobody is the state in a batch that belongs to no transaction.
var nobody = producerState{-1, -1, -1}

// appendBatch appends one batch of msgs[i] for each i in chosen, preceded by its
// size in 4 bytes as a Produce request has it: a transactional one, unless the
// state is nobody's. chosen is not empty.
func (e *encoder) appendBatch(out []byte, s producerState, msgs []Message, chosen []int32, now time.Time) []byte {
	first, latest := e.encodeRecords(msgs, chosen, now)
	body, attributes := e.body, uint16(0)
	if e.zstd != nil && len(body) >= compressFrom {
		e.packed = e.zstd.EncodeAll(body, e.packed[:0])
		if len(e.packed) < len(body) {
			body, attributes = e.packed, codecZstd
		}
	}
	// The one place where the transactional bit is set: a producer's batch without
	// it would be accepted and stay visible after an abort.
	if s != nobody {
		attributes |= transactional
	}
	be := binary.BigEndian
	out = be.AppendUint32(out, uint32(batchOverhead+len(body)))
	start := len(out)
	out = be.AppendUint64(out, 0) // base offset: the broker's business
	out = be.AppendUint32(out, uint32(afterLength+len(body)))
	out = be.AppendUint32(out, ^uint32(0)) // leader epoch: likewise
	out = append(out, 2)
	out = be.AppendUint32(out, 0) // checksum, below
	out = be.AppendUint16(out, attributes)
	out = be.AppendUint32(out, uint32(len(chosen)-1))
	out = be.AppendUint64(out, uint64(first))
	out = be.AppendUint64(out, uint64(latest))
	out = be.AppendUint64(out, uint64(s.producerID))
	out = be.AppendUint16(out, uint16(s.epoch))
	out = be.AppendUint32(out, uint32(s.sequence))
	out = be.AppendUint32(out, uint32(len(chosen)))
	out = append(out, body...)
	be.PutUint32(out[start+atCRC:], crc32.Checksum(out[start+atAttributes:], castagnoli))
	return out
}

// encodeRecords leaves the records in e.body and returns the first and the
// latest of their times in epoch milliseconds.
func (e *encoder) encodeRecords(msgs []Message, chosen []int32, now time.Time) (first, latest int64) {
	e.body = e.body[:0]
	for i, at := range chosen {
		m := &msgs[at]
		millis := now.UnixMilli()
		if !m.Time.IsZero() {
			millis = m.Time.UnixMilli()
		}
		if i == 0 {
			first, latest = millis, millis
		}
		latest = max(latest, millis)
		one := append(e.one[:0], 0) // attributes: none are defined
		one = binary.AppendVarint(one, millis-first)
		one = binary.AppendVarint(one, int64(i))
		one = appendBytes(appendBytes(one, m.Key), m.Value)
		one = binary.AppendVarint(one, int64(len(m.Headers)))
		for _, h := range m.Headers {
			one = binary.AppendVarint(one, int64(len(h.Key)))
			one = append(one, h.Key...)
			one = appendBytes(one, h.Value)
		}
		e.body = binary.AppendVarint(e.body, int64(len(one)))
		e.body = append(e.body, one...)
		e.one = one
	}
	return first, latest
}

// appendBytes appends a length and b; nil is the length -1.
func appendBytes(out, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(out, -1)
	}
	out = binary.AppendVarint(out, int64(len(b)))
	return append(out, b...)
}

// recordBound is at least the number of bytes that m takes in a batch before
// compression.
func recordBound(m *Message) int {
	const lengths = 1 + 5 + 10 + 5 + 5 + 5 + 5 // attributes, size, time, offset, key, value, headers
	n := lengths + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		n += 5 + 5 + len(h.Key) + len(h.Value)
	}
	return n
}
