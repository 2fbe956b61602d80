//go:build browser

package main

import (
	"maps"
	"strings"
	"testing"

	"leadstream/internal/browsertest"
	"leadstream/internal/linkedinsim"
)

// TestThePageOfEachIssue keeps pictures of what people see when something happens,
// and holds each to what everybody can use.
func TestThePageOfEachIssue(t *testing.T) {
	for _, c := range incidents() {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Leads: 20, Seed: 1, AutoConsent: true})
			s.consentLongAgo()
			if c.before != nil {
				over := map[string]string{}
				c.before(s.stack, over)
				maps.Copy(s.env, over)
			}
			s.env["LEADSTREAM_NAME"] = "leadstream"
			p := s.start()
			s.open(p, browsertest.PhoneLight)
			s.leads(20)
			c.happens(s.stack)
			switch {
			case c.errors > 0, strings.Contains(c.name, "away"):
				browsertest.Wait(t, s.browser, `/attention|look at/.test(document.getElementById("h-now").textContent)`)
			default:
				s.says("Last errors", "Tried again")
			}
			checkPage(t, p.get("/"), c.errors > 0)
			s.pictures("issue-"+strings.ReplaceAll(c.name, " ", "-"), browsertest.PhoneLight, browsertest.WideDark)
		})
	}
}
