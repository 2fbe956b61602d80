package linkedin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"leadstream/internal/lead"
)

// TestADayThatLinkedInStoppedPacesTheNextOnes: to 90 % of what it answered,
// spread over the day, with live polls on time while a backfill has no end; and
// the page says so.
func TestADayThatLinkedInStoppedPacesTheNextOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = 5 * time.Minute // 288 polls a day
		m := newMetered(800)
		c := newTestClient(t, m, Options{})
		work(t, c, endOfDay(1).Add(-time.Hour), interval, 1, 2)
		first := m.on(1)
		if first.answered != 800 || first.refused == 0 || first.last > 3 {
			t.Fatalf("day 1 = %+v, want the limit met early", first)
		}
		if b := c.Budget(); !b.Paced || !strings.Contains(b.Note, "daily limit of `leadFormResponses` was met after ") || b.Endpoints[0].Throttled == 0 {
			t.Errorf("budget on the day itself = %+v", b)
		}
		for n := 2; n <= 4; n++ {
			polls, slices := work(t, c, endOfDay(n), interval, 1, 2)
			d := m.on(n)
			if d.refused != 0 || d.answered > 720+8*(n-2) || d.answered < 640 {
				t.Errorf("day %d = %+v, want about 720 requests and none refused", n, d)
			}
			for i, q := range d.quarters {
				if q < d.answered/5 || q > d.answered*3/10 {
					t.Errorf("day %d: %d of %d requests in quarter %d, want them spread", n, q, d.answered, i+1)
				}
			}
			if live := d.answered - d.background; live < 280 || live > 290 {
				t.Errorf("day %d: %d live polls, want one each 5 minutes", n, live)
			}
			if gap := longestGap(polls[0]); gap > 2*interval {
				t.Errorf("day %d: %v between two polls, want 5 minutes", n, gap)
			}
			if slices < 40 {
				t.Errorf("day %d: %d slices were backfilled", n, slices)
			}
		}
		b := c.Budget()
		if !b.Paced || !strings.Contains(b.Note, "% of its limit: LinkedIn stopped it on 2000-01-01 after ") || !strings.Contains(b.Note, "kept for live leads") {
			t.Errorf("note = %q", b.Note)
		}
	})
}

func longestGap(polls []time.Time) (longest time.Duration) {
	for i := range polls[1:] {
		longest = max(longest, polls[i+1].Sub(polls[i]))
	}
	return longest
}

// TestPollsThatAskForTooMuchAreSpreadEvenly: over the day and over the sources,
// which is logged once a day and stands on the page, while the backfill keeps
// a share.
func TestPollsThatAskForTooMuchAreSpreadEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		m := newMetered(1000)
		c := newTestClient(t, m, Options{Log: zap.New(core)})
		work(t, c, endOfDay(1), time.Minute, 5, 1)
		polls, slices := work(t, c, endOfDay(2), time.Minute, 5, 1)
		d := m.on(2)
		if d.answered > 900 || d.answered < 800 || d.refused != 0 {
			t.Errorf("day 2 = %+v, want about 900 requests and none refused", d)
		}
		if d.background < 150 || slices < 20 {
			t.Errorf("%d requests for %d slices in the background, want a fifth", d.background, slices)
		}
		for i, at := range polls {
			if len(at) < 110 || len(at) > 180 {
				t.Errorf("source %d was polled %d times, want a fifth of 720", i, len(at))
			}
			if gap := longestGap(at); gap > 25*time.Minute {
				t.Errorf("source %d was not polled for %v, want about 10 minutes", i, gap)
			}
		}
		if n := logs.FilterMessageSnippet("live polls are spread").Len(); n != 1 {
			t.Errorf("it was logged %d times on one day", n)
		}
		if b := c.Budget(); !strings.Contains(b.Note, "a source is polled about every") {
			t.Errorf("note = %q, want the interval there is now", b.Note)
		}
	})
}

