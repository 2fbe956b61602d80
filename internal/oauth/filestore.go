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
	"strings"
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

// The conditions of a token file that a person must fix.
var (
	// ErrFileMode: others than the owner may read the token file.
	ErrFileMode = errors.New("others may read the token file")
	// ErrNotAFile: it is a directory, a pipe, a socket or a device.
	ErrNotAFile = errors.New("it is not a regular file")
)

// FileError is a token file that cannot be used as it is. Its cause is
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

// Fault is Pause where a person must act, and Retry for the errors of the operating
// system (a full disk, a volume that is not mounted yet).
func (e *FileError) Fault() fault.Kind {
	for _, r := range fileRemedies {
		if r.person && errors.Is(e.Err, r.cause) {
			return fault.Pause
		}
	}
	return fault.Retry
}

// fileRemedies says what to do about each cause: the first that matches counts.
// {path} and {dir} are the file and its directory.
var fileRemedies = []struct {
	cause  error
	person bool // nothing changes until a person acts
	remedy string
}{
	{errNotPrivate, true, "keep it where files have owners and modes"},
	{ErrFileMode, true, "run: chmod 600 {path}"},
	{ErrNotAFile, true, "set token.file to a file of its own"},
	{ErrPassphrase, true, "set token.passphrase to the one it was written with, or remove it with " + logInAgain},
	{ErrPassphraseMissing, true, "set token.passphrase, or remove the file with " + logInAgain},
	{ErrPlain, true, "it was not there to be encrypted when this process began, or an encrypted one was kept there before: something else has put it there, " +
		"perhaps `leadstream auth login` without the passphrase; remove it with " + logInAgain},
	{ErrNewer, true, "run that release, or remove it with " + logInAgain},
	{ErrCorrupt, true, "restore it from a copy, or remove it with " + logInAgain},
	{fs.ErrPermission, false, "the file and its directory must be writable by the user that leadstream runs as"},
	{syscall.EROFS, false, "the file and its directory must be writable by the user that leadstream runs as"},
	{fs.ErrNotExist, false, "create the directory {dir} or set token.file"},
	{syscall.ENOSPC, false, "make room on the disk, or set token.file to another place"},
	{syscall.EBUSY, false, "mount the directory that holds it, not the file alone, so that it can be replaced"},
}

const logInAgain = "`leadstream auth logout` and log in again"

// fileError says of an error that it is the file's, and what to do.
func (s *FileStore) fileError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNoToken), errors.Is(err, ErrSuperseded):
		return fmt.Errorf("token file %s: %w", s.path, err)
	}
	e := &FileError{Path: s.path, Err: err}
	for _, r := range fileRemedies {
		if errors.Is(err, r.cause) {
			e.Remedy = strings.NewReplacer("{path}", s.path, "{dir}", filepath.Dir(realPath(s.path))).Replace(r.remedy)
			break
		}
	}
	return e
}

// FileStore keeps the token in one file: readable by its owner alone, replaced
// atomically and durably, encrypted when there is a passphrase. A path that is a
// link stays one: the file it names is used. Changes happen under a lock on
// <file>.lock, so that `auth login` beside a running connector is safe. The lock
// file stays until a logout and says whether the tokens were ever encrypted. From
// then on, and once a process with a passphrase has looked, a plain file is not ours.
type FileStore struct {
	path, passphrase, installation string
	log                            *zap.Logger
	readOnly                       bool // Load changes nothing
	rehearsed                      atomic.Bool

	turn     *semaphore.Weighted // one caller at a time has it; it guards what follows
	info     fs.FileInfo         // of the file that token was read from
	token    Token
	plain    bool // it was not encrypted there
	settled  bool // this process has looked: from now on a plain file is not ours
	marked   bool // the lock file says that tokens were encrypted, or that was tried
	reserved bool // this process holds the lock for a Save that is to come
}

// NewFileStore makes a store for the file at path. Nothing is read yet.
func NewFileStore(path, passphrase string) *FileStore {
	return &FileStore{path: path, passphrase: passphrase, log: zap.NewNop(), turn: semaphore.NewWeighted(1)}
}

// For has the store log what a person should know. That includes a consent that
// another installation began: two with the same token file share their tokens. It
// gives s.
func (s *FileStore) For(installation string, log *zap.Logger) *FileStore {
	s.installation, s.log = installation, log
	return s
}

func (s *FileStore) setReadOnly() { s.readOnly = true }

func (s *FileStore) saveWouldFail() error {
	return s.fileError(writable(filepath.Dir(realPath(s.path))))
}

// do runs fn when it is the caller's turn.
func (s *FileStore) do(ctx context.Context, fn func() error) error {
	err := s.turn.Acquire(ctx, 1)
	if err == nil {
		defer s.turn.Release(1)
		err = fn()
	}
	return s.fileError(err)
}

