package oauth

import (
	"cmp"
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
	"golang.org/x/sync/semaphore"

	"leadstream/internal/fault"
)

// lockWait bounds the wait for another process that is changing the file; a
// change takes milliseconds.
const lockWait = 10 * time.Second

// ErrFileMode: others than the owner may read the token file.
var ErrFileMode = errors.New("others may read the token file")

// FileError is a token file that cannot be used as it is; its cause is
// ErrFileMode, ErrPassphrase, ErrPassphraseMissing, ErrCorrupt or an error of
// the operating system.
type FileError struct {
	Path   string
	Remedy string // what to do; may be empty
	Err    error
}

// Error names the file, the cause and the remedy.
func (e *FileError) Error() string {
	b := "token file " + e.Path + ": " + e.Err.Error()
	if e.Remedy != "" {
		b += "; " + e.Remedy
	}
	return b
}

// Todo is what to do about it, read by fault.TodoOf.
func (e *FileError) Todo() string {
	return cmp.Or(e.Remedy, "see that leadstream may read and write the token file and its directory, and that the disk is not full")
}

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Fault is Pause where a person must act, Retry for the operating system's
// errors (a full disk, a volume not mounted yet).
func (e *FileError) Fault() fault.Kind {
	for _, cause := range []error{ErrFileMode, ErrPassphrase, ErrPassphraseMissing, ErrCorrupt} {
		if errors.Is(e.Err, cause) {
			return fault.Pause
		}
	}
	return fault.Retry
}

// FileStore keeps the token in one file: readable by its owner alone, replaced
// atomically and durably, encrypted when there is a passphrase. A path that is a
// link stays one: what it names is the file. Changes happen under a lock on
// <file>.lock, which stays behind empty until a logout, so that `auth login`
// beside a running connector is safe.
type FileStore struct {
	path, passphrase string
	looksOnly        bool // Load changes nothing

	turn  *semaphore.Weighted // of one caller at a time; guards what follows
	info  fs.FileInfo         // of the file that token was read from
	token Token
	plain bool // it was not encrypted there
}

// NewFileStore makes a store for the file at path. Nothing is read yet.
func NewFileStore(path, passphrase string) *FileStore {
	return &FileStore{path: path, passphrase: passphrase, turn: semaphore.NewWeighted(1)}
}

// Path is the file's path as given.
func (s *FileStore) Path() string { return s.path }

// Load reads the file, unless it is the one read before. A file from before
// there was a passphrase is encrypted then, unless s only looks. The error is ErrNoToken when there
// is no file, else a *FileError.
func (s *FileStore) Load(ctx context.Context) (Token, error) {
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return Token{}, s.fileError(err)
	}
	defer s.turn.Release(1)
	t, err := s.load()
	if err != nil || !s.plain || s.passphrase == "" || s.looksOnly {
		return t, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return Token{}, err
	}
	defer unlock()
	if t, err = s.load(); err != nil || !s.plain { // somebody else was faster
		return t, err
	}
	if err := s.write(t); err != nil {
		return Token{}, fmt.Errorf("encrypting what was stored before token.passphrase was set: %w", err)
	}
	return t, nil
}

func (s *FileStore) load() (Token, error) {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		s.info, s.token = nil, Token{}
		return Token{}, fmt.Errorf("token file %s: %w", s.path, ErrNoToken)
	}
	if err != nil {
		return Token{}, s.fileError(err)
	}
	defer func() { _ = f.Close() }() // only read from
	info, err := f.Stat()
	if err != nil {
		return Token{}, s.fileError(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return Token{}, s.fileError(fmt.Errorf("%w (mode %04o)", ErrFileMode, info.Mode().Perm()))
	}
	if s.info != nil && os.SameFile(s.info, info) && s.info.ModTime().Equal(info.ModTime()) && s.info.Size() == info.Size() {
		return s.token, nil
	}
	data, err := io.ReadAll(io.LimitReader(f, sealedLimit+1))
	if err != nil {
		return Token{}, s.fileError(err)
	}
	t, err := Unseal(data, s.passphrase)
	if err != nil {
		return Token{}, s.fileError(err)
	}
	s.info, s.token, s.plain = info, t, !sealed(data)
	return t, nil
}

