//go:build integration

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"leadstream/internal/realstack"
)

// restored is a recording put back: what its release has left, in a Kafka, a
// registry and a LinkedIn of its own.
type restored struct {
	t        testing.TB
	r        *recording
	dir      string // of the logs and files
	kafka    *realstack.Kafka
	registry *realstack.Registry
	linkedin *linkedin

	committed []recordLine    // records that consumers saw, by topic and partition
	deleted   map[string]bool // ids that were deleted of the installation called whole
	replay    struct{ From, To time.Time }
}

// restore puts a recording back.
func restore(t testing.TB, r *recording) *restored {
	t.Helper()
	s := &restored{t: t, r: r, dir: logDirectory(t)}
	if err := s.know(); err != nil {
		t.Fatal(err)
	}
	kafka, registry := make(chan error, 1), make(chan error, 1)
	go func() { kafka <- s.restoreKafka() }()
	go func() { registry <- s.startRegistry() }()
	s.restoreLinkedIn()
	if err := <-registry; err != nil {
		t.Error(err)
	} else {
		s.restoreRegistry()
	}
	if err := <-kafka; err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	return s
}

// stopped ends a process with the test.
func (s *restored) stopped(kill func() error) {
	s.t.Cleanup(func() {
		if err := kill(); err != nil {
			s.t.Error(err)
		}
	})
}

// restoreKafka writes each record at its offset, by a client that is not ours
// (restore.py), which fails where an offset is another. Offsets count: checkpoints
// name them.
func (s *restored) restoreKafka() (err error) {
	if s.kafka, err = realstack.StartKafka(s.t.Context(), realstack.KafkaOptions{Jars: stack.jars, Dir: s.t.TempDir()}); err != nil {
		return err
	}
	s.stopped(s.kafka.Kill)
	var lines bytes.Buffer
	e := json.NewEncoder(&lines)
	for _, line := range append(anys(s.r.Topics), anys(s.r.Records)...) {
		if err := e.Encode(line); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(s.t.Context(), stack.python, "restore.py", "--brokers", s.kafka.Addr(realstack.PLAINTEXT), "--transactional-id", whole)
	cmd.Stdin = &lines
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("restoring the topics: %w: %s", err, out)
	}
	return nil
}

func (s *restored) startRegistry() (err error) {
	if s.registry, err = realstack.StartRegistry(s.t.Context(), realstack.RegistryOptions{Jars: stack.jars, Dir: s.t.TempDir()}); err != nil {
		return err
	}
	s.stopped(s.registry.Kill)
	return nil
}

// restoreRegistry registers the schemas so that each has its id and version. A
// registry counts its ids up, one for each text, and no client can choose: so the
// texts are registered by their ids under a subject that goes away again, with
// others in the place of those that are missing, and then as they were.
func (s *restored) restoreRegistry() {
	s.t.Helper()
	w := &world{t: s.t, registry: s.registry.URL()}
	const scratch = "restored"
	byID := slices.SortedFunc(slices.Values(s.r.Schemas), func(a, b schemaLine) int { return a.ID - b.ID })
	last := 0
	for _, line := range byID {
		for ; last < line.ID-1; last++ {
			w.registerAs(scratch, fmt.Sprintf(`{"type":"fixed","name":"Missing%d","size":1}`, last+1), last+1)
		}
		w.registerAs(scratch, line.Schema, line.ID)
		last = line.ID
	}
	byVersion := slices.SortedFunc(slices.Values(s.r.Schemas), func(a, b schemaLine) int { return a.Version - b.Version })
	for _, line := range byVersion {
		w.registerAs(line.Subject, line.Schema, line.ID)
		if got := w.versions(line.Subject); len(got) != line.Version {
			s.t.Errorf("the schema of %s is version %d, want %d", line.Subject, len(got), line.Version)
		}
	}
	for _, line := range byVersion {
		if line.Compatibility != "" {
			w.compatibility(line.Subject, line.Compatibility)
		}
	}
	w.change(http.MethodDelete, "/subjects/"+scratch, nil)
}

// registerAs registers a schema, which must get that id.
func (w *world) registerAs(subject, schema string, id int) {
	w.t.Helper()
	if got := w.register(subject, schema); got != id {
		w.t.Fatalf("a schema of %s got the id %d, want %d", subject, got, id)
	}
}

// restoreLinkedIn makes the world that was recorded.
func (s *restored) restoreLinkedIn() {
	s.t.Helper()
	s.linkedin = startLinkedIn(s.t, s.dir, false, "--organizations", "0", "--events", "0", "--forms", "0", "--leads", "0")
	var leads []json.RawMessage
	for _, line := range s.r.LinkedIn {
		if line.Path == "/sim/leads" {
			leads = append(leads, line.Body) // all at once: they are many
			continue
		}
		if err := s.linkedin.control(line.Path, line.Body, nil); err != nil {
			s.t.Fatalf("%s: %v", line.Path, err)
		}
	}
	if err := s.linkedin.control("/sim/leads", leads, nil); err != nil {
		s.t.Fatal(err)
	}
}

// installation is one that was recorded, with its token file in place.
func (s *restored) installation(name string) *world {
	s.t.Helper()
	w := installation(s.t, s.dir, name, s.kafka.Addr(realstack.PLAINTEXT), s.registry.URL(), s.linkedin)
	file := w.settings["LEADSTREAM_TOKEN_FILE"]
	if content, ok := s.r.Files[filepath.Base(file)]; ok {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	w.seen = follow(s.t, w.brokers, w.registry, w.prefix)
	return w
}
