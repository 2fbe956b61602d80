package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
)

// newTestServer is a server on loopback over the sample; change may change it.
func newTestServer(t *testing.T, change func(*Options)) *Server {
	t.Helper()
	o := Options{
		Listen: "127.0.0.1:0", RedirectURL: "http://localhost:8480/oauth/callback", AuthURL: "https://www.linkedin.com",
		View:    func(context.Context) View { return sampleView() },
		Ready:   func() Readiness { return Readiness{Ready: true} },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("leadstream_active 1\n")) }),
		Consent: &fakeConsent{}, Log: zaptest.NewLogger(t),
		Now: func() time.Time { return noon },
	}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	if o.Password != "" {
		s.sessions = newSessions(o.Installation, o.Password, 1, s.now()) // tests have no time to be slow
	}
	s.attempts.wait = func(context.Context, time.Duration) error { return nil } // nor to wait: all come at the same moment
	return s
}

// fakeConsent notes what it is asked and answers as it is told.
type fakeConsent struct {
	callback, disconnect error

	mu           sync.Mutex
	begun        []string // the bindings
	finished     []string
	params       url.Values
	disconnected int
}

func (f *fakeConsent) AuthorizeURL(_ context.Context, binding string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun = append(f.begun, binding)
	return "https://www.linkedin.com/oauth/v2/authorization?state=s", nil
}

func (f *fakeConsent) Callback(_ context.Context, params url.Values, binding string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finished, f.params = append(f.finished, binding), params
	return f.callback
}

func (f *fakeConsent) Disconnect(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.disconnected++
	return f.disconnect
}

// anyText is a logged value as text.
func anyText(v any) string { return fmt.Sprint(v) }
