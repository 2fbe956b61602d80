package kafka

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

// memoryLimit is what a process may take at most, whatever it is answered.
const memoryLimit = 192 << 20

// hostileEnv has the test binary be the process that is answered: what it says is
// what to do with the brokers of hostileBrokersEnv.
const (
	hostileEnv        = "LEADSTREAM_TEST_HOSTILE"
	hostileBrokersEnv = "LEADSTREAM_TEST_HOSTILE_BROKERS"
)

// inLittleMemory runs work in a process of its own, holds the memory that it took to
// the limit, and gives what it says.
func inLittleMemory(t *testing.T, work string, brokers ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), hostileEnv+"="+work, hostileBrokersEnv+"="+strings.Join(brokers, ","), "GOMEMLIMIT=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	peak := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(out)
	if peak == nil {
		t.Fatalf("it does not say what it took: %s", out)
	}
	kb, err := strconv.Atoi(string(peak[1]))
	if err != nil {
		t.Fatal(err)
	}
	if kb<<10 > memoryLimit && !raceDetector {
		t.Errorf("%s took %d MB", work, kb>>10)
	}
	t.Logf("%s took %d MB", work, kb>>10)
	return string(out)
}

func init() { acts[hostileEnv] = hostileWork }

// hostileWork is what the process does that is answered.
func hostileWork(work string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	at := func(brokers ...string) *Client {
		c, err := New(Config{Brokers: brokers, ClientID: "leadstream-test"})
		if err != nil {
			panic(err)
		}
		return c
	}
	brokers := strings.Split(os.Getenv(hostileBrokersEnv), ",")
	switch kind, topic, _ := strings.Cut(work, " "); kind {
	case "read":
		fmt.Println("result:", at(brokers...).Reader.Read(ctx, topic, From{}, func(*Record) error { return nil }))
	case "everything":
		for _, broker := range brokers {
			everything(ctx, at(broker), func(name string, err error) {
				fmt.Printf("result of %s at %s: %v\n", name, broker, err)
			})
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	peak, _, _ = strings.Cut(peak, "\n")
	fmt.Println("VmHWM:" + peak)
	return 0
}

// everything asks a cluster for everything that there is to be asked for, and says
// what comes of it.
func everything(ctx context.Context, c *Client, say func(name string, err error)) {
	say("ping", c.Ping(ctx))
	p := c.NewProducer("t", 15*time.Second)
	var asking sync.WaitGroup
	for name, ask := range map[string]func(context.Context) error{
		"brokers": func(ctx context.Context) error { _, err := c.Admin.Brokers(ctx); return err },
		"describe": func(ctx context.Context) error {
			_, err := c.Admin.DescribeTopics(ctx, []string{"a"}, "cleanup.policy")
			return err
		},
		"create": func(ctx context.Context) error {
			_, err := c.Admin.CreateTopics(ctx, []TopicSpec{{Name: "a", Partitions: 1}})
			return err
		},
		"delete":  func(ctx context.Context) error { return c.Admin.DeleteTopics(ctx, []string{"a"}) },
		"offsets": func(ctx context.Context) error { _, err := c.Reader.Offsets(ctx, "a"); return err },
		"read": func(ctx context.Context) error {
			return c.Reader.Read(ctx, "a", From{Time: time.Unix(1, 0)}, func(*Record) error { return nil })
		},
		"append":  func(ctx context.Context) error { return c.Append(ctx, message("a", "1")) },
		"members": func(ctx context.Context) error { _, err := c.Admin.GroupMembers(ctx, "g"); return err },
		"permissions": func(ctx context.Context) error {
			_, err := c.Admin.Permissions(ctx, Access{Group: "g", TransactionalID: "t", Topics: []string{"a"}, Absent: TopicSpec{Name: "b", Partitions: 1}})
			return err
		},
		"init": p.Init,
		"member": func(ctx context.Context) error {
			return c.Member(GroupConfig{ID: "g", Topic: "a"}, func(context.Context) error { return nil }).Run(ctx)
		},
	} {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 150*time.Millisecond)
			defer cancel()
			say(name, ask(ctx))
		})
	}
	asking.Wait()
}

