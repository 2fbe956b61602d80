package oauth

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// intruder's are the tokens of another account, newer than any of ours.
func intruders() Token {
	t := consented(begin.Add(24 * time.Hour))
	t.Access, t.Refresh = planted+"-intruder", planted+"-intruder-refresh"
	return t
}

func sealedWith(t *testing.T, tok Token, passphrase string) []byte {
	t.Helper()
	data, err := encode(tok, passphrase, cheap)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Whoever can write to the log, and does not know the passphrase, does not put the
// connector on another account: neither one that runs nor one that starts.
func TestWhoWritesToTheLogDoesNotChangeTheAccount(t *testing.T) {
	ours, theirs := consented(begin), intruders()
	ours.Installation = "marketing"
	foreign := theirs
	foreign.Installation = "sales"
	tests := []struct {
		name string
		put  map[string][]byte
	}{
		{"a plain pair that is newer", map[string][]byte{pairKey(theirs): sealedWith(t, theirs, "")}},
		{"plain pairs, one after the other", map[string][]byte{
			pairKey(theirs): sealedWith(t, theirs, ""), pairKey(renewed(theirs, time.Hour)): sealedWith(t, renewed(theirs, time.Hour), ""),
		}},
		{"a plain pair that was renewed later", map[string][]byte{pairKey(renewed(ours, time.Hour)): sealedWith(t, renewed(ours, time.Hour), "")}},
		{"our own pair under a newer key", map[string][]byte{pairKey(theirs): sealedWith(t, ours, passphrase)}},
		{"our older pair once more", map[string][]byte{pairKey(consented(begin.Add(-time.Hour))): sealedWith(t, consented(begin.Add(-time.Hour)), passphrase)}},
		{"another installation's pair, with the same passphrase", map[string][]byte{pairKey(foreign): sealedWith(t, foreign, passphrase)}},
		{"nonsense", map[string][]byte{pairKey(theirs): []byte(planted + "{")}},
		{"something that looks encrypted", map[string][]byte{pairKey(theirs): []byte(ageMagic + "v1\n-> scrypt AAAA 30\n")}},
		{"nothing", map[string][]byte{pairKey(theirs): nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			core, logs := observer.New(zap.DebugLevel)
			l := newLogbook()
			store := func() *RecordStore {
				s := recordStore(l).For("marketing")
				s.log = zap.New(core)
				return s
			}
			running := store()
			save(t, running, ours)
			for key, value := range tt.put {
				l.set(func() { l.held[key] = value })
			}
			starting := store()
			for range 3 {
				holds(t, running, ours)
				holds(t, starting, ours)
			}
			for _, line := range logs.All() {
				if line.Level == zap.ErrorLevel && !strings.Contains(line.Message, "passed over") {
					t.Errorf("it says: %s %v", line.Message, line.ContextMap())
				}
				noSecret(t, "the log", line.Message)
			}
			older := len(tt.put) == 1 && tt.put[pairKey(consented(begin.Add(-time.Hour)))] != nil
			if n := logs.FilterLevelExact(zap.ErrorLevel).Len(); !older && n != 2*len(tt.put) {
				t.Errorf("it was said %d times, want once a record by each process", n)
			}
			// Consents and renewals go on, and take away what does not belong there.
			next := renewed(ours, 2*time.Hour)
			save(t, starting, next)
			holds(t, running, next)
			holds(t, store(), next)
			if got := l.keys(); len(got) != 1 {
				t.Errorf("records = %q, want the newest pair alone", got)
			}
		})
	}
}

// Encrypted with another passphrase it may be the newer consent of a process that
// has other settings: what is held is then not used behind that one's back.
func TestAPairOfAnotherPassphraseIsNeitherUsedNorIgnored(t *testing.T) {
	l := newLogbook()
	running := recordStore(l)
	save(t, running, consented(begin))
	l.set(func() { l.held[pairKey(intruders())] = sealedWith(t, intruders(), "another") })
	for _, s := range []*RecordStore{running, recordStore(l)} {
		if got, err := s.Load(t.Context()); !errors.Is(err, ErrPassphrase) {
			t.Errorf("Load = %v, %v; want ErrPassphrase", got, err)
		}
	}
}

// Over the very record of ours: a process that runs writes it again, one that
// starts says what it found.
func TestAPairThatWasOverwrittenIsRestored(t *testing.T) {
	l := newLogbook()
	ours := consented(begin)
	running := recordStore(l)
	save(t, running, ours)
	theirs := intruders()
	theirs.AuthorizedAt, theirs.ObtainedAt = ours.AuthorizedAt, ours.ObtainedAt
	l.set(func() { l.held[pairKey(ours)] = sealedWith(t, theirs, "") })
	if got, err := recordStore(l).Load(t.Context()); !errors.Is(err, ErrPlain) || !strings.Contains(err.Error(), "who may write to that topic") {
		t.Errorf("Load of a process that starts = %v, %v; want ErrPlain", got, err)
	}
	holds(t, running, ours)
	holds(t, recordStore(l), ours)
}

func TestAPlantedPairAloneCanBeRemovedAndDatesNothing(t *testing.T) {
	l := newLogbook()
	theirs := intruders()
	theirs.AuthorizedAt, theirs.ObtainedAt = begin.Add(50*365*day), begin.Add(50*365*day)
	l.held[pairKey(theirs)] = sealedWith(t, theirs, "")
	s := recordStore(l)
	if _, err := s.Load(t.Context()); !errors.Is(err, ErrPlain) {
		t.Errorf("Load = %v, want ErrPlain", err)
	}
	remove(t, s)
	holds(t, s, Token{})
	save(t, s, consented(begin))
	holds(t, recordStore(l), consented(begin))
}

func fileStore(path, passphrase string) (*FileStore, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	return NewFileStore(path, passphrase).For("marketing", zap.New(core)), logs
}

// A plain file is encrypted once, when there was none before, and that is said;
// from then on a plain one is none of ours, also for processes that start later.
func TestAPlainFileIsTakenOnlyWhereNoneWasEverEncrypted(t *testing.T) {
	put := func(t *testing.T, path string, tok Token) {
		t.Helper()
		writeRaw(t, path, string(sealedWith(t, tok, "")))
	}
	t.Run("from before the passphrase", func(t *testing.T) {
		path := tokenFile(t)
		put(t, path, sample())
		s, logs := fileStore(path, passphrase)
		if got, err := s.Load(t.Context()); err != nil || !got.Equal(sample()) {
			t.Errorf("Load = %v, %v", got, err)
		}
		if logs.FilterLevelExact(zap.WarnLevel).FilterMessageSnippet("without encryption").Len() != 1 {
			t.Errorf("it is not said: %v", logs.All())
		}
	})
	planting := map[string]func(t *testing.T, path string){
		"after one was encrypted": func(t *testing.T, path string) {
			put(t, path, sample())
			s, _ := fileStore(path, passphrase)
			if _, err := s.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"after a consent": func(t *testing.T, path string) {
			if err := NewFileStore(path, passphrase).Save(t.Context(), sample()); err != nil {
				t.Fatal(err)
			}
		},
		"after one that an older release encrypted was read": func(t *testing.T, path string) {
			keepCheap(t, path, passphrase)
			s, _ := fileStore(path, passphrase)
			if _, err := s.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, before := range planting {
		t.Run(name, func(t *testing.T) {
			path := tokenFile(t)
			before(t, path)
			running, _ := fileStore(path, passphrase)
			if got, err := running.Load(t.Context()); err != nil || !got.Equal(sample()) {
				t.Fatalf("Load = %v, %v", got, err)
			}
			put(t, path, intruders())
			starting, _ := fileStore(path, passphrase)
			for _, s := range []*FileStore{running, starting} {
				got, err := s.Load(t.Context())
				if !errors.Is(err, ErrPlain) || !strings.Contains(err.Error(), "auth logout") || !got.IsZero() {
					t.Errorf("Load = %v, %v; want ErrPlain", got, err)
				}
				if err := s.Save(t.Context(), renewed(sample(), time.Hour)); !errors.Is(err, ErrPlain) {
					t.Errorf("Save = %v, want ErrPlain", err)
				}
			}
			if data, err := os.ReadFile(path); err != nil || string(data) != string(sealedWith(t, intruders(), "")) {
				t.Errorf("what was found there was changed: %v", err)
			}
			// The way out, and all is as at first.
			if _, err := Logout(t.Context(), starting); err != nil {
				t.Fatal(err)
			}
			if err := starting.Save(t.Context(), consented(begin.Add(day))); err != nil {
				t.Fatal(err)
			}
			if got, err := running.Load(t.Context()); err != nil || !got.Equal(consented(begin.Add(day))) {
				t.Errorf("Load after a new login = %v, %v", got, err)
			}
		})
	}
	t.Run("where there was none when it began", func(t *testing.T) {
		path := tokenFile(t)
		running, _ := fileStore(path, passphrase)
		if _, err := running.Load(t.Context()); !errors.Is(err, ErrNoToken) {
			t.Fatal(err)
		}
		put(t, path, intruders())
		if got, err := running.Load(t.Context()); !errors.Is(err, ErrPlain) {
			t.Errorf("Load = %v, %v; want ErrPlain", got, err)
		}
	})
	t.Run("while it runs, with the lock file gone as well", func(t *testing.T) {
		path := tokenFile(t)
		if err := NewFileStore(path, passphrase).Save(t.Context(), sample()); err != nil {
			t.Fatal(err)
		}
		running, _ := fileStore(path, passphrase)
		if _, err := running.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path + lockSuffix); err != nil {
			t.Fatal(err)
		}
		put(t, path, intruders())
		if got, err := running.Load(t.Context()); !errors.Is(err, ErrPlain) {
			t.Errorf("Load = %v, %v; want ErrPlain", got, err)
		}
	})
}

// The session goes on with what it has, and says that a person is needed.
func TestAPlantedFileChangesNoSessionThatRuns(t *testing.T) {
	path := tokenFile(t)
	b := newBeating(t, func(o *Options) { o.Store = NewFileStore(path, passphrase).For("marketing", zap.NewNop()) })
	tok := b.connect()
	if err := b.Session.opts.Store.Save(t.Context(), tok); err != nil {
		t.Fatal(err)
	}
	if p := b.after(t, time.Minute); !p.Usable {
		t.Fatalf("Health = %+v", p.Status)
	}
	writeRaw(t, path, string(sealedWith(t, intruders(), "")))
	p := b.after(t, 20*time.Minute)
	if p.Usable || !errors.Is(p.Unread, ErrPlain) || b.lines(`"level":"error"`, "not encrypted although token.passphrase is set") != 1 {
		t.Errorf("Health = %+v, %v", p.Status, p.Unread)
	}
	if got, err := b.AccessToken(t.Context()); err != nil || got != tok.Access {
		t.Errorf("AccessToken = %q, %v; want what was given before", got, err)
	}
}

// Two installations that are told to keep their tokens in one file share them, and
// are told so, once a consent.
func TestAFileThatInstallationsShareIsToldOf(t *testing.T) {
	path := tokenFile(t)
	marketing, of := fileStore(path, "")
	tok := sample()
	tok.Installation = "marketing"
	if err := marketing.Save(t.Context(), tok); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	sales := NewFileStore(path, "").For("sales", zap.New(core))
	for range 3 {
		for _, s := range []*FileStore{marketing, sales} {
			if got, err := s.Load(t.Context()); err != nil || !got.Equal(tok) {
				t.Errorf("Load = %v, %v", got, err)
			}
		}
	}
	if of.Len() > 0 || logs.FilterMessageSnippet("another installation began").Len() != 1 {
		t.Errorf("its own installation is told %v, the other %v; want the other once", of.All(), logs.All())
	}
}

// What a consent is stored for stays so over renewals.
func TestStoredTokensNameTheInstallationThatConsented(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.completeCode(t.Context(), code); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(61 * day)
	if _, err := w.AccessToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	if held := w.store.token(); held.Installation != "marketing" || !held.Renewed() {
		t.Errorf("stored: %v of %q", held, held.Installation)
	}
}
