package web

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// severity orders states as a reader sees them: grey and green need nothing.
func severity(state string) int { return urgency(State(state)) }

var (
	shown   = regexp.MustCompile(`class="badge (\w+)"`)
	summary = regexp.MustCompile(`<section class="banner (\w+)"`)
	// red is what is shown in red without a badge.
	red = regexp.MustCompile(`class="(alert|problem)"`)
)

// worstBelow is the worst state that a page shows below its banner.
func worstBelow(body string) (worst int, what string) {
	_, below, _ := strings.Cut(body, "</section>")
	for _, at := range shown.FindAllStringSubmatchIndex(below, -1) {
		if state := below[at[2]:at[3]]; severity(state) > worst {
			worst, what = severity(state), below[at[0]:min(at[1]+60, len(below))]
		}
	}
	if at := red.FindStringIndex(below); at != nil && worst < severity("failing") {
		worst, what = severity("failing"), below[at[0]:min(at[1]+60, len(below))]
	}
	return worst, what
}

// chance makes views in which anything is in any state: in one view of four most
// is amiss, in another little.
type chance struct {
	*rand.Rand
	rare int // so many times as much is as it should be
}

func chances(seed uint64) chance {
	c := chance{Rand: rand.New(rand.NewPCG(seed, 7))}
	c.rare = []int{1, 3, 20, 60}[c.IntN(4)]
	return c
}

// amiss reports whether something is, which happens once in n times.
func (c chance) amiss(n int) bool { return c.IntN(n*c.rare) == 0 }

func (c chance) state() State {
	if !c.amiss(1) {
		return OK
	}
	return []State{OK, Waiting, Warning, Failing}[c.IntN(4)]
}

// text is one of two, or none.
func (c chance) text(some string) string { return []string{"", some, some + " again"}[c.IntN(3)] }

func (c chance) view() (View, []Degradation) {
	v := sampleView()
	v.Process.Active = c.IntN(4) > 0
	v.Connection.State, v.Connection.Problem, v.Connection.Note = c.state(), c.text("revoked"), c.text("ends")
	v.Connection.Stored, v.Connection.Refreshable = !c.amiss(3), c.IntN(2) > 0
	if c.amiss(2) {
		v.Connection.RefreshExpiresAt = noon.Add(time.Duration(c.IntN(60)-5) * day)
	}
	if c.amiss(5) {
		v.Connection.MissingScopes = []string{"r_events"}
	}
	for i := range v.Organizations {
		o := &v.Organizations[i]
		o.Access, o.Problem, o.Todo = c.state(), c.text("no role"), c.text("ask for it")
	}
	for i := range v.Sources {
		s := &v.Sources[i]
		s.State, s.Problem, s.Todo, s.Cause = c.state(), c.text("late"), c.text("look"), []string{"", "kafka", "linkedin"}[c.IntN(3)]
	}
	for i := range v.Forms {
		f := &v.Forms[i]
		f.State, f.Problem, f.Todo, f.Waiting = c.state(), c.text("incompatible"), c.text("delete it"), c.IntN(2) > 0
	}
	if c.amiss(2) {
		v.DeadLetters.Total = int64(c.IntN(9))
	}
	v.Budget.Paced, v.Budget.Note = c.IntN(2) > 0, c.text("paced")
	for range c.IntN(4) {
		part := []string{"kafka", "registry", "linkedin", "consent", "replay", alpen, "3001", "urn:li:organization:404"}[c.IntN(8)]
		v.Errors = append(v.Errors, Error{Part: part, State: []State{"", Failing, Waiting}[c.IntN(3)], Text: "refused", Todo: c.text("fix it"), Over: !c.amiss(2),
			Time: noon, Since: noon.Add(-time.Duration(c.IntN(10)) * time.Minute)})
	}
	var degraded []Degradation
	for _, part := range []string{"kafka", "registry", "schemas", "consent", "role", "source", "form", "something new"} {
		if c.amiss(6) {
			degraded = append(degraded, Degradation{Part: part, Reason: part + " is amiss", Todo: c.text("fix it")})
		}
	}
	return v, degraded
}

