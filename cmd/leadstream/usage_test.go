package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"leadstream/internal/linkedinsim"
)

// TestWhatIsTypedWronglyIsNamedBeforeAnythingStarts: with exit code 2, in words
// about what was typed.
func TestWhatIsTypedWronglyIsNamedBeforeAnythingStarts(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent", "token")
	tests := []struct {
		args []string
		want []string // in the error
	}{
		{[]string{"schema", "show"}, []string{"schema show lacks its argument FORM"}},
		{[]string{"schema", "diff", "1", "2"}, []string{"schema diff takes FORM", `"2"`}},
		{[]string{"schema", "show", "abc"}, []string{`"abc" is no form`, "leadstream forms"}},
		{[]string{"schema", "show", "007"}, []string{`"007" is no form`}},
		{[]string{"checkpoints", "set", "source/x"}, []string{"checkpoints set lacks its argument JSON"}},
		{[]string{"checkpoints", "set", "source/foo", "{}"}, []string{`"source/foo"`, "version is missing"}},
		{[]string{"checkpoints", "set", "form/1", "nojson"}, []string{`"form/1"`, "not JSON", "checkpoints list"}},
		{[]string{"checkpoints", "set", "form/1", "[]"}, []string{`"form/1"`, "JSON array, not an object"}},
		{[]string{"checkpoints", "set", "topic/1", `{"version":1,"leads":"x"}`}, []string{`"topic/1"`, "leads cannot be a JSON string"}},
		{[]string{"demo", "--for", "-5s"}, []string{"--for is -5s", "0s"}},
		{[]string{"demo", "--log-level", "foo"}, []string{`--log-level is "foo"`, "debug, info, warn, error"}},
		{[]string{"demo", "--leads", "-1"}, []string{"--leads is -1, must be between 0 and 1073741824"}},
		{[]string{"demo", "-c", "nope.yaml"}, []string{"--config has no effect on leadstream demo"}},
		{[]string{"simulate", "--set", "poll.interval=banana"}, []string{"--set has no effect on leadstream simulate", "--token-file"}},
		{[]string{"simulate", "--token-file", "t", "--set", "poll.interval=banana"}, []string{"poll.interval"}},
		{[]string{"simulate", "--rate", "-1", "--events", "20000"}, []string{"--rate is -1, must be between 0 and 6000000", "--events is 20000, must be between 0 and 10000"}},
		{[]string{"simulate", "--rate", "NaN"}, []string{"--rate is NaN"}},
		{[]string{"simulate", "--leads", "many"}, []string{`--leads is "many", must be a whole number`}},
		{[]string{"simulate", "--leads", "99999999999999999999"}, []string{`--leads is "99999999999999999999", which is too large`}},
		{[]string{"simulate", "--seed", "-1"}, []string{`--seed is "-1", must be a whole number of 0 or more`}},
		{[]string{"simulate", "--rate", "fast"}, []string{`--rate is "fast", must be a number`}},
		{[]string{"run", "--once=maybe"}, []string{`--once is "maybe", must be true or false`}},
		{[]string{"simulate", "--listen", "127.0.0.1:0", "--leads", "0", "--token-file", absent}, []string{"--token-file", "create the directory " + filepath.Dir(absent)}},
		{[]string{"version", "--set", "foo=1"}, []string{"--set has no effect on leadstream version"}},
		{[]string{"config", "--set", "foo"}, []string{`"foo": a setting`, "KEY=VALUE"}},
		{[]string{"config", "--set", "name="}, []string{"name: must not be empty"}},
		{[]string{"help", "nope"}, []string{`leadstream has no command or argument "nope"`}},
		{[]string{"help", "auth", "logn"}, []string{`leadstream auth has no command or argument "logn", did you mean login?`}},
		{[]string{"nope", "--help"}, []string{`leadstream has no command or argument "nope"`}},
		{[]string{"completion", "powershelx"}, []string{`completion has no command or argument "powershelx", did you mean powershell?`}},
		{[]string{"health", "--url", "foo"}, []string{`--url is "foo"`, "http://localhost:8480/healthz"}},
		{[]string{"health", "--url", ""}, []string{`--url is ""`}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // of a command that runs all the same
			defer cancel()
			got := execute(ctx, t, nil, tt.args...)
			if got.code != exitUsage {
				t.Errorf("exit code %d\n%s", got.code, got.stderr)
			}
			for _, want := range tt.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("%q lacks %q", got.stderr, want)
				}
			}
			for _, no := range []string{"strconv", "e+0", "newer release", "token.file"} {
				if strings.Contains(got.stderr, no) {
					t.Errorf("%q is in %q", no, got.stderr)
				}
			}
		})
	}
}

func TestHelpStillHelps(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"help", "run"}, {"help", "auth", "login"}, {"auth", "--help"}, {"--help"}, {"completion"}, {"completion", "bash", "--help"}, {"schema", "show", "1", "--help"}} {
		if got := execute(t.Context(), t, nil, args...); got.code != 0 || !strings.Contains(got.stdout, "Usage:") || got.stderr != "" {
			t.Errorf("%q: exit code %d, %q", args, got.code, got.stderr)
		}
	}
	for _, args := range [][]string{{"auth", "status"}, {"check"}, {"forms"}, {"version"}} {
		if got := execute(t.Context(), t, nil, append(args, "--help")...); !strings.Contains(got.stdout, `(default "table")`) {
			t.Errorf("%q names no default of -o:\n%s", args, got.stdout)
		}
	}
}

