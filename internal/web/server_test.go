package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestRunServesAndStopsWithItsContext(t *testing.T) {
	s, err := New(Options{Listen: "127.0.0.1:0", Log: zap.NewNop(), Metrics: http.NotFoundHandler(),
		View: func(context.Context) View { return View{} }, Ready: func() Readiness { return Readiness{Ready: true} }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	base := "http://" + s.Addr(t.Context()).String()
	for _, path := range []string{"/healthz", "/readyz", "/readyz?strict=1", "/", "/api/status"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusOK {
			t.Errorf("GET %s = %s, want 200", path, answer.Status)
		}
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Run goes on after its context ended")
	}
	_ = httptest.NewRecorder()
}
