//go:build integration

package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// The requests of a transaction by their numbers in Kafka's protocol guide.
const (
	apiProduce        = 0
	apiInitProducerID = 22
	apiAddPartitions  = 24
	apiEndTxn         = 26
)

// tripwire stands between clients and a broker's listener, and lets something
// happen at an exact point of a transaction.
type tripwire struct {
	listener net.Listener
	target   string // set before the first client comes

	mu      sync.Mutex
	armed   *trap
	written int // bytes of the last Produce request
}

// trap is what happens to the next request of one kind.
type trap struct {
	api  int16
	skip int // so many requests of the kind pass first
	// least: only where the transaction's records, its last Produce request,
	// have that many bytes.
	least int
	// answered: the request reaches the broker and is answered, but the answer
	// never comes back; else the request does not get to the broker before
	// release is closed, never when that is nil.
	answered bool
	release  chan struct{}
	fire     func()
}

func newTripwire() (*tripwire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for Kafka's clients: %w", err)
	}
	return &tripwire{listener: l}, nil
}

func (w *tripwire) addr() string { return w.listener.Addr().String() }

// arm sets the trap for one request.
func (w *tripwire) arm(t trap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = &t
}

func (w *tripwire) disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = nil
}

// springs takes the trap if it is set for this request.
func (w *tripwire) springs(api int16, size int) *trap {
	w.mu.Lock()
	defer w.mu.Unlock()
	if api == apiProduce {
		w.written = size
	}
	t := w.armed
	if t == nil || t.api != api || w.written < t.least {
		return nil
	}
	if t.skip > 0 {
		t.skip--
		return nil
	}
	w.armed = nil
	return t
}

// serve carries connections until the listener is closed.
func (w *tripwire) serve() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		go w.carry(client)
	}
}

func (w *tripwire) carry(client net.Conn) {
	defer client.Close() //nolint:errcheck // one of both ends has gone
	broker, err := net.Dial("tcp", w.target)
	if err != nil {
		return // as if the broker refused
	}
	defer broker.Close() //nolint:errcheck // one of both ends has gone
	c := &carried{wire: w, held: map[uint32]*trap{}}
	done := make(chan error, 2)
	go func() { done <- c.requests(client, broker) }()
	go func() { done <- c.answers(broker, client) }()
	<-done
}

// carried is one connection.
type carried struct {
	wire *tripwire
	mu   sync.Mutex
	held map[uint32]*trap // by the correlation id of the request whose answer is kept back
}

var errSprung = errors.New("the trap has sprung")

func (c *carried) requests(client io.Reader, broker io.Writer) error {
	for {
		frame, err := readFrame(client)
		if err != nil {
			return err
		}
		if t := c.wire.springs(int16(binary.BigEndian.Uint16(frame[4:])), len(frame)); t != nil {
			if t.answered {
				c.mu.Lock()
				c.held[binary.BigEndian.Uint32(frame[8:])] = t
				c.mu.Unlock()
			} else {
				t.fire()
				if t.release == nil {
					return errSprung
				}
				<-t.release
			}
		}
		if _, err := broker.Write(frame); err != nil {
			return err
		}
	}
}

func (c *carried) answers(broker io.Reader, client io.Writer) error {
	for {
		frame, err := readFrame(broker)
		if err != nil {
			return err
		}
		c.mu.Lock()
		t := c.held[binary.BigEndian.Uint32(frame[4:])]
		c.mu.Unlock()
		if t != nil {
			t.fire()
			return errSprung
		}
		if _, err := client.Write(frame); err != nil {
			return err
		}
	}
}

// readFrame reads a message with the four bytes of its length before it. A
// request has api key, version and correlation id next, an answer the
// correlation id. Source: Apache Kafka protocol guide.
func readFrame(from io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, 4+binary.BigEndian.Uint32(size[:]))
	copy(frame, size[:])
	_, err := io.ReadFull(from, frame[4:])
	return frame, err
}
