package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"leadstream/internal/delivery"
	"leadstream/internal/embedded"
	"leadstream/internal/fault"
	"leadstream/internal/forms"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
	"leadstream/schema"
)

const (
	formID = "7130000000000000001"
	owner  = "urn:li:organization:9000123"
)

var src = lead.Source{Owner: owner, Type: "EVENT"}

// fakeLinkedIn is LinkedIn with a clock and a memory of the test's.
type fakeLinkedIn struct {
	mu       sync.Mutex
	clock    time.Time
	rows     []row
	forms    map[string]map[int]lead.Form // by id and version; the highest is current
	onEvents []string
	orgs     []lead.Organization
	down     error            // every answer
	silent   bool             // nothing was answered yet, so the clock is not known
	runs     time.Time        // since when the clock goes by itself, a hundred times as fast as ours
	asked    chan struct{}    // gets one for each look at the clock, unless it is full
	formDown map[string]error // by form id
	requests int
	read     []lead.Window // windows that were asked for
}

type row struct {
	lead.Response
	visible time.Time
}

// manyError is how the client refuses a window that holds too much.
type manyError int

func (e manyError) Error() string { return "too many: " + strconv.Itoa(int(e)) }
func (e manyError) TooMany() int  { return int(e) }

func (f *fakeLinkedIn) Moment(_ lead.Source, t time.Time) time.Time { return t }

func (f *fakeLinkedIn) Now() (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case f.asked <- struct{}{}:
	default:
	}
	return f.time(), !f.silent
}

// run lets the clock go by itself: --once waits for it.
func (f *fakeLinkedIn) run() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock, f.runs = f.time(), time.Now()
}

// time is the clock; the caller holds the mutex.
func (f *fakeLinkedIn) time() time.Time {
	if f.runs.IsZero() {
		return f.clock
	}
	return f.clock.Add(100 * time.Since(f.runs))
}

func (f *fakeLinkedIn) Responses(_ context.Context, src lead.Source, w lead.Window, limit int, fn func([]lead.Response) error) error {
	f.mu.Lock()
	f.requests++
	f.read = append(f.read, w)
	var rows []lead.Response
	for _, r := range f.rows {
		if r.visible.After(f.time()) || !w.Contains(r.SubmittedAt) && !r.SubmittedAt.IsZero() {
			continue
		}
		rows = append(rows, r.Response)
	}
	down := f.down
	f.mu.Unlock()
	if down != nil {
		return down
	}
	if limit > 0 && len(rows) > limit {
		return manyError(len(rows))
	}
	slices.Reverse(rows) // newest first
	for page := range slices.Chunk(rows, 100) {
		if err := fn(slices.Clone(page)); err != nil {
			return err
		}
	}
	return nil
}

// Response shows a row by its id, the latest submission of it.
func (f *fakeLinkedIn) Response(_ context.Context, id string) (lead.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	for _, r := range slices.Backward(f.rows) {
		if r.ID == id && !r.visible.After(f.time()) {
			return r.Response, f.down
		}
	}
	if f.down != nil {
		return lead.Response{}, f.down
	}
	return lead.Response{}, fault.Refuse(fault.Gone, fmt.Errorf("response %s: 404", id))
}

func (f *fakeLinkedIn) Organizations(context.Context) ([]lead.Organization, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.orgs), f.down
}

func (f *fakeLinkedIn) Events(context.Context, string) ([]lead.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var events []lead.Event
	for _, id := range f.onEvents {
		events = append(events, lead.Event{URN: "urn:li:event:1", Owner: owner, Form: lead.FormRef{ID: id}})
	}
	return events, f.down
}

func (f *fakeLinkedIn) Forms(context.Context, string) ([]lead.Form, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var forms []lead.Form
	for id := range f.forms {
		forms = append(forms, f.current(id))
	}
	return forms, f.down
}

