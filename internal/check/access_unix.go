//go:build unix

package check

import "syscall"

// writable reports why this process may not write to a file or directory that
// exists, without writing.
func writable(path string) error {
	const write = 2 // W_OK of access(2)
	return syscall.Access(path, write)
}
