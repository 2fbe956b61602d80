package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"leadstream/internal/delivery"
	"leadstream/internal/lead"
)

// start measures from the start of the process to the first lead that a
// read_committed consumer sees.
func (b *bench) start(ctx context.Context) error {
	l, err := b.newLinkedIn(ctx, 5, b.leads)
	if err != nil {
		return err
	}
	defer func() { _, _ = l.stop() }() // its figures are nobody's concern
	var took series
	for range b.runs {
		d, err := b.firstLead(ctx, l)
		if err != nil {
			return err
		}
		took = append(took, millis(d))
		fmt.Fprintf(os.Stderr, "first lead after %v  load %s\n", d.Round(time.Millisecond), loadAverage())
	}
	list("Start", comparison{"process start to first committed lead", nil, took, "%.0f ms"})
	return nil
}

func (b *bench) firstLead(ctx context.Context, l *linkedin) (time.Duration, error) {
	i, err := b.install(ctx, b.empty)
	if err != nil {
		return 0, err
	}
	if err := i.reset(ctx); err != nil {
		return 0, err
	}
	c, err := i.reader(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	arrived := make(chan error, 1)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	go func() { arrived <- c.PollRecords(ctx, 1).Err() }()
	time.Sleep(time.Second) // until the consumer waits at the end of each topic
	p, err := i.begin(ctx, l, nil, "run")
	if err != nil {
		return 0, err
	}
	err = <-arrived
	took := time.Since(p.begun)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("waiting for the first lead: %w: %s", err, tail(p.output.String())), p.cmd.Process.Kill())
	}
	if _, err := p.stop(); err != nil {
		return 0, err
	}
	return took, i.remove(ctx)
}

// reader reads the installation's lead topics.
func (i *installation) reader(ctx context.Context) (*kgo.Client, error) {
	names, err := i.topics.under(ctx, i.name+".")
	if err != nil {
		return nil, err
	}
	return i.topics.reader(names)
}

// live measures from the submission of a lead to its arrival at a
// read_committed consumer, at an interval of one second.
func (b *bench) live(ctx context.Context) error {
	return b.arrivals(ctx, "Live, interval 1 s", []string{"LEADSTREAM_POLL_INTERVAL=1s"})
}

// push is live with LinkedIn's notifications, and with polls so seldom that they
// have no part in it.
func (b *bench) push(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("finding a free port: %w", err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return fmt.Errorf("finding a free port: %w", err)
	}
	return b.arrivals(ctx, "Push, interval 1 h",
		[]string{"LEADSTREAM_POLL_INTERVAL=1h", "LEADSTREAM_WEBHOOK_LISTEN=" + address, "LEADSTREAM_WEBHOOK_URL=http://" + address})
}

// arrivals measures from the submission of leads at random moments to their
// arrival at a read_committed consumer, with the settings given.
func (b *bench) arrivals(ctx context.Context, title string, settings []string) error {
	i, err := b.install(ctx, b.empty)
	if err != nil {
		return err
	}
	p, err := i.begin(ctx, b.empty, settings, "run")
	if err != nil {
		return err
	}
	time.Sleep(5 * time.Second) // until it is polled, and LinkedIn notifies of it
	c, err := i.reader(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := b.latencies(ctx, c, 20); err != nil { // until it runs as it will
		return err
	}
	took, err := b.latencies(ctx, c, b.liveLeads)
	if err != nil {
		return err
	}
	if _, err := p.stop(); err != nil {
		return err
	}
	list(fmt.Sprintf("%s, %d leads at random moments, submission to a read_committed consumer", title, len(took)),
		comparison{"50 %", nil, series{took.quantile(0.5)}, "%.0f ms"},
		comparison{"95 %", nil, series{took.quantile(0.95)}, "%.0f ms"},
		comparison{"99 %", nil, series{took.quantile(0.99)}, "%.0f ms"},
		comparison{"longest", nil, series{took.quantile(1)}, "%.0f ms"})
	return i.remove(ctx)
}

// latencies submits leads one by one and waits for each of them; what was
// submitted before does not count. Submission and arrival are on the same clock:
// the simulator runs on this machine.
func (b *bench) latencies(ctx context.Context, c *kgo.Client, leads int) (series, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(leads)*300*time.Millisecond+time.Minute)
	defer cancel()
	var took series
	began := time.Now().Truncate(time.Millisecond) // as submissions are stamped
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for range leads {
			if err := b.empty.control(ctx, http.MethodPost, "/leads", struct{}{}, nil); err != nil {
				return err
			}
			time.Sleep(100*time.Millisecond + rand.N(200*time.Millisecond))
		}
		return nil
	})
	group.Go(func() error {
		for len(took) < leads {
			fetches := c.PollFetches(ctx)
			now := time.Now()
			if err := fetches.Err(); err != nil {
				return fmt.Errorf("waiting for leads, %d of %d are there: %w", len(took), leads, err)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				if at := submittedAt(r); !at.Before(began) {
					took = append(took, millis(now.Sub(at)))
				}
			})
		}
		return nil
	})
	err := group.Wait()
	return took, err
}

// submittedAt is when the lead of a record was submitted, from its header.
func submittedAt(r *kgo.Record) time.Time {
	for _, h := range r.Headers {
		if h.Key == delivery.HeaderSubmittedAt {
			if t, err := time.Parse(lead.TimeLayout, string(h.Value)); err == nil {
				return t
			}
		}
	}
	return time.Time{}
}

// idle measures a connector of many forms that has nothing to do.
func (b *bench) idle(ctx context.Context) error {
	l, err := b.newLinkedIn(ctx, b.idleForms, 0)
	if err != nil {
		return err
	}
	defer func() { _, _ = l.stop() }() // its figures are nobody's concern
	i, err := b.install(ctx, l)
	if err != nil {
		return err
	}
	p, err := i.begin(ctx, l, nil, "run")
	if err != nil {
		return err
	}
	select {
	case <-time.After(b.idleFor.Round(time.Second)):
	case err := <-p.ended:
		return fmt.Errorf("the idle connector ended: %w: %s", err, tail(p.output.String()))
	}
	resident, err := p.memory("VmRSS")
	if err != nil {
		return err
	}
	u, err := p.stop()
	if err != nil {
		return err
	}
	list(fmt.Sprintf("Idle with %d forms", b.idleForms),
		comparison{fmt.Sprintf("resident memory after %v", b.idleFor), nil, series{float64(resident) / mebibyte}, "%.1f MiB"},
		comparison{"peak, while starting", nil, series{float64(u.peak) / mebibyte}, "%.1f MiB"},
		comparison{"CPU, starting included", nil, series{u.cpu.Seconds()}, "%.2f s"})
	return i.remove(ctx)
}
