// Package fault says what the run loop does about an error. The package that
// knows a cause declares its kind there, by a Fault method on the error; the
// loop reads it once, with KindOf, and never looks at codes or texts.
package fault

import (
	"errors"
	"time"
)

// Kind is what the run loop does about an error.
type Kind uint8

const (
	// Retry: do the same work again later. Also every error that declares nothing.
	Retry Kind = iota
	// Reject: this response goes to the dead letters; the others go on.
	Reject
	// Suspend: stop this form or this organization, loudly; the others go on.
	Suspend
	// Pause: wait for a person (consent needed, API version retired).
	Pause
	// Fatal: exit non-zero.
	Fatal
)

// String is the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Retry:
		return "retry"
	case Reject:
		return "reject"
	case Suspend:
		return "suspend"
	case Pause:
		return "pause"
	case Fatal:
		return "fatal"
	}
	return "unknown"
}

// NeedsPerson reports whether a person must act, rather than time pass, before
// the same work can succeed.
func (k Kind) NeedsPerson() bool { return k == Suspend || k == Pause }

// KindOf is the kind that the outermost error of the chain with an opinion
// declares, Retry when there is none.
func KindOf(err error) Kind {
	var f interface{ Fault() Kind }
	if errors.As(err, &f) {
		return f.Fault()
	}
	return Retry
}

// DelayOf is the least delay before a retry that the far side asked for
// (Retry-After), 0 when it asked for none.
func DelayOf(err error) time.Duration {
	var d interface{ RetryAfter() time.Duration }
	if errors.As(err, &d) {
		return d.RetryAfter()
	}
	return 0
}

// As gives err a kind; the text and the chain stay as they are. As(k, nil) is nil.
func As(k Kind, err error) error {
	if err == nil {
		return nil
	}
	return &kinded{kind: k, error: err}
}

type kinded struct {
	error
	kind Kind
}

func (k *kinded) Unwrap() error { return k.error }
func (k *kinded) Fault() Kind   { return k.kind }

// Has reports whether an error of type E is in the chain.
func Has[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
