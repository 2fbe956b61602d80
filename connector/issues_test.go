package connector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/schema"
)

// troubled is a list with a clock of the test's.
func troubled() (*Issues, *time.Time) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return NewIssues(func() time.Time { return now }, nil), &now
}

var errRegistry = &schema.RegistryError{Op: "registering", Status: 503, Err: errors.New("away")}

var errAway = &kafka.UnreachableError{Op: "committing", Err: errors.New("connection refused")}

func TestOneIssueIsToldOnceHoweverOftenItIsMet(t *testing.T) {
	list, now := troubled()
	for i := range 6 {
		list.Report(owner, fmt.Sprintf("polling source %d", i%3), fmt.Errorf("attempt %d: %w", i, errAway))
		*now = now.Add(time.Second)
	}
	got := list.List()
	if len(got) != 1 {
		t.Fatalf("%d issues, want one: %+v", len(got), got)
	}
	x := got[0]
	if x.Part != PartKafka || x.Count != 6 || x.Last.Sub(x.First) != 5*time.Second || x.Resolved || !strings.HasPrefix(x.Text, "attempt 5") || x.Todo == "" {
		t.Errorf("issue = %+v, want six of Kafka's within 5 s, the newest text, with what to do", x)
	}
	for i := range 3 {
		if list.List()[0].Resolved {
			t.Fatalf("over while %d works still fail", 3-i)
		}
		list.Resolve(fmt.Sprintf("polling source %d", i))
	}
	if !list.List()[0].Resolved {
		t.Error("not over although everything that met it has succeeded")
	}
	list.Report(owner, "polling source 0", errAway)
	if x := list.List()[0]; x.Resolved || x.Count != 7 {
		t.Errorf("met again: %+v, want the same one, open, a seventh time", x)
	}
}

func TestIssuesOfSeveralKindsAreToldApart(t *testing.T) {
	list, _ := troubled()
	list.Report(owner, "polling", fault.As(fault.Pause, errors.New("consent is needed")))
	list.Report(owner, "polling", errors.New("LinkedIn answered 500")) // it is reached again
	list.Report("", "discovery", fault.As(fault.Pause, errors.New("consent is needed")))
	list.Resolve("discovery")
	byText := map[string]Issue{}
	for _, x := range list.List() {
		byText[x.Text] = x
	}
	if x := byText["consent is needed"]; len(byText) != 2 || !x.Resolved || x.Count != 2 {
		t.Errorf("issues = %+v, want the consent told twice and over, and the 500", byText)
	}
	if x := byText["LinkedIn answered 500"]; x.Resolved {
		t.Errorf("the 500 is told as over: %+v", x)
	}
}

func TestAnIssueIsFiledUnderWhomItConcerns(t *testing.T) {
	registry := &schema.RegistryError{Op: "registering", Status: 503, Err: errors.New("away")}
	for _, tt := range []struct {
		name, about, want string
		err               error
	}{
		{"Kafka away, met for one organization", owner, PartKafka, fmt.Errorf("publishing: %w", errAway)},
		{"a topic that takes nothing", formID, formID, &kafka.TopicError{Topic: "t", Index: -1, Err: kafka.ErrTopicMissing}},
		{"a topic, met for no form", "", PartKafka, &kafka.TopicError{Topic: "t", Index: -1}},
		{"the epoch", "", PartKafka, &kafka.EpochLostError{TransactionalID: "leadstream"}},
		{"a record that cannot be read", "", PartKafka, &checkpoint.UnreadableError{Key: "hours", Err: errors.New("version 7")}},
		{"a deletion that cannot be read", "", PartKafka, &delivery.UnreadableDeletionError{Topic: "leadstream.deletions", Key: "a"}},
		{"the token's topic", "", PartKafka, fmt.Errorf("authorizing the request: %w", errAway)},
		{"another installation's topic", formID, formID, &delivery.ForeignTopicError{Topic: "t", Name: "other"}},
		{"registry away, the form suspended for it", formID, PartRegistry, fault.As(fault.Suspend, registry)},
		{"wrong password", formID, PartRegistry, fault.As(fault.Suspend, &schema.AuthError{Op: "registering", Status: 401})},
		{"a schema it will never take", formID, formID, &schema.RegistryError{Op: "registering", Status: 422, Code: 42201, Err: errors.New("invalid")}},
		{"somebody else's schema", formID, formID, &schema.IncompatibleError{Subject: "s", Differences: []string{"d"}}},
		{"an organization that refuses", owner, owner, fault.As(fault.Suspend, errors.New("403"))},
		{"LinkedIn's own fault", owner, PartLinkedIn, errors.New("500")},
		{"the consent", owner, PartLinkedIn, fault.As(fault.Pause, errors.New("revoked"))},
	} {
		if got := partOf(tt.about, "work", tt.err); got != tt.want {
			t.Errorf("%s: filed under %s, want %s", tt.name, got, tt.want)
		}
		if text, todo := told(tt.err); todo == "" || strings.Contains(text, todo) {
			t.Errorf("%s: text %q and what to do %q, want both, and nothing said twice", tt.name, text, todo)
		}
	}
}

