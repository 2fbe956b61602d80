package connector

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/lead"
)

// notified makes the world one that LinkedIn notifies.
func (w *world) notified() *world {
	w.opts.DeletionLog = delivery.NewDeletionLog(w.store)
	return w
}

func notification(action lead.Action, id string, at time.Time) lead.Notification {
	return lead.Notification{Action: action, ResponseID: id, Form: lead.FormRef{ID: formID, Version: 1}, Source: src, OccurredAt: at}
}

// pushNow fetches what the source's inbox holds, once.
func (w *world) pushNow(e *leader) {
	w.t.Helper()
	pending := e.pending(src)
	due, _ := pending.ready()
	if err := (&notified{e.session, src, pending}).once(w.t.Context(), due); err != nil {
		w.t.Fatal(err)
	}
}

func TestALeadThatLinkedInTellsOfIsPublishedAtOnceAndOnce(t *testing.T) {
	w := newWorld(t).notified()
	e := w.start()
	w.tick(e, time.Minute)
	live := e.state().Sources[src].Live
	at := w.now()
	w.linkedin.submit("a", at)
	for range 2 { // LinkedIn sends each notification at least once
		if err := e.Notify(t.Context(), notification(lead.Created, "a", at)); err != nil {
			t.Fatal(err)
		}
		w.pushNow(e)
	}
	got := w.topic(formID)
	if len(got) != 1 || got[0].via != "push" || got[0].id != "a" {
		t.Fatalf("the topic holds %+v, want a, pushed", got)
	}
	if p := e.state().Sources[src]; !p.Live.Equal(live) {
		t.Errorf("the live position moved from %v to %v: only polls know that nothing lies between", live, p.Live)
	}
	w.tick(e, time.Minute)
	w.expectIDs(formID, "a")
}

func TestAStormOfNotificationsCostsOneReading(t *testing.T) {
	w := newWorld(t).notified()
	e := w.start()
	w.tick(e, time.Minute)
	var want []string
	for i := range 1000 {
		id, at := strconv.Itoa(i), w.now().Add(-time.Duration(i)*time.Millisecond)
		want = append(want, id)
		w.linkedin.submit(id, at)
		for range 3 {
			if err := e.Notify(t.Context(), notification(lead.Created, id, at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := w.linkedin.requests
	w.pushNow(e)
	w.expectIDs(formID, want...)
	if n := w.linkedin.requests - before; n > 2 { // the form is known, the window is read
		t.Errorf("%d requests for 1,000 leads", n)
	}
	if due, next := e.pending(src).ready(); len(due) > 0 || next >= 0 {
		t.Errorf("%d still wait", len(due))
	}
}

func TestALeadThatDoesNotShowYetIsLookedForAgain(t *testing.T) {
	w := newWorld(t).notified()
	e := w.start()
	w.tick(e, time.Minute)
	at := w.now()
	w.linkedin.submit("a", at).visible = at.Add(time.Second)
	if err := e.Notify(t.Context(), notification(lead.Created, "a", at)); err != nil {
		t.Fatal(err)
	}
	w.pushNow(e)
	pending := e.pending(src)
	if _, next := pending.ready(); next <= 0 || next > awaitFirst {
		t.Fatalf("the next try is in %v, want within %v", next, awaitFirst)
	}
	w.linkedin.mu.Lock()
	w.linkedin.clock = w.linkedin.clock.Add(time.Second)
	w.linkedin.mu.Unlock()
	pending.waiting["a"].due = time.Time{}
	w.pushNow(e)
	w.expectIDs(formID, "a")
}

func TestAResponseOfAnotherSourceIsLeftToItsOwnPoll(t *testing.T) {
	w := newWorld(t).notified()
	e := w.start()
	w.tick(e, time.Minute)
	w.linkedin.submit("a", w.now()).Owner = "urn:li:organization:1"
	w.linkedin.submit("b", w.now()).Type = "COMPANY"
	for _, id := range []string{"a", "b"} {
		if err := e.Notify(t.Context(), notification(lead.Created, id, w.now())); err != nil {
			t.Fatal(err)
		}
	}
	w.pushNow(e)
	w.expectIDs(formID)
}

func TestWhatIsPendingTriesLessAndLessOftenAndGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pending := newPendingNotifications()
		began := time.Now()
		pending.add(checkpoint.Pushed{Response: "a", At: began})
		var tries []string
		for {
			due, next := pending.ready()
			if len(due) == 0 && next < 0 {
				break
			}
			if len(due) == 0 {
				time.Sleep(next)
				continue
			}
			tries = append(tries, time.Since(began).String())
			pending.finish(due, pushed{})
		}
		want := []string{"0s", "1s", "3s", "7s", "15s", "31s", "1m3s", "2m7s", "4m15s"}
		if !slices.Equal(tries, want) {
			t.Errorf("tried after %v, want %v", tries, want)
		}
	})
}

func TestWhatIsPendingIsBoundedAndKeepsTheLaterOfTwo(t *testing.T) {
	pending := newPendingNotifications()
	at := time.Now()
	for i := range maxPending + 100 {
		pending.add(checkpoint.Pushed{Response: strconv.Itoa(i), At: at})
	}
	due, _ := pending.ready()
	if len(due) != maxPending {
		t.Errorf("%d wait, want %d", len(due), maxPending)
	}
	// Registered again while the first is being fetched.
	pending.add(checkpoint.Pushed{Response: "0", At: at.Add(time.Second)})
	found := map[string]bool{}
	for id := range due {
		found[id] = true
	}
	pending.finish(due, pushed{found: found})
	if due, _ := pending.ready(); len(due) != 1 || !due["0"].Equal(at.Add(time.Second)) {
		t.Errorf("%v waits, want the later registration alone", due)
	}
}

// running is a connector at work.
func (w *world) running() *Connector {
	w.t.Helper()
	c := New(w.opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run = %v", err)
		}
	})
	w.until("the first poll", func() bool {
		s := c.Status()
		return len(s.Sources) == 1 && !s.Sources[0].Success.IsZero()
	})
	return c
}

