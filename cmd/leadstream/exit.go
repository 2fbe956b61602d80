package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"leadstream/config"
	"leadstream/connector"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedin"
	"leadstream/internal/oauth"
	"leadstream/schema"
)

// The exit codes are part of the public surface. 130 is untilSignal's.
const (
	exitDone        = 0
	exitUnexpected  = 1 // also a crash, see crashWithOne
	exitUsage       = 2 // usage or configuration
	exitConsent     = 3 // consent needed
	exitFenced      = 4 // fenced in spite of holding the work
	exitUnreachable = 5 // something it depends on is unreachable
	exitDifferences = 6 // a check or verification found differences
)

// exitError gives an error the code to exit with.
type exitError struct {
	code int
	err  error // nil: the command has said all there is to say
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exitWith is err with the code to exit with; err may be nil when the command
// has printed its result and only the code is left to say.
func exitWith(code int, err error) error { return &exitError{code: code, err: err} }

// usageErrorf is an error in how the command was called, exit code 2.
func usageErrorf(format string, args ...any) error {
	return exitWith(exitUsage, fmt.Errorf(format, args...))
}

// exitCode is the code for the error a command ended with, told by its type.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if coded, ok := errors.AsType[*exitError](err); ok {
		return coded.code
	}
	switch {
	case errors.Is(err, oauth.ErrConsentNeeded):
		return exitConsent
	case errors.Is(err, kafka.ErrFenced):
		return exitFenced
	case fault.Has[*config.InvalidError](err), fault.Has[*oauth.AppRefusedError](err), fault.Has[*oauth.FileError](err), fault.Has[*oauth.RecordError](err),
		fault.Has[*kafka.AuthenticationError](err), fault.Has[*kafka.AuthorizationError](err), fault.Has[*kafka.SettingError](err), fault.Has[*schema.AuthError](err),
		fault.Has[*delivery.PolicyError](err), fault.Has[*delivery.PartitionsError](err), fault.Has[*delivery.ForeignTopicError](err), fault.Has[*delivery.UnreadableDeletionError](err), fault.Has[*connector.ReplayWindowError](err):
		return exitUsage
	case occupied(err) && errors.Is(err, syscall.EADDRINUSE): // that may pass, so that it is no setting which forbids a restart
		return exitUnexpected
	case retired(err), occupied(err):
		return exitUsage
	case fault.Has[*kafka.UnreachableError](err), fault.Has[*oauth.AnswerError](err), fault.Has[*linkedin.TransportError](err), fault.Has[*linkedin.AnswerError](err), fault.Has[*linkedin.BudgetError](err), fault.Has[*linkedin.TimelessError](err), fault.Has[*connector.ClockError](err), overNetwork(err):
		return exitUnreachable
	case outOfOrder(err):
		return exitUnreachable
	}
	return exitUnexpected
}

// occupied reports whether an address to serve on cannot be had on this machine.
func occupied(err error) bool {
	refused, ok := errors.AsType[*net.OpError](err)
	return ok && refused.Op == "listen"
}

// overNetwork reports whether it is an error of the network. The operating system's
// error numbers say of themselves that they are, whatever they are about, such as
// a full disk.
func overNetwork(err error) bool {
	failed, ok := errors.AsType[net.Error](err)
	if !ok {
		return false
	}
	_, number := failed.(syscall.Errno)
	return !number
}

// outOfOrder reports whether LinkedIn or the registry answered that it cannot
// serve now, which is to be away in other words.
func outOfOrder(err error) bool {
	if refused, ok := errors.AsType[*linkedin.APIError](err); ok {
		return refused.Status >= http.StatusInternalServerError || refused.Status == http.StatusTooManyRequests
	}
	refused, ok := errors.AsType[*schema.RegistryError](err)
	return ok && refused.Status >= http.StatusInternalServerError
}

// retired reports whether LinkedIn has switched off the configured version.
func retired(err error) bool {
	refused, ok := errors.AsType[*linkedin.APIError](err)
	return ok && refused.Status == http.StatusUpgradeRequired
}