// TestTryingTheLimitCostsTheEndOfADayAtMost: with a backfill that has no end it
// is met again at times, and then in the last hours of the day.
func TestTryingTheLimitCostsTheEndOfADayAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetered(200)
		c := newTestClient(t, m, Options{})
		met := 0
		const days = 40 // two rounds and some more: a percent of so small a limit is rounded down
		for n := 1; n <= days; n++ {
			work(t, c, endOfDay(n), time.Hour, 1, 1)
			if d := m.on(n); d.refused > 0 {
				met++
				if n > 1 && d.last < 21 {
					t.Errorf("day %d: the limit was met at hour %.1f, want at the end of the day", n, d.last)
				}
			}
		}
		if met < 2 || met > 6 {
			t.Errorf("the limit was met on %d of %d days, want the first and one in about eleven", met, days)
		}
	})
}

// TestARaisedLimitIsFound: little by little until LinkedIn answers clearly more
// than before, then faster.
func TestARaisedLimitIsFound(t *testing.T) {
	for _, tt := range []struct {
		name           string
		limit, allowed int // LinkedIn's, now and when it stopped us
		partial        bool
		within         int // days
	}{
		{"doubled", 10000, 5000, false, 25},
		{"doubled, small", 40, 20, false, 25},
		{"a tenth more", 5500, 5000, false, 25},
		{"a partial count", 5000, 1000, true, 25},
		{"a small partial count", 5000, 10, true, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := gate{limit: DailyLimit{Allowed: tt.allowed, Limit: tt.allowed, Day: "2026-11-01", Partial: tt.partial}}
			for n := range tt.within {
				pace := g.limit.pace()
				if pace == 0 || pace >= tt.limit*9/10 {
					return // found, or forgotten
				}
				g.answered = pace
				g.endDay(testStart.Add(time.Duration(n+1)*24*time.Hour).Format(time.DateOnly), false)
			}
			t.Errorf("after %d days the limit is taken for %+v, it is %d", tt.within, g.limit, tt.limit)
		})
	}
	idle := gate{limit: DailyLimit{Allowed: 5000, Limit: 5000, Day: "2026-11-01"}, answered: 1440}
	idle.endDay("2026-11-02", false)
	if idle.limit.Limit != 5000 {
		t.Errorf("a day with less to do raised the limit to %d", idle.limit.Limit)
	}
}

// TestAPacedDayGoesOnAfterARestart: what the counters keep is enough.
func TestAPacedDayGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetered(1000)
		c := newTestClient(t, m, Options{})
		work(t, c, endOfDay(1), time.Minute, 1, 1)
		for h := 24; h < 72; h += 6 {
			c = restart(t, m, c)
			work(t, c, bubbleStart.Add(time.Duration(h+6)*time.Hour), time.Minute, 1, 1)
		}
		for n := 2; n <= 3; n++ {
			d := m.on(n)
			if d.refused != 0 || d.answered > 950 || d.answered < 800 {
				t.Errorf("day %d = %+v, want about 900 requests and none refused", n, d)
			}
			for i, q := range d.quarters {
				if q < 180 || q > 280 {
					t.Errorf("day %d: %d requests in quarter %d, want them spread", n, q, i+1)
				}
			}
		}
	})
}

// restart is a new client with what the one before left.
func restart(t *testing.T, h http.Handler, c *Client) *Client {
	t.Helper()
	saved := roundTripJSON(t, c.Counters())
	c = newTestClient(t, h, Options{DailyBudget: c.opts.DailyBudget})
	c.Restore(saved)
	c.Restore(saved) // twice changes nothing
	return c
}

