package oauth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/age"
)

const (
	// workFactor is the exponent of scrypt's cost: 2^14 takes 16 MiB and a
	// few hundredths of a second. age's own default of 2^18 takes 256 MiB,
	// more than a sidecar has.
	workFactor = 14
	// maxToken is the longest token that is taken, in bytes: a hundred times as
	// long as LinkedIn's.
	maxToken = 64 << 10
	// encodedLimit is above any encoded pair of such tokens.
	encodedLimit  = 512 << 10
	recordVersion = 1
	ageMagic      = "age-encryption.org/"
)

// The conditions of a stored token that a person must fix.
var (
	// ErrPassphrase: encrypted with another passphrase.
	ErrPassphrase = errors.New("the token is encrypted with another passphrase")
	// ErrPassphraseMissing: encrypted, and no passphrase was given.
	ErrPassphraseMissing = errors.New("the token is encrypted and no passphrase is set")
	// ErrPlain: not encrypted, and a passphrase was given.
	ErrPlain = errors.New("the token is not encrypted although token.passphrase is set")
	// ErrForeign: of a consent that another installation began.
	ErrForeign = errors.New("the token belongs to another installation")
	// ErrNewer: written by a newer release, in a form that this one does not know.
	ErrNewer = errors.New("the token was stored by a newer release")
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
	Installation     string    `json:"installation,omitempty"`
	Refused          *refused  `json:"refused,omitempty"`
}

// refused is the wire form of a Refusal.
type refused struct {
	At     time.Time `json:"at"`
	Reason Reason    `json:"reason"`
	Detail string    `json:"detail,omitempty"`
}

func recordOf(t Token) record {
	r := record{
		Version: recordVersion, AccessToken: t.Access, RefreshToken: t.Refresh,
		AccessExpiresAt: t.AccessExpiresAt, RefreshExpiresAt: t.RefreshExpiresAt, Scopes: t.Scopes,
		AuthorizedAt: t.AuthorizedAt, ObtainedAt: t.ObtainedAt, Installation: t.Installation,
	}
	if !t.Refused.IsZero() {
		r.Refused = &refused{At: t.Refused.At, Reason: t.Refused.Reason, Detail: t.Refused.Detail}
	}
	return r
}

func (r record) token() Token {
	t := Token{
		Access: r.AccessToken, Refresh: r.RefreshToken,
		AccessExpiresAt: r.AccessExpiresAt.UTC(), RefreshExpiresAt: r.RefreshExpiresAt.UTC(), Scopes: r.Scopes,
		AuthorizedAt: r.AuthorizedAt.UTC(), ObtainedAt: r.ObtainedAt.UTC(), Installation: r.Installation,
	}
	if r.RefreshToken != "" && r.RefreshExpiresAt.IsZero() {
		t.RefreshExpiresAt = t.AuthorizedAt.Add(refreshLife)
	}
	if r.Refused != nil {
		t.Refused = Refusal{At: r.Refused.At.UTC(), Reason: r.Refused.Reason, Detail: r.Refused.Detail}
	}
	return t
}

// encodeToken is t for keeping: JSON, encrypted with age under the passphrase unless
// that is empty. What decodeToken would not read again is not encoded.
func encodeToken(t Token, passphrase string) ([]byte, error) {
	return encode(t, passphrase, workFactor)
}

func encode(t Token, passphrase string, workFactor int) ([]byte, error) {
	if t.IsZero() {
		return nil, errors.New("encoding the token: there is none")
	}
	var out bytes.Buffer
	form := json.NewEncoder(&out)
	form.SetEscapeHTML(false) // which would make it longer
	form.SetIndent("", "  ")
	if err := form.Encode(recordOf(t)); err != nil {
		return nil, fmt.Errorf("encoding the token: %w", err)
	}
	if back, err := parse(out.Bytes()); err != nil || !back.Equal(t.filled()) {
		return nil, fmt.Errorf("encoding the token: it could not be read again: %w", cmp.Or(err, ErrCorrupt))
	}
	encoded := out.Bytes()
	if passphrase != "" {
		var err error
		if encoded, err = encrypt(encoded, passphrase, workFactor); err != nil {
			return nil, err
		}
	}
	if len(encoded) > encodedLimit {
		return nil, fmt.Errorf("encoding the token: it takes %d bytes, more than %d", len(encoded), encodedLimit)
	}
	return encoded, nil
}

func encrypt(plain []byte, passphrase string, workFactor int) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("encoding the token: %w", err)
	}
	recipient.SetWorkFactor(workFactor)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipient)
	if err != nil {
		return nil, fmt.Errorf("encoding the token: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("encoding the token: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encoding the token: %w", err)
	}
	return out.Bytes(), nil
}

// decodeToken reads what encodeToken wrote with the same passphrase. The error is
// ErrPassphrase, ErrPassphraseMissing, ErrPlain, ErrNewer or ErrCorrupt and never
// quotes the content.
func decodeToken(data []byte, passphrase string) (Token, error) {
	switch {
	case len(data) > encodedLimit:
		return Token{}, fmt.Errorf("%w: over %d bytes", ErrCorrupt, encodedLimit)
	case isEncrypted(data):
		plain, err := decrypt(data, passphrase)
		if err != nil {
			return Token{}, err
		}
		return parse(plain)
	}
	t, err := parse(data)
	if err == nil && passphrase != "" {
		return Token{}, ErrPlain
	}
	return t, err
}

// parse reads the JSON of a token.
func parse(plain []byte) (Token, error) {
	var r record
	if err := json.Unmarshal(plain, &r); err != nil {
		return Token{}, fmt.Errorf("%w: it is not the JSON of a token", ErrCorrupt) // the JSON error may quote it
	}
	switch {
	case r.Version > recordVersion:
		return Token{}, fmt.Errorf("%w (version %d)", ErrNewer, r.Version)
	case r.Version < 1, r.AccessToken == "", r.AuthorizedAt.IsZero(), r.ObtainedAt.IsZero():
		return Token{}, fmt.Errorf("%w: version, access_token, authorized_at or obtained_at is missing", ErrCorrupt)
	case !fit(r.AccessToken) || !fit(r.RefreshToken):
		return Token{}, fmt.Errorf("%w: its access_token or refresh_token %s", ErrCorrupt, unfit)
	}
	return r.token(), nil
}

// fit reports whether a text can be sent to LinkedIn as a token.
//
// Source: RFC 6749, A.12 and A.17: printable ASCII. A blank would end it in a header (RFC 6750, 2.1).
func fit(token string) bool {
	return len(token) <= maxToken && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// unfit says of a token that it is not fit.
var unfit = fmt.Sprintf("holds blanks, line breaks or other than ASCII, or more than %d bytes", maxToken)

// isEncrypted reports whether data is encrypted.
func isEncrypted(data []byte) bool { return bytes.HasPrefix(data, []byte(ageMagic)) }

func decrypt(data []byte, passphrase string) ([]byte, error) {
	if passphrase == "" {
		return nil, ErrPassphraseMissing
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("decrypting the token: %w", err)
	}
	identity.SetMaxWorkFactor(workFactor) // a forged file must not cost gigabytes
	r, err := age.Decrypt(bytes.NewReader(data), identity)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, encodedLimit))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return plain, nil
}
