package oauth

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
)

var ours = Purpose{Installation: "marketing", Connection: "default"}

func signer(t testing.TB, secret string) *stateSigner {
	t.Helper()
	s, err := newStateSigner(appID, secret, ours)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStateIsTakenOnceByAnyProcessWithTheSecret(t *testing.T) {
	issuer, other := signer(t, appSecret), signer(t, appSecret)
	state := issuer.issue(begin, "")
	for name, s := range map[string]*stateSigner{"issuer": issuer, "other process": other} {
		if err := s.accept(state, "", begin.Add(time.Minute)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.accept(state, "", begin.Add(time.Minute)); !errors.Is(err, ErrState) {
			t.Errorf("%s took it twice: %v", name, err)
		}
	}
	if issuer.issue(begin, "") == state {
		t.Error("two states are equal")
	}
	// 16 bytes are chance, which nobody guesses, and 32 the signature.
	want := 1 + 1 + 8 + 16 + 1 + len("marketing") + 1 + len("default") + 32
	if raw, err := base64.RawURLEncoding.DecodeString(state); err != nil || len(raw) != want {
		t.Errorf("a state has %d bytes (%v), want %d", len(raw), err, want)
	}
}

func TestStateIsRefused(t *testing.T) {
	good := signer(t, appSecret).issue(begin, "")
	tests := []struct {
		name  string
		state string
		at    time.Time
		why   string
	}{
		{"empty", "", begin, "malformed"},
		{"not base64", strings.Repeat("!", len(good)), begin, "malformed"},
		{"short", good[:20], begin, "malformed"},
		{"longer", good + "AAAA", begin, "forged"},
		{"far too long", good + strings.Repeat("AAAA", 1000), begin, "malformed"},
		{"with a line break", good[:50] + "\n" + good[50:], begin, "malformed"},
		{"padded", good + "=", begin, "malformed"},
		{"another app's", signer(t, "other").issue(begin, ""), begin, "forged"},
		{"old", good, begin.Add(30*time.Minute + time.Second), "expired"},
		{"of the future", good, begin.Add(-2*time.Minute - time.Second), "expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := signer(t, appSecret).accept(tt.state, "", tt.at)
			var se *StateError
			if !errors.As(err, &se) || !strings.HasPrefix(se.Why, tt.why) {
				t.Errorf("take = %v, want %s", err, tt.why)
			}
		})
	}
	if err := signer(t, appSecret).accept(good, "", begin.Add(stateLife)); err != nil {
		t.Errorf("at the end of its life: %v", err)
	}
}

func TestStateWithAnyBitChangedIsRefused(t *testing.T) {
	s := signer(t, appSecret)
	raw, err := base64.RawURLEncoding.DecodeString(s.issue(begin, ""))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(raw) * 8 {
		raw[i/8] ^= 1 << (i % 8)
		if s.accept(base64.RawURLEncoding.EncodeToString(raw), "", begin) == nil {
			t.Errorf("bit %d may be changed", i)
		}
		raw[i/8] ^= 1 << (i % 8)
	}
}

func TestForgedStatesFillNoMemoryAndUsedOnesAreForgotten(t *testing.T) {
	s := signer(t, appSecret)
	forger := signer(t, "other")
	for range 100 {
		_ = s.accept(forger.issue(begin, ""), "", begin) // refused, as tested above
	}
	if len(s.used) != 0 {
		t.Errorf("%d forged states are remembered", len(s.used))
	}
	for i := range 3 {
		at := begin.Add(time.Duration(i) * 31 * time.Minute)
		if err := s.accept(s.issue(at, ""), "", at); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.used) != 1 {
		t.Errorf("%d used states are remembered, want the one that is still alive", len(s.used))
	}
}

// Installations that share the app and its redirect URL, and connections of one
// installation: a consent ends where it was begun or nowhere.
func TestAConsentEndsWhereItWasBegunOrNowhere(t *testing.T) {
	purposes := []Purpose{
		ours, {Installation: "sales", Connection: "default"}, {Installation: "marketing", Connection: "acme"},
		{}, {Installation: "marketin", Connection: "gdefault"}, {Installation: strings.Repeat("n", 255), Connection: strings.Repeat("c", 255)},
	}
	for _, begun := range purposes {
		for _, at := range purposes {
			for _, binding := range []string{"", "this browser"} {
				issuer, taker := signer(t, appSecret), signer(t, appSecret)
				issuer.purpose, taker.purpose = begun, at
				err := taker.accept(issuer.issue(begin, binding), binding, begin)
				if begun == at {
					if err != nil {
						t.Errorf("%s: %v", begun, err)
					}
					continue
				}
				var se *StateError
				if !errors.As(err, &se) || !errors.Is(err, ErrState) || se.BegunFor == nil || *se.BegunFor != begun {
					t.Errorf("begun for %s, ended at %s: %v", begun, at, err)
					continue
				}
				for _, name := range []string{begun.String(), at.String()} {
					if !strings.Contains(err.Error(), name) {
						t.Errorf("the error does not name %s: %v", name, err)
					}
				}
				if len(taker.used) != 0 {
					t.Errorf("a foreign state is remembered at %s", at)
				}
			}
		}
	}
	if _, err := newStateSigner(appID, appSecret, Purpose{Installation: strings.Repeat("n", 256)}); err == nil {
		t.Error("a name that does not fit is taken")
	}
}

// FuzzState: nothing but what was issued is taken.
func FuzzState(f *testing.F) {
	// No random nonce: each fuzzing process must know the same state.
	good := base64.RawURLEncoding.EncodeToString(signer(f, appSecret).make(begin, "", [nonceSize]byte{}))
	f.Add(good)
	f.Add("")
	f.Add(strings.ToLower(good))
	f.Fuzz(func(t *testing.T, state string) {
		err := signer(t, appSecret).accept(state, "", begin)
		if (err == nil) != (state == good) {
			t.Fatalf("take(%q) = %v", state, err)
		}
		if err != nil && !errors.Is(err, ErrState) {
			t.Fatalf("error = %v", err)
		}
	})
}

func TestABoundStateIsGoodOnlyInTheBrowserThatBeganIt(t *testing.T) {
	s := signer(t, appSecret)
	for _, foreign := range []string{"", "another browser"} {
		state := s.issue(begin, "this browser")
		if err := s.accept(state, foreign, begin); !errors.Is(err, ErrState) {
			t.Errorf("a bound state with binding %q: %v, want refused", foreign, err)
		}
		if err := s.accept(state, "this browser", begin); err != nil {
			t.Errorf("a bound state in its browser: %v", err)
		}
	}
	if err := s.accept(s.issue(begin, ""), "any browser", begin); err != nil {
		t.Errorf("a state of the command in a browser: %v", err)
	}
	bound := s.issue(begin, "this browser")
	raw, err := base64.RawURLEncoding.DecodeString(bound)
	if err != nil {
		t.Fatal(err)
	}
	raw[1] = 0 // pretend that it was never bound
	if err := s.accept(base64.RawURLEncoding.EncodeToString(raw), "", begin); !errors.Is(err, ErrState) {
		t.Errorf("a bound state made unbound: %v, want refused", err)
	}
}
