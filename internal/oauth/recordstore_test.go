package oauth

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"leadstream/internal/fault"
)

// logbook is Records in memory, as several stores share them.
type logbook struct {
	mu                       sync.Mutex
	held                     map[string][]byte
	readErr, putErr, killErr error
	reads                    int
}

func newLogbook() *logbook { return &logbook{held: map[string][]byte{}} }

func (l *logbook) All(context.Context) (map[string][]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	return maps.Clone(l.held), l.readErr
}

func (l *logbook) Put(_ context.Context, key string, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.putErr == nil {
		l.held[key] = value
	}
	return l.putErr
}

func (l *logbook) Delete(_ context.Context, key string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.killErr == nil {
		delete(l.held, key)
	}
	return l.killErr
}

func (l *logbook) Try(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.putErr
}

func (l *logbook) keys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.held))
}

func (l *logbook) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

const passphrase = planted + "-passphrase"

func recordStore(l *logbook) *RecordStore {
	s := NewRecordStore(l, passphrase, nil)
	s.cost = cheap
	return s
}

// consented is the first pair of a consent, renewed a later one of it.
func consented(at time.Time) Token {
	t := sample()
	t.Access, t.Refresh = planted+"-access-"+at.Format(time.RFC3339), planted+"-refresh-"+at.Format(time.RFC3339)
	t.AuthorizedAt, t.ObtainedAt = at, at
	return t
}

func renewed(t Token, after time.Duration) Token {
	t.ObtainedAt = t.ObtainedAt.Add(after)
	t.Access += "-renewed"
	return t
}

func save(t *testing.T, s *RecordStore, token Token) {
	t.Helper()
	if err := s.Save(t.Context(), token); err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, s *RecordStore, want Token) {
	t.Helper()
	got, err := s.Load(t.Context())
	if want.IsZero() {
		if !errors.Is(err, ErrNoToken) {
			t.Errorf("Load = %v, %v; want ErrNoToken", got, err)
		}
		return
	}
	if err != nil || !got.Equal(want) {
		t.Errorf("Load = %v, %v; want %v", got, err, want)
	}
}

func TestTokenRecordsAreSharedEncryptedAndReadBack(t *testing.T) {
	l := newLogbook()
	one, two := recordStore(l), recordStore(l)
	holds(t, one, Token{})
	first := consented(begin)
	save(t, one, first)
	holds(t, two, first)
	second := renewed(first, time.Hour)
	save(t, two, second)
	holds(t, one, second)
	if got := l.keys(); !slices.Equal(got, []string{"2026-11-02T09:00:00.000Z/2026-11-02T10:00:00.000Z"}) {
		t.Errorf("records = %q, want the newest pair alone", got)
	}
	for key, value := range l.held {
		if strings.Contains(key+string(value), planted) || !strings.HasPrefix(string(value), ageMagic) {
			t.Errorf("record %s is not encrypted", key)
		}
	}
}

// Decrypting takes a moment and some memory, and Load is called all the time.
func TestARecordIsDecryptedOnce(t *testing.T) {
	l := newLogbook()
	save(t, recordStore(l), consented(begin))
	s := recordStore(l)
	holds(t, s, consented(begin))
	s.passphrase = "which is not needed any more"
	holds(t, s, consented(begin))
}

func TestALateRenewalNeitherReplacesANewerConsentNorBringsBackARemovedOne(t *testing.T) {
	old, next := consented(begin), consented(begin.Add(time.Hour))
	late := renewed(old, 2*time.Hour)
	tests := []struct {
		name   string
		before func(t *testing.T, s *RecordStore)
		want   Token
	}{
		{"newer consent", func(t *testing.T, s *RecordStore) { save(t, s, next) }, next},
		{"removed", func(t *testing.T, s *RecordStore) { remove(t, s) }, Token{}},
		{"removed, then a newer consent", func(t *testing.T, s *RecordStore) { remove(t, s); save(t, s, next) }, next},
		{"newer consent, removed", func(t *testing.T, s *RecordStore) { save(t, s, next); remove(t, s) }, Token{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLogbook()
			slow, other := recordStore(l), recordStore(l)
			save(t, slow, old)
			holds(t, other, old)
			tt.before(t, other)
			if err := slow.Save(t.Context(), late); !errors.Is(err, ErrSuperseded) {
				t.Errorf("Save = %v, want ErrSuperseded", err)
			}
			holds(t, slow, tt.want)
			// The same without the look before: it was written just then.
			sealed, err := encode(late, passphrase, cheap)
			if err != nil {
				t.Fatal(err)
			}
			l.set(func() { l.held[pairKey(late)] = sealed })
			for _, s := range []*RecordStore{slow, other, recordStore(l)} {
				holds(t, s, tt.want)
			}
			last := consented(begin.Add(5 * time.Hour))
			save(t, other, last)
			holds(t, slow, last)
			if got := l.keys(); len(got) != 1 {
				t.Errorf("records = %q, want the newest pair alone", got)
			}
		})
	}
}

