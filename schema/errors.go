package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"

	"leadstream/internal/fault"
)

// IncompatibleError says that a subject's schemas forbid the form's schema, or
// are somebody else's. The form is suspended until a person has recovered the
// subject; the others go on. It matches ErrIncompatible.
type IncompatibleError struct {
	Subject string
	// Differences are sentences, at least one.
	Differences []string
}

// shownDifferences is how many stand in the error's text.
const shownDifferences = 5

// Error implements error.
func (e *IncompatibleError) Error() string {
	shown, more := e.Differences, ""
	if n := len(shown) - shownDifferences; n > 0 {
		shown, more = shown[:shownDifferences], fmt.Sprintf("; and %d more", n)
	}
	return fmt.Sprintf("subject %s holds an incompatible schema: %.2000s%s; %s", e.Subject, strings.Join(shown, "; "), more, e.Todo())
}

// Todo is what to do about it, read by fault.TodoOf.
func (e *IncompatibleError) Todo() string {
	return "delete the subject if nobody needs it, or set another `kafka.topic_prefix`; the form goes on by itself then (see `leadstream schema diff`)"
}

// Is matches ErrIncompatible.
func (e *IncompatibleError) Is(target error) bool { return target == ErrIncompatible }

// Fault implements the classification read by fault.KindOf.
func (e *IncompatibleError) Fault() fault.Kind { return fault.Suspend }

// AuthError says that the registry refuses us: 401, the credentials are wrong
// or missing; 403, the user may not do this.
type AuthError struct {
	Op, Subject string // Subject may be empty
	URL         string
	Status      int
}

// Error implements error.
func (e *AuthError) Error() string {
	if e.Status == http.StatusForbidden {
		return fmt.Sprintf("%s: the schema registry at %s forbids it (403); %s", about(e.Op, e.Subject), e.URL, e.Todo())
	}
	return fmt.Sprintf("%s: the schema registry at %s refuses the credentials (%d); %s", about(e.Op, e.Subject), e.URL, e.Status, e.Todo())
}

// Todo is what to do about it, read by fault.TodoOf.
func (e *AuthError) Todo() string {
	if e.Status == http.StatusForbidden {
		return "check the permissions of registry.username; it is noticed by itself"
	}
	return "check registry.url, registry.username and registry.password; what is recovered at the registry is noticed by itself"
}

// Fault implements the classification read by fault.KindOf: Retry, since it
// concerns every form alike and is recovered at the registry as often as here,
// without a restart.
func (e *AuthError) Fault() fault.Kind { return fault.Retry }

// RegistryError is any other failure of a call to the registry.
type RegistryError struct {
	Op, Subject string // Subject may be empty
	URL         string
	// Status and Code are the HTTP status and the registry's error_code; 0
	// when there was no answer, or a good one that could not be used.
	Status, Code int
	Err          error
}

// Error implements error.
func (e *RegistryError) Error() string {
	switch {
	case e.Status == 0:
		return fmt.Sprintf("%s at the schema registry %s: %.500s", about(e.Op, e.Subject), e.URL, e.Err)
	case e.Code == 0:
		return fmt.Sprintf("%s at the schema registry %s: status %d without an error code; check that registry.url is the root of a Confluent API: %s",
			about(e.Op, e.Subject), e.URL, e.Status, said(e.Err))
	}
	return fmt.Sprintf("%s at the schema registry %s: status %d, error %d: %s",
		about(e.Op, e.Subject), e.URL, e.Status, e.Code, said(e.Err))
}

// Unwrap gives the cause.
func (e *RegistryError) Unwrap() error { return e.Err }

// Fault implements the classification read by fault.KindOf: Suspend when the
// registry will never take this schema or the subject holds more than a form's
// can, else Retry.
//
// Source: Confluent Schema Registry API reference, error codes 422xx.
func (e *RegistryError) Fault() fault.Kind {
	switch e.Code {
	case sr.ErrInvalidSchema.Code, sr.ErrInvalidSubject.Code, sr.ErrSchemaTooLarge.Code, sr.ErrInvalidRuleset.Code:
		return fault.Suspend
	}
	if e.Status == http.StatusRequestEntityTooLarge || e.oversize() {
		return fault.Suspend
	}
	return fault.Retry
}

// Todo is what to do where the error itself tells; empty where it depends.
func (e *RegistryError) Todo() string {
	switch {
	case e.oversize() && e.Subject != "":
		return "see who writes to this subject; delete the versions that no record names, or use another kafka.topic_prefix"
	case e.Code == sr.ErrOperationNotPermitted.Code:
		return "let the registry, or the subject, be in mode READWRITE"
	}
	if _, redirected := errors.AsType[*redirectError](e.Err); redirected {
		return "let registry.url be the address that answers itself"
	}
	return ""
}

func (e *RegistryError) oversize() bool {
	_, ok := errors.AsType[*oversizeError](e.Err)
	return ok
}

// fail gives a call's error its type.
func (r *Registry) fail(op, subject string, err error) error {
	status, code := answered(err)
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return &AuthError{Op: op, Subject: subject, URL: r.url, Status: status}
	}
	return &RegistryError{Op: op, Subject: subject, URL: r.url, Status: status, Code: code, Err: plainCause(err)}
}

// plainCause is the cause of a call's error without what the client wraps around
// it, which is the address once more, and without the words of Go's decoders.
func plainCause(err error) error {
	if long, ok := errors.AsType[*oversizeError](err); ok {
		return long
	}
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
		return &slowError{late}
	}
	if sent, ok := errors.AsType[*url.Error](err); ok {
		return sent.Err
	}
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &strangeError{kind}
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &strangeError{syntax}
	}
	return err
}

// strangeError says that what answers is no registry.
type strangeError struct{ err error }

func (e *strangeError) Error() string {
	return "the answer is not one of a Confluent API: " + fault.Plain(e.err).Error() + "; check registry.url"
}

func (e *strangeError) Unwrap() error { return e.err }

// slowError says that the answer took too long.
type slowError struct{ err error }

func (e *slowError) Error() string { return "no answer in time" }
func (e *slowError) Unwrap() error { return e.err }

// said is what the registry said, for people only and cut for a log line.
func said(err error) string {
	var e *sr.ResponseError
	if !errors.As(err, &e) || e.Message == "" {
		return "no message"
	}
	return fmt.Sprintf("%.500s", wellFormed(e.Message))
}

func about(op, subject string) string {
	if subject == "" {
		return op
	}
	return op + " of subject " + subject
}

// Cause is the registry's own error that err stems from: a *RegistryError or an *AuthError. It
// is nil when err is about something else.
func Cause(err error) error {
	if failed, ok := errors.AsType[*RegistryError](err); ok {
		return failed
	}
	if refused, ok := errors.AsType[*AuthError](err); ok {
		return refused
	}
	return nil
}
