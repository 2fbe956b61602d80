//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// shown is what the status page shows, as programs read it.
type shown struct {
	Connection struct {
		State        string    `json:"state"`
		Problem      string    `json:"problem"`
		Todo         string    `json:"todo"`
		Note         string    `json:"note"`
		Stored       bool      `json:"stored"`
		AuthorizedAt time.Time `json:"authorized_at"`
		CheckedAt    time.Time `json:"checked_at"`
	} `json:"connection"`
	Organizations []struct {
		URN     string   `json:"urn"`
		Roles   []string `json:"roles"`
		Access  string   `json:"access"`
		Problem string   `json:"problem"`
		Todo    string   `json:"todo"`
	} `json:"organizations"`
}

// readiness is the answer to /readyz?strict=1.
type readiness struct {
	status   int
	Degraded []struct {
		Part   string `json:"part"`
		Reason string `json:"reason"`
		Todo   string `json:"todo"`
	} `json:"degraded"`
}

// read asks the connector for something, whatever the status; what it answers
// must be free of secrets.
func (c *connector) read(path string) (status int, text string, err error) {
	res, err := http.Get(c.http + path)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "", err
	}
	if found := personal(b); found != "" {
		c.t.Errorf("%s tells a secret or an answer: %s", path, found)
	}
	return res.StatusCode, string(b), nil
}

func (c *connector) status() (s shown, err error) {
	_, text, err := c.read("/api/status")
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	return s, err
}

func (c *connector) ready() (r readiness, err error) {
	status, text, err := c.read("/readyz?strict=1")
	if err == nil {
		err = json.Unmarshal([]byte(text), &r)
	}
	r.status = status
	return r, err
}

// degraded is what /readyz?strict=1 says of one part.
func (r *readiness) degraded(part string) (reason, todo string, ok bool) {
	for _, d := range r.Degraded {
		if d.Part == part {
			return d.Reason, d.Todo, true
		}
	}
	return "", "", false
}

var tags = regexp.MustCompile(`<[^>]*>`)

// page is the text of the status page.
func (c *connector) page() (string, error) {
	_, text, err := c.read("/")
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(text, " "))), " "), err
}

// needsPerson waits until everything that tells of the connection says that a
// person must act, why, and what to do: the page and its JSON, the metric, the
// strict probe, and the log with the page's address. The process stays up.
func (c *connector) needsPerson(within time.Duration, problem, todo string) {
	c.t.Helper()
	eventually(c.t, within, func() error {
		s, err := c.status()
		if err != nil {
			return err
		}
		if got := s.Connection; got.State != "failing" || !strings.Contains(got.Problem, problem) || !strings.Contains(got.Todo, todo) {
			return fmt.Errorf("/api/status says %+v, want %q and %q", got, problem, todo)
		}
		page, err := c.page()
		if err != nil {
			return err
		}
		// On the page itself nobody is sent to the page, and its button has one name.
		here := strings.NewReplacer("Connect or Reconnect LinkedIn on the status page", "Reconnect LinkedIn", "`", "").Replace(todo)
		for _, want := range []string{"not connected", problem, here, "connect LinkedIn"} {
			if !strings.Contains(strings.ToLower(page), strings.ToLower(want)) {
				return fmt.Errorf("the page does not say %q: %.900s", want, page)
			}
		}
		if v, err := c.metric("leadstream_authorized"); err != nil || v != 0 {
			return fmt.Errorf("leadstream_authorized = %v, %v; want 0", v, err)
		}
		r, err := c.ready()
		if err != nil {
			return err
		}
		if reason, what, ok := r.degraded("consent"); !ok || r.status != http.StatusServiceUnavailable ||
			!strings.Contains(reason, problem) || !strings.Contains(what, todo) {
			return fmt.Errorf("/readyz?strict=1 = %d %+v, want %q", r.status, r.Degraded, problem)
		}
		return nil
	})
	c.says(time.Second, `"level":"error"`, "needs a person", problem, "http://localhost:")
	if status, _, err := c.read("/readyz"); status != http.StatusOK || err != nil {
		c.t.Errorf("/readyz = %d, %v; want 200 whatever is degraded", status, err)
	}
	if !c.running() {
		c.t.Errorf("%s has ended", c.name)
	}
}

// connected waits until everything says that the connection works, be it for 30
// more days or fewer.
func (c *connector) connected(within time.Duration) {
	c.t.Helper()
	eventually(c.t, within, func() error {
		s, err := c.status()
		if err != nil {
			return err
		}
		if got := s.Connection; got.State != "ok" && got.State != "warning" || got.Problem != "" || got.CheckedAt.IsZero() {
			return fmt.Errorf("/api/status says %+v, want it connected", got)
		}
		page, err := c.page()
		if err != nil || !strings.Contains(page, "Connected") || !strings.Contains(page, "Reconnect LinkedIn") {
			return fmt.Errorf("the page does not say that LinkedIn is connected (%v): %.600s", err, page)
		}
		if v, err := c.metric("leadstream_authorized"); err != nil || v != 1 {
			return fmt.Errorf("leadstream_authorized = %v, %v; want 1", v, err)
		}
		r, err := c.ready()
		if reason, _, degraded := r.degraded("consent"); err != nil || degraded {
			return fmt.Errorf("/readyz?strict=1 says %q (%v)", reason, err)
		}
		return nil
	})
}

// least watches a metric; stop gives the least value that was seen.
func (c *connector) least(name string) (stop func() float64) {
	quit, done, least := make(chan struct{}), make(chan struct{}), math.Inf(1)
	go func() {
		defer close(done)
		for {
			if v, err := c.metric(name); err == nil {
				least = min(least, v)
			}
			select {
			case <-quit:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	end := sync.OnceFunc(func() {
		close(quit)
		<-done
	})
	c.t.Cleanup(end)
	return func() float64 {
		end()
		return least
	}
}

// complaints are the lines of the log of level warn and error that hold a word.
func (c *connector) complaints(word string) []string {
	var found []string
	for line := range strings.Lines(c.text()) {
		if (strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`)) && strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return found
}
