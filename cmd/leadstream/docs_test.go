package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"leadstream/config"
)

const repository = "../.."

// document is a page of the documentation, its code apart from its prose.
type document struct {
	path   string // from the repository's root
	text   string // all of it
	prose  string // without the fenced blocks
	blocks []block
	inline []string // code in the prose, white space collapsed
}

// block is a fenced block.
type block struct{ language, text string }

var (
	fence      = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	inlineCode = regexp.MustCompile("`([^`]+)`")
)

// documents are the pages that people read.
func documents(t *testing.T) []document {
	t.Helper()
	paths, err := filepath.Glob(repository + "/docs/*.md")
	if err != nil || len(paths) < 5 {
		t.Fatalf("%d pages in docs: %v", len(paths), err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"} {
		paths = append(paths, filepath.Join(repository, name))
	}
	var all []document
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d := document{path: strings.TrimPrefix(filepath.ToSlash(path), repository+"/"), text: string(raw)}
		for _, m := range fence.FindAllStringSubmatch(d.text, -1) {
			d.blocks = append(d.blocks, block{m[1], m[2]})
		}
		d.prose = fence.ReplaceAllString(d.text, "")
		for _, m := range inlineCode.FindAllStringSubmatch(d.prose, -1) {
			d.inline = append(d.inline, strings.Join(strings.Fields(m[1]), " "))
		}
		all = append(all, d)
	}
	return all
}

