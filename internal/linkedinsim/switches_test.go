package linkedinsim

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// switched is what one request answers under switches and without them.
type switched struct {
	name, target string
	header       map[string]string
	before       func(*client)
	sw           Switches
	// A status of 0 is not looked at. A text that begins with ! must be absent.
	plainStatus, status int
	plain, want         string
}

func TestEachSwitchChangesItsAnswer(t *testing.T) {
	const finder = smallFinder + "&count=5"
	const events = "/rest/events?q=eventsByOrganizer&organizer=urn%3Ali%3Aorganization%3A9000123"
	const roles = "/rest/organizationAcls?q=roleAssignee"
	const event = "&associatedEntity=urn%3Ali%3Aevent%3A7200000000000000123"
	const eventUnion = "&associatedEntity=(event:urn%3Ali%3Aevent%3A7200000000000000123)"
	const encoded = "/rest/leadFormResponses?q=owner&owner=%28organization%3Aurn%3Ali%3Aorganization%3A9000123%29&leadType=%28leadType%3AEVENT%29" +
		"&submittedAtTimeRange=%28start%3A0%2Cend%3A1900000000000%29"
	noVersion := map[string]string{"LinkedIn-Version": ""}
	tests := []switched{
		{name: "responses", target: smallFinder + "&count=60", sw: Switches{MaxResponses: 50}, plainStatus: 200, status: 400},
		{name: "events", target: events + "&count=60", sw: Switches{MaxEvents: 100}, plainStatus: 400, status: 200},
		{name: "forms", target: "/rest/leadForms?q=owner&" + smallOwner + "&count=60", sw: Switches{MaxForms: 50}, plainStatus: 200, status: 400},
		{name: "roles", target: roles + "&count=500", sw: Switches{MaxACLs: 500}, plainStatus: 400, status: 200},
		{name: "event key", target: finder, sw: Switches{AssociatedEventKey: true}, plain: `"associatedEntity":{"event":"`, want: `"associatedEntity":{"associatedEvent":"`},
		{name: "bare event, union wanted", target: finder + event, sw: Switches{AssociatedEntityParam: "union"}, plainStatus: 200, status: 400},
		{name: "union event, union wanted", target: finder + eventUnion, sw: Switches{AssociatedEntityParam: "union"}, plainStatus: 400, status: 200},
		{name: "bare event, either way", target: finder + event, sw: Switches{AssociatedEntityParam: "both"}, plainStatus: 200, status: 200},
		{name: "union event, either way", target: finder + eventUnion, sw: Switches{AssociatedEntityParam: "both"}, plainStatus: 400, status: 200},
		{name: "info", target: finder, sw: Switches{InfoAlways: true}, plain: `!ownerInfo`, want: `"ownerInfo":{`},
		{name: "blank", target: finder, sw: Switches{BlankInFormURN: true}, plain: `!, 1)`, want: `, 1)"`},
		{name: "unknown parameter", target: finder + "&submittedAfter=5", sw: Switches{RefuseUnknown: true}, plainStatus: 200, status: 400, want: `"submittedAfter"`},
		{name: "known parameters", target: finder + event + "&fields=id&limitedToTestLeads=false", sw: Switches{RefuseUnknown: true}, plainStatus: 200, status: 200},
		{name: "encoded union", target: encoded, sw: Switches{AcceptEncodedUnion: true}, plainStatus: 400, status: 200, want: `"elements":[{`},
		{name: "fields", target: finder + "&fields=id", sw: Switches{RefuseFields: true}, plainStatus: 200, status: 400, want: `"fields"`},
		{name: "missing version", target: finder, header: noVersion, sw: Switches{VersionMissingBare: true}, plainStatus: 400, status: 400, plain: "VERSION_MISSING", want: "!VERSION_MISSING"},
		{name: "vanity name", target: "/rest/organizations?q=vanityName&vanityName=example-organization-1", sw: Switches{VanityNameFinder: true}, plainStatus: 400, status: 200, want: "9000123"},
		{name: "roles without scope", target: roles, before: func(c *client) {
			c.token = c.server.IssueToken("r_marketing_leadgen_automation", "r_events").AccessToken
		}, sw: Switches{RolesWithoutAdminScope: true}, plainStatus: 403, status: 200},
		{name: "organization of a role", target: roles, sw: Switches{OrganizationTarget: true}, plain: `"organization":"urn`, want: `"organizationTarget":"urn`},
		{name: "links", target: finder + "&start=5", sw: Switches{Links: "none"}, plain: `"rel":"next"`, want: `"links":[]`},
		{name: "event's form", target: events, sw: Switches{UnversionedEventForm: true}, plain: `"leadGenForm":"urn:li:versioned`, want: `"leadGenForm":"urn:li:leadGenForm:`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := smallWorld(t)
			if tt.before != nil {
				tt.before(c)
			}
			tt.check(t, c, "without the switch", tt.plainStatus, tt.plain)
			if err := c.server.SetSwitches(tt.sw); err != nil {
				t.Fatal(err)
			}
			tt.check(t, c, "with the switch", tt.status, tt.want)
		})
	}
}

