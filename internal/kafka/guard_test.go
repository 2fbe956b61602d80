package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// scripted is a connection on which this comes, whatever is asked.
type scripted struct{ io.Reader }

func (scripted) Write(b []byte) (int, error)      { return len(b), nil }
func (scripted) Close() error                     { return nil }
func (scripted) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (scripted) SetDeadline(time.Time) error      { return nil }
func (scripted) SetReadDeadline(time.Time) error  { return nil }
func (scripted) SetWriteDeadline(time.Time) error { return nil }

// allocated is how many bytes fn allocates.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// anyRequest is written as a request of its kind and read as its answer by
// kafka-go; nothing of it but its head is of interest.
type anyRequest struct {
	key     protocol.ApiKey
	version int16
}

func (r *anyRequest) ApiKey() protocol.ApiKey { return r.key }

func (r *anyRequest) exchange(conn net.Conn) (protocol.Message, error) {
	head := binary.BigEndian.AppendUint32(nil, 8)
	head = binary.BigEndian.AppendUint16(head, uint16(r.key))
	head = binary.BigEndian.AppendUint16(head, uint16(r.version))
	head = binary.BigEndian.AppendUint32(head, 1)
	if _, err := conn.Write(head); err != nil {
		return nil, err
	}
	_, msg, err := protocol.ReadResponse(conn, r.key, r.version)
	return msg, err
}

// eachAnswer calls fn for each version of each answer with a whole one in which
// every array has two elements.
func eachAnswer(t *testing.T, fn func(t *testing.T, r *anyRequest, answer []byte)) {
	for _, key := range slices.Sorted(maps.Keys(answers)) {
		for version := key.MinVersion(); version <= key.MaxVersion(); version++ {
			t.Run(fmt.Sprintf("%s/v%d", key, version), func(t *testing.T) {
				msg := reflect.New(answers[key].message)
				fill(msg.Elem())
				var out bytes.Buffer
				if err := protocol.WriteResponse(&out, version, 1, msg.Interface().(protocol.Message)); err != nil {
					t.Fatal(err)
				}
				fn(t, &anyRequest{key, version}, out.Bytes())
			})
		}
	}
}

// fill gives every part of a message a value, but for what holds records.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		if holdsRecords(v.Type().Elem()) {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(1)
	default:
		v.SetInt(1)
	}
}

func holdsRecords(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if reflect.PointerTo(t.Field(i).Type).Implements(readsItself) {
			return true
		}
	}
	return false
}

func TestEveryAnswerOfABrokerPassesTheGuardAsItIs(t *testing.T) {
	eachAnswer(t, func(t *testing.T, r *anyRequest, answer []byte) {
		want, err := r.exchange(scripted{bytes.NewReader(answer)})
		if err != nil {
			t.Fatal(err)
		}
		if r.key == protocol.SyncGroup || r.key == protocol.SaslHandshake && r.version == 0 {
			return // what stands in its assignment here is none; what would follow is no request
		}
		got, err := r.exchange(newGuard(scripted{bytes.NewReader(answer)}))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("behind the guard it is %+v, %v; want %+v", got, err, want)
		}
	})
}

// TestNoAnswerOfABrokerCostsMoreThanItIsLong: each length and count in it claims as
// much as it can, and each answer ends at each place.
func TestNoAnswerOfABrokerCostsMoreThanItIsLong(t *testing.T) {
	eachAnswer(t, func(t *testing.T, r *anyRequest, answer []byte) {
		var hostile [][]byte
		for at := headBytes; at < len(answer); at++ {
			for _, assigned := range [][]byte{
				{0x7f, 0xff, 0xff, 0xff}, {0x80, 0, 0, 0}, {0xff, 0xff, 0xff, 0xfe}, {0x00, 0xff, 0xff, 0xff},
				{0xff, 0xff, 0xff, 0xff, 0x0f}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
			} {
				changed := append(slices.Clone(answer[:at]), assigned...)
				if rest := at + len(assigned); rest < len(answer) {
					changed = append(changed, answer[rest:]...)
				}
				hostile = append(hostile, changed)
			}
			hostile = append(hostile, slices.Clone(answer[:at]))
		}
		n := allocated(func() {
			for _, data := range hostile {
				binary.BigEndian.PutUint32(data, uint32(len(data)-4))
				_, _ = r.exchange(newGuard(scripted{bytes.NewReader(data)})) // must not panic
			}
		})
		if most := uint64(len(hostile)) * 100 << 10; n > most {
			t.Errorf("%d answers of at most %d bytes cost %d bytes", len(hostile), len(answer)+10, n)
		}
	})
}

// TestAnAnswerThatClaimsMoreThanMayBeIsRefusedBeforeItComes by its size alone.
func TestAnAnswerThatClaimsMoreThanMayBeIsRefusedBeforeItComes(t *testing.T) {
	eachAnswer(t, func(t *testing.T, r *anyRequest, answer []byte) {
		for _, size := range []uint32{1<<31 - 1, 1 << 31, 1<<32 - 1, uint32(answers[r.key].limit) + 1, 3, 0} {
			data := slices.Clone(answer)
			binary.BigEndian.PutUint32(data, size)
			n := allocated(func() {
				if _, err := r.exchange(newGuard(scripted{bytes.NewReader(data)})); err == nil {
					t.Errorf("an answer that claims %d bytes is taken", size)
				}
			})
			if n > 200<<10 {
				t.Errorf("an answer that claims %d bytes costs %d", size, n)
			}
		}
	})
}

