package connector

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/forms"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

const other = "7130000000000000002"

func (w *world) addOther() {
	w.linkedin.forms[other] = map[int]lead.Form{1: {FormRef: lead.FormRef{ID: other, Version: 1}, Owner: owner, Name: "Other"}}
}

// hooked is LinkedIn with something happening before each answer.
type hooked struct {
	*fakeLinkedIn
	responses, form func()
}

func (h *hooked) Responses(ctx context.Context, s lead.Source, w lead.Window, limit int, fn func([]lead.Response) error) error {
	if h.responses != nil {
		h.responses()
	}
	return h.fakeLinkedIn.Responses(ctx, s, w, limit, fn)
}

func (h *hooked) Form(ctx context.Context, id string) (lead.Form, error) {
	if h.form != nil {
		h.form()
	}
	return h.fakeLinkedIn.Form(ctx, id)
}

func TestARecordOfAnotherInstallationDeepInATopicSuspendsThatFormAlone(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	topic := "linkedin.leads." + formID
	if _, err := w.cluster.Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: topic, Partitions: 1, ReplicationFactor: 1}}); err != nil {
		t.Fatal(err)
	}
	p := w.cluster.NewProducer("x", 15*time.Second)
	if err := p.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	var msgs []kafka.Message
	for i := range 200 {
		name := "leadstream"
		if i == 0 {
			name = "the name before" // adopted for a while
		}
		msgs = append(msgs, kafka.Message{Topic: topic, Key: []byte(fmt.Sprint(i)), Value: []byte("x"), Time: w.now(), Headers: []kafka.Header{
			{Key: delivery.HeaderSubmittedAt, Value: []byte(lead.FormatTime(w.now()))}, {Key: delivery.HeaderName, Value: []byte(name)}}})
	}
	if _, err := p.Commit(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.linkedin.submit("other", w.now().Add(2*time.Second)).Form.ID = other
	w.tick(e, time.Minute)
	w.expectIDs(other, "other")
	if e.forms.Suspended(formID) == nil || len(e.state().Deferred) != 1 {
		t.Errorf("suspended: %v, deferred windows: %v", e.forms.Suspended(formID), e.state().Deferred)
	}
}

// strangeRegistry has forgotten every schema, and is away when asked to learn them again.
type strangeRegistry struct{ forms.Registry }

func (r *strangeRegistry) Holds(context.Context, string, int, string) (bool, error) {
	return false, nil
}

func TestARegistryThatForgetsWhileALeadIsOnItsWay(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	j := &work{src: src, view: e.live, delivery: func(time.Time) delivery.Delivery { return delivery.DeliveryLive }}
	rows := []lead.Response{w.linkedin.submit("a", w.now().Add(time.Second)).Response}
	if _, err := e.sort(t.Context(), j, rows); err != nil {
		t.Fatal(err)
	}
	w.use(&strangeRegistry{w.registry})
	if err := e.forms.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.tick(e, time.Minute)
	w.expectIDs(formID, "a")
}

func TestADeferredWindowThatGrowsTowardsThePastWhileItIsPaidIsPaidWhole(t *testing.T) {
	w := newWorld(t)
	w.linkedin.onEvents = nil
	w.linkedin.formDown[formID] = errors.New("503")
	h := &hooked{fakeLinkedIn: w.linkedin}
	w.opts.LinkedIn = h
	e := w.start()
	w.linkedin.submit("deferred", w.now().Add(10*time.Second))
	w.tick(e, time.Minute)
	// A look-back finds a late lead, earlier than the deferred window. It is sorted while
	// the form is suspended, and waits for its turn to publish.
	late := w.linkedin.submit("late", w.now().Add(-90*time.Second))
	j := &work{src: src, view: e.live, delivery: func(time.Time) delivery.Delivery { return delivery.DeliveryLate }}
	j.advance = checkpoint.DeferredDone{} // of nothing
	parts, err := e.sort(t.Context(), j, []lead.Response{late.Response})
	if err != nil || len(parts.suspended) != 1 {
		t.Fatal(err, parts)
	}
	delete(w.linkedin.formDown, formID)
	var once sync.Once
	h.responses = func() { // its turn comes while the deferred window is being read from LinkedIn
		once.Do(func() {
			if err := e.ask(t.Context(), &publication{work: j, sorted: parts, last: true}); err != nil {
				t.Error(err)
			}
		})
	}
	w.settle(e)
	w.settle(e)
	w.expectIDs(formID, "deferred", "late")
	if len(e.state().Deferred) != 0 {
		t.Errorf("deferred windows = %v, want none", e.state().Deferred)
	}
}

func TestADeferredWindowBringsNothingBackThatWasRemoved(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.linkedin.submit("old", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{"linkedin.leads." + formID}); err != nil {
		t.Fatal(err)
	}
	w.linkedin.clock = w.linkedin.clock.Add(10 * time.Minute)
	w.linkedin.formDown[formID] = errors.New("503")
	e = w.start()
	w.linkedin.submit("new", w.now().Add(time.Second)).Form.Version = 2 // has to be fetched, which fails for the moment
	for range 200 {
		w.tick(e, time.Minute)
	}
	delete(w.linkedin.formDown, formID)
	w.settle(e)
	w.expectIDs(formID, "new")
}

