package linkedinsim

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"
)

func (c *client) control(method, target, body string, want int) []byte {
	c.t.Helper()
	status, answer := read(c.t, c.do(method, target, body, nil))
	if status != want {
		c.t.Fatalf("%s %s %s = %d %s, want %d", method, target, body, status, answer, want)
	}
	return answer
}

func TestLeadsAreAddedOverHTTP(t *testing.T) {
	c := newClient(t, Config{Organizations: 2, Events: 4, Forms: 4, HiddenShare: -1, Seed: 1})
	at := testStart.Add(-time.Hour)
	tests := []struct {
		body  string
		count int
		check func([]LedgerEntry) bool
	}{
		{`{}`, 1, func(l []LedgerEntry) bool { return l[0].SubmittedAt == testStart.UnixMilli() && l[0].Listed }},
		{`{"count":3,"every":"1s"}`, 3, func(l []LedgerEntry) bool { return l[2].SubmittedAt-l[0].SubmittedAt == 2000 }},
		{`[{"age":"1h"},{"submittedAt":` + millis(at) + `},{"submittedAt":"` + at.Format(time.RFC3339) + `"}]`, 3, func(l []LedgerEntry) bool {
			return l[0].SubmittedAt == at.UnixMilli() && l[1].SubmittedAt == at.UnixMilli() && l[2].SubmittedAt == at.UnixMilli()
		}},
		{`{"visibleAfter":"10m","testLead":true}`, 1, func(l []LedgerEntry) bool {
			return !l[0].Listed && l[0].TestLead && l[0].VisibleAt == testStart.Add(10*time.Minute).UnixMilli()
		}},
		{`{"form":"7130000000000000002","id":"given-1","submitter":"urn:li:person:X","answers":[{"questionId":510101,"text":"Zoë"},{"questionId":510104,"options":[0,2]}],"consents":[]}`, 1, func(l []LedgerEntry) bool {
			return l[0].ID == "given-1" && l[0].FormID == "7130000000000000002" && l[0].Submitter == "urn:li:person:X" && len(l[0].Answers) == 2 &&
				l[0].Answers[0].Text == "Zoë" && strings.Join(l[0].Answers[1].OptionTexts, "|") == "Connectors|Stream processing" && len(l[0].Consents) == 0
		}},
		{`{"event":"urn:li:event:7200000000000000124","count":2}`, 2, func(l []LedgerEntry) bool {
			return l[0].Event == "urn:li:event:7200000000000000124" && l[0].Owner == "urn:li:organization:9000456"
		}},
		{`{"owner":"9000456","leadType":"COMPANY"}`, 1, func(l []LedgerEntry) bool {
			return l[0].LeadType == "COMPANY" && l[0].Owner == "urn:li:organization:9000456"
		}},
		{`{"malformed":"no_id"}`, 1, func(l []LedgerEntry) bool { return l[0].Malformed == NoID }},
	}
	for _, tt := range tests {
		var made []LedgerEntry
		decodeJSON(t, c.control(http.MethodPost, "/sim/leads", tt.body, http.StatusOK), &made)
		if len(made) != tt.count || !tt.check(made) {
			t.Errorf("POST /sim/leads %s = %+v", tt.body, made)
		}
	}
	c.control(http.MethodDelete, "/sim/leads/given-1", "", http.StatusOK)
	c.control(http.MethodDelete, "/sim/leads/given-1", "", http.StatusNotFound)
	lines := bufio.NewScanner(strings.NewReader(string(c.control(http.MethodGet, "/sim/ledger", "", http.StatusOK))))
	lines.Buffer(nil, 1<<20)
	total, deleted := 0, 0
	for lines.Scan() {
		var e LedgerEntry
		decodeJSON(t, lines.Bytes(), &e)
		total++
		if e.Deleted && e.ID == "given-1" {
			deleted++
		}
	}
	if total != 13 || deleted != 1 || lines.Err() != nil {
		t.Errorf("the ledger has %d leads, %d deleted, %v, want 13 and 1", total, deleted, lines.Err())
	}
}

