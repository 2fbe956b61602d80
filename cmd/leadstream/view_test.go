package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/connector"
	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/status"
	"leadstream/internal/web"
)

// system is the program over the stack.
func (s *stack) system(over map[string]string) *system {
	s.t.Helper()
	c, _, err := config.Load(config.LoadOptions{NoFile: true, Environ: s.environ(over)})
	if err != nil {
		s.t.Fatal(err)
	}
	system, err := build(c, useTokens, zap.NewNop())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(system.close)
	return system
}

// background runs something until the test ends.
func background(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// watched looks at a view until it is as wanted.
func watched(t *testing.T, v *status.Viewer, what string, holds func(web.View) bool) web.View {
	t.Helper()
	var view web.View
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if view = v.View(t.Context()); holds(view) {
			return view
		}
		if time.Now().After(deadline) {
			text, err := json.MarshalIndent(view, "", " ")
			t.Fatalf("waiting for %s: %s (%v)", what, text, err)
		}
	}
}

func total(hours []web.Hour) (n int64) {
	for _, h := range hours {
		n += h.Leads
	}
	return n
}

func TestTheProgramFillsEveryFigureOfThePage(t *testing.T) {
	t.Parallel()
	world := newStack(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Leads: 30, Seed: 1})
	if _, err := world.sim.AddLeads(linkedinsim.LeadSpec{Count: 3, Malformed: linkedinsim.AnswersNotList}); err != nil {
		t.Fatal(err)
	}
	s := world.system(map[string]string{"LEADSTREAM_POLL_DISCOVERY_INTERVAL": "1s"})
	s.reached.Store(true)
	from := time.Now().Add(-40 * 24 * time.Hour)
	work := s.newConnector(connector.Options{Replay: &connector.ReplayOptions{ID: "r", From: from, To: time.Now(), Mode: checkpoint.All}})
	heartbeat := s.newHeartbeat(work.Resume)
	v := s.newViewer(work, heartbeat)
	background(t, v.Run)
	background(t, func(ctx context.Context) error {
		heartbeat.Run(ctx)
		return nil
	})
	background(t, work.Run)
	done := watched(t, v, "the replay to be done", func(v web.View) bool {
		return len(v.Tasks) == 1 && v.Tasks[0].Done && len(v.Forms) == 2 && total(v.Hours) >= 30
	})
	if task := done.Tasks[0]; task.Kind != "replay" || task.Name != "r" || task.Ratio != 1 || task.Leads == 0 || !task.From.Equal(from.UTC()) && task.From.IsZero() {
		t.Errorf("task = %+v, want the replay with its leads", task)
	}
	personal := linkedinsim.LeadSpec{Count: 5, Submitter: "urn:li:person:" + secretWord, Answers: []linkedinsim.Answer{{QuestionID: 1, Text: secretWord + " answer"}}}
	if _, err := world.sim.AddLeads(personal); err != nil {
		t.Fatal(err)
	}
	view := watched(t, v, "five live leads", func(v web.View) bool { return v.Latency.Leads == 5 })
	if l := view.Latency; l.P50Seconds <= 0 || l.P99Seconds < l.P50Seconds || l.P99Seconds > 60 {
		t.Errorf("latency = %+v", l)
	}
	if p := view.Process; !p.Active || p.Since.IsZero() || p.Other != "" || !strings.HasSuffix(p.ID, fmt.Sprint(":", os.Getpid())) || !view.ReadAt.IsZero() {
		t.Errorf("process = %+v, read at %v; want this one, active", p, view.ReadAt)
	}
	for _, o := range view.Organizations {
		if o.Name == "" || o.Access != web.OK {
			t.Errorf("organization = %+v", o)
		}
	}
	for _, f := range view.Forms {
		if f.SchemaVersion != 1 || f.Fields < 12 || f.Leads == 0 || f.Name == "" || len(f.Events) != 1 || f.LagSeconds < 0 || f.State != web.OK {
			t.Errorf("form = %+v", f)
		}
	}
	if total(view.Hours) < 35 {
		t.Errorf("hours = %+v, want at least 35 leads", view.Hours)
	}
	if len(view.Budget.Endpoints) == 0 {
		t.Error("the requests of the process that works are not shown")
	}
	if d := view.DeadLetters; d.Topic != "leadstream.deadletters" {
		t.Errorf("dead letters = %+v", d)
	}
	text, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.session.AccessToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{secretWord, token[:20], s.config.LinkedIn.ClientSecret.Reveal()} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the page holds %.8s…: %s", secret, text)
		}
	}
}

