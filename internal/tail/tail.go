// Package tail follows lead topics as a read_committed consumer sees them, and decodes
// what comes.
package tail

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/schema"
)

// Record is one committed record of a lead topic.
type Record struct {
	Topic       string          `json:"topic"`
	Partition   int             `json:"partition"`
	Offset      int64           `json:"offset"`
	ID          string          `json:"key"`
	SubmittedAt string          `json:"submitted_at"`
	Delivery    string          `json:"delivery"`
	Deleted     bool            `json:"deleted,omitempty"`
	Lead        json.RawMessage `json:"lead,omitempty"`
}

// Consumer gives each committed record once. It is not safe for concurrent use.
type Consumer struct {
	cluster     *kafka.Client
	prefix      string
	decoder     *schema.Decoder
	topics      map[string]*kafka.Tailer
	ends        map[kafka.TopicPartition]int64 // up to which topics were read
	checkpoints *kafka.Tailer
	forms       map[string]bool // that the checkpoints name
}

// New makes a consumer of the topics of an installation: those with that prefix.
func New(cluster *kafka.Client, registry *schema.Registry, name, prefix string) *Consumer {
	return &Consumer{cluster: cluster, prefix: prefix, decoder: schema.NewDecoder(registry), topics: map[string]*kafka.Tailer{},
		checkpoints: cluster.Tailer(delivery.CheckpointTopic(name)), forms: map[string]bool{}}
}

// Topics are the topics of the forms given, each by its number or its topic, or of all
// that the connector has met until now.
func (c *Consumer) Topics(ctx context.Context, forms []string) ([]string, error) {
	if len(forms) == 0 {
		known, err := c.Forms(ctx)
		if err != nil {
			return nil, err
		}
		forms = slices.Sorted(maps.Keys(known))
	}
	var topics []string
	for _, form := range forms {
		topics = append(topics, c.prefix+strings.TrimPrefix(form, c.prefix))
	}
	return topics, nil
}

// Forms are the forms that the connector has met until now.
func (c *Consumer) Forms(ctx context.Context) (map[string]bool, error) {
	changed := map[string]bool{}
	anew, err := c.checkpoints.Next(ctx, func(r *kafka.Record) error {
		if id, ok := strings.CutPrefix(string(r.Key), checkpoint.FormKey("")); ok {
			changed[id] = r.Value != nil
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading which forms there are: %w", err)
	}
	if anew {
		clear(c.forms)
	}
	maps.Copy(c.forms, changed)
	maps.DeleteFunc(c.forms, func(_ string, there bool) bool { return !there })
	return c.forms, nil
}

// Skip leaves out everything that the topics hold now.
func (c *Consumer) Skip(ctx context.Context, topics []string) error {
	for _, topic := range topics {
		if err := c.tailer(topic).Skip(ctx); err != nil {
			return fmt.Errorf("finding the end of topic %s: %w", topic, err)
		}
	}
	return nil
}

func (c *Consumer) tailer(topic string) *kafka.Tailer {
	if c.topics[topic] == nil {
		c.topics[topic] = c.cluster.Tailer(topic)
	}
	return c.topics[topic]
}

// Read gives fn every record that was committed to the topics since the last call. A
// topic that does not exist yet has none. Topics to which nothing came cost nothing:
// however many there are, their ends are asked for together.
func (c *Consumer) Read(ctx context.Context, topics []string, fn func(Record) error) error {
	ends, err := c.cluster.Reader.Ends(ctx, topics)
	if err != nil {
		return err
	}
	moved := map[string]bool{}
	for tp, end := range ends {
		if before, known := c.ends[tp]; !known || before != end {
			moved[tp.Topic] = true
		}
	}
	for _, topic := range topics {
		if !moved[topic] {
			continue
		}
		_, err := c.tailer(topic).Next(ctx, func(r *kafka.Record) error {
			record, err := c.decode(ctx, r)
			if err != nil {
				return err
			}
			return fn(record)
		})
		if err != nil {
			return fmt.Errorf("reading topic %s: %w", topic, err)
		}
	}
	c.ends = ends
	return nil
}

func (c *Consumer) decode(ctx context.Context, r *kafka.Record) (out Record, err error) {
	out = Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, ID: string(r.Key), Deleted: r.Value == nil}
	for _, h := range r.Headers {
		switch h.Key {
		case delivery.HeaderSubmittedAt:
			out.SubmittedAt = string(h.Value)
		case delivery.HeaderDelivery:
			out.Delivery = string(h.Value)
		}
	}
	if out.Deleted {
		return out, nil
	}
	if out.Lead, err = c.decoder.Decode(ctx, r.Value); err != nil {
		return out, fmt.Errorf("reading the record at offset %d of %s: %w", r.Offset, r.Topic, err)
	}
	return out, nil
}
