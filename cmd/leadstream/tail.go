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
	"leadstream/internal/checkpoint"
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
	config  *config.Config
	cluster *kafka.Client
	decoder *schema.Decoder
	topics  map[string]*kafka.Tailer
	ends    map[kafka.TopicPartition]int64 // up to which topics were read
	// book and forms are the checkpoint topic and the forms that it names.
	book  *kafka.Tailer
	forms map[string]bool
}

func newConsumer(c *config.Config, cluster *kafka.Client, registry *schema.Registry) *consumer {
	return &consumer{config: c, cluster: cluster, decoder: schema.NewDecoder(registry),
		topics: map[string]*kafka.Tailer{}, ends: map[kafka.TopicPartition]int64{},
		book: cluster.Tailer(delivery.CheckpointTopic(c.Name)), forms: map[string]bool{}}
}

// topicsOf are the topics of the forms given, or of all that have one now.
func (c *consumer) topicsOf(ctx context.Context, forms []string) ([]string, error) {
	if len(forms) == 0 {
		if err := c.learnForms(ctx); err != nil {
			return nil, err
		}
		forms = slices.Sorted(maps.Keys(c.forms))
	}
	var topics []string
	for _, form := range forms {
		topics = append(topics, c.config.Kafka.TopicPrefix+strings.TrimPrefix(form, c.config.Kafka.TopicPrefix))
	}
	return topics, nil
}

// learnForms reads what came to the checkpoint topic.
func (c *consumer) learnForms(ctx context.Context) error {
	changed := map[string]bool{}
	anew, err := c.book.Next(ctx, func(r *kafka.Record) error {
		if id, ok := strings.CutPrefix(string(r.Key), checkpoint.FormKey("")); ok {
			changed[id] = r.Value != nil
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading which forms there are: %w", err)
	}
	if anew {
		clear(c.forms)
	}
	maps.Copy(c.forms, changed)
	maps.DeleteFunc(c.forms, func(_ string, there bool) bool { return !there })
	return nil
}

// follower is that of a topic.
func (c *consumer) follower(topic string) *kafka.Tailer {
	f := c.topics[topic]
	if f == nil {
		f = c.cluster.Tailer(topic)
		c.topics[topic] = f
	}
	return f
}

// skip leaves out everything that a topic holds now.
func (c *consumer) skip(ctx context.Context, topic string) error {
	if err := c.follower(topic).Skip(ctx); err != nil {
		return fmt.Errorf("finding the end of topic %s: %w", topic, err)
	}
	return nil
}

// readAll gives fn every record that was committed to the topics since the last
// call. Topics to which nothing came cost nothing: however many there are, their
// ends are asked for together.
func (c *consumer) readAll(ctx context.Context, topics []string, fn func(consumed) error) error {
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
		if err := c.read(ctx, topic, fn); err != nil {
			return err
		}
	}
	c.ends = ends
	return nil
}

// read gives fn every record that was committed to the topic since the last
// call. A topic that does not exist yet has none.
func (c *consumer) read(ctx context.Context, topic string, fn func(consumed) error) error {
	_, err := c.follower(topic).Next(ctx, func(r *kafka.Record) error {
		record, err := c.decode(ctx, r)
		if err != nil {
			return err
		}
		return fn(record)
	})
	if err != nil {
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
follows every topic that the installation publishes to, also those to come; a
form is named by its number, and one that nobody knows is refused. Ctrl-C ends
it.`,
		RunE: func(cmd *cobra.Command, forms []string) error {
			c, cluster, err := a.cluster("registry.url")
			if err != nil {
				return err
			}
			defer cluster.Close()
			registry, err := newRegistry(c)
			if err != nil {
				return err
			}
			defer registry.Close()
			from := newConsumer(c, cluster, registry)
			if err := a.announce(cmd.Context(), from, forms); err != nil {
				return err
			}
			return a.tail(cmd.Context(), from, forms, beginning)
		},
	}
	cmd.Flags().BoolVar(&beginning, "from-beginning", false, "begin with the first lead that the topics still hold")
	return cmd
}

// announce refuses what names no form that there is, and says which topics are waited
// for, since a tail of what is not there is silent.
func (a *app) announce(ctx context.Context, from *consumer, forms []string) error {
	prefix := from.config.Kafka.TopicPrefix
	for _, form := range forms {
		if !isForm(strings.TrimPrefix(form, prefix)) {
			return usageErrorf("%q is no form: a form is named by its number (see leadstream forms) or its topic, %s and the number", form, prefix)
		}
	}
	if err := from.learnForms(ctx); err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		return err
	}
	topics, err := from.topicsOf(ctx, forms)
	if err != nil {
		return err
	}
	there, err := from.cluster.Admin.DescribeTopics(ctx, topics)
	if err != nil {
		return fmt.Errorf("looking for the topics to follow: %w", err)
	}
	if len(topics) == 0 {
		fmt.Fprintln(a.stderr, "leadstream: no form has a topic yet, waiting for the first one")
	}
	for _, form := range forms {
		id := strings.TrimPrefix(form, prefix)
		if _, ok := there[prefix+id]; !ok && !from.forms[id] {
			return usageErrorf("there is no form %s: no topic %s%s, and the connector has met none of that number; leadstream forms lists those there are", id, prefix, id)
		}
	}
	for _, topic := range topics {
		if _, ok := there[topic]; !ok {
			fmt.Fprintf(a.stderr, "leadstream: topic %s does not exist yet, waiting for it\n", topic)
		}
	}
	return nil
}

// tailInterval is how often the topics are asked for something new.
const tailInterval = 500 * time.Millisecond

func (a *app) tail(ctx context.Context, from *consumer, forms []string, beginning bool) error {
	out := json.NewEncoder(a.stdout)
	out.SetEscapeHTML(false)
	for first := true; ; first = false {
		topics, err := from.topicsOf(ctx, forms)
		for _, topic := range topics {
			if first && !beginning && err == nil {
				err = from.skip(ctx, topic)
			}
		}
		if err == nil {
			err = from.readAll(ctx, topics, func(r consumed) error { return out.Encode(r) })
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if fault.Sleep(ctx, tailInterval) != nil {
			return nil
		}
	}
}
