//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/internal/realstack"
)

// ownRegistry is a registry that keeps its schemas in memory: what restarts it
// rebuilds it.
func ownRegistry(t testing.TB) *realstack.Registry {
	t.Helper()
	registry, err := realstack.StartRegistry(t.Context(), realstack.RegistryOptions{Jars: stack.jars, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := registry.Kill(); err != nil {
			t.Error(err)
		}
	})
	return registry
}

// register registers some schema.
func register(t testing.TB, url, subject string) {
	t.Helper()
	res, err := http.Post(url+"/subjects/"+subject+"/versions", "application/vnd.schemaregistry.v1+json",
		strings.NewReader(`{"schema":"{\"type\":\"record\",\"name\":\"Other\",\"fields\":[]}"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := body(res); err != nil {
		t.Fatal(err)
	}
}

// carried are the records with the ids that they carry, without a look at what these
// name.
func (w *world) carried() []record {
	w.t.Helper()
	return consume(w.t, w.brokers, w.registry, w.prefix, "--ids").records
}

// names is the namespace of the schema that an id names, empty when it names none.
func (w *world) names(id int) string {
	w.t.Helper()
	b, err := get(fmt.Sprintf("%s/schemas/ids/%d", w.registry, id))
	if err != nil {
		return ""
	}
	var answer struct{ Schema string }
	var schema struct{ Namespace string }
	if json.Unmarshal(b, &answer) != nil || json.Unmarshal([]byte(answer.Schema), &schema) != nil {
		w.t.Fatalf("schema %d: %s", id, b)
	}
	return schema.Namespace
}

// unreadable are those of the records whose id does not name their form's schema.
func (w *world) unreadable(records []record) []record {
	w.t.Helper()
	named := map[int]string{}
	return slices.DeleteFunc(slices.Clone(records), func(r record) bool {
		if _, asked := named[r.SchemaID]; !asked {
			named[r.SchemaID] = w.names(r.SchemaID)
		}
		return named[r.SchemaID] == "linkedin.form_"+strings.TrimPrefix(r.Topic, w.prefix)
	})
}

// awaitCarried waits until the topics hold so many leads.
func (w *world) awaitCarried(leads int, within time.Duration) []record {
	w.t.Helper()
	var got []record
	eventually(w.t, within, func() error {
		if got = w.carried(); len(got) < leads {
			return fmt.Errorf("%d of %d leads", len(got), leads)
		}
		return nil
	})
	return got
}

// TestARegistryRebuiltUnderARunningConnector: Apicurio is restarted and has forgotten
// everything. Not one lead goes out with an id of before once it answers again, what
// cannot be read any more is told until a replay has published it again, and then
// every key can be read.
func TestARegistryRebuiltUnderARunningConnector(t *testing.T) {
	t.Parallel()
	registry := ownRegistry(t)
	register(t, registry.URL(), "of-others") // rebuilt without it, the registry does not give every form the id that it had
	w := newWorld(t, options{simulate: []string{"--organizations", "1", "--events", "3", "--forms", "3", "--leads", "60"}, registry: registry.URL(),
		settings: map[string]string{"LEADSTREAM_POLL_DISCOVERY_INTERVAL": "10m"}})
	c := w.run()
	before := w.awaitCarried(w.linkedin.leads(), 60*time.Second)
	if got := w.unreadable(before); len(got) > 0 {
		t.Fatalf("%d leads cannot be read before anything happened", len(got))
	}
	if err := registry.Kill(); err != nil {
		t.Fatal(err)
	}
	w.linkedin.submit(object{"count": 10})
	away := w.awaitCarried(w.linkedin.leads(), 30*time.Second)
	if err := registry.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var after []submission
	for range 10 { // from the first moment on
		after = append(after, w.linkedin.submit(object{"count": 5})...)
		time.Sleep(500 * time.Millisecond)
	}
	all := w.awaitCarried(w.linkedin.leads(), 60*time.Second)
	for _, r := range w.unreadable(all) {
		if slices.ContainsFunc(after, func(s submission) bool { return s.ID == r.Key }) {
			t.Errorf("lead %s, submitted after the registry was back, carries schema %d, which is %q", r.Key, r.SchemaID, w.names(r.SchemaID))
		}
	}
	lost := len(w.unreadable(all))
	t.Logf("%d of %d leads cannot be read, of %d that were published before", lost, len(all), len(away))
	if lost == 0 {
		t.Fatal("the rebuilt registry gave the same ids to the same schemas: nothing was tried")
	}
	w.tellsLost(c)
	if code, _ := c.stop(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	c = w.run()
	c.awaitActive(30 * time.Second)
	w.tellsLost(c) // also after a restart
	if code, _ := c.stop(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	w.replaysAll()
}

// replaysAll publishes everything again, after which every key can be read and all is
// well.
func (w *world) replaysAll() {
	w.t.Helper()
	w.once("--replay-from", "365d", "--replay-mode", "all")
	last := map[string]record{}
	for _, r := range w.carried() {
		last[r.Topic+r.Key] = r
	}
	for _, r := range last {
		if len(w.unreadable([]record{r})) > 0 {
			w.t.Errorf("after the replay lead %s cannot be read", r.Key)
		}
	}
	c := w.run()
	eventually(w.t, 60*time.Second, func() error {
		r, err := c.ready()
		if err == nil && r.status != http.StatusOK {
			err = fmt.Errorf("after the replay: %+v", r.Degraded)
		}
		return err
	})
	if code, findings := w.check(); code != 0 {
		w.t.Errorf("check after the replay: exit %d, %+v", code, findings)
	}
}

// tellsLost wants the probe, the metric, the page and check to say what is lost.
func (w *world) tellsLost(c *connector) {
	w.t.Helper()
	eventually(w.t, 30*time.Second, func() error {
		r, err := c.ready()
		if err != nil {
			return err
		}
		if reason, todo, ok := r.degraded("schemas"); !ok || r.status == http.StatusOK || !strings.Contains(reason, "cannot be read") || !strings.Contains(todo, "--replay-mode all") {
			return fmt.Errorf("/readyz?strict=1 = %d %+v", r.status, r.Degraded)
		}
		return nil
	})
	if n, err := c.metric("leadstream_schemas_lost"); err != nil || n == 0 {
		w.t.Errorf("leadstream_schemas_lost = %v, %v", n, err)
	}
	if page, err := c.page(); err != nil || !strings.Contains(page, "cannot be read") {
		w.t.Errorf("the page does not say what cannot be read: %v", err)
	}
	c.says(time.Second, "records cannot be read")
	code, findings := w.check()
	if i := slices.IndexFunc(findings, func(f finding) bool { return f.Check == "schemas" && f.Result == "FAIL" }); code != 6 || i < 0 {
		w.t.Errorf("check: exit %d, %+v", code, findings)
	}
}
