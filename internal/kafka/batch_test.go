package kafka

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
)

// readBack is what a test compares: a record in values that print well.
type readBack struct {
	Offset  int64
	Millis  int64
	Key     string
	Value   string
	Headers []string
}

func nilOr(b []byte) string {
	if b == nil {
		return "<nil>"
	}
	return string(b)
}

func headersOf[H any](hs []H, each func(H) (string, []byte)) []string {
	out := []string{}
	for _, h := range hs {
		k, v := each(h)
		out = append(out, k+"="+nilOr(v))
	}
	return out
}

func encode(t testing.TB, s producerState, msgs ...Message) []byte {
	t.Helper()
	return encodeWith(testEncoder(t), s, msgs)
}

func encodeWith(e *encoder, s producerState, msgs []Message) []byte {
	chosen := make([]int32, len(msgs))
	for i := range chosen {
		chosen[i] = int32(i)
	}
	return e.appendBatch(nil, s, msgs, chosen, time.UnixMilli(1_700_000_000_000))
}

func testEncoder(t testing.TB) *encoder {
	t.Helper()
	e, err := newEncoder()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func testDecoder(t testing.TB) *decoder {
	t.Helper()
	d, err := newDecoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.zstd.Close)
	return d
}

// decodeOurs reads a size-prefixed batch with our decoder.
func decodeOurs(t testing.TB, encoded []byte) (batch, []readBack) {
	t.Helper()
	return decodeWith(t, testDecoder(t), encoded)
}

