package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"leadstream/connector"
	"leadstream/internal/check"
	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/web"
	"leadstream/schema"

	"go.uber.org/zap"
)

// before is the stack's registry behind a handler that may answer in its place.
func (s *stack) before(handle func(w http.ResponseWriter, r *http.Request) (answered bool)) map[string]string {
	s.t.Helper()
	to, err := url.Parse(s.env["LEADSTREAM_REGISTRY_URL"])
	if err != nil {
		s.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !handle(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	s.t.Cleanup(server.Close)
	return map[string]string{"LEADSTREAM_REGISTRY_URL": server.URL}
}

// ask asks the stack's registry.
func (s *stack) ask(method, path, body string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.env["LEADSTREAM_REGISTRY_URL"]+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %s %s %v", method, path, res.Status, text, err)
	}
	return strings.TrimSpace(string(text))
}

// TestCheckSeesARegistryThatTakesNoSchemas, whatever says so, and registers nothing to
// find out.
func TestCheckSeesARegistryThatTakesNoSchemas(t *testing.T) {
	t.Parallel()
	refusing := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/versions") {
				return false
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	for name, tt := range map[string]struct {
		mode   string
		handle func(http.ResponseWriter, *http.Request) bool
		result string // of the line about registering; empty for none
		text   string
		todo   string
	}{
		"takes them":        {"READWRITE", refusing(0, ""), "", "", ""},
		"read only":         {"READONLY", nil, check.Fail, "mode READONLY", "READWRITE"},
		"being imported to": {"IMPORT", nil, check.Fail, "mode IMPORT", "READWRITE"},
		"write denied":      {"READWRITE", refusing(403, `{"error_code":40301,"message":"no"}`), check.Fail, "forbids it (403)", "registry.username"},
		"read only, told by nobody but the refusal": {"READWRITE", refusing(409, `{"error_code":0,"message":"Storage is in read-only mode."}`), check.Fail, "read-only", "log"},
		"not permitted": {"READWRITE", refusing(422, `{"error_code":42205,"message":"read-only"}`), check.Fail, "42205", "READWRITE"},
		"not told":      {"READWRITE", refusing(405, ``), check.Warn, "cannot be told", "registry.username"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Seed: 1})
			var over map[string]string
			if tt.handle != nil && tt.result != "" {
				over = s.before(tt.handle)
			}
			s.ask(http.MethodPut, "/mode", `{"mode":"`+tt.mode+`"}`)
			code, findings := s.check(over)
			if got := s.ask(http.MethodGet, "/subjects?deleted=true", ""); got != "[]" && got != "null" {
				t.Errorf("the check registered something: %s", got)
			}
			if tt.result == "" {
				if f := find(t, findings, "schema registry"); code != 0 || !strings.Contains(f.Text, "takes new schemas") || !strings.Contains(f.Text, "not: ") {
					t.Errorf("exit code %d, %+v; want what was found out and what was not", code, f)
				}
				return
			}
			f := find(t, findings, "schema registration")
			if f.Result != tt.result || !strings.Contains(f.Text, tt.text) || !strings.Contains(f.Todo, tt.todo) || (code == 6) != (tt.result == check.Fail) {
				t.Errorf("exit code %d, %+v", code, f)
			}
		})
	}
}

// TestALostRegistryIsToldWhereverTheStateIsShown: by check, the probe, the page, the
// metrics and the log, until the leads are published again.
func TestALostRegistryIsToldWhereverTheStateIsShown(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 2, Forms: 2, Leads: 20, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("run --once: %s", got.stderr)
	}
	if code, findings := s.check(ready); code != 0 || find(t, findings, "schemas").Result != check.Pass {
		t.Errorf("before: exit code %d, %+v", code, findings)
	}
	s.kafka.ForgetSchemas()
	code, findings := s.check(ready)
	if f := find(t, findings, "schemas"); code != 6 || f.Result != check.Fail || !strings.Contains(f.Text, "does not know") || !strings.Contains(f.Todo, "backup") {
		t.Errorf("exit code %d, %+v", code, f)
	}
	registry, err := schema.NewRegistry(schema.RegistryOptions{URL: s.env["LEADSTREAM_REGISTRY_URL"]})
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	for i := range 2 { // the ids are somebody else's by now
		if _, err := registry.Ensure(t.Context(), fmt.Sprint("other-", i), schema.New(fmt.Sprint(i+1), schema.Array).Schema()); err != nil {
			t.Fatal(err)
		}
	}
	got := s.run(t.Context(), nil, "run", "--once")
	if got.code != 0 || !strings.Contains(got.stderr, `"level":"error"`) || !strings.Contains(got.stderr, "records cannot be read") || !strings.Contains(got.stderr, "--replay-mode all") {
		t.Errorf("run --once: exit code %d: %s", got.code, got.stderr)
	}
	code, findings = s.check(ready)
	if f := find(t, findings, "schemas"); code != 6 || f.Result != check.Fail || !strings.Contains(f.Text, "other schemas") || !strings.Contains(f.Todo, "--replay-mode all") {
		t.Errorf("exit code %d, %+v", code, f)
	}
	standby := s.system(nil)
	standby.reached.Store(true)
	idle := standby.newConnector(connector.Options{})
	v := standby.newViewer(idle, standby.newHeartbeat(idle.Resume))
	background(t, v.Run)
	view := watched(t, v, "what the topic says", func(v web.View) bool { return len(v.Forms) > 0 })
	if d := v.Ready().Degraded; len(d) != 1 || d[0].Part != "schemas" || !strings.Contains(d[0].Reason, "cannot be read") || !strings.Contains(d[0].Todo, "--replay-mode all") {
		t.Errorf("the probe says %+v, want what is lost in one line, with what to do", d)
	}
	for _, f := range view.Forms {
		if f.State != web.Failing || f.Problem == "" || !strings.Contains(f.Todo, "--replay-mode all") {
			t.Errorf("the page shows %+v", f)
		}
	}
	if got := s.run(t.Context(), nil, "run", "--once", "--replay-from", "365d", "--replay-mode", "all"); got.code != 0 {
		t.Fatalf("replay: %s", got.stderr)
	}
	if code, findings = s.check(ready); code != 0 {
		t.Errorf("after the replay: exit code %d, %+v", code, find(t, findings, "schemas"))
	}
}

