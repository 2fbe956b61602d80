// Command leadstream reads the leads of LinkedIn lead forms and publishes each
// of them once to Kafka. See the README, or leadstream --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // a closed pipe is an error like any other, and a lost log line no reason to stop
	leaveNoCore()
	crashWithOne()
	signals := make(chan os.Signal, 2) // room for both that count
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, stop := untilSignal(context.Background(), signals, os.Exit)
	code := run(ctx, process{
		args: os.Args[1:], environ: os.Environ(),
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
	})
	stop()
	os.Exit(code)
}
