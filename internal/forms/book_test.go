package forms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// world is everything around a book: LinkedIn, the registry, topics, checkpoint and issues.
type world struct {
	mu      sync.Mutex
	steps   []string // what was done, in order
	away    map[string]error
	holds   bool // the registry knows every schema
	asked   int  // how often it was asked for one
	book    *Book
	open    map[string]error // issues by their work
	records map[string]checkpoint.Form
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{away: map[string]error{}, holds: true, open: map[string]error{}, records: map[string]checkpoint.Form{}}
	var err error
	w.book, err = New(Options{LinkedIn: w, Registry: w, Topics: w, Recorder: w, Issues: w, Log: zap.NewNop(), Now: time.Now,
		Choice: schema.Array, Discovery: time.Minute, Concurrency: 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// step notes that something is done, and gives the error that it is to have.
func (w *world) step(format string, args ...any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, fmt.Sprintf(format, args...))
	return w.away[w.steps[len(w.steps)-1]]
}

func (w *world) Form(_ context.Context, id string) (lead.Form, error) {
	if err := w.step("read %s", id); err != nil {
		return lead.Form{}, err
	}
	return lead.Form{FormRef: lead.FormRef{ID: id, Version: 1}, Owner: "owner", Name: "name"}, nil
}

func (w *world) FormVersion(_ context.Context, ref lead.FormRef, _ string) (lead.Form, error) {
	if err := w.step("read %s:%d", ref.ID, ref.Version); err != nil {
		return lead.Form{}, err
	}
	return lead.Form{FormRef: ref, Owner: "owner", Name: "name"}, nil
}

func (w *world) Ensure(_ context.Context, subject, _ string) (schema.Registered, error) {
	return schema.Registered{ID: 1, Version: 1}, w.step("register %s", subject)
}

func (w *world) Versions(context.Context, string) ([]schema.RegisteredSchema, error) { return nil, nil }

func (w *world) Holds(context.Context, string, int, string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	return w.holds, w.away["registry"]
}

func (w *world) Names(context.Context, int, string) (schema.Naming, error) { return schema.Same, nil }

func (w *world) Restore(context.Context, string, []schema.RegisteredSchema) ([]int, error) {
	return nil, nil
}

func (w *world) TopicName(form string) string          { return "leads." + form }
func (w *world) Topics() map[string]checkpoint.Topic   { return nil }
func (w *world) Replays() map[string]checkpoint.Replay { return nil }

func (w *world) Existing(context.Context, []string) (map[string]bool, error) { return nil, nil }

func (w *world) EnsureTopics(_ context.Context, ids []string) (map[string]error, error) {
	refused := map[string]error{}
	for _, id := range ids {
		if err := w.step("topic %s", id); err != nil {
			refused[id] = err
		}
	}
	return refused, nil
}

func (w *world) SaveForms(_ context.Context, ids []string) error {
	unsaved := w.book.Unsaved(ids)
	for _, f := range unsaved {
		record, err := f.Record()
		if err != nil {
			return err
		}
		if err := w.step("save %s %d", f.ID, record.SchemaID); err != nil {
			return err
		}
		w.records[f.ID] = record
	}
	w.book.Saved(unsaved)
	return nil
}

func (w *world) Report(about, work string, err error) { w.ReportSilently(about, work, err) }

func (w *world) ReportAs(about, work, _ string, err error, _ ...zap.Field) {
	w.ReportSilently(about, work, err)
}

func (w *world) ReportSilently(_, work string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[work] = err
}

func (w *world) Resolve(work string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, work)
}

func of(id string, version int) *lead.Response {
	return &lead.Response{ID: "a", Form: lead.FormRef{ID: id, Version: version}, Owner: "owner"}
}

// TestNamesAreCommittedBeforeASchemaShowsThem: a name that a registry has seen must never be
// given to another field, whatever crashes in between.
func TestNamesAreCommittedBeforeASchemaShowsThem(t *testing.T) {
	w := newWorld(t)
	if err := w.book.Prepare(t.Context(), []*lead.Response{of("1", 1)}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"read 1", "topic 1", "save 1 0", "register leads.1-value", "save 1 1"}; !slices.Equal(w.steps, want) {
		t.Errorf("steps = %q, want %q", w.steps, want)
	}
	again, err := New(w.book.o, w.records)
	if err != nil || again.Get("1").SchemaID != 1 || again.Get("1").State != Provisioning {
		t.Errorf("%+v, %v; want the form as it was, its topic to be looked at", again.Get("1"), err)
	}
}

// TestWhatOneFormLacksSuspendsThatFormAlone, with the reason, until it is tried again.
func TestWhatOneFormLacksSuspendsThatFormAlone(t *testing.T) {
	for _, step := range []string{"read 1", "topic 1", "register leads.1-value"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.away[step] = errors.New("not now")
			both := []*lead.Response{of("1", 1), of("2", 1)}
			if err := w.book.Prepare(t.Context(), both); err != nil {
				t.Fatal(err)
			}
			if f := w.book.Get("1"); f.State != Suspended || w.open[Work("1")] == nil || w.book.Usable(both) {
				t.Errorf("%s: form 1 is %s, issues %v", step, f.State, w.open)
			}
			if !w.book.Usable(both[1:]) {
				t.Errorf("%s: form 2 is %s", step, w.book.Get("2").State)
			}
			tries := func() int { return len(w.steps) }
			before := tries()
			if err := w.book.Recover(t.Context(), false); err != nil || tries() != before {
				t.Errorf("%s: it was tried again at once, %v", step, err)
			}
			time.Sleep(time.Second)
			delete(w.away, step)
			if err := w.book.Recover(t.Context(), false); err != nil || !w.book.Usable(both) || len(w.open) > 0 {
				t.Errorf("%s: %v; form 1 is %s, issues %v", step, err, w.book.Get("1").State, w.open)
			}
		})
	}
}