func (f *fakeLinkedIn) current(id string) lead.Form {
	highest := 0
	for v := range f.forms[id] {
		highest = max(highest, v)
	}
	return f.forms[id][highest]
}

func (f *fakeLinkedIn) Form(_ context.Context, id string) (lead.Form, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	if err := f.formDown[id]; err != nil {
		return lead.Form{}, err
	}
	if len(f.forms[id]) == 0 {
		return lead.Form{}, fault.Refuse(fault.Gone, fmt.Errorf("form %s: 404", id))
	}
	return f.current(id), nil
}

func (f *fakeLinkedIn) FormVersion(_ context.Context, ref lead.FormRef, _ string) (lead.Form, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v, ok := f.forms[ref.ID][ref.Version]; ok {
		return v, nil
	}
	return lead.Form{}, fault.Refuse(fault.Gone, fmt.Errorf("form %s: 404", ref))
}

// submit adds a lead that shows at once, and gives its row to change.
func (f *fakeLinkedIn) submit(id string, at time.Time) *row {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, row{Response: lead.Response{
		ID: id, SubmittedAt: at, Owner: owner, Type: "EVENT", Form: lead.FormRef{ID: formID, Version: 1},
		Answers: []lead.Answer{{QuestionID: 1, Kind: lead.TextAnswer, Text: "answer of " + id}},
		Raw:     []byte(`{"id":"` + id + `"}`), FetchedAt: f.clock,
	}, visible: at})
	return &f.rows[len(f.rows)-1]
}

func formVersion(version int) lead.Form {
	return lead.Form{FormRef: lead.FormRef{ID: formID, Version: version}, Owner: owner, Name: "Registration",
		Questions: []lead.Question{
			{ID: 1, Text: "Name", Kind: lead.TextAnswer},
			{ID: 2, Text: "Track", Kind: lead.ChoiceAnswer, Options: []lead.Option{{ID: 0, Text: "track of v" + strconv.Itoa(version)}}},
		}}
}

// world is a connector over a fake LinkedIn, an embedded broker and registry.
type world struct {
	t        *testing.T
	linkedin *fakeLinkedIn
	cluster  *kafka.Client
	registry *schema.Registry
	used     *usedRegistry
	stack    *embedded.Stack
	opts     Options
	store    delivery.Options
	offset   time.Duration // our clock against LinkedIn's
	logs     *observer.ObservedLogs
}