func TestControlRefusesWhatItDoesNotUnderstand(t *testing.T) {
	c := smallWorld(t)
	for _, tt := range []struct{ target, body, want string }{
		{"/sim/leads", `{"cuont":3}`, "cuont"},
		{"/sim/leads", `{"age":"3 hours"}`, "3 hours"},
		{"/sim/leads", `{"malformed":"ugly"}`, "ugly"},
		{"/sim/leads", `{"form":"5"}`, "no form 5"},
		{"/sim/leads", `{"formVersion":9}`, "no event"},
		{"/sim/leads", `{"leadType":"SPONSORED"}`, "SPONSORED"},
		{"/sim/leads", `not json`, "reading"},
		{"/sim/leads", ``, "reading"},
		{"/sim/leads", "{}\n{}", "more"},
		{"/sim/faults", `{"kind":"flood"}`, "flood"},
		{"/sim/switches", `{"bounds":"{}"}`, "bounds"},
		{"/sim/switches", `{"unknown":true}`, "unknown"},
		{"/sim/switches?variant=none", ``, "none"},
		{"/sim/clock", `{"offset":"soon"}`, "soon"},
		{"/sim/forms", `{"id":1,"owner":{"organization":"urn:li:organization:5"}}`, "no organization 5"},
		{"/sim/events", `{"id":1,"organizer":"x"}`, "organizer"},
		{"/sim/organizations", `{}`, "positive id"},
	} {
		if body := string(c.control(http.MethodPost, tt.target, tt.body, http.StatusBadRequest)); !strings.Contains(body, tt.want) {
			t.Errorf("POST %s %s answers %s, want %q in it", tt.target, tt.body, body, tt.want)
		}
	}
	if c.server.Leads() != 50 {
		t.Error("a refused request made leads")
	}
}

func TestWorldIsExtendedOverHTTP(t *testing.T) {
	c := newClient(t, Config{})
	c.control(http.MethodPost, "/sim/organizations", `{"id":77,"name":"Seventy-seven","roles":[{"role":"ADMINISTRATOR"}]}`, http.StatusOK)
	form := `{"id":88,"owner":{"organization":"urn:li:organization:77"},"name":"F","content":{"questions":[
		{"questionId":1,"question":{"localized":{"en_US":"?"}},"questionDetails":{"textQuestionDetails":{"maxResponseLength":9}}}]}}`
	for version := range 2 {
		want := versionedFormURN(88, version+1, false)
		if got := string(c.control(http.MethodPost, "/sim/forms", form, http.StatusOK)); !strings.Contains(got, want) {
			t.Errorf("POST /sim/forms answers %s, want %s", got, want)
		}
	}
	c.control(http.MethodPost, "/sim/events", `{"id":99,"organizer":"urn:li:organization:77","leadGenForm":"urn:li:leadGenForm:88"}`, http.StatusOK)
	var made []LedgerEntry
	decodeJSON(t, c.control(http.MethodPost, "/sim/leads", `{}`, http.StatusOK), &made)
	if made[0].FormVersion != 2 || made[0].Event != "urn:li:event:99" || len(made[0].Answers) > 1 {
		t.Errorf("the lead is %+v, want one of event 99 and form 88, version 2", made[0])
	}
	c.wantStatus("/rest/events/99", http.StatusOK)
	c.wantStatus("/rest/leadForms/88", http.StatusOK)
}

