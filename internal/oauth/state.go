package oauth

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// stateLife is as long as LinkedIn's authorization code lives
	// (authorization code flow: 30 minutes).
	stateLife = 30 * time.Minute
	// stateSkew is how far ahead the clock of the issuing process may be.
	stateSkew = 2 * time.Minute

	// The version says whether a state is bound to the browser it was issued to.
	stateVersion = 1
	boundVersion = 2
	nonceSize    = 16
	headSize     = 1 + 8 + nonceSize // version, issue time, nonce
	stateSize    = headSize + sha256.Size
)

// ErrState matches every *StateError.
var ErrState = errors.New("the state of the callback is not ours")

// StateError says that a callback does not belong to a consent that this
// installation began: answer it with 401 and change nothing.
type StateError struct {
	// Why: malformed, forged, expired or used.
	Why string
}

// Error tells why, never the state.
func (e *StateError) Error() string {
	return ErrState.Error() + " (" + e.Why + "): begin the login again"
}

// Is makes errors.Is(err, ErrState) true.
func (e *StateError) Is(target error) bool { return target == ErrState }

// stateSigner makes and checks the `state` of the authorization code flow
// (RFC 6749 §10.12). A state is signed and says all there is to know of
// itself, so that a callback may reach another process of the installation:
// version, issue time, nonce, and their HMAC-SHA256 under a key derived from
// the app's secret. Each process takes a state once. Safe for concurrent use.
type stateSigner struct {
	key []byte

	mu   sync.Mutex
	used map[[nonceSize]byte]time.Time // when it expires; only validly signed ones get here
}

func newStateSigner(clientID, clientSecret string) (*stateSigner, error) {
	key, err := hkdf.Key(sha256.New, []byte(clientSecret), nil, "leadstream oauth state "+clientID, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("deriving the key for the consent's state: %w", err)
	}
	return &stateSigner{key: key, used: map[[nonceSize]byte]time.Time{}}, nil
}

// issue makes a state: URL-safe, without padding. With a binding, a text that
// only one browser knows, it is good together with that alone.
func (s *stateSigner) issue(now time.Time, binding string) string {
	raw := make([]byte, headSize, stateSize)
	raw[0] = stateVersion
	if binding != "" {
		raw[0] = boundVersion
	}
	binary.BigEndian.PutUint64(raw[1:], uint64(now.Unix()))
	_, _ = rand.Read(raw[9:headSize]) // crypto/rand never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(s.sign(raw, binding))
}

func (s *stateSigner) sign(head []byte, binding string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(head)
	if head[0] == boundVersion {
		mac.Write([]byte(binding))
	}
	return mac.Sum(head[:headSize:headSize])
}

// take accepts a state that was issued under this key within stateLife and
// that this process has not taken before; else the error is a *StateError.
// A bound state is good only with its binding.
func (s *stateSigner) take(state, binding string, now time.Time) error {
	raw, err := base64.RawURLEncoding.DecodeString(state)
	if err != nil || len(raw) != stateSize || raw[0] != stateVersion && raw[0] != boundVersion ||
		base64.RawURLEncoding.EncodeToString(raw) != state { // the decoder passes over line breaks and spare bits
		return &StateError{Why: "malformed"}
	}
	if !hmac.Equal(raw, s.sign(raw[:headSize], binding)) { // constant time
		return &StateError{Why: "forged, begun in another browser, or signed with another app secret"}
	}
	issued := time.Unix(int64(binary.BigEndian.Uint64(raw[1:9])), 0)
	if now.Before(issued.Add(-stateSkew)) || now.After(issued.Add(stateLife)) {
		return &StateError{Why: "expired"}
	}
	var nonce [nonceSize]byte
	copy(nonce[:], raw[9:headSize])
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, expires := range s.used {
		if now.After(expires) {
			delete(s.used, n)
		}
	}
	if _, again := s.used[nonce]; again {
		return &StateError{Why: "used before"}
	}
	s.used[nonce] = issued.Add(stateLife)
	return nil
}
