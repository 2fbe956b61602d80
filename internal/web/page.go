package web

import (
	"cmp"
	"embed"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"span": spanSeconds, "dateTime": dateTime, "machine": machine, "number": number, "count": count,
	"percent": percent, "prose": prose, "capital": capital, "badge": badgeOf, "join": strings.Join,
	"mark": func(s State) string { return badgeOf(s, "").Shape }, "len64": func(forms []Form) int64 { return int64(len(forms)) },
}).ParseFS(assets, "assets/*.html"))

const (
	// formsShown bounds the size of the page.
	formsShown = 500
	// formsUnfolded is how many forms of an organization stand on the page when
	// there are more than two of them to be folded up: what follows should be
	// within reach on a phone.
	formsUnfolded = 6
)

// frame is what every page has.
type frame struct {
	Title string
	// Root leads from the page to the status page, relatively.
	Root string
	// Logout offers to end the session.
	Logout bool
}

func (s *Server) frame(title, root string) frame {
	return frame{Title: title, Root: root}
}

// statusPage is the status page in the words and order in which it is shown.
type statusPage struct {
	frame
	View
	Degraded []Degradation
	Starting bool // not ready yet
	Connect  bool // the consent can be done here
	// Verdict is the worst state of all, and Needs how many problems need a person.
	Verdict State
	Needs   int
	// Informed: this process knows how the work goes, since it does it, did it,
	// or has read of it.
	Informed bool
	// Counted and Asked: somebody counted the leads and the requests.
	Counted, Asked bool
	Chart          chart
	Groups         []group
	Hidden         int // forms beyond formsShown
	Lag            float64
	HasLag         bool
	TasksOpen      int
}

// group is an organization with its sources and forms.
type group struct {
	Organization
	// Known: the organization was discovered; else only forms name it.
	Known   bool
	Sources []Source
	Forms   []Form
}

// First are the forms that are seen at once, Rest those that are folded up. All
// that need a person are among the first.
func (g group) First() []Form { return g.Forms[:g.folded()] }

// Rest are the forms that are folded up.
func (g group) Rest() []Form { return g.Forms[g.folded():] }

func (g group) folded() int {
	n := formsUnfolded
	for n < len(g.Forms) && urgency(g.Forms[n].State) > 0 {
		n++
	}
	if len(g.Forms) <= n+2 {
		return len(g.Forms)
	}
	return n
}

// formTable is some forms of an organization on a page.
type formTable struct {
	Page  statusPage
	Label string // for those who do not see where it stands
	Forms []Form
}

// Table is a table of some of the group's forms.
func (p statusPage) Table(g group, forms []Form) formTable {
	label := "Forms of " + g.Name
	if len(forms) > 0 && len(forms) < len(g.Forms) && forms[0].ID != g.Forms[0].ID {
		label = "More forms of " + g.Name
	}
	return formTable{Page: p, Label: label, Forms: forms}
}

// page is the status page.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	s.render(w, http.StatusOK, "status.html", s.statusPage(s.view(r), s.opts.Ready()))
}

func (s *Server) statusPage(v View, ready Readiness) statusPage {
	p := statusPage{frame: s.frame("", ""), View: v, Degraded: ready.Degraded, Starting: !ready.Ready, Connect: s.opts.Consent != nil,
		Chart: chartOf(v.Hours, v.Time)}
	p.summarize()
	p.Logout = s.sessions != nil
	p.Title = "leadstream"
	if v.Name != "" && v.Name != "leadstream" {
		p.Title = v.Name + " · leadstream"
	}
	if p.Needs > 0 {
		p.Title = count(int64(p.Needs), "problem", "problems") + " · " + p.Title
	}
	p.Counted, p.Asked = v.Hours != nil, v.Budget.Endpoints != nil
	p.Groups, p.Hidden = groups(v)
	p.Informed = v.Process.Active || !v.ReadAt.IsZero() || len(p.Groups) > 0
	p.Lag = furthest(v.Sources)
	for _, f := range v.Forms {
		p.Lag = max(p.Lag, f.LagSeconds)
	}
	p.HasLag = p.Lag > 0 || slices.ContainsFunc(v.Sources, func(src Source) bool { return !src.Live.IsZero() })
	for _, t := range v.Tasks {
		if !t.Done {
			p.TasksOpen++
		}
	}
	return p
}

// summarize finds out what is amiss, and what to say first.
func (p *statusPage) summarize() {
	p.Problems, p.Verdict, p.Needs = p.problems(), OK, 0
	if p.Starting {
		p.Verdict = Waiting
	}
	for _, x := range p.Problems {
		if urgency(x.State) > 0 {
			p.Needs++
		}
	}
	if len(p.Problems) > 0 {
		p.Verdict = p.Problems[0].State
	}
}

// Headline is the page in a few words.
func (p statusPage) Headline() string {
	things := count(int64(p.Needs), "thing", "things")
	if p.Needs == 1 {
		things = "one thing"
	}
	switch {
	case p.Verdict == Failing && p.Needs == 1:
		return "One thing needs attention"
	case p.Verdict == Failing:
		return things + " need attention"
	case p.Verdict == Warning:
		return "It works; look at " + things + " soon"
	case p.Starting && len(p.Problems) == 0:
		return "Starting: Kafka has not been reached yet"
	case p.Verdict == Waiting:
		return "Waiting for a while; there is nothing to do"
	case !p.Process.Active:
		return "Standing by"
	}
	return "Everything works"
}

