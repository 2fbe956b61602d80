// Package internal_test holds the whole module to its package map.
package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "leadstream"
	root   = ".." // of the module, from this package's directory
)

// domain are the packages that everybody but the simulator may import.
var domain = []string{"internal/lead", "internal/fault"}

// allowed is, for each package, what of ours it may import. Imports point
// down only, and packages of one level never import each other.
var allowed = map[string][]string{
	"config":    domain,
	"connector": append([]string{"schema", "internal/forms", "internal/delivery", "internal/dedup", "internal/checkpoint", "internal/kafka"}, domain...),
	"internal/check": append([]string{"config", "connector", "schema", "internal/delivery", "internal/checkpoint", "internal/kafka",
		"internal/linkedin", "internal/oauth", "internal/webhook"}, domain...),
	"internal/status": append([]string{"config", "connector", "schema", "internal/delivery", "internal/checkpoint", "internal/kafka",
		"internal/linkedin", "internal/oauth", "internal/web", "internal/webhook"}, domain...),
	"internal/teardown": append([]string{"config", "schema", "internal/delivery", "internal/checkpoint", "internal/kafka", "internal/linkedin",
		"internal/oauth", "internal/webhook"}, domain...),
	"internal/tail":        append([]string{"schema", "internal/delivery", "internal/checkpoint", "internal/kafka"}, domain...),
	"internal/memory":      {},
	"internal/forms":       append([]string{"schema", "internal/checkpoint", "internal/kafka"}, domain...),
	"schema":               domain,
	"internal/delivery":    append([]string{"internal/dedup", "internal/checkpoint", "internal/kafka"}, domain...),
	"internal/dedup":       append([]string{"internal/checkpoint"}, domain...),
	"internal/checkpoint":  domain,
	"internal/kafka":       domain,
	"internal/linkedin":    domain,
	"internal/oauth":       domain,
	"internal/web":         domain,
	"internal/webhook":     domain,
	"internal/lead":        {},
	"internal/fault":       {},
	"internal/linkedinsim": {},
	"internal/embedded":    {},
	"internal/realstack":   {},
	"internal/browsertest": {},
	"e2e":                  {},
	"bench/bare":           {}, // what leadstream is measured against
}

// commands may import everything: they put the parts together, or measure them.
var commands = []string{"cmd/", "bench/run/"}

// testOnly may be imported by tests and measurements alone.
var testOnly = []string{"internal/realstack", "internal/browsertest"}

// forTests are what tests may import beside what their package may: the
// stand-ins for LinkedIn, Kafka and the registry, which speak over the wire, and
// the browser.
var forTests = []string{"internal/linkedinsim", "internal/embedded", "internal/realstack", "internal/browsertest"}

// fences say which packages may import a library and all below its path;
// nil is nobody, not even tests. Other tests may use the rest: they decode by
// other means than we encode. What is under bench/ is no part of the product
// and has no fences: one program there does without our packages on purpose,
// the other checks from outside what both wrote.
var fences = map[string][]string{
	"github.com/segmentio/kafka-go":      {"internal/kafka"},
	"github.com/hamba/avro":              {"schema"},
	"github.com/twmb/avro":               {"schema"}, // decodes what hamba/avro encoded
	"github.com/twmb/franz-go/pkg/sr":    {"schema", "internal/embedded"},
	"github.com/twmb/franz-go/pkg/kfake": {"internal/embedded"},
	"github.com/twmb/franz-go/pkg/kgo":   nil, // transactions go through kafka-go
	"github.com/confluentinc":            nil, // the binary is static
	"golang.org/x/oauth2":                {"internal/oauth"},
	"filippo.io/age":                     {"internal/oauth"},
	"github.com/spf13/cobra":             {"cmd/leadstream"},
	"github.com/jedib0t/go-pretty":       {"cmd/leadstream"},
	"go.yaml.in/yaml":                    {"config"},
	"gopkg.in/yaml.v3":                   nil, // no longer kept; go.yaml.in/yaml is
	"github.com/stretchr/testify":        nil, // tests use the standard library
	"github.com/testcontainers":          nil, // tests need no containers
	"github.com/pkg/errors":              nil, // the standard library has them
	"go.uber.org/multierr":               nil, // errors.Join
}

// source is one Go file and what it imports.
type source struct {
	pkg     string // the directory, from the module's root
	file    string
	test    bool
	doc     bool // whether it has a package comment
	imports []string
}

// sources are all Go files of the module, whatever their build tags.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		s, err := read(path)
		out = append(out, s)
		return err
	})
	if err != nil {
		t.Fatalf("reading the module: %v", err)
	}
	return out
}

func read(path string) (source, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return source{}, err
	}
	dir, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil {
		return source{}, err
	}
	s := source{pkg: filepath.ToSlash(dir), file: path, test: strings.HasSuffix(path, "_test.go"), doc: parsed.Doc.Text() != ""}
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, name)
	}
	return s, nil
}

func isCommand(pkg string) bool {
	return slices.ContainsFunc(commands, func(c string) bool { return strings.HasPrefix(pkg+"/", c) })
}

