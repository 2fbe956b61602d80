package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Problem is one thing that is amiss: what stands at the top of the page, and
// decides what the page says first.
type Problem struct {
	// State: Failing needs a person, Warning one who looks soon, Waiting nobody.
	State State `json:"state"`
	// Part is kafka, registry, schemas, consent, role, source, form, dead_letters, or
	// that of an Error.
	Part string `json:"part"`
	// Text is what is amiss, and why.
	Text string `json:"text"`
	Todo string `json:"todo"`
}

const (
	partConsent     = "consent"
	partDeadLetters = "dead_letters"
	partForm        = "form"
	partRole        = "role"
	partSchemas     = "schemas"
	partSource      = "source"
)

// lasting is how long something that time fixes goes on before it is a problem.
const lasting = 3 * time.Minute

// mostProblems bounds those of one part; the rest is told in one line.
const mostProblems = 8

// problems are what is amiss, the worst first: each thing once, where several have
// one cause together. No part of the page below shows a worse state than the worst
// of them.
func (p *statusPage) problems() []Problem {
	c := collector{page: p, told: map[string]State{}}
	c.away()
	c.consent()
	c.roles()
	c.sources()
	c.records()
	c.forms()
	c.deadLetters()
	c.errors()
	c.rest()
	slices.SortStableFunc(c.list, func(a, b Problem) int { return urgency(b.State) - urgency(a.State) })
	return c.list
}

// seeBelow is what to do where nobody has said it.
const seeBelow = "look at what stands below about it"

// collector gathers problems from the parts of a page.
type collector struct {
	page *statusPage
	list []Problem
	// told are the parts, the URNs and the ids of forms that a problem is about, with
	// how bad the worst is.
	told map[string]State
}

func (c *collector) add(state State, part, text, todo string, about ...string) {
	c.list = append(c.list, Problem{State: state, Part: part, Text: text, Todo: cmp.Or(todo, seeBelow)})
	for _, id := range append(about, part) {
		if c.told[id] == "" || urgency(state) > urgency(c.told[id]) {
			c.told[id] = state
		}
	}
}

// away tells that Kafka or the registry does not answer, and why.
func (c *collector) away() {
	for _, d := range c.page.Degraded {
		if d.Part != "kafka" && d.Part != "registry" {
			continue
		}
		text, todo := d.Reason, d.Todo
		for _, e := range c.page.Errors {
			if e.Part == d.Part && !e.Over {
				text, todo = text+": "+e.Text, cmp.Or(e.Todo, todo)
				break
			}
		}
		waiting := 0
		for i := range c.page.Forms {
			if f := &c.page.Forms[i]; f.State == Failing && f.Cause == d.Part {
				waiting++
			}
		}
		if waiting > 0 {
			text += " (the leads of " + count(int64(waiting), "form", "forms") + " wait for it, and are kept)"
		}
		c.add(Failing, d.Part, text, todo)
	}
}

// consent tells that LinkedIn is not connected, or will not be for long.
func (c *collector) consent() {
	v := &c.page.Connection
	near, end := c.consentEnds()
	degraded := slices.IndexFunc(c.page.Degraded, func(d Degradation) bool { return d.Part == partConsent })
	switch {
	case v.State != Failing && degraded >= 0:
		d := c.page.Degraded[degraded]
		c.add(Failing, partConsent, d.Reason, d.Todo)
	case v.State == Failing && v.Problem == "":
		c.add(Failing, partConsent, "leadstream is not connected to LinkedIn", cmp.Or(v.Todo, "press Connect LinkedIn"))
	case v.State == Failing:
		c.add(Failing, partConsent, v.Problem, v.Todo)
	case len(v.MissingScopes) > 0:
		c.add(Failing, partConsent, "the consent lacks "+strings.Join(v.MissingScopes, ", "), "press Reconnect LinkedIn")
	case v.State == Warning || near != OK:
		if near == OK {
			near = Warning
		}
		text := v.Note
		if text == "" && !end.IsZero() {
			text = "the consent at LinkedIn ends on " + dateTime(end) + " (" + left(end, c.page.Time) + ")"
		}
		c.add(near, partConsent, cmp.Or(text, "the connection to LinkedIn should be looked after"),
			"press Reconnect LinkedIn before it ends; nothing stops for it")
	}
}

// consentEnds is how near the end of the consent is, and when it is; the zero time
// where that is not known.
func (c *collector) consentEnds() (near State, end time.Time) {
	v := &c.page.Connection
	end = v.RefreshExpiresAt
	if end.IsZero() && !v.Refreshable {
		end = v.AccessExpiresAt
	}
	if c.page.Dead(end) {
		return OK, end
	}
	return c.page.Near(end), end
}

// roles are the organizations that cannot be read.
func (c *collector) roles() {
	var of gathering
	for _, o := range c.page.Organizations {
		if o.Access == Failing {
			of.add(Failing, cmp.Or(o.Problem, "its leads cannot be read"), o.Todo, o.URN)
		}
	}
	c.addAll(partRole, &of, func(g *gathered, names string) string { return names + " cannot be read: " + g.why })
}

// sources are those that are not read as they should be. Where that has a cause
// which is told, they are not told of beside it.
func (c *collector) sources() {
	var of gathering
	for _, src := range c.page.Sources {
		amiss := urgency(src.State) > 0 || src.State == Waiting && src.Problem != ""
		if amiss && c.told[src.Owner] == "" && c.told[src.Cause] == "" {
			of.add(src.State, cmp.Or(src.Problem, "its leads are not read as they should be"), src.Todo, src.Owner)
		}
	}
	c.addAll(partSource, &of, func(g *gathered, names string) string { return g.why + " (" + names + ")" })
}

