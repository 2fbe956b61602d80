//go:build integration

package e2e

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

// TestPausedProcessPublishesNothingWhenItWakes: a process that is stopped in
// the middle of a commit, for longer than the group waits, finds another at
// work when it goes on. What it had sent by then, and even the end of its
// transaction that reaches Kafka only now, must not become visible.
func TestPausedProcessPublishesNothingWhenItWakes(t *testing.T) {
	t.Parallel()
	wire := stack.wires[wireOfZombie]
	w := newWorld(t, options{simulate: []string{"--leads", "500"}, settings: map[string]string{"LEADSTREAM_KAFKA_BROKERS": wire.addr()}})
	active, standby := w.pair()
	w.await(30 * time.Second)

	paused, release := make(chan struct{}), make(chan struct{})
	wire.arm(trap{api: apiEndTxn, release: release, fire: func() {
		active.signal(syscall.SIGSTOP)
		close(paused)
	}})
	w.linkedin.submit(object{"count": 200})
	select {
	case <-paused:
	case <-time.After(20 * time.Second):
		t.Fatal("no transaction was about to be committed")
	}
	begun := time.Now()
	standby.awaitActive(30 * time.Second)
	within(t, "takeover after SIGSTOP", []time.Duration{time.Since(begun)}, 10*time.Second)
	w.await(30 * time.Second)

	close(release) // the commit of before arrives
	active.signal(syscall.SIGCONT)
	woken, active := active, standby
	w.linkedin.submit(object{"count": 100})
	w.await(30 * time.Second)
	eventually(t, 15*time.Second, func() error {
		if woken.active() {
			return errors.New("the woken process still believes that it has the work")
		}
		return nil
	})
	w.verify()
	if !woken.running() {
		t.Fatalf("the woken process ended with %d", woken.cmd.ProcessState.ExitCode())
	}

	// It stands by: it goes on when it is its turn.
	if code, _ := active.stop(); code != 0 {
		t.Errorf("SIGTERM: exit %d, want 0", code)
	}
	woken.awaitActive(10 * time.Second)
	w.linkedin.submit(object{"count": 50})
	w.await(30 * time.Second)
	w.verify()
	if n := w.seen.repeated(); n > 0 {
		t.Errorf("the consumer that followed saw %d records twice", n)
	}
}
