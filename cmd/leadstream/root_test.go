package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"leadstream/config"
)

// result is what one run of the program left behind.
type result struct {
	code           int
	stdout, stderr string
}

// execute runs the program in an empty directory, where no configuration of
// the developer's lies about.
func execute(ctx context.Context, t *testing.T, environ []string, args ...string) result {
	t.Helper()
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	code := run(ctx, process{args: args, environ: environ, stdin: strings.NewReader(""), stdout: &out, stderr: &errs})
	return result{code, out.String(), errs.String()}
}

// walkCommands visits every command that a person can call.
func walkCommands(visit func(*cobra.Command)) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		visit(c)
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(newRoot(&app{}))
}

func TestUsageErrorsExitWith2AndSayWhatToDo(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"unknown command", []string{"verson"}, `leadstream: leadstream has no command or argument "verson", did you mean version?`},
		{"nothing like it", []string{"zzzzzzzz"}, `leadstream: leadstream has no command or argument "zzzzzzzz", see leadstream --help`},
		{"argument too many", []string{"version", "extra"}, `leadstream: leadstream version has no command or argument "extra", see leadstream version --help`},
		{"unknown flag", []string{"version", "--loud"}, "leadstream: unknown flag: --loud"},
		{"unknown format", []string{"config", "-o", "xml"}, `leadstream: invalid argument "xml" for "-o, --output" flag: must be table or json, not "xml"`},
		{"setting without value", []string{"config", "--set", "name"}, "leadstream: the configuration is not valid:\n  \"name\": a setting on the command line is written KEY=VALUE, as kafka.brokers=localhost:9092 (flag)"},
		{"file that is not there", []string{"config", "-c", "absent.yaml"}, "leadstream: the configuration is not valid:\n  reading the configuration: open absent.yaml: no such file or directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := execute(t.Context(), t, nil, test.args...)
			if want := (result{2, "", test.want + "\n"}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestHelpIsThereForEveryCommand(t *testing.T) {
	walkCommands(func(c *cobra.Command) {
		if c.Short == "" || c.RunE == nil {
			t.Errorf("%s: short text %q; RunE set: %t", c.CommandPath(), c.Short, c.RunE != nil)
		}
		if takesNone := !strings.Contains(c.Use, " "); takesNone && c.ValidateArgs([]string{"extra"}) == nil {
			t.Errorf("%s ignores arguments that it does not know", c.CommandPath())
		}
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if got := execute(t.Context(), t, nil, args...); got.code != 0 || !strings.Contains(got.stdout, "Usage:") || got.stderr != "" {
			t.Errorf("%v = %d, %q", args, got.code, got.stderr)
		}
	})
}

func TestWithoutACommandItExplainsItself(t *testing.T) {
	got := execute(t.Context(), t, nil)
	if got.code != 0 || !strings.Contains(got.stdout, "leadstream demo") {
		t.Errorf("got %d and %q", got.code, got.stdout)
	}
}

func TestCompletionKnowsCommandsAndFormats(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"__complete", "ver"}, "version\t"},
		{[]string{"__complete", "config", "-o", ""}, "json\n"},
	} {
		if got := execute(t.Context(), t, nil, test.args...); got.code != 0 || !strings.Contains(got.stdout, test.want) {
			t.Errorf("%v = %d %q, want %q in it", test.args, got.code, got.stdout, test.want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := execute(t.Context(), t, nil, "completion", shell); got.code != 0 || got.stdout == "" {
			t.Errorf("completion for %s = %d %q", shell, got.code, got.stderr)
		}
	}
}

func TestConfigShowsEveryValueAndItsSource(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("own.yaml", []byte("kafka:\n  partitions: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs("own.yaml")
	if err != nil {
		t.Fatal(err)
	}
	environ := []string{"LEADSTREAM_LINKEDIN_CLIENT_SECRET=" + secretWord, "LEADSTREAM_NAM=x"}
	got := execute(t.Context(), t, environ, "config", "-o", "json", "-c", path, "--set", "poll.interval=5s")
	if got.code != 0 || got.stderr != "leadstream: warning: LEADSTREAM_NAM: is ignored, there is no such setting, did you mean LEADSTREAM_NAME?\n" {
		t.Fatalf("got %d, %q", got.code, got.stderr)
	}
	var values []config.Value
	if err := json.Unmarshal([]byte(got.stdout), &values); err != nil {
		t.Fatal(err)
	}
	if len(values) != len(config.Keys()) {
		t.Errorf("%d values, want %d", len(values), len(config.Keys()))
	}
	for _, want := range []config.Value{
		{Key: "name", Value: "leadstream", Source: "default"},
		{Key: "kafka.partitions", Value: "3", Source: path + ":2"},
		{Key: "poll.interval", Value: "5s", Source: "flag"},
		{Key: "linkedin.client_secret", Value: "[redacted]", Source: "environment LEADSTREAM_LINKEDIN_CLIENT_SECRET"},
		{Key: "http.password", Value: "", Source: "not set"},
	} {
		if !slices.Contains(values, want) {
			t.Errorf("%+v is not among the values", want)
		}
	}
	table := execute(t.Context(), t, environ, "config")
	if !strings.HasPrefix(table.stdout, "KEY ") || strings.Contains(table.stdout+got.stdout, secretWord) {
		t.Errorf("table:\n%s", table.stdout)
	}
}

func TestTheExampleOfConfigIsAConfiguration(t *testing.T) {
	example := execute(t.Context(), t, nil, "config", "--example")
	path := filepath.Join(t.TempDir(), "leadstream.yaml")
	if err := os.WriteFile(path, []byte(example.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := execute(t.Context(), t, nil, "config", "-c", path); got.code != 0 {
		t.Errorf("the example is refused: %s", got.stderr)
	}
}

func TestVersionNamesGoAndTheLibraries(t *testing.T) {
	got := execute(t.Context(), t, nil, "version", "-o", "json")
	var b binary
	if err := json.Unmarshal([]byte(got.stdout), &b); err != nil || got.code != 0 {
		t.Fatalf("version = %+v (%v)", got, err)
	}
	if b.Version == "" || b.Commit == "" || !strings.HasPrefix(b.Go, "go1.") || b.Libraries == nil {
		t.Errorf("build = %+v", b)
	}
	var out bytes.Buffer
	a := &app{process: process{stdout: &out}}
	b = binary{Version: "v1.2.3", Commit: "abc", Time: "2026-11-23T00:00:00Z", Modified: true, Go: "go1.26", Platform: "linux/amd64", Libraries: []module{{"example.com/x", "v1.0.0"}}}
	if err := a.showVersion(b); err != nil {
		t.Fatal(err)
	}
	want := "leadstream v1.2.3\ncommit abc (modified) 2026-11-23T00:00:00Z\ngo1.26 linux/amd64\n\nLIBRARY        VERSION\nexample.com/x  v1.0.0\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestWarningsOfTheConfigurationAreLogged(t *testing.T) {
	t.Chdir(t.TempDir())
	var errs bytes.Buffer
	a := &app{process: process{environ: []string{"LEADSTREAM_HTTP_LISTEN=:8480", "LEADSTREAM_LOG_FORMAT=json"}, stderr: &errs}}
	if _, _, err := a.load(); err != nil {
		t.Fatal(err)
	}
	var line map[string]string
	if err := json.Unmarshal(errs.Bytes(), &line); err != nil {
		t.Fatalf("log %q: %v", errs.String(), err)
	}
	if line["level"] != "warn" || line["key"] != "http.listen" || !strings.HasSuffix(line["time"], "Z") {
		t.Errorf("log line = %v", line)
	}
}
