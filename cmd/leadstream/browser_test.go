//go:build browser

package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"leadstream/internal/browsertest"
	"leadstream/internal/linkedinsim"
)

func TestFirstConnectFromThePage(t *testing.T) {
	s := newSite(t, linkedinsim.Config{Organizations: 2, Events: 3, Forms: 3, Leads: 60, Seed: 1})
	p := s.start()
	s.open(p, browsertest.PhoneLight)
	s.says("Not connected", "Nobody has connected leadstream to LinkedIn yet", "Connect LinkedIn")
	p.awaitMetric("leadstream_authorized", "0")
	s.pictures("first-1-not-connected", browsertest.Screens()...)
	s.press("#connect")
	s.says("Simulated LinkedIn")
	browsertest.Picture(t, s.browser, "first-2-linkedin-asks")
	s.press("#approve")
	s.says("Connected to LinkedIn")
	s.pictures("first-3-connected", browsertest.PhoneLight, browsertest.PhoneDark)
	s.press(`a[href="../"]`)
	s.leads(60)
	_, first := s.owner(0)
	_, second := s.owner(1)
	s.says("Everything works", "is the active one", first, second, "version 1")
	browsertest.Wait(t, s.browser, `document.querySelector("svg title").textContent.includes("60 in all")`)
	urn, _ := s.owner(0)
	s.addLeads(urn, 7)
	s.leads(67)
	s.says("at most, for half of them;", "for 99 in 100")
	s.pictures("first-4-leads", browsertest.Screens()...)
	p.awaitMetric("leadstream_authorized", "1")
}

func TestATokenRevokedAndReconnectedOnThePage(t *testing.T) {
	s := newSite(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 20, Seed: 2})
	s.consentLongAgo()
	p := s.start()
	s.open(p, browsertest.WideLight)
	s.leads(20)
	s.sim.RevokeTokens()
	s.sim.RevokeRefreshTokens()
	urn, _ := s.owner(0)
	s.addLeads(urn, 5)
	s.says("Not connected", "revoked", "Reconnect LinkedIn", "✕ Still there")
	p.awaitMetric("leadstream_authorized", "0")
	s.pictures("revoked-1", browsertest.Screens()...)
	s.consentInBrowser()
	s.press(`a[href="../"]`)
	s.leads(25)
	s.says("Everything works", "✓ Connected", "✓ Over")
	s.pictures("revoked-2-reconnected", browsertest.WideLight)
	p.awaitMetric("leadstream_authorized", "1")
}

func TestARoleLostAndRegained(t *testing.T) {
	s := newSite(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Leads: 20, Seed: 3, AutoConsent: true})
	s.consent(nil)
	p := s.start()
	s.open(p, browsertest.PhoneLight)
	s.leads(20)
	keeps, _ := s.owner(0)
	loses, name := s.owner(1)
	if err := s.sim.SetRole(s.number(1), ""); err != nil {
		t.Fatal(err)
	}
	s.says(name+" ✕ No access", "no role on this page", "ADMINISTRATOR or CONTENT_ADMINISTRATOR", "Manage admins", "One thing needs attention")
	s.addLeads(loses, 3)
	s.addLeads(keeps, 4)
	s.leads(24) // the others go on
	s.pictures("role-1-lost", browsertest.Screens()...)
	if err := s.sim.SetRole(s.number(1), "ADMINISTRATOR"); err != nil {
		t.Fatal(err)
	}
	s.leads(27)
	s.says(name+" ✓ Readable", "Everything works")
	s.pictures("role-2-regained", browsertest.PhoneLight)
}

func TestAReplayIsSeenToFinish(t *testing.T) {
	s := newSite(t, linkedinsim.Config{Organizations: 1, Events: 2, Forms: 2, Leads: 300, Seed: 4, AutoConsent: true})
	s.consent(nil)
	p := s.start()
	s.open(p, browsertest.WideLight)
	s.leads(300)
	p.stop()
	// Each answer takes a while, so that somebody can look on.
	if err := s.sim.Schedule(linkedinsim.Fault{Kind: linkedinsim.Latency, Latency: 1500 * time.Millisecond, Endpoint: "leadFormResponses", Count: -1}); err != nil {
		t.Fatal(err)
	}
	p = s.start("--replay-from", "300d", "--replay-mode", "all", "--replay-id", "after the outage of the CRM")
	s.open(p, browsertest.WideLight)
	const bar = `[...document.querySelectorAll(".tasks li")].find(li => li.textContent.includes("after the outage"))?.querySelector("progress")`
	browsertest.Wait(t, s.browser, bar+`?.value >= 1 && `+bar+`.value < 100`)
	s.says("Catching up", "Replay after the outage of the CRM")
	s.pictures("replay-1-under-way", browsertest.WideLight, browsertest.PhoneDark)
	s.sim.ClearFaults()
	browsertest.Wait(t, s.browser, bar+`?.value === 100`)
	s.says("Catching up ✓ Done", "done · 300 leads")
	s.pictures("replay-2-done", browsertest.Screens()...)
	p.awaitMetric("leadstream_replay_progress_ratio", "1")
}

