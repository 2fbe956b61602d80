package connector

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"leadstream/internal/delivery"
	"leadstream/internal/lead"
)

// ranked is LinkedIn with a note of which requests could have waited.
type ranked struct {
	*fakeLinkedIn
	mu                   sync.Mutex
	background, live     []lead.Window
	discovery, discovers int // of them in the background, and all
}

func (r *ranked) discovered(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.discovers++
	if lead.IsBackground(ctx) {
		r.discovery++
	}
}

func (r *ranked) Responses(ctx context.Context, s lead.Source, w lead.Window, limit int, fn func([]lead.Response) error) error {
	r.mu.Lock()
	if lead.IsBackground(ctx) {
		r.background = append(r.background, w)
	} else {
		r.live = append(r.live, w)
	}
	r.mu.Unlock()
	return r.fakeLinkedIn.Responses(ctx, s, w, limit, fn)
}

func (r *ranked) Organizations(ctx context.Context) ([]lead.Organization, error) {
	r.discovered(ctx)
	return r.fakeLinkedIn.Organizations(ctx)
}

func (r *ranked) Events(ctx context.Context, owner string) ([]lead.Event, error) {
	r.discovered(ctx)
	return r.fakeLinkedIn.Events(ctx, owner)
}

func (r *ranked) Forms(ctx context.Context, owner string) ([]lead.Form, error) {
	r.discovered(ctx)
	return r.fakeLinkedIn.Forms(ctx, owner)
}

// TestPollsGoBeforeBackfillReplayAndDiscovery: only polls are live work, also
// those of a source that discovery has started.
func TestPollsGoBeforeBackfillReplayAndDiscovery(t *testing.T) {
	w := newWorld(t)
	r := &ranked{fakeLinkedIn: w.linkedin}
	now := w.now()
	w.opts.LinkedIn, w.opts.Once, w.opts.Backfill = r, true, 30*24*time.Hour
	w.opts.Replay = &ReplayOptions{ID: "again", From: now.Add(-60 * 24 * time.Hour), To: now.Add(-50 * 24 * time.Hour), Mode: "missing"}
	w.linkedin.submit("old", now.Add(-20*24*time.Hour))
	if err := w.once(); err != nil {
		t.Fatal(err)
	}
	var backfilled, replayed bool
	for _, part := range r.background {
		backfilled = backfilled || part.Contains(now.Add(-20*24*time.Hour))
		replayed = replayed || part.Contains(now.Add(-55*24*time.Hour))
	}
	if !backfilled || !replayed {
		t.Errorf("in the background: %v, want the backfill and the replay", r.background)
	}
	if len(r.live) == 0 {
		t.Error("no poll was live")
	}
	for _, part := range r.live {
		if part.From.Before(now.Add(-time.Hour)) {
			t.Errorf("%v was read as live", part)
		}
	}
	if r.discovers < 3 || r.discovery != r.discovers {
		t.Errorf("%d of %d requests of discovery were in the background, want all", r.discovery, r.discovers)
	}
}

// TestTheRequestsOfADayWithoutCommitsAreKept: while LinkedIn's limit is met
// nothing is published, and the limit must not be forgotten.
func TestTheRequestsOfADayWithoutCommitsAreKept(t *testing.T) {
	w := newWorld(t)
	w.opts.Requests = func() json.RawMessage { return json.RawMessage(`{"day":"2026-11-01"}`) }
	e := w.start()
	if err := e.publisher.saveProgress(t.Context()); err != nil {
		t.Fatal(err)
	}
	state, err := delivery.ReadState(t.Context(), w.cluster, w.store.Name)
	if err != nil || string(state.Requests.Counters) != `{"day":"2026-11-01"}` {
		t.Errorf("kept: %s (%v)", state.Requests.Counters, err)
	}
}
