package config

import (
	"fmt"
	"io"
)

const redacted = "[redacted]"

// Secret is a value that must not be seen: a password, a client secret, a
// passphrase. However it is printed, logged or marshalled it says
// [redacted], or nothing at all when it is not set; only Reveal gives it
// away. The zero value is a secret that is not set.
type Secret struct {
	// A pointer, so that even printing a struct that holds a Secret in an
	// unexported field, where fmt may not call its methods, shows an address.
	value *string
}

// NewSecret makes a Secret; the empty string makes one that is not set.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal is the value itself, empty when the secret is not set.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsSet reports whether there is a value.
func (s Secret) IsSet() bool { return s.value != nil }

// String is [redacted], or empty when the secret is not set.
func (s Secret) String() string {
	if s.value == nil {
		return ""
	}
	return redacted
}

// Format implements fmt.Formatter: every verb prints what String says.
func (s Secret) Format(f fmt.State, _ rune) {
	// The error of a fmt.State is that of the writer behind it, which fmt
	// itself reports to its caller.
	_, _ = io.WriteString(f, s.String())
}

// MarshalText implements encoding.TextMarshaler, which JSON, slog and zap use.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML implements yaml.Marshaler.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }
