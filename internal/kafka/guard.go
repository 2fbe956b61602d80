package kafka

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"sync"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/consumer"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/deletetopics"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/describegroups"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/heartbeat"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/joingroup"
	"github.com/segmentio/kafka-go/protocol/leavegroup"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/protocol/syncgroup"
)

const (
	shortAnswer = 64 << 10
	// longAnswer is for what speaks of many topics or members: 1,000 topics of 100
	// partitions with three replicas take 5 MB.
	longAnswer = 8 << 20
)

// answer is what may come for a request.
type answer struct {
	message reflect.Type // of kafka-go
	limit   int          // bytes
}

// answers are those to the requests that kafka-go may make on a guarded connection.
// Any other request is refused.
var answers = map[protocol.ApiKey]answer{
	protocol.ApiVersions:        {reflect.TypeFor[apiversions.Response](), shortAnswer},
	protocol.SaslHandshake:      {reflect.TypeFor[saslhandshake.Response](), shortAnswer},
	protocol.SaslAuthenticate:   {reflect.TypeFor[saslauthenticate.Response](), shortAnswer},
	protocol.FindCoordinator:    {reflect.TypeFor[findcoordinator.Response](), shortAnswer},
	protocol.InitProducerId:     {reflect.TypeFor[initproducerid.Response](), shortAnswer},
	protocol.EndTxn:             {reflect.TypeFor[endtxn.Response](), shortAnswer},
	protocol.Heartbeat:          {reflect.TypeFor[heartbeat.Response](), shortAnswer},
	protocol.LeaveGroup:         {reflect.TypeFor[leavegroup.Response](), shortAnswer},
	protocol.OffsetFetch:        {reflect.TypeFor[offsetfetch.Response](), shortAnswer},
	protocol.SyncGroup:          {reflect.TypeFor[syncgroup.Response](), shortAnswer},
	protocol.JoinGroup:          {reflect.TypeFor[joingroup.Response](), longAnswer},
	protocol.Metadata:           {reflect.TypeFor[metadata.Response](), longAnswer},
	protocol.Produce:            {reflect.TypeFor[produce.Response](), longAnswer},
	protocol.Fetch:              {reflect.TypeFor[fetch.Response](), longAnswer},
	protocol.ListOffsets:        {reflect.TypeFor[listoffsets.Response](), longAnswer},
	protocol.AddPartitionsToTxn: {reflect.TypeFor[addpartitionstotxn.Response](), longAnswer},
	protocol.CreateTopics:       {reflect.TypeFor[createtopics.Response](), longAnswer},
	protocol.DeleteTopics:       {reflect.TypeFor[deletetopics.Response](), longAnswer},
	protocol.DescribeConfigs:    {reflect.TypeFor[describeconfigs.Response](), longAnswer},
	protocol.DescribeGroups:     {reflect.TypeFor[describegroups.Response](), longAnswer},
}

// request is what a guard remembers of one that waits for its answer.
type request struct {
	key     protocol.ApiKey
	version int16
}

// guard stands between a connection and kafka-go, which trusts the lengths and
// counts of whatever it is given: an answer passes once it is there whole, answers
// a request that was made, and is as long as it claims. What is decoded by this
// package passes as it comes.
//
// Like any net.Conn it may be read from and written to at the same time, by one
// goroutine each.
type guard struct {
	net.Conn
	in *bufio.Reader

	head    []byte // of the request that is being written
	unsent  int    // how much of it is to come
	frame   []byte // the answer that is being read, from its size on
	checked int    // how much of frame is still to be read; 0 while it is not whole
	passing int    // how much of an answer is still passed on as it comes

	mu      sync.Mutex
	waiting map[int32]request // by correlation id
}

func newGuard(c net.Conn) *guard {
	return &guard{Conn: c, in: bufio.NewReader(c), waiting: map[int32]request{}}
}

// requestHead is how much of a request says which one it is: size, kind, version
// and correlation id.
const requestHead = 12

// Write sends bytes of requests.
func (g *guard) Write(b []byte) (int, error) {
	rest := b
	for len(rest) > 0 {
		if len(g.head) < requestHead {
			n := min(requestHead-len(g.head), len(rest))
			g.head, rest = append(g.head, rest[:n]...), rest[n:]
			if len(g.head) == requestHead {
				if err := g.expect(); err != nil {
					return 0, err
				}
			}
			continue
		}
		n := min(g.unsent, len(rest))
		rest = rest[n:]
		if g.unsent -= n; g.unsent > 0 {
			break
		}
		if g.makesTopics() {
			last := len(b) - len(rest) - 1
			b = slices.Clone(b)
			b[last] = 0
		}
		g.head = g.head[:0]
	}
	return g.Conn.Write(b)
}

