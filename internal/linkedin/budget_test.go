package linkedin

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/internal/fault"
)

// TestAUsedUpDayIsLeftAloneUntilTheNext: a 429 that names the day closes the
// endpoint at once; other endpoints go on.
func TestAUsedUpDayIsLeftAloneUntilTheNext(t *testing.T) {
	for name, body := range map[string]string{
		"member":   dayIsUsedUp,
		"app":      `{"status":429,"message":"Resource level throttle APPLICATION DAY limit for calls to this resource is reached."}`,
		"lower":    `{"message":"the daily quota of this application was reached"}`,
		"its code": `{"status":429,"code":"APPLICATION_DAY_LIMIT","message":"Too many requests"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(10 * time.Hour) // 10:00 UTC
				s := &script{answers: []answer{{status: 429, body: body}}}
				reg := prometheus.NewRegistry()
				c := newTestClient(t, s, Options{Registerer: reg})
				err := idle(t.Context(), c)
				var budget *BudgetError
				midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
				if !errors.As(err, &budget) || budget.Until.Before(midnight.Add(daySlack)) || budget.Until.After(midnight.Add(dayJitter)) || budget.Own != 0 {
					t.Fatalf("error = %v, want a pause until %v", err, midnight)
				}
				if got := c.Counters(); got.Paused[EndpointResponses].IsZero() || got.Requests[EndpointResponses] != 1 {
					t.Errorf("counters = %+v, want a pause and one request", got)
				}
				if got := metric(t, reg, "leadstream_api_throttled_total"); got["leadFormResponses"] != 1 {
					t.Errorf("leadstream_api_throttled_total = %v, want 1", got)
				}
				s.answers = []answer{ok(emptyPage)}
				if err := idle(t.Context(), c); !errors.As(err, &budget) || len(s.asked) != 1 {
					t.Errorf("during the pause: %v, %d requests", err, len(s.asked)-1)
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
		})
	}
}

// TestA429ThatNamesNoDayIsLookedAtAgain: after about 1, 2, 4, … minutes and then
// hourly, however long it lasts, by one request at a time for all sources; it is over
// an hour after it ended at the latest, and slows down no day to come.
func TestA429ThatNamesNoDayIsLookedAtAgain(t *testing.T) {
	for _, spell := range []time.Duration{time.Minute, 25 * time.Minute, 3 * time.Hour, 9 * time.Hour} {
		for _, body := range []string{slowDown, "", "<html>Too many requests today</html>"} {
			t.Run(fmt.Sprintf("%v %.20q", spell, body), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(10 * time.Hour)
					m := newMetered(0)
					m.refusal = body
					c := newTestClient(t, m, Options{})
					ended := time.Now().Add(spell)
					time.AfterFunc(spell, func() {
						m.mu.Lock()
						defer m.mu.Unlock()
						m.limit = 1e6
					})
					polls, _ := work(t, c, ended.Add(100*time.Minute), time.Minute, 8, 0)
					looks := map[time.Time]int{}
					for _, at := range m.requests {
						if at.Before(ended) {
							looks[at.Truncate(time.Second)]++
						}
					}
					if most := 8 + int(spell.Hours()); len(looks) > most {
						t.Errorf("it was looked at %d times, want about %d", len(looks), most)
					}
					first := true
					for _, at := range m.requests {
						if n := looks[at.Truncate(time.Second)]; n > 1 && !first {
							t.Errorf("%d requests at %v, want one", n, at)
						}
						first = first && at.Sub(m.requests[0]) < time.Second // what was under way when it began
					}
					for i, at := range polls {
						if len(at) == 0 || at[0].Sub(ended) > throttleMost+dayJitter+time.Minute {
							t.Errorf("source %d was read again at %v, want an hour after %v at the latest", i, at[:min(len(at), 1)], ended)
						}
					}
					if got := c.Counters(); len(got.Limits) != 0 || len(got.Paused) != 0 {
						t.Errorf("counters = %+v, want no limit", got)
					}
				})
			})
		}
	}
}

// A spell that ends with the day was the day's limit, also where LinkedIn does not
// say so; one that goes on was none.
func TestARefusalUpToMidnightIsTheDaysLimitIfTheNextDayBeginsWithAnAnswer(t *testing.T) {
	for _, over := range []time.Duration{0, 2 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			m := newMetered(300)
			m.refusal = slowDown
			c := newTestClient(t, m, Options{})
			work(t, c, endOfDay(1), time.Minute, 1, 0)
			if over > 0 {
				m.mu.Lock()
				m.limit = 0
				m.mu.Unlock()
				time.AfterFunc(over, func() {
					m.mu.Lock()
					defer m.mu.Unlock()
					m.limit = 300
				})
			}
			work(t, c, endOfDay(1).Add(6*time.Hour), time.Minute, 1, 0)
			limits := c.Counters().Limits
			if got := limits[EndpointResponses]; over == 0 && got.Allowed != 300 || over > 0 && len(limits) != 0 {
				t.Errorf("refused for %v more: limits = %+v", over, limits)
			}
		})
	}
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
			_, err := l.throttled(EndpointResponses, time.Now(), 24*time.Hour, false)
			var budget *BudgetError
			if !errors.As(err, &budget) || budget.Until.Before(midnight.Add(daySlack)) || budget.Until.After(midnight.Add(dayJitter)) {
				t.Fatalf("%v, want a pause until %v to %v after %v", err, daySlack, dayJitter, midnight)
			}
		}
	})
}
