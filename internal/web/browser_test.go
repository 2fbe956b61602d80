//go:build browser

package web

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
)

// These tests need Chromium (LEADSTREAM_TEST_CHROMIUM, else the one on the
// path) and the script of axe-core (LEADSTREAM_TEST_AXE, its axe.min.js); they
// fail without. Screenshots go to LEADSTREAM_TEST_SCREENSHOTS, else to the
// test's artifacts (go test -artifacts).

const (
	browserTime = 3 * time.Minute
	stepTime    = 20 * time.Second
)

// chromium starts a browser for the test.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := os.Getenv("LEADSTREAM_TEST_CHROMIUM")
	if path == "" {
		var err error
		if path, err = exec.LookPath("chromium"); err != nil {
			t.Fatalf("these tests need Chromium: %v", err)
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := context.WithTimeout(t.Context(), browserTime)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok && strings.Contains(e.Entry.Text, "Content Security Policy") {
			t.Errorf("the page breaks its own policy: %s", e.Entry.Text)
		}
	})
	if err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	return ctx
}

// screen is what the page is looked at on.
type screen struct {
	name          string
	width, height int64
	scheme        string // prefers-color-scheme
}

var screens = []screen{
	{"phone-light", 390, 844, "light"},
	{"phone-dark", 390, 844, "dark"},
	{"wide-light", 1440, 900, "light"},
	{"wide-dark", 1440, 900, "dark"},
}

// look opens an address on the screen.
func (s screen) look(t *testing.T, ctx context.Context, address string) {
	t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatalf("choosing the colour scheme: %v", err)
	}
	do(t, ctx, chromedp.EmulateViewport(s.width, s.height), chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("h1")))
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("driving the browser: %v", err)
	}
}

// eval is the value of a JavaScript expression in the page.
func eval[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("evaluating %.80q: %v", expression, err)
	}
	return v
}

// wait waits until a JavaScript expression is true, over any navigation.
func wait(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, chromedp.Poll[bool](expression))
		if err == nil {
			return
		}
		if ctx.Err() != nil { // else the page has been left meanwhile
			t.Fatalf("waiting for %s: %v", expression, err)
		}
	}
}

// picture keeps the whole page as it looks, for a person.
func picture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	directory := os.Getenv("LEADSTREAM_TEST_SCREENSHOTS")
	if directory == "" {
		directory = t.ArtifactDir()
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatalf("taking a screenshot: %v", err)
	}
	path := filepath.Join(directory, name+".png")
	if err := os.WriteFile(path, png, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("screenshot: %s", path)
}

// violations are what axe-core finds in the page against WCAG 2.2, levels A
// and AA.
func violations(t *testing.T, ctx context.Context) []string {
	t.Helper()
	axe, err := os.ReadFile(os.Getenv("LEADSTREAM_TEST_AXE"))
	if err != nil {
		t.Fatalf("these tests need LEADSTREAM_TEST_AXE, the path of axe-core's axe.min.js: %v", err)
	}
	const run = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).then(r => ({
		passes: r.passes.length,
		violations: r.violations.map(v => v.id + ": " + v.help + "\n" + v.nodes.map(n => "  " + n.html + "\n  " + n.failureSummary).join("\n")),
	}))`
	eval[int](t, ctx, string(axe)+"\n;0")
	found := eval[struct {
		Passes     int      `json:"passes"`
		Violations []string `json:"violations"`
	}](t, ctx, run)
	if found.Passes == 0 {
		t.Fatal("axe-core checked nothing")
	}
	return found.Violations
}

func TestPagesAreAccessibleAndFitEveryScreen(t *testing.T) {
	ctx := chromium(t)
	consent := []Degradation{{Part: "consent", Reason: "no token is stored", Todo: "connect LinkedIn on this page"}}
	for _, state := range []struct {
		name     string
		path     string
		view     View
		degraded []Degradation
		password string
	}{
		{name: "works", path: "/", view: sampleView()},
		{name: "troubled", path: "/", view: troubledView(), degraded: troubles()},
		{name: "disconnected", path: "/", view: disconnectedView(), degraded: consent},
		{name: "standby", path: "/", view: standbyView()},
		{name: "login", path: "/login", password: "open sesame"},
		{name: "connect", path: "/oauth/login", view: sampleView()},
		{name: "disconnect", path: "/oauth/disconnect", view: sampleView()},
		{name: "foreign-callback", path: "/oauth/callback?state=x&code=y", view: sampleView()},
	} {
		s := newTestServer(t, func(o *Options) {
			o.View = func(context.Context) View { return state.view }
			o.Ready = func() Readiness { return Readiness{Ready: true, Degraded: state.degraded} }
			o.Password = state.password
			o.RedirectURL = "http://127.0.0.1/oauth/callback"
			o.Consent = &fakeConsent{callback: ErrForeignState}
		})
		site := httptest.NewServer(s.Handler())
		for _, screen := range screens {
			t.Run(state.name+"/"+screen.name, func(t *testing.T) {
				screen.look(t, ctx, site.URL+state.path)
				picture(t, ctx, state.name+"-"+screen.name)
				if over := eval[int](t, ctx, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
					t.Errorf("the page is %d pixels wider than the screen", over)
				}
				if found := violations(t, ctx); len(found) > 0 {
					t.Errorf("axe-core finds\n%s", strings.Join(found, "\n"))
				}
			})
		}
		site.Close()
	}
}

func TestAxeFindsWhatIsWrong(t *testing.T) {
	ctx := chromium(t)
	site := httptest.NewServer(newTestServer(t, nil).Handler())
	defer site.Close()
	screens[0].look(t, ctx, site.URL)
	eval[bool](t, ctx, `document.querySelector("main").append(document.createElement("button")) === undefined`)
	if found := violations(t, ctx); len(found) != 1 || !strings.HasPrefix(found[0], "button-name") {
		t.Errorf("of a page with a nameless button axe-core says %q, want one violation: the tests above prove nothing", found)
	}
}