// greeter is a server that says the same to everybody.
func greeter(t *testing.T, says string) string {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		go func() {
			defer func() { _ = conn.Close() }()
			_, _ = conn.Read(make([]byte, 100))
			_, _ = io.WriteString(conn, says)
		}()
	}).Addr().String()
}

// TestWhatIsNoKafkaIsRefusedAsWhatItIs, with its address and what to do, in little
// memory.
func TestWhatIsNoKafkaIsRefusedAsWhatItIs(t *testing.T) {
	wants := map[string]string{} // by address
	for _, tt := range map[string]struct{ says, want string }{
		"HTTP":            {"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks HTTP, not Kafka (check kafka.brokers"},
		"SSH":             {"SSH-2.0-OpenSSH_9.2p1\r\n", "speaks SSH, not Kafka (check kafka.brokers"},
		"TLS":             {"\x15\x03\x03\x00\x02\x02\x46", "speaks TLS, not Kafka (set kafka.tls.enabled"},
		"mail":            {"220 mail.example ESMTP\r\n", "speaks SMTP or FTP, not Kafka"},
		"Redis":           {"-ERR unknown command\r\n", "speaks Redis, not Kafka"},
		"a negative size": {"\xff\xff\xff\xff", "hung up on the first connection"},
		"nothing at all":  {"", "hung up on the first connection"},
		"a database":      {"J\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00", `does not speak Kafka: its answer begins with "J\x00`},
		"a large size":    {"\x7f\xff\xff\xff\xff\xff\xff\xff" + strings.Repeat("x", 1<<20), "does not speak Kafka: the answer takes 2147483647 bytes"},
		"many versions":   {"\x00\x00\x00\x0a\xff\xff\xff\xff\x00\x00\x7f\xff\xff\xff", "does not speak Kafka: what came is not an answer to ApiVersions"},
		"another answer":  {"\x00\x00\x00\x0a\x00\x00\x00\x63\x00\x00\x00\x00\x00\x00", "does not speak Kafka"},
	} {
		wants[greeter(t, tt.says)] = tt.want
	}
	said := inLittleMemory(t, "everything", slices.Sorted(maps.Keys(wants))...)
	for address, want := range wants {
		_, said, _ := strings.Cut(said, "result of ping at "+address+": ")
		said, _, _ = strings.Cut(said, "\n")
		if !strings.Contains(said, want) || !strings.Contains(said, address) {
			t.Errorf("it says %q, want %q and the address %s", said, want, address)
		}
	}
}

// TestASilentPortIsToldFromABrokerThatIsAway, with what to look at.
func TestASilentPortIsToldFromABrokerThatIsAway(t *testing.T) {
	address := listen(t, func(conn net.Conn) { go func() { _, _ = io.Copy(io.Discard, conn) }() }).Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := connect(t, Config{Brokers: []string{address}}).pool.dialer.dial(ctx, address)
	told := settled("reaching kafka", &transportError{broker: address, first: true, err: err})
	if !errors.Is(told, errSilent) || !strings.Contains(told.Error(), "check that kafka.brokers names a Kafka listener") {
		t.Errorf("%v, want %v", told, errSilent)
	}
}

// brokenBroker is a broker but for the requests of one kind, which get an answer that
// claims as much as it can.
func brokenBroker(t *testing.T, broken protocol.ApiKey) string {
	t.Helper()
	var address atomic.Pointer[string]
	l := listen(t, func(conn net.Conn) { go serveBroken(conn, broken, &address) })
	at := l.Addr().String()
	address.Store(&at)
	return at
}

