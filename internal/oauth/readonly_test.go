package oauth

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// lookAt has a session made that only looks at the store.
func lookAt(t *testing.T, store Store) {
	t.Helper()
	lookingSession(t, store, nil, begin)
}

// lookingSession works at the time now, with a LinkedIn that cannot be reached.
func lookingSession(t *testing.T, store Store, log *zap.Logger, now time.Time) *Session {
	t.Helper()
	s, err := New(Options{
		ClientID: "client", ClientSecret: planted, AuthURL: "http://127.0.0.1:1", RedirectURL: "https://www.example.com/back",
		Scopes: wanted, Store: store, ReadOnly: true, Log: log, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWhoOnlyLooksRenewsNothing, and says nothing of a renewal that is due: the
// token is used to its end.
func TestWhoOnlyLooksRenewsNothing(t *testing.T) {
	store := NewFileStore(filepath.Join(t.TempDir(), "token"), "")
	if err := store.Save(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	due := lookingSession(t, store, zap.New(core), sample().AccessExpiresAt.Add(-time.Hour))
	if got, err := due.AccessToken(t.Context()); err != nil || got != sample().Access || logs.Len() > 0 {
		t.Errorf("shortly before its end: %v, %v", err, logs.All())
	}
	over := lookingSession(t, store, zap.New(core), sample().AccessExpiresAt)
	if _, err := over.AccessToken(t.Context()); !errors.Is(err, ErrNotRenewed) {
		t.Errorf("after its end: %v, want ErrNotRenewed", err)
	}
	bearer := sample()
	bearer.Refresh, bearer.RefreshExpiresAt, bearer.AuthorizedAt = "", time.Time{}, begin.Add(time.Hour)
	if err := store.Save(t.Context(), bearer); err != nil {
		t.Fatal(err)
	}
	over = lookingSession(t, store, zap.New(core), bearer.AccessExpiresAt)
	if _, err := over.AccessToken(t.Context()); !errors.Is(err, ErrConsentNeeded) {
		t.Errorf("without a refresh token: %v, want ErrConsentNeeded", err)
	}
}

func TestWhoOnlyLooksEncryptsNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := NewFileStore(path, "").Save(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	s := NewFileStore(path, planted)
	lookAt(t, s)
	if got, err := s.Load(t.Context()); err != nil || !got.Equal(sample()) {
		t.Errorf("Load = %v, %v", got, err)
	}
	if data, err := os.ReadFile(path); err != nil || isEncrypted(data) {
		t.Errorf("the file was encrypted (%v)", err)
	}
}

func TestWhoOnlyLooksWritesNoRecordAgain(t *testing.T) {
	l := newLogbook()
	s := recordStore(l)
	save(t, s, consented(begin))
	holds(t, s, consented(begin))
	lookAt(t, s)
	l.set(func() { clear(l.held) })
	if _, err := s.Load(t.Context()); !errors.Is(err, ErrNoToken) || len(l.keys()) > 0 {
		t.Errorf("Load = %v, records %q", err, l.keys())
	}
}