func isBench(pkg string) bool { return strings.HasPrefix(pkg, "bench/") }

// under reports whether name is path or below it; path may lack the version
// suffix of a module's major version.
func under(name, path string) bool { return name == path || strings.HasPrefix(name, path+"/") }

// breach says why s may not import name, empty when it may.
func breach(s source, name string) string {
	if ours, ok := strings.CutPrefix(name, module+"/"); ok {
		return breachOfMap(s, ours)
	}
	for library, users := range fences {
		switch {
		case !under(name, library) || isBench(s.pkg):
		case users == nil:
			return "nobody may"
		case !s.test && !slices.Contains(users, s.pkg):
			return "only " + strings.Join(users, " and ") + " may"
		}
	}
	return ""
}

func breachOfMap(s source, ours string) string {
	mine := []string{s.pkg}
	switch {
	case isCommand(s.pkg) && (s.test || isBench(s.pkg) || !slices.Contains(testOnly, ours)):
		return ""
	case s.test && s.pkg == "internal/linkedinsim":
		return "the simulator and its tests import nothing of ours, so that client and simulator cannot share a mistake"
	case s.test:
		mine = append(mine, forTests...)
		mine = append(mine, testsAlso[s.pkg]...)
	}
	if slices.Contains(append(mine, allowed[s.pkg]...), ours) {
		return ""
	}
	return "is not below it in the package map"
}

// testsAlso are further imports of a package's tests, each with a reason.
var testsAlso = map[string][]string{
	"internal/embedded": {"internal/kafka"}, // shows that our client works with it
	"connector":         {"internal/linkedin", "internal/oauth"},
}

func TestImportsPointDown(t *testing.T) {
	checked := 0
	for _, s := range sources(t) {
		for _, name := range s.imports {
			checked++
			if why := breach(s, name); why != "" {
				t.Errorf("%s imports %s: %s", s.file, name, why)
			}
		}
	}
	if checked == 0 {
		t.Error("no import was found")
	}
}

func TestEveryPackageIsOnTheMapAndSaysWhatItIs(t *testing.T) {
	documented := map[string]int{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		documented[s.pkg] += 0
		if s.doc {
			documented[s.pkg]++
		}
	}
	for pkg, comments := range documented {
		if _, onMap := allowed[pkg]; !onMap && !isCommand(pkg) {
			t.Errorf("package %s is not on the map", pkg)
		}
		if comments != 1 {
			t.Errorf("package %s has %d package comments, want 1", pkg, comments)
		}
	}
}

// TestTheMapIsEnforced shows that the test above can fail.
func TestTheMapIsEnforced(t *testing.T) {
	kafkaGo, avro := "github.com/segmentio/kafka-go/compress", "github.com/hamba/avro/v2"
	tests := []struct {
		name, pkg, imports string
		test, want         bool // want: refused
	}{
		{"upwards", "internal/kafka", module + "/internal/delivery", false, true},
		{"sideways", "schema", module + "/internal/delivery", false, true},
		{"sideways in a test", "schema", module + "/internal/delivery", true, true},
		{"downwards", "internal/delivery", module + "/internal/kafka", false, false},
		{"client to configuration", "internal/linkedin", module + "/config", false, true},
		{"simulator to domain", "internal/linkedinsim", module + "/internal/lead", false, true},
		{"simulator's test to domain", "internal/linkedinsim", module + "/internal/lead", true, true},
		{"client's test to simulator", "internal/linkedin", module + "/internal/linkedinsim", true, false},
		{"client to simulator", "internal/linkedin", module + "/internal/linkedinsim", false, true},
		{"command to all", "cmd/leadstream", module + "/internal/linkedin", false, false},
		{"command to the browser", "cmd/leadstream", module + "/internal/browsertest", false, true},
		{"command's test to the browser", "cmd/leadstream", module + "/internal/browsertest", true, false},
		{"command to test stack", "cmd/leadstream", module + "/internal/realstack", false, true},
		{"measurement to test stack", "bench/run", module + "/internal/realstack", false, false},
		{"what is measured against to ours", "bench/bare", module + "/internal/lead", false, true},
		{"what is measured against to kafka-go", "bench/bare", kafkaGo, false, false},
		{"kafka-go outside", "internal/delivery", kafkaGo, false, true},
		{"kafka-go inside", "internal/kafka", kafkaGo, false, false},
		{"kafka-go in the command", "cmd/leadstream", kafkaGo, false, true},
		{"kafka-go in a test", "internal/delivery", kafkaGo, true, false},
		{"avro outside", "connector", avro, false, true},
		{"avro inside", "schema", avro, false, false},
		{"another Kafka client", "internal/kafka", "github.com/twmb/franz-go/pkg/kgo", true, true},
		{"a testing library", "config", "github.com/stretchr/testify/require", true, true},
		{"standard library", "internal/lead", "strings", false, false},
	}
	for _, test := range tests {
		got := breach(source{pkg: test.pkg, test: test.test}, test.imports)
		if (got != "") != test.want {
			t.Errorf("%s: breach = %q, want refused = %t", test.name, got, test.want)
		}
	}
}
