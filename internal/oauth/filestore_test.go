package oauth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"leadstream/internal/fault"
)

func tokenFile(t *testing.T) string { return filepath.Join(t.TempDir(), "leadstream-token") }

func TestTokenFileIsPrivateAndReadBack(t *testing.T) {
	for _, passphrase := range []string{"", planted + "-passphrase"} {
		path := tokenFile(t)
		s := NewFileStore(path, passphrase)
		if _, err := s.Load(t.Context()); !errors.Is(err, ErrNoToken) || !strings.Contains(err.Error(), path) {
			t.Errorf("Load without a file = %v, want ErrNoToken that names it", err)
		}
		if err := s.Save(t.Context(), sample()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode = %v, %v; want 0600", info.Mode(), err)
		}
		for _, reader := range []*FileStore{s, NewFileStore(path, passphrase)} {
			if got, err := reader.Load(t.Context()); err != nil || !got.Equal(sample()) {
				t.Errorf("Load = %v, %v; want %v", got, err, sample())
			}
		}
		if left, err := filepath.Glob(path + ".tmp*"); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

func TestTokenFileProblemsNameTheFileAndTheRemedy(t *testing.T) {
	tests := []struct {
		name       string
		prepare    func(t *testing.T, path string)
		passphrase string
		cause      error
		kind       fault.Kind
		remedy     string
	}{
		{"readable by others", func(t *testing.T, path string) { keepCheap(t, path, ""); chmod(t, path, 0o644) }, "", ErrFileMode, fault.Pause, "chmod 600 "},
		{"readable by the group", func(t *testing.T, path string) { keepCheap(t, path, ""); chmod(t, path, 0o640) }, "", ErrFileMode, fault.Pause, "chmod 600 "},
		{"another passphrase", func(t *testing.T, path string) { keepCheap(t, path, planted+"-one") }, planted + "-two", ErrPassphrase, fault.Pause, "token.passphrase"},
		{"passphrase missing", func(t *testing.T, path string) { keepCheap(t, path, planted+"-one") }, "", ErrPassphraseMissing, fault.Pause, "token.passphrase"},
		{"damaged", func(t *testing.T, path string) { writeRaw(t, path, "PLANTED{") }, "", ErrCorrupt, fault.Pause, "auth logout"},
		{"of a newer release", func(t *testing.T, path string) { writeRaw(t, path, `{"version":2}`) }, "", ErrNewer, fault.Pause, "run that release"},
		{"a directory", func(t *testing.T, path string) { mkdir(t, path) }, "", ErrNotAFile, fault.Pause, "token.file"},
		{"a pipe", func(t *testing.T, path string) { mkfifo(t, path) }, "", ErrNotAFile, fault.Pause, "token.file"},
		{"a link to a pipe", func(t *testing.T, path string) { mkfifo(t, path+"-"); symlink(t, path+"-", path) }, "", ErrNotAFile, fault.Pause, "token.file"},
		{"a socket", func(t *testing.T, path string) { listenAt(t, path) }, "", ErrNotAFile, fault.Pause, "token.file"},
		{"a device", func(t *testing.T, path string) { symlink(t, "/dev/zero", path) }, "", ErrNotAFile, fault.Pause, "token.file"},
		{"endless", func(t *testing.T, path string) { writeRaw(t, path, ""); grow(t, path, 1<<40) }, "", ErrCorrupt, fault.Pause, "auth logout"},
		{"readable by others, with a pipe for a lock", func(t *testing.T, path string) { chmod0(t, path); mkfifo(t, path+lockSuffix) }, "", nil, fault.Pause, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := tokenFile(t)
			tt.prepare(t, path)
			before := regularContent(path)
			s := NewFileStore(path, tt.passphrase).For("marketing", zap.NewNop())
			newer := sample()
			newer.AuthorizedAt = newer.AuthorizedAt.Add(time.Hour)
			errs := make([]error, 3)
			_, errs[0] = s.Load(t.Context())
			errs[1] = s.Save(t.Context(), newer)
			if errs[2] = errs[1]; tt.cause == ErrNotAFile {
				errs[2] = s.Delete(t.Context())
			}
			for _, err := range errs {
				var fe *FileError
				if !errors.As(err, &fe) || (tt.cause != nil && !errors.Is(err, tt.cause)) {
					t.Fatalf("error = %v, want a *FileError of %v", err, tt.cause)
				}
				if fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.remedy) {
					t.Errorf("%v error %q, want %v with %q and %q", fault.KindOf(err), err, tt.kind, path, tt.remedy)
				}
				noSecret(t, "the error", err.Error())
			}
			if after := regularContent(path); after != before {
				t.Error("a file that could not be read was overwritten")
			}
		})
	}
}

