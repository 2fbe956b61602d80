package connector

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/lead"
)

// tell has LinkedIn notify of a lead.
func (w *world) tell(e *leader, action lead.Action, id string, at time.Time) {
	w.t.Helper()
	if err := e.Notify(w.t.Context(), notification(action, id, at)); err != nil {
		w.t.Fatal(err)
	}
}

func TestNotificationsOfDifferentDaysReadNothingInBetween(t *testing.T) {
	w := newWorld(t).notified()
	e := w.start()
	w.tick(e, time.Minute)
	week := w.now().Add(-6 * 24 * time.Hour)
	for i := range 100 { // published long ago
		w.linkedin.submit("old "+strconv.Itoa(i), week.Add(time.Duration(i)*time.Hour))
	}
	for i := range 10 { // LinkedIn repeats what it could not deliver
		w.tell(e, lead.Created, "old "+strconv.Itoa(10*i), week.Add(time.Duration(10*i)*time.Hour))
	}
	at := w.now()
	for i := range 3 {
		w.linkedin.submit("new "+strconv.Itoa(i), at)
		w.tell(e, lead.Created, "new "+strconv.Itoa(i), at)
	}
	w.linkedin.read = nil
	w.pushNow(e)
	w.expectIDs(formID, "new 0", "new 1", "new 2")
	if len(w.linkedin.read) != 1 || w.linkedin.read[0].Length() > 2*pushMargin {
		t.Errorf("read %v, want the window of the new ones alone", w.linkedin.read)
	}
	if _, next := e.pending(src).ready(); next >= 0 {
		t.Errorf("something is looked for again in %v, want the old ones left to the look-back", next)
	}
	w.tick(e, 168*time.Hour) // every step of the look-back is due
	w.catchUp(e)
	if got := ids(w.topic(formID)); !slices.Contains(got, "old 50") || !slices.Contains(got, "old 90") {
		t.Errorf("the topic holds %v, want those that were left to the look-back", got)
	}
}

func TestWhatWasToldOfIsReadInFewNarrowWindows(t *testing.T) {
	began := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return began.Add(time.Duration(minutes) * time.Minute) }
	window := func(from, to int) string {
		return fmt.Sprint(lead.Window{From: at(from).Add(-pushMargin), To: at(to).Add(time.Millisecond)})
	}
	for _, c := range []struct {
		name    string
		minutes []int
		windows []string // newest first
		far     int
	}{
		{"together", []int{0, 1, 2}, []string{window(0, 2)}, 0},
		{"apart", []int{0, 1, 30, 31}, []string{window(30, 31), window(0, 1)}, 0},
		{"polls have been there", []int{-10, -9, 5}, []string{window(5, 5)}, 2},
		{"too many to be worth it", []int{0, 10, 20, 30, 40, 50, 60, 70, 80, 90}, []string{window(90, 90), window(80, 80), window(70, 70),
			window(60, 60), window(50, 50), window(40, 40), window(30, 30), window(20, 20)}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			due := map[string]time.Time{}
			for i, m := range c.minutes {
				due[strconv.Itoa(i)] = at(m)
			}
			windows, far := windowsOf(due, began)
			var got []string
			for _, w := range windows {
				got = append(got, fmt.Sprint(w))
			}
			if !slices.Equal(got, c.windows) || len(far) != c.far {
				t.Errorf("read %v and leave %d, want %v and %d", got, len(far), c.windows, c.far)
			}
		})
	}
}

func TestADeletedLeadIsNotLookedForAnyMore(t *testing.T) {
	w := newWorld(t).notified()
	e := w.start()
	e.Connector.current = e
	w.tick(e, time.Minute)
	at := w.now()
	w.tell(e, lead.Created, "gone", at)
	w.tell(e, lead.Created, "back", at.Add(2*time.Second)) // registered again since
	for _, id := range []string{"gone", "back"} {
		w.tell(e, lead.Deleted, id, at.Add(time.Second))
	}
	if due, _ := e.pending(src).ready(); len(due) != 1 || due["back"].IsZero() {
		t.Errorf("waiting for %v, want the one that came back alone", due)
	}
}

func TestALeadThatAnotherProcessIsToldIsDeletedIsLookedForOnceAtMost(t *testing.T) {
	w := newWorld(t).notified()
	e := w.start()
	w.tick(e, time.Minute)
	at := w.now()
	w.tell(e, lead.Created, "gone", at)
	w.tell(e, lead.Created, "back", at.Add(2*time.Second))
	for _, id := range []string{"gone", "back"} {
		if err := newWorldOf(w).Notify(t.Context(), notification(lead.Deleted, id, at.Add(time.Second))); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.deletions.apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.pushNow(e)
	if waiting := slices.Collect(maps.Keys(e.pending(src).waiting)); !slices.Equal(waiting, []string{"back"}) {
		t.Errorf("waiting for %v, want the one that came back alone", waiting)
	}
}

// short is LinkedIn that has no requests left for what is not a poll.
type short struct {
	*fakeLinkedIn
	wait  time.Duration
	asked int
}

func (s *short) Response(ctx context.Context, id string) (lead.Response, error) {
	s.asked++
	if lead.IsAtOnce(ctx) {
		return lead.Response{}, &usedUp{s.wait}
	}
	return s.fakeLinkedIn.Response(ctx, id)
}

func TestALeadThatThereIsNoRequestForWaitsOrIsLeftToThePoll(t *testing.T) {
	for wait, tries := range map[time.Duration]int{2 * time.Minute: 3, time.Hour: 1} {
		w := newWorld(t).notified()
		s := &short{fakeLinkedIn: w.linkedin, wait: wait}
		w.opts.LinkedIn = s
		e := w.start()
		w.tick(e, time.Minute)
		e.publisher.end()
		synctest.Test(t, func(t *testing.T) {
			e.publisher.start(t.Context())
			defer e.publisher.end()
			pending := newPendingNotifications()
			pending.add(checkpoint.Pushed{Response: "a", At: w.now()})
			for {
				due, next := pending.ready()
				if len(due) == 0 && next < 0 {
					break
				}
				if len(due) == 0 {
					time.Sleep(next)
					continue
				}
				if err := (&notified{e.session, src, pending}).once(t.Context(), due); err != nil {
					t.Fatal(err)
				}
			}
			if s.asked != tries {
				t.Errorf("with requests in %v it was asked for %d times, want %d", wait, s.asked, tries)
			}
		})
	}
}
