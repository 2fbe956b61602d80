package oauth

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"leadstream/internal/fault"
)

// obstacle is what keeps a token from being stored, and what takes it away. The
// file itself can be read.
type obstacle struct {
	name   string
	cause  error // nil for any
	put    func(t *testing.T, path string)
	remove func(t *testing.T, path string)
	seen   bool // also by who only looks
}

var obstacles = []obstacle{
	{
		name: "something in the place of the temporary file", cause: ErrNotAFile,
		put:    func(t *testing.T, path string) { mkdir(t, path+tempSuffix) },
		remove: func(t *testing.T, path string) { unlink(t, path+tempSuffix) },
	},
	{
		name: "a pipe in the place of the lock", cause: ErrNotAFile,
		put:    func(t *testing.T, path string) { unlink(t, path+lockSuffix); mkfifo(t, path+lockSuffix) },
		remove: func(t *testing.T, path string) { unlink(t, path+lockSuffix) },
	},
	{
		name: "a directory that cannot be written", cause: syscall.EACCES, seen: true,
		put:    func(t *testing.T, path string) { chmod(t, filepath.Dir(path), 0o500) },
		remove: func(t *testing.T, path string) { chmod(t, filepath.Dir(path), 0o700) },
	},
	{
		name: "a file that is mounted by itself", cause: syscall.EBUSY,
		put: func(t *testing.T, path string) {
			if err := syscall.Mount(path, path, "", syscall.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(path, 0) }) // where that was not done
		},
		remove: func(t *testing.T, path string) {
			if err := syscall.Unmount(path, 0); err != nil {
				t.Fatal(err)
			}
		},
	},
	{
		name: "a full disk", cause: syscall.ENOSPC, seen: true,
		put: func(t *testing.T, path string) {
			writeRaw(t, filepath.Join(filepath.Dir(path), "filler"), strings.Repeat("x", smallDisk-16<<10))
		},
		remove: func(t *testing.T, path string) { unlink(t, filepath.Join(filepath.Dir(path), "filler")) },
	},
	{
		name: "a file system that is only read", cause: syscall.EROFS, seen: true,
		put:    func(t *testing.T, path string) { remount(t, filepath.Dir(path), syscall.MS_RDONLY) },
		remove: func(t *testing.T, path string) { remount(t, filepath.Dir(path), 0) },
	},
}

func unlink(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// smallDisk is the size of the disk that mount makes.
const smallDisk = 256 << 10

// mounts reports whether something is mounted to put it in the way.
func (o obstacle) mounts() bool {
	return errors.Is(o.cause, syscall.EBUSY) || errors.Is(o.cause, syscall.ENOSPC) || errors.Is(o.cause, syscall.EROFS)
}

// possible are the obstacles that can be put in the way of this user: root may write to
// every directory, and others may not mount.
func possible(t *testing.T) []obstacle {
	t.Helper()
	probe := t.TempDir()
	mounting := syscall.Mount("tmpfs", probe, "tmpfs", 0, "size=256k")
	if mounting == nil {
		if err := syscall.Unmount(probe, 0); err != nil {
			t.Fatal(err)
		}
	}
	return slices.DeleteFunc(slices.Clone(obstacles), func(o obstacle) bool {
		impossible := o.mounts() && mounting != nil || errors.Is(o.cause, syscall.EACCES) && os.Getuid() == 0
		if impossible {
			t.Logf("not tried as user %d: %s", os.Getuid(), o.name)
		}
		return impossible
	})
}

// place is a token file where the obstacle can be put.
func (o obstacle) place(t *testing.T) string {
	t.Helper()
	path := tokenFile(t)
	if !o.mounts() || errors.Is(o.cause, syscall.EBUSY) {
		return path
	}
	dir := filepath.Dir(path)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k,mode=700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return path
}

func remount(t *testing.T, dir string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
		t.Fatal(err)
	}
}

