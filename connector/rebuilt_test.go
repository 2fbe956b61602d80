package connector

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"leadstream/internal/kafka"
	"leadstream/schema"
)

// rebuilt is a registry that has lost everything: no id names what it named.
type rebuilt struct {
	Registry
	away     error // every answer
	asked    int
	released bool // it has registered the schema again
}

func (r *rebuilt) Holds(_ context.Context, _ string, id int, _ string) (bool, error) {
	r.asked++
	return id == 4711 && r.released, r.away
}

func (r *rebuilt) Ensure(context.Context, string, string) (schema.Registered, error) {
	r.released = r.away == nil
	return schema.Registered{ID: 4711}, r.away
}

// schemaIDs are those of the values in the form's topic.
func (w *world) schemaIDs() []int {
	w.t.Helper()
	var list []int
	err := w.cluster.Read(w.t.Context(), "linkedin.leads."+formID, kafka.From{}, func(r *kafka.Record) error {
		list = append(list, int(r.Value[1])<<24|int(r.Value[2])<<16|int(r.Value[3])<<8|int(r.Value[4]))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// restarted is an epoch that has not discovered anything yet: its sources of
// the checkpoint are polled at once.
func (w *world) restarted() *epoch {
	w.t.Helper()
	e, err := New(w.opts).open(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	e.sources[src] = &sourceState{inbox: newInbox()}
	return e
}

func TestARegistryRebuiltWhileNoProcessRanGetsItsSchemasBeforeTheFirstLead(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	r := &rebuilt{Registry: w.registry}
	w.opts.Registry = r
	e = w.restarted()
	w.linkedin.submit("b", w.now().Add(time.Second))
	w.linkedin.submit("c", w.now().Add(2*time.Minute))
	w.tick(e, time.Minute)
	w.tick(e, 2*time.Minute)
	if got := w.schemaIDs(); len(got) != 3 || got[1] != 4711 || got[2] != 4711 {
		t.Errorf("schema ids of the leads = %v, want that of the rebuilt registry from the second on", got)
	}
	if r.asked != 1 {
		t.Errorf("the registry was asked %d times, want once in an epoch", r.asked)
	}
	e = w.restarted()
	if id := e.forms.forms[formID].recorded; id != 4711 {
		t.Errorf("schema id in the checkpoint = %d, want the new one", id)
	}
}

func TestARegistryThatIsAwayAtTheStartHoldsNoKnownFormUp(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	r := &rebuilt{Registry: w.registry, away: errors.New("connection refused")}
	w.opts.Registry = r
	e = w.restarted()
	w.linkedin.submit("b", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if got := w.schemaIDs(); len(got) != 2 || got[0] != got[1] {
		t.Errorf("schema ids of the leads = %v, want two of the schema that was registered before", got)
	}
	r.away = nil // it is back, and is not what it was
	if err := e.forms.verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.linkedin.submit("c", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if got := w.schemaIDs(); len(got) != 3 || got[2] != 4711 {
		t.Errorf("schema ids of the leads = %v, want that of the rebuilt registry at last", got)
	}
}

func TestARegistryThatGoesAwayAfterItLostASchemaIsNotTrusted(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	r := &rebuilt{Registry: w.registry}
	w.opts.Registry = &forgetful{r}
	e = w.restarted()
	w.linkedin.submit("b", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if len(e.debts) != 1 {
		t.Fatalf("debts = %v, want the lead owed", e.debts)
	}
	e.opts.Registry = r
	w.settle(e)
	if got := w.schemaIDs(); len(got) != 2 || got[1] != 4711 {
		t.Errorf("schema ids of the leads = %v, want the second under the rebuilt registry's", got)
	}
}

// forgetful answers that it knows no schema, and then nothing any more.
type forgetful struct{ *rebuilt }

func (r *forgetful) Ensure(context.Context, string, string) (schema.Registered, error) {
	return schema.Registered{}, errors.New("connection refused")
}

// gone is a registry that does not answer.
type gone struct{}

var errGone = errors.New("connection refused")

func (gone) Holds(context.Context, string, int, string) (bool, error) { return false, errGone }

func (gone) Ensure(context.Context, string, string) (schema.Registered, error) {
	return schema.Registered{}, errGone
}

func (gone) Versions(context.Context, string) ([]schema.RegisteredSchema, error) { return nil, errGone }

func TestWithTheRegistryAwayOnlyAFormThatNeedsANewSchemaIsOwed(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	e := w.start()
	w.tick(e, time.Minute)
	for restart := range 2 { // in the midst of the work, and before it begins
		e.opts.Registry = gone{}
		known, unknown := strconv.Itoa(restart)+" known", strconv.Itoa(restart)+" new"
		w.linkedin.submit(known, w.now().Add(time.Second))
		w.linkedin.submit(unknown, w.now().Add(2*time.Second)).Form.ID = other
		w.tick(e, time.Minute)
		w.tick(e, time.Minute)
		if got := ids(w.topic(formID)); len(got) != restart+1 {
			t.Errorf("the form that is known got %v", got)
		}
		if len(e.debts) != 1 || e.forms.suspended(other) == nil {
			t.Errorf("debts = %v, want what the new form is owed", e.debts)
		}
		w.opts.Registry = gone{}
		e = w.restarted()
	}
	e.opts.Registry = w.registry
	w.settle(e)
	w.expectIDs(formID, "0 known", "1 known")
	w.expectIDs(other, "0 new", "1 new")
}

// slow is a registry that takes its time to say whether it knows a schema.
type slow struct {
	Registry
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
	e.Connector.opts.Registry = s
	verified := make(chan error, 1)
	go func() { verified <- e.forms.verify(t.Context()) }()
	<-s.asked
	w.addOther()
	w.linkedin.submit("a", w.now().Add(time.Second)).Form.ID = other
	polled := make(chan error, 1)
	go func() {
		w.linkedin.mu.Lock()
		w.linkedin.clock = w.linkedin.clock.Add(time.Minute)
		w.linkedin.mu.Unlock()
		polled <- e.poll(t.Context(), src)
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
