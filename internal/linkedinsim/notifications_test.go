package linkedinsim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const notifications = "/rest/leadNotifications"

// criteria is the finder over the first organization's subscriptions.
func criteria(more string) string {
	return notifications + "?q=criteria&owner=(value:(organization:" + url.QueryEscape(firstOwner) + "))&leadType=(leadType:EVENT)" + more
}

func (c *client) post(body string, header map[string]string) (int, []byte) {
	c.t.Helper()
	if header == nil {
		header = jsonType
	}
	return read(c.t, c.do(http.MethodPost, notifications, body, header))
}

func TestSubscriptionIsMadeReadListedAndDeleted(t *testing.T) {
	c, _ := withReceiver(t, Config{})
	const element = `{"id":7012001,"webhook":"https://hooks.example.com/linkedin","owner":{"organization":"urn:li:organization:9000123"},"leadType":"EVENT"}`
	if id := c.register(subscriptionBody("")); id != "7012001" {
		t.Errorf("the first subscription is %s, want 7012001", id)
	}
	wantJSON(t, "one", c.wantStatus(notifications+"/7012001", http.StatusOK), []byte(element))
	if p := c.page(criteria("")); len(p.Elements) != 1 || *p.Paging.Total != 1 {
		t.Errorf("the finder lists %d, want 1", len(p.Elements))
	} else {
		wantJSON(t, "listed", p.Elements[0], []byte(element))
	}
	answer := c.do(http.MethodDelete, notifications+"/7012001", "", nil)
	if status, body := read(t, answer); status != http.StatusNoContent || len(body) != 0 || answer.Header.Get("Content-Type") != "" {
		t.Errorf("DELETE = %d %s %s, want 204 and nothing", status, body, answer.Header.Get("Content-Type"))
	}
	c.wantStatus(notifications+"/7012001", http.StatusNotFound)
	if status, _ := read(t, c.do(http.MethodDelete, notifications+"/7012001", "", nil)); status != http.StatusNotFound {
		t.Errorf("DELETE of what is gone = %d, want 404", status)
	}
	if id := c.register(subscriptionBody("")); id != "7012002" {
		t.Errorf("the next subscription is %s, want 7012002", id)
	}
}

func TestSubscriptionKeepsWhatItIsNarrowedTo(t *testing.T) {
	c, _ := withReceiver(t, Config{})
	const narrow = `,"associatedEntity":{"event":"urn:li:event:7200000000000000123"},` +
		`"versionedForm":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7130000000000000001,1)"`
	id := c.register(subscriptionBody(narrow))
	want := strings.Replace(subscriptionBody(narrow), "{", `{"id":`+id+`,`, 1)
	wantJSON(t, "one", c.wantStatus(notifications+"/"+id, http.StatusOK), []byte(want))
	wantJSON(t, "projected", c.wantStatus(notifications+"/"+id+"?fields=id", http.StatusOK), []byte(`{"id":`+id+`}`))
}

func TestSubscriptionsAreNotUpdated(t *testing.T) {
	c, _ := withReceiver(t, Config{})
	id := c.register(subscriptionBody(""))
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch} {
		header := map[string]string{"Content-Type": "application/json", "X-RestLi-Method": "PARTIAL_UPDATE"}
		if status, _ := read(t, c.do(method, notifications+"/"+id, `{"patch":{}}`, header)); status != http.StatusMethodNotAllowed {
			t.Errorf("%s = %d, want 405", method, status)
		}
	}
	for _, target := range []string{notifications, "/rest/leadForms/7130000000000000001"} {
		if status, _ := read(t, c.do(http.MethodDelete, target, "", nil)); status != http.StatusMethodNotAllowed {
			t.Errorf("DELETE %s = %d, want 405", target, status)
		}
	}
}

