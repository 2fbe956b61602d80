package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"
)

// options are the flags.
type options struct {
	api, organization, broker, prefix string
	schemaID                          uint
	concurrency                       int
}

func main() {
	var o options
	flag.StringVar(&o.api, "api", "", "`URL` of LinkedIn's API, without /rest")
	flag.StringVar(&o.organization, "organization", "", "`URN` of the organization whose leads to read")
	flag.StringVar(&o.broker, "broker", "localhost:9092", "`ADDRESS` of Kafka")
	flag.StringVar(&o.prefix, "prefix", "bare.", "`PREFIX` of the topics; the id of the form follows")
	flag.UintVar(&o.schemaID, "schema-id", 0, "`ID` of the schema in the registry")
	flag.IntVar(&o.concurrency, "concurrency", 4, "`NUMBER` of requests under way at once")
	printSchema := flag.Bool("schema", false, "print the schema and end")
	flag.Parse()
	if *printSchema {
		fmt.Print(schemaText)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	start := time.Now()
	n, err := run(ctx, o, os.Getenv("BARE_TOKEN"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
	fmt.Printf("%d leads in %v\n", n, time.Since(start).Round(time.Millisecond))
}

// run copies every lead of the last year and returns their number.
func run(ctx context.Context, o options, token string) (int64, error) {
	failed := failure{}
	writer := &kafka.Writer{
		Addr:     kafka.TCP(o.broker),
		Balancer: kafka.Murmur2Balancer{},
		// Batches as large as the broker takes them, filled while earlier ones are
		// on their way: fetching never waits for Kafka.
		Async: true, BatchSize: 10_000, BatchBytes: 900_000,
		RequiredAcks: kafka.RequireAll, Compression: kafka.Zstd,
		Completion: func(_ []kafka.Message, err error) { failed.note(err) },
	}
	n, err := copyAll(ctx, newSource(o.api, o.organization, token, o.concurrency, time.Now()), writer, o)
	return n, errors.Join(err, writer.Close(), failed.err)
}

// failure keeps the first error that is reported to it.
type failure struct {
	once sync.Once
	err  error
}

func (f *failure) note(err error) {
	if err != nil {
		f.once.Do(func() { f.err = fmt.Errorf("writing to Kafka: %w", err) })
	}
}

// copyAll reads the pages, concurrency at once, and writes each as it comes.
func copyAll(ctx context.Context, from *source, to *kafka.Writer, o options) (int64, error) {
	var written atomic.Int64
	handle := func(ctx context.Context, p *page) error {
		messages := make([]kafka.Message, len(p.Elements))
		now := time.Now()
		for i := range p.Elements {
			e := &p.Elements[i]
			value, form, err := e.value(uint32(o.schemaID))
			if err != nil {
				return err
			}
			messages[i] = kafka.Message{Topic: o.prefix + form, Key: []byte(e.ID), Value: value, Time: now}
		}
		written.Add(int64(len(messages)))
		return to.WriteMessages(ctx, messages...)
	}
	first, err := from.read(ctx, 0)
	if err == nil {
		err = handle(ctx, first)
	}
	if err != nil {
		return 0, err
	}
	pages := int64(first.Paging.Total+from.size-1) / int64(from.size)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range o.concurrency {
		group.Go(func() error {
			for n := next.Add(1); n < pages; n = next.Add(1) {
				p, err := from.read(ctx, int(n))
				if err != nil {
					return err
				}
				if err := handle(ctx, p); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	return written.Load(), err
}
