package connector

import (
	"testing"
	"time"

	"go.uber.org/zap"

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
		if _, err := e.discover(t.Context()); err != nil {
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

func TestARoleThatIsLostIsAnErrorAlsoWhereNobodyNamedThePage(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	w.linkedin.orgs[0].Problem, w.linkedin.orgs[0].Incidental = "ANALYST only", true
	if _, err := e.discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := e.Status().Organizations; len(st) != 1 || st[0].Incidental {
		t.Errorf("status = %+v, want a failure", st)
	}
	if w.logs.FilterLevelExact(zap.ErrorLevel).FilterMessageSnippet("organization cannot be read").Len() != 1 {
		t.Error("a lost role was not said as an error")
	}
}
