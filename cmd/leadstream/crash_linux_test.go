//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// crashes are ways to end a process that no recover prevents, or that happen where
// nobody recovers.
var crashes = map[string]func(){
	"a panic":                      func() { panic("crashing on purpose") },
	"a panic in a goroutine":       func() { go panic("crashing on purpose"); select {} },
	"a panic in a group":           func() { var g errgroup.Group; g.Go(func() error { panic("crashing on purpose") }); _ = g.Wait() },
	"a panic behind a handler":     func() { serveAndCrash(); select {} },
	"a panic with an error":        func() { panic(errors.New("crashing on purpose")) },
	"a nil pointer":                func() { go func() { var p *http.Request; p.Method = "" }(); select {} },
	"unlocked twice":               func() { var mu sync.Mutex; mu.Unlock() },
	"a stack without end":          func() { debug.SetMaxStack(1 << 20); endless(0) },
	"memory without end":           exhaust,
	"a signal of a broken machine": func() { _ = syscall.Kill(os.Getpid(), syscall.SIGBUS); time.Sleep(time.Minute) },
	"a call for a dump":            func() { _ = syscall.Kill(os.Getpid(), syscall.SIGQUIT); time.Sleep(time.Minute) },
	"a call to abort":              func() { _ = syscall.Kill(os.Getpid(), syscall.SIGABRT); time.Sleep(time.Minute) },
}

// serveAndCrash has a handler start what then panics: net/http recovers the handler
// alone.
func serveAndCrash() {
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { go panic("crashing on purpose") })
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

func endless(n int) int {
	if n < 0 {
		return n
	}
	var frame [4096]byte
	frame[n%len(frame)] = 1
	return endless(n+1) + int(frame[7])
}

// exhaust takes a little more memory than there is.
func exhaust() {
	var pages uint64
	statm, err := os.ReadFile("/proc/self/statm")
	if _, scanErr := fmt.Sscan(string(statm), &pages); err != nil || scanErr != nil {
		panic(errors.Join(err, scanErr))
	}
	all := pages*uint64(os.Getpagesize()) + 256<<20
	limit := syscall.Rlimit{Cur: all, Max: all}
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &limit); err != nil {
		panic(err)
	}
	var held [][]byte
	for {
		held = append(held, bytes.Repeat([]byte{1}, 64<<20))
		runtime.KeepAlive(held)
	}
}

func init() {
	for name, crash := range crashes {
		acts["crash: "+name] = func() { crashWithOne(); crash() }
	}
}

// A supervisor does not restart what ends with 2, which is a configuration error.
func TestACrashEndsWithOneWhateverItWas(t *testing.T) {
	for name := range crashes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very program
			cmd.Env = append(os.Environ(), actAs+"=crash: "+name)
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != exitUnexpected {
				t.Errorf("%s: exit code %d (%v), want %d\n%.2000s", name, code, err, exitUnexpected, out)
			}
			if name != "a call to abort" && !strings.Contains(string(out), "goroutine ") {
				t.Errorf("%s leaves no trace: %.2000s", name, out)
			}
		})
	}
}