// Load reads the file, unless it is the one read before. A plain file from before
// there was a passphrase is encrypted. The error is ErrNoToken when there is no
// file, else a *FileError.
func (s *FileStore) Load(ctx context.Context) (t Token, err error) {
	err = s.do(ctx, func() error {
		t, err = s.load()
		switch {
		case err != nil || s.passphrase == "" || s.readOnly:
		case s.plain:
			t, err = s.encryptPlain(ctx)
		default:
			s.noteEncryption(ctx)
		}
		return err
	})
	return t, err
}

// encryptPlain puts an encrypted file in the place of a plain one.
func (s *FileStore) encryptPlain(ctx context.Context) (Token, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return Token{}, err
	}
	defer unlock()
	t, err := s.load()
	if err != nil || !s.plain { // somebody else was faster
		return t, err
	}
	data, err := encodeToken(t, s.passphrase)
	if err == nil {
		err = s.write(data)
	}
	if err != nil {
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
		return Token{}, ErrNoToken
	}
	if err != nil {
		return Token{}, err
	}
	defer func() { _ = f.Close() }() // only read from
	info, err := f.Stat()
	if err == nil {
		err = private(info)
	}
	if err != nil {
		return Token{}, err
	}
	if s.info != nil && os.SameFile(s.info, info) && s.info.ModTime().Equal(info.ModTime()) && s.info.Size() == info.Size() {
		return s.token, nil
	}
	data, err := io.ReadAll(io.LimitReader(f, encodedLimit+1))
	if err != nil {
		return Token{}, err
	}
	t, err := s.decode(data)
	if err != nil {
		return Token{}, err
	}
	s.info, s.token, s.plain, s.settled = info, t, !isEncrypted(data), true
	return t, nil
}

// decode reads the content of the file. With a passphrase it accepts a plain token
// only when this process finds it there at first and none was ever encrypted.
func (s *FileStore) decode(data []byte) (Token, error) {
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

// noteEncryption has the lock file say that tokens were encrypted. Where that
// cannot be written, this process alone remembers it.
func (s *FileStore) noteEncryption(ctx context.Context) {
	path := realPath(s.path) + lockSuffix
	if s.marked || markedEncrypted(path) {
		s.marked = true
		return
	}
	s.marked = true
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
// makes the file that the Save will put there.
func (s *FileStore) Reserve(ctx context.Context) (release func(), err error) {
	return s.reserve(ctx, true)
}

func (s *FileStore) reserve(ctx context.Context, rehearse bool) (release func(), err error) {
	unlock, err := s.takeLock(ctx)
	if err != nil {
		return nil, s.fileError(err)
	}
	path := realPath(s.path)
	temp := path + tempSuffix
	err = s.do(ctx, func() error {
		err := makeRoom(temp)
		if err == nil && rehearse {
			if err = copyInPlace(path); err == nil {
				err = makeRoom(temp)
			}
		}
		s.reserved = err == nil
		return err
	})
	if err != nil {
		unlock()
		return nil, err
	}
	return func() {
		_ = s.do(context.WithoutCancel(ctx), func() error {
			s.reserved = false
			if err := removeFile(temp); err != nil {
				s.log.Debug("removing the file that was made for a token", zap.Error(err)) // the next one replaces it
			}
			unlock()
			return nil
		})
	}, nil
}

// Try finds out whether a Save would work. The first time it does all of it, with
// the content that is there already. Later it leaves out the last step, which would
// be news to everybody who watches the file.
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
	data, err := encodeToken(t, s.passphrase)
	if err != nil {
		return err
	}
	return s.do(ctx, func() error {
		unlock, err := s.lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		held, err := s.load()
		switch {
		case err != nil && !errors.Is(err, ErrNoToken):
			return err
		case !t.Supersedes(held):
			return ErrSuperseded
		}
		return s.write(data)
	})
}

// write replaces the file. The lock is held.
func (s *FileStore) write(data []byte) error {
	path := realPath(s.path)
	if s.passphrase != "" && !markedEncrypted(path+lockSuffix) {
		if err := markEncrypted(path + lockSuffix); err != nil {
			return err
		}
	}
	return replaceFile(path, data, s.reserved)
}

// Delete removes the file, readable or not, and what a crash has left beside it. A
// pipe, a device or a directory is no token and stays.
func (s *FileStore) Delete(ctx context.Context) error {
	return s.do(ctx, func() error {
		if path := realPath(s.path); missing(path) && missing(path+tempSuffix) {
			return ErrNoToken
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
		return err
	})
}

// lock waits for the lock between processes, unless this process holds it for a
// Save that is to come. The caller has the turn.
func (s *FileStore) lock(ctx context.Context) (unlock func(), err error) {
	if s.reserved {
		return func() {}, nil
	}
	return s.takeLock(ctx)
}

// takeLock takes the lock of a path that is a token file or may become one: nothing
// is written beside anything else, and nothing else is removed.
func (s *FileStore) takeLock(ctx context.Context) (unlock func(), err error) {
	if info, err := os.Stat(s.path); err == nil && regular(info) != nil {
		return nil, regular(info)
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	unlock, err = lockFile(ctx, realPath(s.path)+lockSuffix)
	if err != nil {
		return nil, fmt.Errorf("locking it: %w", err)
	}
	return unlock, nil
}
