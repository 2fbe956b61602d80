package web

import (
	"context"
	"fmt"
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
			want: []string{"Everything works", "marketing", "Reconnect LinkedIn", "Alpenblick Seminare", "34 s behind", "linkedin.leads.3001", "18,211", "353 days left", "last read 9 s ago, notified by LinkedIn"},
			none: []string{"Nobody has connected", "No lead was published"}},
		{name: "much is wrong", view: troubledView(), ready: issues(),
			want: []string{"4 things need attention", "Nordwind Analytics cannot be read", "No leads go out for Webinar registration: the subject", "the oldest was submitted 2 h 14 min ago", "No access", "Suspended", "its leads are kept", "Slowed down", "3 responses could not", "134 times", "Reconnect soon"},
			none: []string{"Everything works"}},
		{name: "nobody connected", view: disconnectedView(),
			want: []string{"Connect LinkedIn", "Nobody has connected", "No lead was published in the last 24 hours", "Organizations appear here once"},
			none: []string{"Disconnect…", "Reconnect LinkedIn"}},
		{name: "nobody counted", view: View{Name: "leadstream", Process: Process{Active: true}},
			want: []string{"not counted yet", "No organization has been found yet"},
			none: []string{"No lead was published", "LinkedIn was not asked", "None: every lead", `class="name"`}},
		{name: "stands by", view: standbyView(), want: []string{"stands by", "leads-7c9d-x2k4p"}, none: []string{"LinkedIn was not asked", "Requests today"}},
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

