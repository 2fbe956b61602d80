package connector

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"leadstream/internal/fault"
)

func TestANewCauseOfAFailureThatLastsIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		c := New(Options{Interval: time.Minute, Lookback: time.Hour, Log: zap.New(core)})
		answers := []error{errors.New("503"), errors.New("503"), fault.As(fault.Pause, errors.New("consent needed")), fault.As(fault.Pause, errors.New("consent needed")), nil}
		err := c.retry(t.Context(), "", "polling", func(context.Context) error {
			err := answers[0]
			answers = answers[1:]
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		waiting := logs.FilterMessage("waiting to try again")
		if n, errs := waiting.Len(), waiting.FilterLevelExact(zap.ErrorLevel).Len(); n != 2 || errs != 1 {
			t.Errorf("said %d times, %d of them as an error; want 503 and that a person must act, each once: %v", n, errs, waiting.All())
		}
	})
}

// --once ends when it would have to wait for long, however few attempts that makes.
func TestOnceWaitsForNoLimitOfTheDay(t *testing.T) {
	for _, tt := range []struct {
		wait   time.Duration
		most   time.Duration // until it gives up
		passes bool          // where the failure is over after 3 minutes
	}{{10 * time.Hour, 0, false}, {11 * time.Minute, 0, false}, {4 * time.Minute, 10 * time.Minute, true}, {time.Second, 10 * time.Minute, true}} {
		for _, lasts := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				c := New(Options{Interval: time.Minute, Lookback: time.Hour, Log: zap.NewNop(), Once: true})
				begun := time.Now()
				err := c.retry(t.Context(), "", "polling", func(context.Context) error {
					if !lasts && time.Since(begun) > 2*time.Second {
						return nil
					}
					return &usedUp{tt.wait}
				})
				if took := time.Since(begun); took > tt.most || (err == nil) != (tt.passes && !lasts) {
					t.Errorf("a wait of %v: ended after %v with %v", tt.wait, took, err)
				}
			})
		}
	}
}
