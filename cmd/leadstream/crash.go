package main

import "runtime/debug"

// crashWithOne has every crash end the process with exit code 1, or at least by a
// signal, and never with Go's own 2: that is the code of a configuration error, which
// a supervisor does not restart. It covers panics in any goroutine, also in those of
// libraries, and what no program can recover from: running out of memory or
// stack, concurrent map writes, a fatal signal. Where the code cannot be set,
// the process ends by SIGABRT.
func crashWithOne() {
	debug.SetTraceback("crash") // which ends a crash by SIGABRT (package runtime, Environment Variables)
	abortWithOne()
}