// LinkedIn takes a refresh token back with the answer that holds the next one: it
// is not asked before it is sure that this can be stored, and the member's consent
// outlasts the issue.
func TestLinkedInIsNotAskedForATokenThatCannotBeStored(t *testing.T) {
	for _, o := range possible(t) {
		t.Run(o.name, func(t *testing.T) {
			path := o.place(t)
			b := newBeating(t, func(opts *Options) { opts.Store = NewFileStore(path, "") })
			tok := b.connect()
			if err := b.Session.opts.Store.Save(t.Context(), tok); err != nil {
				t.Fatal(err)
			}
			o.put(t, path)
			b.clock.Add(61 * day)
			b.linkedin.says(tok, "expired")
			for range 3 {
				_, err := b.AccessToken(t.Context())
				if err == nil || !errors.Is(err, o.cause) || fault.KindOf(err) == fault.Fatal || !errors.Is(err, ErrCannotStore) || !strings.Contains(err.Error(), path) {
					t.Errorf("AccessToken = %v, want why it cannot be stored", err)
				}
			}
			for _, st := range []Status{b.after(t, time.Minute).Status, b.status(t)} {
				if st.Usable || !strings.Contains(st.Problem, "could not be stored") || st.Todo == "" || strings.Contains(st.Problem+st.Todo, path) {
					t.Errorf("Status = %+v; want that it is of no use, and no path for everybody", st)
				}
			}
			if n := b.linkedin.count(tokenPath); n != 0 {
				t.Fatalf("LinkedIn was asked %d times for a token that could not be stored", n)
			}
			o.remove(t, path)
			if got, err := b.AccessToken(t.Context()); err != nil || got != planted+"-access-2" {
				t.Errorf("AccessToken afterwards = %q, %v; want the renewed one", got, err)
			}
			if got, err := NewFileStore(path, "").Load(t.Context()); err != nil || got.Refresh != b.linkedin.refresh {
				t.Errorf("stored: %v, %v; want what LinkedIn gave", got, err)
			}
			if st := b.after(t, 2*time.Minute); !st.Usable || st.Problem != "" || st.Note != "" {
				t.Errorf("Status afterwards = %+v", st.Status)
			}
		})
	}
}

