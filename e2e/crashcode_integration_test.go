//go:build integration

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// What restarts a program does not restart one that ended with 2, the code of a
// configuration error; Go's own code of a crash is 2 as well.
func TestAConnectorThatCrashesEndsWithOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small})
	for _, s := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGSEGV, syscall.SIGABRT} { // what the runtime dies of
		c := w.run()
		c.awaitActive(30 * time.Second)
		c.signal(s)
		if code := c.end(20 * time.Second); code != 1 {
			t.Errorf("after %v: exit %d, want 1", s, code)
		}
		if s != syscall.SIGABRT && !strings.Contains(c.text(), "goroutine 1 ") {
			t.Errorf("after %v: no trace: %s", s, lastLines(c.text(), 3))
		}
	}
	w.recovered(w.run())
}
