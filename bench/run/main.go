package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	only       string
	runs       int
	leads      int
	liveLeads  int
	idleForms  int
	idleFor    time.Duration
	kafka      string
	registry   string
	leadstream string
	dir        string
}

// part is something that can be measured by itself.
type part struct {
	name    string
	measure func(*bench, context.Context) error
}

// parts are all of them, in the order in which they are measured.
var parts = []part{
	{"backfill", (*bench).backfill},
	{"latency", (*bench).slowBackfill},
	{"memory", (*bench).memory},
	{"start", (*bench).start},
	{"live", (*bench).live},
	{"push", (*bench).push},
	{"idle", (*bench).idle},
}

func main() {
	o := options{}
	flag.StringVar(&o.only, "only", "", "`PARTS` to measure, separated by commas, of backfill, latency, memory, start, live, push, idle; empty is all")
	flag.IntVar(&o.runs, "runs", 5, "`NUMBER` of runs of each program; the figures are medians")
	flag.IntVar(&o.leads, "leads", 100_000, "`NUMBER` of leads to backfill")
	flag.IntVar(&o.liveLeads, "live-leads", 300, "`NUMBER` of leads whose latency is measured")
	flag.IntVar(&o.idleForms, "idle-forms", 1000, "`NUMBER` of forms of the idle connector")
	flag.DurationVar(&o.idleFor, "idle", 2*time.Minute, "`DURATION` after which the idle connector is looked at")
	flag.StringVar(&o.kafka, "kafka", "", "`ADDRESS` of a Kafka that runs already; needs -registry")
	flag.StringVar(&o.registry, "registry", "", "`URL` of a registry that runs already")
	flag.StringVar(&o.leadstream, "leadstream", "", "`FILE`, a binary of leadstream to measure instead of building one")
	flag.StringVar(&o.dir, "dir", "", "`DIRECTORY` to make one in for data and logs, and keep it; empty is a temporary one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/run:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	chosen := strings.FieldsFunc(o.only, func(r rune) bool { return r == ',' })
	for _, name := range chosen {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			return fmt.Errorf("there is no part %q; see -help", name)
		}
	}
	keep := o.dir != ""
	if o.dir, err = os.MkdirTemp(o.dir, "leadstream-bench-"); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	b := &bench{options: o}
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		err = errors.Join(err, b.close())
	}()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	b.describe()
	for _, p := range parts {
		if len(chosen) > 0 && !slices.Contains(chosen, p.name) {
			continue
		}
		if err := p.measure(b, ctx); err != nil {
			return fmt.Errorf("measuring %s: %w", p.name, err)
		}
	}
	return nil
}

// build builds one of the module's commands into the directory, as the image
// has it: static and without symbols.
func build(ctx context.Context, pkg, dir string) (string, error) {
	path := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w: %s", pkg, err, out)
	}
	return path, nil
}

// describe prints what the figures were measured on.
func (b *bench) describe() {
	memory := "unknown"
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		if kib, ok := field(string(info), "MemTotal"); ok {
			memory = fmt.Sprintf("%.0f GiB", float64(kib)/(1<<20))
		}
	}
	fmt.Printf("%s, %s/%s, %d cores, %s of memory, load average %s, %d runs each\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), memory, loadAverage(), b.runs)
}

// loadAverage is that of the last minute: a busy machine makes figures that
// compare the two programs and nothing else.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
