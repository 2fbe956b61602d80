package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"leadstream/internal/linkedinsim"
)

// background runs a command, waits for a line of its log, and gives the line and
// what ends the command.
func (s *stack) background(line string, args ...string) (said string, stop func() int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, process{args: args, environ: s.environ(nil), stdin: strings.NewReader(""), stdout: io.Discard, stderr: in})
		_ = in.Close()
		ended <- code
	}()
	found := make(chan string, 1)
	go func() {
		defer close(found)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), line) {
				select {
				case found <- lines.Text():
				default:
				}
			}
		}
	}()
	said, ok := <-found
	if !ok {
		s.t.Errorf("%q did not say %q", args, line)
	}
	return said, func() int {
		cancel()
		return <-ended
	}
}

// TestAReplayBesideAnActiveProcessSaysThatItWaits: the process that works knows
// nothing of it, so it is not carried out before that one stops.
func TestAReplayBesideAnActiveProcessSaysThatItWaits(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	_, stopFirst := s.background(`"active"`, "run")
	for _, args := range [][]string{{"run", "--replay-from", "1h"}, {"run", "--once", "--replay-from", "1h"}} {
		said, stop := s.background("standing by", args...)
		if !strings.Contains(said, "the replay does not begin before") || strings.Contains(said, "does the catching up itself") {
			t.Errorf("%v said %s", args, said)
		}
		if code := stop(); code != 0 {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
	if code := stopFirst(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestOnceBesideAnActiveProcessSaysThatItWaits, for it does so without end.
func TestOnceBesideAnActiveProcessSaysThatItWaits(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	_, stopFirst := s.background(`"active"`, "run")
	said, stopSecond := s.background("standing by", "run", "--once")
	if !strings.Contains(said, "--once") || !strings.Contains(said, "stops") {
		t.Errorf("said %s", said)
	}
	if first, second := stopFirst(), stopSecond(); first != 0 || second != 0 {
		t.Errorf("exit codes %d and %d", first, second)
	}
}
