package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"

	"leadstream/config"
	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedin"
	"leadstream/internal/oauth"
	"leadstream/schema"
)

func TestExitCodeFollowsFromTheErrorsType(t *testing.T) {
	odd := errors.New("odd")
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"nothing wrong", nil, 0},
		{"unclassified", odd, 1},
		{"configuration", &config.InvalidError{Problems: []config.Problem{{Key: "name"}}}, 2},
		{"usage", usageErrorf("window: %w", odd), 2},
		{"LinkedIn app refused", &oauth.AppRefusedError{}, 2},
		{"token file", &oauth.FileError{Err: odd}, 2},
		{"Kafka password", &kafka.AuthenticationError{Err: odd}, 2},
		{"registry password", &schema.AuthError{}, 2},
		{"Kafka permission", &kafka.TopicError{Topic: "a", Err: &kafka.AuthorizationError{Resource: "topic", Name: "a", Operation: "Write"}}, 2},
		{"another installation's topic", &delivery.ForeignTopicError{}, 2},
		{"consent", &oauth.ConsentNeededError{}, 3},
		{"fenced", &kafka.FencedError{}, 4},
		{"Kafka away", &kafka.UnreachableError{Err: odd}, 5},
		{"LinkedIn away", &oauth.AnswerError{}, 5},
		{"LinkedIn out of order", &linkedin.APIError{Status: 503}, 5},
		{"LinkedIn asks for a pause", &linkedin.APIError{Status: 429}, 5},
		{"LinkedIn answers nonsense", &linkedin.AnswerError{Status: 200}, 5},
		{"LinkedIn refuses", &linkedin.APIError{Status: 403}, 1},
		{"LinkedIn's version is retired", &linkedin.APIError{Status: 426}, 2},
		{"registry out of order", &schema.RegistryError{Status: 500}, 5},
		{"http.listen of another machine", &net.OpError{Op: "listen", Err: odd}, 2},
		{"http.listen taken, which may pass", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}, 1},
		{"a full disk behind standard output", &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}, 1},
		{"a refused connection", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, 5},
		{"network", &net.OpError{Op: "dial", Err: odd}, 5},
		{"differences", exitWith(exitDifferences, nil), 6},
		{"the command's own code counts", exitWith(exitDifferences, &net.OpError{Op: "dial", Err: odd}), 6},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := exitCode(test.err); got != test.want {
				t.Errorf("exitCode(%v) = %d, want %d", test.err, got, test.want)
			}
			if test.err == nil {
				return
			}
			if got := exitCode(fmt.Errorf("doing: %w", test.err)); got != test.want {
				t.Errorf("wrapped: exitCode = %d, want %d", got, test.want)
			}
		})
	}
}

func TestAnErrorKeepsItsCauseBesideTheCode(t *testing.T) {
	odd := errors.New("odd")
	if err := exitWith(exitConsent, odd); !errors.Is(err, odd) || err.Error() != "odd" {
		t.Errorf("err = %v", err)
	}
	if text := exitWith(exitDifferences, nil).Error(); text != "" {
		t.Errorf("text = %q, want none", text)
	}
}
