package linkedin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// notified polls every five minutes for three days, with so many requests a day
// and a notification every so often for a time, each of which is tried for five
// minutes, less and less often. It gives the polls and how many notifications
// were fetched.
func notified(t *testing.T, budget int, every, lasts time.Duration) (polls []time.Time, fetched int) {
	m := newMetered(1e6)
	c := newTestClient(t, m, Options{DailyBudget: budget})
	ctx, cancel := context.WithDeadline(t.Context(), endOfDay(3))
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	fetch := func(id string) {
		wait := fault.NewBackoff(time.Second, time.Minute)
		for came := time.Now(); time.Since(came) < 5*time.Minute; {
			_, err := c.Response(lead.AtOnce(ctx), id)
			if err == nil {
				mu.Lock()
				fetched++
				mu.Unlock()
				return
			}
			if wait.Wait(ctx, fault.DelayOf(err)) != nil {
				return
			}
		}
	}
	all.Go(func() {
		for n := 0; time.Since(bubbleStart) < lasts && fault.Sleep(ctx, every) == nil; n++ {
			all.Go(func() { fetch(strconv.Itoa(n)) })
		}
	})
	polls = poll(ctx, c, testSource, 5*time.Minute)
	cancel()
	all.Wait()
	for n := 1; n <= 3; n++ {
		if d := m.on(n); d.answered > budget {
			t.Errorf("day %d: %d requests, want %d at most", n, d.answered, budget)
		}
	}
	return polls, fetched
}

// TestNotificationsTakeNoTurnsFromPolls, which are the truth: however many come,
// polls are made on time, and what they leave goes to notifications.
func TestNotificationsTakeNoTurnsFromPolls(t *testing.T) {
	for _, tt := range []struct {
		budget       int
		every, lasts time.Duration
		fetched      int // at least
	}{
		{720, 10 * time.Minute, 72 * time.Hour, 430}, // all but a few
		{720, 2 * time.Minute, 72 * time.Hour, 1000}, // what polls leave of 3 × 720
		{720, time.Minute, time.Hour, 10},
		{720, 10 * time.Second, time.Hour, 10},
		{720, time.Second, 10 * time.Minute, 5},
		{300, 2 * time.Minute, 72 * time.Hour, 20}, // polls take 288
	} {
		t.Run(fmt.Sprintf("%d a day, one in %v for %v", tt.budget, tt.every, tt.lasts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				polls, fetched := notified(t, tt.budget, tt.every, tt.lasts)
				if gap := longestGap(polls); gap > 5*time.Minute+livePatience || len(polls) < 3*288-3 {
					t.Errorf("%d polls, no one for %v; want one each 5 minutes", len(polls), gap)
				}
				if fetched < tt.fetched {
					t.Errorf("%d notifications were fetched, want %d and more", fetched, tt.fetched)
				}
			})
		})
	}
}

// TestWhatIsReadAtOnceStopsWhereItWouldCostPolls: the further pages of a window
// find no requests, and polls go on.
func TestWhatIsReadAtOnceStopsWhereItWouldCostPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, newFakeList(5000), Options{DailyBudget: 720})
		var g gathered
		err := c.Responses(lead.AtOnce(t.Context()), testSource, testWindow, 0, g.take)
		var budget *BudgetError
		if !errors.As(err, &budget) || !budget.Spread || budget.RetryAfter() > 10*time.Minute {
			t.Errorf("error = %v, want a BudgetError that says when there are requests again", err)
		}
		if g.pages == 0 {
			t.Error("the pages there were requests for were not given")
		}
		if err := idle(t.Context(), c); errors.As(err, &budget) {
			t.Errorf("the next poll waits: %v", err)
		}
	})
}

// TestATurnIsForWhomItWasPromised: who comes in between neither takes it nor
// moves it, and who asks again before its time is told the same.
func TestATurnIsForWhomItWasPromised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, newMetered(1e6), Options{DailyBudget: 144}) // one in ten minutes
		read := func(i int) error {
			return c.Responses(t.Context(), sourceOf(i), testWindow, 0, new(gathered).take)
		}
		for range leastBurst {
			if err := read(0); err != nil {
				t.Fatal(err)
			}
		}
		var first, again *BudgetError
		if err := read(0); !errors.As(err, &first) {
			t.Fatalf("error = %v, want a turn to come", err)
		}
		for i := range 3 {
			time.Sleep(first.RetryAfter() / 2)
			if err := read(i + 1); err == nil {
				t.Errorf("source %d took a turn that was promised to another", i+1)
			}
			if err := read(0); !errors.As(err, &again) || !again.Until.Equal(first.Until) {
				t.Errorf("asked again = %v, want the turn at %v", err, first.Until)
			}
		}
		time.Sleep(first.RetryAfter())
		if err := read(4); err == nil {
			t.Error("another took the turn just before it was used")
		}
		if err := read(0); err != nil {
			t.Errorf("at the turn: %v", err)
		}
	})
}
