package linkedinsim

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	smallOwner  = "owner=(organization:urn%3Ali%3Aorganization%3A9000123)"
	eventType   = "leadType=(leadType:EVENT)"
	smallFinder = "/rest/leadFormResponses?q=owner&" + smallOwner + "&" + eventType
)

func smallWorld(t *testing.T) *client {
	t.Helper()
	return newClient(t, Config{Organizations: 1, Events: 2, Forms: 2, Leads: 50, HiddenShare: -1, TestShare: -1, Seed: 3})
}

func TestWhatLinkedInRefuses(t *testing.T) {
	long := strings.Repeat("x", 5000)
	tests := []struct {
		name, target string
		want         int
		header       map[string]string
	}{
		{"right", smallFinder, 200, nil},
		{"plus sign", smallFinder + "&x=a+b", 400, nil},
		{"bare bar", smallFinder + "&x=a|b", 400, nil},
		{"unencoded URN in record", "/rest/leadFormResponses?q=owner&owner=(organization:urn:li:organization:9000123)&" + eventType, 400, nil},
		{"unencoded URN", "/rest/events?q=eventsByOrganizer&organizer=urn:li:organization:9000123", 400, nil},
		{"encoded union", "/rest/leadFormResponses?q=owner&owner=%28organization%3Aurn%3Ali%3Aorganization%3A9000123%29&" + eventType, 400, nil},
		{"no owner", "/rest/leadFormResponses?q=owner&" + eventType, 400, nil},
		{"no lead type", "/rest/leadFormResponses?q=owner&" + smallOwner, 400, nil},
		{"lead type without union", "/rest/leadFormResponses?q=owner&" + smallOwner + "&leadType=EVENT", 400, nil},
		{"unknown lead type", "/rest/leadFormResponses?q=owner&" + smallOwner + "&leadType=(leadType:PARTY)", 400, nil},
		{"event leads of an ad account", "/rest/leadFormResponses?q=owner&owner=(sponsoredAccount:urn%3Ali%3AsponsoredAccount%3A1)&" + eventType, 400, nil},
		{"sponsored leads of a page", "/rest/leadFormResponses?q=owner&" + smallOwner + "&leadType=(leadType:SPONSORED)", 400, nil},
		{"sponsored leads without role", "/rest/leadFormResponses?q=owner&owner=(sponsoredAccount:urn%3Ali%3AsponsoredAccount%3A1)&leadType=(leadType:SPONSORED)", 403, nil},
		{"unknown organization", "/rest/leadFormResponses?q=owner&owner=(organization:urn%3Ali%3Aorganization%3A1)&" + eventType, 403, nil},
		{"count too large", smallFinder + "&count=101", 400, nil},
		{"count zero", smallFinder + "&count=0", 400, nil},
		{"negative start", smallFinder + "&start=-1", 400, nil},
		{"range without start", smallFinder + "&submittedAtTimeRange=(end:5)", 400, nil},
		{"range backwards", smallFinder + "&submittedAtTimeRange=(start:6,end:5)", 400, nil},
		{"range open", smallFinder + "&submittedAtTimeRange=(start:6)", 200, nil},
		{"form without version", smallFinder + "&versionedLeadGenFormUrn=urn%3Ali%3AleadGenForm%3A7130000000000000001", 400, nil},
		{"unknown finder", "/rest/leadFormResponses?q=everything", 400, nil},
		{"no finder", "/rest/leadFormResponses", 400, nil},
		{"unknown parameter", smallFinder + "&submittedAfter=5", 200, nil},
		{"too many events", "/rest/events?q=eventsByOrganizer&organizer=urn%3Ali%3Aorganization%3A9000123&count=51", 400, nil},
		{"form by URN", "/rest/leadForms/urn%3Ali%3AleadGenForm%3A7130000000000000001", 400, nil},
		{"lead by URN", "/rest/leadFormResponses/urn%3Ali%3AleadGenFormResponse%3Ax", 400, nil},
		{"unknown form", "/rest/leadForms/7139999999999999999", 404, nil},
		{"unknown event", "/rest/events/7209999999999999999", 404, nil},
		{"unknown resource", "/rest/leadSyncForms?q=owner", 404, nil},
		{"no token", smallFinder, 401, map[string]string{"Authorization": ""}},
		{"basic authentication", smallFinder, 401, map[string]string{"Authorization": "Basic eDp5"}},
		{"no version", smallFinder, 400, map[string]string{"LinkedIn-Version": ""}},
		{"version that never was", smallFinder, 426, map[string]string{"LinkedIn-Version": "202512"}},
		{"no protocol version", smallFinder, 400, map[string]string{"X-Restli-Protocol-Version": ""}},
		{"plain URN without protocol version", "/rest/events?q=eventsByOrganizer&organizer=urn:li:organization:9000123", 200, map[string]string{"X-Restli-Protocol-Version": ""}},
		{"unknown protocol version", smallFinder, 400, map[string]string{"X-Restli-Protocol-Version": "3.0.0"}},
		{"method named", smallFinder, 200, map[string]string{"X-RestLi-Method": "FINDER"}},
		{"wrong method named", smallFinder, 400, map[string]string{"X-RestLi-Method": "GET"}},
		{"batch without method", "/rest/leadForms?ids=List(7130000000000000001)", 400, nil},
		{"batch", "/rest/leadForms?ids=List(7130000000000000001)", 200, map[string]string{"X-RestLi-Method": "BATCH_GET"}},
		{"query too long", smallFinder + "&x=" + long, 414, nil},
		{"segment too long", "/rest/leadForms/" + long, 414, nil},
		{"me without profile scope", "/v2/me", 403, nil},
		{"userinfo without openid", "/v2/userinfo", 403, nil},
		{"vanityName finder", "/rest/organizations?q=vanityName&vanityName=example-organization-1", 400, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := smallWorld(t)
			status, body := read(t, c.do(http.MethodGet, tt.target, "", tt.header))
			if status != tt.want {
				t.Errorf("GET %.200s = %d %.300s, want %d", tt.target, status, body, tt.want)
			}
		})
	}
}

