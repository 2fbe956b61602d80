package main

import (
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
)

func TestTheFirstSignalDrainsAndTheSecondExits(t *testing.T) {
	for _, test := range []struct {
		name          string
		first, second os.Signal
		want          int
	}{
		{"Ctrl-C twice", os.Interrupt, os.Interrupt, 130},
		{"SIGTERM then Ctrl-C", syscall.SIGTERM, os.Interrupt, 130},
		{"SIGTERM twice", syscall.SIGTERM, syscall.SIGTERM, 143},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signals, codes := make(chan os.Signal, 2), make(chan int, 2)
				ctx, stop := untilSignal(t.Context(), signals, func(code int) { codes <- code })
				defer stop()
				synctest.Wait()
				if ctx.Err() != nil {
					t.Fatal("the context ended before any signal")
				}
				signals <- test.first
				synctest.Wait()
				if ctx.Err() == nil || len(codes) != 0 {
					t.Fatalf("after the first signal: context %v, exits %d", ctx.Err(), len(codes))
				}
				signals <- test.second
				synctest.Wait()
				if len(codes) != 1 {
					t.Fatalf("exits = %d, want 1", len(codes))
				}
				if code := <-codes; code != test.want {
					t.Errorf("code = %d, want %d", code, test.want)
				}
			})
		})
	}
}

func TestStopEndsTheWatchWithoutExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := untilSignal(t.Context(), make(chan os.Signal), func(int) { t.Error("exit was called") })
		stop()
		stop()
		if ctx.Err() == nil {
			t.Error("the context goes on after stop")
		}
	}) // the bubble fails if the watcher is still there
}

func TestASignalDuringSomebodyElsesCancelExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		signals, codes := make(chan os.Signal, 2), make(chan int, 2)
		_, stop := untilSignal(parent, signals, func(code int) { codes <- code })
		defer stop()
		cancel()
		signals <- os.Interrupt
		synctest.Wait()
		if len(codes) != 1 {
			t.Errorf("exits = %d, want 1: the work was draining already", len(codes))
		}
	})
}
