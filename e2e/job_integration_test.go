//go:build integration

package e2e

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
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

// TestDemo: the whole path with nothing installed, which ends by itself and
// says that nothing was lost.
func TestDemo(t *testing.T) {
	t.Parallel()
	p := launch(t, logDirectory(t), "demo", nil, nil, stack.binary, "demo", "--for", "5s")
	if code := p.end(30 * time.Second); code != 0 {
		t.Errorf("exit %d, want 0: %s", code, p.text())
	}
	lines := strings.Split(strings.TrimSpace(p.results()), "\n")
	summary := regexp.MustCompile(`^made (\d+) +published (\d+) +lost 0 +repeated 0$`).FindStringSubmatch(lines[len(lines)-1])
	if summary == nil || summary[1] != summary[2] || summary[1] == "0" {
		t.Errorf("the last line is %q, want as many published as made, lost 0, repeated 0", lines[len(lines)-1])
	}
	printed := 0
	for _, line := range lines {
		var lead struct {
			Lead map[string]any `json:"lead"`
		}
		if json.Unmarshal([]byte(line), &lead) == nil && lead.Lead["lead_id"] != nil {
			printed++
		}
	}
	if summary != nil && strconv.Itoa(printed) != summary[2] {
		t.Errorf("%d leads were printed, %s published", printed, summary[2])
	}
}