func TestAStandbyKnowsWhoWorksAndWhatIsDone(t *testing.T) {
	t.Parallel()
	world := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 12, Seed: 1})
	if o := world.run(t.Context(), nil, "run", "--once"); o.code != 0 {
		t.Fatalf("run --once = %d %s", o.code, o.stderr)
	}
	s := world.system(nil)
	s.reached.Store(true)
	work := s.newConnector(connector.Options{})
	seen := s.statusParts(work, s.newHeartbeat(work.Resume))
	seen.Process = "another process"
	v := status.New(seen)
	background(t, v.Run)
	view := watched(t, v, "what the topic says", func(v web.View) bool { return !v.ReadAt.IsZero() })
	if p := view.Process; p.Active || p.Other != processID() || p.Since.IsZero() {
		t.Errorf("process = %+v, want a standby that names %s", p, processID())
	}
	if len(view.Organizations) != 1 || view.Organizations[0].Name == "" || len(view.Forms) != 1 || view.Forms[0].Leads != 12 || view.Forms[0].SchemaVersion != 1 ||
		len(view.Sources) != 1 || view.Sources[0].Live.IsZero() || total(view.Hours) != 12 {
		t.Errorf("view = %+v, want what the other process has done", view)
	}
	if view.Budget.Endpoints != nil {
		t.Errorf("a standby claims to know which requests were made: %+v", view.Budget)
	}
	if got := parts(v.Ready().Degraded); got != "" {
		t.Errorf("a standby is degraded: %q", got)
	}
	v.Process = processID() // it was this process, which has ended its work
	if view := v.View(t.Context()); view.Process.Other != "" {
		t.Errorf("a standby takes itself for the other one: %+v", view.Process)
	}
}

// A process that was active when a role was lost stands by when the role is back,
// and has met at work that Kafka was away: its strict probe tells of neither.
func TestAProcessThatStandsByNowForgetsWhatItMetAtWork(t *testing.T) {
	t.Parallel()
	world := newStack(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Leads: 10, Seed: 1})
	s := world.system(map[string]string{"LEADSTREAM_POLL_DISCOVERY_INTERVAL": "1s"})
	s.reached.Store(true)
	work := s.newConnector(connector.Options{})
	seen := s.statusParts(work, s.newHeartbeat(work.Resume))
	seen.Refresh = 10 * time.Millisecond
	v := status.New(seen)
	background(t, v.Run)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- work.Run(ctx) }()
	watched(t, v, "both organizations", func(v web.View) bool { return len(v.Organizations) == 2 && len(v.Sources) == 2 })
	urn := world.sim.Describe().Organizations[0].URN
	if err := world.sim.Schedule(linkedinsim.Fault{Kind: linkedinsim.LoseRole, Owner: urn}); err != nil {
		t.Fatal(err)
	}
	probed := func(what string, holds func(degraded string) bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !holds(parts(v.Ready().Degraded)); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is not told: %+v", what, v.Ready())
			}
		}
	}
	probed("the lost role", func(degraded string) bool { return strings.Contains(degraded, "role") })
	work.Issues().Report(urn, "polling", fmt.Errorf("committing: %w", &kafka.UnreachableError{Op: "committing", Err: errors.New("EOF")}))
	cancel() // another takes over
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := world.sim.Schedule(linkedinsim.Fault{Kind: linkedinsim.GrantRole, Owner: urn}); err != nil {
		t.Fatal(err)
	}
	if o := world.run(t.Context(), nil, "run", "--once"); o.code != 0 {
		t.Fatalf("run --once = %d %s", o.code, o.stderr)
	}
	probed("that all is well", func(degraded string) bool { return degraded == "" })
	for _, e := range v.View(t.Context()).Errors {
		if !e.Over {
			t.Errorf("the page of a standby says that this is still there: %+v", e)
		}
	}
}