// TestTheVerdictIsNeverBetterThanTheWorstBelow holds for whatever a page can show:
// what is read first is what somebody relies on.
func TestTheVerdictIsNeverBetterThanTheWorstBelow(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(1500) {
		v, degraded := chances(seed).view()
		body := page(t, v, degraded...)
		said := summary.FindStringSubmatch(body)
		if said == nil {
			t.Fatal("the page has no banner")
		}
		worst, what := worstBelow(body)
		degraded = slices.DeleteFunc(degraded, func(d Degradation) bool { return d.Part == partSource }) // it may wait for what needs nobody
		if severity(said[1]) < worst || len(degraded) > 0 && said[1] != "failing" {
			t.Fatalf("seed %d: the banner is %s, and below stands %s; degraded %+v", seed, said[1], what, degraded)
		}
		if worst > 0 && (strings.Contains(body, "Everything works") || strings.Contains(body, "Standing by<")) {
			t.Fatalf("seed %d: the page says that everything works above %s", seed, what)
		}
		seen[said[1]]++
	}
	if len(seen) != 4 {
		t.Errorf("verdicts were %v, want each of them: this test does not see all", seen)
	}
}

// TestEachProblemSaysWhatToDoAndNoneStandsTwice, whatever is amiss.
func TestEachProblemSaysWhatToDoAndNoneStandsTwice(t *testing.T) {
	for seed := range uint64(3000) {
		v, degraded := chances(seed).view()
		s := newTestServer(t, nil)
		p := s.statusPage(v, Readiness{Ready: true, Degraded: degraded})
		texts := map[string]bool{}
		for i, x := range p.Problems {
			if x.Todo == "" || x.Text == "" || x.Part == "" || urgency(x.State) == 0 && x.State != Waiting {
				t.Fatalf("seed %d: %+v", seed, x)
			}
			if texts[x.Part+x.Text] {
				t.Fatalf("seed %d: %q stands twice", seed, x.Text)
			}
			texts[x.Part+x.Text] = true
			if i > 0 && urgency(p.Problems[i-1].State) < urgency(x.State) {
				t.Fatalf("seed %d: %+v stands before %+v", seed, p.Problems[i-1], x)
			}
		}
	}
}

func problemsOf(t *testing.T, v View, degraded ...Degradation) []Problem {
	t.Helper()
	return newTestServer(t, nil).statusPage(v, Readiness{Ready: true, Degraded: degraded}).Problems
}

// one is the only problem of a view.
func one(t *testing.T, v View, degraded ...Degradation) Problem {
	t.Helper()
	list := problemsOf(t, v, degraded...)
	if len(list) != 1 {
		t.Fatalf("problems = %+v, want one", list)
	}
	return list[0]
}

func TestFormsThatWaitForOneReasonAreOneProblemWithTheReasonAndWhatToDo(t *testing.T) {
	v := suspendedView()
	x := one(t, v)
	for _, want := range []string{"Frühjahrstagung: Anmeldung, Webinar registration, Product tour", "linkedin.leads.3000 holds leads of the installation", "102 days ago"} {
		if !strings.Contains(x.Text, want) {
			t.Errorf("%q does not say %q", x.Text, want)
		}
	}
	if x.Todo != "choose another `kafka.topic_prefix`" {
		t.Errorf("what to do is %q", x.Todo)
	}
	v.Forms[1].Problem, v.Forms[1].Todo = "the registry refuses the schema", "see why"
	if list := problemsOf(t, v); len(list) != 2 || !strings.Contains(list[0].Text, " and ") && !strings.Contains(list[0].Text, ", ") {
		t.Errorf("two reasons are told as %+v", list)
	}
}

