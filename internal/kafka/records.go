package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress"
)

// Record is one record as it stands in a topic. Everything in it is valid only
// during the call that it is handed to.
type Record struct {
	Topic     string
	Partition int
	Offset    int64
	Time      time.Time // UTC, milliseconds
	Key       []byte    // nil when there is none
	Value     []byte    // nil for a tombstone
	Headers   []Header
}

// maxDecompressed bounds what one batch may unpack to. Batches are a megabyte
// or so by default; text compresses to a tenth of its size.
const maxDecompressed = 256 << 20

var errMalformed = errors.New("the record batch is malformed")

// batch is one record batch of a fetch answer; it shares the answer's memory.
type batch struct {
	base, last int64 // offsets; last as written, also when compaction took the record
	attributes uint16
	firstTime  int64 // epoch milliseconds; so is maxTime
	maxTime    int64
	producerID int64
	count      int
	payload    []byte // the records, perhaps compressed
}

func (b *batch) transactional() bool { return b.attributes&transactional != 0 }
func (b *batch) control() bool       { return b.attributes&controlBatch != 0 }

// nextBatch reads the batch at the start of data. A batch that the broker cut
// off at the size limit is io.EOF, as is the end of data.
func nextBatch(data []byte) (b batch, rest []byte, err error) {
	be := binary.BigEndian
	if len(data) < atMagic+1 {
		return batch{}, nil, io.EOF
	}
	length := int(int32(be.Uint32(data[atLength:])))
	if length < afterLength && data[atMagic] == 2 || length < 0 {
		return batch{}, nil, errMalformed
	}
	if len(data) < atLength+4+length {
		return batch{}, nil, io.EOF
	}
	if data[atMagic] != 2 {
		return batch{}, nil, fmt.Errorf("%w: message format %d, which only brokers before 4.0 kept", errMalformed, data[atMagic])
	}
	data, rest = data[:atLength+4+length], data[atLength+4+length:]
	if crc32.Checksum(data[atAttributes:], castagnoli) != be.Uint32(data[atCRC:]) {
		return batch{}, nil, fmt.Errorf("%w: its checksum is wrong", errMalformed)
	}
	b = batch{
		base:       int64(be.Uint64(data[atBaseOffset:])),
		attributes: be.Uint16(data[atAttributes:]),
		firstTime:  int64(be.Uint64(data[atFirstTime:])),
		maxTime:    int64(be.Uint64(data[atMaxTime:])),
		producerID: int64(be.Uint64(data[atProducerID:])),
		count:      int(int32(be.Uint32(data[atCount:]))),
		payload:    data[batchOverhead:],
	}
	b.last = b.base + int64(int32(be.Uint32(data[atLastDelta:])))
	if b.last < b.base || b.count < 0 {
		return batch{}, nil, errMalformed
	}
	return b, rest, nil
}

// decoder reads the records of batches. Its buffers are used again, so it is
// not safe for concurrent use.
type decoder struct {
	unpacked []byte
	zstd     *zstd.Decoder
	headers  []Header
	names    map[string]string // header keys met, so that each is allocated once
}

func newDecoder() (*decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxDecompressed))
	if err != nil {
		return nil, err
	}
	return &decoder{zstd: z, names: map[string]string{}}, nil
}

// each hands the records of b from offset on to fn. Their Topic and Partition
// are left to fn. An error of fn ends it and is returned as it is.
func (d *decoder) each(b *batch, from int64, fn func(*Record) error) error {
	payload, err := d.unpack(b)
	if err != nil {
		return err
	}
	var r Record
	for range b.count {
		payload, err = d.record(b, payload, &r)
		if err != nil {
			return err
		}
		if r.Offset < from {
			continue
		}
		if err := fn(&r); err != nil {
			return err
		}
	}
	return nil
}

// committed reads a control batch: true for a commit marker, false for an
// abort, and ok is false for a marker of another kind.
func (d *decoder) committed(b *batch) (committed, ok bool, err error) {
	err = d.each(b, b.base, func(r *Record) error {
		if len(r.Key) < 4 {
			return errMalformed
		}
		kind := binary.BigEndian.Uint16(r.Key[2:])
		committed, ok = kind == 1, kind <= 1
		return nil
	})
	return committed, ok, err
}

func (d *decoder) unpack(b *batch) ([]byte, error) {
	switch codec := b.attributes & codecMask; {
	case codec == 0:
		return b.payload, nil
	case codec == codecZstd:
		out, err := d.zstd.DecodeAll(b.payload, d.unpacked[:0])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
		d.unpacked = out
		return out, nil
	case int(codec) < len(compress.Codecs):
		return d.unpackWith(compress.Codecs[codec], b.payload)
	default:
		return nil, fmt.Errorf("%w: unknown compression %d", errMalformed, codec)
	}
}

func (d *decoder) unpackWith(codec compress.Codec, payload []byte) ([]byte, error) {
	r := codec.NewReader(bytes.NewReader(payload))
	into := bytes.NewBuffer(d.unpacked[:0])
	n, err := into.ReadFrom(io.LimitReader(r, maxDecompressed+1))
	if closed := r.Close(); err == nil {
		err = closed
	}
	if err == nil && n > maxDecompressed {
		err = fmt.Errorf("unpacks to more than %d bytes", maxDecompressed)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	d.unpacked = into.Bytes()
	return d.unpacked, nil
}

// record reads one record into r and returns what follows it.
func (d *decoder) record(b *batch, data []byte, r *Record) ([]byte, error) {
	in := input{data: data}
	body := input{data: in.bytes()}
	if in.bad || body.data == nil {
		return nil, errMalformed
	}
	body.skip(1) // attributes: none are defined
	millis := b.firstTime + body.varint()
	if b.attributes&logAppendTime != 0 {
		millis = b.maxTime
	}
	r.Offset = b.base + body.varint()
	r.Time = time.UnixMilli(millis).UTC()
	r.Key = body.bytes()
	r.Value = body.bytes()
	d.headers = d.headers[:0]
	for n := body.varint(); n > 0 && !body.bad; n-- {
		key := body.bytes()
		value := body.bytes()
		d.headers = append(d.headers, Header{Key: d.name(key), Value: value})
	}
	r.Headers = d.headers
	if body.bad {
		return nil, errMalformed
	}
	return in.data, nil
}

// name is key as a string. The few names that a topic's headers have are kept;
// the bound keeps a topic with a new name on each record from growing it.
func (d *decoder) name(key []byte) string {
	if s, ok := d.names[string(key)]; ok {
		return s
	}
	s := string(key)
	if len(d.names) < 100 {
		d.names[s] = s
	}
	return s
}

// input reads the parts of a record; after the first that does not fit, bad is
// set and all further ones are empty.
type input struct {
	data []byte
	bad  bool
}

func (in *input) varint() int64 {
	v, n := binary.Varint(in.data)
	if n <= 0 {
		in.bad, in.data = true, nil
		return 0
	}
	in.data = in.data[n:]
	return v
}

func (in *input) skip(n int) {
	if len(in.data) < n {
		in.bad, in.data = true, nil
		return
	}
	in.data = in.data[n:]
}

// bytes reads a length and as many bytes; the length -1 is nil.
func (in *input) bytes() []byte {
	n := in.varint()
	if n == -1 || in.bad {
		return nil
	}
	if n < 0 || n > int64(len(in.data)) {
		in.bad, in.data = true, nil
		return nil
	}
	b := in.data[:n:n]
	in.data = in.data[n:]
	return b
}
