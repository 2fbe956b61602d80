package linkedinsim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serve puts the server on a loopback port; faults of the connection need one.
func (c *client) serve() (get func(target string) (*http.Response, []byte, error)) {
	c.t.Helper()
	web := httptest.NewServer(c.server)
	c.t.Cleanup(web.Close)
	return func(target string) (*http.Response, []byte, error) {
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, web.URL+target, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.token)
		for name, value := range c.header {
			r.Header.Set(name, value)
		}
		answer, err := web.Client().Do(r)
		if err != nil {
			return nil, nil, err
		}
		body, err := io.ReadAll(answer.Body)
		if closing := answer.Body.Close(); closing != nil {
			c.t.Error(closing)
		}
		return answer, body, err
	}
}

func TestFaultsSpoilAnswers(t *testing.T) {
	whole := func(body []byte) bool {
		var p page
		return json.Unmarshal(body, &p) == nil && len(p.Elements) == 10
	}
	tests := []struct {
		name  string
		fault Fault
		want  func(answer *http.Response, body []byte, err error) bool
	}{
		{"500", Fault{Kind: StatusFault}, func(r *http.Response, b []byte, err error) bool {
			return err == nil && r.StatusCode == 500 && json.Valid(b)
		}},
		{"503 with Retry-After", Fault{Kind: StatusFault, Status: 503, RetryAfter: 7 * time.Second}, func(r *http.Response, _ []byte, err error) bool {
			return err == nil && r.StatusCode == 503 && r.Header.Get("Retry-After") == "7"
		}},
		{"body of one's own", Fault{Kind: StatusFault, Status: 418, Body: "x", ContentType: "text/plain"}, func(r *http.Response, b []byte, err error) bool {
			return err == nil && r.StatusCode == 418 && string(b) == "x" && r.Header.Get("Content-Type") == "text/plain"
		}},
		{"429", Fault{Kind: Throttle}, func(r *http.Response, _ []byte, err error) bool {
			return err == nil && r.StatusCode == 429 && r.Header.Get("Retry-After") == ""
		}},
		{"429 with Retry-After", Fault{Kind: Throttle, RetryAfter: 1500 * time.Millisecond}, func(r *http.Response, _ []byte, err error) bool {
			return err == nil && r.StatusCode == 429 && r.Header.Get("Retry-After") == "2"
		}},
		{"HTML", Fault{Kind: HTML}, func(r *http.Response, b []byte, err error) bool {
			return err == nil && r.StatusCode == 200 && strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") && !json.Valid(b)
		}},
		{"empty", Fault{Kind: Empty}, func(r *http.Response, b []byte, err error) bool {
			return err == nil && r.StatusCode == 200 && len(b) == 0
		}},
		{"no elements", Fault{Kind: NoElements}, func(r *http.Response, b []byte, err error) bool {
			return err == nil && r.StatusCode == 200 && json.Valid(b) && !strings.Contains(string(b), "elements")
		}},
		{"broken JSON", Fault{Kind: BrokenJSON}, func(r *http.Response, b []byte, err error) bool {
			return err == nil && r.StatusCode == 200 && len(b) > 0 && !json.Valid(b)
		}},
		{"truncated", Fault{Kind: Truncated}, func(_ *http.Response, b []byte, err error) bool {
			return errors.Is(err, io.ErrUnexpectedEOF) && len(b) > 0
		}},
		{"stalled", Fault{Kind: Stall, Latency: time.Millisecond}, func(_ *http.Response, b []byte, err error) bool {
			return errors.Is(err, io.ErrUnexpectedEOF) && len(b) > 0
		}},
		{"reset", Fault{Kind: Reset}, func(_ *http.Response, _ []byte, err error) bool {
			return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
		}},
		{"oversize", Fault{Kind: Oversize, Size: 1 << 20}, func(r *http.Response, b []byte, err error) bool {
			return err == nil && len(b) > 1<<20 && whole(b)
		}},
		{"latency", Fault{Kind: Latency, Latency: time.Millisecond}, func(_ *http.Response, b []byte, err error) bool { return err == nil && whole(b) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := smallWorld(t)
			get := c.serve()
			if err := c.server.Schedule(tt.fault); err != nil {
				t.Fatal(err)
			}
			if answer, body, err := get(smallFinder); !tt.want(answer, body, err) {
				t.Errorf("spoiled answer: %+v, %d bytes, %v", answer, len(body), err)
			}
			if _, body, err := get(smallFinder); err != nil || !whole(body) {
				t.Errorf("the answer after it: %v, %d bytes, want a whole page", err, len(body))
			}
		})
	}
}