func TestDoubleEncodedIsAnEmptyAnswer(t *testing.T) {
	c := smallWorld(t)
	for _, target := range []string{
		"/rest/leadFormResponses?q=owner&owner=(organization:urn%253Ali%253Aorganization%253A9000123)&" + eventType,
		"/rest/events?q=eventsByOrganizer&organizer=urn%253Ali%253Aorganization%253A9000123",
		"/rest/leadForms?q=owner&owner=(organization:urn%253Ali%253Aorganization%253A9000123)",
	} {
		if p := c.page(target); p.Elements == nil || len(p.Elements) != 0 {
			t.Errorf("GET %s has %d elements, want an empty list", target, len(p.Elements))
		}
	}
}

func TestEachEndpointNeedsItsScope(t *testing.T) {
	tests := []struct{ scope, target, other string }{
		{"r_marketing_leadgen_automation", smallFinder, "r_events"},
		{"r_marketing_leadgen_automation", "/rest/leadForms?q=owner&" + smallOwner, "r_events"},
		{"r_ads", "/rest/leadForms?q=owner&" + smallOwner, "r_events"},
		{"r_events", "/rest/events?q=organizerLeadGenFormEnabledEvents&organizer=urn%3Ali%3Aorganization%3A9000123", "r_organization_admin"},
		{"r_organization_admin", "/rest/organizationAcls?q=roleAssignee", "r_marketing_leadgen_automation"},
		{"r_organization_admin", "/rest/organizations/9000123", "r_events"},
		{"r_basicprofile", "/v2/me", "r_events"},
		{"openid", "/v2/userinfo", "r_events"},
	}
	for _, tt := range tests {
		c := smallWorld(t)
		c.token = c.server.IssueToken(tt.scope).AccessToken
		c.wantStatus(tt.target, http.StatusOK)
		c.token = c.server.IssueToken(tt.other).AccessToken
		if body := string(c.wantStatus(tt.target, http.StatusForbidden)); !strings.Contains(body, `"serviceErrorCode":100`) {
			t.Errorf("GET %s with %s answers %s, want serviceErrorCode 100", tt.target, tt.other, body)
		}
	}
}

func TestRefusedMeNamesItself(t *testing.T) {
	body := string(smallWorld(t).wantStatus("/v2/me", http.StatusForbidden))
	if want := "Not enough permissions to access: me.GET.NO_VERSION"; !strings.Contains(body, want) {
		t.Errorf("/v2/me answers %s, want %q in it", body, want)
	}
}

func TestEventLeadsNeedAnAdministrator(t *testing.T) {
	for role, want := range map[string]int{"ADMINISTRATOR": 200, "CONTENT_ADMINISTRATOR": 200, "ANALYST": 403, "LEAD_GEN_FORMS_MANAGER": 403} {
		c := smallWorld(t)
		for _, f := range []Fault{{Kind: LoseRole, Owner: firstOwner}, {Kind: GrantRole, Owner: "9000123", Role: role}} {
			if err := c.server.Schedule(f); err != nil {
				t.Fatal(err)
			}
		}
		c.wantStatus(smallFinder, want)
		c.wantStatus("/rest/events?q=eventsByOrganizer&organizer=urn%3Ali%3Aorganization%3A9000123", want)
		c.wantStatus("/rest/leadForms?q=owner&"+smallOwner, http.StatusOK)
	}
}

