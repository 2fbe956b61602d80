package connector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// refusals are the ways in which LinkedIn may refuse a form that it does not call
// gone.
var refusals = map[string]error{
	"forbidden":      fault.Refuse(fault.Forbidden, errors.New("403")),
	"wrong request":  fault.Refuse(fault.Wrong, errors.New("400")),
	"no token":       fault.As(fault.Pause, errors.New("401")),
	"no reason told": fault.As(fault.Suspend, errors.New("418")),
	"of the moment":  errors.New("503"),
}

// A form that is refused keeps its leads back, loudly, and they have their columns
// once it is shown. Other forms and the source go on.
func TestAFormThatIsRefusedKeepsItsLeadsUntilItIsShown(t *testing.T) {
	for name, refusal := range refusals {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.addOther()
			w.opts.Backfill = 24 * time.Hour
			w.linkedin.onEvents = nil
			w.linkedin.formDown[formID] = refusal
			for i := range 20 {
				w.linkedin.submit(fmt.Sprint("old", i), w.now().Add(-time.Hour))
			}
			e := w.start()
			w.linkedin.submit("new", w.now().Add(time.Second))
			w.linkedin.submit("other", w.now().Add(2*time.Second)).Form.ID = other
			w.tick(e, time.Minute)
			w.catchUp(e)
			w.expectIDs(other, "other")
			w.expectIDs(formID)
			if st := e.Status(); len(st.Deferred) != 1 || !suspendedIn(st, formID) {
				t.Fatalf("status = %+v, want form %s suspended and deferred", st, formID)
			}
			lines := w.logs.FilterMessageSnippet("form suspended").All()
			if len(lines) != 1 || (lines[0].Level == zap.ErrorLevel) != fault.KindOf(refusal).NeedsPerson() {
				t.Errorf("the suspension was said as %v, want one line, an error where a person must act", lines)
			}
			w.linkedin.clock = w.linkedin.clock.Add(time.Hour)
			if err := e.forms.Recover(t.Context(), true); err != nil || e.forms.Suspended(formID) == nil {
				t.Fatalf("fix = %v; want the form suspended while it is refused", err)
			}
			delete(w.linkedin.formDown, formID)
			w.settle(e)
			records := w.topic(formID)
			if len(records) != 21 {
				t.Errorf("%d records, want 21", len(records))
			}
			for _, r := range records {
				if r.value["name"] == nil {
					t.Errorf("lead %s has no value in its column: %v", r.id, r.value)
				}
			}
		})
	}
}

func suspendedIn(st Status, form string) bool {
	for _, f := range st.Forms {
		if f.ID == form {
			return f.Suspended() && f.Problem != ""
		}
	}
	return false
}

// The form of an event that is refused is told of before a lead needs it; one that
// is known goes on as long as nothing of it is lacking.
func TestADiscoveryTellsOfARefusedFormOfAnEvent(t *testing.T) {
	for name, refusal := range refusals {
		if fault.KindOf(refusal) != fault.Suspend {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.linkedin.formDown[formID] = refusal
			forms := w.linkedin.forms
			w.linkedin.forms = nil // the list of the organization's forms leaves it out
			e := w.start()
			if !suspendedIn(e.Status(), formID) {
				t.Errorf("status = %+v, want form %s suspended", e.Status().Forms, formID)
			}
			w.linkedin.forms = forms
			delete(w.linkedin.formDown, formID)
			w.settle(e)
			w.linkedin.forms, w.linkedin.formDown[formID] = nil, refusal
			if _, err := e.discovery.discover(t.Context()); err != nil || suspendedIn(e.Status(), formID) {
				t.Errorf("discover = %v; want a form that is known to go on", err)
			}
			told := func() bool {
				return slices.ContainsFunc(e.issues.List(), func(x Issue) bool { return x.Part == formID && !x.Resolved && x.Todo != "" })
			}
			if !told() {
				t.Errorf("issues = %+v, want the refusal told", e.issues.List())
			}
			defer func() {
				w.linkedin.forms = forms
				delete(w.linkedin.formDown, formID)
				if _, err := e.discovery.discover(t.Context()); err != nil || told() {
					t.Errorf("%v; the refusal is over and still told: %+v", err, e.issues.List())
				}
			}()
			w.linkedin.submit("a", w.now().Add(time.Second))
			w.tick(e, time.Minute)
			w.expectIDs(formID, "a")
		})
	}
}

// A lead of a version that cannot be fetched waits; the reason names the form.
func TestAKnownFormThatLacksWhatIsRefusedIsSuspended(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.linkedin.formDown[formID] = fault.Refuse(fault.Forbidden, errors.New("403"))
	w.linkedin.submit("a", w.now().Add(time.Second)).Answers = []lead.Answer{{QuestionID: 77, Kind: lead.TextAnswer, Text: "x"}}
	w.tick(e, time.Minute)
	w.expectIDs(formID)
	if why := e.forms.Suspended(formID); why == nil || !strings.Contains(why.Error(), formID) {
		t.Errorf("suspended because of %v, want the form named", why)
	}
}

// What is deferred of a suspended form goes out without columns.
func TestASuspendedFormThatIsGoneThenGetsItsLeads(t *testing.T) {
	w := newWorld(t)
	w.linkedin.onEvents = nil
	w.linkedin.formDown[formID] = fault.Refuse(fault.Forbidden, errors.New("403"))
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	w.linkedin.formDown[formID] = fault.Refuse(fault.Gone, errors.New("410"))
	w.settle(e)
	w.expectIDs(formID, "a")
	for _, f := range e.Status().Forms {
		if f.ID == formID && !f.Gone() {
			t.Errorf("form %s is %s, want it gone", formID, f.State)
		}
	}
}