func TestSubscriptionsAreRefused(t *testing.T) {
	const organization = `{"organization":"urn:li:organization:9000123"}`
	body := func(webhook, owner, leadType, more string) string {
		return `{"webhook":"` + webhook + `","owner":` + owner + `,"leadType":"` + leadType + `"` + more + `}`
	}
	event := func(more string) string { return body(hookURL, organization, "EVENT", more) }
	at := func(webhook string) string { return body(webhook, organization, "EVENT", "") }
	scope := func(c *client) { c.token = c.server.IssueToken("r_events", "r_organization_admin").AccessToken }
	role := func(c *client) {
		c.control(http.MethodPost, "/sim/faults", `{"kind":"lose_role","owner":"9000123"}`, 200)
	}
	tests := []struct {
		name, body string
		status     int
		want       string
		header     map[string]string
		before     func(*client)
	}{
		{"no webhook", `{"owner":` + organization + `,"leadType":"EVENT"}`, 400, `"webhook"`, nil, nil},
		{"plain http", at("http://hooks.example.com/linkedin"), 400, `"webhook"`, nil, nil},
		{"credentials", at("https://user:pass@hooks.example.com/"), 400, `"webhook"`, nil, nil},
		{"tunnel", at("https://abc.ngrok-free.app/linkedin"), 400, `"webhook"`, nil, nil},
		{"this machine", at("https://localhost/linkedin"), 400, `"webhook"`, nil, nil},
		{"loopback", at("https://127.0.0.1/linkedin"), 400, `"webhook"`, nil, nil},
		{"private", at("https://10.1.2.3/linkedin"), 400, `"webhook"`, nil, nil},
		{"no URL", at("hooks"), 400, `"webhook"`, nil, nil},
		{"no owner", `{"webhook":"` + hookURL + `","leadType":"EVENT"}`, 400, `"owner"`, nil, nil},
		{"owner without union", body(hookURL, `"urn:li:organization:9000123"`, "EVENT", ""), 400, `"owner"`, nil, nil},
		{"owner of no kind", body(hookURL, `{"organization":"urn:li:person:1"}`, "EVENT", ""), 400, `"owner"`, nil, nil},
		{"account with EVENT", body(hookURL, `{"sponsoredAccount":"urn:li:sponsoredAccount:1"}`, "EVENT", ""), 400, `"owner"`, nil, nil},
		{"page with SPONSORED", body(hookURL, organization, "SPONSORED", ""), 400, `"owner"`, nil, nil},
		{"account without role", body(hookURL, `{"sponsoredAccount":"urn:li:sponsoredAccount:1"}`, "SPONSORED", ""), 403, "ACCESS_DENIED", nil, nil},
		{"unknown organization", body(hookURL, `{"organization":"urn:li:organization:5"}`, "EVENT", ""), 403, "ACCESS_DENIED", nil, nil},
		{"unknown type", body(hookURL, organization, "WEBINAR", ""), 400, `"leadType"`, nil, nil},
		{"type as union", `{"webhook":"` + hookURL + `","owner":` + organization + `,"leadType":{"leadType":"EVENT"}}`, 400, `"leadType"`, nil, nil},
		{"event as URN", event(`,"associatedEntity":"urn:li:event:7200000000000000123"`), 400, `"associatedEntity"`, nil, nil},
		{"event of another", event(`,"associatedEntity":{"event":"urn:li:event:7200000000000000124"}`), 400, `"associatedEntity"`, nil, nil},
		{"form of another", event(`,"versionedForm":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7130000000000000002,1)"`), 400, `"versionedForm"`, nil, nil},
		{"form without version", event(`,"versionedForm":"urn:li:leadGenForm:7130000000000000001"`), 400, `"versionedForm"`, nil, nil},
		{"unknown member", event(`,"secret":"x"`), 400, `"secret"`, nil, nil},
		{"no JSON", `webhook=x`, 400, "not a JSON object", nil, nil},
		{"a list", `[]`, 400, "not a JSON object", nil, nil},
		{"too long", event(`,"x":"` + strings.Repeat("y", 30<<10) + `"`), 414, "", nil, nil},
		{"content type", event(""), 415, "application/json", map[string]string{"Content-Type": "text/plain"}, nil},
		{"method", event(""), 400, "X-RestLi-Method", map[string]string{"Content-Type": "application/json", "X-RestLi-Method": "UPDATE"}, nil},
		{"version", event(""), 426, "NONEXISTENT_VERSION", map[string]string{"Content-Type": "application/json", "LinkedIn-Version": "202511"}, nil},
		{"no scope", event(""), 403, "leadNotifications.CREATE.20260701", nil, scope},
		{"no role", event(""), 403, "ACCESS_DENIED", nil, role},
		{"no token", event(""), 401, "Empty oauth2_access_token", map[string]string{"Content-Type": "application/json", "Authorization": ""}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := withReceiver(t, Config{})
			if tt.before != nil {
				tt.before(c)
			}
			if status, answer := c.post(tt.body, tt.header); status != tt.status || !strings.Contains(string(answer), tt.want) {
				t.Errorf("POST = %d %s, want %d with %s", status, answer, tt.status, tt.want)
			}
			if got := c.server.Describe().Notifications; got != 0 {
				t.Errorf("%d notifications are registered, want none", got)
			}
		})
	}
}