// keepCheap is Save without the cost of encrypting well.
func keepCheap(t *testing.T, path, passphrase string) {
	t.Helper()
	sealed, err := encode(sample(), passphrase, cheap)
	if err != nil {
		t.Fatal(err)
	}
	writeRaw(t, path, string(sealed))
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func writeRaw(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// regularContent is the begin of a file, and nothing of what cannot be read to an end.
func regularContent(path string) string {
	f, err := openRegular(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	begin := make([]byte, 4096)
	n, _ := f.Read(begin) // 0 of an empty file
	return string(begin[:n])
}

// chmod0 makes a file that others may read, as a cause of its own.
func chmod0(t *testing.T, path string) {
	t.Helper()
	keepCheap(t, path, "")
	chmod(t, path, 0o644)
}

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func grow(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// listenAt leaves a socket at path, whose name may be longer than a socket's.
func listenAt(t *testing.T, path string) {
	t.Helper()
	t.Chdir(filepath.Dir(path))
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestAFileFromBeforeThePassphraseIsEncryptedAtOnce(t *testing.T) {
	path := tokenFile(t)
	if err := NewFileStore(path, "").Save(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	before := NewFileStore(path, planted)
	var all sync.WaitGroup
	for range 4 { // processes that start together
		all.Go(func() {
			if got, err := NewFileStore(path, planted).Load(t.Context()); err != nil || !got.Equal(sample()) {
				t.Errorf("Load = %v, %v", got, err)
			}
		})
	}
	all.Wait()
	data, err := os.ReadFile(path)
	if err != nil || !isEncrypted(data) || strings.Contains(string(data), sample().Access) {
		t.Errorf("the file is not encrypted (%v)", err)
	}
	if got, err := before.Load(t.Context()); err != nil || !got.Equal(sample()) {
		t.Errorf("Load afterwards = %v, %v", got, err)
	}
	if _, err := NewFileStore(path, "").Load(t.Context()); !errors.Is(err, ErrPassphraseMissing) {
		t.Errorf("without the passphrase: %v", err)
	}
}

func TestMissingDirectoryIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "away", "token")
	err := NewFileStore(path, "").Save(t.Context(), sample())
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "create the directory "+filepath.Dir(path)) {
		t.Errorf("error = %v", err)
	}
}

func TestLateRenewalNeverOverwritesANewerConsentInTheFile(t *testing.T) {
	path := tokenFile(t)
	login, running := NewFileStore(path, ""), NewFileStore(path, "")
	old := sample()
	if err := login.Save(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if _, err := running.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	newer := old
	newer.Access, newer.AuthorizedAt, newer.ObtainedAt = planted+"-newer", begin.Add(time.Hour), begin.Add(time.Hour)
	if err := login.Save(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	renewed := old
	renewed.Access, renewed.ObtainedAt = planted+"-renewed", begin.Add(2*time.Hour)
	if err := running.Save(t.Context(), renewed); !errors.Is(err, ErrSuperseded) {
		t.Errorf("Save of the late renewal = %v, want ErrSuperseded", err)
	}
	if got, err := running.Load(t.Context()); err != nil || !got.Equal(newer) {
		t.Errorf("the file holds %v, %v; want the newer consent", got.Access, err)
	}
}

func TestTokenFileIsWholeWhileManyWriteAndRead(t *testing.T) {
	path := tokenFile(t)
	if err := NewFileStore(path, "").Save(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	const writers, rounds = 4, 10
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			s := NewFileStore(path, "") // as a process of its own
			for i := range rounds {
				tok := sample()
				tok.Access = fmt.Sprintf("%s-%d-%d", planted, w, i)
				tok.AuthorizedAt = begin.Add(time.Duration(i*writers+w) * time.Second)
				tok.ObtainedAt = tok.AuthorizedAt
				if err := s.Save(t.Context(), tok); err != nil && !errors.Is(err, ErrSuperseded) {
					t.Errorf("Save: %v", err)
				}
			}
		})
		work.Go(func() {
			s := NewFileStore(path, "")
			for range rounds * 5 {
				if _, err := s.Load(t.Context()); err != nil {
					t.Errorf("Load: %v", err)
				}
			}
		})
	}
	work.Wait()
	got, err := NewFileStore(path, "").Load(t.Context())
	if want := fmt.Sprintf("%s-%d-%d", planted, writers-1, rounds-1); err != nil || got.Access != want {
		t.Errorf("in the end the file holds %s, %v; want the newest, %s", got.Access, err, want)
	}
}

func TestLeftoverOfACrashIsReplaced(t *testing.T) {
	path := tokenFile(t)
	writeRaw(t, path+".tmp", "half a tok")
	chmod(t, path+".tmp", 0o666)
	if err := NewFileStore(path, "").Save(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	if got, err := NewFileStore(path, "").Load(t.Context()); err != nil || !got.Equal(sample()) {
		t.Errorf("Load = %v, %v", got, err)
	}
}

func TestLinkToTheTokenFileStaysALink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := NewFileStore(target, "").Save(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	newer := sample()
	newer.AuthorizedAt, newer.ObtainedAt = begin.Add(time.Hour), begin.Add(time.Hour)
	if err := NewFileStore(link, "").Save(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	if got, err := NewFileStore(target, "").Load(t.Context()); err != nil || !got.Equal(newer) {
		t.Errorf("the target holds %v, %v; want the newer token", got, err)
	}
}

func TestLockedFileIsWaitedForUntilTheContextEnds(t *testing.T) {
	path := tokenFile(t)
	s := NewFileStore(path, "")
	unlock, err := s.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewFileStore(path, "").Save(ctx, sample()); !errors.Is(err, context.Canceled) {
		t.Errorf("Save under another's lock = %v, want context.Canceled", err)
	}
}

func TestLogoutRemovesATokenWhetherReadableOrNot(t *testing.T) {
	path := tokenFile(t)
	keepCheap(t, path, planted+"-one")
	if got, err := Logout(t.Context(), NewFileStore(path, planted+"-other")); err != nil || !got.IsZero() {
		t.Errorf("Logout = %v, %v", got, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	if _, err := Logout(t.Context(), NewFileStore(path, "")); !errors.Is(err, ErrNoToken) {
		t.Errorf("second Logout = %v, want ErrNoToken", err)
	}
	s := NewFileStore(path, "")
	if err := s.Save(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	if got, err := Logout(t.Context(), s); err != nil || !got.Equal(sample()) {
		t.Errorf("Logout = %v, %v; want the token removed", got, err)
	}
}

// What is left after a logout lets nobody use the tokens, and a later login
// finds all as it was set up: the file behind a link, here by a relative path.
func TestLogoutLeavesNothingOfTheTokens(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, file, link string)
		removed Token
	}{
		{"token", func(*testing.T, string, string) {}, sample()},
		{"unreadable token", func(t *testing.T, file, _ string) { writeRaw(t, file, "half a tok") }, Token{}},
		{"beside what a crash left", func(t *testing.T, file, _ string) { writeRaw(t, file+tempSuffix, planted) }, sample()},
		{"what a crash left alone", func(t *testing.T, file, _ string) {
			writeRaw(t, file+tempSuffix, planted)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}, Token{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, etc := t.TempDir(), t.TempDir()
			file, link := filepath.Join(data, "token"), filepath.Join(etc, "link")
			away, err := filepath.Rel(etc, file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(away, link); err != nil {
				t.Fatal(err)
			}
			s := NewFileStore(link, "")
			if err := s.Save(t.Context(), sample()); err != nil { // the link names nothing yet
				t.Fatal(err)
			}
			if _, err := os.Stat(file); err != nil {
				t.Fatalf("the token is not where the link leads: %v", err)
			}
			tt.prepare(t, file, link)
			if got, err := Logout(t.Context(), s); err != nil || !got.Equal(tt.removed) {
				t.Errorf("Logout = %v, %v; want %v", got, err, tt.removed)
			}
			if left, err := filepath.Glob(filepath.Join(data, "*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
			if left, err := filepath.Glob(filepath.Join(etc, "*")); err != nil || len(left) != 1 {
				t.Errorf("beside the link: %q, %v; want the link alone", left, err)
			}
			if _, err := Logout(t.Context(), s); !errors.Is(err, ErrNoToken) {
				t.Errorf("second Logout = %v, want ErrNoToken", err)
			}
		})
	}
}

// Whoever waited for the lock file that a logout removes has locked nothing.
func TestALockFileThatALogoutRemovedIsNoLock(t *testing.T) {
	path := tokenFile(t) + lockSuffix
	waited := flock.New(path)
	defer func() { _ = waited.Close() }()
	if ok, err := waited.TryLock(); !ok || err != nil || !inPlace(waited, path) {
		t.Fatalf("TryLock = %v, %v; in place %v", ok, err, inPlace(waited, path))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if inPlace(waited, path) {
		t.Error("a removed file counts as the lock")
	}
	writeRaw(t, path, "")
	if inPlace(waited, path) {
		t.Error("another file counts as the one that is locked")
	}
}

func TestTheLockAdmitsOneAtATimeAlsoWhileLogoutsRemoveIt(t *testing.T) {
	path := tokenFile(t)
	var inside atomic.Int32
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			s := NewFileStore(path, "") // as a process of its own
			for range 8 {
				unlock, err := s.lock(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				inside.Add(-1) // the removal is the last that is done under the lock
				if err := removeFile(path + lockSuffix); err != nil {
					t.Error(err)
				}
				unlock()
			}
		})
	}
	work.Wait()
}

func TestWhoWaitsForAnotherUserOfTheStoreStopsWhenAskedTo(t *testing.T) {
	file, records := NewFileStore(tokenFile(t), ""), recordStore(newLogbook())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, turn := range []*semaphore.Weighted{file.turn, records.turn} {
		if err := turn.Acquire(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []Store{file, records} {
		_, loaded := s.Load(ctx)
		for _, err := range []error{loaded, s.Save(ctx, sample()), s.Delete(ctx)} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%T: error = %v, want context.Canceled", s, err)
			}
		}
	}
}
