package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheExampleLoadsAndListsEveryKey(t *testing.T) {
	const path = "example.yaml"
	if *update {
		if err := os.WriteFile(path, []byte(Example()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != Example() {
		t.Errorf("%s is not what the table says; go test ./config -update rewrites it", path)
	}
	for _, v := range load(t, path).Values() {
		if strings.HasPrefix(v.Source, path) {
			t.Errorf("the example sets %s", v.Key)
		}
	}

	// With every key taken out of its comment it loads as well, but for the
	// twins of the secrets, and then nothing is left to the defaults.
	var all []string
	for line := range strings.Lines(string(text)) {
		bare := strings.TrimLeft(line, " ")
		if strings.HasPrefix(bare, "#") && !strings.HasPrefix(bare, "# ") && !strings.Contains(bare, "/run/secrets/") {
			line = strings.Replace(line, "#", "", 1)
		}
		all = append(all, line)
	}
	var found problems
	l := parseFile([]byte(strings.Join(all, "")), path, &found)
	if len(found) > 0 {
		t.Fatalf("problems of the full example: %v", found)
	}
	for _, s := range settings {
		if _, ok := l[s.Path]; !ok {
			t.Errorf("%s is not in the example", s.Path)
		}
	}
	if _, bad := resolve(l); len(bad) > 0 {
		t.Errorf("problems of the full example: %v", bad)
	}
}

// TestTheDocumentationHoldsTheTable keeps the part between the two markers
// the way the table of the settings says.
func TestTheDocumentationHoldsTheTable(t *testing.T) {
	const begin, end = "<!-- settings: begin -->\n", "<!-- settings: end -->"
	for _, path := range []string{"../docs/configuration.md", "../README.md"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, ok := strings.Cut(string(text), begin)
		table, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s lacks the markers of the table", path)
		}
		if table == markdown() {
			continue
		}
		if !*update {
			t.Errorf("the table in %s is out of date; go test ./config -update rewrites it", path)
			continue
		}
		if err := os.WriteFile(path, []byte(before+begin+markdown()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// markdown is the table of all keys for the documentation.
func markdown() string {
	var b strings.Builder
	b.WriteString("| Key | Default | Values | Meaning |\n| --- | --- | --- | --- |\n")
	for _, s := range settings {
		key := "`" + s.Path + "`"
		if s.Secret {
			key += ", `" + s.FileTwin + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", key, s.shownDefault(), strings.ReplaceAll(s.Bound, "|", `\|`), s.Doc)
	}
	return b.String()
}

func (s *setting) shownDefault() string {
	switch {
	case s.Shown == "":
		return "–"
	case s.Shown != s.Default:
		return s.Shown
	}
	return "`" + strings.ReplaceAll(s.Shown, ",", ", ") + "`"
}

// TestAnExampleThatWasNotFilledInIsNoConfiguration for a command that needs what its
// user alone can know; and one that was filled in as the guide says is.
func TestAnExampleThatWasNotFilledInIsNoConfiguration(t *testing.T) {
	needed := []string{"linkedin.client_id", "linkedin.client_secret", "registry.url"}
	at := func(text string) string {
		path := filepath.Join(t.TempDir(), "leadstream.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(planted), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change []string // old and new
		want   []string
	}{
		"as it is": {nil, []string{"linkedin.client_id: is needed", "linkedin.client_secret: is needed", "registry.url: is needed"}},
		"the secret taken over": {[]string{"#client_id", "client_id", "#client_secret: ", "client_secret: ", "#url: http://localhost:8081", "url: http://localhost:8081"},
			[]string{"linkedin.client_secret: is still"}},
		"filled in": {[]string{"#client_id", "client_id", "#client_secret: change-me", "client_secret: " + planted, "#url: http://localhost:8081", "url: http://r:8081"}, nil},
		"filled in, secret in a file": {[]string{"#client_id", "client_id", "#client_secret_file: /run/secrets/linkedin_client_secret", "client_secret_file: " + secret,
			"#url: http://localhost:8081", "url: http://r:8081"}, nil},
	} {
		_, _, err := Load(LoadOptions{Path: at(strings.NewReplacer(test.change...).Replace(Example())), Require: needed})
		var got []string
		if err != nil {
			got = problemsOf(t, err)
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: problems %q, want %q", name, got, test.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], test.want[i]) || strings.Contains(got[i], planted) {
				t.Errorf("%s: problem %q, want %q", name, got[i], test.want[i])
			}
		}
	}
	_, warnings, err := Load(LoadOptions{NoFile: true, Environ: []string{"LEADSTREAM_HTTP_PASSWORD=change-me"}})
	if err != nil || len(warnings) != 1 || warnings[0].Key != "http.password" {
		t.Errorf("warnings = %v, %v; want that a password is the example's", warnings, err)
	}
}
