package realstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// startWithin is how long a process may take until it answers: a broker that
// was killed needs half a minute on a loaded machine.
const startWithin = 90 * time.Second

// stopWithin is how long a process may take to end in good order.
const stopWithin = 30 * time.Second

// process is a child process that can be started again. It is safe for
// concurrent use.
type process struct {
	name string // for errors and the log file
	dir  string // where its log goes
	// command makes the command of one run; ready returns nil once it answers.
	command func() *exec.Cmd
	ready   func(context.Context) error

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when the run is over
}

// Start starts the process and waits until it answers.
func (p *process) Start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return fmt.Errorf("%s is running already", p.name)
	}
	log, err := os.OpenFile(p.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", p.name, err)
	}
	defer func() { _ = log.Close() }() // the child has its own handle
	cmd := p.command()
	cmd.Stdout, cmd.Stderr = log, log
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in the log; that it ended is all that matters
		close(ended)
	}()
	p.cmd, p.ended = cmd, ended
	if err := p.await(ctx); err != nil {
		return errors.Join(err, p.end(syscall.SIGKILL))
	}
	return nil
}

// errEnded says that a process did not stay.
var errEnded = errors.New("ended at once")

func (p *process) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s %w: see %s", p.name, errEnded, p.Log())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w: see %s", p.name, err, p.Log())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Log is the file that holds what the process printed in all of its runs.
func (p *process) Log() string { return filepath.Join(p.dir, p.name+".log") }

// Stop ends the process in good order. Stopping one that does not run is fine.
func (p *process) Stop() error { return p.signal(syscall.SIGTERM) }

// Kill ends the process as a crash would, and waits until it is gone.
func (p *process) Kill() error { return p.signal(syscall.SIGKILL) }

func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end(s)
}

func (p *process) end(s syscall.Signal) error {
	if p.cmd == nil {
		return nil
	}
	cmd, ended := p.cmd, p.ended
	p.cmd = nil
	if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending %s: %w", p.name, err)
	}
	select {
	case <-ended:
		return nil
	case <-time.After(stopWithin):
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending %s: %w", p.name, err)
	}
	<-ended
	return fmt.Errorf("%s did not end within %v and was killed", p.name, stopWithin)
}

// Restart ends the process in good order and starts it again.
func (p *process) Restart(ctx context.Context) error {
	if err := p.Stop(); err != nil {
		return err
	}
	return p.Start(ctx)
}
