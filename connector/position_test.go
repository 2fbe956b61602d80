package connector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"

	"go.uber.org/zap"
)

// set moves LinkedIn's clock and ours, each by its own.
func (w *world) set(linkedIn, ours time.Duration) {
	w.linkedin.mu.Lock()
	defer w.linkedin.mu.Unlock()
	w.linkedin.clock = w.linkedin.clock.Add(linkedIn)
	w.offset += ours - linkedIn
}

// TestAClockOfLinkedInThatWasWrongOnceIsToldOf: one Date header two days ahead.
func TestAClockOfLinkedInThatWasWrongOnceIsToldOf(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	w.tick(e, 48*time.Hour)  // one poll at a wrong time
	w.tick(e, -48*time.Hour) // the next answer is right again
	at := w.now().Add(time.Second)
	w.linkedin.submit("a", at)
	for range 60 {
		w.tick(e, time.Minute)
		e.poller(src).outcome(nil)
	}
	if !w.has("a", at) {
		t.Errorf("an hour later the lead is not published; problems: %v; sources: %+v", e.issues.List(), e.Status().Sources)
	}
}

// TestAnAnswerWithADateAheadLosesNothing: LinkedIn's answers carry a date ahead for a
// while. Every lead of that time and after it goes out within a minute.
func TestAnAnswerWithADateAheadLosesNothing(t *testing.T) {
	for _, ahead := range []time.Duration{30 * time.Second, 150 * time.Second, time.Hour, 30 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			w := newWorld(t)
			w.opts.Interval = 5 * time.Second
			e := w.start()
			w.tick(e, time.Minute)
			truth := w.now()
			for i := range 120 {
				switch i {
				case 20:
					w.set(ahead, 0)
				case 25:
					w.set(-ahead, 0)
				}
				id, at := fmt.Sprint(i), truth.Add(time.Second)
				w.linkedin.submit(id, at)
				truth = truth.Add(5 * time.Second)
				w.tick(e, 5*time.Second)
				if !w.has(id, at) {
					t.Fatalf("lead %d is not published by the poll after it", i)
				}
			}
			if live := e.state().Sources[src].Live; live.After(w.now()) {
				t.Errorf("the position is %v, in the future", live)
			}
		})
	}
}

// TestAPositionInTheFutureIsTakenBack: a checkpoint that an earlier release wrote with
// LinkedIn's wrong clock, or a person. What was submitted since it was written is read.
func TestAPositionInTheFutureIsTakenBack(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	p := e.state().Sources[src]
	p.Live = w.now().AddDate(1, 0, 0)
	for i := range p.Lookback {
		p.Lookback[i].Last = p.Live
	}
	e.publisher.end()
	if err := e.store.Commit(t.Context(), delivery.Batch{Records: checkpoint.Records{checkpoint.SourceKey(src): p}}); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 72 { // nobody works for three days
		id := fmt.Sprint("away", i)
		w.linkedin.submit(id, w.now().Add(time.Duration(i)*time.Hour+time.Second))
		want = append(want, id)
	}
	w.set(72*time.Hour+time.Minute, 72*time.Hour+time.Minute)
	e = w.start()
	w.tick(e, time.Minute)
	w.expectIDs(formID, want...)
	if e.state().Sources[src].Live.After(w.now()) {
		t.Errorf("the position is %v, in the future", e.state().Sources[src].Live)
	}
	told := w.logs.FilterMessage("a position in the future is taken back").All()
	if len(told) != 1 || told[0].Level.String() != "error" || told[0].ContextMap()["todo"] == "" {
		t.Errorf("said: %v, want one error with what to do", told)
	}
}

// TestNothingReadIsNoSuccess: a clock of LinkedIn's far behind what was read leaves
// nothing to ask for. The source is late then, not well.
func TestNothingReadIsNoSuccess(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.tick(e, time.Minute)
	w.set(-24*time.Hour, 0)
	var behind *clockBehindError
	if err := e.poller(src).poll(t.Context()); !errors.As(err, &behind) || fault.KindOf(err) != fault.Retry {
		t.Errorf("poll = %v, want LinkedIn's clock to be told of", err)
	}
	w.set(24*time.Hour, 0)
	at := w.now().Add(time.Second)
	w.linkedin.submit("a", at)
	w.tick(e, time.Minute)
	if !w.has("a", at) {
		t.Error("once it is right again the lead is not published")
	}
}

// TestClocksThatAreFarApartAreToldOf, whichever is wrong.
func TestClocksThatAreFarApartAreToldOf(t *testing.T) {
	for _, ours := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		w := newWorld(t)
		e := w.start()
		w.tick(e, time.Minute)
		if len(e.issues.List()) != 0 {
			t.Fatalf("problems: %v, want none yet", e.issues.List())
		}
		w.offset = ours
		for range 3 {
			w.tick(e, time.Minute)
		}
		clocks := func() Issue {
			list := e.issues.List()
			return list[slices.IndexFunc(list, func(x Issue) bool { return x.Part == PartClock })]
		}
		if told := clocks(); told.Resolved || told.Todo == "" {
			t.Errorf("ours ahead by %v: %+v, want it to be open and to say what to do", ours, told)
		}
		if n := w.logs.FilterMessageSnippet("clock and LinkedIn's are far apart").Len(); n != 1 {
			t.Errorf("said %d times, want once", n)
		}
		w.offset = 0
		w.tick(e, time.Minute)
		if told := clocks(); !told.Resolved {
			t.Errorf("the clocks are together again: %+v", told)
		}
	}
}

// TestOnceReadsWhatWasSubmittedBeforeItBegan: also what was in the second in which it
// did, of which LinkedIn's clock tells nothing at first.
func TestOnceReadsWhatWasSubmittedBeforeItBegan(t *testing.T) {
	w := newWorld(t)
	at := w.now().Add(900 * time.Millisecond) // LinkedIn's clock is known to a second
	w.linkedin.submit("last", at)
	if err := w.once(); err != nil {
		t.Fatal(err)
	}
	if !w.has("last", at) {
		t.Error("the lead of the last second before it began is not in its topic")
	}
}

// TestOnceEndsWhereLinkedInsClockStandsStill: what was submitted since cannot be asked for, and
// a command that ends says so instead of waiting.
func TestOnceEndsWhereLinkedInsClockStandsStill(t *testing.T) {
	w := newWorld(t)
	w.opts.Once = true
	e := w.start()
	stood := &poller{session: e.session, src: src, onceFor: time.Second}
	if err := stood.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var clock *ClockError
	if left := errors.Join(e.unread()...); !errors.As(left, &clock) || clock.Todo() == "" {
		t.Errorf("left = %v, want LinkedIn's clock named", left)
	}
}

// TestAClockOfLinkedInsThatIsBehindIsToldOnce, however often it is asked.
func TestAClockOfLinkedInsThatIsBehindIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.opts.Interval = 10 * time.Millisecond
	e := w.start()
	w.tick(e, time.Minute)
	w.set(-24*time.Hour, 0)
	w.offset = 24 * time.Hour // ours is right
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := e.poller(src).run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	lines := w.logs.FilterLevelExact(zap.WarnLevel).FilterMessageSnippet("").Len() + w.logs.FilterMessageSnippet("recovered").Len()
	if lines != 1 {
		t.Errorf("%d lines, want one: %v", lines, w.logs.All())
	}
}