// records tells of those that cannot be read any more. The leads of their forms do
// not wait.
func (c *collector) records() {
	for _, d := range c.page.Degraded {
		if d.Part == partSchemas {
			c.add(Failing, d.Part, c.page.Spoken(d.Reason), d.Todo)
		}
	}
}

// forms are those whose leads wait until somebody acts.
func (c *collector) forms() {
	var of gathering
	behind := map[string]float64{}
	for i := range c.page.Forms {
		f := &c.page.Forms[i]
		if f.State != Failing && f.State != Warning || f.Cause != f.ID && c.told[f.Cause] == Failing {
			continue
		}
		of.add(f.State, cmp.Or(f.Problem, "it is "+strings.ToLower(cmp.Or(f.Label, "suspended"))), f.Todo, f.ID)
		if f.Waiting {
			behind[f.ID] = f.LagSeconds
		}
	}
	c.addAll(partForm, &of, func(g *gathered, names string) string {
		text := "no leads go out for " + names + ": " + g.why
		oldest := 0.0
		for _, id := range g.ids {
			oldest = max(oldest, behind[id])
		}
		if oldest > 0 {
			its := "Its"
			if len(g.ids) > 1 {
				its = "Their"
			}
			text += ". " + its + " leads are kept; the oldest was submitted " + spanSeconds(oldest) + " ago"
		}
		return text
	})
}

// deadLetters tells that leads could not be published.
func (c *collector) deadLetters() {
	d := &c.page.DeadLetters
	if d.Total == 0 {
		return
	}
	text := count(d.Total, "lead", "leads") + " could not be published"
	if d.More {
		text = "more than " + text
	}
	if len(d.Reasons) == 1 && d.Reasons[0].Text != "" {
		text += " (" + d.Reasons[0].Text + ")"
	}
	if !d.Last.IsZero() {
		text += ", the last " + c.page.Ago(d.Last)
	}
	c.add(Failing, partDeadLetters, text, "see why with `leadstream deadletters list`; once that is fixed, stop leadstream, run `leadstream deadletters retry` and start it again")
}

// errors are those that nothing above tells of.
func (c *collector) errors() {
	for _, e := range c.page.Errors {
		state := cmp.Or(e.State, Failing)
		told := c.told[e.Part] != "" && urgency(c.told[e.Part]) >= urgency(state)
		if e.Over || told || e.Part == "linkedin" && state == Waiting && c.told[partSource] != "" {
			continue
		}
		if state == Waiting && (e.Since.IsZero() || c.page.Time.Sub(e.Since) < lasting) {
			continue // it may be over in a moment
		}
		x := Problem{State: state, Part: e.Part, Text: e.Text, Todo: cmp.Or(e.Todo, seeBelow)}
		if i := slices.IndexFunc(c.list, func(y Problem) bool { return y.Part == x.Part && y.Text == x.Text }); i < 0 {
			c.list = append(c.list, x)
		} else if urgency(x.State) > urgency(c.list[i].State) {
			c.list[i] = x
		}
	}
}

// rest is whatever else is degraded: the page is no better than the probe.
func (c *collector) rest() {
	for _, d := range c.page.Degraded {
		told := c.told[d.Part]
		if d.Part == partSource && (told != "" || slices.ContainsFunc(c.list, func(x Problem) bool { return x.State == Failing })) {
			continue // it waits for what needs nobody, or for what is told
		}
		if told != Failing {
			c.add(Failing, d.Part, c.page.Spoken(d.Reason), d.Todo)
		}
	}
}

// addAll adds what was gathered, up to so much of one part.
func (c *collector) addAll(part string, of *gathering, text func(g *gathered, names string) string) {
	for i, g := range of.list {
		if i == mostProblems-1 && len(of.list) > mostProblems {
			c.others(part, of.list[i:])
			return
		}
		c.add(g.state, part, text(g, c.names(g.ids)), g.todo, g.ids...)
	}
}

// others tells in one line of what has too many causes to tell of each.
func (c *collector) others(part string, list []*gathered) {
	state := Waiting
	var ids []string
	for _, g := range list {
		if urgency(g.state) > urgency(state) {
			state = g.state
		}
		ids = append(ids, g.ids...)
	}
	c.add(state, part, fmt.Sprintf("%d more have reasons of their own: %s", len(ids), c.names(ids)), "look below: each stands there with its reason and what to do", ids...)
}

// names are those of organizations and forms, up to three of many.
func (c *collector) names(ids []string) string {
	const shown = 3
	var names []string
	for _, id := range ids[:min(len(ids), shown)] {
		name := c.page.Named(id)
		if name == id && !strings.HasPrefix(id, "urn:") {
			name = "form " + id
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	text := strings.Join(names, ", ")
	if more := len(ids) - shown; more > 0 {
		text = fmt.Sprintf("%s and %d more", text, more)
	}
	return text
}

// gathering are things that are amiss, those of one cause together.
type gathering struct{ list []*gathered }

type gathered struct {
	state     State
	why, todo string
	ids       []string
	cause     string
}

// add puts one to those of the same cause: the same words, but for its own id.
func (g *gathering) add(state State, why, todo, id string) {
	cause := string(state) + "\n" + strings.ReplaceAll(why, id, "…") + "\n" + strings.ReplaceAll(todo, id, "…")
	i := slices.IndexFunc(g.list, func(x *gathered) bool { return x.cause == cause })
	if i < 0 {
		g.list = append(g.list, &gathered{state: state, why: why, todo: todo, cause: cause})
		i = len(g.list) - 1
	}
	if !slices.Contains(g.list[i].ids, id) {
		g.list[i].ids = append(g.list[i].ids, id)
	}
}
