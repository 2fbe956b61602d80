package linkedinsim

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The files in testdata are what LinkedIn's endpoints answer in a world that
// holds exactly their values.

func example(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// exampleWorld holds the values of the examples.
func exampleWorld(t *testing.T) *client {
	t.Helper()
	c := newClient(t, Config{Versions: []string{"202607"}})
	member := Stamp{Actor: "urn:li:person:SimMbr0001", Impersonator: "urn:li:servicePrincipal:organization", Time: 1767225600000}
	other := Stamp{Actor: "urn:li:person:SimMbr0002", Time: 1769904000000}
	for _, o := range []Organization{
		{ID: 9000123, Name: "Example One", Roles: []Role{{Role: "ADMINISTRATOR", Created: member, LastModified: member}}},
		{ID: 9000456, Name: "Example Two", Roles: []Role{{Role: "ANALYST", Created: other, LastModified: other}}},
	} {
		if err := c.server.AddOrganization(o); err != nil {
			t.Fatal(err)
		}
	}
	var form Form
	decodeJSON(t, example(t, "lead_form"), &form)
	if version, err := c.server.AddForm(form); err != nil || version != 1 {
		t.Fatalf("AddForm = %d, %v, want version 1", version, err)
	}
	var events struct{ Elements []Event }
	decodeJSON(t, example(t, "events"), &events)
	if err := c.server.AddEvent(events.Elements[0]); err != nil {
		t.Fatal(err)
	}
	addExampleLeads(t, c.server)
	return c
}

func addExampleLeads(t *testing.T, s *Server) {
	t.Helper()
	text := func(question int64, answer string) Answer { return Answer{QuestionID: question, Text: answer} }
	if _, err := s.AddLeads(
		LeadSpec{
			ID: "8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6", Submitter: "urn:li:person:SimLead0001", SubmittedAt: time.UnixMilli(1793012345000),
			Answers: []Answer{
				text(510003, "lead.one@example.com"), {QuestionID: 510004, Options: []int{1}}, text(510001, "Lead"), text(510002, "One"),
			},
			Consents: []ConsentAnswer{{ConsentID: 0, Accepted: true}},
		},
		LeadSpec{
			ID: "1b7e55d0-0c3a-4f6e-8f21-9d4c7a60b2e3-6", Submitter: "urn:li:person:SimLead0002", SubmittedAt: time.UnixMilli(1792900000000), TestLead: true,
			Answers:  []Answer{text(510001, "Test"), text(510002, "Lead"), text(510003, "test.lead@example.com")},
			Consents: []ConsentAnswer{},
		},
	); err != nil {
		t.Fatal(err)
	}
}

const exampleResponses = "/rest/leadFormResponses?q=owner&owner=(organization:urn%3Ali%3Aorganization%3A9000123)&leadType=(leadType:EVENT)" +
	"&submittedAtTimeRange=(start:1792800000000,end:1793100000000)&start=0&count=100"

func TestAnswersEqualTheExamples(t *testing.T) {
	c := exampleWorld(t)
	tests := []struct{ name, target string }{
		{"organization_acls", "/rest/organizationAcls?q=roleAssignee&state=APPROVED&start=0&count=10"},
		{"events", "/rest/events?q=organizerLeadGenFormEnabledEvents&organizer=urn%3Ali%3Aorganization%3A9000123&start=0&count=50"},
		{"lead_form", "/rest/leadForms/7130000000000000001"},
		{"lead_form_responses", exampleResponses},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantJSON(t, tt.target, c.wantStatus(tt.target, http.StatusOK), example(t, tt.name))
		})
	}
}

func TestSingleAnswersEqualTheListed(t *testing.T) {
	c := exampleWorld(t)
	var events, leads page
	decodeJSON(t, example(t, "events"), &events)
	decodeJSON(t, example(t, "lead_form_responses"), &leads)
	wantJSON(t, "one event", c.wantStatus("/rest/events/7200000000000000123", http.StatusOK), events.Elements[0])
	wantJSON(t, "one lead", c.wantStatus("/rest/leadFormResponses/8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6", http.StatusOK), leads.Elements[0])
	var forms page
	decodeJSON(t, c.wantStatus("/rest/leadForms?q=owner&owner=(organization:urn%3Ali%3Aorganization%3A9000123)", http.StatusOK), &forms)
	if len(forms.Elements) != 1 {
		t.Fatalf("finder has %d forms, want 1", len(forms.Elements))
	}
	wantJSON(t, "one form of the finder", forms.Elements[0], example(t, "lead_form"))
}

func TestRefusalsEqualTheExamples(t *testing.T) {
	plain := map[string]string{}
	tests := []struct {
		name, target string
		status       int
		header       map[string]string
		before       func(*client)
	}{
		{"bad_request", "/rest/leadFormResponses?q=owner&owner=urn%3Ali%3Aorganization%3A9000123&leadType=(leadType:EVENT)", 400, plain, nil},
		{"expired_token", exampleResponses, 401, plain, func(c *client) { c.server.ExpireTokens() }},
		{"revoked_token", exampleResponses, 401, plain, func(c *client) { c.server.RevokeTokens() }},
		{"invalid_token", exampleResponses, 401, map[string]string{"Authorization": "Bearer AQXunknown"}, nil},
		{"access_denied", exampleResponses, 403, plain, func(c *client) { c.token = c.server.IssueToken("r_events").AccessToken }},
		{"not_found", "/rest/leadFormResponses/8f0c2b9e-41d7-4c55-9e0b-000000000000-6", 404, plain, nil},
		{"version_retired", exampleResponses, 426, map[string]string{"LinkedIn-Version": "202511"}, nil},
		{"throttled", exampleResponses, 429, plain, func(c *client) {
			if err := c.server.Schedule(Fault{Kind: Throttle}); err != nil {
				c.t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := exampleWorld(t)
			c.t = t
			if tt.before != nil {
				tt.before(c)
			}
			status, body := read(t, c.do(http.MethodGet, tt.target, "", tt.header))
			if status != tt.status {
				t.Errorf("status = %d, want %d", status, tt.status)
			}
			wantJSON(t, "body", body, example(t, tt.name))
		})
	}
}

func TestTokenAndIntrospectionEqualTheExamples(t *testing.T) {
	clock := &testClock{time.Unix(1792713600, 0)}
	s, err := New(Config{Now: clock.Now, TokenLength: 26})
	if err != nil {
		t.Fatal(err)
	}
	token, err := json.Marshal(s.IssueToken())
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, "token", token, example(t, "token"))
	c := &client{t: t, server: s}
	credentials := "client_id=" + DefaultClientID + "&client_secret=" + DefaultClientSecret
	status, body := c.postForm("/oauth/v2/introspectToken", credentials+"&token=AQXsim0001accesstokenvalue")
	if status != http.StatusOK {
		t.Errorf("introspectToken = %d, want 200", status)
	}
	wantJSON(t, "introspection", body, example(t, "introspection"))
	status, body = c.postForm("/oauth/v2/accessToken", credentials+"&grant_type=refresh_token&refresh_token=AQWunknown")
	if status != http.StatusBadRequest {
		t.Errorf("refresh with an unknown token = %d, want 400", status)
	}
	wantJSON(t, "refusal", body, example(t, "refresh_refused"))
}

func (c *client) postForm(target, body string) (int, []byte) {
	c.t.Helper()
	return read(c.t, c.do(http.MethodPost, target, body, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}))
}
