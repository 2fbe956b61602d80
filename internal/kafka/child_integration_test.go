//go:build integration

package kafka

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childEnv has the test binary run as a member of a group instead: the broker,
// the group, the topic and the transactional id, separated by blanks.
const childEnv = "LEADSTREAM_KAFKA_TEST_CHILD"

// child is a connector in little: while it is active it takes the
// transactional id over and commits one numbered record after another. It
// prints a line for each change.
func child(run string) int {
	args := strings.Fields(run)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := New(Config{Brokers: args[:1], ClientID: "child"})
	if err != nil {
		fmt.Println("failed", err)
		return 1
	}
	defer c.Close()
	say := func(what string) { fmt.Println(what) }
	p := c.NewProducer(args[3], 15*time.Second)
	err = c.Member(GroupConfig{ID: args[1], Topic: args[2], OnState: func(active bool) {
		if active {
			say("active")
		} else {
			say("standby")
		}
	}}, func(ctx context.Context) error {
		if err := p.Init(ctx); err != nil {
			return err
		}
		if _, err := p.EndHanging(ctx, args[2:3]); err != nil { // a broker that was killed may have lost a marker
			return err
		}
		next := 0
		err := c.Reader.Read(ctx, args[2], From{}, func(r *Record) error {
			_, err := fmt.Sscan(string(r.Value), &next)
			return err
		})
		if err != nil {
			return err
		}
		say("initialised")
		for ctx.Err() == nil {
			next++
			if _, err := p.Commit(ctx, []Message{{Topic: args[2], Key: []byte("progress"), Value: fmt.Append(nil, next)}}); err != nil {
				if errors.Is(err, ErrEpochLost) {
					say("fenced")
				}
				return err
			}
			say("wrote")
			if err := sleep(ctx, 10*time.Millisecond); err != nil {
				return err
			}
		}
		return ctx.Err()
	}).Run(ctx)
	if err != nil {
		fmt.Println("failed", err)
		return 1
	}
	say("left")
	return 0
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// memberProcess is a child under way.
type memberProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	did   map[string]int // lines seen so far
}

func startMember(t *testing.T, addr, group, topic, id string) *memberProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join([]string{addr, group, topic, id}, " "))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := &memberProcess{t: t, cmd: cmd, lines: make(chan string, 100_000), did: map[string]int{}}
	go func() {
		defer close(m.lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			m.lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return m
}

// await waits until the child says what, and returns how long that took.
func (m *memberProcess) await(what string) time.Duration {
	m.t.Helper()
	start := time.Now()
	limit := time.After(90 * time.Second)
	for {
		select {
		case line, ok := <-m.lines:
			if !ok {
				m.t.Fatalf("the member ended; waited for %q, it had said %v", what, m.did)
			}
			m.did[line]++
			if line == what {
				return time.Since(start)
			}
			if strings.HasPrefix(line, "failed") {
				m.t.Fatalf("the member %s", line)
			}
		case <-limit:
			m.t.Fatalf("the member did not say %q, but %v", what, m.did)
		}
	}
}

// drain takes in what it has said up to now.
func (m *memberProcess) drain() {
	for {
		select {
		case line, ok := <-m.lines:
			if !ok {
				return
			}
			m.did[line]++
		default:
			return
		}
	}
}

func (m *memberProcess) signal(s syscall.Signal) {
	m.t.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		m.t.Fatal(err)
	}
}
