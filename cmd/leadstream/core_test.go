//go:build unix

package main

import (
	"syscall"
	"testing"
)

func TestACrashLeavesNoImageOfTheMemory(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &before); err != nil {
		t.Fatal(err)
	}
	leaveNoCore()
	var after syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &after); err != nil || after != (syscall.Rlimit{}) {
		t.Errorf("the limit is %+v (%v), was %+v; want 0", after, err, before)
	}
}
