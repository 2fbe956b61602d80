//go:build integration

package e2e

import (
	"testing"
	"time"
)

// TestMainJob: consent, backfill, live leads, a clean stop and a restart.
func TestMainJob(t *testing.T) {
	w := newWorld(t, options{simulate: []string{"--leads", "5000"}})
	c := w.run()
	c.awaitActive(20 * time.Second)
	stop := w.linkedin.stream(5, 100*time.Millisecond)
	time.Sleep(2 * time.Second)
	stop()
	w.await(30 * time.Second)
	w.verify()
	code, took := c.stop()
	if code != 0 || took > 10*time.Second {
		t.Errorf("SIGTERM: exit %d after %v, want 0 within 10 s", code, took)
	}
	w.linkedin.submit(object{"count": 50})
	again := w.run()
	w.await(30 * time.Second)
	w.verify()
	if code, _ := again.stop(); code != 0 {
		t.Errorf("SIGTERM after a restart: exit %d, want 0", code)
	}
}
