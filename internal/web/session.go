package web

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	sessionLife = 12 * time.Hour
	nonceSize   = 16
	sessionHead = 8 + nonceSize // when it ends, nonce
	sessionSize = sessionHead + sha256.Size

	// keyRounds make guessing the password from a stolen cookie slow
	// (OWASP Password Storage Cheat Sheet: PBKDF2-HMAC-SHA256).
	keyRounds = 600_000
)

// sessions makes and checks the session cookie: when it ends, a nonce and their
// HMAC-SHA256 under a key derived from the password. Nothing is kept, so every
// process with the same password takes it, also after a restart, and a new
// password ends all sessions. Safe for concurrent use.
type sessions struct {
	digest [sha256.Size]byte // of the password
	key    func() ([]byte, error)
}

// newSessions derives the key at its first use, since that takes a moment of
// CPU that a start should not wait for: rounds says how long.
func newSessions(password string, rounds int) *sessions {
	return &sessions{
		digest: sha256.Sum256([]byte(password)),
		key: sync.OnceValues(func() ([]byte, error) {
			slow, err := pbkdf2.Key(sha256.New, password, []byte("leadstream session"), rounds, sha256.Size)
			if err != nil {
				return nil, fmt.Errorf("deriving the key for sessions: %w", err)
			}
			return hkdf.Expand(sha256.New, slow, "leadstream session cookie", sha256.Size)
		}),
	}
}

// right tells, in a time that says nothing, whether this is the password.
func (s *sessions) right(password string) bool {
	digest := sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(digest[:], s.digest[:]) == 1
}

// issue makes a session that ends sessionLife from now.
func (s *sessions) issue(now time.Time) (string, error) {
	head := make([]byte, sessionHead, sessionSize)
	binary.BigEndian.PutUint64(head, uint64(now.Add(sessionLife).Unix()))
	_, _ = rand.Read(head[8:]) // crypto/rand never fails since Go 1.24
	mac, err := s.sign(head)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(head, mac...)), nil
}

// errSession says that a session is not ours or has ended.
var errSession = errors.New("no valid session")

// check is nil for a session that was issued here and has not ended.
func (s *sessions) check(session string, now time.Time) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(session)
	if err != nil || len(raw) != sessionSize {
		return errSession
	}
	mac, err := s.sign(raw[:sessionHead])
	if err != nil {
		return err
	}
	if !hmac.Equal(raw[sessionHead:], mac) {
		return errSession
	}
	if !now.Before(time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)) {
		return errSession
	}
	return nil
}

func (s *sessions) sign(head []byte) ([]byte, error) {
	key, err := s.key()
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(head)
	return mac.Sum(nil), nil
}
