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
	browserLife = 400 * 24 * time.Hour // the longest that browsers keep a cookie (RFC 6265bis, 5.5)

	nonceSize  = 16
	ticketHead = 8 + nonceSize // when it ends, nonce
	ticketSize = ticketHead + sha256.Size

	// keyRounds make guessing the password from a stolen cookie slow
	// (OWASP Password Storage Cheat Sheet: PBKDF2-HMAC-SHA256).
	keyRounds = 600_000
)

// sessions knows the password and makes and checks the cookies of those who knew
// it, too. What was issued is not kept, so every process of the installation takes it, and a
// new password ends all. What was ended here is kept until it would have ended by itself, and what
// was issued before this process began is not taken, since it may have been ended at
// the one before. Safe for concurrent use.
type sessions struct {
	digest  [sha256.Size]byte // of the password
	ticket                    // the session cookie
	browser ticket            // that somebody logged in with this browser before; it opens nothing
	begun   time.Time

	mu    sync.Mutex
	ended map[string]time.Time // sessions by their cookie, and when they would have ended
}

// newSessions derives the keys at their first use, since that takes a moment of
// CPU that a start should not wait for: rounds says how long.
func newSessions(installation, password string, rounds int, now time.Time) *sessions {
	slow := sync.OnceValues(func() ([]byte, error) {
		key, err := pbkdf2.Key(sha256.New, password, []byte("leadstream session "+installation), rounds, sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("deriving the key for sessions: %w", err)
		}
		return key, nil
	})
	made := func(life time.Duration, purpose string) ticket {
		return ticket{life: life, key: sync.OnceValues(func() ([]byte, error) {
			key, err := slow()
			if err != nil {
				return nil, err
			}
			return hkdf.Expand(sha256.New, key, purpose, sha256.Size)
		})}
	}
	return &sessions{digest: sha256.Sum256([]byte(password)), begun: now.Truncate(time.Second), ended: map[string]time.Time{},
		ticket: made(sessionLife, "leadstream session cookie"), browser: made(browserLife, "leadstream browser cookie")}
}

// right tells, in a time that says nothing, whether this is the password.
func (s *sessions) right(password string) bool {
	digest := sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(digest[:], s.digest[:]) == 1
}

// check is nil for a session that was issued since this process began, and that
// has not ended.
func (s *sessions) check(value string, now time.Time) error {
	ends, err := s.ticket.read(value, now)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, over := s.ended[value]; over || ends.Add(-s.life).Before(s.begun) {
		return errSession
	}
	return nil
}

// end ends a session, if it is one of ours.
func (s *sessions) end(value string, now time.Time) {
	ends, err := s.ticket.read(value, now)
	if err != nil {
		return // nobody can use it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for other, over := range s.ended {
		if !now.Before(over) {
			delete(s.ended, other)
		}
	}
	s.ended[value] = ends
}

// ticket makes and checks what one kind of cookie holds: when it ends, a nonce and
// their HMAC-SHA256 under a key derived from the password.
type ticket struct {
	life time.Duration
	key  func() ([]byte, error)
}

// issue makes one that ends a life from now.
func (t *ticket) issue(now time.Time) (string, error) {
	head := make([]byte, ticketHead, ticketSize)
	binary.BigEndian.PutUint64(head, uint64(now.Add(t.life).Unix()))
	_, _ = rand.Read(head[8:]) // crypto/rand never fails since Go 1.24
	mac, err := t.sign(head)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(head, mac...)), nil
}

// errSession says that a cookie is not ours or has ended.
var errSession = errors.New("no valid session")

// check is nil for one that was issued under the key and has not ended.
func (t *ticket) check(value string, now time.Time) error {
	_, err := t.read(value, now)
	return err
}

// read is check that tells when it ends.
func (t *ticket) read(value string, now time.Time) (ends time.Time, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(raw) != ticketSize || base64.RawURLEncoding.EncodeToString(raw) != value {
		return ends, errSession // the decoder passes over line breaks
	}
	mac, err := t.sign(raw[:ticketHead])
	if err != nil {
		return ends, err
	}
	ends = time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	if !hmac.Equal(raw[ticketHead:], mac) || !now.Before(ends) {
		return ends, errSession
	}
	return ends, nil
}

func (t *ticket) sign(head []byte) ([]byte, error) {
	key, err := t.key()
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(head)
	return mac.Sum(nil), nil
}