// TestRecordsThatCannotBeReadAreOneProblemAndNoLeadsWait: new leads of such a form go
// out.
func TestRecordsThatCannotBeReadAreOneProblemAndNoLeadsWait(t *testing.T) {
	v := sampleView()
	for i := range 2 {
		v.Forms[i].State, v.Forms[i].Cause, v.Forms[i].Problem, v.Forms[i].Todo = Failing, partSchemas, "the registry does not know", "restore the backup"
	}
	v.Errors = []Error{{Part: partSchemas, Text: "the registry does not know", Todo: "restore the backup", Time: noon, Since: noon.Add(-time.Hour)}}
	lost := Degradation{Part: partSchemas, Reason: "records of " + v.Forms[0].ID + ", " + v.Forms[1].ID + " cannot be read: lost", Todo: "restore the backup"}
	x := one(t, v, lost)
	if want := "records of " + v.Forms[0].Name + ", " + v.Forms[1].Name + " cannot be read: lost"; x.State != Failing || x.Text != want || x.Todo != lost.Todo {
		t.Errorf("problem = %+v, want %q", x, want)
	}
	if list := problemsOf(t, v, lost, Degradation{Part: "registry", Reason: "the registry does not answer", Todo: "see that it runs"}); len(list) != 2 || strings.Contains(list[0].Text+list[1].Text, "wait") {
		t.Errorf("with the registry away: %+v, want nothing of leads that wait", list)
	}
}

func TestAThousandReasonsAreAFewLines(t *testing.T) {
	v := sampleView()
	v.Forms = nil
	for i := range 1000 {
		v.Forms = append(v.Forms, Form{ID: fmt.Sprint(5000 + i), Owner: alpen, State: Failing, Problem: fmt.Sprint("reason number ", i), Todo: "fix it"})
	}
	list := problemsOf(t, v)
	if last := list[len(list)-1]; len(list) != mostProblems || !strings.HasPrefix(last.Text, "993 more") || last.State != Failing {
		t.Errorf("%d problems, the last %+v; want %d, the last for all others", len(list), last, mostProblems)
	}
}

func TestDeadLettersAreAProblemWithWhatToDo(t *testing.T) {
	v := deadLettersView()
	x := one(t, v)
	if x.State != Failing || !strings.HasPrefix(x.Text, "9 leads could not be published") || !strings.Contains(x.Todo, "deadletters retry") {
		t.Errorf("problem = %+v", x)
	}
	body := page(t, v)
	for want, is := range map[string]bool{"Everything works": false, "One thing needs attention": true, `href="#dead"`: true, "<title>1 problem ·": true} {
		if strings.Contains(body, want) != is {
			t.Errorf("the page says %q: %t, want %t", want, !is, is)
		}
	}
}

func TestThatLinkedInAllowsNoMoreRequestsNeedsNobody(t *testing.T) {
	v := throttledView()
	x := one(t, v)
	if x.State != Waiting || !strings.Contains(x.Text, "00:02 UTC") || !strings.Contains(x.Text, "Alpenblick Seminare, Nordwind Analytics") || !strings.HasPrefix(x.Todo, "nothing") {
		t.Errorf("problem = %+v", x)
	}
	body := page(t, v)
	if !strings.Contains(body, "there is nothing to do") || strings.Contains(body, "attention") || strings.Contains(body, "<title>1 problem") {
		t.Error("the page asks somebody to act")
	}
}

func TestTheButtonStandsWhereTheProblemIs(t *testing.T) {
	v := sampleView()
	button := func(v View) (banner, below int) {
		body := page(t, v)
		_, rest, _ := strings.Cut(body, `<section class="banner`)
		top, rest, _ := strings.Cut(rest, "</section>")
		return strings.Count(top, `id="connect"`), strings.Count(rest, `id="connect"`)
	}
	if top, below := button(v); top != 0 || below != 1 {
		t.Errorf("where all is well: %d buttons at the top, %d below, want one below", top, below)
	}
	if body := page(t, v); strings.Contains(body, `class="primary"`) {
		t.Error("where all is well the button is the loudest thing of the page")
	}
	v.Connection.State, v.Connection.Problem = Failing, "the access token was revoked"
	v.Connection.Todo = "press Connect or Reconnect LinkedIn on the status page, or run `leadstream auth login`"
	if top, below := button(v); top != 1 || below != 0 {
		t.Errorf("without a connection: %d buttons at the top, %d below, want one at the top", top, below)
	}
	if body := page(t, v); !strings.Contains(body, "Press Reconnect LinkedIn, or run <code>leadstream auth login</code>.") {
		t.Error("the page does not name its own button")
	}
	v.Connection.State, v.Connection.Problem, v.Connection.RefreshExpiresAt = Warning, "", noon.Add(20*day)
	if top, below := button(v); top != 1 || below != 0 {
		t.Errorf("with a consent that ends soon: %d buttons at the top, %d below, want one at the top", top, below)
	}
}

