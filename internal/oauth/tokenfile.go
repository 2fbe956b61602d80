package oauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// The suffixes of the files beside the token file.
const (
	lockSuffix = ".lock"
	tempSuffix = ".tmp" // one name is enough under the lock, and crashes leave no pile of files
)

// room is more than a token takes on the disk.
const room = 32 << 10

// encryptedMark is the content of the lock file once tokens were encrypted.
var encryptedMark = []byte("encrypted\n")

// errNotPrivate: everybody who can reach the file system can read the file.
var errNotPrivate = fmt.Errorf("%w whatever its mode is set to", ErrFileMode)

// openRegular opens a regular file for reading. A pipe, a socket or a device could
// keep the reader waiting or have no end.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := regular(info); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may have been replaced by a pipe since
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = regular(info)
	}
	if err != nil {
		_ = f.Close() // nothing was read
		return nil, err
	}
	return f, nil
}

func regular(info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	kind := "a device"
	switch mode := info.Mode(); {
	case mode.IsDir():
		kind = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	}
	return fmt.Errorf("%w but %s", ErrNotAFile, kind)
}

// private is an error for a file that others than its owner may read.
func private(info fs.FileInfo) error {
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w (mode %04o)", ErrFileMode, info.Mode().Perm())
	}
	return nil
}

// lockFile waits for the lock between processes. Unlocking cannot fail in a way that
// matters: closing the descriptor releases the lock.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	for {
		if info, err := os.Stat(path); err == nil && regular(info) != nil {
			return nil, fmt.Errorf("%s: %w", path, regular(info)) // opening a pipe would block
		}
		l := flock.New(path, flock.SetPermissions(0o600))
		if _, err := l.TryLockContext(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
		if inPlace(l, path) {
			return func() { _ = l.Close() }, nil
		}
		_ = l.Close() // a logout has removed it: other processes lock another file
	}
}

// inPlace reports whether the locked file is still the one at path.
func inPlace(l *flock.Flock, path string) bool {
	locked, err := l.Stat()
	if err != nil {
		return false
	}
	found, err := os.Stat(path)
	return err == nil && os.SameFile(locked, found)
}

// markedEncrypted reports whether the lock file says that tokens were encrypted.
func markedEncrypted(lock string) bool {
	f, err := openRegular(lock)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // only read from
	begin, err := io.ReadAll(io.LimitReader(f, int64(len(encryptedMark))))
	return err == nil && bytes.Equal(begin, encryptedMark)
}

// markEncrypted makes the lock file say so. The lock is held.
func markEncrypted(lock string) error { return os.WriteFile(lock, encryptedMark, 0o600) }

// realPath is the file that a path names through links. The file need not exist: after
// a logout it does not.
func realPath(path string) string {
	for range 40 { // links in a row, the limit of Linux
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real
		}
		target, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(target) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				return path
			}
			target = filepath.Join(dir, target)
		}
		path = target
	}
	return path
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// replaceFile replaces the content of path. After a crash there is either the old
// content or the new, and never a file that others may read. It uses the file of
// makeRoom if there is one, and no other that has its name.
func replaceFile(path string, data []byte, roomMade bool) error {
	temp := path + tempSuffix
	if !roomMade || missing(temp) {
		if err := makeRoom(temp); err != nil {
			return err
		}
	}
	if err := fill(temp, data); err != nil {
		return errors.Join(err, removeFile(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, removeFile(temp))
	}
	return syncDir(path)
}

// copyInPlace replaces a file by a copy of it, to see that it can be replaced: it may be
// mounted by itself, or be protected. makeRoom was called before.
func copyInPlace(path string) error {
	f, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(f, encodedLimit+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if len(data) > encodedLimit {
		return nil // it is no token: reading it reports that
	}
	return replaceFile(path, data, true)
}

// removeFile removes a file if it exists. A directory is an error.
func removeFile(path string) error {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return &fs.PathError{Op: "remove", Path: path, Err: ErrNotAFile}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// makeRoom makes a file that only its owner may read and that takes up room on the
// disk, so that a token can be written to it later.
func makeRoom(temp string) error {
	if err := removeFile(temp); err != nil {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && private(info) != nil {
		err = errNotPrivate
	}
	if err == nil {
		_, err = f.Write(bytes.Repeat([]byte{'\n'}, room))
	}
	if err == nil {
		err = f.Sync() // some file systems notice only now that they are full
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, removeFile(temp))
	}
	return nil
}

// fill replaces the content of a file of makeRoom.
func fill(temp string, data []byte) error {
	f, err := os.OpenFile(temp, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Truncate(int64(len(data)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes a rename or a removal in the directory of path durable. Windows
// cannot sync a directory and does not need it.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
