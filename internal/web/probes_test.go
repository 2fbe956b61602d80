package web

import (
	"context"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestReadinessIsStrictOnlyWhenAsked(t *testing.T) {
	degraded := []Degradation{{Part: "consent", Reason: "the access token was revoked", Todo: "connect LinkedIn again"}}
	for _, c := range []struct {
		name          string
		ready         Readiness
		usual, strict int
	}{
		{"all is well", Readiness{Ready: true}, 200, 200},
		{"something is degraded", Readiness{Ready: true, Degraded: degraded}, 200, 503},
		{"Kafka was never reached", Readiness{Degraded: degraded}, 503, 503},
		{"not ready for no reason", Readiness{}, 503, 503},
	} {
		s := newTestServer(t, func(o *Options) { o.Ready = func() Readiness { return c.ready } })
		for path, want := range map[string]int{"/readyz": c.usual, "/readyz?strict=0": c.usual, "/readyz?strict=1": c.strict} {
			w := get(t, s, path, nil)
			if w.Code != want {
				t.Errorf("%s: GET %s = %d, want %d", c.name, path, w.Code, want)
			}
			for _, d := range c.ready.Degraded {
				if !strings.Contains(w.Body.String(), d.Reason) || !strings.Contains(w.Body.String(), d.Todo) {
					t.Errorf("%s: GET %s does not tell the reason and what to do: %s", c.name, path, w.Body)
				}
			}
			if len(c.ready.Degraded) == 0 && !strings.Contains(w.Body.String(), `"degraded": []`) {
				t.Errorf("%s: GET %s = %s, want an empty list", c.name, path, w.Body)
			}
		}
	}
}

func TestAliveIsAliveWhateverIsDegraded(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.Ready = func() Readiness { return Readiness{} } })
	if w := get(t, s, "/healthz", nil); w.Code != http.StatusOK {
		t.Errorf("GET /healthz = %d, want 200", w.Code)
	}
}

// The JSON is read by programs: its names stay.
func TestStatusKeepsItsShape(t *testing.T) {
	for name, view := range map[string]View{"troubled": troubledView(), "empty": {}} {
		s := newTestServer(t, func(o *Options) { o.View = func(context.Context) View { return view } })
		w := get(t, s, "/api/status", nil)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("GET /api/status = %d %s, want 200 application/json", w.Code, w.Header().Get("Content-Type"))
		}
		path := filepath.Join("testdata", "status."+name+".json")
		if *update {
			if err := os.WriteFile(path, w.Body.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if w.Body.String() != string(want) {
			t.Errorf("the status %q is\n%s\nwant what stands in %s (go test -update rewrites it)", name, w.Body, path)
		}
	}
}
