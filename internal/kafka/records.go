package kafka

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/klauspost/compress/snappy/xerial"
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

// maxBatch bounds a record batch, also once it is unpacked: what is written is cut
// to it, and what is larger is not read. Batches are a megabyte or so by default, and
// anybody who may write to a topic can make a few kilobytes that unpack to gigabytes.
const maxBatch = 16 << 20

// maxHeaders bounds those of a record: each may be of no length, and takes memory.
const maxHeaders = 10_000

var (
	errMalformed = errors.New("the record batch is malformed")
	errOversize  = fmt.Errorf("the record batch is larger than leadstream reads, %d MiB once it is unpacked", maxBatch>>20)
	errHeaders   = fmt.Errorf("a record has more than %d headers", maxHeaders)
)

// batch is one record batch of a fetch answer; it shares the answer's memory.
type batch struct {
	base, last int64 // offsets; last as written, also when compaction took the record
	attributes uint16
	firstTime  int64 // epoch milliseconds; so is maxTime
	maxTime    int64
	producerID int64
	epoch      int16 // of the producer
	sequence   int32 // of the first record as written
	count      int
	payload    []byte // the records, perhaps compressed
	unkept     bool   // payload is not there, nor are the batches that follow it in its transaction
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
		epoch:      int16(be.Uint16(data[atEpoch:])),
		sequence:   int32(be.Uint32(data[atSequence:])),
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
	// Whatever its window: it is unpacked into one piece, which may not grow.
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
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

// unpack gives the records of a batch as they were before compression.
func (d *decoder) unpack(b *batch) ([]byte, error) {
	if b.attributes&codecMask == 0 {
		return b.payload, nil
	}
	for size := max(cap(d.unpacked), unpackFirst); ; size = min(4*size, maxBatch) {
		if cap(d.unpacked) < size {
			d.unpacked = make([]byte, 0, size)
		}
		out, err := d.unpackInto(d.unpacked[:0], b)
		switch {
		case err == nil:
			return out, nil
		case !errors.Is(err, errOversize):
			return nil, fmt.Errorf("%w: %w", errMalformed, err)
		case size >= maxBatch:
			return nil, errOversize
		}
	}
}

// unpackInto unpacks into the capacity of into; errOversize when it does not suffice.
func (d *decoder) unpackInto(into []byte, b *batch) (out []byte, err error) {
	switch codec := b.attributes & codecMask; {
	case codec == codecZstd:
		out, err = d.zstd.DecodeAll(b.payload, into)
		// The decoder has no error of its own for a stream that does not tell its size
		// and needs more: it stops within a block of the end.
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || err != nil && cap(into)-len(out) <= zstdBlock {
			err = errOversize
		}
		return out, err
	case codec == codecSnappy:
		out, err = xerial.DecodeCapped(into, b.payload)
		if errors.Is(err, xerial.ErrDstTooSmall) {
			err = errOversize
		}
		return out, err
	case int(codec) < len(compress.Codecs):
		return readInto(into, compress.Codecs[codec], b.payload)
	default:
		return nil, fmt.Errorf("unknown compression %d", codec)
	}
}

// zstdBlock is the most that a block of zstd unpacks to. Source: RFC 8878.
const zstdBlock = 128 << 10

// unpackFirst is what is tried first; a batch as written by default fits.
const unpackFirst = 1<<20 + 64<<10

// readInto unpacks payload into the capacity of into.
func readInto(into []byte, codec compress.Codec, payload []byte) (out []byte, err error) {
	r := codec.NewReader(bytes.NewReader(payload))
	defer func() {
		if closed := r.Close(); err == nil {
			err = closed
		}
	}()
	for {
		if len(into) == cap(into) {
			if n, err := io.CopyN(io.Discard, r, 1); n > 0 || !errors.Is(err, io.EOF) {
				return nil, cmp.Or(err, errOversize)
			}
			return into, nil
		}
		n, err := r.Read(into[len(into):cap(into)])
		into = into[:len(into)+n]
		switch {
		case errors.Is(err, io.EOF):
			return into, nil
		case err != nil:
			return nil, err
		}
	}
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
	if r.Offset < b.base || r.Offset > b.last {
		return nil, errMalformed
	}
	r.Time = time.UnixMilli(min(max(millis, earliestTime), latestTime)).UTC()
	r.Key = body.bytes()
	r.Value = body.bytes()
	d.headers = d.headers[:0]
	n := body.varint()
	if n > maxHeaders {
		return nil, errHeaders
	}
	for ; n > 0 && !body.bad; n-- {
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

// earliestTime and latestTime are the first and the last millisecond of the years 1
// to 9999, beyond which a time is no text any more.
const earliestTime, latestTime = -62_135_596_800_000, 253_402_300_799_999

// name is key as a string. The few names that a topic's headers have are kept;
// the bounds keep a topic with a new or a long name on each record from growing it.
func (d *decoder) name(key []byte) string {
	if s, ok := d.names[string(key)]; ok {
		return s
	}
	s := string(key)
	if len(d.names) < 100 && len(s) <= 100 {
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