// TestManySmallElementsAreRefusedByWhatTheyTakeInMemory, which is many times what
// they take on the wire: whole answers, 12 MB long, of empty strings.
func TestManySmallElementsAreRefusedByWhatTheyTakeInMemory(t *testing.T) {
	for _, tt := range []struct {
		n    int
		want bool
	}{{1_000, true}, {6_000_000, false}} {
		body := binary.BigEndian.AppendUint32(make([]byte, 2), uint32(tt.n))
		body = append(body, make([]byte, 2*tt.n)...)
		if got := shapeOf(answers[protocol.SaslHandshake].message, 0).fits(body); got != tt.want {
			t.Errorf("%d empty strings: fits = %v, want %v", tt.n, got, tt.want)
		}
	}
}

// TestRecordsAreReadByNobodyElse: kafka-go would unpack them, however large.
func TestRecordsAreReadByNobodyElse(t *testing.T) {
	body := make([]byte, 4+2+4)                                        // throttle time, error, session
	body = append(body, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 1)             // one topic, one partition
	body = append(body, make([]byte, 4+2+8+8+8)...)                    // partition, error, offsets
	body = append(body, 0, 0, 0, 0, 0, 0, 0, 0)                        // aborted transactions, replica to read from
	empty := append(slices.Clone(body), 0xff, 0xff, 0xff, 0xff)        // no records
	some := append(slices.Clone(body), 0, 0, 0, 4, 'b', 'o', 'm', 'b') // as it says, four bytes of them
	fits := shapeOf(answers[protocol.Fetch].message, fetchVersion).fits
	if !fits(empty) || fits(some) {
		t.Errorf("fits = %v without records and %v with some, want true and false", fits(empty), fits(some))
	}
}

// TestAnAssignmentIsAsLongAsItClaims: it is the work of another member of the group.
func TestAnAssignmentIsAsLongAsItClaims(t *testing.T) {
	answer := func(assignment ...byte) []byte {
		body := binary.BigEndian.AppendUint32(make([]byte, 2), uint32(len(assignment)))
		return append(body, assignment...)
	}
	sync := request{protocol.SyncGroup, 0}
	for name, tt := range map[string]struct {
		body []byte
		want bool
	}{
		"one partition":  {answer(0, 1, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff), true},
		"none":           {answer(), true},
		"many topics":    {answer(0, 1, 0x7f, 0xff, 0xff, 0xff, 0, 1, 'a'), false},
		"cut off":        {answer(0, 1, 0, 0, 0, 1, 0, 1, 'a', 0, 0), false},
		"refused by all": {append([]byte{0, 27}, 0, 0, 0, 0), true},
	} {
		if got := sync.answeredBy(tt.body); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// TestNobodyHasABrokerMakeTopics: one that was deleted would come back with the
// broker's own settings, whether a group or we ask about it.
func TestNobodyHasABrokerMakeTopics(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "work")
	var asked, makes atomic.Int32
	f.ControlKey(int16(protocol.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		if m := req.(*kmsg.MetadataRequest); len(m.Topics) > 0 {
			asked.Add(1)
			if m.AllowAutoTopicCreation {
				makes.Add(1)
			}
		}
		return nil, nil, false
	})
	err := c.Member(GroupConfig{ID: "group", Topic: "work"}, func(ctx context.Context) error {
		_, err := c.Admin.DescribeTopics(ctx, []string{"work", "gone"})
		return err
	}).Run(t.Context())
	if err != nil || asked.Load() < 3 || makes.Load() > 0 {
		t.Errorf("Member.Run = %v; %d of %d requests have topics made, want none of several", err, makes.Load(), asked.Load())
	}
}

// FuzzFirstAnswer: whatever the other end answers to the first request is an error
// or a broker's answer, never a panic, and costs little memory.
func FuzzFirstAnswer(f *testing.F) {
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x10\xff\xff\xff\xff\x00\x00\x00\x00\x00\x01\x00\x12\x00\x00\x00\x04"))
	f.Add([]byte("\x00\x00\x00\x0a\xff\xff\xff\xff\x00\x00\x7f\xff\xff\xff"))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add([]byte("SSH-2.0-OpenSSH_9.2p1\r\n"))
	f.Add([]byte("\x15\x03\x03\x00\x02\x02\x46"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		for name, end := range map[string]net.Conn{
			"plain": scripted{bytes.NewReader(answer)}, "guarded": newGuard(scripted{bytes.NewReader(answer)}),
		} {
			n := allocated(func() { _ = negotiate(&conn{Conn: protocol.NewConn(end, "fuzz")}) })
			if n > 1<<20 {
				t.Fatalf("%s: %d bytes for an answer of %d", name, n, len(answer))
			}
		}
	})
}

// FuzzAnswers: whatever a broker answers to whichever request, kafka-go behind the
// guard neither panics nor takes more memory than is good.
func FuzzAnswers(f *testing.F) {
	keys := slices.Sorted(maps.Keys(answers))
	f.Add(uint8(0), uint8(0), []byte{0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, kind, version uint8, answer []byte) {
		key := keys[int(kind)%len(keys)]
		span := int(key.MaxVersion()-key.MinVersion()) + 1
		r := &anyRequest{key, key.MinVersion() + int16(int(version)%span)}
		n := allocated(func() { _, _ = r.exchange(newGuard(scripted{bytes.NewReader(answer)})) })
		if most := uint64(1<<20 + 100*len(answer)); n > most {
			t.Fatalf("%s v%d: %d bytes for an answer of %d", r.key, r.version, n, len(answer))
		}
	})
}
