package main

import (
	"errors"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// usualPorts are those of the defaults and of docker-compose.yml. Another
// leadstream, such as the demo, may hold them on the machine that runs the tests.
var usualPorts = []string{"8480", "8443", "8490", "8080", "8081", "9092"}

// inUse says of each why it could not be taken, nil where it was.
var inUse = map[string]error{}

// Every test of this package runs while the usual ports are taken, so one that
// needs such a port fails wherever it runs.
func init() {
	for _, port := range usualPorts {
		for _, host := range []string{"127.0.0.1", "::1"} {
			listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
			if host == "127.0.0.1" {
				inUse[port] = err
			}
			if err != nil {
				continue // somebody else holds it, or there is no IPv6
			}
			server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusTeapot)
			})}
			go server.Serve(listener) //nolint:errcheck // until the tests end
		}
	}
}

func TestTheUsualPortsAreTakenWhileTheTestsRun(t *testing.T) {
	for _, port := range usualPorts {
		if err := inUse[port]; err != nil && !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("port %s is free, and a test that needs it would not be noticed: %v", port, err)
		}
	}
}
