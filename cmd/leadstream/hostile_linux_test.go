//go:build !race

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"leadstream/internal/kafka"
	"leadstream/internal/linkedinsim"
)

// program starts a command in a process of its own.
func (s *stack) program(args ...string) (*exec.Cmd, *bytes.Buffer) {
	s.t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(os.Args[0], args...) //nolint:gosec // this very program
	cmd.Env = append(s.environ(nil), actAs+"=program")
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd, &said
}

// peak is the most memory that a process has had, in KiB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(after + " ?")[0])
	if err != nil {
		t.Fatalf("the process is gone: %s", status)
	}
	return kilobytes
}

// hostileLeads are answers to the question for leads, which take as much memory as
// they can.
var hostileLeads = []struct {
	name   string
	answer func(w io.Writer, from, start, count int)
}{
	{"large leads without end", func(w io.Writer, from, start, count int) {
		large := strings.Repeat("x", 39_000)
		writeLeads(w, from, start, count, func(int) string {
			return `{"answers":[{"questionId":510001,"answerDetails":{"textQuestionAnswer":{"answer":"` + large + `"}}}]}`
		})
	}},
	{"lists in every lead", func(w io.Writer, from, start, count int) {
		answers := `{"answers":[` + strings.Repeat(`{},`, 490) + `{}]}`
		writeLeads(w, from, start, count, func(int) string { return answers })
	}},
	{"more leads than a window can have", func(w io.Writer, from, start, count int) {
		writeLeads(w, from, start, count, func(int) string { return `{"answers":[]}` })
	}},
	{"far more than asked for", func(w io.Writer, _, _, _ int) {
		_, _ = io.WriteString(w, `{"elements":[`+strings.Repeat(`{},`, 9_000_000)+`{}]}`)
	}},
}

// writeLeads is a page of leads of the millisecond after from, on and on.
func writeLeads(w io.Writer, from, start, count int, response func(n int) string) {
	_, _ = fmt.Fprintf(w, `{"paging":{"start":%d,"count":%d},"elements":[`, start, count)
	for i := range count {
		if i > 0 {
			_, _ = io.WriteString(w, ",")
		}
		_, _ = fmt.Fprintf(w, `{"id":"hostile-%d-%d","owner":{"organization":"urn:li:organization:9000123"},"leadType":"EVENT","submittedAt":%d,`+
			`"versionedLeadGenFormUrn":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7130000000000000001,1)","formResponse":%s}`,
			from, start+i, from+1, response(start+i))
	}
	_, _ = io.WriteString(w, `]}`)
}

// TestHostileLeadsTakeAConnectorNoMemoryWithoutBound, nor its life: once LinkedIn is
// itself again, new leads arrive.
func TestHostileLeadsTakeAConnectorNoMemoryWithoutBound(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Seed: 1})
	var mode, asked atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(mode.Load())
		if n == len(hostileLeads) || r.URL.Path != "/rest/leadFormResponses" {
			s.sim.ServeHTTP(w, r)
			return
		}
		asked.Add(1)
		_, span, _ := strings.Cut(r.URL.RawQuery, "submittedAtTimeRange=(start:")
		from, _ := strconv.Atoi(strings.Split(span, ",")[0])
		start, _ := strconv.Atoi(r.URL.Query().Get("start"))
		count, _ := strconv.Atoi(r.URL.Query().Get("count"))
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		hostileLeads[n].answer(w, from, start, count)
	}))
	defer front.Close()
	s.env["LEADSTREAM_LINKEDIN_API_URL"] = front.URL
	s.env["LEADSTREAM_LOG_LEVEL"] = "info"
	cmd, said := s.program("run")
	for n, h := range hostileLeads {
		mode.Store(int64(n))
		asked.Store(0)
		for begun := time.Now(); time.Since(begun) < 3*time.Second || asked.Load() < 3 && time.Since(begun) < 30*time.Second; {
			time.Sleep(50 * time.Millisecond)
		}
		if most := peak(t, cmd.Process.Pid); most > 192<<10 || asked.Load() == 0 {
			t.Errorf("%s: %d requests, %d KiB, want less than 192 MiB", h.name, asked.Load(), most)
		}
	}
	t.Logf("peak of %d MiB", peak(t, cmd.Process.Pid)>>10)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v: %.3000s", err, said)
	}
	mode.Store(int64(len(hostileLeads)))
	made, err := s.sim.AddLeads(linkedinsim.LeadSpec{Count: 3, Age: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Errorf("afterwards: exit code %d: %.3000s", got.code, got.stderr)
	}
	held := map[string]bool{}
	err = s.cluster().Reader.Read(t.Context(), "linkedin.leads.7130000000000000001", kafka.From{}, func(r *kafka.Record) error {
		held[string(r.Key)] = true
		return nil
	})
	for _, e := range made {
		if err != nil || !held[e.ID] {
			t.Errorf("lead %s did not arrive (%v)", e.ID, err)
		}
	}
}
