package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedinsim"
)

// goWords are words of Go's libraries, which tell a person nothing.
var goWords = regexp.MustCompile(`\bjson: |\bstrconv\.|\btime: (invalid|missing|unknown)|Go value|Go struct|unmarshal|\*[a-z]+\.[A-Z]|&\{|%!|parsing time|<nil>|invalid syntax|reflect\.|goroutine |runtime error`)

// attempt is a command under settings of its own.
type attempt struct {
	env  map[string]string
	args []string
}

// settings are variables by the ends of their names.
func settings(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m["LEADSTREAM_"+pairs[i]] = pairs[i+1]
	}
	return m
}

// file makes one for a test.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestErrorsSpeakToPeople: whatever is wrong of what is typed and configured, no error
// quotes a type or a function of Go.
func TestErrorsSpeakToPeople(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	dir := t.TempDir()
	var attempts []attempt
	for _, args := range [][]string{
		{"demo", "--for", "soon"}, {"demo", "--for", "5"}, {"demo", "--kafka-port", "x"}, {"simulate", "--rate", "x"}, {"simulate", "--clock-offset", "x"}, {"simulate", "--seed", "1e9"},
		{"run", "--replay-from", "2026-13-45"}, {"run", "--replay-from", "99999999999999999999h"}, {"run", "--once=x"}, {"run", "--replay-from", "1h", "--replay-id", "a\nb"},
		{"schema", "show", "99999999999999999999"}, {"tail", "99999999999999999999"}, {"checkpoints", "set", "form/1", `{"version":1,"fields":{"form":7}}`},
		{"checkpoints", "set", "form/1", `{"version":1,"fields":{"form":"1","choice":"array","versions":"x","columns":[]}}`}, {"checkpoints", "set", "form/1", `{"version":"x"}`},
		{"checkpoints", "set", "source/urn:li:organization:1/EVENT", `{"version":1,"live":"soon"}`}, {"checkpoints", "set", "replay/x", `{"version":1,"more":1}`},
		{"checkpoints", "set", "replay/x\ny", `{"version":1}`}, {"checkpoints", "set", "requests", `{"version":1,"counters":{"day":7}}`},
		{"checkpoints", "set", "topic/1", `{"version":1,"topic":"linkedin.leads.1","leads":0,"end_offset":0,"schemas":[{"id":"x"}]}`},
		{"health", "--url", "http://[::1"}, {"health", "--url", "http://localhost:port"}, {"auth", "login", "--timeout", "x"}, {"config", "--set", "poll.page_size=x"}, {"config", "--set", "poll.interval=x"},
		{"config", "--set", "kafka.partitions=99999999999999999999"}, {"config", "--set", "kafka.adopt_topics=maybe"}, {"config", "--set", "kafka.brokers=a:x"}, {"config", "-c", dir},
		{"config", "-c", file(t, "a: [")}, {"config", "-c", file(t, "poll: {page_size: 1.5}")}, {"config", "-c", file(t, "\x00\x01")}, {"config", "-c", file(t, "- a\n- b\n")},
	} {
		attempts = append(attempts, attempt{nil, args})
	}
	for _, key := range []string{"KAFKA_TLS_CA_FILE", "KAFKA_TLS_CERT_FILE", "KAFKA_TLS_KEY_FILE"} {
		for _, path := range []string{filepath.Join(dir, "absent"), dir, file(t, "no certificate")} {
			over := settings("KAFKA_TLS_ENABLED", "true", "KAFKA_TLS_CERT_FILE", file(t, "x"), "KAFKA_TLS_KEY_FILE", file(t, "x"), key, path)
			attempts = append(attempts, attempt{over, []string{"check"}})
		}
	}
	attempts = append(attempts, attempt{settings("REGISTRY_CA_FILE", dir), []string{"check"}}, attempt{settings("TOKEN_FILE", file(t, `{"version":"x"}`)), []string{"auth", "status"}})
	s.speak(attempts)
}

