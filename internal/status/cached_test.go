package status

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// glancing is a glance that runs until the test ends, over a look that takes
// some time and counts itself.
func glancing(t *testing.T, every, takes time.Duration, fail *error) (g *cached[int], looks *int) {
	looks = new(int)
	g = newCached(every, func(ctx context.Context) (int, error) {
		time.Sleep(takes)
		*looks++
		return *looks, *fail
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return g, looks
}

func TestNobodyLooksUnlessSomebodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		g, looks := glancing(t, 30*time.Second, time.Second, &fail)
		time.Sleep(time.Hour)
		if _, at, _ := g.last(); *looks != 0 || !at.IsZero() {
			t.Fatalf("%d looks in an hour without a question", *looks)
		}
		for range 3 { // asked thrice within 30 s: one look
			if v, at, err := g.get(t.Context()); v != 1 || err != nil || time.Since(at) > 10*time.Second {
				t.Fatalf("got %d of %v ago (%v), want the first look", v, time.Since(at), err)
			}
			time.Sleep(5 * time.Second)
		}
		time.Sleep(20 * time.Second)
		if v, at, err := g.get(t.Context()); v != 2 || err != nil || !at.Equal(time.Now()) {
			t.Errorf("after 35 s: %d (%v), want a second look just now", v, err)
		}
	})
}

func TestALookTakesATwentiethOfTheTimeAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		g, looks := glancing(t, 30*time.Second, 10*time.Second, &fail)
		for began := time.Now(); time.Since(began) < time.Hour; time.Sleep(time.Second) {
			g.ask()
		}
		if busy := time.Duration(*looks) * 10 * time.Second; busy < 2*time.Minute || busy > 3*time.Minute+10*time.Second {
			t.Errorf("an hour of questions cost %v of looking, want no more than a twentieth", busy)
		}
	})
}

func TestASlowLookIsNotWaitedForLongerThanTheAskerCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		g, _ := glancing(t, time.Second, time.Minute, &fail)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		if _, at, _ := g.get(ctx); time.Since(began) != 2*time.Second || !at.IsZero() {
			t.Errorf("waited %v for a look of a minute, want 2 s", time.Since(began))
		}
		time.Sleep(time.Minute)
		if v, _, _ := g.last(); v != 1 {
			t.Error("what was found after the asker had gone is lost")
		}
	})
}

func TestAFailedLookKeepsWhatWasFoundBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		g, _ := glancing(t, time.Second, 0, &fail)
		if _, _, err := g.get(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := time.Now()
		time.Sleep(time.Minute)
		fail = errors.New("Kafka is away")
		if v, at, err := g.get(t.Context()); v != 1 || !at.Equal(first) || !errors.Is(err, fail) {
			t.Errorf("got %d of %v (%v), want the first look's and why there is no newer", v, at, err)
		}
	})
}

func TestWhatIsWellAgainShowsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := errors.New("the registry is away")
		g, _ := glancing(t, 30*time.Second, 0, &fail)
		if _, _, err := g.get(t.Context()); err == nil {
			t.Fatal("the failure is not told")
		}
		fail = nil
		time.Sleep(healthAge)
		if _, _, err := g.get(t.Context()); err != nil {
			t.Errorf("%v after it is well again: %v", healthAge, err)
		}
	})
}

func TestWhatIsWellAgainShowsSoonAlsoAfterASlowFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := errors.New("the broker takes connections and says nothing")
		g, _ := glancing(t, 10*time.Second, 15*time.Second, &fail)
		g.ask()
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if _, _, err := g.last(); err == nil {
			t.Fatal("the failure is not told")
		}
		fail = nil
		time.Sleep(healthAge)
		if v, _, err := g.get(t.Context()); v != 2 || err != nil {
			t.Errorf("the look after %v gives %d, %v; want a second one that succeeds", healthAge, v, err)
		}
	})
}

func TestOnlyALookThatFailedIsMadeAgainForWhoDoesNotNeedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		g, looks := glancing(t, time.Second, 0, &fail)
		g.askAgain()
		time.Sleep(time.Minute)
		if *looks != 0 {
			t.Fatalf("%d looks at what was never asked for", *looks)
		}
		fail = errors.New("Kafka is away")
		if _, _, err := g.get(t.Context()); err == nil {
			t.Fatal("the failure is not told")
		}
		synctest.Wait()
		fail = nil
		for range 3 {
			time.Sleep(time.Minute)
			g.askAgain()
			synctest.Wait()
		}
		if _, _, err := g.last(); err != nil || *looks != 2 {
			t.Errorf("%d looks (%v), want one more than the one that failed", *looks, err)
		}
	})
}

func TestThatSomethingAnswersAgainIsFoundOutThoughNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		var looks atomic.Int64
		g := newCached(30*time.Second, func(context.Context) (int, error) {
			looks.Add(1)
			if away.Load() {
				return 0, errors.New("away")
			}
			return 1, nil
		})
		g.untilFound = true
		background(t, g.run)
		away.Store(true)
		g.get(t.Context()) //nolint:errcheck // as a page does
		time.Sleep(time.Minute)
		away.Store(false)
		time.Sleep(2 * healthAlone)
		if _, _, err := g.last(); err != nil {
			t.Errorf("after %v it is still %v", 2*healthAlone, err)
		}
		before := looks.Load()
		time.Sleep(time.Hour)
		if more := looks.Load() - before; more != 0 {
			t.Errorf("%d looks in an hour in which nothing was amiss and nobody asked", more)
		}
	})
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
