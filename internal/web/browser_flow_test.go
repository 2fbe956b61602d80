//go:build browser

package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"leadstream/internal/browsertest"
)

// site is a running server whose view a test changes.
type site struct {
	port     string
	view     atomic.Pointer[View]
	degraded atomic.Pointer[[]Degradation]
	away     atomic.Bool // it answers 503
	server   *Server
}

// newSite starts a server over the sample.
func newSite(t *testing.T, change func(*Options)) *site {
	t.Helper()
	s := &site{}
	v := sampleView()
	s.view.Store(&v)
	s.degraded.Store(&[]Degradation{})
	listening := httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(listening.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.port = port
	s.server = newTestServer(t, func(o *Options) {
		o.Now = time.Now
		o.RedirectURL = "http://localhost:" + port + "/oauth/callback"
		o.View = func(context.Context) View { return *s.view.Load() }
		o.Ready = func() Readiness { return Readiness{Ready: true, Degraded: *s.degraded.Load()} }
		if change != nil {
			change(o)
		}
	})
	listening.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.server.Handler().ServeHTTP(w, r)
	})
	listening.Start()
	t.Cleanup(listening.Close)
	return s
}

func (s *site) at(host, path string) string { return "http://" + host + ":" + s.port + path }

// linkedIn asks for the consent as LinkedIn does, at an origin of its own. It
// asks nobody when the consent was given before.
func linkedIn(t *testing.T, asks bool, back *string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := *back + "?code=c&state=" + url.QueryEscape(r.URL.Query().Get("state"))
		if !asks {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html><title>LinkedIn</title><h1>Allow leadstream?</h1><a id="allow" href="%s">Allow</a>`, to)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// boundConsent takes a callback whose state is the binding of its browser.
type boundConsent struct {
	address func() string
	done    atomic.Int32
}

func (c *boundConsent) AuthorizeURL(_ context.Context, binding string) (string, error) {
	return c.address() + "/oauth/v2/authorization?state=" + binding, nil
}

func (c *boundConsent) Callback(_ context.Context, params url.Values, binding string) error {
	if binding == "" || params.Get("state") != binding {
		return ErrForeignState
	}
	c.done.Add(1)
	return nil
}

func (c *boundConsent) Disconnect(context.Context) error { return nil }

func TestConsentFromTheFirstClickToTheLast(t *testing.T) {
	for _, c := range []struct {
		name string
		host string // by which the page is opened; LinkedIn knows localhost
		asks bool
		pass string
	}{
		{name: "by the right name", host: "localhost", asks: true},
		{name: "by address", host: "127.0.0.1", asks: true},
		{name: "consented before", host: "localhost"},
		{name: "with a password", host: "localhost", asks: true, pass: secret},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := browsertest.Start(t)
			var back string
			consent := &boundConsent{}
			provider := linkedIn(t, c.asks, &back)
			consent.address = func() string { return provider }
			s := newSite(t, func(o *Options) {
				o.Consent, o.AuthURL, o.Password = consent, provider, c.pass
				back = o.RedirectURL
			})
			browsertest.PhoneLight.Look(t, ctx, s.at(c.host, "/"))
			if c.pass != "" {
				browsertest.Do(t, ctx, chromedp.SendKeys(chromedp.CSS("#password"), c.pass+kb.Enter), chromedp.WaitVisible(chromedp.CSS("#connect")))
			}
			browsertest.Do(t, ctx, chromedp.Click(chromedp.CSS("#connect")))
			if c.host != "localhost" { // sent to the name that LinkedIn knows, where it is asked once more
				browsertest.Wait(t, ctx, `location.hostname === "localhost" && document.readyState === "complete"`)
				browsertest.Do(t, ctx, chromedp.Click(chromedp.CSS("button.primary")))
			}
			if c.asks {
				browsertest.Do(t, ctx, chromedp.WaitVisible(chromedp.CSS("#allow")), chromedp.Click(chromedp.CSS("#allow")))
			}
			browsertest.Wait(t, ctx, `document.querySelector("h1")?.textContent === "Connected to LinkedIn"`)
			browsertest.Picture(t, ctx, "connected")
			if n := consent.done.Load(); n != 1 {
				t.Errorf("%d consents were finished, want 1", n)
			}
			if address := browsertest.Eval[string](t, ctx, `location.href`); strings.Contains(address, "code=") {
				t.Errorf("the address bar keeps the code: %s", address)
			}
			browsertest.Do(t, ctx, chromedp.Click(chromedp.CSS(`a[href="../"]`)), chromedp.WaitVisible(chromedp.CSS("#h-now")))
		})
	}
}

func TestPageKeepsItselfFreshAndTheReaderWhereSheIs(t *testing.T) {
	ctx := browsertest.Start(t)
	s := newSite(t, nil)
	browsertest.PhoneLight.Look(t, ctx, s.at("localhost", "/"))
	browsertest.Do(t, ctx, chromedp.Click(chromedp.CSS("summary")), chromedp.Focus(chromedp.CSS("#connect")))
	browsertest.Eval[bool](t, ctx, `window.scrollTo(0, 300) === undefined`)

	v, d := troubledView(), issues()
	s.view.Store(&v)
	s.degraded.Store(&d)
	// As when she comes back to the tab. Timers that hurry would replace what the
	// steps above were about to touch.
	browsertest.Eval[bool](t, ctx, `document.dispatchEvent(new Event("visibilitychange"))`)
	browsertest.Wait(t, ctx, `document.querySelector("main").textContent.includes("4 things need attention")`)
	for _, holds := range []string{
		`document.querySelector("details").open`,
		`document.activeElement.id === "connect"`,
		`window.scrollY === 300`,
		`document.title.startsWith("4 problems")`,
		`document.getElementById("change").textContent.includes("4 things need attention")`,
	} {
		if !browsertest.Eval[bool](t, ctx, holds) {
			t.Errorf("after the page has refreshed itself, %s does not hold", holds)
		}
	}
	browsertest.Accessible(t, ctx)
}

func TestPageSaysWhenNobodyAnswersAndWhenSomebodyDoesAgain(t *testing.T) {
	ctx := browsertest.Start(t)
	browsertest.Hurry(t, ctx)
	s := newSite(t, nil)
	browsertest.PhoneLight.Look(t, ctx, s.at("localhost", "/"))
	s.away.Store(true)
	browsertest.Wait(t, ctx, `document.getElementById("news").textContent.includes("does not answer")`)
	browsertest.Picture(t, ctx, "away")
	s.away.Store(false)
	browsertest.Wait(t, ctx, `document.getElementById("news").textContent === ""`)
}

func TestUpdatesCanBePaused(t *testing.T) {
	ctx := browsertest.Start(t)
	browsertest.Hurry(t, ctx)
	s := newSite(t, nil)
	browsertest.PhoneLight.Look(t, ctx, s.at("localhost", "/"))
	browsertest.Wait(t, ctx, `[...document.querySelectorAll("button")].some(b => b.textContent === "Pause updates")`)
	browsertest.Eval[bool](t, ctx, `[...document.querySelectorAll("button")].find(b => b.textContent === "Pause updates").click() === undefined`)
	v := standbyView()
	s.view.Store(&v)
	// Ten of the page's hurried intervals.
	if browsertest.Eval[bool](t, ctx, `new Promise(r => setTimeout(() => r(document.body.textContent.includes("stands by")), 100000))`) {
		t.Error("the page has updated itself although paused")
	}
	browsertest.Eval[bool](t, ctx, `[...document.querySelectorAll("button")].find(b => b.textContent === "Resume updates").click() === undefined`)
	browsertest.Wait(t, ctx, `document.body.textContent.includes("stands by")`)
}

func TestAnEndedSessionLeadsToTheLogin(t *testing.T) {
	ctx := browsertest.Start(t)
	browsertest.Hurry(t, ctx)
	var shift atomic.Int64
	s := newSite(t, func(o *Options) {
		o.Password = secret
		o.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
	})
	browsertest.WideLight.Look(t, ctx, s.at("localhost", "/"))
	browsertest.Do(t, ctx, chromedp.SendKeys(chromedp.CSS("#password"), "wrong"+kb.Enter), chromedp.WaitVisible(chromedp.CSS("#problem")))
	browsertest.Picture(t, ctx, "wrong-password")
	browsertest.Accessible(t, ctx)
	browsertest.Do(t, ctx, chromedp.SendKeys(chromedp.CSS("#password"), secret+kb.Enter))
	browsertest.Wait(t, ctx, `document.getElementById("h-now") !== null`) // which is replaced all the time from now on
	browsertest.Picture(t, ctx, "logged-in")
	shift.Store(int64(sessionLife))
	browsertest.Wait(t, ctx, `document.getElementById("password") !== null`)
}

func TestPageIsWholeWithoutScripts(t *testing.T) {
	ctx := browsertest.Start(t)
	s := newSite(t, nil)
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	browsertest.PhoneLight.Look(t, ctx, s.at("localhost", "/"))
	v := standbyView()
	s.view.Store(&v)
	browsertest.Do(t, ctx, chromedp.Click(chromedp.CSS("#refresh")))
	body, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("main")))
	for !strings.Contains(body, "stands by") && ctx.Err() == nil { // errors too: the page is being replaced
		body, err = chromedp.Run(ctx, chromedp.Text(chromedp.CSS("main")))
	}
	if err != nil || !strings.Contains(body, "stands by") {
		t.Fatalf("after Refresh the page says %q (%v), want the new state", body, err)
	}
	browsertest.Do(t, ctx, chromedp.Click(chromedp.CSS("#disconnect")), chromedp.WaitVisible(chromedp.CSS("button.danger")), chromedp.Click(chromedp.CSS("button.danger")),
		chromedp.WaitVisible(chromedp.CSS("#h-now")))
	if n := s.server.opts.Consent.(*fakeConsent).disconnected; n != 1 {
		t.Errorf("disconnected %d times, want once", n)
	}
}

func TestEverythingIsReachedByKeyboard(t *testing.T) {
	ctx := browsertest.Start(t)
	s := newSite(t, nil)
	browsertest.WideLight.Look(t, ctx, s.at("localhost", "/"))
	reached := map[string]bool{}
	for range 12 {
		browsertest.Do(t, ctx, chromedp.KeyEvent(kb.Tab))
		name := browsertest.Eval[string](t, ctx, `document.activeElement.id || document.activeElement.textContent.trim()`)
		reached[name] = true
		if name == "disconnect" && browsertest.Eval[string](t, ctx, `getComputedStyle(document.activeElement).outlineStyle`) == "none" {
			t.Error("the focus cannot be seen")
		}
	}
	for _, name := range []string{"Pause updates", "refresh", "connect", "disconnect", "As a table", "status as JSON"} {
		if !reached[name] {
			t.Errorf("%q is not reached with the Tab key, only %v", name, reached)
		}
	}
}