func (s switched) check(t *testing.T, c *client, when string, status int, want string) {
	t.Helper()
	got, body := read(t, c.do(http.MethodGet, s.target, "", s.header))
	if status != 0 && got != status {
		t.Errorf("%s: status %d %.200s, want %d", when, got, body, status)
	}
	text, absent := strings.CutPrefix(want, "!")
	if strings.Contains(string(body), text) == absent {
		t.Errorf("%s: %.400s, want %q", when, body, want)
	}
}

func TestTestLeadsFollowTheirSwitch(t *testing.T) {
	const omitted, no, only = "", "&limitedToTestLeads=false", "&limitedToTestLeads=true"
	for mode, want := range map[string]map[string]int{
		"":                 {omitted: 5, no: 5, only: 2},
		"false_excludes":   {omitted: 5, no: 3, only: 2},
		"omitted_excludes": {omitted: 3, no: 3, only: 2},
	} {
		c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, HiddenShare: -1, Switches: Switches{TestLeads: mode}})
		if _, err := c.server.AddLeads(LeadSpec{Count: 3}, LeadSpec{Count: 2, TestLead: true}); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, more := range []string{omitted, no, only} {
			got[more] = len(c.scan(10, more))
		}
		if !maps.Equal(got, want) || len(c.listed()) != want[omitted] {
			t.Errorf("switch %q: the finder lists %v and the ledger %d, want %v", mode, got, len(c.listed()), want)
		}
	}
}

func TestEveryVariantIsOneAlternative(t *testing.T) {
	seen := map[Switches]string{{}: "the default"}
	fields := map[string]bool{}
	all := Variants()
	maps.Copy(all, NotificationVariants())
	for name, sw := range all {
		if other, twice := seen[sw]; twice {
			t.Errorf("variant %q is the same as %q", name, other)
		}
		seen[sw] = name
		if err := sw.validate(); err != nil {
			t.Errorf("variant %q: %v", name, err)
		}
		set := 0
		v := reflect.ValueOf(sw)
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				fields[v.Type().Field(i).Name] = true
				set++
			}
		}
		if set != 1 {
			t.Errorf("variant %q sets %d switches, want 1", name, set)
		}
	}
	// Limits and permissions, not alternatives.
	for _, name := range []string{"DailyBudget", "WithheldScopes", "LocalWebhooks", "WebhookRetry", "WebhookRetryFor", "WebhookTimeout"} {
		fields[name] = true
	}
	for i := range reflect.TypeFor[Switches]().NumField() {
		if name := reflect.TypeFor[Switches]().Field(i).Name; !fields[name] {
			t.Errorf("no variant sets %s", name)
		}
	}
}

func TestSwitchesSurviveTheControlAPI(t *testing.T) {
	c := smallWorld(t)
	all := Variants()
	maps.Copy(all, NotificationVariants())
	for name, sw := range all {
		text, err := json.Marshal(sw)
		if err != nil {
			t.Fatal(err)
		}
		answer := c.control(http.MethodPost, "/sim/switches", string(text), http.StatusOK)
		if !bytes.Equal(answer, text) || c.server.Switches() != sw {
			t.Errorf("variant %q: sent %s, in force %s", name, text, answer)
		}
	}
}

func TestDefaultWorldHasLeadsOfEveryForm(t *testing.T) {
	c := newClient(t, Default())
	forms := map[string]int{}
	for e := range c.server.Ledger() {
		forms[e.FormID]++
	}
	if len(forms) != 4 || c.server.Leads() != 1000 {
		t.Errorf("the default world has %d leads of %d forms, want 1000 of 4", c.server.Leads(), len(forms))
	}
}
