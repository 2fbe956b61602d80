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
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"leadstream/internal/fault"
)

// lockWait bounds the wait for another process that is changing the file. That
// takes milliseconds, or as long as LinkedIn takes to answer (requestTime).
const lockWait = 12 * time.Second

// The conditions of a token file that a person must mend.
var (
	// ErrFileMode: others than the owner may read the token file.
	ErrFileMode = errors.New("others may read the token file")
	// ErrNotAFile: it is a directory, a pipe, a socket or a device.
	ErrNotAFile = errors.New("it is not a regular file")
)

// FileError is a token file that cannot be used as it is; its cause is
// ErrFileMode, ErrNotAFile, one of decodeToken's or an error of the operating system.
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
	for _, cause := range []error{ErrFileMode, ErrNotAFile, ErrPassphrase, ErrPassphraseMissing, ErrPlain, ErrNewer, ErrCorrupt} {
		if errors.Is(e.Err, cause) {
			return fault.Pause
		}
	}
	return fault.Retry
}

// FileStore keeps the token in one file: readable by its owner alone, replaced
// atomically and durably, encrypted when there is a passphrase. A path that is a
// link stays one: what it names is the file. Changes happen under a lock on
// <file>.lock, so that `auth login` beside a running connector is safe. The lock
// file stays behind until a logout and says whether the tokens were ever kept
// encrypted: from then on, and once a process with a passphrase has looked, a plain
// file is none of ours.
type FileStore struct {
	path, passphrase, installation string
	log                            *zap.Logger
	readOnly                       bool // Load changes nothing
	rehearsed                      atomic.Bool

	turn     *semaphore.Weighted // of one caller at a time; guards what follows
	info     fs.FileInfo         // of the file that token was read from
	token    Token
	plain    bool // it was not encrypted there
	settled  bool // what was there at first was seen: from then on a plain file is none of ours
	marked   bool // the lock file was told so, or that was tried
	reserved bool // this process holds the lock for a Save that is to come
}

// NewFileStore makes a store for the file at path. Nothing is read yet.
func NewFileStore(path, passphrase string) *FileStore {
	return &FileStore{path: path, passphrase: passphrase, log: zap.NewNop(), turn: semaphore.NewWeighted(1)}
}

