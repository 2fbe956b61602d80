package main

import (
	"errors"
	"fmt"
	"net"

	"leadstream/config"
)

// The exit codes are part of the public surface. 130 is untilSignal's.
const (
	exitDone        = 0
	exitUnexpected  = 1
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
	var coded *exitError
	var invalid *config.InvalidError
	var network net.Error
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &invalid):
		return exitUsage
	case errors.As(err, &network):
		return exitUnreachable
	}
	return exitUnexpected
}