// shellLines are the commands of the blocks for a shell, continued lines joined
// and comments cut off.
func (d *document) shellLines() []string {
	var lines []string
	for _, b := range d.blocks {
		if b.language != "sh" {
			continue
		}
		for line := range strings.SplitSeq(strings.ReplaceAll(b.text, "\\\n", " "), "\n") {
			line, _, _ = strings.Cut(line, " #")
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// ours finds a call of the program in a command line.
var ours = regexp.MustCompile(`(?:^|\s)(?:go run \./cmd/leadstream|/?leadstream) ([a-z][^|>&;]*)`)

// checkCall checks a call against the command tree: the command exists, and so
// does each flag. In a sentence a flag may stand without its value.
func checkCall(t *testing.T, where, call string) {
	t.Helper()
	args := strings.Fields(call)
	for i, arg := range args {
		args[i] = strings.Trim(arg, `'"`)
	}
	cmd, rest, err := newRoot(&app{}).Find(args)
	if err != nil || !cmd.HasParent() {
		t.Errorf("%s: %q is no command: %v", where, call, err)
		return
	}
	if last := len(rest) - 1; last >= 0 && strings.HasPrefix(rest[last], "--") {
		if f := cmd.Flags().Lookup(rest[last][2:]); f != nil && f.NoOptDefVal == "" {
			rest = append(rest, "1h")
		}
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: %q: %v", where, call, err)
		return
	}
	given := cmd.Flags().Args()
	if len(given) == 0 && cmd.Args != nil && cmd.Args(cmd, nil) != nil {
		return // the command alone, in a sentence about it
	}
	if err := cmd.ValidateArgs(given); err != nil {
		t.Errorf("%s: %q: %v", where, call, err)
	}
}

func TestDocumentedCommandsExist(t *testing.T) {
	top := map[string]bool{}
	for _, cmd := range newRoot(&app{}).Commands() {
		top[cmd.Name()] = true
	}
	checked := 0
	for _, d := range documents(t) {
		for _, line := range append(d.shellLines(), d.inline...) {
			for _, m := range ours.FindAllStringSubmatch(line, -1) {
				checkCall(t, d.path, m[1])
				checked++
			}
		}
		for _, code := range d.inline {
			// "auth login" and "run --replay-from": the name left out.
			if first, rest, more := strings.Cut(code, " "); more && top[first] && !strings.Contains(rest, "=") {
				checkCall(t, d.path, code)
				checked++
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d calls were found", checked)
	}
}

// foreignFlags are flags of other programs that the pages name.
var foreignFlags = []string{"--help"}

func TestDocumentedFlagsExist(t *testing.T) {
	known := map[string]bool{}
	var collect func(*cobra.Command)
	collect = func(cmd *cobra.Command) {
		add := func(f *pflag.Flag) { known["--"+f.Name] = true }
		cmd.Flags().VisitAll(add)
		cmd.PersistentFlags().VisitAll(add)
		for _, child := range cmd.Commands() {
			collect(child)
		}
	}
	collect(newRoot(&app{}))
	flag := regexp.MustCompile(`^--[a-z-]+`)
	for _, d := range documents(t) {
		for _, code := range d.inline {
			if name := flag.FindString(code); name != "" && !known[name] && !slices.Contains(foreignFlags, name) {
				t.Errorf("%s: no command has the flag %s", d.path, name)
			}
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// anchors are the names by which the headings of a page are linked to, as
// GitHub makes them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	unwanted := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := unwanted.ReplaceAllString(strings.ToLower(m[1]), "")
		found[strings.ReplaceAll(name, " ", "-")] = true
	}
	return found
}

func TestDocumentedLinksResolve(t *testing.T) {
	for _, d := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(d.prose, -1) {
			if strings.HasPrefix(m[1], "https://") || strings.HasPrefix(m[1], "http://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join(repository, d.path)
			if path != "" {
				target = filepath.Join(repository, filepath.Dir(d.path), path)
			}
			text, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s links to %s: %v", d.path, m[1], err)
			} else if anchor != "" && !anchors(string(text))[anchor] {
				t.Errorf("%s links to %s, which has no such heading", d.path, m[1])
			}
		}
	}
}

func TestDocumentedSettingsExist(t *testing.T) {
	variables, keys, groups := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, k := range config.Keys() {
		variables[k.Env], keys[k.Path] = true, true
		if k.FileTwin != "" {
			variables[k.Env+"_FILE"], keys[k.FileTwin] = true, true
		}
		for at := k.Path; strings.Contains(at, "."); {
			at = at[:strings.LastIndex(at, ".")]
			groups[at] = true
		}
	}
	variable := regexp.MustCompile(`\bLEADSTREAM_[A-Z0-9_]+\b`)
	key := regexp.MustCompile(`^([a-z]+(?:\.[a-z_]+)+)(?::.*)?$`)
	avro := read(t, "schema/avro.go") // names properties that look like settings
	for _, d := range documents(t) {
		for _, name := range variable.FindAllString(d.text, -1) {
			if !variables[name] && !isTestVariable(t, name) {
				t.Errorf("%s: no setting has the variable %s", d.path, name)
			}
		}
		for _, code := range d.inline {
			m := key.FindStringSubmatch(code)
			if m == nil || filepath.Ext(m[1]) == ".go" {
				continue
			}
			first, _, _ := strings.Cut(m[1], ".")
			if groups[first] && !keys[m[1]] && !groups[m[1]] && !strings.Contains(avro, `"`+m[1]+`"`) {
				t.Errorf("%s: there is no setting %s", d.path, m[1])
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// isTestVariable reports whether a variable is one that the integration tests read.
func isTestVariable(t *testing.T, name string) bool {
	t.Helper()
	return strings.HasPrefix(name, "LEADSTREAM_TEST_") &&
		strings.Contains(read(t, "e2e/doc.go")+read(t, "internal/realstack/doc.go")+read(t, "connector/random_test.go"), name)
}

// loadExample loads a configuration from a page or a manifest; the files that
// it reads secrets from are not there, so others stand in.
func loadExample(t *testing.T, text string, require ...string) {
	t.Helper()
	dir := t.TempDir()
	secret, path := filepath.Join(dir, "secret"), filepath.Join(dir, "leadstream.yaml")
	text = regexp.MustCompile(`(?m)(_file: *)\S+`).ReplaceAllString(text, "${1}"+secret)
	for name, content := range map[string]string{secret: "example", path: text} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, warnings, err := config.Load(config.LoadOptions{Path: path, Require: require})
	if err != nil {
		t.Errorf("%v in\n%s", err, text)
	}
	for _, w := range warnings {
		t.Logf("warning: %s", w)
	}
}

func TestDocumentedConfigurationsLoad(t *testing.T) {
	loaded := 0
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if b.language == "yaml" {
				loadExample(t, b.text)
				loaded++
			}
		}
	}
	if loaded == 0 {
		t.Error("no page shows a configuration")
	}
}

// testNames are the tests, fuzz targets and benchmarks of each package.
func testNames(t *testing.T) map[string][]string {
	t.Helper()
	names := map[string][]string{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	err := filepath.WalkDir(repository, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(e.Name(), ".") && path != repository:
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		pkg := "./" + filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), filepath.Clean(repository)+string(filepath.Separator)))
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			names[pkg] = append(names[pkg], m[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDocumentedTestsExist(t *testing.T) {
	names := testNames(t)
	all := slices.Concat(func() (lists [][]string) {
		for _, list := range names {
			lists = append(lists, list)
		}
		return lists
	}()...)
	name := regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)[A-Z]\w+$`)
	run := regexp.MustCompile(`^go test .*-run '?([\w|]+)'? (\./\S+)$`)
	for _, d := range documents(t) {
		for _, code := range d.inline {
			if name.MatchString(code) && !slices.Contains(all, code) {
				t.Errorf("%s: there is no test %s", d.path, code)
			}
		}
		for _, line := range d.shellLines() {
			m := run.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			for wanted := range strings.SplitSeq(m[1], "|") {
				if !slices.ContainsFunc(names[m[2]], func(n string) bool { return strings.Contains(n, wanted) }) {
					t.Errorf("%s: %s has no test %s", d.path, m[2], wanted)
				}
			}
		}
	}
}

func TestDocumentedMetricsExist(t *testing.T) {
	known := read(t, "cmd/leadstream/testdata/metrics.golden")
	metric := regexp.MustCompile(`\bleadstream_[a-z_]+[a-z]`)
	for _, d := range documents(t) {
		for _, name := range metric.FindAllString(d.text, -1) {
			if !strings.Contains(known, "\n"+name+" ") {
				t.Errorf("%s: there is no metric %s", d.path, name)
			}
		}
	}
}

// manifest is as much of a Kubernetes manifest as this test looks at.
type manifest struct {
	Kind string
	Data map[string]string
	Spec struct {
		Template struct {
			Spec struct {
				SecurityContext struct {
					FSGroupChangePolicy string `yaml:"fsGroupChangePolicy"`
				} `yaml:"securityContext"`
				Containers []container
			}
		}
	}
}

type container struct {
	Name           string
	Args           []string
	LivenessProbe  probeSpec `yaml:"livenessProbe"`
	ReadinessProbe probeSpec `yaml:"readinessProbe"`
	Security       struct {
		NoRoot         bool  `yaml:"runAsNonRoot"`
		MoreRights     *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnly       bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities   struct{ Drop []string }
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
}

type probeSpec struct {
	HTTPGet struct{ Path string } `yaml:"httpGet"`
}

// TestSidecarExampleFitsTheProgram: the manifest's configuration loads, its
// command exists, the probes ask what is served, and the token file stays
// private when the volume is mounted again.
func TestSidecarExampleFitsTheProgram(t *testing.T) {
	decoder := yaml.NewDecoder(strings.NewReader(read(t, "deploy/kubernetes-sidecar.yaml")))
	found := map[string]bool{}
	for {
		var m manifest
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		found[m.Kind] = true
		if m.Kind == "ConfigMap" {
			loadExample(t, m.Data["leadstream.yaml"], "linkedin.client_id", "linkedin.client_secret", "registry.url")
		}
		pod := m.Spec.Template.Spec
		for _, c := range pod.Containers {
			if c.Name != "leadstream" {
				continue
			}
			found[c.Name] = true
			checkArguments(t, c.Name, c.Args)
			if live, ready := c.LivenessProbe.HTTPGet.Path, c.ReadinessProbe.HTTPGet.Path; live != "/healthz" || ready != "/readyz" {
				t.Errorf("the probes ask %s and %s", live, ready)
			}
			if r := c.Security; !r.NoRoot || r.MoreRights == nil || *r.MoreRights || !r.ReadOnly || !slices.Equal(r.Capabilities.Drop, []string{"ALL"}) || r.SeccompProfile.Type != "RuntimeDefault" {
				t.Errorf("the container has rights that it does not need: %+v", r)
			}
			if pod.SecurityContext.FSGroupChangePolicy != "OnRootMismatch" {
				t.Error("the kubelet would open the token file to the group at each mount")
			}
		}
	}
	for _, want := range []string{"ConfigMap", "Deployment", "leadstream"} {
		if !found[want] {
			t.Errorf("the manifest has no %s", want)
		}
	}
}

// TestTheRecordsPageKnowsEveryValueThatIsWritten: what stands in headers, and which
// types of lead there can be.
func TestTheRecordsPageKnowsEveryValueThatIsWritten(t *testing.T) {
	page := read(t, "docs/records.md")
	row := func(code string) bool { return strings.Contains(page, "\n| `"+code+"` |") }
	written := regexp.MustCompile(`(?m)^\s+Delivery\w+\s+Delivery = "(\w+)"`).FindAllStringSubmatch(read(t, "internal/delivery/message.go"), -1)
	if len(written) < 4 {
		t.Fatalf("only %d ways of delivery were found", len(written))
	}
	for _, m := range written {
		if !row(m[1]) {
			t.Errorf("the table of leadstream.delivery lacks %s", m[1])
		}
		if regexp.MustCompile("`" + m[1] + "`[^.|\n]* reserved").MatchString(page) {
			t.Errorf("%s is called reserved and is written", m[1])
		}
	}
	headers := 0
	for _, file := range []string{"message.go", "deletion_log.go", "deletions.go"} {
		for _, m := range regexp.MustCompile(`Header\w+ += "(leadstream\.\w+)"`).FindAllStringSubmatch(read(t, "internal/delivery/"+file), -1) {
			headers++
			if !strings.Contains(page, "`"+m[1]+"`") {
				t.Errorf("the page lacks the header %s", m[1])
			}
		}
	}
	if headers < 8 {
		t.Errorf("only %d headers were found", headers)
	}
	for _, k := range config.Keys() {
		if k.Path != "linkedin.lead_types" {
			continue
		}
		for _, kind := range regexp.MustCompile(`[A-Z_]{3,}`).FindAllString(k.Bound, -1) {
			if !strings.Contains(page, "`"+kind+"`") {
				t.Errorf("the page lacks the lead type %s", kind)
			}
		}
	}
}
