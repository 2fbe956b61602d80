package connector

import (
	"errors"
	"testing"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// TestOneDeadLetterThatCannotGoOutKeepsNoOtherBack, whatever kind of error keeps it.
func TestOneDeadLetterThatCannotGoOutKeepsNoOtherBack(t *testing.T) {
	for name, down := range map[string]error{"retry": errors.New("503"), "pause": fault.As(fault.Pause, errors.New("426")), "suspend": fault.As(fault.Suspend, errors.New("403"))} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.start()
			w.tick(e, time.Minute)
			w.linkedin.formDown[other] = down
			at := w.now().Add(-time.Hour)
			a := lead.Response{ID: "a", Owner: owner, Type: "EVENT", SubmittedAt: at, Form: lead.FormRef{ID: other, Version: 1}}
			b := w.linkedin.submit("b", at).Response
			out, err := New(w.opts).Republish(t.Context(), []StoredDeadLetter{{Key: "x@1", Problem: "LinkedIn does not give it"}, {Key: "a@1", Response: a}, {Key: "b@1", Response: b}})
			if err != nil || len(out) != 3 || out[0].Problem != "LinkedIn does not give it" || out[1].Problem == "" || out[2].Problem != "" {
				t.Errorf("%+v, %v; want that the last one alone goes out", out, err)
			}
			w.expectIDs(formID, "b")
		})
	}
}

// TestDeadLettersOfOneLeadDoNotOvertakeEachOther: the topic of dead letters has them in the
// order in which they broke, not in that of their submissions.
func TestDeadLettersOfOneLeadDoNotOvertakeEachOther(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	first := w.linkedin.submit("a", w.now().Add(-2*time.Hour)).Response
	second := w.linkedin.submit("a", w.now().Add(-time.Hour)).Response
	out, err := New(w.opts).Republish(t.Context(), []StoredDeadLetter{{Key: "2", Response: second}, {Key: "1", Response: first}})
	if err != nil || len(out) != 2 || out[0] != (Outcome{Key: "1", Result: "published"}) || out[1] != (Outcome{Key: "2", Result: "published"}) {
		t.Errorf("%+v, %v; want both published", out, err)
	}
}