// TestReplayFlagsThatAreEmptyAreRefused: a variable of a shell that is not set
// would else ask for the default.
func TestReplayFlagsThatAreEmptyAreRefused(t *testing.T) {
	for _, name := range []string{"replay-from", "replay-to", "replay-id"} {
		_, _, err := replayOf(t, "--replay-from=1h", "--"+name+"=")
		if err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), "--"+name+" is empty") {
			t.Errorf("--%s '': %v", name, err)
		}
	}
}

// TestAWindowThatLinkedInForgotIsSaidToBeEmpty, one that it partly forgot to begin
// later.
func TestAWindowThatLinkedInForgotIsSaidToBeEmpty(t *testing.T) {
	_, warning, err := replayOf(t, "--replay-from=2020-01-01", "--replay-to=2020-02-01")
	if err != nil || !strings.Contains(warning, "nothing is left") || !strings.Contains(warning, "2020-02-01") || strings.Contains(warning, "begins") {
		t.Errorf("warning %q, %v", warning, err)
	}
	if _, warning, err = replayOf(t, "--replay-from=2020-01-01", "--replay-to=1h"); err != nil || !strings.Contains(warning, "begins at") {
		t.Errorf("warning %q, %v", warning, err)
	}
}

func replayOf(t *testing.T, args ...string) (any, string, error) {
	t.Helper()
	var f replayFlags
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.add(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f.options(time.Now().UTC())
}

// TestFormsThatAreNotThereAreRefusedOrWaitedForAloud.
func TestFormsThatAreNotThereAreRefusedOrWaitedForAloud(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	for _, command := range []string{"show", "diff"} {
		got := s.run(t.Context(), nil, "schema", command, "99")
		if got.code != exitUsage || !strings.Contains(got.stderr, "LinkedIn shows no form 99") || strings.Count(got.stderr, "reading form 99") != 1 {
			t.Errorf("schema %s 99: exit code %d, %q", command, got.code, got.stderr)
		}
	}
	if got := s.run(t.Context(), nil, "tail", "abc"); got.code != exitUsage || !strings.Contains(got.stderr, `"abc" is no form`) {
		t.Errorf("tail abc: exit code %d, %q", got.code, got.stderr)
	}
	for _, form := range []string{"99", "linkedin.leads.98"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // of a tail that waits all the same
		var stderr bytes.Buffer
		code := run(ctx, process{args: []string{"tail", form}, environ: s.environ(nil), stdin: strings.NewReader(""), stdout: io.Discard, stderr: &stderr})
		if id := strings.TrimPrefix(form, "linkedin.leads."); code != exitUsage || ctx.Err() != nil || !strings.Contains(stderr.String(), "there is no form "+id) || !strings.Contains(stderr.String(), "leadstream forms") {
			t.Errorf("tail %s: exit code %d, %q", form, code, stderr.String())
		}
		cancel()
	}
	tailWaits(t, s, "leadstream: no form has a topic yet, waiting for the first one\n")
	s.known(1) // one whose topic is not made yet
	tailWaits(t, s, "leadstream: topic linkedin.leads.7130000000000100000 does not exist yet, waiting for it\n", "7130000000000100000")
}

// tailWaits wants a tail to say that, and to go on until it is ended.
func tailWaits(t *testing.T, s *stack, want string, forms ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, process{args: append([]string{"tail"}, forms...), environ: s.environ(nil), stdin: strings.NewReader(""), stdout: io.Discard, stderr: in})
		in.Close()
	}()
	said := make([]byte, len(want))
	if _, err := io.ReadFull(out, said); err != nil || string(said) != want {
		t.Errorf("tail %q said %q, %v; want %q", forms, said, err, want)
	}
	go io.Copy(io.Discard, out) //nolint:errcheck // whatever else it says
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("tail %q: exit code %d", forms, code)
	}
}

// TestCommandsSayWhatTheyDid, and show no numbers where there are none.
func TestCommandsSayWhatTheyDid(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	if got := s.run(t.Context(), nil, "forms"); got.code != 0 || strings.Contains(got.stdout, "(v0)") {
		t.Errorf("forms: exit code %d\n%s", got.code, got.stdout)
	}
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("run --once: %s", got.stderr)
	}
	if got := s.run(t.Context(), nil, "forms"); got.code != 0 || !strings.Contains(got.stdout, "(v1)") {
		t.Errorf("forms: exit code %d\n%s", got.code, got.stdout)
	}
	got := s.run(t.Context(), nil, "checkpoints", "reset", "--all")
	if got.code != 0 || !strings.HasPrefix(got.stdout, "Removed: ") || !strings.Contains(got.stdout, "source/urn:li:organization:9000123/EVENT") {
		t.Errorf("checkpoints reset --all: exit code %d, %q %q", got.code, got.stdout, got.stderr)
	}
	if got = s.run(t.Context(), nil, "checkpoints", "reset", "--all"); got.code != 0 || got.stdout != "There are no records of progress.\n" {
		t.Errorf("checkpoints reset --all again: exit code %d, %q %q", got.code, got.stdout, got.stderr)
	}
}