var errOldSASL = errors.New("the broker knows only the SASL handshake of Kafka before 1.0")

// expect takes in the request that begins with g.head.
func (g *guard) expect() error {
	be := binary.BigEndian
	r := request{protocol.ApiKey(be.Uint16(g.head[4:])), int16(be.Uint16(g.head[6:]))}
	correlation := int32(be.Uint32(g.head[8:]))
	if _, known := answers[r.key]; !known && correlation != rawCorrelation {
		return fmt.Errorf("no answer to %s is known here", r.key)
	}
	if r.key == protocol.SaslHandshake && r.version == 0 {
		return errOldSASL // what follows would be no requests
	}
	g.unsent = int(be.Uint32(g.head)) + 4 - requestHead
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting[correlation] = r
	return nil
}

// makesTopics reports whether the request that was just written ends with a byte
// that has a broker make topics that are missing. kafka-go's group asks for that:
// a topic of ours that was deleted would come back with a broker's own settings.
func (g *guard) makesTopics() bool {
	be := binary.BigEndian
	version := int16(be.Uint16(g.head[6:]))
	return protocol.ApiKey(be.Uint16(g.head[4:])) == protocol.Metadata && version >= 4 && version <= 7
}

// Read gives bytes of answers that may be decoded.
func (g *guard) Read(b []byte) (int, error) {
	for g.checked == 0 && g.passing == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	if g.passing > 0 {
		n, err := g.in.Read(b[:min(len(b), g.passing)])
		g.passing -= n
		return n, err
	}
	n := copy(b, g.frame[len(g.frame)-g.checked:])
	if g.checked -= n; g.checked == 0 {
		g.frame = g.frame[:0]
		if cap(g.frame) > shortAnswer {
			g.frame = nil
		}
	}
	return n, nil
}

// next reads the next answer, or what is missing of it after a deadline passed.
func (g *guard) next() error {
	head := g.frame
	if len(head) < headBytes {
		var err error
		if head, err = g.in.Peek(headBytes); err != nil {
			return notKafka(head, err)
		}
	}
	size, correlation := readHead(head)
	g.mu.Lock()
	r, asked := g.waiting[correlation]
	g.mu.Unlock()
	if !asked || size < headBytes-4 {
		return notKafka(head[:headBytes], nil)
	}
	if correlation == rawCorrelation {
		g.done(correlation)
		g.passing = size + 4
		return nil
	}
	if limit := answers[r.key].limit; size > limit {
		return fmt.Errorf("reading the answer to %s: %w", r.key, &tooLargeError{size, limit})
	}
	if err := g.fill(size + 4); err != nil {
		return err
	}
	g.done(correlation)
	if !r.answeredBy(g.frame[headBytes:]) {
		return fmt.Errorf("the answer to %s, version %d, is not as long as it claims: the broker, or something on the way, is broken", r.key, r.version)
	}
	g.checked = len(g.frame)
	return nil
}

func (g *guard) done(correlation int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.waiting, correlation)
}

// fill reads until the frame has n bytes. Its memory grows with what comes, not
// with what is claimed.
func (g *guard) fill(n int) error {
	for len(g.frame) < n {
		g.frame = slices.Grow(g.frame, min(n-len(g.frame), max(len(g.frame), shortAnswer)))
		got, err := g.in.Read(g.frame[len(g.frame):min(cap(g.frame), n)])
		g.frame = g.frame[:len(g.frame)+got]
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// answeredBy reports whether an answer may be decoded as that to the request.
func (r request) answeredBy(body []byte) bool {
	if !shapeOf(answers[r.key].message, r.version).fits(body) {
		return false
	}
	return r.key != protocol.SyncGroup || assignmentFits(body)
}

// assignmentFits looks into the assignment that the group's leader made, which a
// broker passes on as it is. kafka-go asks for version 0.
func assignmentFits(body []byte) bool {
	f := &fields{data: body}
	if f.int16() != 0 {
		return true // refused: there is none
	}
	assignment := f.take(f.count())
	return len(assignment) == 0 || shapeOf(reflect.TypeFor[consumer.Assignment](), 0).fits(assignment)
}