func TestLocalWebhooksAreForTests(t *testing.T) {
	c, _ := withReceiver(t, Config{Switches: Switches{LocalWebhooks: true}})
	for _, webhook := range []string{"http://127.0.0.1:8480/hook", "http://localhost/hook", "https://127.0.0.1/hook", "http://leadstream:8485/webhooks/linkedin"} {
		c.register(strings.Replace(subscriptionBody(""), hookURL, webhook, 1))
	}
	if status, _ := c.post(strings.Replace(subscriptionBody(""), hookURL, "ftp://localhost/", 1), nil); status != http.StatusBadRequest {
		t.Errorf("an ftp URL = %d, want 400", status)
	}
}

func TestSubscriptionsHaveALimitPerOwner(t *testing.T) {
	c, _ := withReceiver(t, Config{})
	for range maxSubscriptions { // all alike, which is allowed
		c.register(subscriptionBody(""))
	}
	if status, body := c.post(subscriptionBody(""), nil); status != http.StatusBadRequest || !strings.Contains(string(body), "1500") {
		t.Errorf("one more = %d %s, want 400", status, body)
	}
	c.register(strings.Replace(subscriptionBody(""), "9000123", "9000456", 1))
	found := 0
	for start := 0; ; start += 100 {
		p := c.page(criteria(fmt.Sprintf("&count=100&start=%d", start)))
		if found += len(p.Elements); len(p.Elements) == 0 {
			break
		}
	}
	if found != maxSubscriptions {
		t.Errorf("the finder lists %d, want %d", found, maxSubscriptions)
	}
}

func TestFinderOfSubscriptionsWantsItsOwnUnion(t *testing.T) {
	c, _ := withReceiver(t, Config{})
	c.register(subscriptionBody(""))
	const organization = "organization:urn%3Ali%3Aorganization%3A9000123"
	const kind = "&leadType=(leadType:EVENT)"
	for _, tt := range []struct {
		query  string
		status int
		found  int
	}{
		{"?q=criteria&owner=(value:(" + organization + "))" + kind, 200, 1},
		{"?q=criteria&owner=(value:(" + organization + "))&leadType=(leadType:COMPANY)", 200, 0},
		{"?q=criteria&owner=(" + organization + ")" + kind, 400, 0},
		{"?q=criteria&owner=(value:urn%3Ali%3Aorganization%3A9000123)" + kind, 400, 0},
		{"?q=criteria&owner=(value:(" + organization + "))", 400, 0},
		{"?q=criteria&owner=(value:(" + organization + "))&leadType=EVENT", 400, 0},
		{"?q=criteria" + kind, 400, 0},
		{"?q=owner&owner=(" + organization + ")" + kind, 400, 0},
		{"?q=criteria&owner=(value:(sponsoredAccount:urn%3Ali%3AsponsoredAccount%3A1))" + kind, 400, 0},
		{"?q=criteria&owner=(value:(organization:urn%253Ali%253Aorganization%253A9000123))" + kind, 200, 0},
		{"?q=criteria&owner=(value:(organization:urn%3Ali%3Aorganization%3A5))" + kind, 403, 0},
		{"?q=criteria&owner=(value:(" + organization + "))" + kind + "&count=101", 400, 0},
	} {
		status, body := c.get(notifications + tt.query)
		var p page
		if status == http.StatusOK {
			decodeJSON(t, body, &p)
		}
		if status != tt.status || len(p.Elements) != tt.found {
			t.Errorf("GET %s = %d %.200s, want %d and %d elements", tt.query, status, body, tt.status, tt.found)
		}
	}
	encoded := notifications + "?q=criteria&owner=%28value%3A%28organization%3Aurn%3Ali%3Aorganization%3A9000123%29%29&leadType=%28leadType%3AEVENT%29"
	c.wantStatus(encoded, http.StatusBadRequest)
	c.control(http.MethodPost, "/sim/switches", `{"acceptEncodedUnion":true}`, http.StatusOK)
	if p := c.page(encoded); len(p.Elements) != 1 {
		t.Errorf("the encoded union finds %d, want 1", len(p.Elements))
	}
}

