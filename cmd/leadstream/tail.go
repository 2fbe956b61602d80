package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/tail"
)

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
			s, err := a.kafkaAlone("registry.url")
			if err != nil {
				return err
			}
			defer s.close()
			if s.registry, err = newRegistry(s.config); err != nil {
				return err
			}
			from := s.newConsumer()
			if err := a.announce(cmd.Context(), s, from, forms); err != nil {
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
func (a *app) announce(ctx context.Context, s *system, from *tail.Consumer, forms []string) error {
	prefix := s.config.Kafka.TopicPrefix
	for _, form := range forms {
		if !isForm(strings.TrimPrefix(form, prefix)) {
			return usageErrorf("%q is no form: a form is named by its number (see leadstream forms) or its topic, %s and the number", form, prefix)
		}
	}
	met, err := from.Forms(ctx)
	if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		return err
	}
	topics, err := from.Topics(ctx, forms)
	if err != nil {
		return err
	}
	there, err := s.cluster.Admin.DescribeTopics(ctx, topics)
	if err != nil {
		return fmt.Errorf("looking for the topics to follow: %w", err)
	}
	if len(topics) == 0 {
		fmt.Fprintln(a.stderr, "leadstream: no form has a topic yet, waiting for the first one")
	}
	for _, form := range forms {
		id := strings.TrimPrefix(form, prefix)
		if _, ok := there[prefix+id]; !ok && !met[id] {
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

func (a *app) tail(ctx context.Context, from *tail.Consumer, forms []string, beginning bool) error {
	out := json.NewEncoder(a.stdout)
	out.SetEscapeHTML(false)
	for first := true; ; first = false {
		topics, err := from.Topics(ctx, forms)
		if err == nil && first && !beginning {
			err = from.Skip(ctx, topics)
		}
		if err == nil {
			err = from.Read(ctx, topics, func(r tail.Record) error { return out.Encode(r) })
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if fault.Sleep(ctx, tailInterval) != nil {
			return nil
		}
	}
}