func TestWhatIsAmissIsToldWithNames(t *testing.T) {
	p := statusPage{View: sampleView()}
	for text, want := range map[string]string{
		"":                        "",
		alpen + " cannot be read": "Alpenblick Seminare cannot be read",
		"not read for three intervals: " + alpen + ", " + nord + ", urn:li:organization:55098100 and 3000 more": "not read for three intervals: Alpenblick Seminare, Nordwind Analytics, urn:li:organization:55098100 and 3000 more",
		"3001, 30010, 3002 are suspended": "Webinar registration, 30010, Product tour are suspended",
	} {
		if got := p.Spoken(text); got != want {
			t.Errorf("Spoken(%q) = %q, want %q", text, got, want)
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
		"2 problems · marketing · leadstream": {Degraded: issues()},
		"1 problem · marketing · leadstream":  {Degraded: issues()[:1]},
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

// page is the status page of a view.
func page(t *testing.T, v View, degraded ...Degradation) string {
	t.Helper()
	s := newTestServer(t, func(o *Options) {
		o.View = func(context.Context) View { return v }
		o.Ready = func() Readiness { return Readiness{Ready: true, Degraded: degraded} }
	})
	w := get(t, s, "/", nil)
	if w.Code != http.StatusOK {
		t.Fatalf("GET / = %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestThePageSaysFirstThatLinkedInIsNotConnected(t *testing.T) {
	v := disconnectedView()
	if body := page(t, v); !strings.Contains(body, "One thing needs attention") || !strings.Contains(body, "leadstream is not connected to LinkedIn") || strings.Contains(body, "Everything works") {
		t.Error("a page without a connection does not begin with it")
	}
	v.Connection = Connection{State: Failing, Stored: true, Problem: "the access token was revoked", Todo: "connect again", AccessExpiresAt: noon.Add(day), RefreshExpiresAt: noon.Add(200 * day)}
	body := page(t, v)
	if !strings.Contains(body, "<strong>LinkedIn</strong> The access token was revoked.") {
		t.Error("the page does not begin with why there is no connection")
	}
	if strings.Contains(body, "days left") {
		t.Error("a token that was revoked has days left")
	}
	v.Connection.RefreshExpiresAt = noon.Add(-day)
	if body := page(t, v); !strings.Contains(body, "expired 24 h ago") {
		t.Error("the page does not say since when the refresh token has expired")
	}
	told := Degradation{Part: "consent", Reason: "the consent is gone"}
	if body := page(t, v, told); !strings.Contains(body, "One thing needs attention") || strings.Contains(body, "The consent is gone.") {
		t.Error("what is told as degraded already is told twice")
	}
}

func TestAStandbyTellsWhatItReadAndHowOldThatIs(t *testing.T) {
	v := sampleView()
	v.Process = Process{ID: "leads-1", Other: "leads-0"}
	v.ReadAt = noon.Add(-12 * time.Second)
	v.Forms[0].Events = nil // the topic does not tell
	body := page(t, v)
	for _, text := range []string{"Standing by", "<code>leads-0</code> is the active one", "read from Kafka 12 s ago", "Alpenblick Seminare", "18,211"} {
		if !strings.Contains(body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	for _, text := range []string{"Everything works", "on no event that is known"} {
		if strings.Contains(body, text) {
			t.Errorf("the page says %q", text)
		}
	}
}

func TestManyFormsAreFoldedUpButNoneThatNeedsAPerson(t *testing.T) {
	v := sampleView()
	v.Forms = nil
	for i := range 30 {
		f := Form{ID: fmt.Sprint(5000 + i), Name: fmt.Sprintf("Form %02d", i), Owner: alpen, State: OK}
		if i >= 20 && i < 28 {
			f.State, f.Problem = Failing, "refused"
		}
		v.Forms = append(v.Forms, f)
	}
	list, _ := groups(v)
	if first, rest := list[0].First(), list[0].Rest(); len(first) != 8 || len(rest) != 22 || first[7].State != Failing || rest[0].State != OK {
		t.Errorf("%d forms are seen and %d folded up, want the 8 that need a person and the others", len(first), len(rest))
	}
	body := page(t, v)
	seen, folded, ok := strings.Cut(body, `<summary>22 more forms</summary>`)
	if !ok || !strings.Contains(seen, "Form 27") || !strings.Contains(folded, "Form 29") {
		t.Error("the page does not fold up the forms that are well")
	}
	if !strings.Contains(body, `aria-label="Forms of Alpenblick Seminare"`) || !strings.Contains(body, `aria-label="More forms of Alpenblick Seminare"`) {
		t.Error("the two tables of an organization have the same name")
	}
	v.Forms = v.Forms[:8] // two more than are unfolded: no need to fold
	if list, _ := groups(v); len(list[0].Rest()) != 0 {
		t.Errorf("of 8 forms %d are folded up", len(list[0].Rest()))
	}
}

func TestPartsHaveTheNamesThatPeopleKnow(t *testing.T) {
	p := statusPage{View: sampleView()}
	for part, want := range map[string]string{"kafka": "Kafka", "registry": "Schema registry", "linkedin": "LinkedIn", alpen: "Alpenblick Seminare", "3001": "Webinar registration", "9": "9"} {
		if got := p.Named(part); got != want {
			t.Errorf("Named(%q) = %q, want %q", part, got, want)
		}
	}
	if got := capital("urn:li:organization:1"); got != "urn:li:organization:1" {
		t.Errorf("capital makes %q of a URN", got)
	}
}

func TestDeadLettersBeyondCountingAreMoreThan(t *testing.T) {
	v := sampleView()
	v.DeadLetters = DeadLetters{Topic: "t", Total: 100000, More: true, Reasons: []Reason{{Name: "UnreadableElement", Text: "could not be read", Count: 100000}}}
	body := page(t, v)
	for _, text := range []string{"100,000+", "More than 100,000 responses", "100,000 could not be read"} {
		if !strings.Contains(body, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

func TestWhatIsOverNeedsNothingDone(t *testing.T) {
	v := sampleView()
	v.Errors = []Error{{Time: noon, Part: "kafka", Text: "away", Todo: "start the brokers", Over: true}}
	if body := page(t, v); strings.Contains(body, "tart the brokers") || !strings.Contains(body, "Over") {
		t.Error("the page says what to do about what is over")
	}
}
