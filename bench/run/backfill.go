package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
)

// The simulator's app, as it describes itself.
const (
	linkedinClient = "86simclient0001"
	linkedinSecret = "sim-client-secret-0001"
)

// outcome is what a run over all leads took.
type outcome struct {
	usage
	content
	leads int
}

// rate is in leads per second, from the start of the process to its end.
func (o outcome) rate() float64 { return float64(o.leads) / o.wall.Seconds() }

// flow is the rate from the first record written to the last.
func (o outcome) flow() float64 { return float64(o.leads) / o.last.Sub(o.first).Seconds() }

func (o outcome) cpuPerLead() float64 { return micros(o.cpu) / float64(o.leads) }

// runBare runs the bare program over a world.
func (b *bench) runBare(ctx context.Context, l *linkedin, leads int) (outcome, error) {
	i, err := b.install(ctx, b.empty) // for the same topics
	if err != nil {
		return outcome{}, err
	}
	b.names++
	prefix := "bare-" + strconv.Itoa(b.names) + "."
	names, err := b.topics.copy(ctx, i.name+".", prefix)
	if err != nil {
		return outcome{}, err
	}
	token, err := l.accessToken(ctx)
	if err != nil {
		return outcome{}, err
	}
	p, err := b.launch(ctx, []string{"BARE_TOKEN=" + token}, b.bare, "-api", l.url, "-organization", l.organization,
		"-broker", b.kafka, "-prefix", prefix, "-schema-id", strconv.Itoa(b.schemaID))
	if err != nil {
		return outcome{}, err
	}
	o := outcome{leads: leads}
	if o.usage, err = p.wait(); err != nil {
		return o, err
	}
	if o.content, err = b.topics.count(ctx, names, leads); err != nil {
		return o, err
	}
	if err := b.topics.remove(ctx, prefix); err != nil {
		return o, err
	}
	return o, i.remove(ctx)
}

// runLeadstream runs a first start of leadstream over a world.
func (b *bench) runLeadstream(ctx context.Context, l *linkedin, leads int) (outcome, error) {
	i, err := b.install(ctx, b.empty)
	if err != nil {
		return outcome{}, err
	}
	if err := i.reset(ctx); err != nil {
		return outcome{}, err
	}
	o := outcome{leads: leads}
	if o.usage, err = i.finish(ctx, l, "run", "--once"); err != nil {
		return o, err
	}
	names, err := b.topics.under(ctx, i.name+".")
	if err != nil {
		return o, err
	}
	if o.content, err = b.topics.count(ctx, names, leads); err != nil {
		return o, err
	}
	return o, i.remove(ctx)
}

// inTurn runs both programs over a world, alternating which one begins.
func (b *bench) inTurn(ctx context.Context, l *linkedin, leads, runs int) (bare, ours []outcome, err error) {
	type program struct {
		name string
		run  func(context.Context, *linkedin, int) (outcome, error)
		to   *[]outcome
	}
	programs := []program{{"bare", b.runBare, &bare}, {"leadstream", b.runLeadstream, &ours}}
	for n := range runs {
		for k := range programs {
			p := programs[(n+k)%len(programs)]
			o, err := p.run(ctx, l, leads)
			if err != nil {
				return nil, nil, fmt.Errorf("%s, run %d: %w", p.name, n+1, err)
			}
			*p.to = append(*p.to, o)
			fmt.Fprintf(os.Stderr, "%-10s %8.0f leads/s  flow %8.0f/s  cpu %5.1f µs/lead  peak %5.1f MiB  %4d bytes/lead  load %s\n", p.name,
				o.rate(), o.flow(), o.cpuPerLead(), float64(o.peak)/mebibyte, o.bytes/int64(o.leads), loadAverage())
		}
	}
	return bare, ours, nil
}

// figures is one figure of each outcome.
func figures(of []outcome, figure func(outcome) float64) series {
	s := make(series, len(of))
	for i, o := range of {
		s[i] = figure(o)
	}
	return s
}

func compare(what, format string, bare, ours []outcome, figure func(outcome) float64) comparison {
	return comparison{what, figures(bare, figure), figures(ours, figure), format}
}

func peak(o outcome) float64 { return float64(o.peak) / mebibyte }

// backfill measures a first start over all leads with an API that answers at
// once.
func (b *bench) backfill(ctx context.Context) error { return b.backfillAt(ctx, 0, b.runs) }

// slowBackfill is the same with an API that takes its time.
func (b *bench) slowBackfill(ctx context.Context) error {
	return b.backfillAt(ctx, 100*time.Millisecond, b.runs)
}

func (b *bench) backfillAt(ctx context.Context, latency time.Duration, runs int) (err error) {
	l, err := b.newLinkedIn(ctx, 5, b.leads)
	if err != nil {
		return err
	}
	defer func() { _, _ = l.stop() }() // its figures are nobody's concern
	if latency > 0 {
		if err := l.slow(ctx, latency); err != nil {
			return err
		}
	}
	bare, ours, err := b.inTurn(ctx, l, b.leads, runs)
	if err != nil {
		return err
	}
	table(fmt.Sprintf("Backfill of %d leads over 5 forms, %v API latency", b.leads, latency),
		compare("leads per second, process start to end", "%.0f", bare, ours, outcome.rate),
		compare("leads per second, first record to last", "%.0f", bare, ours, outcome.flow),
		compare("CPU per lead", "%.1f µs", bare, ours, outcome.cpuPerLead),
		compare("peak resident memory", "%.1f MiB", bare, ours, peak))
	return nil
}

// memory measures how the peak grows with the number of leads.
func (b *bench) memory(ctx context.Context) error {
	var peaks [2]series
	for i, factor := range []int{1, 4} {
		leads := b.leads * factor
		l, err := b.newLinkedIn(ctx, 5, leads)
		if err != nil {
			return err
		}
		for range b.runs {
			o, err := b.runLeadstream(ctx, l, leads)
			if err != nil {
				return err
			}
			peaks[i] = append(peaks[i], peak(o))
		}
		if _, err := l.stop(); err != nil {
			return err
		}
	}
	growth := (peaks[1].median() - peaks[0].median()) * mebibyte / float64(3*b.leads)
	list("Memory",
		comparison{fmt.Sprintf("peak resident memory, %d leads", b.leads), nil, peaks[0], "%.1f MiB"},
		comparison{fmt.Sprintf("peak resident memory, %d leads", 4*b.leads), nil, peaks[1], "%.1f MiB"},
		comparison{"growth per lead", nil, series{growth}, "%.1f bytes"})
	return nil
}