func TestAnswersCarryLinkedInsHeaders(t *testing.T) {
	c := smallWorld(t)
	c.server.SetClockOffset(-300e9)
	r := c.do(http.MethodGet, smallFinder, "", nil)
	if _, body := read(t, r); len(body) == 0 {
		t.Error("the body is empty")
	}
	for _, name := range []string{"X-Li-Uuid", "X-Li-Request-Id", "X-Li-Fabric", "X-Restli-Protocol-Version"} {
		if r.Header.Get(name) == "" {
			t.Errorf("header %s is missing", name)
		}
	}
	if got, want := r.Header.Get("Date"), "Sun, 22 Nov 2026 23:55:00 GMT"; got != want {
		t.Errorf("Date = %q, want LinkedIn's clock, %q", got, want)
	}
}

// A lead that was listed stays it when LinkedIn's clock is put back; one that is
// still to come waits for that clock.
func TestListedLeadsStayWhenTheClockGoesBack(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1})
	if _, err := c.server.AddLeads(LeadSpec{}, LeadSpec{VisibleAfter: time.Minute}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		offset time.Duration
		want   int
	}{{0, 1}, {-time.Hour, 1}, {time.Minute - 1, 1}, {time.Minute, 2}, {-time.Hour, 2}} {
		c.server.SetClockOffset(tt.offset)
		if got := len(c.scan(10, "")); got != tt.want {
			t.Errorf("at offset %v %d leads are listed, want %d", tt.offset, got, tt.want)
		}
	}
}

func TestLongQueriesCanBeTunnelled(t *testing.T) {
	c := smallWorld(t)
	_, query, _ := strings.Cut(smallFinder, "?")
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "X-HTTP-Method-Override": "GET"}
	want := c.wantStatus(smallFinder, http.StatusOK)
	tests := []struct {
		name, target, body string
		header             map[string]string
		want               int
	}{
		{"tunnelled", "/rest/leadFormResponses", query, form, 200},
		{"tunnelled beyond a URL's limit", "/rest/leadFormResponses", query + "&x=" + strings.Repeat("x", 9000), form, 200},
		{"beyond a request's limit", "/rest/leadFormResponses", query + "&x=" + strings.Repeat("x", 29000), form, 414},
		{"query in the URL as well", smallFinder, query, form, 405},
		{"no override", "/rest/leadFormResponses", query, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 405},
		{"JSON", "/rest/leadFormResponses", query, map[string]string{"Content-Type": "application/json", "X-HTTP-Method-Override": "GET"}, 405},
	}
	for _, tt := range tests {
		status, body := read(t, c.do(http.MethodPost, tt.target, tt.body, tt.header))
		if status != tt.want {
			t.Errorf("%s: %d %.200s, want %d", tt.name, status, body, tt.want)
		}
		if tt.name == "tunnelled" {
			var a, b page
			decodeJSON(t, body, &a)
			decodeJSON(t, want, &b)
			if len(a.Elements) != len(b.Elements) || len(a.Elements) == 0 {
				t.Errorf("tunnelled answer has %d elements, the plain one %d, want the same", len(a.Elements), len(b.Elements))
			}
		}
	}
	if status, _ := read(t, c.do(http.MethodDelete, smallFinder, "", nil)); status != http.StatusMethodNotAllowed {
		t.Errorf("DELETE = %d, want 405", status)
	}
}

func TestDailyBudgetEndsAtMidnightUTC(t *testing.T) {
	c := smallWorld(t)
	if err := c.server.SetSwitches(Switches{DailyBudget: 2, RetryAfter: true}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.wantStatus(smallFinder, http.StatusOK)
	}
	r := c.do(http.MethodGet, smallFinder, "", nil)
	if status, _ := read(t, r); status != http.StatusTooManyRequests || r.Header.Get("Retry-After") != "86400" {
		t.Errorf("third request = %d, Retry-After %q, want 429 and 86400", status, r.Header.Get("Retry-After"))
	}
	c.wantStatus("/rest/organizationAcls?q=roleAssignee", http.StatusOK) // budgets are per endpoint
	c.clock.now = c.clock.now.Add(day)
	c.wantStatus(smallFinder, http.StatusOK)
}