// until waits for something that other goroutines bring about.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestWhatAProcessThatStandsByIsToldIsCarriedOut(t *testing.T) {
	w := newWorld(t).notified()
	w.running()
	standby := newWorldOf(w)
	at := w.now()
	w.linkedin.submit("a", at)
	if err := standby.Notify(t.Context(), notification(lead.Created, "a", at)); err != nil {
		t.Fatal(err)
	}
	w.until("the pushed lead", func() bool { return slices.Equal(ids(w.topic(formID)), []string{"a"}) })
	if got := w.topic(formID)[0].via; got != "push" {
		t.Errorf("it came by %s, want push", got)
	}
	if err := standby.Notify(t.Context(), notification(lead.Deleted, "a", at.Add(time.Second))); err != nil {
		t.Fatal(err)
	}
	w.until("the tombstone", func() bool {
		got := w.topic(formID)
		return len(got) == 2 && got[1].id == "a" && got[1].value == nil
	})
}

// newWorldOf is a second process of the installation, which does not work.
func newWorldOf(w *world) *Connector {
	o := w.opts
	o.DeletionLog = delivery.NewDeletionLog(w.store)
	return New(o)
}

func TestADeletedLeadIsNotReadBackByPollsReplaysOrALostCheckpoint(t *testing.T) {
	w := newWorld(t).notified()
	e := w.start()
	w.tick(e, time.Minute)
	at := w.now()
	w.linkedin.submit("a", at)
	w.linkedin.submit("b", at)
	w.tick(e, time.Minute)
	if err := e.Notify(t.Context(), notification(lead.Deleted, "a", at.Add(time.Second))); err != nil {
		t.Fatal(err)
	}
	if err := e.deletions.apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"a", "b", "a"} // the last one is the tombstone
	w.tick(e, 5*time.Minute)        // the look-back reads it again
	w.expectIDs(formID, want...)
	for _, mode := range []checkpoint.Mode{checkpoint.Missing, checkpoint.All} {
		w.opts.Replay = &ReplayOptions{ID: string(mode), From: at.Add(-time.Hour), To: w.now(), Mode: mode}
		again := w.start()
		w.tick(again, time.Minute)
		if err := again.replayer().run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if mode == checkpoint.All {
			want = append(want, "b")
		}
		w.expectIDs(formID, want...)
	}
	w.opts.Replay = nil
	w.opts.Backfill = 24 * time.Hour
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{"leadstream.checkpoints"}); err != nil {
		t.Fatal(err)
	}
	fresh := w.start()
	w.tick(fresh, time.Minute)
	w.catchUp(fresh)
	w.expectIDs(formID, want...)
}

// What LinkedIn tells of a source that is not read is said, once.
func TestANotificationOfALeadThatIsNotReadIsSaidOnce(t *testing.T) {
	w := newWorld(t).notified()
	e := w.start()
	for range 3 {
		for _, other := range []lead.Source{{Owner: neighbour, Type: "EVENT"}, {Owner: owner, Type: "COMPANY"}, src} {
			e.notified(other, checkpoint.Pushed{Response: "a", At: w.now()})
		}
	}
	if n := w.logs.FilterMessageSnippet("leads that are not read").Len(); n != 2 {
		t.Errorf("said %d times, want once for each of the two", n)
	}
}
