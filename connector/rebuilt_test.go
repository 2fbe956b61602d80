package connector

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/forms"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/schema"
)

// selfish is a registry that gives ids itself, as Apicurio's does, and that can be
// taken away.
type selfish struct {
	forms.Registry
	away error // every answer
}

func (s *selfish) Restore(context.Context, string, []schema.RegisteredSchema) ([]int, error) {
	return nil, s.away
}

func (s *selfish) Holds(ctx context.Context, subject string, id int, avro string) (bool, error) {
	if s.away != nil {
		return false, s.away
	}
	return s.Registry.Holds(ctx, subject, id, avro)
}

func (s *selfish) Names(ctx context.Context, id int, avro string) (schema.Naming, error) {
	if s.away != nil {
		return schema.Unknown, s.away
	}
	return s.Registry.Names(ctx, id, avro)
}

func (s *selfish) Ensure(ctx context.Context, subject, avro string) (schema.Registered, error) {
	if s.away != nil {
		return schema.Registered{}, s.away
	}
	return s.Registry.Ensure(ctx, subject, avro)
}

// away is how the registry's client says that there is no answer.
func away() error { return &schema.RegistryError{Op: "asking", Err: errors.New("connection refused")} }

// rebuild has the registry begin anew, with schemas of somebody else's under the
// ids from 1 on.
func (w *world) rebuild(others int) {
	w.t.Helper()
	w.stack.ForgetSchemas()
	for i := range others {
		if _, err := w.registry.Ensure(w.t.Context(), "somebody-else-"+strconv.Itoa(i), schema.New(strconv.Itoa(i+1), schema.Array).Schema()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// unreadable are the leads of a form's topic that a consumer cannot read, or reads
// as what they are not.
func (w *world) unreadable(form string) int {
	w.t.Helper()
	decoder := schema.NewDecoder(w.registry)
	n := 0
	err := w.cluster.Reader.Read(w.t.Context(), "linkedin.leads."+form, kafka.From{}, func(r *kafka.Record) error {
		var lead struct {
			ID   string `json:"lead_id"`
			Form string `json:"form_id"`
		}
		text, err := decoder.Decode(w.t.Context(), r.Value)
		if err != nil || json.Unmarshal(text, &lead) != nil || lead.ID != string(r.Key) || lead.Form != form {
			n++
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// lost are the schema ids that the status of whoever looks says are lost, of this
// process and of one that reads the checkpoint topic.
func (w *world) lost(e *leader, form string) []int {
	w.t.Helper()
	state, err := delivery.ReadState(w.t.Context(), w.cluster, "leadstream")
	if err != nil {
		w.t.Fatal(err)
	}
	of := func(st Status) []int {
		for _, f := range st.Forms {
			if f.ID == form {
				if len(f.Lost) > 0 && (f.Problem == "" || !strings.Contains(f.Todo, "--replay-mode all")) {
					w.t.Errorf("lost without a word: %+v", f)
				}
				return f.Lost
			}
		}
		return nil
	}
	here, there := of(e.status()), of(StatusOf(state, "linkedin.leads."))
	if !slices.Equal(here, there) {
		w.t.Errorf("lost here %v, and by the checkpoint topic %v", here, there)
	}
	return here
}

// schemaIDs are those of the values in the form's topic.
func (w *world) schemaIDs() []int {
	w.t.Helper()
	var list []int
	err := w.cluster.Reader.Read(w.t.Context(), "linkedin.leads."+formID, kafka.From{}, func(r *kafka.Record) error {
		list = append(list, int(r.Value[1])<<24|int(r.Value[2])<<16|int(r.Value[3])<<8|int(r.Value[4]))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// restarted is a session that has not discovered anything yet: its sources of
// the checkpoint are polled at once.
func (w *world) restarted() *leader {
	w.t.Helper()
	e, err := New(w.opts).open(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	e.sources.add(src)
	return e
}

func TestARegistryRebuiltWhileNoProcessRanGetsItsSchemasBeforeTheFirstLead(t *testing.T) {
	w := newWorld(t)
	w.use(&selfish{Registry: w.registry})
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	w.rebuild(3)
	e = w.restarted()
	w.linkedin.submit("b", w.now().Add(time.Second))
	w.linkedin.submit("c", w.now().Add(2*time.Minute))
	w.tick(e, time.Minute)
	w.tick(e, 2*time.Minute)
	if got := w.schemaIDs(); len(got) != 3 || got[1] != 4 || got[2] != 4 {
		t.Errorf("schema ids of the leads = %v, want that of the rebuilt registry from the second on", got)
	}
	if n := w.unreadable(formID); n != 1 {
		t.Errorf("%d leads cannot be read, want the one that was published before", n)
	}
	if got := w.lost(e, formID); !slices.Equal(got, []int{1}) {
		t.Errorf("lost = %v, want the id of the first lead", got)
	}
	e = w.restarted()
	if f := e.forms.Get(formID); f.SchemaID != 4 {
		t.Errorf("schema id in the checkpoint = %d, want the new one", f.SchemaID)
	}
}

func TestARegistryRebuiltUnderARunningConnectorIsNoticedBeforeTheNextLead(t *testing.T) {
	w := newWorld(t)
	w.use(&selfish{Registry: w.registry})
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	w.rebuild(3)
	w.linkedin.submit("b", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if got := w.schemaIDs(); !slices.Equal(got, []int{1, 4}) {
		t.Errorf("schema ids of the leads = %v, want the second under the rebuilt registry's", got)
	}
}

// grow publishes leads of two schemas of the form: its second version asks more.
func (w *world) grow(e *leader) {
	w.t.Helper()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	next := formVersion(2)
	next.Questions = append(next.Questions, lead.Question{ID: 3, Text: "Company", Kind: lead.TextAnswer})
	w.linkedin.forms[formID][2] = next
	w.linkedin.submit("b", w.now().Add(time.Second)).Form.Version = 2
	w.tick(e, time.Minute)
	if got := w.schemaIDs(); len(got) != 2 || got[0] == got[1] {
		w.t.Fatalf("schema ids = %v, want two", got)
	}
}

func TestARegistryThatTakesOldIDsGetsAllOfThemBack(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	e := w.start()
	w.grow(e)
	w.linkedin.submit("c", w.now().Add(time.Second)).Form.ID = other
	w.tick(e, time.Minute)
	w.rebuild(0)
	w.linkedin.submit("d", w.now().Add(time.Second)).Form.ID = other // the form whose id would be given to another
	w.tick(e, time.Minute)
	if got := w.schemaIDs(); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("schema ids = %v", got)
	}
	if a, b := w.unreadable(formID), w.unreadable(other); a+b > 0 {
		t.Errorf("%d and %d leads cannot be read", a, b)
	}
	if a, b := w.lost(e, formID), w.lost(e, other); len(a)+len(b) > 0 {
		t.Errorf("lost = %v and %v, want nothing", a, b)
	}
	if n := w.logs.FilterMessageSnippet("under the same ids").Len(); n != 1 {
		t.Errorf("it was said %d times that they were restored, want once", n)
	}
}

// TestLeadsThatCannotBeReadStayTold until the registry knows their schemas again, or
// a replay in mode all has published them anew; over restarts, and at error level.
func TestLeadsThatCannotBeReadStayTold(t *testing.T) {
	w := newWorld(t)
	w.use(&selfish{Registry: w.registry})
	e := w.start()
	w.grow(e)
	w.rebuild(1) // the first schema's id is another's, the second's is given to the same schema
	if err := e.forms.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.lost(e, formID); !slices.Equal(got, []int{1}) {
		t.Fatalf("lost = %v, want the first schema's", got)
	}
	said := w.logs.FilterLevelExact(zap.ErrorLevel).FilterMessageSnippet("cannot be read")
	if said.Len() != 1 || !strings.Contains(said.All()[0].ContextMap()["error"].(string), "other schemas") {
		t.Errorf("said at error level: %v", said.All())
	}
	for range 2 {
		e = w.start()
		if got := w.lost(e, formID); len(got) == 0 {
			t.Error("nobody is told any more after a restart")
		}
	}
	issues := e.Issues().List()
	if i := slices.IndexFunc(issues, func(x Issue) bool { return x.Part == PartSchemas && !x.Resolved }); i < 0 || !strings.Contains(issues[i].Todo, "--replay-mode all") {
		t.Errorf("issues = %+v, want what to do", issues)
	}
}

func TestLeadsThatCanBeReadAgainAreNotToldAnyMore(t *testing.T) {
	w := newWorld(t)
	w.use(&selfish{Registry: w.registry})
	e := w.start()
	w.grow(e)
	first := e.forms.Get(formID).Fields
	w.rebuild(3)
	if err := e.forms.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.lost(e, formID); !slices.Equal(got, []int{1, 2}) {
		t.Fatalf("lost = %v, want both", got)
	}
	w.rebuild(0) // the backup is restored
	for _, columns := range []int{first.Len() - 1, first.Len()} {
		text, ok := first.Earlier(columns)
		if _, err := w.registry.Ensure(t.Context(), "linkedin.leads."+formID+"-value", text); err != nil || !ok {
			t.Fatal(err)
		}
	}
	e = w.start()
	if got := w.lost(e, formID); len(got) > 0 {
		t.Errorf("lost = %v, want nothing: the registry knows them", got)
	}
	w.linkedin.submit("c", w.now().Add(time.Second)).Form.Version = 2
	w.tick(e, time.Minute)
	if n := w.unreadable(formID); n != 0 {
		t.Errorf("%d leads cannot be read", n)
	}
}

func TestAReplayOfAllEndsWhatIsToldOfLeadsThatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	r := &selfish{Registry: w.registry}
	w.use(r)
	e := w.start()
	w.grow(e)
	w.rebuild(3)
	if err := e.forms.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	replay := func(id string, from, to time.Time, mode checkpoint.Mode) *leader {
		w.linkedin.mu.Lock()
		w.linkedin.clock = w.linkedin.clock.Add(time.Minute)
		w.linkedin.mu.Unlock()
		w.opts.Replay = &ReplayOptions{ID: id, From: from, To: to, Mode: mode}
		e := w.start()
		if err := e.replayer().run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := e.forms.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		return e
	}
	start, middle := w.now().Add(-time.Hour), w.now().Add(-time.Minute)
	for i, update := range []struct {
		from, to time.Time
		mode     checkpoint.Mode
		want     []int
	}{
		{start, w.now(), checkpoint.Missing, []int{1, 2}},
		{start, middle, checkpoint.All, []int{2}},
		{middle, w.now(), checkpoint.All, nil},
	} {
		e = replay(strconv.Itoa(i), update.from, update.to, update.mode)
		if got := w.lost(e, formID); !slices.Equal(got, update.want) {
			t.Errorf("after %d replays lost = %v, want %v", i+1, got, update.want)
		}
	}
	w.opts.Replay = nil
	if got := w.lost(w.start(), formID); len(got) > 0 {
		t.Errorf("lost = %v after a restart, want nothing", got)
	}
}

// TestWhatIsLostWithItsTopicIsNotTold: nobody reads it any more.
func TestWhatIsLostWithItsTopicIsNotTold(t *testing.T) {
	w := newWorld(t)
	w.use(&selfish{Registry: w.registry})
	e := w.start()
	w.grow(e)
	w.rebuild(3)
	if err := e.forms.Verify(t.Context()); err != nil || len(w.lost(e, formID)) == 0 {
		t.Fatalf("nothing is lost: %v", err)
	}
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{"linkedin.leads." + formID}); err != nil {
		t.Fatal(err)
	}
	if err := e.forms.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.lost(e, formID); len(got) > 0 {
		t.Errorf("lost = %v, want nothing", got)
	}
}