func TestEverythingCanBeDoneByKeyboard(t *testing.T) {
	s := newSite(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 10, Seed: 5})
	p := s.start()
	s.open(p, browsertest.WideLight)
	enter := func(what, selector string) {
		t.Helper()
		browsertest.Wait(t, s.browser, fmt.Sprintf(`document.querySelector(%q) !== null`, selector))
		for range 30 {
			browsertest.Do(t, s.browser, chromedp.KeyEvent(kb.Tab))
			if browsertest.Eval[bool](t, s.browser, fmt.Sprintf(`document.activeElement?.matches(%q) === true`, selector)) {
				browsertest.Do(t, s.browser, chromedp.KeyEvent(kb.Enter))
				return
			}
		}
		t.Fatalf("%s is not reached with the Tab key", what)
	}
	enter("the button that connects", "#connect")
	enter("LinkedIn's consent", "#approve")
	s.says("Connected to LinkedIn")
	enter("the way back", `a[href="../"]`)
	s.leads(10)
	enter("the table of the chart", "summary")
	browsertest.Wait(t, s.browser, `document.querySelector("details").open`)
	enter("the button that disconnects", "#disconnect")
	s.says("Disconnect LinkedIn?")
	enter("the way back", `a[href="../"]`)
	s.says("Everything works")
}

func TestDisconnectFromThePage(t *testing.T) {
	s := newSite(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 10, Seed: 6, AutoConsent: true})
	s.consent(nil)
	p := s.start()
	s.open(p, browsertest.PhoneLight)
	s.leads(10)
	s.press("#disconnect")
	s.says("Disconnect LinkedIn?")
	s.pictures("disconnect-1-asks", browsertest.PhoneLight, browsertest.WideDark)
	s.press("button.danger")
	s.says("Not connected", "Nobody has connected leadstream to LinkedIn yet")
	p.awaitMetric("leadstream_authorized", "0")
	if _, err := os.Stat(s.env["LEADSTREAM_TOKEN_FILE"]); !os.IsNotExist(err) {
		t.Errorf("the token file is still there (%v)", err)
	}
	s.pictures("disconnect-2-done", browsertest.PhoneLight)
	s.press("#connect") // and it can be connected again; LinkedIn remembers that the member agreed
	s.says("Connected to LinkedIn")
	s.press(`a[href="../"]`)
	s.says("Everything works")
}

func TestAStandbyShowsTheWorkAndWhoDoesIt(t *testing.T) {
	s := newSite(t, linkedinsim.Config{Organizations: 1, Events: 2, Forms: 2, Leads: 40, Seed: 7, AutoConsent: true})
	s.consent(nil)
	active := s.start()
	s.open(active, browsertest.PhoneLight)
	s.leads(40)
	standby := s.start()
	standby.awaitMetric("leadstream_active", "0")
	s.open(standby, browsertest.WideLight)
	_, name := s.owner(0)
	s.says("stands by", fmt.Sprintf(":%d is the active one", active.cmd.Process.Pid), "What stands below was read from Kafka", name)
	s.leads(40)
	s.pictures("standby-1", browsertest.Screens()...)
	active.kill()
	s.says("is the active one, since")
	s.leads(40) // the count has survived
	if body := standby.get("/readyz?strict=1"); !strings.Contains(body, `"degraded": []`) {
		t.Errorf("after the takeover /readyz says %s", body)
	}
	s.pictures("standby-2-took-over", browsertest.WideLight)
	if code := answerCode(t, standby.url+"/readyz?strict=1"); code != http.StatusOK {
		t.Errorf("after the takeover /readyz?strict=1 is %d, want 200", code)
	}
}

func answerCode(t *testing.T, url string) int {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode
}
