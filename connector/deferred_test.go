package connector

import (
	"errors"
	"testing"
	"time"

	"leadstream/internal/checkpoint"
)

// TestWhatIsDeferredKeepsTheBoundUnderWhichItWasRead: a suspended form waits for a lead of a
// replay, one of the backfill and a live one. Each counts as it did when it was read.
func TestWhatIsDeferredKeepsTheBoundUnderWhichItWasRead(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 30 * 24 * time.Hour
	begin := w.now()
	w.linkedin.submit("asked for", begin.Add(-40*24*time.Hour))
	w.linkedin.submit("backfill", begin.Add(-20*24*time.Hour))
	w.opts.Replay = &ReplayOptions{ID: "one day", From: begin.Add(-41 * 24 * time.Hour), To: begin.Add(-39 * 24 * time.Hour), Mode: checkpoint.Missing}
	e := w.start()
	e.forms.Suspend(formID, errors.New("the registry is away"))
	w.linkedin.submit("live", begin.Add(time.Second))
	w.tick(e, time.Minute)
	w.catchUp(e)
	r, err := e.replayer().begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.replayer().all(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.expectIDs(formID)
	for range 2 { // also in the next session
		got := map[checkpoint.Bound]int{}
		for _, r := range e.state().Deferred[checkpoint.DeferredID{Source: src, Form: formID}].Parts() {
			got[r.Bound]++
		}
		if len(got) != 3 || got[checkpoint.Bound{Explicit: true}] != 1 || got[checkpoint.Bound{Fresh: true}] != 1 || got[checkpoint.Bound{}] != 1 {
			t.Errorf("ranges by bound: %v, want one of each", got)
		}
		e = w.start()
	}
	w.settle(e)
	w.expectIDs(formID, "asked for", "backfill", "live")
}
