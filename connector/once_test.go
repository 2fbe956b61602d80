package connector

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// once runs a session as --once does.
func (w *world) once() error {
	w.t.Helper()
	w.opts.Once = true
	w.linkedin.run()
	return New(w.opts).Run(w.t.Context())
}

func TestOnceEndsWhenNothingIsDeferred(t *testing.T) {
	w := newWorld(t)
	w.linkedin.onEvents = nil
	w.linkedin.formDown[formID] = errors.New("503")
	e := w.start()
	w.linkedin.submit("deferred", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if len(e.state().Deferred) != 1 {
		t.Fatalf("deferred windows = %v, want one", e.state().Deferred)
	}
	delete(w.linkedin.formDown, formID)
	if err := w.once(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	w.expectIDs(formID, "deferred")
}

func TestOnceThatLeavesLeadsDeferredSaysSo(t *testing.T) {
	w := newWorld(t)
	w.linkedin.onEvents = nil
	away := errors.New("503")
	w.linkedin.formDown[formID] = away
	w.linkedin.submit("deferred", w.now().Add(-100*time.Millisecond))
	err := w.once()
	if !errors.Is(err, away) || !strings.Contains(err.Error(), "form "+formID+" are deferred") {
		t.Errorf("Run = %v, want what is deferred because of %v", err, away)
	}
}

// refusing is LinkedIn that shows no responses to this member.
type refusing struct{ *fakeLinkedIn }

var errRefused = fault.As(fault.Suspend, errors.New("403"))

func (h *refusing) Responses(_ context.Context, s lead.Source, _ lead.Window, _ int, _ func([]lead.Response) error) error {
	if s.Owner != owner {
		return nil
	}
	return errRefused
}

func TestOnceThatCouldNotReadASourceSaysSo(t *testing.T) {
	for name, arrange := range map[string]func(w *world){
		"LinkedIn refuses its leads": func(*world) {},
		"beside another that is read": func(w *world) {
			w.linkedin.orgs = append(w.linkedin.orgs, lead.Organization{URN: stranger, Roles: []string{"ADMINISTRATOR"}})
		},
		"the role was lost": func(w *world) {
			w.linkedin.orgs[0].Problem, w.linkedin.orgs[0].Incidental = "ANALYST only", true
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.start()
			w.tick(e, time.Minute)
			arrange(w)
			w.opts.LinkedIn = &refusing{w.linkedin}
			w.linkedin.clock = w.linkedin.clock.Add(time.Minute)
			if err := w.once(); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), src.String()) || strings.Contains(err.Error(), stranger) {
				t.Errorf("Run = %v, want that %v was not read, because of %v", err, src, errRefused)
			}
		})
	}
}

// Entries of the deletions are written by hand as well. One that cannot be read is
// said, and keeps nothing waiting but its own lead.
func TestOnceThatCannotReadADeletionReadsTheLeadsAndSaysSo(t *testing.T) {
	w := newWorld(t).notified()
	if err := delivery.EnsureDeletions(t.Context(), w.store); err != nil {
		t.Fatal(err)
	}
	err := w.cluster.Append(t.Context(), kafka.Message{Topic: delivery.DeletionsTopic(w.store.Name), Key: []byte("a"), Value: []byte("yesterday"), Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	w.linkedin.submit("b", w.now().Add(-time.Second))
	var unreadable *delivery.UnreadableDeletionError
	if err := w.once(); !errors.As(err, &unreadable) || unreadable.Key != "a" {
		t.Errorf("Run = %v, want the entry that cannot be read", err)
	}
	w.expectIDs(formID, "b")
	if n := w.logs.FilterMessageSnippet("a deletion cannot be read").Len(); n != 1 {
		t.Errorf("said %d times, want once", n)
	}
}

func TestOnceThatCanReadNothingAtAllSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		orgs []lead.Organization
		want string
	}{
		"a configured organization without a role": {[]lead.Organization{{URN: owner, Problem: "no role on this page"}}, owner},
		"no organization at all":                   {nil, "no role on any"},
		"only pages that nobody asked for":         {[]lead.Organization{{URN: owner, Problem: "ANALYST", Incidental: true}}, "no role on any"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.linkedin.orgs = c.orgs
			if err := w.once(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Run = %v, want an error that says %q", err, c.want)
			}
		})
	}
}

func TestPollingWaitsForLinkedInsClockAndWarnsOfNothing(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	f := w.linkedin
	f.submit("a", w.now().Add(-100*time.Millisecond))
	f.mu.Lock()
	f.silent, f.asked = true, make(chan struct{})
	read := len(f.read)
	f.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.poller(src).run(ctx) }()
	for range 3 {
		<-f.asked
	}
	f.mu.Lock()
	if polled := len(f.read) - read; polled > 0 {
		t.Errorf("%d windows were read without knowing the clock", polled)
	}
	f.silent = false
	f.mu.Unlock()
	for len(w.topic(formID)) == 0 {
		if t.Context().Err() != nil {
			t.Fatal("nothing was polled once the clock was known")
		}
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("pollLoop = %v", err)
	}
	for _, line := range w.logs.FilterLevelExact(zap.WarnLevel).All() {
		t.Errorf("warned %q %v: waiting for the first answer is nothing to warn of", line.Message, line.ContextMap())
	}
}