// TestCheckOfManyFormsEndsWell: how long it takes grows with the forms, and no bound of
// one question is one of all.
func TestCheckOfManyFormsEndsWell(t *testing.T) {
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Seed: 1})
	over := s.before(func(http.ResponseWriter, *http.Request) bool {
		time.Sleep(40 * time.Millisecond) // a registry far away
		return false
	})
	const forms = 300
	s.known(forms)
	var topics []kafka.TopicSpec
	for i := range forms {
		topics = append(topics, kafka.TopicSpec{Name: fmt.Sprint("linkedin.leads.", firstKnown+i), Partitions: 1, ReplicationFactor: 1})
	}
	if _, err := s.cluster().Admin.CreateTopics(t.Context(), topics); err != nil {
		t.Fatal(err)
	}
	code, findings := s.check(over)
	if f := find(t, findings, "schemas"); code != 0 || f.Result != check.Pass || !strings.Contains(f.Text, fmt.Sprint("all ", forms)) {
		t.Errorf("exit code %d, %+v", code, f)
	}
}

// firstKnown is the first of the forms that known makes known.
const firstKnown = 7130000000000100000

// known makes so many forms known to the checkpoints and to the registry.
func (s *stack) known(forms int) {
	s.t.Helper()
	ctx := s.t.Context()
	registry, err := schema.NewRegistry(schema.RegistryOptions{URL: s.env["LEADSTREAM_REGISTRY_URL"]})
	if err != nil {
		s.t.Fatal(err)
	}
	defer registry.Close()
	cluster := s.cluster()
	o := delivery.Options{Cluster: cluster, Name: "leadstream", Prefix: "linkedin.leads.", Partitions: 1, ReplicationFactor: 1, Log: zap.NewNop()}
	if err := delivery.EnsureInternal(ctx, o); err != nil {
		s.t.Fatal(err)
	}
	producer := cluster.NewProducer("leadstream", transactionTimeout)
	if err := producer.Init(ctx); err != nil {
		s.t.Fatal(err)
	}
	var messages []kafka.Message
	for i := range forms {
		id := fmt.Sprint(firstKnown + i)
		fields := schema.New(id, schema.Array)
		registered, err := registry.Ensure(ctx, "linkedin.leads."+id+"-value", fields.Schema())
		if err != nil {
			s.t.Fatal(err)
		}
		text, err := json.Marshal(fields)
		if err != nil {
			s.t.Fatal(err)
		}
		value, err := checkpoint.Encode(checkpoint.Form{Fields: text, SchemaID: registered.ID})
		if err != nil {
			s.t.Fatal(err)
		}
		messages = append(messages, kafka.Message{Topic: "leadstream.checkpoints", Key: []byte(checkpoint.FormKey(id)), Value: value, Time: time.Now()})
	}
	if _, err := producer.Commit(ctx, messages); err != nil {
		s.t.Fatal(err)
	}
}

// TestCheckNamesTheAddressThatIsNoKafka, soon.
func TestCheckNamesTheAddressThatIsNoKafka(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Seed: 1})
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	var asking sync.WaitGroup
	for name, address := range map[string]string{"silent": mute.Addr().String(), "HTTP": strings.TrimPrefix(page.URL, "http://")} {
		asking.Go(func() {
			began := time.Now()
			code, findings := s.check(map[string]string{"LEADSTREAM_KAFKA_BROKERS": address})
			i := slices.IndexFunc(findings, func(f check.Finding) bool { return f.Check == "kafka reachable" })
			if code != 6 || i < 0 || findings[i].Result != check.Fail || !strings.Contains(findings[i].Text, address) || time.Since(began) > 2*check.PingTimeout {
				t.Errorf("%s: exit code %d after %s, %+v; want the address named soon", name, code, time.Since(began), findings)
			}
		})
	}
	asking.Wait()
}

func TestProgressSaysCountRateAndTimeLeft(t *testing.T) {
	p := &progress{since: time.Unix(0, 0)}
	if got := p.line(time.Unix(1, 0)); got != "" {
		t.Errorf("before there is something to tell: %q", got)
	}
	p.what, p.done, p.total = "schemas", 30, 120
	if got := p.line(time.Unix(10, 0)); got != "schemas: 30 of 120, 3 a second, 30s left" {
		t.Errorf("line = %q", got)
	}
	p.terminal = true
	if got := p.line(time.Unix(10, 0)); !strings.HasPrefix(got, "[#####...............] schemas") {
		t.Errorf("line on a terminal = %q", got)
	}
}
