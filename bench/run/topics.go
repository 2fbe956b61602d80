package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topics looks after topics and reads them with a client that neither program
// uses.
type topics struct {
	addr   string
	client *kafka.Client
}

func newTopics(addr string) *topics {
	return &topics{addr: addr, client: &kafka.Client{Addr: kafka.TCP(addr), Timeout: 30 * time.Second}}
}

// under are the topics whose names begin with the prefix and end in the id of
// a form.
func (t *topics) under(ctx context.Context, prefix string) ([]string, error) {
	all, err := t.all(ctx, prefix)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(name string) bool {
		return strings.Trim(strings.TrimPrefix(name, prefix), "0123456789") != ""
	}), nil
}

// all are the topics whose names begin with the prefix, as they are now: the
// client's own list may be some seconds old.
func (t *topics) all(ctx context.Context, prefix string) (names []string, err error) {
	conn, err := kafka.DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return nil, fmt.Errorf("listing the topics: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	partitions, err := conn.ReadPartitions()
	if err != nil {
		return nil, fmt.Errorf("listing the topics: %w", err)
	}
	for _, p := range partitions {
		if strings.HasPrefix(p.Topic, prefix) && p.ID == 0 {
			names = append(names, p.Topic)
		}
	}
	return names, nil
}

// copy makes empty topics as leadstream makes its own, for the same forms.
func (t *topics) copy(ctx context.Context, from, to string) ([]string, error) {
	names, err := t.under(ctx, from)
	if err != nil {
		return nil, err
	}
	configs := make([]kafka.TopicConfig, len(names))
	for i := range names {
		names[i] = to + strings.TrimPrefix(names[i], from)
		configs[i] = kafka.TopicConfig{Topic: names[i], NumPartitions: 1, ReplicationFactor: -1, ConfigEntries: []kafka.ConfigEntry{
			{ConfigName: "cleanup.policy", ConfigValue: "compact,delete"},
			{ConfigName: "retention.ms", ConfigValue: "31536000000"},
			{ConfigName: "segment.ms", ConfigValue: "86400000"},
		}}
	}
	res, err := t.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: configs})
	if err != nil {
		return nil, fmt.Errorf("creating topics: %w", err)
	}
	for name, err := range res.Errors {
		if err != nil {
			return nil, fmt.Errorf("creating topic %s: %w", name, err)
		}
	}
	return names, nil
}

// remove deletes the topics whose names begin with the prefix.
func (t *topics) remove(ctx context.Context, prefix string) error {
	names, err := t.all(ctx, prefix)
	if err != nil || len(names) == 0 {
		return err
	}
	res, err := t.client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names})
	if err != nil {
		return fmt.Errorf("deleting topics: %w", err)
	}
	for name, err := range res.Errors {
		if err != nil {
			return fmt.Errorf("deleting topic %s: %w", name, err)
		}
	}
	return nil
}

// reader reads topics from their beginning, committed records only.
func (t *topics) reader(names []string) (*kgo.Client, error) {
	partitions := map[string]map[int32]kgo.Offset{}
	for _, name := range names {
		partitions[name] = map[int32]kgo.Offset{0: kgo.NewOffset().AtStart()}
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(t.addr), kgo.ConsumePartitions(partitions),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("reading topics: %w", err)
	}
	return c, nil
}

// content is what topics hold.
type content struct {
	leads       int // different ones
	first, last time.Time
	bytes       int64 // of keys, values and headers, uncompressed
}

// count reads topics until they have shown as many different keys as wanted,
// and a moment longer, so that one too many is seen as well.
func (t *topics) count(ctx context.Context, names []string, want int) (content, error) {
	c, err := t.reader(names)
	if err != nil {
		return content{}, err
	}
	defer c.Close()
	var got content
	records, seen := 0, make(map[string]struct{}, want)
	patience := 15 * time.Second
	for {
		wait, cancel := context.WithTimeout(ctx, patience)
		fetches := c.PollFetches(wait)
		cancel()
		if err := fetches.Err(); errors.Is(err, context.DeadlineExceeded) {
			break
		} else if err != nil {
			return got, fmt.Errorf("reading topics: %w", err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			records++
			seen[string(r.Key)] = struct{}{}
			got.add(r)
		})
		if len(seen) >= want {
			patience = 300 * time.Millisecond
		}
	}
	if got.leads = len(seen); got.leads != want || records != want {
		return got, fmt.Errorf("the topics hold %d records of %d leads, want %d of each", records, got.leads, want)
	}
	return got, nil
}

func (c *content) add(r *kgo.Record) {
	if c.first.IsZero() || r.Timestamp.Before(c.first) {
		c.first = r.Timestamp
	}
	if r.Timestamp.After(c.last) {
		c.last = r.Timestamp
	}
	c.bytes += int64(len(r.Key) + len(r.Value))
	for _, h := range r.Headers {
		c.bytes += int64(len(h.Key) + len(h.Value))
	}
}