// TestErrorsAboutOthersSpeakToPeople: also whatever is wrong of what is answered and
// stored.
func TestErrorsAboutOthersSpeakToPeople(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatal(got.stderr)
	}
	answering := func(text string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) }))
		t.Cleanup(server.Close)
		return server.URL
	}
	var attempts []attempt
	for _, url := range []string{answering(`<html>`), answering(`{"schema":7,"mode":[],"elements":{"a":1},"active":"x","versions":true}`), "http://127.0.0.1:1"} {
		for _, args := range [][]string{{"check"}, {"forms"}, {"schema", "show", "7130000000000000001"}} {
			attempts = append(attempts, attempt{settings("REGISTRY_URL", url), args}, attempt{settings("LINKEDIN_API_URL", url, "LINKEDIN_AUTH_URL", url), args})
		}
	}
	s.speak(attempts)
	for key, value := range map[string]string{
		"form/7130000000000000001": `{"version":1,"fields":{"form":7}}`, "source/urn:li:organization:9000123/EVENT": `{"version":1,"live":7}`,
		"requests": `{"version":1,"counters":[]}`, "topic/7130000000000000001": `no JSON`,
	} {
		s.append(kafka.Message{Topic: "leadstream.checkpoints", Key: []byte(key), Value: []byte(value), Time: time.Now()})
		for _, args := range [][]string{{"run", "--once"}, {"check"}, {"forms"}, {"checkpoints", "list"}} {
			s.speaks(nil, args)
		}
	}
}

// speak runs commands and looks at their words.
func (s *stack) speak(attempts []attempt) {
	s.t.Helper()
	var speaking sync.WaitGroup
	room := make(chan struct{}, 8)
	for _, a := range attempts {
		room <- struct{}{}
		speaking.Go(func() {
			s.speaks(a.env, a.args)
			<-room
		})
	}
	speaking.Wait()
}

// speaks runs a command and looks at its words.
func (s *stack) speaks(env map[string]string, args []string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	got := s.run(ctx, env, args...)
	for line := range strings.Lines(got.stdout + got.stderr) {
		if found := goWords.FindString(line); found != "" && !strings.Contains(line, `"level":"debug"`) {
			s.t.Errorf("%q: exit code %d says %q: %.400s", args, got.code, found, line)
		}
	}
}

// TestNothingIsEscapedThatNeedNotBe: what is printed as JSON is read by people, too.
func TestNothingIsEscapedThatNeedNotBe(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 2, Forms: 2, Leads: 60, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatal(got.stderr)
	}
	value, err := checkpoint.Encode(checkpoint.Form{Fields: []byte(`{"form":"7","choice":"array","versions":"","columns":null}`), Name: "R & D <Q3>"})
	if err != nil {
		t.Fatal(err)
	}
	s.append(kafka.Message{Topic: "leadstream.checkpoints", Key: []byte("form/7"), Value: value, Time: time.Now()})
	s.append(kafka.Message{Topic: "leadstream.deadletters", Key: []byte("a & b"), Value: []byte(`{}`), Time: time.Now()})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	tail := s.run(ctx, nil, "tail", "--from-beginning")
	demo := s.run(t.Context(), nil, "demo", "--for", "2s")
	list := s.run(t.Context(), nil, "checkpoints", "list")
	all := []outcome{tail, demo, list, s.run(t.Context(), nil, "checkpoints", "list", "-o", "json"), s.run(t.Context(), nil, "deadletters", "list", "-o", "json"),
		s.run(t.Context(), nil, "forms", "-o", "json"), s.run(t.Context(), nil, "check", "-o", "json"), s.run(t.Context(), nil, "schema", "show", "7130000000000000001")}
	for _, got := range all {
		if i := strings.Index(got.stdout, `\u00`); i >= 0 {
			t.Errorf("…%.60s", got.stdout[max(i-20, 0):])
		}
	}
	if !strings.Contains(tail.stdout, " & ") || !strings.Contains(demo.stdout, " & ") || !strings.Contains(list.stdout, "R & D <Q3>") {
		t.Error("nothing of what is printed has a character that could have been escaped")
	}
}
