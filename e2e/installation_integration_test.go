//go:build integration

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is recorded of a release: three installations that read one LinkedIn. The
// first has everything, the others are small and keep their tokens elsewhere.
const (
	whole    = "upgraded"       // tokens in an encrypted file
	inTopic  = "upgraded-kafka" // tokens in the checkpoint topic
	inPlain  = "upgraded-plain" // tokens in a file as they are
	missed   = "the-outage"     // replay in mode missing, done
	everyone = "everything"     // replay in mode all, half done
)

// The organizations and forms of the recorded LinkedIn.
const (
	alpenblick = "9100001"
	nordwind   = "9100002"

	conference = "7150000000000000001" // Alpenblick's, three versions
	webinar    = "7150000000000000002" // Alpenblick's; its subject holds somebody else's schema from the start
	survey     = "7150000000000000003" // Alpenblick's, with more leads in an outage than a poll takes
	seminar    = "7150000000000000004" // Nordwind's, in German
	workshop   = "7150000000000000005" // Alpenblick's; records of it were removed, then it was suspended
)

// replayed are the flags of the replay in mode all, as in a pod's specification.
var replayed = []string{"--replay-from", "360d", "--replay-to", "300d", "--replay-mode", "all", "--replay-id", everyone}

// installation is a world for one of the recorded installations: its name is
// recorded with it.
func installation(t testing.TB, dir, name, kafka, registry string, l *linkedin) *world {
	t.Helper()
	dir = filepath.Join(dir, name) // of its own: processes of one name share their logs
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, name: name, prefix: name + ".leads.", brokers: kafka, registry: registry, linkedin: l}
	w.settings = map[string]string{
		"LEADSTREAM_TOKEN_FILE":       filepath.Join(dir, "token."+name),
		"LEADSTREAM_KAFKA_PARTITIONS": "2",
		"LEADSTREAM_POLL_CONCURRENCY": "10",
	}
	switch name {
	case whole:
		w.settings["LEADSTREAM_TOKEN_PASSPHRASE"] = plantedPassphrase
	case inTopic:
		w.settings["LEADSTREAM_TOKEN_STORE"] = "kafka"
		w.settings["LEADSTREAM_TOKEN_PASSPHRASE"] = plantedPassphrase
		w.settings["LEADSTREAM_LINKEDIN_ORGANIZATIONS"] = nordwind
	case inPlain:
		w.settings["LEADSTREAM_LINKEDIN_ORGANIZATIONS"] = nordwind
	}
	t.Cleanup(w.closing)
	return w
}

// subject is a form's in the registry.
func (w *world) subject(form string) string { return w.prefix + form + "-value" }

// register writes a schema into the registry and gives what it got.
func (w *world) register(subject, schema string) (id int) {
	w.t.Helper()
	res, err := http.Post(w.registry+"/subjects/"+subject+"/versions", registryJSON, strings.NewReader(text(object{"schema": schema})))
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := body(res)
	var got struct{ ID int }
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil {
		w.t.Fatalf("registering under %s: %v", subject, err)
	}
	return got.ID
}

// versions are those of a subject.
func (w *world) versions(subject string) []int {
	w.t.Helper()
	var numbers []int
	w.ask("/subjects/"+subject+"/versions", &numbers)
	return numbers
}

// ask asks the registry.
func (w *world) ask(path string, answer any) {
	w.t.Helper()
	b, err := get(w.registry + path)
	if err == nil {
		err = json.Unmarshal(b, answer)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

const registryJSON = "application/vnd.schemaregistry.v1+json"

// compatibility sets the level of a subject.
func (w *world) compatibility(subject, level string) {
	w.t.Helper()
	w.change(http.MethodPut, "/config/"+subject, object{"compatibility": level})
}

// change makes a request to the registry that changes something.
func (w *world) change(method, path string, request object) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.registry+path, strings.NewReader(text(request)))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", registryJSON)
	res, err := http.DefaultClient.Do(req)
	if err == nil {
		_, err = body(res)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
