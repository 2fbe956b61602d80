package deploy_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

const dashboardFile = "grafana/leadstream.json"

// dashboard is as much of Grafana's model as these tests look at.
type dashboard struct {
	UID           string
	Title         string
	SchemaVersion int
	Panels        []panel
	Templating    struct{ List []variable }
}

type variable struct {
	Name, Type string
	Query      json.RawMessage
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Datasource               *struct{ Type, UID string }
	Targets                  []struct {
		RefID, Expr string
		Datasource  struct{ UID string }
	}
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// filled is an expression with values in the place of Grafana's variables.
func filled(expr string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$namespace", ".*").Replace(expr)
}

func TestDashboardAsksForMetricsThatExist(t *testing.T) {
	known, asked := series(t), map[string]bool{}
	for _, p := range readDashboard(t).Panels {
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" {
				t.Errorf("%s: query %q stands twice", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			expr := filled(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: an unknown variable in %s", p.Title, target.Expr)
			}
			for _, wrong := range mistakes(known, expr) {
				t.Errorf("%s: %s", p.Title, wrong)
			}
			for name := range known {
				if regexp.MustCompile(`\b` + name + `\b`).MatchString(expr) {
					asked[name] = true
				}
			}
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("%s: data source %q is of one Grafana alone", p.Title, target.Datasource.UID)
			}
		}
	}
	for name := range known {
		if shown := asked[name] || strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count"); strings.HasPrefix(name, "leadstream_") && !shown {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// sampled are two hours of every series, of two processes, in the notation of
// Prometheus's rule tests.
func sampled(known map[string]metric) string {
	values := map[string][]string{"job": {"leads"}, "namespace": {"prod"}, "instance": {"a", "b"}, "le": {"60", "+Inf"},
		"token": {"access", "refresh"}, "state": {"ok", "suspended"}, "code": {"200", "503"}}
	var script strings.Builder
	for name, m := range known {
		all := []string{""}
		for _, label := range m.labels {
			var next []string
			for _, value := range values[label] {
				for _, before := range all {
					next = append(next, before+label+`="`+value+`",`)
				}
			}
			if len(next) > 0 {
				all = next
			}
		}
		shape := " 1x120\n"
		if m.kind == "counter" {
			shape = " 0+1x120\n"
		}
		for _, labels := range all {
			script.WriteString("  " + name + "{" + strings.TrimSuffix(labels, ",") + "}" + shape)
		}
	}
	return script.String()
}

func TestDashboardQueriesFindSomething(t *testing.T) {
	stored := promqltest.LoadedStorage(t, "load 1m\n"+sampled(series(t)))
	defer func() { _ = stored.Close() }() // of the test's own memory
	query := rules.EngineQueryFunc(promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery), stored)
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			found, err := query(t.Context(), filled(target.Expr), time.Unix(7200, 0))
			if err != nil {
				t.Errorf("%s: %v", p.Title, err)
			} else if len(found) == 0 {
				t.Errorf("%s: %s finds nothing", p.Title, target.Expr)
			}
		}
	}
}

// Every selector leaves the choice of the installation to the viewer.
func TestDashboardFollowsItsVariables(t *testing.T) {
	d := readDashboard(t)
	selector := regexp.MustCompile(`\b(?:leadstream|process|go)_\w+(\{[^}]*\})?`)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			for _, m := range selector.FindAllStringSubmatch(target.Expr, -1) {
				if !strings.Contains(m[1], `job=~"$job"`) || !strings.Contains(m[1], `namespace=~"$namespace"`) {
					t.Errorf("%s: %s does not follow the variables", p.Title, m[0])
				}
			}
		}
	}
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
		if v.Type == "query" && !strings.Contains(string(v.Query), "label_values(leadstream_build_info, "+v.Name+")") {
			t.Errorf("variable %s asks %s", v.Name, v.Query)
		}
	}
	if want := []string{"datasource", "job", "namespace"}; !slices.Equal(names, want) {
		t.Errorf("variables = %v, want %v", names, want)
	}
}

func TestDashboardIsLaidOutWithoutOverlapAndExplainsItself(t *testing.T) {
	d := readDashboard(t)
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 39 {
		t.Errorf("dashboard %q %q of schema %d", d.UID, d.Title, d.SchemaVersion)
	}
	ids, cells, rows := map[int]bool{}, map[[2]int]string{}, []string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("%s: id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.X < 0 || g.X+g.W > 24 || g.W < 1 || g.H < 1 {
			t.Errorf("%s: lies at %+v, a row has 24 columns", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || p.Datasource == nil {
			t.Errorf("panel %d %q lacks a title, a description, a unit, a query or a data source", p.ID, p.Title)
		}
	}
	want := []string{"Overview", "Leads", "Latency", "Sources", "LinkedIn's API", "Errors and dead letters", "Kafka", "Tokens", "Processes", "LinkedIn's notifications"}
	if !slices.Equal(rows, want) {
		t.Errorf("rows = %v, want %v", rows, want)
	}
}

// The runbook sends its reader to panels by their titles.
func TestRunbookNamesPanelsThatExist(t *testing.T) {
	text, err := os.ReadFile(runbookFile)
	if err != nil {
		t.Fatal(err)
	}
	titles := map[string]bool{}
	for _, p := range readDashboard(t).Panels {
		titles[p.Title] = true
	}
	found := 0
	for _, sentence := range regexp.MustCompile(`(?s)The dashboard, ([^.:]*)`).FindAllStringSubmatch(string(text), -1) {
		for _, m := range regexp.MustCompile(`\*([^*]+)\*`).FindAllStringSubmatch(sentence[1], -1) {
			found++
			if !titles[m[1]] {
				t.Errorf("the runbook names the panel %q, which is not there", m[1])
			}
		}
	}
	if found < 3 {
		t.Errorf("only %d panels are named", found)
	}
}
