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
	"math"
	"sync"
	"time"
)

const (
	// stateLife is as long as LinkedIn's authorization code lives
	// (authorization code flow: 30 minutes).
	stateLife = 30 * time.Minute
	// stateSkew is how far ahead the clock of the process that issued it may be.
	stateSkew = 2 * time.Minute

	stateVersion = 3 // 1 and 2 did not name the installation
	nonceSize    = 16
	// headSize is the length of the fixed part: the version, whether the state is
	// bound to a browser, the issue time, the nonce.
	headSize = 1 + 1 + 8 + nonceSize
	// minState is the length of a state with empty names, maxState with the longest.
	minState = headSize + 2 + sha256.Size
	maxState = minState + 2*math.MaxUint8
)

// ErrState matches every *StateError.
var ErrState = errors.New("the state of the callback is not ours")

// StateError says that a callback does not belong to a consent that this
// installation began. Answer it with 401 and change nothing.
type StateError struct {
	// Why is malformed, forged, expired, used or begun elsewhere.
	Why string
	// BegunFor is the purpose in the state when the consent was begun by another
	// installation, or for another connection, with the same app.
	BegunFor *Purpose
}

// Error tells why, never the state.
func (e *StateError) Error() string {
	return ErrState.Error() + " (" + e.Why + "): begin the login again"
}

// Elsewhere tells the person whose consent was begun elsewhere what happened and how
// to finish it. It is "" for another error.
func (e *StateError) Elsewhere() string {
	if e.BegunFor == nil {
		return ""
	}
	return fmt.Sprintf("It was begun for %s, which has the same LinkedIn app and the same redirect URL. Nothing has changed here. "+
		"If `leadstream auth login` of that installation waits in a terminal, paste the address of this page there; "+
		"else give each installation a linkedin.redirect_url of its own that leads to it, and begin again.", e.BegunFor)
}

// Is makes errors.Is(err, ErrState) true.
func (e *StateError) Is(target error) bool { return target == ErrState }

// Purpose says what a consent is for: the tokens that come of it belong there
// and nowhere else.
type Purpose struct {
	Installation string // its `name`
	Connection   string // the id of the member's connection in it
}

// String names both.
func (p Purpose) String() string {
	return fmt.Sprintf("installation %q, connection %q", p.Installation, p.Connection)
}

// stateSigner issues and accepts the `state` of the authorization code flow
// (RFC 6749 §10.12). A state carries all that is needed to check it, so that a
// callback may reach another process of the installation: the purpose of the
// consent, the issue time, a nonce, and their HMAC-SHA256 under a key derived from
// the app's secret. Installations may share the app and the redirect URL; the purpose
// tells them apart. Each process accepts a state once. It is safe for concurrent use.
type stateSigner struct {
	key     []byte
	purpose Purpose

	mu   sync.Mutex
	used map[[nonceSize]byte]time.Time // when it expires; only states with a valid signature get here
}

func newStateSigner(clientID, clientSecret string, purpose Purpose) (*stateSigner, error) {
	if len(purpose.Installation) > math.MaxUint8 || len(purpose.Connection) > math.MaxUint8 {
		return nil, fmt.Errorf("the names of installation and connection must have at most %d bytes", math.MaxUint8)
	}
	key, err := hkdf.Key(sha256.New, []byte(clientSecret), nil, "leadstream oauth state "+clientID, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("deriving the key for the consent's state: %w", err)
	}
	return &stateSigner{key: key, purpose: purpose, used: map[[nonceSize]byte]time.Time{}}, nil
}

// issue makes a state: URL-safe, without padding. With a binding, a text that
// only one browser knows, it is good only together with that.
func (s *stateSigner) issue(now time.Time, binding string) string {
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:]) // crypto/rand never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(s.make(now, binding, nonce))
}

func (s *stateSigner) make(now time.Time, binding string, nonce [nonceSize]byte) []byte {
	raw := make([]byte, 2, maxState)
	raw[0] = stateVersion
	if binding != "" {
		raw[1] = 1
	}
	raw = binary.BigEndian.AppendUint64(raw, uint64(now.Unix()))
	raw = append(raw, nonce[:]...)
	for _, name := range []string{s.purpose.Installation, s.purpose.Connection} {
		raw = append(append(raw, byte(len(name))), name...)
	}
	return append(raw, s.sign(raw, binding)...)
}

// sign is the signature of a state's content, and of its binding when it has one.
func (s *stateSigner) sign(content []byte, binding string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(content)
	if content[1] != 0 {
		mac.Write([]byte(binding))
	}
	return mac.Sum(nil)
}

// accept accepts a state that was issued under this key, for this purpose, within
// stateLife, and that this process has not accepted before. Else the error is a
// *StateError. A bound state is good only with its binding.
func (s *stateSigner) accept(state, binding string, now time.Time) error {
	raw, err := base64.RawURLEncoding.DecodeString(state)
	if err != nil || len(raw) < minState || len(raw) > maxState || raw[0] != stateVersion ||
		base64.RawURLEncoding.EncodeToString(raw) != state { // the decoder ignores line breaks and spare bits
		return &StateError{Why: "malformed"}
	}
	content := raw[:len(raw)-sha256.Size]
	if !hmac.Equal(raw[len(content):], s.sign(content, binding)) { // constant time
		return &StateError{Why: "forged, begun in another browser, or signed with another app secret"}
	}
	if purpose := readPurpose(content[headSize:]); purpose != s.purpose {
		return &StateError{Why: fmt.Sprintf("begun for %s, and this is %s", purpose, s.purpose), BegunFor: &purpose}
	}
	issued := time.Unix(int64(binary.BigEndian.Uint64(raw[2:10])), 0)
	if now.Before(issued.Add(-stateSkew)) || now.After(issued.Add(stateLife)) {
		return &StateError{Why: "expired"}
	}
	return s.once([nonceSize]byte(raw[10:headSize]), issued.Add(stateLife), now)
}

// once remembers that a state was accepted, until it expires.
func (s *stateSigner) once(nonce [nonceSize]byte, expires, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, end := range s.used {
		if now.After(end) {
			delete(s.used, n)
		}
	}
	if _, again := s.used[nonce]; again {
		return &StateError{Why: "used before"}
	}
	s.used[nonce] = expires
	return nil
}

// readPurpose reads what make wrote, which the signature vouches for.
func readPurpose(raw []byte) (p Purpose) {
	for _, name := range []*string{&p.Installation, &p.Connection} {
		if len(raw) == 0 || len(raw) <= int(raw[0]) {
			return Purpose{}
		}
		end := 1 + int(raw[0])
		*name, raw = string(raw[1:end]), raw[end:]
	}
	return p
}