func (b *beating) status(t *testing.T) Status {
	t.Helper()
	st, err := b.Session.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// The code of a consent is good once: a person is told before, and nothing that
// comes of it is lost.
func TestNoConsentIsTakenThatCannotBeStored(t *testing.T) {
	for _, o := range possible(t) {
		t.Run(o.name, func(t *testing.T) {
			path := o.place(t)
			w := newWorld(t, func(opts *Options) { opts.Store = NewFileStore(path, "") })
			held := w.connect()
			if err := w.opts.Store.Save(t.Context(), held); err != nil {
				t.Fatal(err)
			}
			answer := func() url.Values { return url.Values{"state": {w.states.issue(begin, "")}, "code": {code}} }
			o.put(t, path)
			var printed strings.Builder
			if _, err := w.Login(t.Context(), LoginOptions{Out: &printed, Paste: true}); !errors.Is(err, o.cause) || err == nil || printed.Len() > 0 {
				t.Errorf("Login = %v, and printed %q before", err, &printed)
			}
			if err := w.Ready(t.Context()); err == nil || !errors.Is(err, o.cause) {
				t.Errorf("Ready = %v", err)
			}
			if _, err := w.Complete(t.Context(), answer(), ""); err == nil || !errors.Is(err, o.cause) {
				t.Errorf("Complete = %v", err)
			}
			if n := w.linkedin.count(tokenPath); n != 0 {
				t.Errorf("the code was redeemed %d times for nothing", n)
			}
			o.remove(t, path)
			if err := w.Ready(t.Context()); err != nil {
				t.Errorf("Ready afterwards = %v", err)
			}
			if got, err := w.Complete(t.Context(), answer(), ""); err != nil || got.Equal(held) {
				t.Errorf("Complete afterwards = %v, %v", got, err)
			}
		})
	}
}

// Whoever only looks tells the same as the process that has tried.
func TestWhoOnlyLooksTellsThatNothingCanBeStored(t *testing.T) {
	for _, o := range possible(t) {
		if !o.seen {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			path := o.place(t)
			if err := NewFileStore(path, "").Save(t.Context(), sample()); err != nil {
				t.Fatal(err)
			}
			o.put(t, path)
			defer o.remove(t, path)
			before, err := os.ReadDir(filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			over, err := lookingSession(t, NewFileStore(path, ""), nil, sample().AccessExpiresAt).Status(t.Context())
			if err != nil || over.Usable || !strings.Contains(over.Problem, "could not be stored") || !errors.Is(over.Unstored, o.cause) {
				t.Errorf("once it has expired: %+v, %v", over, err)
			}
			good, err := lookingSession(t, NewFileStore(path, ""), nil, begin).Status(t.Context())
			if err != nil || !good.Usable || !strings.Contains(good.Note, "could not be stored") || !errors.Is(good.Unstored, o.cause) {
				t.Errorf("while it lasts: %+v, %v", good, err)
			}
			if after, err := os.ReadDir(filepath.Dir(path)); err != nil || len(after) != len(before) {
				t.Errorf("to look has changed something: %v, %v", after, err)
			}
		})
	}
}

// Weeks before a token is due, and at the start.
func TestATokenThatCouldNotBeStoredIsToldLongBefore(t *testing.T) {
	o := obstacles[0]
	path := o.place(t)
	b := newBeating(t, func(opts *Options) { opts.Store = NewFileStore(path, "") })
	if err := b.Session.opts.Store.Save(t.Context(), b.connect()); err != nil {
		t.Fatal(err)
	}
	o.put(t, path)
	p := b.after(t, time.Hour)
	if !p.Usable || !strings.Contains(p.Note, "could not be stored") {
		t.Errorf("Health = %+v", p.Status)
	}
	if n := b.lines(`"level":"error"`, "could not be stored where they are kept", path); n != 1 {
		t.Errorf("it was said %d times in an hour, want once", n)
	}
	o.remove(t, path)
	if p := b.after(t, time.Minute); !p.Usable || p.Note != "" || b.lines("can be stored again") != 1 {
		t.Errorf("afterwards: %+v", p.Status)
	}
	if left, err := filepath.Glob(path + "*"); err != nil || len(left) != 2 {
		t.Errorf("left behind: %q, %v; want the token and its lock", left, err)
	}
	if n := b.linkedin.count(tokenPath); n != 0 {
		t.Errorf("LinkedIn was asked %d times", n)
	}
}

// The same for records, where it takes a record to know.
func TestARecordIsTriedBeforeLinkedInIsAsked(t *testing.T) {
	for kind, needsPerson := range map[fault.Kind]bool{fault.Pause: true, fault.Suspend: true, fault.Retry: false} {
		l := newLogbook()
		b := newBeating(t, func(o *Options) { o.Store = recordStore(l) })
		tok := b.connect()
		if err := b.Session.opts.Store.Save(t.Context(), tok); err != nil {
			t.Fatal(err)
		}
		refused := fault.As(kind, errors.New("the topic takes nothing"))
		l.set(func() { l.putErr = refused })
		b.clock.Add(61 * day)
		b.linkedin.says(tok, "expired")
		if _, err := b.AccessToken(t.Context()); !errors.Is(err, refused) || !errors.Is(err, ErrCannotStore) {
			t.Errorf("AccessToken = %v", err)
		}
		if _, err := b.Complete(t.Context(), url.Values{"state": {b.states.issue(b.clock.Now(), "")}, "code": {code}}, ""); !errors.Is(err, refused) {
			t.Errorf("Complete = %v", err)
		}
		if n := b.linkedin.count(tokenPath); n != 0 {
			t.Errorf("LinkedIn was asked %d times", n)
		}
		// Kafka that is away comes back by itself, and the token is renewed then.
		if p := b.after(t, time.Minute); p.Usable == needsPerson {
			t.Errorf("%v: Health = %+v, want that a person is needed: %v", kind, p.Status, needsPerson)
		}
		l.set(func() { l.putErr = nil })
		if got, err := b.AccessToken(t.Context()); err != nil || got != planted+"-access-2" {
			t.Errorf("AccessToken afterwards = %q, %v", got, err)
		}
	}
}

// Two processes with one file: the second waits for the first, and finds its pair.
func TestProcessesThatShareAFileTakeTurnsToRenew(t *testing.T) {
	path := tokenFile(t)
	one := newWorld(t, func(o *Options) { o.Store = NewFileStore(path, "") })
	if err := one.opts.Store.Save(t.Context(), one.connect()); err != nil {
		t.Fatal(err)
	}
	two := newWorld(t, func(o *Options) {
		o.Store, o.HTTP, o.Now = NewFileStore(path, ""), inProcess{one.linkedin}, one.clock.Now
	})
	for _, w := range []*world{one, two} {
		if _, err := w.AccessToken(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	one.clock.Add(61 * day)
	pause := make(chan struct{})
	one.linkedin.set(func() { one.linkedin.pause = pause })
	type outcome struct {
		access string
		err    error
	}
	got := make(chan outcome, 2)
	for _, w := range []*world{one, two} {
		go func() {
			access, err := w.AccessToken(t.Context())
			got <- outcome{access, err}
		}()
	}
	for deadline := time.Now().Add(10 * time.Second); one.linkedin.count(tokenPath) == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // until one of them has the turn
	}
	close(pause)
	for range 2 {
		if o := <-got; o.err != nil || o.access != planted+"-access-2" {
			t.Errorf("AccessToken = %q, %v; want the one renewed pair", o.access, o.err)
		}
	}
	if n := one.linkedin.count(tokenPath); n != 1 {
		t.Errorf("LinkedIn was asked %d times, want once", n)
	}
}

// While a renewal is under way the stored token can be read, and a logout counts.
func TestWhatIsReservedKeepsNobodyFromReading(t *testing.T) {
	s := NewFileStore(tokenFile(t), "")
	if err := s.Save(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	release, err := s.Reserve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, reader := range []*FileStore{s, NewFileStore(s.path, "")} {
		if got, err := reader.Load(t.Context()); err != nil || !got.Equal(sample()) {
			t.Errorf("Load = %v, %v", got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewFileStore(s.path, "").Reserve(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Reserve of another process = %v, want that it waits", err)
	}
	if err := s.Delete(t.Context()); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if err := s.Save(t.Context(), renewed(sample(), time.Hour)); !errors.Is(err, ErrSuperseded) {
		t.Errorf("Save after the logout = %v, want ErrSuperseded", err)
	}
	release()
	if left, err := filepath.Glob(s.path + "*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