// Where the only organization has lost its role nothing is published any more, and
// yet a process that stands by does not call it readable.
func TestAStandbyShowsThatTheRoleIsLost(t *testing.T) {
	t.Parallel()
	world := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	s := world.system(map[string]string{"LEADSTREAM_POLL_DISCOVERY_INTERVAL": "1s"})
	s.reached.Store(true)
	work := s.newConnector(connector.Options{})
	active := s.newViewer(work, s.newHeartbeat(work.Resume))
	background(t, active.Run)
	background(t, work.Run)
	watched(t, active, "leads", func(v web.View) bool { return len(v.Forms) == 1 && v.Forms[0].Leads == 5 && len(v.Tasks) == 0 })
	other := world.system(nil)
	other.reached.Store(true)
	idle := other.newConnector(connector.Options{})
	seen := other.statusParts(idle, other.newHeartbeat(idle.Resume))
	seen.Process, seen.Refresh = "a standby", 10*time.Millisecond
	standby := status.New(seen)
	background(t, standby.Run)
	readable := func(v web.View) bool { return len(v.Organizations) == 1 && v.Organizations[0].Access == web.OK }
	watched(t, standby, "the organization", readable)
	fault := linkedinsim.Fault{Kind: linkedinsim.LoseRole, Owner: world.sim.Describe().Organizations[0].URN}
	if err := world.sim.Schedule(fault); err != nil {
		t.Fatal(err)
	}
	watched(t, standby, "the lost role", func(v web.View) bool {
		return len(v.Organizations) == 1 && v.Organizations[0].Access == web.Failing && v.Organizations[0].Todo != ""
	})
	if got := parts(standby.Ready().Degraded); got != "role" {
		t.Errorf("the probe of the standby says %q, want the role", got)
	}
	fault.Kind = linkedinsim.GrantRole
	if err := world.sim.Schedule(fault); err != nil {
		t.Fatal(err)
	}
	watched(t, standby, "that the role is back", readable)
}

// parts are the parts of what is degraded, in order.
func parts(list []web.Degradation) string {
	var names []string
	for _, d := range list {
		names = append(names, d.Part)
		if d.Reason == "" {
			names = append(names, "without a reason")
		}
	}
	return strings.Join(names, " ")
}

func TestDeadLettersAreCountedAnewOnlyWhenTheyHaveChanged(t *testing.T) {
	t.Parallel()
	world := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	s := world.system(nil)
	count := status.CountDeadLetters(s.cluster, s.config.Name)
	publish := func(total int) { // broken leads, until so many are counted
		t.Helper()
		if _, err := world.sim.AddLeads(linkedinsim.LeadSpec{Count: 3, Malformed: linkedinsim.AnswersNotList}); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); ; {
			if o := world.run(t.Context(), nil, "run", "--once"); o.code != 0 {
				t.Fatalf("run --once = %d %s", o.code, o.stderr)
			}
			deadLetters, err := count(t.Context())
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("letters = %+v, %v; want %d", deadLetters, err, total)
			}
			if deadLetters.Total == total && deadLetters.Reasons["UnreadableElement"] == total {
				return
			}
		}
	}
	publish(3)
	deadLetters, err := count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	deadLetters.Reasons["mark"] = 1 // on what is remembered
	if again, err := count(t.Context()); err != nil || again.Reasons["mark"] != 1 {
		t.Errorf("counted anew although nothing has changed: %+v, %v", again, err)
	}
	publish(6)
	if again, err := count(t.Context()); err != nil || again.Reasons["mark"] != 0 {
		t.Errorf("not counted anew: %+v, %v", again, err)
	}
}
