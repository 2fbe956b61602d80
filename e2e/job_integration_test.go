//go:build integration

package e2e

import (
	"testing"
	"time"
)

// TestMainJob: the connector waits for the consent, fills in the year that is
// past, follows new leads meanwhile, stops in good order and resumes.
func TestMainJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noConsent: true, simulate: []string{"--leads", "5000", "--organizations", "3", "--forms", "5", "--events", "7"}})
	c := w.run()
	c.awaitActive(30 * time.Second)
	c.says(10*time.Second, `"level":"error"`, "auth login")
	stop := w.linkedin.stream(5, 100*time.Millisecond)
	w.consent()
	time.Sleep(3 * time.Second)
	stop()
	w.await(30 * time.Second)
	w.verify()
	code, took := c.stop()
	if code != 0 || took > 10*time.Second {
		t.Errorf("SIGTERM: exit %d after %v, want 0 within 10 s", code, took)
	}
	w.linkedin.submit(object{"count": 50})
	c = w.run()
	w.await(30 * time.Second)
	got := w.verify()
	if code, _ := c.stop(); code != 0 {
		t.Errorf("SIGTERM after a restart: exit %d, want 0", code)
	}
	ways := map[string]int{}
	for i := range got.records {
		ways[got.records[i].header("leadstream.delivery")]++
	}
	t.Logf("deliveries: %v", ways)
	if ways["backfill"] < 4000 || ways["live"] == 0 {
		t.Errorf("deliveries %v, want thousands by backfill and some live", ways)
	}
}
