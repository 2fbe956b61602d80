package connector

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// once runs an epoch as --once does.
func (w *world) once() error {
	w.t.Helper()
	w.opts.Once = true
	return New(w.opts).Run(w.t.Context())
}

func TestOnceEndsWhenNothingIsOwed(t *testing.T) {
	w := newWorld(t)
	w.linkedin.onEvents = nil
	w.linkedin.formDown[formID] = errors.New("503")
	e := w.start()
	w.linkedin.submit("owed", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if len(e.debts) != 1 {
		t.Fatalf("debts = %v, want one", e.debts)
	}
	delete(w.linkedin.formDown, formID)
	if err := w.once(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	w.expectIDs(formID, "owed")
}

func TestOnceThatLeavesLeadsOwedSaysSo(t *testing.T) {
	w := newWorld(t)
	w.linkedin.onEvents = nil
	away := errors.New("503")
	w.linkedin.formDown[formID] = away
	w.linkedin.submit("owed", w.now().Add(-100*time.Millisecond))
	err := w.once()
	if !errors.Is(err, away) || !strings.Contains(err.Error(), "form "+formID+" is owed") {
		t.Errorf("Run = %v, want what is owed because of %v", err, away)
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
	go func() { done <- e.pollLoop(ctx, src) }()
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