// runUntil runs the connector with all its loops until done says so.
func (w *world) runUntil(what string, done func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- New(w.opts).Run(ctx) }()
	for !done() {
		if fault.Sleep(ctx, 10*time.Millisecond) != nil {
			w.t.Errorf("in 30 s not %s", what)
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) logged(text string) func() bool {
	return func() bool { return w.logs.FilterMessageSnippet(text).Len() > 0 }
}

func TestAReplayWaitsForAnOrganizationThatCannotBeReadNow(t *testing.T) {
	w := newWorld(t)
	w.linkedin.submit("a", w.now().Add(-2*time.Hour))
	w.opts.Replay = &ReplayOptions{ID: "r", From: w.now().Add(-3 * time.Hour), To: w.now(), Mode: checkpoint.Missing}
	w.linkedin.orgs[0].Problem = "no role for the moment"
	w.runUntil("waiting", w.logged("waiting to try again"))
	w.linkedin.orgs[0].Problem = "" // the role is back; the pod restarts with its flags
	w.runUntil("replayed", w.logged("replay done"))
	w.expectIDs(formID, "a")
}

func TestAReplayResumedBeforeItsSourceIsKnownGoesOn(t *testing.T) {
	w := newWorld(t)
	w.linkedin.submit("a", w.now().Add(-2*time.Hour))
	w.opts.Replay = &ReplayOptions{ID: "r", From: w.now().Add(-3 * time.Hour), To: w.now(), Mode: checkpoint.Missing}
	e := w.start()
	if _, err := e.replayer().begin(t.Context()); err != nil { // and then a crash, before the first progress
		t.Fatal(err)
	}
	w.runUntil("replayed", w.logged("replay done"))
	w.expectIDs(formID, "a")
}

func TestAReplayOfATimeThatIsGoneIsRefusedUnlessItWasDone(t *testing.T) {
	w := newWorld(t)
	w.linkedin.submit("a", w.now().Add(-2*time.Hour))
	w.opts.Replay = &ReplayOptions{ID: "r", From: w.now().Add(-3 * time.Hour), To: w.now(), Mode: checkpoint.Missing}
	w.runUntil("replayed", w.logged("replay done"))
	oldest := w.now().Add(400 * 24 * time.Hour)
	w.opts.Replay = &ReplayOptions{ID: "r", From: oldest, To: oldest.Add(-time.Hour), Mode: checkpoint.Missing}
	w.runUntil("a no-op", w.logged("nothing to do"))
	w.opts.Replay.ID = "another"
	var gone *ReplayWindowError
	if err := New(w.opts).Run(t.Context()); !errors.As(err, &gone) {
		t.Errorf("Run = %v, want a *ReplayWindowError", err)
	}
}

func TestADeadLetterWithoutALeadTypeIsToldAndHarmsNothing(t *testing.T) {
	w := newWorld(t)
	w.linkedin.formDown[formID] = errors.New("503")
	w.linkedin.onEvents = nil
	at := w.now().Add(-time.Hour)
	deadLetter := StoredDeadLetter{Key: "a@" + lead.FormatTime(at), Response: lead.Response{ID: "a", SubmittedAt: at, Owner: owner,
		Form: lead.FormRef{ID: formID, Version: 1}, Raw: []byte("{}")}}
	outcomes, err := New(w.opts).Republish(t.Context(), []StoredDeadLetter{deadLetter})
	if err != nil || len(outcomes) != 1 || outcomes[0].Problem == "" {
		t.Errorf("outcomes = %v, %v; want a problem", outcomes, err)
	}
	if _, err := New(w.opts).open(t.Context()); err != nil {
		t.Errorf("the next start: %v", err)
	}
}

func TestADeadLetterThatIsRecoveredIsPublishedAndGone(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	r := w.linkedin.submit("a", w.now().Add(time.Second))
	r.Unreadable = "its answers are not a list"
	w.tick(e, time.Minute)
	w.expectIDs(formID)
	r.Unreadable = ""
	key := delivery.DeadLetter{Response: &r.Response}.Key()
	for try := range 2 {
		outcomes, err := New(w.opts).Republish(t.Context(), []StoredDeadLetter{{Key: key, Response: r.Response}})
		if err != nil || len(outcomes) != 1 || outcomes[0].Problem != "" {
			t.Errorf("try %d: outcomes = %v, %v; want it published", try, outcomes, err)
		}
	}
	w.expectIDs(formID, "a")
	left := map[string]bool{}
	err := w.cluster.Reader.Read(t.Context(), "leadstream.deadletters", kafka.From{}, func(r *kafka.Record) error {
		left[string(r.Key)] = r.Value != nil
		return nil
	})
	if err != nil || left[key] {
		t.Errorf("dead letters = %v, %v; want a tombstone", left, err)
	}
}

func TestAFormIsAskedForOnceInAFlushHoweverLongItTakes(t *testing.T) {
	w := newWorld(t)
	w.opts.Discovery = time.Second
	h := &hooked{fakeLinkedIn: w.linkedin}
	w.opts.LinkedIn = h
	e := w.start()
	n := 0
	h.form = func() { // a second and a half per answer
		if n++; n == 20 {
			panic("one poll asks for one form again and again")
		}
		w.linkedin.mu.Lock()
		w.linkedin.clock = w.linkedin.clock.Add(1500 * time.Millisecond)
		w.linkedin.mu.Unlock()
	}
	w.linkedin.submit("a", w.now().Add(time.Second)).Form.Version = 7 // a version that LinkedIn does not show
	w.tick(e, time.Minute)
	w.expectIDs(formID, "a")
}

func TestAFormThatKeepsFailingIsTriedMoreAndMoreSeldom(t *testing.T) {
	w := newWorld(t)
	w.linkedin.onEvents = nil
	w.linkedin.formDown[formID] = errors.New("503")
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	before := w.linkedin.requests
	for range 3600 { // an hour, looked at every second
		w.linkedin.clock = w.linkedin.clock.Add(time.Second)
		if err := e.deferrer.round(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.linkedin.requests - before; n < 5 || n > 20 {
		t.Errorf("an hour made %d requests for one failing form, want about a dozen", n)
	}
}

// stalled is LinkedIn that does not answer for one form until it is released.
type stalled struct {
	*fakeLinkedIn
	id              string
	asked, released chan struct{}
}

func (s *stalled) Form(ctx context.Context, id string) (lead.Form, error) {
	if id == s.id {
		close(s.asked)
		<-s.released
	}
	return s.fakeLinkedIn.Form(ctx, id)
}

func TestASuspendedFormThatLinkedInIsSlowToShowKeepsNoOtherWaiting(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	w.linkedin.onEvents = nil
	w.linkedin.formDown[formID] = errors.New("503")
	slow := &stalled{fakeLinkedIn: w.linkedin, asked: make(chan struct{}), released: make(chan struct{})}
	w.opts.LinkedIn = slow
	e := w.start()
	w.linkedin.submit("deferred", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	delete(w.linkedin.formDown, formID)
	slow.id = formID
	recovered := make(chan error, 1)
	go func() { recovered <- e.forms.Recover(t.Context(), true) }()
	<-slow.asked
	w.linkedin.submit("a", w.now().Add(time.Second)).Form.ID = other
	w.linkedin.mu.Lock()
	w.linkedin.clock = w.linkedin.clock.Add(time.Minute)
	w.linkedin.mu.Unlock()
	polled := make(chan error, 1)
	go func() { polled <- e.poller(src).poll(t.Context()) }()
	select {
	case err := <-polled:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the poll waits for the suspended form")
	}
	close(slow.released)
	if err := <-recovered; err != nil {
		t.Error(err)
	}
	if why := e.forms.Suspended(formID); why != nil {
		t.Errorf("the form is still suspended: %v", why)
	}
	w.expectIDs(other, "a")
}

func TestAnOutageLongerThanLinkedInKeepsLeadsIsReported(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	w.linkedin.clock = w.linkedin.clock.Add(364 * 24 * time.Hour)
	e = w.start()
	w.tick(e, time.Minute)
	w.catchUp(e)
	if w.logged("are lost")() {
		t.Error("leads are reported as lost that LinkedIn still has")
	}
	w.linkedin.clock = w.linkedin.clock.Add(367 * 24 * time.Hour)
	e = w.start()
	w.tick(e, time.Minute)
	w.catchUp(e)
	if !w.logged("are lost")() {
		t.Error("nothing was reported as lost")
	}
}

func TestADeadLetterThatItsTopicFindsTooLargeIsCutUntilItFits(t *testing.T) {
	w := newWorld(t)
	_, err := w.cluster.Admin.CreateTopics(t.Context(), []kafka.TopicSpec{{Name: "leadstream.deadletters", Partitions: 1, ReplicationFactor: 1,
		Configs: map[string]string{"cleanup.policy": "compact,delete", "max.message.bytes": "20000"}}})
	if err != nil {
		t.Fatal(err)
	}
	e := w.start()
	r := w.linkedin.submit("", w.now().Add(time.Second))
	r.Raw = make([]byte, 100_000)
	for i := range r.Raw {
		r.Raw[i] = byte(i * i * 31 >> 3)
	}
	r.Unreadable = "no id"
	w.linkedin.submit("good", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	w.expectIDs(formID, "good")
}

func TestWhatWasReadIsNotReadAgainAfterACleanEnd(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 300 * 24 * time.Hour
	w.linkedin.submit("a", w.now().Add(-200*24*time.Hour))
	w.runUntil("filled in", w.logged("backlog range done"))
	w.linkedin.read = nil
	e := w.start()
	w.tick(e, time.Minute)
	if len(e.state().Sources[src].Backlog) != 0 {
		t.Errorf("backlog after a clean end = %v, want none", e.state().Sources[src].Backlog)
	}
	for _, win := range w.linkedin.read {
		if win.From.Before(w.now().Add(-24 * time.Hour)) {
			t.Errorf("%v was read again", win)
		}
	}
}
