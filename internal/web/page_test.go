package web

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// get asks the server as a browser on this machine would; change may change
// the request.
func get(t *testing.T, s *Server, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, s, http.MethodGet, path, change)
}

func ask(t *testing.T, s *Server, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:51000", "localhost:8480"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestPageSaysWhatTheViewHolds(t *testing.T) {
	for _, c := range []struct {
		name  string
		view  View
		ready []Degradation
		want  []string
		none  []string
	}{
		{name: "everything works", view: sampleView(),
			want: []string{"Everything works", "marketing", "Reconnect LinkedIn", "Alpenblick Seminare", "34 s behind", "linkedin.leads.3001", "18,211", "353 days left"},
			none: []string{"Nobody has connected", "No lead was published"}},
		{name: "much is wrong", view: troubledView(), ready: troubles(),
			want: []string{"2 things need attention", "Nordwind Analytics cannot be read", "No access", "Suspended", "its leads are kept", "Slowed down", "3 responses could not", "134 times", "Reconnect soon"},
			none: []string{"Everything works"}},
		{name: "nobody connected", view: disconnectedView(),
			want: []string{"Connect LinkedIn", "Nobody has connected", "No lead was published in the last 24 hours", "Organizations appear here once"},
			none: []string{"Disconnect…", "Reconnect LinkedIn"}},
		{name: "nobody counted", view: View{Name: "leadstream", Process: Process{Active: true}},
			want: []string{"not counted yet", "No organization has been found yet"},
			none: []string{"No lead was published", "LinkedIn was not asked", "None: every lead", `class="name"`}},
		{name: "stands by", view: standbyView(), want: []string{"stands by", "leads-7c9d-x2k4p"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestServer(t, func(o *Options) {
				o.View = func(context.Context) View { return c.view }
				o.Ready = func() Readiness { return Readiness{Ready: true, Degraded: c.ready} }
			})
			w := get(t, s, "/", nil)
			if w.Code != http.StatusOK {
				t.Fatalf("GET / = %d %s, want 200", w.Code, w.Body)
			}
			for _, text := range c.want {
				if !strings.Contains(w.Body.String(), text) {
					t.Errorf("the page does not say %q", text)
				}
			}
			for _, text := range c.none {
				if strings.Contains(w.Body.String(), text) {
					t.Errorf("the page says %q", text)
				}
			}
		})
	}
}

// Names, texts and reasons come from LinkedIn and from errors.
func TestHostileTextsAreOnlyText(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'` + "`"
	v := troubledView()
	v.Name, v.Version, v.Process.ID, v.Process.Other = evil, evil, evil, evil
	v.Connection.Problem, v.Connection.Todo, v.Connection.Note = evil, evil, evil
	v.Connection.Scopes, v.Connection.MissingScopes = []string{evil}, []string{evil}
	for i := range v.Organizations {
		o := &v.Organizations[i]
		o.Name, o.Roles, o.Problem, o.Todo = evil, []string{evil}, evil, evil
	}
	for i := range v.Sources {
		v.Sources[i].LeadType, v.Sources[i].Problem, v.Sources[i].Todo = evil, evil, evil
	}
	for i := range v.Forms {
		f := &v.Forms[i]
		f.Name, f.Events, f.Topic, f.Label, f.Problem, f.Todo, f.State = evil, []string{evil}, evil, evil, evil, evil, State(evil)
	}
	v.Forms[0].Owner = evil
	for i := range v.Tasks {
		v.Tasks[i].Kind, v.Tasks[i].Name = evil, evil
	}
	v.Budget.Note, v.Budget.Endpoints[0].Name = evil, evil
	v.DeadLetters.Topic, v.DeadLetters.Reasons[0].Name = evil, evil
	for i := range v.Errors {
		v.Errors[i].Part, v.Errors[i].Text, v.Errors[i].Todo = evil, evil, evil
	}
	s := newTestServer(t, func(o *Options) {
		o.View = func(context.Context) View { return v }
		o.Ready = func() Readiness { return Readiness{Degraded: []Degradation{{Part: evil, Reason: evil, Todo: evil}}} }
	})
	w := get(t, s, "/", nil)
	if w.Code != http.StatusOK {
		t.Fatalf("GET / = %d, want 200", w.Code)
	}
	body := w.Body.String()
	if n := strings.Count(body, "<script"); n != 1 { // our own
		t.Errorf("the page holds %d scripts, want 1", n)
	}
	if strings.Contains(body, "<img src=x") || strings.Contains(body, `="">`) {
		t.Error("the page holds the mark-up of a name")
	}
	if n := strings.Count(body, "alert(1)"); n < 30 {
		t.Errorf("the text is shown %d times: this test does not reach every field", n)
	}
}

func TestWhatNeedsAPersonComesFirst(t *testing.T) {
	v := troubledView()
	slices.Reverse(v.Forms)
	list, hidden := groups(v)
	if hidden != 0 || len(list) != 2 || list[0].URN != nord || list[1].URN != alpen {
		t.Fatalf("groups = %d, first %s, hidden %d, want 2, the failing organization first, none hidden", len(list), list[0].URN, hidden)
	}
	if list[0].Forms[0].State != Failing || len(list[0].Forms) != 2 {
		t.Errorf("its forms = %+v, want the failing one first", list[0].Forms)
	}
	if v.Forms[0].ID != "3002" {
		t.Error("the view was changed")
	}
}

