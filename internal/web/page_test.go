package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// get asks the server as a browser on this machine would; change may change
// the request.
func get(t *testing.T, s *Server, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, s, http.MethodGet, path, change)
}

func ask(t *testing.T, s *Server, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:51000", "localhost:8480"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestPageSaysWhatTheViewHolds(t *testing.T) {
	for _, c := range []struct {
		name  string
		view  View
		ready []Degradation
		want  []string
		none  []string
	}{
		{name: "everything works", view: sampleView(),
			want: []string{"Everything works", "marketing", "Reconnect LinkedIn", "Alpenblick Seminare", "34 s behind", "linkedin.leads.3001", "18,211", "353 days left"},
			none: []string{"Nobody has connected", "No lead was published"}},
		{name: "much is wrong", view: troubledView(), ready: troubles(),
			want: []string{"2 things need attention", "Nordwind Analytics cannot be read", "No access", "Suspended", "its leads are kept", "Slowed down", "3 responses could not", "134 times", "Reconnect soon"},
			none: []string{"Everything works"}},
		{name: "nobody connected", view: disconnectedView(),
			want: []string{"Connect LinkedIn", "Nobody has connected", "No lead was published in the last 24 hours", "Organizations appear here once"},
			none: []string{"Disconnect…", "Reconnect LinkedIn"}},
		{name: "stands by", view: standbyView(), want: []string{"stands by", "leads-7c9d-x2k4p"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestServer(t, func(o *Options) {
				o.View = func(context.Context) View { return c.view }
				o.Ready = func() Readiness { return Readiness{Ready: true, Degraded: c.ready} }
			})
			w := get(t, s, "/", nil)
			if w.Code != http.StatusOK {
				t.Fatalf("GET / = %d %s, want 200", w.Code, w.Body)
			}
			for _, text := range c.want {
				if !strings.Contains(w.Body.String(), text) {
					t.Errorf("the page does not say %q", text)
				}
			}
			for _, text := range c.none {
				if strings.Contains(w.Body.String(), text) {
					t.Errorf("the page says %q", text)
				}
			}
		})
	}
}
