//go:build linux || darwin

package oauth

import (
	"io/fs"
	"syscall"
)

// writable is why this process can make no file of a token's size in dir, as far
// as can be told without trying.
func writable(dir string) error {
	const write = 2 // W_OK of access(2), which knows read-only file systems as well
	if err := syscall.Access(dir, write); err != nil {
		return &fs.PathError{Op: "writing to", Path: dir, Err: err}
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return nil //nolint:nilerr // it is not known how full it is
	}
	if uint64(disk.Bavail)*uint64(disk.Bsize) < room { //nolint:unconvert // their types differ by system
		return &fs.PathError{Op: "writing to", Path: dir, Err: syscall.ENOSPC}
	}
	return nil
}
