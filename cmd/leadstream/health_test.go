package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthAsksTheConnectorOfThisConfiguration(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			status = http.StatusTeapot
		}
		w.WriteHeader(status)
	}))
	defer s.Close()
	listen := "LEADSTREAM_HTTP_LISTEN=" + strings.TrimPrefix(s.URL, "http://")
	if got := execute(t.Context(), t, []string{listen}, "health"); got.code != 0 || got.stdout+got.stderr != "" {
		t.Errorf("healthy: %+v", got)
	}
	status = http.StatusServiceUnavailable
	got := execute(t.Context(), t, []string{listen}, "health")
	if want := "leadstream: " + s.URL + "/healthz answered 503 Service Unavailable\n"; got.code != 5 || got.stderr != want {
		t.Errorf("sick: %+v, want 5 and %q", got, want)
	}
	s.Close()
	if got := execute(t.Context(), t, []string{listen}, "health"); got.code != 5 {
		t.Errorf("gone: %+v", got)
	}
	if got := execute(t.Context(), t, nil, "health", "--url", "://"); got.code != 2 {
		t.Errorf("bad URL: %+v", got)
	}
}

func TestAListenerIsReachedFromItsOwnMachine(t *testing.T) {
	for listen, want := range map[string]string{
		":8480": "http://localhost:8480", "0.0.0.0:8480": "http://localhost:8480", "[::]:8480": "http://localhost:8480",
		"127.0.0.1:1": "http://127.0.0.1:1", "[::1]:1": "http://[::1]:1", "10.0.0.1:1": "http://10.0.0.1:1",
	} {
		if got, err := localURL(listen); err != nil || got != want {
			t.Errorf("localURL(%q) = %q, %v, want %q", listen, got, err, want)
		}
	}
	if _, err := localURL("nowhere"); err == nil {
		t.Error("an address without port was taken")
	}
}
