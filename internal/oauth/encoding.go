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
	// workFactor is the exponent of scrypt's cost: 2^14 takes 16 MiB and a few
	// hundredths of a second. The default of age, 2^18, takes 256 MiB, more than a
	// sidecar has.
	workFactor = 14
	// maxToken is the longest token that is accepted, in bytes. LinkedIn's are a
	// hundredth of that.
	maxToken = 64 << 10
	// encodedLimit is more than any encoded pair of such tokens takes.
	encodedLimit  = 512 << 10
	recordVersion = 1
	ageMagic      = "age-encryption.org/"
)

// The conditions of a stored token that a person must fix.
var (
	// ErrPassphrase: it is encrypted with another passphrase.
	ErrPassphrase = errors.New("the token is encrypted with another passphrase")
	// ErrPassphraseMissing: it is encrypted, and no passphrase was given.
	ErrPassphraseMissing = errors.New("the token is encrypted and no passphrase is set")
	// ErrPlain: it is not encrypted, and a passphrase was given.
	ErrPlain = errors.New("the token is not encrypted although token.passphrase is set")
	// ErrForeign: another installation began its consent.
	ErrForeign = errors.New("the token belongs to another installation")
	// ErrNewer: a newer release wrote it in a form that this one does not know.
	ErrNewer = errors.New("the token was stored by a newer release")
	// ErrCorrupt: it is not a token, or damaged.
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
	Refused          Refusal   `json:"refused,omitzero"`
}

func recordOf(t Token) record {
	return record{
		Version: recordVersion, AccessToken: t.Access, RefreshToken: t.Refresh,
		AccessExpiresAt: t.AccessExpiresAt, RefreshExpiresAt: t.RefreshExpiresAt, Scopes: t.Scopes,
		AuthorizedAt: t.AuthorizedAt, ObtainedAt: t.ObtainedAt, Installation: t.Installation, Refused: t.Refused,
	}
}

func (r record) token() Token {
	t := Token{
		Access: r.AccessToken, Refresh: r.RefreshToken,
		AccessExpiresAt: r.AccessExpiresAt.UTC(), RefreshExpiresAt: r.RefreshExpiresAt.UTC(), Scopes: r.Scopes,
		AuthorizedAt: r.AuthorizedAt.UTC(), ObtainedAt: r.ObtainedAt.UTC(), Installation: r.Installation, Refused: r.Refused,
	}
	t.Refused.At = t.Refused.At.UTC()
	if r.RefreshToken != "" && r.RefreshExpiresAt.IsZero() {
		t.RefreshExpiresAt = t.AuthorizedAt.Add(refreshLife)
	}
	return t
}

// encodeToken is t as it is stored: JSON, encrypted with age under the passphrase
// unless that is empty. A token that decodeToken would not read again is an error.
func encodeToken(t Token, passphrase string) ([]byte, error) {
	return encode(t, passphrase, workFactor)
}

func encode(t Token, passphrase string, workFactor int) ([]byte, error) {
	if t.IsZero() {
		return nil, errors.New("encoding the token: there is none")
	}
	var out bytes.Buffer
	form := json.NewEncoder(&out)
	form.SetEscapeHTML(false) // it would make the text longer
	form.SetIndent("", "  ")
	if err := form.Encode(recordOf(t)); err != nil {
		return nil, fmt.Errorf("encoding the token: %w", err)
	}
	if back, err := parse(out.Bytes()); err != nil || !back.Equal(t.filled()) {
		return nil, fmt.Errorf("encoding the token: it could not be read again: %w", cmp.Or(err, ErrCorrupt))
	}
	if passphrase != "" {
		plain := bytes.Clone(out.Bytes())
		out.Reset()
		if err := encrypt(&out, plain, passphrase, workFactor); err != nil {
			return nil, fmt.Errorf("encrypting the token: %w", err)
		}
	}
	if out.Len() > encodedLimit {
		return nil, fmt.Errorf("encoding the token: it takes %d bytes, more than %d", out.Len(), encodedLimit)
	}
	return out.Bytes(), nil
}

func encrypt(out io.Writer, plain []byte, passphrase string, workFactor int) error {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return err
	}
	recipient.SetWorkFactor(workFactor)
	w, err := age.Encrypt(out, recipient)
	if err != nil {
		return err
	}
	_, err = w.Write(plain)
	return errors.Join(err, w.Close())
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
// Source: RFC 6749, A.12 and A.17 (printable ASCII); RFC 6750, 2.1 (a blank ends it in a header).
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