func TestFaultsClockSwitchesAndTokensOverHTTP(t *testing.T) {
	c := smallWorld(t)
	c.control(http.MethodPost, "/sim/faults", `[{"kind":"status","status":503,"retryAfter":"3s"},{"kind":"latency","latency":"1ms"},{"kind":"add_leads","endpoint":"leadFormResponses","after":2,"leads":{"count":2,"visibleAfter":"1h"}}]`, http.StatusOK)
	var faults []Fault
	decodeJSON(t, c.control(http.MethodGet, "/sim/faults", "", http.StatusOK), &faults)
	if len(faults) != 3 || faults[0].RetryAfter != 3*time.Second || faults[2].Leads.VisibleAfter != time.Hour {
		t.Errorf("faults are %+v", faults)
	}
	c.wantStatus(smallFinder, http.StatusServiceUnavailable)
	c.wantStatus(smallFinder, http.StatusOK)
	c.wantStatus(smallFinder, http.StatusOK)
	if got := c.server.Leads(); got != 52 {
		t.Errorf("%d leads, want the 2 of the fault as well", got)
	}
	c.control(http.MethodDelete, "/sim/faults", "", http.StatusOK)

	c.control(http.MethodPost, "/sim/clock", `{"offset":"5m"}`, http.StatusOK)
	clock := string(c.control(http.MethodPost, "/sim/clock", `{"shift":"-1m"}`, http.StatusOK))
	if !strings.Contains(clock, `"4m0s"`) || !c.server.Now().Equal(testStart.Add(4*time.Minute)) {
		t.Errorf("clock is %s, want an offset of 4m0s", clock)
	}

	c.control(http.MethodPost, "/sim/switches", `{"oldestFirst":true,"freshTokenLag":"2s"}`, http.StatusOK)
	if got := c.server.Switches(); !got.OldestFirst || got.FreshTokenLag != 2*time.Second {
		t.Errorf("switches are %+v", got)
	}
	c.control(http.MethodPatch, "/sim/switches", `{"oldestFirst":false,"webhookRetry":"50ms"}`, http.StatusOK)
	if got := c.server.Switches(); got.OldestFirst || got.FreshTokenLag != 2*time.Second || got.WebhookRetry != 50*time.Millisecond {
		t.Errorf("after a change of two, switches are %+v", got)
	}
	c.control(http.MethodPatch, "/sim/switches", `{"webhookRetry":"0.5ms"}`, http.StatusBadRequest)
	c.control(http.MethodPost, "/sim/switches?variant=webhook+dies+with+the+role", ``, http.StatusOK)
	if got, want := c.server.Switches(), NotificationVariants()["webhook dies with the role"]; got != want {
		t.Errorf("switches are %+v, want %+v", got, want)
	}
	c.control(http.MethodPost, "/sim/switches?variant=no+total", ``, http.StatusOK)
	if got, want := c.server.Switches(), Variants()["no total"]; got != want {
		t.Errorf("switches are %+v, want %+v", got, want)
	}

	var token Token
	decodeJSON(t, c.control(http.MethodPost, "/sim/tokens", `{"scopes":["r_events"]}`, http.StatusOK), &token)
	if token.AccessToken == "" || token.Scope != "r_events" {
		t.Errorf("token is %+v", token)
	}
}

func TestStatsCountRequests(t *testing.T) {
	c := smallWorld(t)
	c.wantStatus(smallFinder, http.StatusOK)
	c.wantStatus("/rest/leadForms/5", http.StatusNotFound)
	c.control(http.MethodGet, "/sim", "", http.StatusOK)
	var got Stats
	decodeJSON(t, c.control(http.MethodGet, "/sim/stats", "", http.StatusOK), &got)
	if got.Total != 2 || got.ByEndpoint["leadFormResponses"] != 1 || got.ByStatus[404] != 1 || got.Today["leadForms"] != 1 {
		t.Errorf("stats are %+v", got)
	}
}

func TestDescriptionNamesWhatAClientNeeds(t *testing.T) {
	text := string(mustJSON(smallWorld(t).server.Describe()))
	for _, want := range []string{DefaultClientID, DefaultClientSecret, "202607", firstOwner, `"leads":50`} {
		if !strings.Contains(text, want) {
			t.Errorf("description %q lacks %q", text, want)
		}
	}
}
