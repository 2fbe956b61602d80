package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"leadstream/internal/linkedinsim"
)

// full is standard output on a device that takes so many bytes more.
type full struct {
	left int
	why  syscall.Errno
}

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, &fs.PathError{Op: "write", Path: "/dev/stdout", Err: f.why}
	}
	return len(p), nil
}

// TestAResultThatCannotBeWrittenIsAFailure of every command, with the reason and the
// exit code of what nobody expected, also where the command itself does not look.
func TestAResultThatCannotBeWrittenIsAFailure(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatal(got.stderr)
	}
	for _, why := range []syscall.Errno{syscall.ENOSPC, syscall.EPIPE} {
		for _, args := range [][]string{
			{"version"}, {"version", "-o", "json"}, {"--help"}, {"run", "--help"}, {"completion", "bash"}, {"config"}, {"config", "-o", "json"}, {"config", "--example"},
			{"check"}, {"check", "-o", "json"}, {"forms"}, {"schema", "show", "7130000000000000001"}, {"checkpoints", "list"}, {"deadletters", "list"},
			{"auth", "status"}, {"tail", "--from-beginning"}, {"demo", "--for", "1s", "--leads", "1"},
		} {
			var stderr bytes.Buffer
			code := run(t.Context(), process{args: args, environ: s.environ(nil), stdin: strings.NewReader(""), stdout: &full{left: 10, why: why}, stderr: &stderr})
			if code != exitUnexpected || !strings.Contains(stderr.String(), "standard output") || !strings.Contains(stderr.String(), why.Error()) {
				t.Errorf("%v with %q: exit code %d, %.300q", args, why.Error(), code, stderr.String())
			}
		}
	}
}

func TestAFileThatCannotBeReadIsNoNetworkThatIsAway(t *testing.T) {
	_, err := os.ReadFile("/nonexistent/file")
	for _, failed := range []error{err, fmt.Errorf("writing: %w", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), syscall.EPIPE} {
		if code := exitCode(failed); code != exitUnexpected {
			t.Errorf("exit code %d for %v", code, failed)
		}
	}
}
