package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"leadstream/internal/linkedinsim"
	"leadstream/internal/oauth"
)

// simulation is "leadstream simulate" running in this process.
type simulation struct {
	address string
	printed string
	stop    func() int
}

func startSimulation(t *testing.T, environ []string, args ...string) simulation {
	t.Helper()
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	done := make(chan int, 1)
	go func() {
		code := run(ctx, process{
			args: append([]string{"simulate", "--listen", "127.0.0.1:0", "--leads", "20", "--rate", "0"}, args...), environ: environ,
			stdin: strings.NewReader(""), stdout: write, stderr: write,
		})
		_ = write.Close()
		done <- code
	}()
	s := simulation{stop: func() int { cancel(); return <-done }}
	lines := bufio.NewScanner(read)
	for lines.Scan() {
		s.printed += lines.Text() + "\n"
		if address, ok := strings.CutPrefix(lines.Text(), "  auth_url: "); ok {
			s.address = address
			go func() { _, _ = io.Copy(io.Discard, read) }()
			return s
		}
	}
	t.Fatalf("simulate ended with %d and printed\n%s", <-done, s.printed)
	return s
}

func TestSimulateServesAndEndsWithTheSignal(t *testing.T) {
	s := startSimulation(t, nil, "--organizations", "3")
	answer, err := http.Get(s.address + "/sim/ledger")
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if got := strings.Count(string(ledger), "\n"); got != 20 {
		t.Errorf("the ledger has %d lines, want 20", got)
	}
	for _, want := range []string{"3 organizations", "20 leads", "  client_id: 86simclient0001", "  api_url: " + s.address} {
		if !strings.Contains(s.printed, want) {
			t.Errorf("printed %q, want %q in it", s.printed, want)
		}
	}
	if code := s.stop(); code != 0 {
		t.Errorf("exit code = %d, want 0", code)
	}
}

func TestSimulateTakesHowItNotifies(t *testing.T) {
	s := startSimulation(t, nil, "--local-webhooks", "--webhook-retry", "50ms")
	answer, err := http.Get(s.address + "/sim/switches")
	if err != nil {
		t.Fatal(err)
	}
	switches, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if got, want := string(switches), `{"localWebhooks":true,"webhookRetry":50000000}`; got != want {
		t.Errorf("switches = %s, want %s", got, want)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("exit code = %d, want 0", code)
	}
}

func TestSimulateConsentsInThePlaceOfAMember(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	s := startSimulation(t, []string{"LEADSTREAM_TOKEN_PASSPHRASE=" + secretWord}, "--token-file", file)
	token, err := oauth.NewFileStore(file, secretWord).Load(t.Context())
	if err != nil || token.IsZero() || len(token.Scopes) != 3 {
		t.Errorf("token = %v, %v, want one with three scopes", token, err)
	}
	if code := s.stop(); code != 0 {
		t.Errorf("exit code = %d, want 0", code)
	}
}

func TestSimulateCountsTheEventsAsItsHelpSays(t *testing.T) {
	var help bytes.Buffer
	if code := run(t.Context(), process{args: []string{"simulate", "--help"}, stdout: &help, stderr: &help}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	world := linkedinsim.Default()
	sim, err := linkedinsim.New(world)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(help.String(), "each organization has one more") || sim.Describe().Events != world.Events+world.Organizations {
		t.Errorf("%d events of --events %d and --organizations %d, and the help says:\n%s", sim.Describe().Events, world.Events, world.Organizations, help.String())
	}
}

func TestSimulateRefusesWhatItCannotDo(t *testing.T) {
	for _, args := range [][]string{
		{"--leads", "-1"}, {"--leads", "many"}, {"--rate", "-1"}, {"--listen", "nowhere"}, {"--webhook-retry", "-1s"}, {"--token-file", "absent/token"},
	} {
		got := execute(t.Context(), t, nil, append([]string{"simulate", "--listen", "127.0.0.1:0"}, args...)...)
		if got.code != 2 || !strings.HasPrefix(got.stderr, "leadstream: ") {
			t.Errorf("%v: %+v, want exit code 2 and a reason", args, got)
		}
	}
}