// TestAStopOverMidnightKeepsTheLimit: a process that stops on the day that
// LinkedIn stopped it paces the day on which it comes back.
func TestAStopOverMidnightKeepsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetered(1000)
		c := newTestClient(t, m, Options{})
		work(t, c, bubbleStart.Add(20*time.Hour), time.Minute, 1, 1)
		time.Sleep(time.Until(endOfDay(4)) + 12*time.Hour)
		c = restart(t, m, c)
		work(t, c, endOfDay(5), time.Minute, 1, 1)
		if d := m.on(5); d.refused != 0 || d.answered > 900 || d.answered < 800 || d.quarters[2] > 500 {
			t.Errorf("half a day = %+v, want 900 requests spread over it", d)
		}
	})
}

// TestTheLowerOfTwoBoundsHolds: our own, or the pace.
func TestTheLowerOfTwoBoundsHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetered(1000)
		c := newTestClient(t, m, Options{DailyBudget: 5000})
		work(t, c, endOfDay(1), time.Minute, 1, 1)
		work(t, c, endOfDay(2), time.Minute, 1, 1)
		if d := m.on(2); d.answered > 900 || d.answered < 800 {
			t.Errorf("%d requests, want the pace of 900", d.answered)
		}
		lower := newTestClient(t, m, Options{DailyBudget: 500})
		lower.Restore(c.Counters())
		work(t, lower, endOfDay(3), time.Minute, 1, 1)
		d := m.on(3)
		if d.answered > 500 || d.answered < 480 || d.quarters[0] > 150 {
			t.Errorf("day 3 = %+v, want the 500 of our own, spread", d)
		}
		if b := lower.Budget(); b.Endpoints[0].Limit != 500 {
			t.Errorf("limit shown = %d, want 500", b.Endpoints[0].Limit)
		}
	})
}

// TestWithoutALimitNothingIsSpread.
func TestWithoutALimitNothingIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetered(1e6)
		c := newTestClient(t, m, Options{})
		started := time.Now()
		for range 100 {
			if err := idle(lead.Background(t.Context()), c); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(started); took > 0 {
			t.Errorf("100 readings took %v", took)
		}
		if b := c.Budget(); b.Paced || b.Note != "" || len(b.Endpoints) != 1 || b.Endpoints[0].Limit != 0 || b.Endpoints[0].Used < 100 {
			t.Errorf("budget = %+v", b)
		}
	})
}

// TestALongWaitHoldsNothingUp: work in the background that would wait for hours
// is told so at once; a shorter wait takes no slot and ends with the context.
func TestALongWaitHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, &script{answers: []answer{ok(emptyPage)}}, Options{Concurrency: 1, DailyBudget: 24 * 6}) // one in ten minutes
		background := lead.Background(t.Context())
		for range leastBurst {
			if err := idle(background, c); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(background)
		waiting := make(chan error, 1)
		go func() { waiting <- idle(ctx, c) }()
		synctest.Wait()
		if err := idle(t.Context(), c); err != nil { // the only slot is free
			t.Errorf("live request beside one that waits: %v", err)
		}
		cancel()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("wait that was cancelled = %v", err)
		}
		for range 20 {
			c.limits.gates[EndpointResponses].pace.background-- // a slice of many pages
		}
		started := time.Now()
		err := idle(background, c)
		var budget *BudgetError
		if !errors.As(err, &budget) || !budget.Spread || budget.RetryAfter() < time.Hour || time.Since(started) > 0 {
			t.Errorf("error = %v after %v, want a BudgetError at once", err, time.Since(started))
		}
	})
}

// TestASpellOf429IsNoLimit: what stops us early on a day, after one with many
// more answers, must not slow down the days to come.
func TestASpellOf429IsNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetered(1e6)
		c := newTestClient(t, m, Options{})
		work(t, c, endOfDay(1), time.Minute, 1, 0)
		m.limit = 0
		work(t, c, endOfDay(2), time.Minute, 1, 0)
		m.limit = 1e6
		work(t, c, endOfDay(3), time.Minute, 1, 0)
		if d := m.on(3); d.answered < 1400 || len(c.Counters().Limits) != 0 {
			t.Errorf("day 3 = %+v with limits %+v, want a poll each minute", d, c.Counters().Limits)
		}
	})
}

