package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/oauth"
)

// journal is the log of a connector at work.
type journal struct {
	t    *testing.T
	stop func()

	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// entry is a line of the log.
type entry struct{ Level, Msg, Todo, Error, Work, Address, Setting string }

// page is the status page of the connector.
func (j *journal) page() string {
	j.t.Helper()
	for _, e := range j.said("info", 0) {
		if e.Setting != "http.listen" {
			continue
		}
		answer, err := http.Get("http://" + e.Address + "/")
		if err != nil {
			j.t.Fatal(err)
		}
		defer answer.Body.Close() //nolint:errcheck // read to its end below
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			j.t.Fatalf("GET / = %s %s (%v)", answer.Status, body, err)
		}
		return string(body)
	}
	j.t.Fatal("the page is not served")
	return ""
}

// said are the lines of these levels, since the mark.
func (j *journal) said(levels string, mark int) (lines []entry) {
	j.mu.Lock()
	text := j.text.String()[mark:]
	j.mu.Unlock()
	for line := range strings.Lines(text) {
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil && strings.Contains(levels, e.Level) {
			lines = append(lines, e)
		}
	}
	return lines
}

// mark is where the log stands.
func (j *journal) mark() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Len()
}

func (j *journal) await(what string, mark int, holds func(lines []entry) bool) {
	j.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(j.said("debug info warn error", mark)); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			j.t.Fatalf("waiting for %s; the log says\n%s", what, j.text.String()[mark:])
		}
	}
}

// work starts "leadstream run" and waits until all leads are read.
func (s *stack) work(over map[string]string, args ...string) *journal {
	s.t.Helper()
	j := &journal{t: s.t}
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, process{args: append([]string{"run"}, args...), environ: s.environ(over), stdin: strings.NewReader(""), stdout: io.Discard, stderr: j})
	}()
	j.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	s.t.Cleanup(j.stop)
	return j
}

// incident is something that happens to a connector at work, and what its log has to
// say of it.
type incident struct {
	name string
	// errors and warnings are how many lines of either level it takes: one says what
	// a person must do, or one that time fixes it.
	errors, warnings int
	says             string // in the line and what to do
	before           func(s *stack, over map[string]string)
	happens          func(s *stack)
	repair           func(s *stack) // may be nil
}

// broken gives LinkedIn a fault without end.
func broken(f linkedinsim.Fault) func(*stack) {
	return func(s *stack) {
		s.t.Helper()
		if f.Count == 0 && f.Kind != linkedinsim.LoseRole {
			f.Count = -1
		}
		if f.Kind == linkedinsim.LoseRole {
			f.Owner = s.sim.Describe().Organizations[0].URN
		}
		if err := s.sim.Schedule(f); err != nil {
			s.t.Fatal(err)
		}
	}
}

func healed(s *stack) { s.sim.ClearFaults() }

// checkPage holds the page to what it may not do, whatever is amiss.
func checkPage(t *testing.T, body string, amiss bool) {
	t.Helper()
	_, banner, _ := strings.Cut(body, `<section class="banner `)
	state, _, _ := strings.Cut(banner, `"`)
	banner, below, _ := strings.Cut(banner, "</section>")
	for _, worse := range []struct{ is, above string }{{"failing", "ok waiting warning"}, {"warning", "ok waiting"}} {
		if strings.Contains(below, `class="badge `+worse.is) && strings.Contains(worse.above, state) {
			t.Errorf("the page is %s, and below something is %s: %s", state, worse.is, banner)
		}
	}
	if amiss && state != "failing" && state != "warning" {
		t.Errorf("the page is %s although a person must act: %s", state, banner)
	}
	if n, todos := strings.Count(banner, "<li"), strings.Count(banner, `<span class="todo">`); n != todos || amiss && n == 0 || strings.Contains(banner, `<span class="todo"></span>`) {
		t.Errorf("of %d problems %d say what to do: %s", n, todos, banner)
	}
	if strings.Contains(body, "status page") || strings.Contains(body, "Fix what it names") {
		t.Errorf("the page sends its reader elsewhere, or does not say what to do: %s", banner)
	}
}

// TestOneEventIsOneLineWithWhatToDo: whoever is paged reads the one line that tells
// what is wrong and what to do, not that line among four others.
func TestOneEventIsOneLineWithWhatToDo(t *testing.T) {
	t.Parallel()
	atOnce := new(errgroup.Group)
	atOnce.SetLimit(6) // they wait more than they work
	for _, c := range incidents() {
		atOnce.Go(func() error { t.Run(c.name, c.test); return nil })
	}
	if err := atOnce.Wait(); err != nil {
		t.Error(err)
	}
}

