package connector

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/lead"
)

const stranger = "urn:li:organization:9000456"

// replay asks for the three hours before now.
func (w *world) replay() {
	w.opts.Replay = &ReplayOptions{ID: "r", From: w.now().Add(-3 * time.Hour), To: w.now(), Mode: checkpoint.Missing}
}

// begun is a replay record of these owners, none of which was read yet.
func (w *world) begun(e *leader, owners ...string) checkpoint.Replay {
	w.t.Helper()
	r := checkpoint.Replay{From: w.opts.Replay.From, To: w.opts.Replay.To, Mode: checkpoint.Missing, Created: w.now(), Next: map[string]time.Time{}}
	for _, owner := range owners {
		r.Next[lead.Source{Owner: owner, Type: "EVENT"}.String()] = r.From
	}
	if err := e.replayer().record(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
	return r
}

func TestAReplayEndsBesideAPageThatTheMemberDoesNotAdminister(t *testing.T) {
	w := newWorld(t)
	w.linkedin.submit("a", w.now().Add(-2*time.Hour))
	w.linkedin.orgs = append(w.linkedin.orgs, lead.Organization{URN: stranger, Roles: []string{"ANALYST"}, Problem: "the authorising member is ANALYST of this page"})
	w.replay()
	w.runUntil("replayed", w.logged("replay done"))
	w.expectIDs(formID, "a")
}

func TestAReplayNamesWhatItWaitsFor(t *testing.T) {
	w := newWorld(t)
	w.replay()
	e := w.start()
	r := w.begun(e, owner, stranger)
	e.catalog.orgs = append(e.catalog.orgs, lead.Organization{URN: stranger, Problem: "its role was lost"})
	err := e.replayer().all(t.Context(), r)
	if err == nil || !strings.Contains(err.Error(), stranger) || !strings.Contains(err.Error(), "its role was lost") || strings.Contains(err.Error(), owner) {
		t.Errorf("replayAll = %v, want an error that names %s, its problem, and nothing else", err, stranger)
	}
}

func TestAReplayOfNothingThatCanBeReadSaysSo(t *testing.T) {
	w := newWorld(t)
	w.replay()
	w.linkedin.orgs = nil
	e := w.start()
	clear(e.sources.all)
	if _, err := e.replayer().begin(t.Context()); err == nil {
		t.Error("a replay began without any organization")
	}
}

func TestAReplayGoesOnWithoutASourceThatTheConfigurationDropped(t *testing.T) {
	w := newWorld(t)
	w.linkedin.submit("a", w.now().Add(-2*time.Hour))
	w.replay()
	w.begun(w.start(), owner, stranger)
	w.opts.Organizations = []string{owner}
	w.runUntil("replayed", w.logged("replay done"))
	w.expectIDs(formID, "a")
	if !w.logged("goes on without a source")() {
		t.Error("that a source was left out was not said")
	}
}

func TestAReplayWhoseSourcesWereAllDroppedBeginsAnewForThoseThatAreWanted(t *testing.T) {
	w := newWorld(t)
	w.linkedin.submit("a", w.now().Add(-2*time.Hour))
	w.replay()
	w.begun(w.start(), stranger)
	w.opts.Organizations = []string{owner}
	w.runUntil("replayed", w.logged("replay done"))
	w.expectIDs(formID, "a")
	if n := w.logs.FilterMessageSnippet("goes on without a source").Len(); n != 1 {
		t.Errorf("that a source was left out was said %d times", n)
	}
}

func TestAReplayIsNotOfALeadTypeThatIsNotAskedForAnyMore(t *testing.T) {
	w := newWorld(t)
	w.replay()
	e := w.start()
	r := w.begun(e, owner)
	r.Next[owner+"/COMPANY"] = r.From
	got := slices.Collect(maps.Keys(e.replayer().stillWanted(r).Next))
	if len(got) != 1 || got[0] != src.String() {
		t.Errorf("still wanted: %v, want %v alone", got, src)
	}
}
