package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress"

	"leadstream/internal/fault"
)

// zeros is a record whose value is so many bytes of zero.
func zeros(n int) []byte {
	one := binary.AppendVarint([]byte{0, 0, 0}, -1) // attributes, time, offset, no key
	one = binary.AppendVarint(one, int64(n))
	one = append(one, make([]byte, n+1)...) // value and no headers
	return append(binary.AppendVarint(nil, int64(len(one))), one...)
}

// packed compresses through a writer of kafka-go.
func packed(t testing.TB, codec compress.Codec, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := codec.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstdOf(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	return w.EncodeAll(data, nil)
}

// rawBatch is a record batch of that payload as a Produce request has it.
func rawBatch(codec uint16, count int, payload []byte) []byte {
	be := binary.BigEndian
	out := be.AppendUint32(nil, uint32(batchOverhead+len(payload)))
	out = be.AppendUint64(out, 0)
	out = be.AppendUint32(out, uint32(afterLength+len(payload)))
	out = be.AppendUint32(out, ^uint32(0))
	out = append(out, 2, 0, 0, 0, 0)
	out = be.AppendUint16(out, codec)
	out = be.AppendUint32(out, uint32(count-1))
	out = append(out, make([]byte, 16)...) // times
	out = be.AppendUint64(out, ^uint64(0))
	out = be.AppendUint16(out, ^uint16(0))
	out = be.AppendUint32(out, ^uint32(0))
	out = append(be.AppendUint32(out, uint32(count)), payload...)
	be.PutUint32(out[4+atCRC:], crc32.Checksum(out[4+atAttributes:], castagnoli))
	return out
}

// bombs are payloads of a few kilobytes that unpack to 64 MB, by what they are.
func bombs(t testing.TB) map[string][]byte {
	large := zeros(64 << 20)
	part := zstdOf(t, make([]byte, 10<<20))
	return map[string][]byte{
		"gzip":               rawBatch(1, 1, packed(t, &compress.GzipCodec, large)),
		"snappy in frames":   rawBatch(2, 1, xerial.Encode(nil, large)),
		"snappy in one":      rawBatch(2, 1, snappy.Encode(nil, large)),
		"lz4":                rawBatch(3, 1, packed(t, &compress.Lz4Codec, large)),
		"zstd with its size": rawBatch(4, 1, zstdOf(t, large)),
		"zstd without it":    rawBatch(4, 1, packed(t, &compress.ZstdCodec, large)),
		"zstd in parts":      rawBatch(4, 1, bytes.Repeat(part, 7)),
	}
}

// TestABatchThatUnpacksToMuchIsRefusedAsThatInItsTopic, and its neighbours are read.
func TestABatchThatUnpacksToMuchIsRefusedAsThatInItsTopic(t *testing.T) {
	c, _ := fake(t)
	for name, bomb := range bombs(t) {
		t.Run(name, func(t *testing.T) {
			topic := strings.ReplaceAll(name, " ", "-")
			createWith(t, c, 1, map[string]string{"max.message.bytes": "5000000"}, topic)
			if err := c.Append(t.Context(), message(topic, "before")); err != nil {
				t.Fatal(err)
			}
			if err := c.append(t.Context(), TopicPartition{topic, 0}, bomb); err != nil {
				t.Fatal(err)
			}
			var got []string
			var err error
			n := allocated(func() {
				err = c.Reader.Read(t.Context(), topic, From{}, func(r *Record) error {
					got = append(got, string(r.Value))
					return nil
				})
			})
			corrupt, ok := errors.AsType[*CorruptError](err)
			if !ok || corrupt.Topic != topic || corrupt.Partition != 0 || corrupt.Offset != 1 || fault.KindOf(err) != fault.Suspend {
				t.Errorf("Read = %v, want a *CorruptError that suspends, at offset 1", err)
			}
			if !strings.Contains(err.Error(), "16 MiB") || !strings.Contains(err.Error(), "kafka-delete-records") {
				t.Errorf("Read = %v, want the bound and what to do", err)
			}
			if len(got) != 1 || got[0] != "before" || n > 64<<20 {
				t.Errorf("read %d records with %d bytes of memory", len(got), n)
			}
		})
	}
}

// TestALargeBatchIsReadWithEveryCompression just below the bound.
func TestALargeBatchIsReadWithEveryCompression(t *testing.T) {
	d := testDecoder(t)
	large := zeros(maxBatch - 100)
	for name, data := range map[string][]byte{
		"none": rawBatch(0, 1, large), "gzip": rawBatch(1, 1, packed(t, &compress.GzipCodec, large)),
		"snappy": rawBatch(2, 1, xerial.Encode(nil, large)), "lz4": rawBatch(3, 1, packed(t, &compress.Lz4Codec, large)),
		"zstd": rawBatch(4, 1, zstdOf(t, large)), "zstd, streamed": rawBatch(4, 1, packed(t, &compress.ZstdCodec, large)),
	} {
		b, _, err := nextBatch(data[4:])
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		if err := d.each(&b, 0, func(r *Record) error { size = len(r.Value); return nil }); err != nil || size != maxBatch-100 {
			t.Errorf("%s: a value of %d bytes, %v", name, size, err)
		}
	}
}

// TestACutOffStreamIsMalformed and not what it holds so far.
func TestACutOffStreamIsMalformed(t *testing.T) {
	d := testDecoder(t)
	data := zeros(1 << 20)
	for name, whole := range map[string][]byte{
		"gzip": packed(t, &compress.GzipCodec, data), "snappy": xerial.Encode(nil, data),
		"lz4": packed(t, &compress.Lz4Codec, data), "zstd": zstdOf(t, data),
	} {
		codec := map[string]uint16{"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}[name]
		b, _, err := nextBatch(rawBatch(codec, 1, whole[:len(whole)/2])[4:])
		if err != nil {
			t.Fatal(err)
		}
		if err := d.each(&b, 0, func(*Record) error { return nil }); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v, want %v", name, err, errMalformed)
		}
	}
}

// TestARecordOfManyHeadersIsRefused: eight million of them, of no length, fit in a
// batch and take 300 MB.
func TestARecordOfManyHeadersIsRefused(t *testing.T) {
	const n = 8 << 20
	one := append([]byte{0, 0, 0, 1, 1}, binary.AppendVarint(nil, n)...)
	one = append(one, bytes.Repeat([]byte{0, 1}, n)...)
	payload := append(binary.AppendVarint(nil, int64(len(one))), one...)
	b, _, err := nextBatch(rawBatch(4, 1, zstdOf(t, payload))[4:])
	if err != nil {
		t.Fatal(err)
	}
	d := testDecoder(t)
	got := allocated(func() { err = d.each(&b, 0, func(*Record) error { return nil }) })
	if !errors.Is(err, errHeaders) && !errors.Is(err, errOversize) || got > 48<<20 {
		t.Errorf("each = %v with %d bytes of memory", err, got)
	}
}

// TestATransactionLargerThanIsKeptIsReadWhole when it is committed, in the order of
// its offsets.
func TestATransactionLargerThanIsKeptIsReadWhole(t *testing.T) {
	c, _ := fake(t)
	create(t, c, 1, "a")
	random := rand.NewChaCha8([32]byte{1})
	large := make([]Message, 40)
	for i := range large {
		value := make([]byte, 900<<10)
		if _, err := io.ReadFull(random, value); err != nil {
			t.Fatal(err)
		}
		large[i] = Message{Topic: "a", Key: fmt.Appendf(nil, "large%02d", i), Value: value}
	}
	p, other := producer(t, c, "tx"), producer(t, c, "other")
	half := open(t, p, large...)
	commit(t, other, message("a", "between"))
	if err := half.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	commit(t, p, message("a", "after"))
	var got []string
	read := func() {
		got = nil
		err := c.Reader.Read(t.Context(), "a", From{}, func(r *Record) error {
			got = append(got, string(r.Key))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "everything", func() bool { read(); return len(got) == len(large)+2 })
	for i, key := range got {
		if want := fmt.Sprintf("large%02d", i-1); i > 0 && i <= len(large) && key != want {
			t.Fatalf("record %d is %s, want %s", i, key, want)
		}
	}
	if got[0] != "between" || got[len(got)-1] != "after" {
		t.Errorf("the others stand at %s and %s", got[0], got[len(got)-1])
	}
}
