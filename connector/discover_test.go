package connector

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

func TestAPageThatNobodyAskedForIsNoError(t *testing.T) {
	w := newWorld(t)
	w.linkedin.orgs = append(w.linkedin.orgs, lead.Organization{URN: stranger, Roles: []string{"ANALYST"}, Problem: "ANALYST only", Incidental: true})
	e := w.start()
	w.tick(e, time.Minute)
	if n := w.logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 0 {
		t.Errorf("%d errors, want none: %v", n, w.logs.FilterLevelExact(zap.ErrorLevel).All())
	}
	for range 2 {
		if _, err := e.discovery.discover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.logs.FilterMessageSnippet("organization is left out").Len(); n != 1 {
		t.Errorf("that it is left out was said %d times, want once", n)
	}
	if st := e.Status().Organizations; len(st) != 2 || !st[1].Incidental || st[1].Problem == "" {
		t.Errorf("status = %+v, want the page with its problem, incidental", st)
	}
}

// unlisted is LinkedIn whose list of forms lacks those of events.
type unlisted struct{ *fakeLinkedIn }

func (u *unlisted) Forms(context.Context, string) ([]lead.Form, error) { return nil, nil }

// usedUp is a failure that is over after a while.
type usedUp struct{ after time.Duration }

func (l *usedUp) Error() string             { return "the requests of today are used up" }
func (l *usedUp) RetryAfter() time.Duration { return l.after }

func TestAFormOfAnEventThatFailsForTheMomentIsReadAgainSoon(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	w.linkedin.onEvents = []string{formID, other}
	w.opts.LinkedIn = &unlisted{w.linkedin}
	w.linkedin.formDown[formID] = errors.New("503")
	e := w.start()
	failed, err := e.discovery.discover(t.Context())
	if err != nil || len(failed) != 1 || failed[0] != owner {
		t.Fatalf("discover = %v, %v; want the organization again before the next discovery", failed, err)
	}
	if e.forms.Get(other) == nil || e.forms.Get(formID) != nil {
		t.Errorf("the form that could be read must be known, and no other: %v", e.forms.All())
	}
	for range 2 {
		if failed, err = e.discovery.owners(t.Context(), failed); err != nil || len(failed) != 1 {
			t.Fatalf("discoverOwners = %v, %v; want the organization again", failed, err)
		}
	}
	if n := w.logs.FilterMessageSnippet("cannot be read; they are tried again").Len(); n != 1 {
		t.Errorf("that they cannot be read was said %d times, want once", n)
	}
	w.linkedin.formDown[formID] = &usedUp{time.Hour}
	if failed, err = e.discovery.discover(t.Context()); err != nil || len(failed) > 0 {
		t.Errorf("discover = %v, %v; want what is to wait for an hour left to the next discovery", failed, err)
	}
	failed = []string{owner}
	delete(w.linkedin.formDown, formID)
	if failed, err = e.discovery.owners(t.Context(), failed); err != nil || len(failed) > 0 || e.forms.Get(formID) == nil {
		t.Errorf("discoverOwners = %v, %v; want the form known", failed, err)
	}
	w.linkedin.formDown[formID] = fault.Refuse(fault.Gone, errors.New("404"))
	if failed, err = e.discovery.discover(t.Context()); err != nil || len(failed) > 0 {
		t.Errorf("discover = %v, %v; want a form that does not show left to the next discovery", failed, err)
	}
}

func TestARoleThatIsLostIsAnErrorAlsoWhereNobodyNamedThePage(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	w.linkedin.orgs[0].Problem, w.linkedin.orgs[0].Incidental = "ANALYST only", true
	if _, err := e.discovery.discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := e.Status().Organizations; len(st) != 1 || st[0].Incidental {
		t.Errorf("status = %+v, want a failure", st)
	}
	if w.logs.FilterLevelExact(zap.ErrorLevel).FilterMessageSnippet("organization cannot be read").Len() != 1 {
		t.Error("a lost role was not said as an error")
	}
}

// TestATakeoverSaysWhatIsNewAndNothingElse: how everything stands was said by whoever
// worked before, and is shown by the status; what needs a person is said by each process.
func TestATakeoverSaysWhatIsNewAndNothingElse(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	w.linkedin.onEvents = []string{formID, other, "7130000000000000009"}
	w.linkedin.formDown["7130000000000000009"] = fault.Refuse(fault.Gone, errors.New("404"))
	w.linkedin.orgs = append(w.linkedin.orgs, lead.Organization{URN: stranger, Roles: []string{"ANALYST"}, Problem: "ANALYST only", Incidental: true},
		lead.Organization{URN: "urn:li:organization:3", Problem: "no role"})
	w.opts.Backfill = 24 * time.Hour
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if err := e.discovery.saveAccess(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.backfiller(src).work(t.Context(), e.state().Sources[src].Backlog[0]); err != nil { // a part of it is done
		t.Fatal(err)
	}
	said := func(work func()) []string {
		before := len(w.logs.All())
		work()
		var list []string
		for _, l := range w.logs.All()[before:] {
			if l.Level >= zap.InfoLevel {
				list = append(list, l.Message)
			}
		}
		return list
	}
	same := e.Connector
	again := func(c *Connector) func() {
		return func() {
			e, err := c.open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			e.sources.add(src)
			for range 2 {
				if _, err := e.discovery.discover(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			w.tick(e, time.Minute)
			c.leave()
		}
	}
	if got := said(again(same)); !slices.Equal(got, []string{"working", "no longer working"}) {
		t.Errorf("a process that takes over again says %q", got)
	}
	if got := said(again(New(w.opts))); !slices.Equal(got, []string{"working", "organization cannot be read", "LinkedIn does not show the form of an event", "no longer working"}) {
		t.Errorf("another process that takes over says %q", got)
	}
}
