//go:build linux && (amd64 || arm64)

package main

import (
	"reflect"
	"syscall"
	"unsafe"
)

// sigaction is the kernel's, as amd64 and arm64 have it (Linux, rt_sigaction(2)).
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	saOnStack  = 0x08000000
	saRestorer = 0x04000000 // without which amd64 calls no handler
	maskSize   = 8
)

// abortWithOne puts exit(1) in the place of what SIGABRT does by default. The Go
// runtime handles no SIGABRT of its own making: when it is through with a crash it
// raises the signal, and expects not to come back. No core is written either, which
// would hold tokens.
func abortWithOne() {
	exit := reflect.ValueOf(exitOne).Pointer()
	action := sigaction{handler: exit, flags: saOnStack | saRestorer, restorer: exit}
	// An error leaves SIGABRT as it was.
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGABRT), uintptr(unsafe.Pointer(&action)), 0, maskSize, 0, 0)
}

// exitOne is called by the kernel, on whichever stack, while the runtime is dead:
// it does nothing but end the process.
//
//go:nosplit
//go:norace
func exitOne() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, exitUnexpected, 0, 0)
}
