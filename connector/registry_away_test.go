package connector

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"leadstream/internal/forms"
	"leadstream/schema"
)

func TestARegistryThatIsAwayAtTheStartHoldsNoKnownFormUp(t *testing.T) {
	w := newWorld(t)
	r := &selfish{Registry: w.registry}
	w.use(r)
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	r.away = away()
	e = w.restarted()
	w.linkedin.submit("b", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if got := w.schemaIDs(); len(got) != 2 || got[0] != got[1] {
		t.Errorf("schema ids of the leads = %v, want two of the schema that was registered before", got)
	}
	r.away = nil // it is back, and is not what it was
	w.rebuild(3)
	w.linkedin.submit("c", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if got := w.schemaIDs(); len(got) != 3 || got[2] != 4 {
		t.Errorf("schema ids of the leads = %v, want that of the rebuilt registry at last", got)
	}
}

// TestARegistryThatIsSilentIsNotWaitedForWithEachLead: known forms wait for it once in a
// while; one that refuses the connection is asked before each lead, which costs nothing.
func TestARegistryThatIsSilentIsNotWaitedForWithEachLead(t *testing.T) {
	for name, tt := range map[string]struct {
		silence time.Duration
		asked   int32
	}{"silent": {5 * time.Second, 1}, "refusing": {0, 10}} {
		w := newWorld(t)
		e := w.start()
		w.linkedin.submit("a", w.now().Add(time.Second))
		w.tick(e, time.Minute)
		w.tick(e, time.Minute)
		counted := &counting{Registry: &selfish{Registry: w.registry, away: away()}, before: func() { w.offset += tt.silence }}
		w.use(counted)
		for i := range 10 {
			w.linkedin.submit("b"+strconv.Itoa(i), w.now().Add(50*time.Millisecond-w.offset))
			w.tick(e, 100*time.Millisecond)
		}
		if n := counted.asked.Load(); n != tt.asked {
			t.Errorf("%s: it was asked %d times within a second, want %d", name, n, tt.asked)
		}
		w.tick(e, time.Minute)
		if got := len(w.topic(formID)); got != 11 {
			t.Errorf("%s: %d leads went out, want 11", name, got)
		}
	}
}

// counting counts how often it is asked whether it knows a schema.
type counting struct {
	forms.Registry
	asked  atomic.Int32
	before func() // each answer
}

func (c *counting) Holds(ctx context.Context, subject string, id int, avro string) (bool, error) {
	c.asked.Add(1)
	if c.before != nil {
		c.before()
	}
	return c.Registry.Holds(ctx, subject, id, avro)
}

func TestARegistryThatGoesAwayAfterItLostASchemaIsNotTrusted(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	w.rebuild(3)
	r := &selfish{Registry: w.registry}
	w.use(&forgetful{r})
	e = w.restarted()
	w.linkedin.submit("b", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if len(e.state().Deferred) != 1 {
		t.Fatalf("deferred windows = %v, want the lead deferred", e.state().Deferred)
	}
	w.use(r)
	w.settle(e)
	if got := w.schemaIDs(); len(got) != 2 || got[1] != 4 {
		t.Errorf("schema ids of the leads = %v, want the second under the rebuilt registry's", got)
	}
	if got := w.lost(e, formID); !slices.Equal(got, []int{1}) {
		t.Errorf("lost = %v, want the id of the first lead", got)
	}
}

// forgetful answers that it knows no schema, and then nothing any more.
type forgetful struct{ *selfish }

func (r *forgetful) Ensure(context.Context, string, string) (schema.Registered, error) {
	return schema.Registered{}, away()
}

// gone is a registry that does not answer.
type gone struct{}

var errGone = away()

func (gone) Holds(context.Context, string, int, string) (bool, error) { return false, errGone }

func (gone) Ensure(context.Context, string, string) (schema.Registered, error) {
	return schema.Registered{}, errGone
}

func (gone) Names(context.Context, int, string) (schema.Naming, error) {
	return schema.Unknown, errGone
}

func (gone) Restore(context.Context, string, []schema.RegisteredSchema) ([]int, error) {
	return nil, errGone
}

func (gone) Versions(context.Context, string) ([]schema.RegisteredSchema, error) { return nil, errGone }

func TestWithTheRegistryAwayOnlyAFormThatNeedsANewSchemaIsDeferred(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	e := w.start()
	w.tick(e, time.Minute)
	for restart := range 2 { // in the midst of the work, and before it begins
		w.use(gone{})
		known, unknown := strconv.Itoa(restart)+" known", strconv.Itoa(restart)+" new"
		w.linkedin.submit(known, w.now().Add(time.Second))
		w.linkedin.submit(unknown, w.now().Add(2*time.Second)).Form.ID = other
		w.tick(e, time.Minute)
		w.tick(e, time.Minute)
		if got := ids(w.topic(formID)); len(got) != restart+1 {
			t.Errorf("the form that is known got %v", got)
		}
		if len(e.state().Deferred) != 1 || e.forms.Suspended(other) == nil {
			t.Errorf("deferred windows = %v, want that of the new form", e.state().Deferred)
		}
		w.use(gone{})
		e = w.restarted()
	}
	w.use(w.registry)
	w.settle(e)
	w.expectIDs(formID, "0 known", "1 known")
	w.expectIDs(other, "0 new", "1 new")
}

// slow is a registry that takes its time to say whether it knows a schema.
type slow struct {
	forms.Registry
	asked, answer chan struct{}
}

func (s *slow) Holds(ctx context.Context, subject string, id int, avro string) (bool, error) {
	close(s.asked)
	<-s.answer
	return s.Registry.Holds(ctx, subject, id, avro)
}

func TestFormsDoNotWaitWhileTheRegistryIsAskedAboutOthers(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	s := &slow{Registry: w.registry, asked: make(chan struct{}), answer: make(chan struct{})}
	w.use(s)
	verified := make(chan error, 1)
	go func() { verified <- e.forms.Verify(t.Context()) }()
	<-s.asked
	w.addOther()
	w.linkedin.submit("a", w.now().Add(time.Second)).Form.ID = other
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
		close(s.answer)
	case <-time.After(10 * time.Second):
		t.Error("a form that was not met before waits for the answer about another")
		close(s.answer)
		<-polled
	}
	if err := <-verified; err != nil {
		t.Error(err)
	}
	w.expectIDs(other, "a")
}
