//go:build integration

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is one run of a command, with its output in a file.
type program struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	out    string        // the file that holds its results
	log    string        // the file that holds what it wrote to standard error
	logged int64         // where this run\'s part of the log begins
	ended  chan struct{} // closed when it is over
}

// environment is a process's, in the form of os.Environ.
func environment(settings map[string]string) []string {
	var env []string
	for _, kept := range []string{"PATH", "HOME", "TMPDIR", "LANG"} {
		if v, ok := os.LookupEnv(kept); ok {
			env = append(env, kept+"="+v)
		}
	}
	for key, v := range settings {
		env = append(env, key+"="+v)
	}
	return env
}

// launch starts a command that ends with the test at the latest. Runs of the
// same name share their files.
func launch(t testing.TB, dir, name string, env map[string]string, stdin io.Reader, args ...string) *program {
	t.Helper()
	p := &program{t: t, name: name, out: filepath.Join(dir, name+".out"), log: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	files := make([]*os.File, 2)
	for i, path := range []string{p.out, p.log} {
		var err error
		if files[i], err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before, err := files[1].Stat()
	if err != nil {
		t.Fatal(err)
	}
	p.logged = before.Size()
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Dir, p.cmd.Env = dir, environment(env)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, files[0], files[1]
	p.cmd.WaitDelay = 5 * time.Second // for what is typed into it and never ends
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its state
		_ = errors.Join(files[0].Close(), files[1].Close())
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *program) signal(s os.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signalling %s: %v", p.name, err)
	}
}

// kill ends it as a crash would, and waits until it is gone.
func (p *program) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// end waits for its end and gives the exit code, -1 after a signal.
func (p *program) end(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.t.Fatalf("%s did not end within %v", p.name, within)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop asks it to end and gives the exit code and the time it took.
func (p *program) stop() (code int, took time.Duration) {
	p.t.Helper()
	begun := time.Now()
	p.signal(syscall.SIGTERM)
	return p.end(20 * time.Second), time.Since(begun)
}

func (p *program) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// text is what it wrote to standard error.
func (p *program) text() string { return p.read(p.log)[p.logged:] }

// results are what it, and earlier runs of its name, printed.
func (p *program) results() string { return p.read(p.out) }

func (p *program) read(path string) string {
	p.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// says waits until the log holds all of the words in one line.
func (p *program) says(within time.Duration, words ...string) string {
	p.t.Helper()
	var found string
	eventually(p.t, within, func() error {
		for line := range strings.Lines(p.text()) {
			if containsAll(line, words) {
				found = line
				return nil
			}
		}
		return fmt.Errorf("no line of the log of %s has all of %q", p.name, words)
	})
	return found
}

func containsAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

// eventually tries until there is no error, and fails with the last one.
func eventually(t testing.TB, within time.Duration, try func() error) {
	t.Helper()
	end := time.Now().Add(within)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v: %v", within, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// freeAddress is a loopback address that nobody listens on now.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing was accepted
	return l.Addr().String()
}

// get is the body of an answer with status 200.
func get(url string) ([]byte, error) {
	res, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	return body(res)
}

func body(res *http.Response) ([]byte, error) {
	b, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: %.300s", res.Request.URL.Path, res.Status, b)
	}
	return b, nil
}