func remove(t *testing.T, s *RecordStore) {
	t.Helper()
	if err := s.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRemovingTokensTwiceSaysThatThereAreNone(t *testing.T) {
	s := recordStore(newLogbook())
	if err := s.Delete(t.Context()); !errors.Is(err, ErrNoToken) {
		t.Errorf("Delete of nothing = %v, want ErrNoToken", err)
	}
	save(t, s, consented(begin))
	remove(t, s)
	if err := s.Delete(t.Context()); !errors.Is(err, ErrNoToken) {
		t.Errorf("second Delete = %v, want ErrNoToken", err)
	}
	var removed *RemovedError
	if _, err := s.Load(t.Context()); !errors.As(err, &removed) || !removed.AuthorizedAt.Equal(begin) {
		t.Errorf("Load = %v, want until when consents were removed", err)
	}
}

// A topic that was deleted by hand takes the tokens along; whoever has them
// in memory writes them again, also a pair that was renewed meanwhile.
func TestTokensLostWithTheirLogAreWrittenAgain(t *testing.T) {
	l := newLogbook()
	one, two := recordStore(l), recordStore(l)
	first := consented(begin)
	save(t, one, first)
	holds(t, two, first)
	lose := func() { l.set(func() { clear(l.held) }) }
	lose()
	holds(t, recordStore(l), Token{}) // one that has just started knows nothing
	holds(t, two, first)
	holds(t, recordStore(l), first)
	second := renewed(first, time.Hour)
	lose()
	save(t, one, second)
	holds(t, two, second)

	lose()
	l.set(func() { l.putErr = errors.New("away") })
	if _, err := one.Load(t.Context()); !errors.Is(err, l.putErr) {
		t.Errorf("Load = %v, want the error of writing again", err)
	}
	l.set(func() { l.putErr = nil })
	holds(t, one, second)
	remove(t, two)
	holds(t, one, Token{})
}

// Not even when the records that say so are lost afterwards, nor when all are
// lost while it happens.
func TestTokensThatWereRemovedAreNotWrittenAgain(t *testing.T) {
	old, next := consented(begin), consented(begin.Add(time.Hour))
	tests := []struct {
		name    string
		logsOut func(t *testing.T, l *logbook, s *RecordStore)
	}{
		{"logout", func(t *testing.T, _ *logbook, s *RecordStore) { remove(t, s) }},
		{"logout, then a consent that this process cannot read", func(t *testing.T, l *logbook, s *RecordStore) {
			remove(t, s)
			other := recordStore(l)
			other.passphrase = "another"
			save(t, other, next)
		}},
		{"logout once the log is lost", func(t *testing.T, l *logbook, s *RecordStore) {
			l.set(func() { clear(l.held) })
			remove(t, s)
		}},
		{"logout once an older log is back", func(t *testing.T, l *logbook, s *RecordStore) {
			l.set(func() { clear(l.held) })
			save(t, recordStore(l), consented(begin.Add(-time.Hour)))
			remove(t, s)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLogbook()
			one, two := recordStore(l), recordStore(l)
			save(t, one, old)
			holds(t, two, old)
			tt.logsOut(t, l, one)
			for range 2 {
				for _, s := range []*RecordStore{two, one} {
					if got, err := s.Load(t.Context()); err == nil {
						t.Errorf("Load = %v, want nothing of what was removed", got)
					}
				}
				l.set(func() { clear(l.held) })
			}
		})
	}
}

func TestAPairThatCouldNotBeWrittenIsNotHeld(t *testing.T) {
	l := newLogbook()
	s := recordStore(l)
	save(t, s, consented(begin))
	away := errors.New("away")
	l.set(func() { l.putErr = away })
	next := consented(begin.Add(time.Hour))
	if err := s.Save(t.Context(), next); !errors.Is(err, away) {
		t.Fatalf("Save = %v, want the error of Put", err)
	}
	holds(t, s, consented(begin))
	// What remains of older pairs does no harm.
	l.set(func() { l.putErr, l.killErr = nil, away })
	save(t, s, next)
	holds(t, recordStore(l), next)
	if len(l.keys()) != 2 {
		t.Errorf("records = %q", l.keys())
	}
	l.set(func() { l.killErr = nil })
	last := renewed(next, time.Hour)
	save(t, s, last)
	if got := l.keys(); !slices.Equal(got, []string{pairKey(last)}) {
		t.Errorf("records = %q, want the newest pair alone", got)
	}
	l.set(func() { l.readErr = away })
	for _, err := range []error{s.Save(t.Context(), last), s.Delete(t.Context())} {
		if !errors.Is(err, away) {
			t.Errorf("error = %v, want that of All", err)
		}
	}
}

func TestARecordThatCannotBeUsedIsNamedAndCanBeRemoved(t *testing.T) {
	encrypted := func(passphrase string, token Token) []byte {
		b, err := encode(token, passphrase, cheap)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tests := []struct {
		name   string
		value  []byte
		cause  error
		remedy string
	}{
		{"another passphrase", encrypted("other", consented(begin)), ErrPassphrase, "token.passphrase"},
		{"damaged", []byte(planted + "{"), ErrCorrupt, "auth logout"},
		{"empty", nil, ErrCorrupt, "auth logout"},
		{"another pair", encrypted(passphrase, consented(begin.Add(time.Hour))), ErrCorrupt, "auth logout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLogbook()
			l.held[pairKey(consented(begin))] = tt.value
			s := recordStore(l)
			_, err := s.Load(t.Context())
			var bad *RecordError
			if !errors.As(err, &bad) || !errors.Is(err, tt.cause) || fault.KindOf(err) != fault.Pause ||
				!strings.Contains(err.Error(), tt.remedy) || !strings.Contains(err.Error(), pairKey(consented(begin))) {
				t.Errorf("Load = %v", err)
			}
			noSecret(t, "the error", err.Error())
			remove(t, s)
			holds(t, s, Token{})
		})
	}
}

func TestRecordsOfALaterReleaseAreLeftAlone(t *testing.T) {
	l := newLogbook()
	l.held["a/b/c"], l.held["removed/never"], l.held["2026"] = nil, nil, nil
	s := recordStore(l)
	holds(t, s, Token{})
	save(t, s, consented(begin))
	remove(t, s)
	if got := l.keys(); !slices.Equal(got, []string{"2026", "a/b/c", "removed/2026-11-02T09:00:00.000Z", "removed/never"}) {
		t.Errorf("records = %q", got)
	}
}

func TestWithoutAPassphraseNothingIsWritten(t *testing.T) {
	l := newLogbook()
	if err := NewRecordStore(l, "", nil).Save(t.Context(), consented(begin)); !errors.Is(err, ErrPassphraseMissing) {
		t.Errorf("Save = %v, want ErrPassphraseMissing", err)
	}
	if len(l.keys()) > 0 {
		t.Errorf("records = %q", l.keys())
	}
}

// The clock of the machine where the member consents again may be behind that
// of the machine where the consent was removed.
func TestAConsentAfterALogoutCountsWhateverTheClocksSay(t *testing.T) {
	l := newLogbook()
	w := newWorld(t, func(o *Options) { o.Store = recordStore(l) })
	if _, err := w.completeCode(t.Context(), planted+"-code"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(-time.Hour)
	given, err := w.completeCode(t.Context(), planted+"-code")
	if err != nil {
		t.Fatal(err)
	}
	holds(t, recordStore(l), given)
	if got, err := w.AccessToken(t.Context()); err != nil || got != given.Access {
		t.Errorf("AccessToken = %q, %v; want that of the new consent", got, err)
	}
}

// Two processes renew at once, and LinkedIn replaces the refresh token: the
// second is refused and takes the pair of the first.
func TestProcessesThatShareRecordsRenewForEachOther(t *testing.T) {
	l := newLogbook()
	one := newWorld(t, func(o *Options) { o.Store = recordStore(l) })
	two := newWorld(t, func(o *Options) { o.Store, o.HTTP, o.Now = recordStore(l), inProcess{one.linkedin}, one.clock.Now })
	if _, err := one.completeCode(t.Context(), planted+"-code"); err != nil {
		t.Fatal(err)
	}
	if got, err := two.AccessToken(t.Context()); err != nil || got != planted+"-access-1" {
		t.Fatalf("the other process: AccessToken = %q, %v", got, err)
	}
	one.clock.Add(61 * day)
	one.linkedin.override(tokenPath, func(rw http.ResponseWriter, r *http.Request) {
		one.linkedin.set(func() { delete(one.linkedin.overrides, tokenPath) })
		// The first renews while the second's request is on its way.
		if got, err := one.AccessToken(t.Context()); err != nil || got != planted+"-access-2" {
			t.Errorf("AccessToken = %q, %v; want the renewed one", got, err)
		}
		one.linkedin.serveToken(rw, r)
	})
	if got, err := two.AccessToken(t.Context()); err != nil || got != planted+"-access-2" {
		t.Errorf("the other process: AccessToken = %q, %v; want the pair of the first", got, err)
	}
}