func newWorld(t *testing.T) *world {
	t.Helper()
	stack, err := embedded.Start(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(); err != nil {
			t.Error(err)
		}
	})
	cluster, err := kafka.New(kafka.Config{Brokers: stack.Brokers, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	registry, err := schema.NewRegistry(schema.RegistryOptions{URL: stack.RegistryURL})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	w := &world{t: t, cluster: cluster, registry: registry, used: &usedRegistry{registry}, stack: stack, logs: logs}
	w.linkedin = &fakeLinkedIn{clock: time.Now().UTC().Truncate(time.Millisecond), forms: map[string]map[int]lead.Form{formID: {1: formVersion(1)}},
		onEvents: []string{formID}, formDown: map[string]error{},
		orgs: []lead.Organization{{URN: owner, Name: "Sim", Roles: []string{"ADMINISTRATOR"}}}}
	w.store = delivery.Options{Cluster: cluster, Name: "leadstream", Prefix: "linkedin.leads.", Partitions: 1, ReplicationFactor: 1,
		Lookback: 168 * time.Hour, Now: w.now, Log: zap.New(core)}
	w.opts = Options{LinkedIn: w.linkedin, Registry: w.used, LeadTypes: []string{"EVENT"}, Interval: time.Minute, Discovery: 15 * time.Minute,
		Lookback: 168 * time.Hour, Choice: schema.Array, Concurrency: 4, Log: zap.New(core), Now: w.now,
		Store: func() *delivery.Store {
			o := w.store
			o.Producer = cluster.NewProducer(o.Name, 15*time.Second)
			return delivery.New(o)
		}}
	return w
}

// usedRegistry is the registry that a world's connectors use.
type usedRegistry struct{ forms.Registry }

// use puts another registry in the place of the one that is used.
func (w *world) use(r forms.Registry) { w.used.Registry = r }

func (w *world) now() time.Time {
	t, _ := w.linkedin.Now()
	return t.Add(w.offset)
}

// start opens a session and discovers, without any loop running.
func (w *world) start() *leader {
	w.t.Helper()
	e, err := New(w.opts).open(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	e.sources.add(src)
	if _, err := e.discovery.discover(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return e
}

// The parts of a session, without their loops.

func (e *leader) poller(src lead.Source) *poller {
	return &poller{session: e.session, src: src, onceFor: onceClock}
}

func (e *leader) backfiller(src lead.Source) *backfiller { return &backfiller{e.session, src} }

func (e *leader) replayer() *replayer { return &replayer{e.session, *e.opts.Replay} }

// pending is what LinkedIn told of a source.
func (e *leader) pending(src lead.Source) *pendingNotifications {
	s, _ := e.sources.get(src)
	return s.pending
}

// tick moves LinkedIn's clock and polls.
func (w *world) tick(e *leader, by time.Duration) {
	w.t.Helper()
	w.linkedin.mu.Lock()
	w.linkedin.clock = w.linkedin.clock.Add(by)
	w.linkedin.mu.Unlock()
	if err := e.poller(src).poll(w.t.Context()); err != nil {
		w.t.Fatalf("poll: %v", err)
	}
}

// catchUp works through the backlog.
func (w *world) catchUp(e *leader) {
	w.t.Helper()
	for range 50 {
		backlog := e.state().Sources[src].Backlog
		if len(backlog) == 0 {
			return
		}
		if err := e.backfiller(src).work(w.t.Context(), backlog[0]); err != nil {
			w.t.Fatalf("backlog: %v", err)
		}
	}
	w.t.Fatalf("the backlog does not end: %+v", e.state().Sources[src].Backlog)
}

// published is a record of a lead topic, decoded by another implementation.
type published struct {
	id        string
	submitted time.Time
	via       string
	replay    string
	value     map[string]any
}

// topic reads every committed record of the form's topic, which may not have been
// made yet.
func (w *world) topic(form string) []published {
	w.t.Helper()
	var records []published
	decoder := schema.NewDecoder(w.registry)
	err := w.cluster.Reader.Read(w.t.Context(), "linkedin.leads."+form, kafka.From{}, func(r *kafka.Record) error {
		p := published{id: string(r.Key)}
		for _, h := range r.Headers {
			switch h.Key {
			case delivery.HeaderSubmittedAt:
				at, err := time.Parse(lead.TimeLayout, string(h.Value))
				if err != nil {
					return err
				}
				p.submitted = at
			case delivery.HeaderDelivery:
				p.via = string(h.Value)
			case delivery.HeaderReplay:
				p.replay = string(h.Value)
			}
		}
		if r.Value != nil {
			text, err := decoder.Decode(w.t.Context(), r.Value)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(text, &p.value); err != nil {
				return err
			}
		}
		records = append(records, p)
		return nil
	})
	if err != nil && !errors.Is(err, kafka.ErrTopicMissing) {
		w.t.Fatal(err)
	}
	return records
}

// ids is what the records are, in order.
func ids(records []published) []string {
	var list []string
	for _, r := range records {
		list = append(list, r.id)
	}
	return list
}

// has reports whether the form's topic holds that submission.
func (w *world) has(id string, at time.Time) bool {
	w.t.Helper()
	return slices.ContainsFunc(w.topic(formID), func(p published) bool { return p.id == id && p.submitted.Equal(at) })
}

func (w *world) expectIDs(form string, want ...string) {
	w.t.Helper()
	got := ids(w.topic(form))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("topic of form %s holds %v, want %v", form, got, want)
	}
}
