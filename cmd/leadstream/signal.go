package main

import (
	"context"
	"os"
	"sync"
	"syscall"
)

// untilSignal is a context that the first signal ends, so that the work can
// drain. The second signal ends the process at once with 128 and the signal's
// number, 130 for Ctrl-C. stop must be called when the work is over; it waits
// for the goroutine behind this.
func untilSignal(parent context.Context, signals <-chan os.Signal, exit func(int)) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	over := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for range 2 {
			select {
			case <-over:
				return
			case s := <-signals:
				if ctx.Err() != nil {
					exit(128 + number(s))
					return
				}
				cancel()
			}
		}
	})
	return ctx, sync.OnceFunc(func() {
		close(over)
		cancel()
		watcher.Wait()
	})
}

func number(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return int(n)
	}
	return int(syscall.SIGINT)
}
