package config

import (
	"fmt"
	"os"
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
	c := load(t, path)
	equal(t, "client id", c.LinkedIn.ClientID, "my-app")

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
