package linkedin

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/internal/fault"
)

// TestThrottlingEndsInAPauseUntilMidnight: pauses of at least 1, 2, 4 and 8
// minutes without any request, then none until the next UTC day; other
// endpoints go on.
func TestThrottlingEndsInAPauseUntilMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10 * time.Hour) // 10:00 UTC
		s := &script{answers: []answer{{status: 429}}}
		reg := prometheus.NewRegistry()
		c := newTestClient(t, s, Options{Registerer: reg})
		for i := range 4 {
			err := idle(t.Context(), c)
			least := time.Minute << i
			if got := fault.DelayOf(err); got < least || got > least*3/2 || fault.KindOf(err) != fault.Retry {
				t.Fatalf("after %d refusals: %v, wait %v, want about %v", i+1, err, got, least)
			}
			asked := len(s.asked)
			time.Sleep(fault.DelayOf(err) / 3)
			if err = idle(t.Context(), c); fault.DelayOf(err) == 0 || len(s.asked) != asked {
				t.Fatalf("during the pause: %v, %d requests", err, len(s.asked)-asked)
			}
			time.Sleep(fault.DelayOf(err)) // what is left of it
		}
		err := idle(t.Context(), c)
		var budget *BudgetError
		midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		if !errors.As(err, &budget) || budget.Until.Before(midnight.Add(daySlack)) || budget.Until.After(midnight.Add(dayJitter)) || budget.Own != 0 {
			t.Fatalf("after five refusals: %v, want a pause until %v", err, midnight)
		}
		if got := c.Counters(); got.Paused[EndpointResponses].IsZero() || got.Requests[EndpointResponses] != 5 {
			t.Errorf("counters = %+v, want a pause and 5 requests", got)
		}
		if got := metric(t, reg, "leadstream_api_throttled_total"); got["leadFormResponses"] != 5 {
			t.Errorf("leadstream_api_throttled_total = %v, want 5", got)
		}
		asked := len(s.asked)
		s.answers = []answer{ok(emptyPage)}
		if err := idle(t.Context(), c); !errors.As(err, &budget) || len(s.asked) != asked {
			t.Errorf("during the pause: %v, %d requests", err, len(s.asked)-asked)
		}
		if _, err := c.Forms(t.Context(), testSource.Owner); err != nil {
			t.Errorf("another endpoint: %v", err)
		}
		time.Sleep(budget.RetryAfter())
		if err := idle(t.Context(), c); err != nil {
			t.Errorf("on the next day: %v", err)
		}
		if got := c.Counters().Requests[EndpointResponses]; got != 1 {
			t.Errorf("%d requests counted on the new day, want 1", got)
		}
	})
}

// TestRefusalsUnderWayTogetherCountOnce.
func TestRefusalsUnderWayTogetherCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.WriteHeader(429)
		})
		c := newTestClient(t, handler, Options{Concurrency: 8})
		done := make(chan error)
		for range 8 {
			go func() { done <- idle(t.Context(), c) }()
		}
		for range 8 {
			if err := <-done; fault.DelayOf(err) > 90*time.Second {
				t.Errorf("error = %v with a wait of %v, want that of a first refusal", err, fault.DelayOf(err))
			}
		}
	})
}

// TestASuccessEndsTheRowOfRefusals.
func TestASuccessEndsTheRowOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{status: 429}, {status: 429}, ok(emptyPage), {status: 429}}}
		c := newTestClient(t, s, Options{})
		var err error
		for range 4 {
			time.Sleep(fault.DelayOf(err))
			err = idle(t.Context(), c)
		}
		if got := fault.DelayOf(err); got < time.Minute || got > 90*time.Second {
			t.Errorf("wait %v, want that of a first refusal", got)
		}
	})
}

// TestTheOwnBudgetHoldsOverRestarts: no request beyond it, per endpoint, until
// the next UTC day.
func TestTheOwnBudgetHoldsOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{ok(emptyPage)}}
		c := newTestClient(t, s, Options{DailyBudget: 3})
		for range 2 {
			if err := idle(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		c2 := newTestClient(t, s, Options{DailyBudget: 3})
		for range 2 {
			c2.Restore(c.Counters()) // twice changes nothing
		}
		if err := idle(t.Context(), c2); err != nil {
			t.Fatal(err)
		}
		err := idle(t.Context(), c2)
		var budget *BudgetError
		if !errors.As(err, &budget) || budget.Own != 3 || len(s.asked) != 3 || fault.KindOf(err) != fault.Retry {
			t.Fatalf("error %v after %d requests, want a BudgetError after 3", err, len(s.asked))
		}
		if want := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour); budget.Until.Before(want.Add(-time.Second)) || budget.Until.After(want.Add(time.Second)) {
			t.Errorf("until %v, want %v", budget.Until, want)
		}
		if _, err := c2.Forms(t.Context(), testSource.Owner); err != nil {
			t.Errorf("another endpoint: %v", err)
		}
		old := c2.Counters()
		time.Sleep(budget.RetryAfter() + time.Second)
		if err := idle(t.Context(), c2); err != nil {
			t.Errorf("on the next day: %v", err)
		}
		c2.Restore(old)
		if got := c2.Counters(); got.Requests[EndpointResponses] != 1 || got.Day == old.Day {
			t.Errorf("counters of another day were taken over: %+v", got)
		}
	})
}

// TestAPauseHoldsOverRestarts.
func TestAPauseHoldsOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{ok(emptyPage)}}
		c := newTestClient(t, s, Options{})
		until := time.Now().Add(3 * time.Hour)
		c.Restore(Counters{Paused: map[string]time.Time{EndpointResponses: until, EndpointForms: time.Now().Add(1000 * time.Hour)}})
		var budget *BudgetError
		if err := idle(t.Context(), c); !errors.As(err, &budget) || !budget.Until.Equal(until) || len(s.asked) != 0 {
			t.Errorf("error = %v after %d requests, want a pause until %v", err, len(s.asked), until)
		}
		if _, err := c.Forms(t.Context(), testSource.Owner); err != nil {
			t.Errorf("a pause longer than a day was taken over: %v", err)
		}
	})
}

// TestAPauseEndsOnTheNewDayByLinkedInsClock, which is told as a lower bound, up
// to a second behind: else the first request would count for the day before.
func TestAPauseEndsOnTheNewDayByLinkedInsClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		midnight := time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)
		for range 1000 {
			l := newLimits(0, func() (time.Time, bool) { return time.Time{}, false })
			_, err := l.throttled(EndpointResponses, time.Now(), 24*time.Hour)
			var budget *BudgetError
			if !errors.As(err, &budget) || budget.Until.Before(midnight.Add(daySlack)) || budget.Until.After(midnight.Add(dayJitter)) {
				t.Fatalf("%v, want a pause until %v to %v after %v", err, daySlack, dayJitter, midnight)
			}
		}
	})
}