func serveBroken(conn net.Conn, broken protocol.ApiKey, address *atomic.Pointer[string]) {
	defer func() { _ = conn.Close() }()
	be := binary.BigEndian
	in := bufio.NewReader(conn)
	for {
		head := make([]byte, requestHead)
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, in, int64(be.Uint32(head))+4-requestHead); err != nil {
			return
		}
		key := protocol.ApiKey(be.Uint16(head[4:]))
		body := honest(key, int16(be.Uint16(head[6:])), *address.Load())
		if key == broken || body == nil {
			body = bytes.Repeat([]byte{0, 0, 0x7f, 0xff}, 15_000)
		}
		answer := be.AppendUint32(nil, uint32(len(body)+4))
		answer = append(append(answer, head[8:]...), body...)
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// honest is an answer as a broker that is alone gives it; nil for other requests.
func honest(key protocol.ApiKey, version int16, address string) []byte {
	be := binary.BigEndian
	host, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	at := func(out []byte) []byte {
		return be.AppendUint32(appendText(out, host), uint32(number))
	}
	switch key {
	case protocol.ApiVersions:
		out := be.AppendUint32([]byte{0, 0}, 66)
		for k := range uint16(66) { // of each request the first version alone
			out = be.AppendUint32(be.AppendUint16(out, k), uint32(max(protocol.ApiKey(k).MinVersion(), 0)))
		}
		return out
	case protocol.Metadata:
		out := at(be.AppendUint32(be.AppendUint32(nil, 1), 1)) // broker 1
		if version > 0 {
			out = append(out, 0xff, 0xff) // no rack
			out = be.AppendUint32(out, 1) // the controller
		}
		out = appendText(append(be.AppendUint32(out, 1), 0, 0), "a") // one topic
		if version > 0 {
			out = append(out, 0) // ours
		}
		out = append(be.AppendUint32(out, 1), 0, 0)        // one partition
		out = be.AppendUint32(be.AppendUint32(out, 0), 1)  // led by broker 1
		return be.AppendUint32(be.AppendUint32(out, 0), 0) // replicas
	case protocol.FindCoordinator:
		return at(be.AppendUint32([]byte{0, 0}, 1))
	case protocol.ListOffsets:
		out := appendText(be.AppendUint32(nil, 1), "a")
		out = append(be.AppendUint32(be.AppendUint32(out, 1), 0), 0, 0)
		return be.AppendUint64(be.AppendUint64(out, 0), 10)
	default:
		return nil
	}
}

// TestABrokenBrokerIsSurvivedInLittleMemory, whichever request it answers with
// nonsense.
func TestABrokenBrokerIsSurvivedInLittleMemory(t *testing.T) {
	brokers := map[string]protocol.ApiKey{}
	for key := range answers {
		brokers[brokenBroker(t, key)] = key
	}
	said := inLittleMemory(t, "everything", slices.Sorted(maps.Keys(brokers))...)
	for address, key := range brokers {
		reached := strings.Contains(said, "result of ping at "+address+": <nil>")
		if want := key != protocol.ApiVersions && key != protocol.Metadata; reached != want {
			t.Errorf("with a broken answer to %s the broker was reached: %v, want %v", key, reached, want)
		}
	}
}

// TestATopicFullOfBombsIsReadInLittleMemory and refused, whatever compresses them.
func TestATopicFullOfBombsIsReadInLittleMemory(t *testing.T) {
	c, f := fake(t)
	for name, bomb := range bombs(t) {
		topic := strings.ReplaceAll(name, " ", "-")
		createWith(t, c, 1, map[string]string{"max.message.bytes": "5000000"}, topic)
		if err := c.append(t.Context(), TopicPartition{topic, 0}, bomb); err != nil {
			t.Fatal(err)
		}
		if said := inLittleMemory(t, "read "+topic, f.ListenAddrs()...); !strings.Contains(said, "is larger than leadstream reads") {
			t.Errorf("%s: it says %s", name, said)
		}
	}
}

// TestALargeTransactionIsReadInLittleMemory: however much somebody wrote in one.
func TestALargeTransactionIsReadInLittleMemory(t *testing.T) {
	c, f := fake(t)
	create(t, c, 1, "a")
	p := producer(t, c, "tx")
	var msgs []Message
	for i := range 300 {
		value := make([]byte, 900<<10)
		for at := 0; at < len(value); at += 8 {
			binary.BigEndian.PutUint64(value[at:], uint64(i+at)*0x9e3779b97f4a7c15)
		}
		msgs = append(msgs, Message{Topic: "a", Key: []byte{1}, Value: value})
	}
	commit(t, p, msgs...)
	eventually(t, "the marker", func() bool {
		markerVisible, err := c.Reader.MarkersVisible(t.Context(), "a", map[int]int64{0: 299})
		return err == nil && markerVisible
	})
	if said := inLittleMemory(t, "read a", f.ListenAddrs()...); !strings.Contains(said, "result: <nil>") {
		t.Errorf("it says %s", said)
	}
}
