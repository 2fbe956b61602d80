package connector

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

// counted is the number of leads in all hours.
func counted(h checkpoint.Hours) (sum int64) {
	for _, n := range h.All() {
		sum += n
	}
	return sum
}

// state is what the checkpoint topic says.
func (w *world) state() checkpoint.State {
	w.t.Helper()
	state, err := delivery.ReadState(w.t.Context(), w.cluster, w.store.Name)
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

func TestLeadsPerHourSurviveRestartsAndHandOvers(t *testing.T) {
	w := newWorld(t)
	for leader := range 3 {
		e := w.start()
		w.linkedin.submit("lead "+string(rune('a'+leader)), w.now().Add(time.Second))
		w.tick(e, time.Minute)
		if got := counted(e.Status().Hours); got != int64(leader+1) {
			t.Errorf("epoch %d counts %d leads, want %d", leader, got, leader+1)
		}
		e.leave()
		if got := counted(e.Status().Hours); got != int64(leader+1) {
			t.Errorf("standing by it counts %d leads, want %d", got, leader+1)
		}
	}
	if got := counted(w.state().Hours); got != 3 {
		t.Errorf("the topic counts %d, want 3", got)
	}
	w.linkedin.mu.Lock()
	w.linkedin.clock = w.linkedin.clock.Add(26 * time.Hour)
	w.linkedin.mu.Unlock()
	e := w.start()
	w.linkedin.submit("next day", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	if got := counted(w.state().Hours); got != 1 {
		t.Errorf("a day later the topic counts %d, want the one that came since", got)
	}
}

func TestALeadIsCountedWithItsCommitOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.tick(e, time.Minute)
	w.start() // another process takes over
	w.linkedin.submit("b", w.now().Add(time.Second))
	w.linkedin.mu.Lock()
	w.linkedin.clock = w.linkedin.clock.Add(time.Minute)
	w.linkedin.mu.Unlock()
	if err := e.poller(src).poll(t.Context()); err == nil {
		t.Fatal("a fenced epoch has committed")
	}
	if got := counted(e.Status().Hours); got != 1 {
		t.Errorf("%d leads are counted, one of them not committed", got)
	}
}

// checkpointRecords is how many records were ever written to the checkpoint topic
// and are still there, by key.
func (w *world) checkpointRecords() map[string]int {
	w.t.Helper()
	written := map[string]int{}
	err := w.cluster.Reader.Read(w.t.Context(), delivery.CheckpointTopic(w.store.Name), kafka.From{}, func(r *kafka.Record) error {
		written[string(r.Key)]++
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return written
}

func TestNoTransactionIsMadeForWhatIsShown(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	before := w.checkpointRecords()
	if n := before[checkpoint.OrganizationsKey]; n != 0 {
		t.Fatalf("the organizations were written %d times before anything else was", n)
	}
	w.tick(e, time.Minute) // its progress is due: they ride along
	after := w.checkpointRecords()
	if after[checkpoint.OrganizationsKey] != 1 || after[checkpoint.HoursKey] != 0 {
		t.Errorf("after an idle poll: %v, want the organizations once and no hours", after)
	}
	for range 20 { // nothing new
		if _, err := e.discovery.discover(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.tick(e, time.Second)
	}
	idle := w.checkpointRecords()
	if idle[checkpoint.OrganizationsKey] != 1 || idle[checkpoint.HoursKey] != 0 {
		t.Errorf("after twenty idle discoveries: %v, want nothing of it written again", idle)
	}
}

func TestTheProcessThatWorksIsNamedInTheTopic(t *testing.T) {
	w := newWorld(t)
	w.opts.Process = "leads-0"
	w.start().leave()
	w.opts.Process = "leads-1"
	e := w.start()
	got := w.state().Process
	if got.ID != "leads-1" || !got.Since.Equal(e.Status().Since) || got.Since.IsZero() {
		t.Errorf("the topic names %+v, want leads-1 since %v", got, e.Status().Since)
	}
	if st := StatusOf(w.state(), w.store.Prefix); st.Worker.ID != "leads-1" || st.Active {
		t.Errorf("a standby reads %+v", st)
	}
}

func TestWhoeverStandsByReadsWhatIsDone(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	w.linkedin.onEvents = []string{formID}
	w.linkedin.formDown[other] = fault503{}
	w.opts.Backfill = 48 * time.Hour
	e := w.start()
	w.linkedin.submit("a", w.now().Add(time.Second))
	w.linkedin.submit("deferred", w.now().Add(2*time.Second)).Form.ID = other
	w.tick(e, time.Minute)
	own := e.Status()
	read := StatusOf(w.state(), w.store.Prefix)
	if len(read.Organizations) != 1 || read.Organizations[0].Name != "Sim" || read.Organizations[0].URN != own.Organizations[0].URN {
		t.Errorf("organizations = %+v, want %+v", read.Organizations, own.Organizations)
	}
	if len(read.Sources) != 1 || !read.Sources[0].Live.Equal(own.Sources[0].Live) || len(read.Sources[0].Backlog) != 1 {
		t.Errorf("sources = %+v, want %+v", read.Sources, own.Sources)
	}
	if len(read.Deferred) != 1 || read.Deferred[0] != own.Deferred[0] {
		t.Errorf("deferred windows = %+v, want %+v", read.Deferred, own.Deferred)
	}
	if len(read.Forms) != 2 || read.Forms[1].ID != other || !read.Forms[1].Suspended() || read.Forms[1].Problem == "" || read.Forms[1].Owner != owner {
		t.Fatalf("forms = %+v, want the one that was prepared, and the one that never could be as suspended", read.Forms)
	}
	got, want := read.Forms[0], own.Forms[slices.IndexFunc(own.Forms, func(f FormStatus) bool { return f.ID == formID })]
	if got.ID != want.ID || got.Name != want.Name || got.Topic != want.Topic || got.SchemaID != want.SchemaID || got.SchemaVersion != 1 ||
		got.Fields != want.Fields || got.Fields < 12 || got.Leads != 1 || !got.LastLead.Equal(want.LastLead) {
		t.Errorf("form = %+v, want %+v", got, want)
	}
	if counted(read.Hours) != 1 {
		t.Errorf("hours = %+v, want one lead", read.Hours)
	}
}

// fault503 is a failure of the moment.
type fault503 struct{}

func (fault503) Error() string { return "503" }

func TestAnOrganizationThatIsListedNoMoreIsMissed(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	orgs := w.linkedin.orgs
	w.linkedin.orgs = nil
	lost := func(e *leader) OrganizationStatus {
		t.Helper()
		if _, err := e.discovery.discover(t.Context()); err != nil {
			t.Fatal(err)
		}
		list := e.Status().Organizations
		if len(list) != 1 {
			t.Fatalf("organizations = %+v, want the one that is missed", list)
		}
		return list[0]
	}
	for i := range 2 {
		got := lost(e)
		if got.URN != owner || got.Name != "Sim" || got.Problem != "the authorising member has no role on this page" || !strings.Contains(got.Todo, "ADMINISTRATOR or CONTENT_ADMINISTRATOR") || !strings.Contains(got.Todo, "Manage admins") {
			t.Errorf("epoch %d: %+v, want the missing role and where to get it", i, got)
		}
		w.tick(e, time.Minute) // it is recorded
		e.leave()
		e = w.start() // also a process that never saw it listed knows its name
	}
	if n := len(w.logs.FilterMessage("organization cannot be read").All()); n != 3 {
		t.Errorf("it was logged %d times, want once in each epoch", n)
	}
	w.linkedin.orgs = orgs
	if got := lost(e); got.Problem != "" || got.Roles == nil {
		t.Errorf("with the role back: %+v", got)
	}
	if x := e.Issues().List()[0]; !x.Resolved {
		t.Errorf("with the role back its issue is %+v", x)
	}
}

func TestAnOrganizationThatIsNotWantedIsNotMissed(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	e.leave()
	w.linkedin.orgs = []lead.Organization{{URN: "urn:li:organization:7", Name: "Seven", Roles: []string{"ANALYST"}, Problem: "an analyst"}}
	w.opts.Organizations = []string{"urn:li:organization:7", "urn:li:organization:8"}
	e = w.start()
	problems := map[string]string{}
	for _, o := range e.Status().Organizations {
		problems[o.URN] = o.Problem
	}
	if want := map[string]string{"urn:li:organization:7": "an analyst", "urn:li:organization:8": "the authorising member has no role on this page"}; !maps.Equal(problems, want) {
		t.Errorf("organizations and what is wrong = %v, want %v: the one of the checkpoint is not wanted, one that is configured was never listed", problems, want)
	}
}

// halfway is LinkedIn that fails for windows which begin after a moment.
type halfway struct {
	*fakeLinkedIn
	after time.Time
}

func (h *halfway) Responses(ctx context.Context, s lead.Source, w lead.Window, limit int, fn func([]lead.Response) error) error {
	if w.From.After(h.after) {
		return fault503{}
	}
	return h.fakeLinkedIn.Responses(ctx, s, w, limit, fn)
}

func TestTasksCountTheLeadsTheyPublish(t *testing.T) {
	w := newWorld(t)
	w.opts.Backfill = 48 * time.Hour
	for _, id := range []string{"a", "b", "c"} {
		w.linkedin.submit(id, w.now().Add(-30*time.Hour))
	}
	w.linkedin.submit("young", w.now().Add(-time.Hour))
	h := &halfway{fakeLinkedIn: w.linkedin, after: w.now().Add(time.Hour)}
	w.opts.LinkedIn = h
	e := w.start()
	w.tick(e, time.Minute)
	h.after = w.now().Add(-26 * time.Hour) // the second day of the backfill fails
	if err := e.backfiller(src).work(t.Context(), e.state().Sources[src].Backlog[0]); err == nil {
		t.Fatal("the backfill has ended")
	}
	if b := e.Status().Sources[0].Backlog; len(b) != 1 || b[0].Leads != 3 || b[0].Ratio() == 0 {
		t.Errorf("the backfill is %+v, want 3 leads in its first half", b)
	}
	if b := w.state().Sources[src].Backlog; len(b) != 1 || b[0].Leads != 3 {
		t.Errorf("the topic says %+v, want 3 leads", b)
	}
	h.after = w.now().Add(time.Hour)
	w.catchUp(e)
	w.opts.Replay = &ReplayOptions{ID: "r", From: w.now().Add(-72 * time.Hour), To: w.now(), Mode: checkpoint.All}
	e.leave()
	e = w.start()
	if st := e.Status().Replay; st == nil || st.Ratio != 0 || st.Done {
		t.Errorf("before it begins the replay is %+v", st)
	}
	r2, err := e.replayer().begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.replayer().all(t.Context(), r2); err != nil {
		t.Fatal(err)
	}
	if st := e.Status().Replay; !st.Done || st.Ratio != 1 || st.Leads != 4 || st.From.IsZero() {
		t.Errorf("the replay is %+v, want it done with 4 leads", st)
	}
}

func TestTheStatusKeepsItsOrder(t *testing.T) {
	w := newWorld(t)
	w.addOther()
	w.linkedin.onEvents = []string{formID, other}
	e := w.start()
	w.tick(e, time.Minute)
	for range 20 {
		var ids []string
		for _, f := range e.Status().Forms {
			ids = append(ids, f.ID)
		}
		if !slices.Equal(ids, []string{formID, other}) {
			t.Fatalf("forms come as %v", ids)
		}
	}
}
