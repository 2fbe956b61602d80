//go:build integration

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// record is a committed record as a consumer that is not ours sees it.
type record struct {
	Topic     string         `json:"topic"`
	Partition int            `json:"partition"`
	Offset    int64          `json:"offset"`
	Time      int64          `json:"time"` // epoch milliseconds
	Key       string         `json:"key"`
	Headers   [][2]string    `json:"headers"`
	SchemaID  int            `json:"schema_id"`
	Value     map[string]any `json:"value"`
	Text      string         `json:"text"` // of topics that are not Avro

	// A line that is no record tells a schema.
	Schema int             `json:"schema"`
	Avro   json.RawMessage `json:"avro"`
}

func (r *record) header(name string) string {
	for _, h := range r.Headers {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

// reading is what a consumer saw.
type reading struct {
	records []record
	schemas map[int]json.RawMessage
}

func (g *reading) add(line []byte) error {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return err
	}
	if r.Avro != nil {
		if g.schemas == nil {
			g.schemas = map[int]json.RawMessage{}
		}
		g.schemas[r.Schema] = r.Avro
		return nil
	}
	g.records = append(g.records, r)
	return nil
}

func consumerCommand(brokers, registry, prefix string, flags ...string) *exec.Cmd {
	args := append([]string{"consume.py", "--brokers", brokers, "--registry", registry, "--prefix", prefix}, flags...)
	cmd := exec.Command(stack.python, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// consume reads all topics with the prefix from their beginning to their end.
func consume(t testing.TB, brokers, registry, prefix string, flags ...string) reading {
	t.Helper()
	cmd := consumerCommand(brokers, registry, prefix, flags...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("consuming %s*: %v: %s", prefix, err, complaints.String())
	}
	var g reading
	for line := range bytes.Lines(out) {
		if err := g.add(line); err != nil {
			t.Fatalf("reading what the consumer printed: %v", err)
		}
	}
	return g
}

// continuous is a consumer that goes on while things happen.
type continuous struct {
	mu      sync.Mutex
	seen    reading
	arrived map[identity]time.Time // each lead for the first time
	avail   error
}

// follow consumes the topics with the prefix, also those that are made later,
// until the test ends.
func follow(t testing.TB, brokers, registry, prefix string) *continuous {
	t.Helper()
	cmd := consumerCommand(brokers, registry, prefix, "--follow")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the consumer: %v", err)
	}
	f := &continuous{arrived: map[identity]time.Time{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := f.take(out)
		f.mu.Lock()
		f.avail = errors.Join(errors.New("the consumer has ended"), err)
		f.mu.Unlock()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it runs until then
		<-done
		_ = cmd.Wait()
		if t.Failed() && complaints.Len() > 0 {
			t.Logf("the consumer complained: %.2000s", lastLines(complaints.String(), 10))
		}
	})
	return f
}

func (f *continuous) take(out io.Reader) error {
	lines := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		now := time.Now()
		f.mu.Lock()
		before := len(f.seen.records)
		err = f.seen.add(line)
		if len(f.seen.records) > before {
			if id := f.seen.records[before].identity(); f.arrived[id].IsZero() {
				f.arrived[id] = now
			}
		}
		f.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// identity is that of the lead in the record; at is 0 where it has no value.
func (r *record) identity() identity {
	at, _ := r.Value["submitted_at"].(float64)
	return identity{r.Key, int64(at)}
}

// distinct is how many leads were seen.
func (f *continuous) distinct() (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.arrived), f.avail
}

// saw reports whether a lead was seen.
func (f *continuous) saw(i identity) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.arrived[i].IsZero()
}

// after is how long after its submission a lead was seen first. Both clocks are
// this machine's.
func (f *continuous) after(i identity) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.arrived[i].Sub(time.UnixMilli(i.at))
}

// repeated is how many records repeat a lead that was seen before.
func (f *continuous) repeated() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen.records) - len(f.arrived)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
