package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// fake starts an in-process broker and a Cluster on it. It speaks the protocol
// but is lenient where a real broker is not; what matters of that is tested
// against a real one.
func fake(t testing.TB, opts ...kfake.Opt) (*Client, *kfake.Cluster) {
	t.Helper()
	f, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return connect(t, Config{Brokers: f.ListenAddrs()}), f
}

func connect(t testing.TB, cfg Config) *Client {
	t.Helper()
	cfg.ClientID = "leadstream-test"
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return zap.New(core), logs
}

// create makes topics with the given number of partitions.
func create(t testing.TB, c *Client, partitions int, names ...string) {
	t.Helper()
	createWith(t, c, partitions, nil, names...)
}

func createWith(t testing.TB, c *Client, partitions int, configs map[string]string, names ...string) {
	t.Helper()
	specs := make([]TopicSpec, len(names))
	for i, n := range names {
		specs[i] = TopicSpec{Name: n, Partitions: partitions, Configs: configs}
	}
	results, err := c.Admin.CreateTopics(t.Context(), specs)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range results {
		if err != nil {
			t.Fatalf("creating %s: %v", name, err)
		}
	}
}

// producer makes one that is initialised.
func producer(t testing.TB, c *Client, id string) *Producer {
	t.Helper()
	p := c.NewProducer(id, 15*time.Second)
	if err := p.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func commit(t testing.TB, p *Producer, msgs ...Message) map[TopicPartition]int64 {
	t.Helper()
	offsets, err := p.Commit(t.Context(), msgs)
	if err != nil {
		t.Fatal(err)
	}
	return offsets
}

// message is one with the value as key too.
func message(topic, value string) Message {
	return Message{Topic: topic, Key: []byte(value), Value: []byte(value)}
}

// values reads the committed values of a topic in order.
func values(t testing.TB, c *Client, topic string, from From) []string {
	t.Helper()
	got := []string{}
	err := c.Reader.Read(t.Context(), topic, from, func(r *Record) error {
		got = append(got, string(r.Value))
		return nil
	})
	if err != nil {
		t.Fatalf("reading %s: %v", topic, err)
	}
	return got
}

// eventually waits until ok returns true: a broker that answers a commit has
// decided it, not written its markers.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// eventuallyValues waits until a topic holds n committed records, and returns them.
func eventuallyValues(t testing.TB, c *Client, topic string, n int) []string {
	t.Helper()
	var got []string
	eventually(t, fmt.Sprintf("%d records in %s", n, topic), func() bool {
		got = values(t, c, topic, From{})
		return len(got) >= n
	})
	return got
}