func decodeWith(t testing.TB, d *decoder, encoded []byte) (batch, []readBack) {
	t.Helper()
	b, rest, err := nextBatch(encoded[4:])
	if err != nil || len(rest) != 0 {
		t.Fatalf("nextBatch = %v with %d bytes left", err, len(rest))
	}
	got := []readBack{}
	err = d.each(&b, 0, func(r *Record) error {
		got = append(got, readBack{r.Offset, r.Time.UnixMilli(), nilOr(r.Key), nilOr(r.Value),
			headersOf(r.Headers, func(h Header) (string, []byte) { return h.Key, h.Value })})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b, got
}

// decodeTheirs reads it with kafka-go's reader.
func decodeTheirs(t testing.TB, encoded []byte) (*protocol.RecordBatch, []readBack) {
	t.Helper()
	var rs protocol.RecordSet
	if _, err := rs.ReadFrom(bytes.NewReader(encoded)); err != nil {
		t.Fatal(err)
	}
	stream := rs.Records.(*protocol.RecordStream)
	b := stream.Records[0].(*protocol.RecordBatch)
	got := []readBack{}
	for {
		r, err := b.ReadRecord()
		if errors.Is(err, io.EOF) {
			return b, got
		}
		if err != nil {
			t.Fatal(err)
		}
		read := func(from protocol.Bytes) string {
			all, err := protocol.ReadAll(from)
			if err != nil {
				t.Fatal(err)
			}
			return nilOr(all)
		}
		got = append(got, readBack{r.Offset, r.Time.UnixMilli(), read(r.Key), read(r.Value),
			headersOf(r.Headers, func(h protocol.Header) (string, []byte) { return h.Key, h.Value })})
	}
}

func wanted(msgs []Message, now int64) []readBack {
	want := []readBack{}
	for i, m := range msgs {
		millis := now
		if !m.Time.IsZero() {
			millis = m.Time.UnixMilli()
		}
		want = append(want, readBack{int64(i), millis, nilOr(m.Key), nilOr(m.Value),
			headersOf(m.Headers, func(h Header) (string, []byte) { return h.Key, h.Value })})
	}
	return want
}

func equal(a, b []readBack) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }

var samples = map[string][]Message{
	"one":        {{Key: []byte("k"), Value: []byte("v")}},
	"nil":        {{}, {Key: []byte{}, Value: []byte{}}, {Key: []byte("k")}},
	"headers":    {{Key: []byte("k"), Headers: []Header{{"a", []byte("1")}, {"a", nil}, {"", []byte{}}}}},
	"times":      {{Time: time.UnixMilli(5000)}, {Time: time.UnixMilli(4000)}, {Time: time.UnixMilli(0)}, {Time: time.UnixMilli(9000)}},
	"compresses": slices.Repeat([]Message{{Key: []byte("key"), Value: bytes.Repeat([]byte("value "), 100)}}, 50),
}

// TestBatchReadsBackAlike: what is encoded comes back by kafka-go's reader and
// by ours, null and empty kept apart.
func TestBatchReadsBackAlike(t *testing.T) {
	for name, msgs := range samples {
		t.Run(name, func(t *testing.T) {
			encoded := encode(t, producerState{producerID: 7, epoch: 3, sequence: 11}, msgs...)
			want := wanted(msgs, 1_700_000_000_000)
			ours, got := decodeOurs(t, encoded)
			if !equal(got, want) {
				t.Errorf("our reader: got %+v\nwant %+v", got, want)
			}
			theirs, got := decodeTheirs(t, encoded)
			if !equal(got, want) {
				t.Errorf("kafka-go's reader: got %+v\nwant %+v", got, want)
			}
			if !theirs.Attributes.Transactional() || !ours.transactional() || ours.control() {
				t.Errorf("attributes %v: want transactional, and no control batch", theirs.Attributes)
			}
			if theirs.ProducerID != 7 || theirs.ProducerEpoch != 3 || theirs.BaseSequence != 11 || ours.producerID != 7 {
				t.Errorf("stamp = %d, %d, %d, want 7, 3, 11", theirs.ProducerID, theirs.ProducerEpoch, theirs.BaseSequence)
			}
			if last := int64(len(msgs) - 1); ours.last != last {
				t.Errorf("last offset = %d, want %d", ours.last, last)
			}
			size := batchOverhead
			for i := range msgs {
				size += recordBound(&msgs[i])
			}
			if len(encoded)-4 > size {
				t.Errorf("%d bytes, above the bound of %d", len(encoded)-4, size)
			}
		})
	}
}

// TestBatchBytesStay: a batch once written is what brokers and mirrors have on
// disk; its bytes are fixed by the protocol.
func TestBatchBytesStay(t *testing.T) {
	got := hex.EncodeToString(encode(t, producerState{producerID: 1, epoch: 2, sequence: 3},
		Message{Key: []byte("k"), Value: []byte("v"), Headers: []Header{{"h", []byte("x")}}, Time: time.UnixMilli(1000)}))
	const want = "0000004a" + "0000000000000000" + "0000003e" + "ffffffff" + "02" + "e9610e70" + "0010" + "00000000" +
		"00000000000003e8" + "00000000000003e8" + "0000000000000001" + "0002" + "00000003" + "00000001" +
		"18" + "00" + "00" + "00" + "026b" + "0276" + "02" + "0268" + "0278"
	if got != want {
		t.Errorf("batch =\n%s, want\n%s", got, want)
	}
}

// TestEveryCompressionIsRead: topics that were written by others hold whatever
// codec those used.
func TestEveryCompressionIsRead(t *testing.T) {
	for codec := compress.Gzip; codec <= compress.Zstd; codec++ {
		t.Run(codec.String(), func(t *testing.T) {
			records := make([]protocol.Record, 100)
			for i := range records {
				records[i] = protocol.Record{Offset: int64(i), Time: time.UnixMilli(int64(1000 + i)), Key: protocol.NewBytes([]byte("key")),
					Value: protocol.NewBytes(fmt.Appendf(nil, "value %d", i))}
			}
			set := protocol.RecordSet{Version: 2, Attributes: protocol.Attributes(codec), Records: protocol.NewRecordReader(records...)}
			var encoded bytes.Buffer
			if _, err := set.WriteTo(&encoded); err != nil {
				t.Fatal(err)
			}
			b, got := decodeOurs(t, encoded.Bytes())
			if len(got) != 100 || got[99].Value != "value 99" || got[99].Millis != 1099 {
				t.Errorf("%d records, the last %+v", len(got), got[len(got)-1])
			}
			if b.attributes&codecMask != uint16(codec) {
				t.Errorf("attributes = %x: the sample is not compressed by %v", b.attributes, codec)
			}
		})
	}
}

// TestDamagedBatchesAreRefused: never a record that was not written.
func TestDamagedBatchesAreRefused(t *testing.T) {
	good := encode(t, producerState{}, samples["compresses"]...)[4:]
	damage := func(at int, with ...byte) []byte {
		bad := slices.Clone(good)
		copy(bad[at:], with)
		return bad
	}
	tests := map[string]struct {
		data []byte
		want error
	}{
		"flipped byte":          {damage(70, good[70]^1), errMalformed},
		"old message format":    {damage(atMagic, 1), errMalformed},
		"length below header":   {damage(atLength, 0, 0, 0, 10), errMalformed},
		"negative length":       {damage(atLength, 0xff, 0xff, 0xff, 0xff), errMalformed},
		"cut off by the limit":  {good[:len(good)-1], io.EOF},
		"cut off in the header": {good[:10], io.EOF},
		"nothing":               {nil, io.EOF},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, err := nextBatch(tt.data); !errors.Is(err, tt.want) {
				t.Errorf("nextBatch = %v, want %v", err, tt.want)
			}
		})
	}
}