func TestFaultsMeetTheRequestsTheyName(t *testing.T) {
	c := newClient(t, Config{Organizations: 2, Events: 2, Forms: 2, Leads: 10, Seed: 1})
	other := strings.ReplaceAll(smallFinder, "9000123", "9000456")
	const form, otherForm = "/rest/leadForms/7130000000000000001", "/rest/leadForms/7130000000000000002"
	const roles = "/rest/organizationAcls?q=roleAssignee"
	tests := []struct {
		name    string
		fault   Fault
		targets []string
		want    []int
	}{
		{"endpoint", Fault{Endpoint: "leadForms"}, []string{smallFinder, form, form}, []int{200, 500, 200}},
		{"owner", Fault{Owner: "9000123"}, []string{other, smallFinder, smallFinder}, []int{200, 500, 200}},
		{"owner by URN", Fault{Owner: "urn:li:organization:9000456"}, []string{smallFinder, other}, []int{200, 500}},
		{"form", Fault{Form: "7130000000000000002"}, []string{form, otherForm}, []int{200, 500}},
		{"after", Fault{After: 2}, []string{roles, roles, roles, roles}, []int{200, 200, 500, 200}},
		{"count", Fault{Count: 2}, []string{roles, form, roles}, []int{500, 500, 200}},
		{"without limit", Fault{Count: -1}, []string{roles, form, roles, roles}, []int{500, 500, 500, 500}},
		{"for a time", Fault{For: time.Minute}, []string{roles, roles, "later", roles}, []int{500, 500, 0, 200}},
		{"budget", Fault{Kind: Budget, Endpoint: "leadForms"}, []string{form, roles, form, "later", form, "next day", form}, []int{429, 200, 429, 0, 429, 0, 200}},
		{"not of OAuth", Fault{}, []string{authorizeURL(nil), roles}, []int{200, 500}},
		{"of OAuth too", Fault{Endpoint: "*"}, []string{authorizeURL(nil), roles}, []int{500, 200}},
		{"of OAuth", Fault{Endpoint: "authorization"}, []string{roles, authorizeURL(nil)}, []int{200, 500}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c.t, c.clock.now = t, testStart
			c.server.ClearFaults()
			if tt.fault.Kind == "" {
				tt.fault.Kind = StatusFault
			}
			if err := c.server.Schedule(tt.fault); err != nil {
				t.Fatal(err)
			}
			for i, target := range tt.targets {
				switch target {
				case "later":
					c.clock.now = c.clock.now.Add(time.Minute)
				case "next day":
					c.clock.now = c.clock.now.Add(day)
				default:
					c.wantStatus(target, tt.want[i])
				}
			}
		})
	}
}