// test has it happen.
func (c incident) test(t *testing.T) {
	s := bareStack(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Leads: 20, Seed: 1, AutoConsent: true})
	s.consentLongAgo()
	over := map[string]string{"LEADSTREAM_POLL_DISCOVERY_INTERVAL": "1s", "LEADSTREAM_LOG_LEVEL": "info"}
	if c.before != nil {
		c.before(s, over)
	}
	j := s.work(over)
	j.await("two organizations", 0, func(lines []entry) bool { return count(lines, "organization found") == 2 })
	j.await("their backlog", 0, func(lines []entry) bool { return count(lines, "backlog range done") >= 2 })
	mark := j.mark()
	c.happens(s)
	level := "error"
	if c.errors == 0 {
		level = "warn"
	}
	j.await("the line", mark, func(lines []entry) bool {
		for _, e := range lines {
			if e.Level == level && strings.Contains(e.Msg+" "+e.Error+" "+e.Todo, c.says) {
				return true
			}
		}
		return false
	})
	time.Sleep(1500 * time.Millisecond) // whatever else is said of it, of several polls and discoveries
	checkPage(t, j.page(), c.errors > 0)
	errors, warnings := j.said("error", mark), j.said("warn", mark)
	if len(errors) != c.errors || len(warnings) > c.warnings {
		t.Errorf("%d errors and %d warnings, want %d and %d at most:\n%+v\n%+v", len(errors), len(warnings), c.errors, c.warnings, errors, warnings)
	}
	for _, e := range append(errors, warnings...) {
		if e.Todo == "" || strings.Contains(e.Todo, "fix what it names; it is noticed by itself") {
			t.Errorf("what to do is not said: %+v", e)
		}
	}
	if c.repair != nil {
		mark = j.mark()
		c.repair(s)
		j.await("its end", mark, func(lines []entry) bool {
			return count(lines, "recovered")+count(lines, "organization can be read again")+count(lines, "the connection to LinkedIn works again") > 0
		})
		if more := j.said("error warn", mark); len(more) > 0 {
			t.Errorf("with its end: %+v", more)
		}
		checkPage(t, j.page(), false)
	}
}

func count(lines []entry, message string) (n int) {
	for _, e := range lines {
		if e.Msg == message {
			n++
		}
	}
	return n
}

func incidents() []incident {
	registry := &faultyRegistry{}
	return []incident{
		{name: "consent withdrawn", errors: 1, says: "Reconnect LinkedIn",
			happens: func(s *stack) { s.sim.RevokeTokens(); s.sim.RevokeRefreshTokens() }, repair: func(s *stack) { s.consent(nil) }},
		{name: "role lost", errors: 1, says: "Manage admins", happens: broken(linkedinsim.Fault{Kind: linkedinsim.LoseRole}),
			repair: func(s *stack) {
				s.schedule(linkedinsim.Fault{Kind: linkedinsim.GrantRole, Owner: s.sim.Describe().Organizations[0].URN})
			}},
		{name: "API version retired", errors: 1, says: "linkedin.version", happens: broken(linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: http.StatusUpgradeRequired}), repair: healed},
		{name: "LinkedIn out of order", warnings: 1, says: "tried again by itself", happens: broken(linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 503}), repair: healed},
		{name: "no more requests today", warnings: 1, says: "goes on by itself then", happens: broken(linkedinsim.Fault{Kind: linkedinsim.Budget, Endpoint: "leadFormResponses"})},
		{name: "no more requests for now", warnings: 1, says: "asked again after a pause", happens: broken(linkedinsim.Fault{Kind: linkedinsim.Throttle, Endpoint: "leadFormResponses"})},
		{name: "a lead that cannot be read", errors: 1, says: "leadstream deadletters list", happens: func(s *stack) {
			s.submit(linkedinsim.LeadSpec{Count: 3, Malformed: linkedinsim.AnswersNotList})
		}},
		{name: "somebody else's schema", errors: 1, says: "kafka.topic_prefix", happens: func(s *stack) {
			const form = "7130000000000000009"
			s.subject(form, `{"type":"string"}`)
			s.newForm(form)
		}},
		{name: "another installation's topic", errors: 1, says: "kafka.adopt_topics", happens: func(s *stack) {
			const form = "7130000000000000009"
			s.foreignTopic(form)
			s.newForm(form)
		}},
		{name: "registry away", warnings: 1, says: "registry.url", before: registry.stand, happens: func(s *stack) {
			registry.away.Store(true)
			s.newForm("7130000000000000009")
		}, repair: func(*stack) { registry.away.Store(false) }},
		{name: "Kafka and registry away", warnings: 2, says: "kafka.brokers", happens: func(s *stack) {
			if err := s.kafka.Close(); err != nil {
				s.t.Error(err)
			}
		}},
		{name: "lead topic deleted", errors: 1, warnings: 1, says: "--replay-from", happens: func(s *stack) {
			const form = "7130000000000000001"
			if err := s.system(nil).cluster.Admin.DeleteTopics(s.t.Context(), []string{"linkedin.leads." + form}); err != nil {
				s.t.Fatal(err)
			}
			s.submit(linkedinsim.LeadSpec{Form: form, Count: 2})
		}},
		{name: "a deletion that cannot be read", errors: 1, says: "write another record with this key", before: notified, happens: func(s *stack) {
			c := s.system(nil).cluster
			if err := c.Append(s.t.Context(), kafka.Message{Topic: "leadstream.deletions", Key: []byte("a lead"), Value: []byte("yesterday")}); err != nil {
				s.t.Fatal(err)
			}
		}},
		{name: "the app's secret is wrong", errors: 1, says: "linkedin.client_secret",
			happens: func(s *stack) {
				s.schedule(linkedinsim.Fault{Kind: linkedinsim.ChangeSecret, Secret: "another"})
				s.sim.RevokeTokens()
			}},
		{name: "token file that others may read", errors: 1, says: "chmod 600", happens: func(s *stack) {
			if err := os.Chmod(s.env["LEADSTREAM_TOKEN_FILE"], 0o644); err != nil {
				s.t.Fatal(err)
			}
			s.sim.RevokeTokens()
		}},
	}
}