// TestPartitionIsJavas: a lead's records stay in one partition whoever writes
// them. The vectors are those of Apache Kafka's UtilsTest.testMurmur2.
func TestPartitionIsJavas(t *testing.T) {
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string":                       -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		for _, partitions := range []int{1, 2, 12, 100} {
			if got, want := partitionOf([]byte(key), partitions), int(hash&math.MaxInt32)%partitions; got != want {
				t.Errorf("partition of %q among %d = %d, want %d", key, partitions, got, want)
			}
		}
	}
}

// TestSequenceWrapsAsInJava: after 2147483647 comes 0.
func TestSequenceWrapsAsInJava(t *testing.T) {
	for _, tt := range []struct {
		from int32
		n    int
		want int32
	}{{0, 1, 1}, {math.MaxInt32 - 1, 1, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 1, 5, 3}} {
		if got := advance(tt.from, tt.n); got != tt.want {
			t.Errorf("advance(%d, %d) = %d, want %d", tt.from, tt.n, got, tt.want)
		}
	}
}

// FuzzBatch: any records come back alike from kafka-go's reader and from ours.
func FuzzBatch(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), "header", []byte("x"), int64(1000), uint8(3))
	f.Add([]byte{}, bytes.Repeat([]byte("a"), 1000), "", []byte{}, int64(-5), uint8(200))
	e, d := testEncoder(f), testDecoder(f)
	f.Fuzz(func(t *testing.T, key, value []byte, header string, extra []byte, millis int64, n uint8) {
		if millis < -1<<40 || millis > 1<<45 {
			return
		}
		n = n%16 + 1 // enough for each kind of record
		var msgs []Message
		for i := range int(n) {
			m := Message{Key: key, Value: value, Time: time.UnixMilli(millis + int64(i*i)*int64(1-2*(i%2)))}
			switch i % 4 {
			case 1:
				m.Key, m.Headers = nil, []Header{{header, extra}, {"", nil}}
			case 2:
				m.Value = nil
			case 3:
				m.Value = extra
			}
			if m.Time.IsZero() {
				return
			}
			msgs = append(msgs, m)
		}
		encoded := encodeWith(e, producerState{producerID: millis, epoch: int16(n), sequence: int32(n)}, msgs)
		want := wanted(msgs, 0)
		if _, got := decodeWith(t, d, encoded); !equal(got, want) {
			t.Errorf("our reader: got %+v\nwant %+v", got, want)
		}
		if _, got := decodeTheirs(t, encoded); !equal(got, want) {
			t.Errorf("kafka-go's reader: got %+v\nwant %+v", got, want)
		}
	})
}

// FuzzRecords: bytes from a broker never make the reader fail in another way
// than with errMalformed, nor read beyond their end.
func FuzzRecords(f *testing.F) {
	for _, msgs := range samples {
		f.Add(encode(f, producerState{}, msgs...)[4:])
	}
	d := testDecoder(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > batchOverhead { // get past the checksum
			data = slices.Clone(data)
			n := int(int32(binary.BigEndian.Uint32(data[atLength:])))
			if n >= afterLength && n+12 <= len(data) {
				binary.BigEndian.PutUint32(data[atCRC:], crc32.Checksum(data[atAttributes:n+12], castagnoli))
			}
		}
		b, _, err := nextBatch(data)
		if err != nil {
			if !errors.Is(err, errMalformed) && !errors.Is(err, io.EOF) {
				t.Errorf("nextBatch = %v", err)
			}
			return
		}
		if err := d.each(&b, 0, func(*Record) error { return nil }); err != nil && !errors.Is(err, errMalformed) {
			t.Errorf("each = %v", err)
		}
	})
}

// FuzzFetchAnswer: any answer is read or refused, within its bounds.
func FuzzFetchAnswer(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0, 0, 0, 1}, 40))
	f.Fuzz(func(t *testing.T, data []byte) {
		res, err := decodeFetch(data, nil)
		if err == nil && len(res.records) > len(data) {
			t.Errorf("%d bytes of records in an answer of %d", len(res.records), len(data))
		}
	})
}

// BenchmarkEncode is a batch of a thousand leads.
func BenchmarkEncode(b *testing.B) {
	e := testEncoder(b)
	msgs := make([]Message, 1000)
	chosen := make([]int32, len(msgs))
	for i := range msgs {
		chosen[i] = int32(i)
		msgs[i] = Message{Key: fmt.Appendf(nil, "%019d", i), Value: bytes.Repeat(fmt.Appendf(nil, "answer %d, ", i), 30),
			Headers: []Header{{"leadstream.delivery", []byte("live")}, {"leadstream.owner", []byte("urn:li:organization:9000123")}}}
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = e.appendBatch(out[:0], producerState{}, msgs, chosen, time.UnixMilli(1000))
	}
	b.ReportMetric(float64(len(msgs)*b.N)/b.Elapsed().Seconds(), "records/s")
}
