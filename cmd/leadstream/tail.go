package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"leadstream/config"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/schema"
)

// consumed is one committed record of a lead topic as a consumer sees it.
type consumed struct {
	Topic       string          `json:"topic"`
	Partition   int             `json:"partition"`
	Offset      int64           `json:"offset"`
	ID          string          `json:"key"`
	SubmittedAt string          `json:"submitted_at"`
	Delivery    string          `json:"delivery"`
	Deleted     bool            `json:"deleted,omitempty"`
	Lead        json.RawMessage `json:"lead,omitempty"`
}

// consumer follows lead topics and gives each committed record once.
type consumer struct {
	cluster *kafka.Cluster
	decoder *schema.Decoder
	next    map[kafka.TopicPartition]int64
}

func newConsumer(cluster *kafka.Cluster, registry *schema.Registry) *consumer {
	return &consumer{cluster: cluster, decoder: schema.NewDecoder(registry), next: map[kafka.TopicPartition]int64{}}
}

// skip leaves out everything that a topic holds now.
func (c *consumer) skip(ctx context.Context, topic string) error {
	offsets, err := c.cluster.Offsets(ctx, topic)
	if errors.Is(err, kafka.ErrTopicMissing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the offsets of topic %s: %w", topic, err)
	}
	for partition, o := range offsets {
		c.next[kafka.TopicPartition{Topic: topic, Partition: partition}] = o.End
	}
	return nil
}

// read gives fn every record that was committed to the topic since the last
// call. A topic that does not exist yet has none.
func (c *consumer) read(ctx context.Context, topic string, fn func(consumed) error) error {
	offsets, err := c.cluster.Offsets(ctx, topic)
	if errors.Is(err, kafka.ErrTopicMissing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the offsets of topic %s: %w", topic, err)
	}
	least, behind := int64(-1), false
	for partition, o := range offsets {
		next := c.next[kafka.TopicPartition{Topic: topic, Partition: partition}]
		behind = behind || next < o.End
		if least < 0 || next < least {
			least = next
		}
	}
	if !behind {
		return nil
	}
	err = c.cluster.Read(ctx, topic, kafka.From{Offset: max(least, 0)}, func(r *kafka.Record) error {
		tp := kafka.TopicPartition{Topic: topic, Partition: r.Partition}
		if r.Offset < c.next[tp] {
			return nil
		}
		record, err := c.decode(ctx, r)
		if err != nil {
			return err
		}
		c.next[tp] = r.Offset + 1
		return fn(record)
	})
	if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		return fmt.Errorf("reading topic %s: %w", topic, err)
	}
	return nil
}

func (c *consumer) decode(ctx context.Context, r *kafka.Record) (consumed, error) {
	out := consumed{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, ID: string(r.Key), Deleted: r.Value == nil}
	for _, h := range r.Headers {
		switch h.Key {
		case delivery.HeaderSubmittedAt:
			out.SubmittedAt = string(h.Value)
		case delivery.HeaderDelivery:
			out.Delivery = string(h.Value)
		}
	}
	if r.Value == nil {
		return out, nil
	}
	var err error
	out.Lead, err = c.decoder.Decode(ctx, r.Value)
	if err != nil {
		return out, fmt.Errorf("reading the record at offset %d of %s: %w", r.Offset, r.Topic, err)
	}
	return out, nil
}

// newTail is "leadstream tail".
func newTail(a *app) *cobra.Command {
	var beginning bool
	cmd := &cobra.Command{
		Use:   "tail [FORM…]",
		Short: "Show committed leads, decoded, as they arrive",
		Long: `Prints each lead as a read_committed consumer sees it, one JSON object on a
line, from now on or, with --from-beginning, from the first. Without forms it
follows every topic that the installation publishes to. Ctrl-C ends it.`,
		RunE: func(cmd *cobra.Command, forms []string) error {
			c, log, err := a.load("registry.url")
			if err != nil {
				return err
			}
			cluster, err := newCluster(c, log)
			if err != nil {
				return err
			}
			defer cluster.Close()
			registry, err := newRegistry(c)
			if err != nil {
				return err
			}
			defer registry.Close()
			return a.tail(cmd.Context(), c, newConsumer(cluster, registry), forms, beginning)
		},
	}
	cmd.Flags().BoolVar(&beginning, "from-beginning", false, "begin with the first lead that the topics still hold")
	return cmd
}

// tailInterval is how often the topics are asked for something new.
const tailInterval = 500 * time.Millisecond

func (a *app) tail(ctx context.Context, c *config.Config, from *consumer, forms []string, beginning bool) error {
	out := json.NewEncoder(a.stdout)
	out.SetEscapeHTML(false)
	for first := true; ; first = false {
		topics, err := tailTopics(ctx, c, from.cluster, forms)
		if err != nil {
			return err
		}
		for _, topic := range topics {
			if first && !beginning {
				if err := from.skip(ctx, topic); err != nil {
					return err
				}
			}
			if err := from.read(ctx, topic, func(r consumed) error { return out.Encode(r) }); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
		}
		if fault.Sleep(ctx, tailInterval) != nil {
			return nil
		}
	}
}

// tailTopics are the topics of the forms given, or of all that have one.
func tailTopics(ctx context.Context, c *config.Config, cluster *kafka.Cluster, forms []string) ([]string, error) {
	if len(forms) == 0 {
		state, err := delivery.ReadState(ctx, cluster, c.Name)
		if err != nil {
			return nil, err
		}
		forms = slices.Sorted(maps.Keys(state.Forms))
	}
	var topics []string
	for _, form := range forms {
		topics = append(topics, c.Kafka.TopicPrefix+strings.TrimPrefix(form, c.Kafka.TopicPrefix))
	}
	return topics, nil
}