func TestSubscriptionsFollowTheirSwitches(t *testing.T) {
	c, _ := withReceiver(t, Config{Switches: Switches{NotificationDeleteStatus: 200}})
	id := c.register(subscriptionBody(""))
	if status, _ := read(t, c.do(http.MethodDelete, notifications+"/"+id, "", nil)); status != http.StatusOK {
		t.Errorf("DELETE = %d, want the 200 of the switch", status)
	}
	for _, dies := range []bool{false, true} {
		c, _ := withReceiver(t, Config{Switches: Switches{WebhookDiesWithRole: dies}})
		id := c.register(subscriptionBody(""))
		c.control(http.MethodPost, "/sim/faults", `{"kind":"lose_role","owner":"9000123"}`, http.StatusOK)
		c.wantStatus(notifications+"/"+id, map[bool]int{false: http.StatusForbidden, true: http.StatusNotFound}[dies])
		c.control(http.MethodPost, "/sim/faults", `{"kind":"grant_role","owner":"9000123"}`, http.StatusOK)
		c.wantStatus(notifications+"/"+id, map[bool]int{false: http.StatusOK, true: http.StatusNotFound}[dies])
	}
	c, _ = withReceiver(t, Config{Switches: Switches{RefuseUnknown: true}})
	if status, _ := read(t, c.do(http.MethodPost, notifications+"?dryRun=true", subscriptionBody(""), jsonType)); status != http.StatusBadRequest || c.server.Describe().Notifications != 0 {
		t.Errorf("an unknown parameter = %d and %d notifications, want 400 and none", status, c.server.Describe().Notifications)
	}
}

// TestLostAnswerLeavesTheSubscription: what a client does not hear of was done
// all the same, and after a fault in place of the answer it was not.
func TestLostAnswerLeavesTheSubscription(t *testing.T) {
	for kind, want := range map[string]int{"reset": 1, "truncated": 1, "status": 0, "html": 0} {
		c, _ := withReceiver(t, Config{})
		web := httptest.NewServer(c.server)
		c.control(http.MethodPost, "/sim/faults", `{"kind":"`+kind+`","endpoint":"leadNotifications"}`, http.StatusOK)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, web.URL+notifications, strings.NewReader(subscriptionBody("")))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "Bearer " + c.token, "LinkedIn-Version": "202607", "X-Restli-Protocol-Version": "2.0.0", "Content-Type": "application/json"} {
			r.Header.Set(name, value)
		}
		if answer, err := web.Client().Do(r); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body) // ends early, as it should
			_ = answer.Body.Close()
		}
		web.Close()
		if got := c.server.Describe().Notifications; got != want {
			t.Errorf("after %s there are %d notifications, want %d", kind, got, want)
		}
	}
}

func TestSubscriptionsCountAsRequests(t *testing.T) {
	c, _ := withReceiver(t, Config{})
	c.register(subscriptionBody(""))
	var stats Stats
	decodeJSON(t, c.control(http.MethodGet, "/sim/stats", "", http.StatusOK), &stats)
	if stats.ByEndpoint["leadNotifications"] != 1 || stats.ByStatus[http.StatusCreated] != 1 {
		t.Errorf("stats are %+v, want one leadNotifications with 201", stats)
	}
	var d Description
	if err := json.Unmarshal(c.control(http.MethodGet, "/sim", "", http.StatusOK), &d); err != nil || d.Notifications != 1 || d.ApplicationID == "" {
		t.Errorf("the description is %+v, %v, want one notification", d, err)
	}
}