// For has the store log what a person should know, also of a consent that another
// installation began: two that are told to keep their tokens in one file share them. It gives s.
func (s *FileStore) For(installation string, log *zap.Logger) *FileStore {
	s.installation, s.log = installation, log
	return s
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
	if err != nil || s.passphrase == "" || s.readOnly {
		return t, err
	}
	if !s.plain {
		s.noteEncryption(ctx)
		return t, nil
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
	s.log.Warn("the LinkedIn tokens were stored without encryption and are encrypted from here on; "+
		"if token.passphrase was not set just now, somebody else has put them there",
		zap.String("file", s.path), zap.Object("token", t), zap.String("todo", "nothing if that is so; else run `leadstream auth logout` and log in again"))
	return t, nil
}

func (s *FileStore) load() (Token, error) {
	f, err := openRegular(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		s.info, s.token, s.settled = nil, Token{}, true
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
	if err := private(info); err != nil {
		return Token{}, s.fileError(err)
	}
	if s.info != nil && os.SameFile(s.info, info) && s.info.ModTime().Equal(info.ModTime()) && s.info.Size() == info.Size() {
		return s.token, nil
	}
	data, err := io.ReadAll(io.LimitReader(f, encodedLimit+1))
	if err != nil {
		return Token{}, s.fileError(err)
	}
	t, err := s.open(data)
	if err != nil {
		return Token{}, s.fileError(err)
	}
	s.info, s.token, s.plain, s.settled = info, t, !isEncrypted(data), true
	return t, nil
}

// open reads what stands in the file. With a passphrase a plain token is taken
// only when this process finds it there at first, and none was ever kept encrypted.
func (s *FileStore) open(data []byte) (Token, error) {
	passphrase := s.passphrase
	if passphrase != "" && !isEncrypted(data) && !s.settled && !markedEncrypted(realPath(s.path)+lockSuffix) {
		passphrase = ""
	}
	t, err := decodeToken(data, passphrase)
	if err == nil && t.belongsTo(s.installation) != nil && !t.Equal(s.token) {
		s.log.Warn("the token file holds a consent that another installation began, and whichever consents next does so for both",
			zap.String("file", s.path), zap.String("installation", t.Installation), zap.String("todo", "give each a token.file of its own, unless that is meant"))
	}
	return t, err
}

// noteEncryption has the lock file say that tokens are kept encrypted. Where that
// cannot be written, this process alone remembers it.
func (s *FileStore) noteEncryption(ctx context.Context) {
	if s.marked {
		return
	}
	s.marked = true
	path := realPath(s.path) + lockSuffix
	if markedEncrypted(path) {
		return
	}
	unlock, err := s.lock(ctx)
	if err == nil {
		err = markEncrypted(path)
		unlock()
	}
	if err != nil {
		s.log.Debug("noting that the tokens are encrypted", zap.Error(err))
	}
}

// Reserve takes the lock, puts a copy of the file in its place as a Save would, and
// makes the next one that will be put there.
func (s *FileStore) Reserve(ctx context.Context) (release func(), err error) {
	return s.reserve(ctx, true)
}

func (s *FileStore) reserve(ctx context.Context, rehearse bool) (release func(), err error) {
	unlock, err := s.takeLock(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.turn.Acquire(ctx, 1); err != nil {
		unlock()
		return nil, s.fileError(err)
	}
	defer s.turn.Release(1)
	path := realPath(s.path)
	temp := path + tempSuffix
	err = makeRoom(temp)
	if err == nil && rehearse {
		if err = copyInPlace(path); err == nil {
			err = makeRoom(temp)
		}
	}
	if err != nil {
		unlock()
		return nil, s.fileError(err)
	}
	s.reserved = true
	return func() {
		_ = s.turn.Acquire(context.WithoutCancel(ctx), 1) // which fails for an ended context alone
		defer s.turn.Release(1)
		s.reserved = false
		if err := removeFile(temp); err != nil {
			s.log.Debug("removing what was made for a token", zap.Error(err)) // the next one is put in its place
		}
		unlock()
	}, nil
}

// Try finds out whether a Save would work: the first time by all of it, with what is
// there already, then by all but the last step, which would be news to everybody who
// looks at the file.
func (s *FileStore) Try(ctx context.Context) error {
	release, err := s.reserve(ctx, !s.rehearsed.Load())
	if err == nil {
		s.rehearsed.Store(true)
		release()
	}
	return err
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
	data, err := encodeToken(t, s.passphrase)
	if err != nil {
		return err
	}
	path := realPath(s.path)
	if s.passphrase != "" && !markedEncrypted(path+lockSuffix) {
		if err := markEncrypted(path + lockSuffix); err != nil {
			return s.fileError(err)
		}
	}
	if err := replaceFile(path, data, s.reserved); err != nil {
		return s.fileError(err)
	}
	return nil
}

// Delete removes the file, readable or not, and what a crash has left beside it;
// a pipe, a device or a directory is no token and stays.
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
	s.info, s.token, s.marked = nil, Token{}, false
	path := realPath(s.path)
	err = errors.Join(removeFile(path), removeFile(path+tempSuffix))
	if err == nil && runtime.GOOS != "windows" { // which removes no file that is open
		err = removeFile(path + lockSuffix)
	}
	if err == nil {
		err = syncDir(path)
	}
	if err != nil {
		return s.fileError(err)
	}
	return nil
}

// lock waits for the lock between processes, unless this process holds it for a
// Save that is to come. The caller has the turn.
func (s *FileStore) lock(ctx context.Context) (unlock func(), err error) {
	if s.reserved {
		return func() {}, nil
	}
	return s.takeLock(ctx)
}

// takeLock takes the lock of what is or may become a token file: nothing is written
// beside anything else, nor is that removed.
func (s *FileStore) takeLock(ctx context.Context) (unlock func(), err error) {
	if info, err := os.Stat(s.path); err == nil && regular(info) != nil {
		return nil, s.fileError(regular(info))
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	unlock, err = lockFile(ctx, realPath(s.path)+lockSuffix)
	if err != nil {
		return nil, s.fileError(fmt.Errorf("locking it: %w", err))
	}
	return unlock, nil
}

func (s *FileStore) fileError(err error) error {
	e := &FileError{Path: s.path, Err: err}
	const again = "`leadstream auth logout` and log in again"
	switch {
	case errors.Is(err, errNotPrivate):
		e.Remedy = "keep it where files have owners and modes"
	case errors.Is(err, ErrFileMode):
		e.Remedy = "run: chmod 600 " + s.path
	case errors.Is(err, ErrNotAFile):
		e.Remedy = "set token.file to a file of its own"
	case errors.Is(err, ErrPassphrase):
		e.Remedy = "set token.passphrase to the one it was written with, or remove it with " + again
	case errors.Is(err, ErrPassphraseMissing):
		e.Remedy = "set token.passphrase, or remove the file with " + again
	case errors.Is(err, ErrPlain):
		e.Remedy = "it was not there to be encrypted when this process began, or an encrypted one was kept there before: something else has put it there, perhaps `leadstream auth login` without the passphrase; remove it with " + again
	case errors.Is(err, ErrNewer):
		e.Remedy = "run that release, or remove it with " + again
	case errors.Is(err, ErrCorrupt):
		e.Remedy = "restore it from a copy, or remove it with " + again
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Remedy = "the file and its directory must be writable by the user that leadstream runs as"
	case errors.Is(err, fs.ErrNotExist):
		e.Remedy = "create the directory " + filepath.Dir(s.path) + " or set token.file"
	case errors.Is(err, syscall.ENOSPC):
		e.Remedy = "make room on the disk, or set token.file to another place"
	case errors.Is(err, syscall.EBUSY):
		e.Remedy = "mount the directory that holds it, not the file alone, so that it can be replaced"
	}
	return e
}
