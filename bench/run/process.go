package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// usage is what a run of a process took.
type usage struct {
	wall time.Duration // from before its start to after its end
	cpu  time.Duration // user and system
	peak int64         // of the resident memory, bytes
}

// process is a run of a program under observation.
type process struct {
	cmd     *exec.Cmd
	begun   time.Time
	output  journal
	peak    int64
	watched chan struct{} // closed when the peak will not change any more
	ended   chan error
}

// journal is what a process has printed so far.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// stopWithin is how long a process may take to end in good order.
const stopWithin = 20 * time.Second

// launch starts a program. It ends with ctx, or by itself, and in any case
// before close returns.
func (b *bench) launch(ctx context.Context, env []string, path string, args ...string) (*process, error) {
	p := &process{watched: make(chan struct{}), ended: make(chan error, 1)}
	p.cmd = exec.CommandContext(ctx, path, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopWithin
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	over := make(chan struct{})
	go func() {
		defer close(p.watched)
		p.watch(over)
	}()
	b.running.Go(func() {
		err := p.cmd.Wait()
		close(over)
		p.ended <- err
	})
	return p, nil
}

// watch follows the peak of the resident memory. The kernel keeps the peak, so
// that looking now and then misses only what happens at the very end. What
// wait4 reports instead would count the parent's memory, which the child has
// for a moment.
func (p *process) watch(over <-chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if peak, err := p.memory("VmHWM"); err == nil {
			p.peak = max(p.peak, peak)
		}
		select {
		case <-over:
			return
		case <-tick.C:
		}
	}
}

// memory is a field of the process's status, in bytes: VmRSS or VmHWM.
func (p *process) memory(name string) (int64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0, err
	}
	kib, ok := field(string(status), name)
	if !ok {
		return 0, fmt.Errorf("no %s in the status of the process", name)
	}
	return kib << 10, nil
}

// field reads a "Name:   123 kB" line as the kernel writes them.
func field(text, name string) (kib int64, ok bool) {
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, name+":")
		if !found {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// wait waits for the end of a process that ends by itself.
func (p *process) wait() (usage, error) {
	err := <-p.ended
	u := usage{wall: time.Since(p.begun)}
	<-p.watched
	u.cpu = p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	u.peak = p.peak
	if err != nil {
		return u, fmt.Errorf("%s ended: %w: %s", p.cmd.Path, err, tail(p.output.String()))
	}
	return u, nil
}

// stop ends a process in good order.
func (p *process) stop() (usage, error) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return usage{}, fmt.Errorf("ending %s: %w", p.cmd.Path, err)
	}
	return p.wait()
}

// tail is the end of an output, for an error.
func tail(s string) string {
	const most = 2000
	if len(s) > most {
		s = "…" + s[len(s)-most:]
	}
	return strings.TrimSpace(s)
}
