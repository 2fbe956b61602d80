package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
)

const (
	// workFactor is the exponent of scrypt's cost: 2^14 takes 16 MiB and a
	// few hundredths of a second. age's own default of 2^18 takes 256 MiB,
	// more than a sidecar has.
	workFactor = 14
	// sealedLimit is far above any pair of tokens.
	sealedLimit   = 64 << 10
	recordVersion = 1
	ageMagic      = "age-encryption.org/"
)

// The conditions of a sealed token that a person must mend.
var (
	// ErrPassphrase: sealed with another passphrase.
	ErrPassphrase = errors.New("the token is encrypted with another passphrase")
	// ErrPassphraseMissing: encrypted, and no passphrase was given.
	ErrPassphraseMissing = errors.New("the token is encrypted and no passphrase is set")
	// ErrCorrupt: not a token, or damaged.
	ErrCorrupt = errors.New("the stored token is damaged")
)

// record is the wire form of a Token. Within a version fields are only added;
// unknown ones are ignored.
type record struct {
	Version          int       `json:"version"`
	AccessToken      string    `json:"access_token"`
	RefreshToken     string    `json:"refresh_token,omitempty"`
	AccessExpiresAt  time.Time `json:"access_expires_at,omitzero"`
	RefreshExpiresAt time.Time `json:"refresh_expires_at,omitzero"`
	Scopes           []string  `json:"scopes,omitempty"`
	AuthorizedAt     time.Time `json:"authorized_at"`
	ObtainedAt       time.Time `json:"obtained_at"`
}

// Seal is t for keeping: JSON, encrypted with age under the passphrase unless
// that is empty.
func Seal(t Token, passphrase string) ([]byte, error) {
	return seal(t, passphrase, workFactor)
}

func seal(t Token, passphrase string, workFactor int) ([]byte, error) {
	if t.IsZero() {
		return nil, errors.New("sealing the token: there is none")
	}
	plain, err := json.MarshalIndent(record{
		Version: recordVersion, AccessToken: t.Access, RefreshToken: t.Refresh,
		AccessExpiresAt: t.AccessExpiresAt, RefreshExpiresAt: t.RefreshExpiresAt,
		Scopes: t.Scopes, AuthorizedAt: t.AuthorizedAt, ObtainedAt: t.ObtainedAt,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("sealing the token: %w", err)
	}
	plain = append(plain, '\n')
	if passphrase == "" {
		return plain, nil
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("sealing the token: %w", err)
	}
	recipient.SetWorkFactor(workFactor)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipient)
	if err != nil {
		return nil, fmt.Errorf("sealing the token: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("sealing the token: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("sealing the token: %w", err)
	}
	return out.Bytes(), nil
}

// Unseal reads what Seal wrote. A plain token is read even when there is a
// passphrase: the next Seal encrypts it. The error is ErrPassphrase,
// ErrPassphraseMissing or ErrCorrupt and never quotes the content.
func Unseal(data []byte, passphrase string) (Token, error) {
	if len(data) > sealedLimit {
		return Token{}, fmt.Errorf("%w: over %d bytes", ErrCorrupt, sealedLimit)
	}
	if sealed(data) {
		plain, err := decrypt(data, passphrase)
		if err != nil {
			return Token{}, err
		}
		data = plain
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return Token{}, fmt.Errorf("%w: it is not the JSON of a token", ErrCorrupt) // the JSON error may quote it
	}
	switch {
	case r.Version > recordVersion:
		return Token{}, fmt.Errorf("%w: its version %d is of a newer release", ErrCorrupt, r.Version)
	case r.Version < 1, r.AccessToken == "", r.AuthorizedAt.IsZero(), r.ObtainedAt.IsZero():
		return Token{}, fmt.Errorf("%w: version, access_token, authorized_at or obtained_at is missing", ErrCorrupt)
	}
	if r.RefreshToken != "" && r.RefreshExpiresAt.IsZero() {
		r.RefreshExpiresAt = r.AuthorizedAt.Add(refreshLife)
	}
	return Token{
		Access: r.AccessToken, Refresh: r.RefreshToken,
		AccessExpiresAt: r.AccessExpiresAt.UTC(), RefreshExpiresAt: r.RefreshExpiresAt.UTC(),
		Scopes: r.Scopes, AuthorizedAt: r.AuthorizedAt.UTC(), ObtainedAt: r.ObtainedAt.UTC(),
	}, nil
}

// sealed reports whether data is encrypted.
func sealed(data []byte) bool { return bytes.HasPrefix(data, []byte(ageMagic)) }

func decrypt(data []byte, passphrase string) ([]byte, error) {
	if passphrase == "" {
		return nil, ErrPassphraseMissing
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("reading the sealed token: %w", err)
	}
	identity.SetMaxWorkFactor(workFactor) // a forged file must not cost gigabytes
	r, err := age.Decrypt(bytes.NewReader(data), identity)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, sealedLimit))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return plain, nil
}
