package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/protocol"
)

var errAnswer = errors.New("what came is not an answer")

// rawCorrelation is the id of every request that is written here: a connection
// carries one request at a time, so that any is unique. kafka-go counts from 1, so
// that a guard tells by it what is decoded here.
const rawCorrelation = -1

// tooLargeError is an answer that is larger than any may be. The rest of it is
// still on its way, so that the connection is of no more use.
type tooLargeError struct{ size, limit int }

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("the answer takes %d bytes, more than %d", e.size, e.limit)
}

// rawRequest begins a request that kafka-go does not encode, with room for size
// bytes behind the header.
func rawRequest(key protocol.ApiKey, version int16, clientID string, size int) []byte {
	out := make([]byte, 4, 16+len(clientID)+size)
	out = binary.BigEndian.AppendUint16(out, uint16(key))
	out = binary.BigEndian.AppendUint16(out, uint16(version))
	correlation := int32(rawCorrelation)
	out = binary.BigEndian.AppendUint32(out, uint32(correlation))
	return appendText(out, clientID)
}

func appendText(out []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(out, uint16(len(s))), s...)
}

// exchangeRaw writes what rawRequest began and returns the answer behind its
// correlation id, which lies in buffer, or in a larger one that takes its place.
func exchangeRaw(rw io.ReadWriter, request, buffer []byte, limit int) (answer, grown []byte, err error) {
	binary.BigEndian.PutUint32(request, uint32(len(request)-4))
	if _, err := rw.Write(request); err != nil {
		return nil, buffer, err
	}
	var head [headBytes]byte
	got, err := io.ReadFull(rw, head[:])
	if err != nil {
		return nil, buffer, notKafka(head[:got], err)
	}
	n, correlation := readHead(head[:])
	switch {
	case n < headBytes-4 || correlation != rawCorrelation:
		return nil, buffer, notKafka(head[:], nil)
	case n > limit:
		return nil, buffer, &tooLargeError{n, limit}
	}
	n -= headBytes - 4
	if cap(buffer) < n {
		buffer = make([]byte, n)
	}
	answer = buffer[:n]
	if _, err := io.ReadFull(rw, answer); err != nil {
		return nil, buffer, err
	}
	return answer, buffer, nil
}

// fields reads the parts of an answer; after the first that does not fit, bad is
// set and all further ones are zero.
type fields struct {
	data    []byte
	bad     bool
	claimed int // bytes that a decoder will allocate for what was read
}

func (f *fields) fail() { f.bad, f.data = true, nil }

func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.data) {
		f.fail()
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

func (f *fields) int32() int32 {
	if b := f.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
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
		f.fail()
		return 0
	}
	return max(n, 0)
}

// compact reads the length of a compact array or string, which is written as one
// more than it is; 0, null, counts as none.
func (f *fields) compact() int {
	n, size := binary.Uvarint(f.data)
	if size <= 0 || f.take(size) == nil || n > uint64(len(f.data))+1 {
		f.fail()
		return 0
	}
	return max(int(n)-1, 0)
}