// Save replaces the file unless that holds a newer token (ErrSuperseded). When
// it returns nil the token survives a crash of the machine. A file that cannot
// be read is never overwritten.
func (s *FileStore) Save(ctx context.Context, t Token) error {
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return s.fileError(err)
	}
	defer s.turn.Release(1)
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	held, err := s.load()
	if err != nil && !errors.Is(err, ErrNoToken) {
		return err
	}
	if !t.Supersedes(held) {
		return fmt.Errorf("token file %s: %w", s.path, ErrSuperseded)
	}
	return s.write(t)
}

// write replaces the file. The lock is held.
func (s *FileStore) write(t Token) error {
	data, err := Seal(t, s.passphrase)
	if err != nil {
		return err
	}
	if err := replaceFile(s.path, data); err != nil {
		return s.fileError(err)
	}
	return nil
}

// Delete removes the file, readable or not, and what a crash has left beside it.
func (s *FileStore) Delete(ctx context.Context) error {
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return s.fileError(err)
	}
	defer s.turn.Release(1)
	if path := realPath(s.path); missing(path) && missing(path+tempSuffix) {
		return fmt.Errorf("token file %s: %w", s.path, ErrNoToken)
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	s.info, s.token = nil, Token{}
	path := realPath(s.path)
	err = errors.Join(removeFile(path), removeFile(path+tempSuffix))
	if err == nil && runtime.GOOS != "windows" { // which removes no file that is open
		err = removeFile(path + lockSuffix)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return s.fileError(err)
	}
	return nil
}

// lock waits for the lock between processes. Unlocking cannot fail in a way
// that matters: closing the descriptor gives the lock up.
func (s *FileStore) lock(ctx context.Context) (unlock func(), err error) {
	path := realPath(s.path) + lockSuffix
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		l := flock.New(path, flock.SetPermissions(0o600))
		if _, err := l.TryLockContext(ctx, 20*time.Millisecond); err != nil {
			return nil, s.fileError(fmt.Errorf("locking it: %w", err))
		}
		if inPlace(l, path) {
			return func() { _ = l.Close() }, nil
		}
		_ = l.Close() // a logout has removed it meanwhile: the next one locks another file
	}
}

// inPlace reports whether the file that is locked is still the one at path.
func inPlace(l *flock.Flock, path string) bool {
	locked, err := l.Stat()
	if err != nil {
		return false
	}
	found, err := os.Stat(path)
	return err == nil && os.SameFile(locked, found)
}

func (s *FileStore) fileError(err error) error {
	e := &FileError{Path: s.path, Err: err}
	switch {
	case errors.Is(err, ErrFileMode):
		e.Remedy = "run: chmod 600 " + s.path
	case errors.Is(err, ErrPassphrase):
		e.Remedy = "set token.passphrase to the one it was written with, or remove it with `leadstream auth logout` and log in again"
	case errors.Is(err, ErrPassphraseMissing):
		e.Remedy = "set token.passphrase, or remove the file with `leadstream auth logout` and log in again"
	case errors.Is(err, ErrCorrupt):
		e.Remedy = "restore it from a copy, or remove it with `leadstream auth logout` and log in again"
	case errors.Is(err, fs.ErrPermission):
		e.Remedy = "the file and its directory must belong to the user that leadstream runs as"
	case errors.Is(err, fs.ErrNotExist):
		e.Remedy = "create the directory " + filepath.Dir(s.path) + " or set token.file"
	case errors.Is(err, syscall.EBUSY):
		e.Remedy = "mount the directory that holds it, not the file alone, so that it can be replaced"
	}
	return e
}

// The names of what stands beside the token file.
const (
	lockSuffix = ".lock"
	tempSuffix = ".tmp" // one name is enough under the lock, and no crash leaves a pile of them
)

// realPath is the file that a path names, through links, also when that does
// not exist, as after a logout.
func realPath(path string) string {
	for range 40 { // links in a row, as Linux has it
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

// replaceFile puts data in the place of path so that after a crash there is
// either the old content or the new, and never a file others may read.
func replaceFile(path string, data []byte) error {
	path = realPath(path)
	temp := path + tempSuffix
	if err := removeFile(temp); err != nil {
		return err
	}
	if err := writeFile(temp, data); err != nil {
		return errors.Join(err, removeFile(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, removeFile(temp))
	}
	return syncDir(filepath.Dir(path))
}

// removeFile removes a file, if it is there.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes a rename or a removal durable. Windows cannot sync a
// directory and does not need it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