// todoError says itself what to do, in its text as well.
type todoError struct{ todo string }

func (e *todoError) Error() string { return "refused; " + e.todo }
func (e *todoError) Todo() string  { return e.todo }

func TestWhatToDoIsSaidOnce(t *testing.T) {
	text, todo := told(fmt.Errorf("reading: %w", &todoError{"ask again"}))
	if text != "reading: refused" || todo != "ask again" {
		t.Errorf("told = %q, %q; want the two apart", text, todo)
	}
}

func TestNoPersonIsNamed(t *testing.T) {
	err := errors.New(`answered 403 "urn:li:person:Ab3_x-9 has no role on urn:li:organization:5, nor urn:li:member:12345"`)
	if text, _ := told(err); strings.Contains(text, "Ab3") || strings.Contains(text, "12345") || !strings.Contains(text, "urn:li:organization:5") {
		t.Errorf("told = %q, want no person's URN and the organization's", text)
	}
	if text, _ := told(errors.New(strings.Repeat("ü", 5000))); len(text) > maxText+5 || !strings.HasSuffix(text, "ü…") {
		t.Errorf("a text of 10,000 bytes is told in %d: …%q", len(text), text[len(text)-8:])
	}
}

func TestTheNumberOfIssuesIsBounded(t *testing.T) {
	list, now := troubled()
	for i := range 10 * maxIssues {
		*now = now.Add(time.Second)
		list.Report(fmt.Sprint(i), fmt.Sprint("work ", i), fault.As(fault.Suspend, errors.New("refused")))
		if i != 3 {
			list.Resolve(fmt.Sprint("work ", i))
		}
	}
	got := list.List()
	if len(got) != maxIssues || got[0].Part != fmt.Sprint(10*maxIssues-1) {
		t.Errorf("%d issues, the latest of %s; want the last %d", len(got), got[0].Part, maxIssues)
	}
	if got[len(got)-1].Part != "3" || got[len(got)-1].Resolved {
		t.Errorf("the one that is not over has gone: %+v", got[len(got)-1])
	}
}

func TestThatThereIsNoAccessSaysWhyEachRequestIsRefused(t *testing.T) {
	list, _ := troubled()
	list.Report(owner, "the access to "+owner, &accessError{"no role", "ask for it"})
	list.Report(owner, "polling", fault.As(fault.Suspend, errors.New("403 ACCESS_DENIED")))
	if got := list.List(); len(got) != 1 || got[0].Text != "no role" || got[0].Count != 2 {
		t.Errorf("issues = %+v, want one, that there is no role", got)
	}
	list.Resolve("the access to " + owner)
	list.Report(owner, "polling", fault.As(fault.Suspend, errors.New("403 ACCESS_DENIED")))
	if got := list.List(); got[0].Text != "403 ACCESS_DENIED" {
		t.Errorf("with the role back: %+v, want what LinkedIn says now", got)
	}
}

// What failed in one session is begun anew by the next, which knows nothing of it.
func TestANewEpochHasNoIssueOfTheOneBefore(t *testing.T) {
	w := newWorld(t)
	w.linkedin.onEvents = nil
	w.linkedin.formDown[formID] = errors.New("503")
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	open := func() (n int) {
		for _, x := range e.Issues().List() {
			if !x.Resolved {
				n++
			}
		}
		return n
	}
	if open() != 1 {
		t.Fatalf("issues = %+v, want the suspended form", e.Issues().List())
	}
	e.leave()
	if _, err := e.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if open() != 0 {
		t.Errorf("issues = %+v, want none that is not over", e.Issues().List())
	}
}

// What a process met while it worked is not "still there" once another process
// does that work.
func TestIssuesOfAnEpochEndWithIt(t *testing.T) {
	w := newWorld(t)
	w.opts.Interval = 20 * time.Millisecond
	c := New(w.opts)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	w.waitUntil("reading", func() bool { return !source(c, owner).Success.IsZero() })
	w.linkedin.mu.Lock()
	w.linkedin.down = &kafka.UnreachableError{Op: "reading the stored token", Err: errors.New("EOF")} // token.store kafka
	w.linkedin.mu.Unlock()
	w.waitUntil("telling it", func() bool { list := c.Issues().List(); return len(list) > 0 && !list[0].Resolved })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, x := range c.Issues().List() {
		if !x.Resolved {
			t.Errorf("the process stands by, and nothing it does will ever close this: %s: %s", x.Part, x.Text)
		}
	}
}

func TestASuspendedFormsIssueIsOverOnceItIsRecovered(t *testing.T) {
	w := newWorld(t)
	w.linkedin.onEvents = nil
	w.linkedin.formDown[formID] = errors.New("503")
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if err := e.deferrer.round(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if x := e.Issues().List()[0]; x.Count != 2 || x.Resolved {
		t.Errorf("after another trial: %+v, want it told twice", x)
	}
	delete(w.linkedin.formDown, formID)
	if err := e.deferrer.round(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	w.expectIDs(formID, "a")
	if x := e.Issues().List()[0]; !x.Resolved {
		t.Errorf("recovered: %+v, want it over", x)
	}
}
