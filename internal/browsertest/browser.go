// Package browsertest drives Chromium over pages, for the tests tagged browser
// and for nothing else: it looks at them on several screens, keeps pictures of
// them for a person, and asks axe-core whether everybody can use them.
//
// It needs Chromium (LEADSTREAM_TEST_CHROMIUM, else the one on the path) and the
// script of axe-core (LEADSTREAM_TEST_AXE, its axe.min.js); tests fail without.
// Pictures go to LEADSTREAM_TEST_SCREENSHOTS, else to the test's artifacts (go
// test -artifacts).
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

const (
	browserTime = 3 * time.Minute
	// stepTime is how long one step, or what is waited for, may take.
	stepTime = 40 * time.Second
)

// Start starts a browser that lives until the test ends. A page that breaks its
// own Content-Security-Policy fails the test.
func Start(t *testing.T) context.Context {
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

// Screen is what a page is looked at on.
type Screen struct {
	Name          string
	Width, Height int64  // CSS pixels
	Scheme        string // prefers-color-scheme
}

// The screens.
var (
	PhoneLight = Screen{"phone-light", 390, 844, "light"}
	PhoneDark  = Screen{"phone-dark", 390, 844, "dark"}
	WideLight  = Screen{"wide-light", 1440, 900, "light"}
	WideDark   = Screen{"wide-dark", 1440, 900, "dark"}
)

// Screens are all of them.
func Screens() []Screen { return []Screen{PhoneLight, PhoneDark, WideLight, WideDark} }

// Use has the browser be that screen from now on.
func (s Screen) Use(t *testing.T, ctx context.Context) {
	t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.Scheme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatalf("choosing the colour scheme: %v", err)
	}
	Do(t, ctx, chromedp.EmulateViewport(s.Width, s.Height))
}

// Look opens an address on the screen.
func (s Screen) Look(t *testing.T, ctx context.Context, address string) {
	t.Helper()
	s.Use(t, ctx)
	Do(t, ctx, chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("h1")))
}

// Do takes steps one after another. No step may hold on to what the page is
// about to replace by itself: wait for a condition and act by Eval then.
func Do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("driving the browser: %v", err)
	}
}

// Eval is the value of a JavaScript expression in the page.
func Eval[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("evaluating %.80q: %v", expression, err)
	}
	return v
}

// Wait waits until a JavaScript expression is true, over any navigation.
func Wait(t *testing.T, ctx context.Context, expression string) {
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

// Hurry makes the timers of pages opened from now on run a hundred times as
// fast. What such a page shows is replaced so often that it can be waited for,
// but not held on to.
func Hurry(t *testing.T, ctx context.Context) {
	t.Helper()
	const source = `{ const slow = window.setTimeout; window.setTimeout = (f, ms) => slow(f, ms / 100); }`
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source}); err != nil {
		t.Fatal(err)
	}
}

// Picture keeps the whole page as it looks, for a person.
func Picture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	directory := os.Getenv("LEADSTREAM_TEST_SCREENSHOTS")
	if directory == "" {
		directory = t.ArtifactDir()
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	// A page that has come just now may have its text and no size yet.
	Wait(t, ctx, `document.readyState === "complete" && document.documentElement.getBoundingClientRect().width > 0`)
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

// Fits fails the test where the page is wider than its screen.
func Fits(t *testing.T, ctx context.Context) {
	t.Helper()
	if over := Eval[int](t, ctx, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		t.Errorf("the page is %d pixels wider than the screen", over)
	}
}

// Accessible fails the test where axe-core finds something in the page.
func Accessible(t *testing.T, ctx context.Context) {
	t.Helper()
	if found := Violations(t, ctx); len(found) > 0 {
		t.Errorf("axe-core finds\n%s", strings.Join(found, "\n"))
	}
}

// Violations are what axe-core finds in the page against WCAG 2.2, levels A
// and AA.
func Violations(t *testing.T, ctx context.Context) []string {
	t.Helper()
	axe, err := os.ReadFile(os.Getenv("LEADSTREAM_TEST_AXE"))
	if err != nil {
		t.Fatalf("these tests need LEADSTREAM_TEST_AXE, the path of axe-core's axe.min.js: %v", err)
	}
	const run = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).then(r => ({
		passes: r.passes.length,
		violations: r.violations.map(v => v.id + ": " + v.help + "\n" + v.nodes.map(n => "  " + n.html + "\n  " + n.failureSummary).join("\n")),
	}))`
	Eval[int](t, ctx, string(axe)+"\n;0")
	found := Eval[struct {
		Passes     int      `json:"passes"`
		Violations []string `json:"violations"`
	}](t, ctx, run)
	if found.Passes == 0 {
		t.Fatal("axe-core checked nothing")
	}
	return found.Violations
}