func TestThePageDoesNotSendItsReaderToThePage(t *testing.T) {
	v := troubledView()
	const there = "press Connect or Reconnect LinkedIn on the status page; the status page says why; see the status page; see the last errors on the status page"
	v.Connection.State, v.Connection.Problem, v.Connection.Todo, v.Connection.Note = Failing, there, there, there
	for i := range v.Organizations {
		v.Organizations[i].Access, v.Organizations[i].Problem, v.Organizations[i].Todo = Failing, there, there
	}
	for i := range v.Sources {
		v.Sources[i].State, v.Sources[i].Problem, v.Sources[i].Todo = Failing, there, there
	}
	for i := range v.Forms {
		v.Forms[i].State, v.Forms[i].Problem, v.Forms[i].Todo = Failing, there, there
	}
	v.Budget.Note = there
	for i := range v.Errors {
		v.Errors[i].Text, v.Errors[i].Todo, v.Errors[i].Over = there, there, false
	}
	body := page(t, v, Degradation{Part: "kafka", Reason: there, Todo: there}, Degradation{Part: "new", Reason: there, Todo: there})
	if i := strings.Index(body, "status page"); i >= 0 {
		t.Errorf("the page says %q", body[max(0, i-60):min(i+60, len(body))])
	}
}

func TestTheTileCountsWhatWaits(t *testing.T) {
	v := sampleView()
	v.Forms[1].State, v.Forms[1].Waiting, v.Forms[1].LagSeconds = Failing, true, 298*86400
	body := page(t, v)
	_, tile, _ := strings.Cut(body, "<dt>Behind LinkedIn</dt>")
	if tile, _, _ = strings.Cut(tile, "</div>"); !strings.Contains(tile, "298 days") {
		t.Errorf("the tile says %s", tile)
	}
}

func TestWhatTimeFixesIsAProblemOnlyOnceItLasts(t *testing.T) {
	v := sampleView()
	v.Errors = []Error{{Part: "linkedin", State: Waiting, Text: "LinkedIn answered 503", Todo: "nothing for now", Time: noon, Since: noon.Add(-time.Minute)}}
	if list := problemsOf(t, v); len(list) != 0 {
		t.Errorf("after a minute: %+v", list)
	}
	if body := page(t, v); !strings.Contains(body, "Everything works") || !strings.Contains(body, "Tried again") || strings.Contains(body, "Still there") {
		t.Error("what is tried again is shown as if somebody had to act")
	}
	v.Errors[0].Since = noon.Add(-time.Hour)
	if x := one(t, v); x.State != Waiting {
		t.Errorf("after an hour: %+v", x)
	}
}

func TestTheStatusAsJSONHasTheProblemsOfThePage(t *testing.T) {
	v := sampleView()
	v.DeadLetters = DeadLetters{Topic: "t", Total: 9}
	s := newTestServer(t, func(o *Options) {
		o.View = func(context.Context) View { return v }
		o.Ready = func() Readiness {
			return Readiness{Ready: true, Degraded: []Degradation{{Part: "kafka", Reason: "Kafka does not answer", Todo: "see that it runs"}}}
		}
	})
	w := get(t, s, "/api/status", nil)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "9 leads could not be published") || !strings.Contains(w.Body.String(), "Kafka does not answer") {
		t.Errorf("GET /api/status = %d %s", w.Code, w.Body)
	}
}

func TestEveryProblemOfThePageHasAPlaceInItsOrder(t *testing.T) {
	v := troubledView()
	v.Sources[0].State, v.Sources[0].Problem, v.Sources[0].Todo = Warning, "not read for three intervals", "look"
	var states []State
	for _, x := range problemsOf(t, v, issues()...) {
		states = append(states, x.State)
	}
	if !slices.IsSortedFunc(states, func(a, b State) int { return urgency(b) - urgency(a) }) || states[len(states)-1] != Warning {
		t.Errorf("states = %v, want the worst first", states)
	}
}
