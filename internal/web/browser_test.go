//go:build browser

package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"go.uber.org/zap/zaptest"
)

// These tests need Chromium (LEADSTREAM_TEST_CHROMIUM, else the one on the
// path) and the script of axe-core (LEADSTREAM_TEST_AXE); they fail without.
// LEADSTREAM_TEST_SCREENSHOTS is where the pictures go, testdata/screenshots
// beside this file when not set.

const browserTime = 60 * time.Second

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
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, browserTime)
	t.Cleanup(cancel)
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

func (s screen) show() chromedp.Action {
	return chromedp.Tasks{
		emulation.SetDeviceMetricsOverride(s.width, s.height, 1, s.width < 500),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}}),
	}
}

// picture keeps the whole page as it looks.
func picture(t *testing.T, name string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		directory := os.Getenv("LEADSTREAM_TEST_SCREENSHOTS")
		if directory == "" {
			directory = filepath.Join("testdata", "screenshots")
		}
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
		bytes, err := page.CaptureScreenshot().WithCaptureBeyondViewport(true).Do(ctx)
		if err != nil {
			return err
		}
		path := filepath.Join(directory, name+".png")
		t.Logf("screenshot: %s", path)
		return os.WriteFile(path, bytes, 0o644)
	})
}

// violations are what axe-core finds against WCAG 2.2, levels A and AA.
func violations(t *testing.T, found *[]string) chromedp.Action {
	t.Helper()
	path := os.Getenv("LEADSTREAM_TEST_AXE")
	axe, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("these tests need LEADSTREAM_TEST_AXE, the path of axe-core's axe.min.js: %v", err)
	}
	const run = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
		.then(r => JSON.stringify({passes: r.passes.length, violations: r.violations.map(v => v.id + ": " + v.help + " at " + v.nodes.map(n => n.html + " (" + n.any.map(c => c.message) + ")").join(", "))}))`
	return chromedp.ActionFunc(func(ctx context.Context) error {
		var text string
		if err := chromedp.Evaluate(string(axe)+"\n;0", nil).Do(ctx); err != nil {
			return fmt.Errorf("loading axe-core: %w", err)
		}
		if err := chromedp.Evaluate(run, &text, awaited).Do(ctx); err != nil {
			return fmt.Errorf("running axe-core: %w", err)
		}
		var result struct {
			Passes     int
			Violations []string
		}
		if err := json.Unmarshal([]byte(text), &result); err != nil {
			return err
		}
		if result.Passes == 0 {
			return fmt.Errorf("axe-core checked nothing")
		}
		*found = result.Violations
		return nil
	})
}

func TestPagesAreAccessibleAndFitEveryScreen(t *testing.T) {
	ctx := chromium(t)
	for _, state := range []struct {
		name  string
		path  string
		view  View
		ready []Degradation
		pass  string // the password
	}{
		{name: "works", path: "/", view: sampleView()},
		{name: "troubled", path: "/", view: troubledView(), ready: troubles()},
		{name: "disconnected", path: "/", view: disconnectedView(), ready: []Degradation{{Part: "consent", Reason: "no token is stored", Todo: "connect LinkedIn on this page"}}},
		{name: "standby", path: "/", view: standbyView()},
		{name: "login", path: "/login", pass: "open sesame"},
		{name: "connect", path: "/oauth/login", view: sampleView()},
		{name: "disconnect", path: "/oauth/disconnect", view: sampleView()},
		{name: "foreign-callback", path: "/oauth/callback?state=x&code=y", view: sampleView()},
	} {
		s := newTestServer(t, func(o *Options) {
			o.View = func(context.Context) View { return state.view }
			o.Ready = func() Readiness { return Readiness{Ready: true, Degraded: state.ready} }
			o.Password = state.pass
			o.Consent = &fakeConsent{callback: ErrForeignState}
			o.Log = zaptest.NewLogger(t)
		})
		site := httptest.NewServer(s.Handler())
		for _, screen := range screens {
			t.Run(state.name+"/"+screen.name, func(t *testing.T) {
				var found []string
				var overflow int
				if err := chromedp.Run(ctx, screen.show(), chromedp.Navigate(site.URL+state.path), chromedp.WaitVisible("h1"),
					chromedp.Evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`, &overflow),
					picture(t, state.name+"-"+screen.name), violations(t, &found)); err != nil {
					t.Fatal(err)
				}
				if len(found) > 0 {
					t.Errorf("axe-core finds\n%s", strings.Join(found, "\n"))
				}
				if overflow > 0 {
					t.Errorf("the page is %d pixels wider than the screen", overflow)
				}
			})
		}
		site.Close()
	}
}

var _ = http.StatusOK