func TestSpoilingFaultsWaitForEachOther(t *testing.T) {
	c := smallWorld(t)
	for _, f := range []Fault{{Kind: StatusFault, Status: 500}, {Kind: StatusFault, Status: 503}, {Kind: Throttle}} {
		if err := c.server.Schedule(f); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(c.server.Faults()); got != 3 {
		t.Errorf("%d faults are scheduled, want 3", got)
	}
	for _, want := range []int{500, 503, 429, 200} {
		c.wantStatus(smallFinder, want)
	}
	if got := len(c.server.Faults()); got != 0 {
		t.Errorf("%d faults are left, want none", got)
	}
}

func TestDeedsHappenAtOnceOrBeforeARequest(t *testing.T) {
	tests := []struct {
		fault         Fault
		target        string
		before, after int
	}{
		{Fault{Kind: ExpireToken}, smallFinder, 200, 401},
		{Fault{Kind: RevokeToken}, smallFinder, 200, 401},
		{Fault{Kind: LoseRole, Owner: firstOwner}, smallFinder, 200, 403},
		{Fault{Kind: RefuseForm, Form: "7130000000000000001", Status: 410}, "/rest/leadForms/7130000000000000001", 200, 410},
		{Fault{Kind: RetireVersion, Version: "202607"}, smallFinder, 200, 426},
	}
	for _, tt := range tests {
		c := smallWorld(t)
		c.wantStatus(tt.target, tt.before)
		if err := c.server.Schedule(tt.fault); err != nil {
			t.Fatal(err)
		}
		c.wantStatus(tt.target, tt.after)

		later := smallWorld(t)
		tt.fault.After = 1
		if err := later.server.Schedule(tt.fault); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{tt.before, tt.after, tt.after} {
			later.wantStatus(tt.target, want)
		}
	}
}

func TestRefreshTokensDie(t *testing.T) {
	for _, kind := range []FaultKind{ExpireRefreshToken, RevokeRefreshToken} {
		c := emptyWorld(t, Config{})
		token := c.login("r_organization_admin")
		if err := c.server.Schedule(Fault{Kind: kind}); err != nil {
			t.Fatal(err)
		}
		if status, _ := c.refresh(token.RefreshToken); status != http.StatusBadRequest {
			t.Errorf("refresh after %s = %d, want 400", kind, status)
		}
		c.token = token.AccessToken
		c.wantStatus("/rest/organizationAcls?q=roleAssignee", http.StatusOK)
	}
}

func TestClockCanBeShifted(t *testing.T) {
	c := smallWorld(t)
	if err := c.server.Schedule(Fault{Kind: ShiftClock, Shift: -5 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	if got, want := c.server.Now(), testStart.Add(-5*time.Minute); !got.Equal(want) {
		t.Errorf("Now = %v, want %v", got, want)
	}
	c.wantStatus(smallFinder, http.StatusOK) // a token of the future is not a lagging one
	made, err := c.server.AddLeads(LeadSpec{})
	if err != nil || made[0].SubmittedAt != testStart.Add(-5*time.Minute).UnixMilli() {
		t.Errorf("a lead is submitted at %v, %v, want LinkedIn's clock", made, err)
	}
}

func TestImpossibleFaultsAreRefused(t *testing.T) {
	c := smallWorld(t)
	for _, f := range []Fault{
		{}, {Kind: "unknown"}, {Kind: StatusFault, Status: 99}, {Kind: LoseRole}, {Kind: LoseRole, Owner: "x"}, {Kind: LoseRole, Owner: "5"},
		{Kind: ChangeForm}, {Kind: ChangeForm, Form: "5"}, {Kind: RefuseForm, Form: "x"}, {Kind: DeleteLeads}, {Kind: DeleteLeads, ID: "x"},
		{Kind: RetireVersion, Version: "2026"}, {Kind: ShiftClock}, {Kind: AddLeads, Leads: &LeadSpec{Event: "5"}},
	} {
		if err := c.server.Schedule(f); err == nil {
			t.Errorf("Schedule(%+v) = nil, want an error", f)
		}
	}
}

func TestContradictoryAnswersAreThoseToAnotherQuestion(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Leads: 30, HiddenShare: -1, Seed: 1})
	const idle = "&submittedAtTimeRange=(start:1,end:2)"
	for _, f := range []Fault{{Kind: IgnoreParameter}, {Kind: IgnoreParameter, Parameter: "start"}, {Kind: ExtraElements, Number: 7}} {
		if err := c.server.Schedule(f); err != nil {
			t.Fatal(err)
		}
		query, want := "", 27
		switch {
		case f.Kind == ExtraElements:
			query, want = idle, 7
		case f.Parameter == "":
			query = idle
		default:
			want = 30
		}
		if p := c.page(responses(3, 100, query)); len(p.Elements) != want {
			t.Errorf("%+v: %d elements, want %d", f, len(p.Elements), want)
		}
		if p := c.page(responses(3, 100, idle)); len(p.Elements) != 0 {
			t.Errorf("after %+v: %d elements, want none", f, len(p.Elements))
		}
	}
}