// consentLongAgo stores a token that was given an hour ago: one that was just given
// is allowed to be refused for a while, until all of LinkedIn knows it.
func (s *stack) consentLongAgo() {
	s.t.Helper()
	given := s.sim.IssueToken()
	at := time.Now().Add(-time.Hour)
	err := oauth.NewFileStore(s.env["LEADSTREAM_TOKEN_FILE"], "").Save(s.t.Context(), oauth.Token{
		Access: given.AccessToken, AccessExpiresAt: at.Add(time.Duration(given.ExpiresIn) * time.Second),
		Refresh: given.RefreshToken, RefreshExpiresAt: at.Add(time.Duration(given.RefreshTokenExpiresIn) * time.Second),
		Scopes: strings.Split(given.Scope, ","), AuthorizedAt: at, ObtainedAt: at,
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stack) schedule(f linkedinsim.Fault) {
	s.t.Helper()
	if err := s.sim.Schedule(f); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stack) submit(spec linkedinsim.LeadSpec) {
	s.t.Helper()
	if _, err := s.sim.AddLeads(spec); err != nil {
		s.t.Fatal(err)
	}
}

// subject registers a schema where a form's is to be.
func (s *stack) subject(form, schema string) {
	s.t.Helper()
	body, err := json.Marshal(map[string]string{"schema": schema})
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.Post(s.kafka.RegistryURL+"/subjects/linkedin.leads."+form+"-value/versions", "application/vnd.schemaregistry.v1+json", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end below
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("registering a schema: %s %s (%v)", answer.Status, text, err)
	}
}

// newForm has a form with leads appear.
func (s *stack) newForm(id string) {
	s.t.Helper()
	var number int64
	if _, err := fmt.Sscan(id, &number); err != nil {
		s.t.Fatal(err)
	}
	_, err := s.sim.AddForm(linkedinsim.Form{ID: number, Name: "Another form", Owner: linkedinsim.Owner{Organization: s.sim.Describe().Organizations[0].URN},
		Content: linkedinsim.Content{Questions: []linkedinsim.Question{{ID: 1, Name: "q", Question: linkedinsim.Localized{Localized: map[string]string{"en_US": "Who comes along?"}},
			Details: linkedinsim.QuestionDetails{Text: &linkedinsim.TextDetails{MaxResponseLength: 300}}}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.submit(linkedinsim.LeadSpec{Form: id, Count: 4})
}

// foreignTopic makes a form's topic and puts another installation's lead into it.
func (s *stack) foreignTopic(form string) {
	s.t.Helper()
	c, name := s.system(nil).cluster, "linkedin.leads."+form
	made, err := c.Admin.CreateTopics(s.t.Context(), []kafka.TopicSpec{{Name: name, Partitions: 1, ReplicationFactor: 1}})
	if err == nil {
		err = made[name]
	}
	if err == nil {
		err = c.Append(s.t.Context(), kafka.Message{Topic: name, Key: []byte("1"), Value: []byte("x"), Headers: []kafka.Header{
			{Key: delivery.HeaderName, Value: []byte("another")}, {Key: delivery.HeaderSubmittedAt, Value: []byte("2026-01-01T00:00:00.000Z")}}})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// notified has LinkedIn notify the connector, which then follows deletions.
func notified(_ *stack, over map[string]string) {
	over["LEADSTREAM_WEBHOOK_LISTEN"] = "127.0.0.1:0"
	over["LEADSTREAM_WEBHOOK_URL"] = "http://localhost:1/webhooks/linkedin"
}

// faultyRegistry stands before a registry and can be away.
type faultyRegistry struct{ away atomic.Bool }

func (f *faultyRegistry) stand(s *stack, over map[string]string) {
	s.t.Helper()
	at, err := url.Parse(s.kafka.RegistryURL)
	if err != nil {
		s.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(at)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	s.t.Cleanup(front.Close)
	over["LEADSTREAM_REGISTRY_URL"] = front.URL
}