func TestWhatIsNotReadyDoesNotClaimToWork(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.Ready = func() Readiness { return Readiness{} } })
	body := get(t, s, "/", nil).Body.String()
	if strings.Contains(body, "Everything works") || !strings.Contains(body, "Kafka has not been reached yet") {
		t.Error("the page of a process that never reached Kafka does not say so")
	}
}

func TestFormsOfUnknownOwnersAreShown(t *testing.T) {
	v := View{Process: Process{Active: true}, Forms: []Form{{ID: "1", Owner: "urn:li:organization:1"}}, Sources: []Source{{Owner: "urn:li:organization:2", LeadType: "EVENT"}}}
	list, _ := groups(v)
	if len(list) != 2 || list[0].Known || list[0].Name == "" {
		t.Fatalf("groups = %+v, want two that name their owner", list)
	}
}

func TestThePageStaysBoundedAndFastWithAThousandForms(t *testing.T) {
	v := sampleView()
	for i := range 1000 {
		v.Forms = append(v.Forms, Form{ID: strconv.Itoa(i), Name: "Form " + strconv.Itoa(i), Owner: alpen, Topic: "linkedin.leads." + strconv.Itoa(i), State: OK})
	}
	v.Forms[1002].State, v.Forms[1002].Name = Failing, "the one that fails"
	s := newTestServer(t, func(o *Options) { o.View = func(context.Context) View { return v } })
	body := get(t, s, "/", nil).Body.String()
	if n := strings.Count(body, `<th role="rowheader"`); n != formsShown {
		t.Errorf("%d forms are shown, want %d", n, formsShown)
	}
	if !strings.Contains(body, "the one that fails") || !strings.Contains(body, "503 more forms") {
		t.Error("the page hides the form that fails, or does not say how many it hides")
	}
	if len(body) > 1<<20 {
		t.Errorf("the page has %d bytes, want less than 1 MiB", len(body))
	}
}

func TestAFormIsAsFarBehindAsItsOwner(t *testing.T) {
	v := sampleView()
	v.Sources = append(v.Sources, Source{Owner: alpen, LeadType: "COMPANY", LagSeconds: 1e9}) // never read
	for i := range v.Forms {
		v.Forms[i].LagSeconds = float64(i)
	}
	list, _ := groups(v)
	if got := list[0].Forms[0].LagSeconds; got != 34 {
		t.Errorf("a form without a lag of its own is %v s behind, want its owner's 34", got)
	}
	if got := list[1].Forms[0].LagSeconds; got != 2 {
		t.Errorf("a form with a lag of its own is %v s behind, want 2", got)
	}
}

func TestURNsAreShownAsNames(t *testing.T) {
	p := statusPage{View: sampleView()}
	for part, want := range map[string]string{alpen: "Alpenblick Seminare", "urn:li:organization:1": "urn:li:organization:1", "7d": "7d", "": ""} {
		if got := p.Named(part); got != want {
			t.Errorf("Named(%q) = %q, want %q", part, got, want)
		}
	}
}

func TestTheEndOfTheRefreshTokenIsAnnounced(t *testing.T) {
	for _, c := range []struct {
		left time.Duration
		want State
	}{{31 * day, OK}, {30*day - time.Second, Warning}, {7 * day, Warning}, {7*day - time.Second, Failing}, {-day, Failing}} {
		p := statusPage{View: View{Time: noon}}
		if got := p.Near(noon.Add(c.left)); got != c.want {
			t.Errorf("with %v left it is %q, want %q", c.left, got, c.want)
		}
	}
}

func TestEveryStateHasItsWordAndShape(t *testing.T) {
	shapes := map[string]bool{}
	for _, s := range []State{OK, Waiting, Warning, Failing, "surprising"} {
		b := badgeOf(s, "")
		if b.Word == "" || shapes[b.Shape] {
			t.Errorf("state %q is shown as %+v, want a word and a shape of its own", s, b)
		}
		shapes[b.Shape] = true
		if got := badgeOf(s, "Suspended").Word; got != "Suspended" {
			t.Errorf("state %q under its own word = %q", s, got)
		}
	}
}

func TestTitleTellsOfProblems(t *testing.T) {
	s := newTestServer(t, nil)
	for want, ready := range map[string]Readiness{
		"marketing · leadstream":              {},
		"2 problems · marketing · leadstream": {Degraded: troubles()},
		"1 problem · marketing · leadstream":  {Degraded: troubles()[:1]},
	} {
		if got := s.statusPage(sampleView(), ready).Title; got != want {
			t.Errorf("title = %q, want %q", got, want)
		}
	}
}

func BenchmarkStatusPage(b *testing.B) {
	v := sampleView()
	for i := range formsShown {
		v.Forms = append(v.Forms, Form{ID: strconv.Itoa(i), Name: "Form " + strconv.Itoa(i), Owner: alpen, Topic: "linkedin.leads." + strconv.Itoa(i), State: OK})
	}
	p := (&Server{}).statusPage(v, Readiness{Ready: true})
	b.ReportAllocs()
	for b.Loop() {
		if err := pages.ExecuteTemplate(io.Discard, "status.html", p); err != nil {
			b.Fatal(err)
		}
	}
}
