//go:build integration

package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// outageLength is how long ago the recorded process was killed when the next starts.
const outageLength = 10 * time.Minute

// TestAnInstallationOfAnEarlierReleaseIsTakenOver: what an earlier release has left
// when it was killed is gone on with, without a person and without a setting: its
// tokens, its progress, its deletions, its suspended forms and their deferred leads.
// No lead is lost or repeated, and no column gets another name.
//
// What it left was recorded (testdata/recordings/README.md) and is put back here,
// offset for offset and schema id for schema id, into a Kafka and a registry that
// hold nothing else. All times in it are shifted so that the kill was ten minutes
// ago; shift says why and how.
func TestAnInstallationOfAnEarlierReleaseIsTakenOver(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob(filepath.Join(recordings, "*", fileAbout))
	if err != nil || len(found) == 0 {
		t.Fatalf("there are no recordings in %s (%v)", recordings, err)
	}
	for _, path := range found {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r, err := load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.shift(time.Now().Add(-outageLength)); err != nil {
				t.Fatal(err)
			}
			s := restore(t, r)
			s.takenOver(s.installation(whole))
			for _, name := range []string{inTopic, inPlain} {
				s.goesOn(s.installation(name))
			}
		})
	}
}

// takenOver starts this release where the recorded one was killed.
func (s *restored) takenOver(w *world) {
	t := s.t
	t.Helper()
	all := []string{conference, survey, seminar, webinar, workshop}
	s.submit(all, object{"count": 3, "age": "2m", "every": "1m"}) // nobody polled then
	c := w.run(replayed...)
	c.awaitActive(30 * time.Second)
	c.connected(20 * time.Second)
	s.submit(all, object{"count": 3})
	c.says(60*time.Second, `"replay done"`, everyone)
	s.arrives(w, func(l *submission) bool { return l.FormID != webinar && l.FormID != workshop })

	// The two suspended forms get nothing until the cause of it is gone.
	c.has("leadstream_forms", `state="suspended"`, 2)
	for _, form := range []string{webinar, workshop} {
		topic := w.prefix + form
		if got, want := len(consume(t, w.brokers, w.registry, topic).leads()), s.recorded(topic); got != want {
			t.Errorf("%s, whose subject is somebody else's, holds %d leads, want the %d that were recorded", topic, got, want)
		}
	}
	w.change(http.MethodDelete, "/subjects/"+w.subject(webinar), nil)
	w.change(http.MethodDelete, "/subjects/"+w.subject(workshop)+"/versions/latest", nil)
	s.arrives(w, every)
	c.has("leadstream_forms", `state="suspended"`, 0)

	// The refresh token is the recorded one as well, and the file stays encrypted.
	s.linkedin.goWrong(object{"kind": "expire_token"})
	s.submit(all, object{"count": 2})
	s.arrives(w, every)
	c.says(time.Second, "the LinkedIn access token was renewed")
	file, err := os.ReadFile(w.settings["LEADSTREAM_TOKEN_FILE"])
	if err != nil || !bytes.HasPrefix(file, []byte("age-encryption.org/")) {
		t.Errorf("the token file is not encrypted any more (%v)", err)
	}
	if code, _ := c.stop(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}

	published := s.compare(w)
	s.nothingIsLeft(w)
	s.columnsAreTheSame(w)
	s.deadLettersAreTheSame(w)
	w.once(replayed...)
	if again := s.compare(w); again != published {
		t.Errorf("the next start published %d records more", again-published)
	}
}

// goesOn is takenOver of one of the small installations. The access token that it has
// kept is dead by now.
func (s *restored) goesOn(w *world) {
	s.t.Helper()
	c := w.run()
	c.awaitActive(30 * time.Second)
	c.connected(20 * time.Second)
	s.arrives(w, every)
	if code, _ := c.stop(); code != 0 {
		s.t.Errorf("%s: exit %d, want 0", w.name, code)
	}
	s.compare(w)
	s.columnsAreTheSame(w)
}

func every(*submission) bool { return true }

// submit has leads of each form submitted.
func (s *restored) submit(forms []string, spec object) {
	s.t.Helper()
	for _, form := range forms {
		spec["form"] = form
		s.linkedin.submit(spec)
	}
}

// has waits until the values of a metric with a label sum up to that.
func (c *connector) has(metric, label string, want float64) {
	c.t.Helper()
	eventually(c.t, 30*time.Second, func() error {
		if got, err := c.metric(metric + "{" + label + "}"); err != nil || got != want {
			return fmt.Errorf("%s{%s} is %v (%v), want %v", metric, label, got, err, want)
		}
		return nil
	})
}
