package oauth

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// lookAt has a session made that only looks at the store.
func lookAt(t *testing.T, store Store) {
	t.Helper()
	o := Options{
		ClientID: "client", ClientSecret: planted, AuthURL: "https://www.example.com", RedirectURL: "https://www.example.com/back",
		Scopes: wanted, Store: store, ReadOnly: true,
	}
	if _, err := New(o); err != nil {
		t.Fatal(err)
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
	if data, err := os.ReadFile(path); err != nil || sealed(data) {
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