// TestALowPartialCountIsForgotten: a first start on a day that others had used up
// says little of the limit, and is passed within days.
func TestALowPartialCountIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(12 * time.Hour)
		m := newMetered(30)
		c := newTestClient(t, m, Options{})
		work(t, c, endOfDay(1), time.Minute, 1, 0)
		if got := c.Counters(); got.Limits[EndpointResponses].Allowed != 30 || !got.Limits[EndpointResponses].Partial {
			t.Fatalf("counters = %+v, want a partial limit of 30", got)
		}
		m.limit = 1e6
		for n := 2; n <= 12; n++ {
			work(t, c, endOfDay(n), time.Minute, 1, 0)
		}
		if d := m.on(12); d.answered < 1400 {
			t.Errorf("day 12 = %+v, want a poll each minute", d)
		}
	})
}

// TestTheDayIsLinkedIns: the counts follow the clock of its Date header, and
// those of its day come back when ours was wrong about the date.
func TestTheDayIsLinkedIns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		offset := -time.Hour // LinkedIn is an hour behind: its day is still the one before
		s := &script{answers: []answer{ok(emptyPage)}}
		c := newTestClient(t, nil, Options{HTTP: roundTrip(func(r *http.Request) (*http.Response, error) {
			res, err := inProcess{s}.RoundTrip(r)
			res.Header.Set("Date", time.Now().Add(offset).UTC().Format(http.TimeFormat))
			return res, err
		}), DailyBudget: 100})
		theirs := bubbleStart.Add(offset).Format(time.DateOnly)
		c.Restore(Counters{Day: theirs, Requests: map[string]int{EndpointResponses: 40}})
		for range 2 {
			if err := idle(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.Counters(); got.Day != theirs || got.Requests[EndpointResponses] < 41 {
			t.Errorf("counters = %+v, want those of %s with 40 and ours", got, theirs)
		}
		if resets := c.Budget().Resets; !resets.Equal(bubbleStart.Add(-offset)) {
			t.Errorf("resets at %v, want LinkedIn's midnight", resets)
		}
	})
}

// TestTurnsAreGivenInOrder: polls that are planned for one moment get one turn
// after another, and one that is not used comes back.
func TestTurnsAreGivenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestClient(t, newMetered(1e6), Options{DailyBudget: 2400})
		at := time.Now().Add(time.Minute)
		var turns []time.Time
		for i := range 60 {
			turns = append(turns, c.Moment(sourceOf(i), at))
		}
		if !slices.IsSortedFunc(turns, time.Time.Compare) || !turns[0].Equal(at) || turns[59].Sub(at) < 15*time.Minute {
			t.Errorf("turns = %v", turns)
		}
		time.Sleep(time.Hour) // none was used
		if got := c.Moment(sourceOf(60), time.Now()); got.After(time.Now()) {
			t.Errorf("turns that were given up are kept: the next is in %v", time.Until(got))
		}
	})
}

// TestTheErrorNamesTheLimit.
func TestTheErrorNamesTheLimit(t *testing.T) {
	until := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		err  BudgetError
		want []string
	}{
		{BudgetError{Endpoint: "events", Until: until}, []string{"daily limit of events", "2026-11-24T00:00:00.000Z"}},
		{BudgetError{Endpoint: "events", Until: until, Allowed: 5000}, []string{"after 5000 requests"}},
		{BudgetError{Endpoint: "events", Until: until, Own: 700}, []string{"700", "linkedin.daily_budget"}},
		{BudgetError{Endpoint: "events", Until: until, Pace: 4500}, []string{"4500 requests a day", "90 %"}},
		{BudgetError{Endpoint: "events", Until: until, Pace: 4500, Spread: true}, []string{"4500 requests a day", "next turn is at 2026-11-24"}},
	} {
		for _, want := range tt.want {
			if got := tt.err.Error(); !strings.Contains(got, want) {
				t.Errorf("%q does not say %q", got, want)
			}
		}
	}
}