// Button is what the button that leads to the consent says.
func (p statusPage) Button() string {
	if p.Connection.Stored {
		return "Reconnect LinkedIn"
	}
	return "Connect LinkedIn"
}

// NeedsConsent reports whether a problem is recovered by the consent: then the button
// stands beside it.
func (p statusPage) NeedsConsent() bool {
	return p.Connect && slices.ContainsFunc(p.Problems, func(x Problem) bool {
		return x.Part == partConsent && (strings.Contains(x.Todo, "onnect LinkedIn") || strings.Contains(x.Todo, "consent again"))
	})
}

// Here is a text as it reads on the page: what elsewhere leads to the page leads to
// what stands on it.
func (p statusPage) Here(text string) string {
	text = strings.ReplaceAll(text, "Connect or Reconnect LinkedIn", p.Button())
	for _, there := range []string{" on the status page", " of the status page"} {
		text = strings.ReplaceAll(text, there, "")
	}
	text = strings.ReplaceAll(text, "see the status page", "see below")
	return strings.ReplaceAll(text, "the status page", "this page")
}

// groups sorts sources and forms to their organizations; those that need a
// person come first. Owners that were not discovered follow at the end.
func groups(v View) ([]group, int) {
	forms := slices.Clone(v.Forms)
	slices.SortStableFunc(forms, func(a, b Form) int {
		return cmp.Or(urgency(b.State)-urgency(a.State), strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	hidden := max(len(forms)-formsShown, 0)
	forms = forms[:len(forms)-hidden]
	list := make([]group, 0, len(v.Organizations))
	at := map[string]int{}
	of := func(owner string) *group {
		i, known := at[owner]
		if !known {
			i = len(list)
			at[owner] = i
			list = append(list, group{Organization: Organization{URN: owner, Name: owner}})
		}
		return &list[i]
	}
	for _, o := range v.Organizations {
		g := of(o.URN)
		g.Organization, g.Known = o, true
		if g.Name == "" {
			g.Name = o.URN
		}
	}
	for _, src := range v.Sources {
		g := of(src.Owner)
		g.Sources = append(g.Sources, src)
	}
	for _, f := range forms {
		g := of(f.Owner)
		f.LagSeconds = cmp.Or(f.LagSeconds, furthest(g.Sources))
		g.Forms = append(g.Forms, f)
	}
	slices.SortStableFunc(list, func(a, b group) int { return place(a.Access) - place(b.Access) })
	return list, hidden
}

// place orders organizations: those that somebody has to see to come first,
// those that nobody asked for last.
func place(access State) int {
	switch access {
	case Failing:
		return 0
	case OK, Waiting:
	case Warning:
		return 2
	}
	return 1
}

// furthest is the lag of the source that is furthest behind, 0 when none was
// read yet.
func furthest(sources []Source) float64 {
	lag := 0.0
	for _, src := range sources {
		if !src.Live.IsZero() {
			lag = max(lag, src.LagSeconds)
		}
	}
	return lag
}

// urgency orders states by how soon a person should look.
func urgency(s State) int {
	switch s {
	case Failing:
		return 2
	case Warning:
		return 1
	case OK, Waiting:
	}
	return 0
}

// Ago is how long t is past when the page is made; "never" without a time.
func (p statusPage) Ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return ago(t, p.Time)
}

// ids are the URNs and the ids of forms in a text, and the numbers of those that it
// does not name.
var ids = regexp.MustCompile(`urn:li:[A-Za-z]+:[0-9]+|[0-9]+( more)?`)

// Spoken is a text with the names of the organizations and forms that it has the
// ids of.
func (p statusPage) Spoken(text string) string { return ids.ReplaceAllStringFunc(text, p.Named) }

// partNames are the words for the parts of the work that are not named after
// themselves.
var partNames = map[string]string{
	"kafka": "Kafka", "registry": "Schema registry", "linkedin": "LinkedIn", "consent": "LinkedIn",
	"role": "Access", "form": "Form", "schemas": "Schemas", "source": "Reading", "dead_letters": "Dead letters", "replay": "Replay", "clock": "Clock",
}

// Named is the name of the organization that part is the URN of, of the form
// that it is the id of, or the word for it; else part.
func (p statusPage) Named(part string) string {
	if name, ok := partNames[part]; ok {
		return name
	}
	for _, o := range p.Organizations {
		if o.URN == part && o.Name != "" {
			return o.Name
		}
	}
	for _, f := range p.Forms {
		if f.ID == part && f.Name != "" {
			return f.Name
		}
	}
	return part
}

// Dead reports that t, the end of a token, does not matter: nothing can be done
// with the token any more, although its time is not over.
func (p statusPage) Dead(t time.Time) bool {
	return t.IsZero() || p.Connection.State == Failing && t.After(p.Time)
}

// Left is how long until t.
func (p statusPage) Left(t time.Time) string { return left(t, p.Time) }

// Near is how urgent it is that t comes: within 30 days Warning, within 7
// Failing.
func (p statusPage) Near(t time.Time) State {
	switch d := t.Sub(p.Time); {
	case d < 7*day:
		return Failing
	case d < 30*day:
		return Warning
	}
	return OK
}