// TestAFormThatIsGoneGoesOnWithWhatIsKnown, and one that is forbidden does not.
func TestAFormThatIsGoneGoesOnWithWhatIsKnown(t *testing.T) {
	for _, test := range []struct {
		refusal fault.Refusal
		state   State
	}{{fault.Gone, Ready}, {fault.Forbidden, Suspended}, {fault.Wrong, Suspended}} {
		w := newWorld(t)
		w.away["read 1"] = refused(test.refusal)
		if err := w.book.Prepare(t.Context(), []*lead.Response{of("1", 1)}); err != nil {
			t.Fatal(err)
		}
		if f := w.book.Get("1"); f.State != test.state || f.Gone != (test.refusal == fault.Gone) {
			t.Errorf("%s: %s, gone %v", test.refusal, f.State, f.Gone)
		}
	}
}

// refused is LinkedIn's refusal of that kind.
type refused fault.Refusal

func (r refused) Error() string          { return fault.Refusal(r).String() }
func (r refused) Refusal() fault.Refusal { return fault.Refusal(r) }

// TestLinkedInIsAskedOnceForWhatAFormLacks, and again after the discovery interval.
func TestLinkedInIsAskedOnceForWhatAFormLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if err := w.book.Prepare(t.Context(), []*lead.Response{of("1", 1)}); err != nil {
			t.Fatal(err)
		}
		w.away["read 1:2"] = refused(fault.Gone)
		newer := []*lead.Response{of("1", 2)}
		if got := w.book.Lacking(newer, nil); !slices.Equal(got, newer) {
			t.Fatalf("lacking = %v, want the response of version 2", got)
		}
		if err := w.book.Learn(t.Context(), newer); err != nil || !w.book.Usable(newer) {
			t.Fatalf("%v; the form is %s", err, w.book.Get("1").State)
		}
		if got := w.book.Lacking(newer, nil); len(got) > 0 {
			t.Error("it is to be asked again at once")
		}
		time.Sleep(time.Minute)
		if got := w.book.Lacking(newer, nil); len(got) != 1 {
			t.Error("it is never asked again")
		}
	})
}

// TestTheRegistryIsWatchedWhileNothingIsPublished: what is lost is found without a lead, and a
// registry that was away is asked about everything.
func TestTheRegistryIsWatchedWhileNothingIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		both := []*lead.Response{of("1", 1), of("2", 1)}
		if err := w.book.Prepare(t.Context(), both); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.book.WatchRegistry(ctx) }()
		asked := func(after time.Duration) int {
			w.mu.Lock()
			before := w.asked
			w.mu.Unlock()
			time.Sleep(after)
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.asked - before
		}
		if n := asked(5*time.Second + 1); n != 1 {
			t.Errorf("asked %d times in 5 s, want about one form", n)
		}
		w.set(&schema.RegistryError{Op: "asking", Status: 503, Err: errors.New("away")})
		asked(6 * time.Second)
		if w.open[askingRegistry] == nil {
			t.Error("nobody is told that the registry is away")
		}
		w.set(nil)
		if n := asked(2 * time.Second); n < 3 || w.open[askingRegistry] != nil {
			t.Errorf("asked %d times after it was away, want about one form and then about both; issues %v", n, w.open)
		}
		w.mu.Lock()
		w.holds, w.steps = false, nil
		w.mu.Unlock()
		asked(6 * time.Second)
		w.mu.Lock()
		steps := w.steps
		w.mu.Unlock()
		if !slices.Contains(steps, "register leads.1-value") || !slices.Contains(steps, "register leads.2-value") {
			t.Errorf("steps = %q, want the lost schemas registered again", steps)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func (w *world) set(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away["registry"] = err
}
