package oauth

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

func signer(t testing.TB, secret string) *stateSigner {
	t.Helper()
	s, err := newStateSigner(appID, secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStateIsTakenOnceByAnyProcessWithTheSecret(t *testing.T) {
	issuer, other := signer(t, appSecret), signer(t, appSecret)
	state := issuer.issue(begin, "")
	for name, s := range map[string]*stateSigner{"issuer": issuer, "other process": other} {
		if err := s.take(state, "", begin.Add(time.Minute)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.take(state, "", begin.Add(time.Minute)); !errors.Is(err, ErrState) {
			t.Errorf("%s took it twice: %v", name, err)
		}
	}
	if issuer.issue(begin, "") == state {
		t.Error("two states are equal")
	}
	// Of 57 bytes 16 are chance, which nobody guesses, and 32 the signature.
	if raw, err := base64.RawURLEncoding.DecodeString(state); err != nil || len(raw) != 1+8+16+32 {
		t.Errorf("a state has %d bytes (%v), want 57", len(raw), err)
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
		{"long", good + "AAAA", begin, "malformed"},
		{"with a line break", good[:50] + "\n" + good[50:], begin, "malformed"},
		{"padded", good + "=", begin, "malformed"},
		{"another app's", signer(t, "other").issue(begin, ""), begin, "forged"},
		{"old", good, begin.Add(30*time.Minute + time.Second), "expired"},
		{"of the future", good, begin.Add(-2*time.Minute - time.Second), "expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := signer(t, appSecret).take(tt.state, "", tt.at)
			var se *StateError
			if !errors.As(err, &se) || !strings.HasPrefix(se.Why, tt.why) {
				t.Errorf("take = %v, want %s", err, tt.why)
			}
		})
	}
	if err := signer(t, appSecret).take(good, "", begin.Add(stateLife)); err != nil {
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
		if s.take(base64.RawURLEncoding.EncodeToString(raw), "", begin) == nil {
			t.Errorf("bit %d may be changed", i)
		}
		raw[i/8] ^= 1 << (i % 8)
	}
}

func TestForgedStatesFillNoMemoryAndUsedOnesAreForgotten(t *testing.T) {
	s := signer(t, appSecret)
	forger := signer(t, "other")
	for range 100 {
		_ = s.take(forger.issue(begin, ""), "", begin) // refused, as tested above
	}
	if len(s.used) != 0 {
		t.Errorf("%d forged states are remembered", len(s.used))
	}
	for i := range 3 {
		at := begin.Add(time.Duration(i) * 31 * time.Minute)
		if err := s.take(s.issue(at, ""), "", at); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.used) != 1 {
		t.Errorf("%d used states are remembered, want the one that is still alive", len(s.used))
	}
}

// FuzzState: nothing but what was issued is taken.
func FuzzState(f *testing.F) {
	head := make([]byte, headSize, stateSize) // no random nonce: each fuzzing process must know the same state
	head[0] = stateVersion
	binary.BigEndian.PutUint64(head[1:], uint64(begin.Unix()))
	good := base64.RawURLEncoding.EncodeToString(signer(f, appSecret).sign(head, ""))
	f.Add(good)
	f.Add("")
	f.Add(strings.ToLower(good))
	f.Fuzz(func(t *testing.T, state string) {
		err := signer(t, appSecret).take(state, "", begin)
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
		if err := s.take(state, foreign, begin); !errors.Is(err, ErrState) {
			t.Errorf("a bound state with binding %q: %v, want refused", foreign, err)
		}
		if err := s.take(state, "this browser", begin); err != nil {
			t.Errorf("a bound state in its browser: %v", err)
		}
	}
	if err := s.take(s.issue(begin, ""), "any browser", begin); err != nil {
		t.Errorf("a state of the command in a browser: %v", err)
	}
	bound := s.issue(begin, "this browser")
	raw, err := base64.RawURLEncoding.DecodeString(bound)
	if err != nil {
		t.Fatal(err)
	}
	raw[0] = stateVersion // pretend that it was never bound
	if err := s.take(base64.RawURLEncoding.EncodeToString(raw), "", begin); !errors.Is(err, ErrState) {
		t.Errorf("a bound state made unbound: %v, want refused", err)
	}
}
