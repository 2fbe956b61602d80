package connector

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"leadstream/internal/forms"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// gated is a registry that registers nothing for a while, but for some forms.
type gated struct {
	forms.Registry
	open    []string
	reached chan struct{} // gets one for each that waits
	release chan struct{}
}

func (g *gated) Ensure(ctx context.Context, subject, avro string) (schema.Registered, error) {
	for _, form := range g.open {
		if strings.Contains(subject, form) {
			return g.Registry.Ensure(ctx, subject, avro)
		}
	}
	g.reached <- struct{}{}
	select {
	case <-g.release:
	case <-ctx.Done():
		return schema.Registered{}, ctx.Err()
	}
	return g.Registry.Ensure(ctx, subject, avro)
}

// TestALeadDoesNotWaitForTheFormsOfOthers: while the forms of a first start are
// prepared, and however long that takes, live leads of other forms go out, whether
// their form is still to be prepared, is prepared already, or is on no event.
func TestALeadDoesNotWaitForTheFormsOfOthers(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	var listed []lead.Form
	onEvents := map[string]bool{}
	for i := range 60 { // more than are prepared together
		id := fmt.Sprintf("71300000000000001%02d", i)
		f := lead.Form{FormRef: lead.FormRef{ID: id, Version: 1}, Owner: owner, Name: id}
		listed = append(listed, f)
		onEvents[id] = true
		w.linkedin.forms[id] = map[int]lead.Form{1: f}
	}
	done, later, unlisted := listed[0].ID, listed[len(listed)-1].ID, other
	w.addOther()
	g := &gated{Registry: w.registry, open: []string{done, later, unlisted}, reached: make(chan struct{}, 1000), release: make(chan struct{})}
	w.use(g)
	prepared := make(chan error, 1)
	go func() { prepared <- e.forms.Listed(t.Context(), listed, onEvents) }()
	<-g.reached
	for _, form := range []string{done, later, unlisted, formID} {
		w.linkedin.submit("of "+form, w.now().Add(time.Second)).Form.ID = form
	}
	polled := make(chan error, 1)
	go func() {
		w.linkedin.mu.Lock()
		w.linkedin.clock = w.linkedin.clock.Add(time.Minute)
		w.linkedin.mu.Unlock()
		polled <- e.poller(src).poll(t.Context())
	}()
	select {
	case err := <-polled:
		if err != nil {
			t.Error(err)
		}
		close(g.release)
	case <-time.After(10 * time.Second):
		t.Error("leads wait for the forms of others")
		close(g.release)
		<-polled
	}
	if err := <-prepared; err != nil {
		t.Error(err)
	}
	for _, form := range []string{done, later, unlisted, formID} {
		w.expectIDs(form, "of "+form)
	}
	for _, f := range listed {
		if e.forms.Get(f.ID).State != forms.Ready {
			t.Errorf("form %s is not ready", f.ID)
		}
	}
}

// TestAPollThatPublishesNothingAsksTheRegistryNothing, as often as it meets leads that
// are there already.
func TestAPollThatPublishesNothingAsksTheRegistryNothing(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.linkedin.submit("a", w.now().Add(50*time.Second))
	w.tick(e, time.Minute)
	counted := &counting{Registry: w.registry}
	w.use(counted)
	w.tick(e, 30*time.Second)
	w.tick(e, 30*time.Second)
	if n := counted.asked.Load(); n != 0 {
		t.Errorf("it was asked %d times", n)
	}
}
