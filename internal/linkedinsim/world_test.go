package linkedinsim

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func ledgerText(t *testing.T, s *Server) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteLedger(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSameSeedMakesTheSameWorld(t *testing.T) {
	cfg := Config{Organizations: 3, Events: 7, Forms: 5, Leads: 300, Revisions: 1, LateProbability: 0.1, Seed: 11}
	a, b := newClient(t, cfg), newClient(t, cfg)
	cfg.Seed = 12
	other := newClient(t, cfg)
	if ledgerText(t, a.server) != ledgerText(t, b.server) {
		t.Error("two worlds of one seed differ")
	}
	if ledgerText(t, a.server) == ledgerText(t, other.server) {
		t.Error("worlds of different seeds are equal")
	}
	if a.token != b.token || a.token == other.token || len(a.token) < 350 {
		t.Errorf("tokens must follow the seed and be long, have %d characters", len(a.token))
	}
}

func TestWorldIsAsConfigured(t *testing.T) {
	c := newClient(t, Config{Organizations: 3, Events: 7, Forms: 5, Leads: 500, Questions: 25, Span: 100 * day, Seed: 1})
	d := c.server.Describe()
	if len(d.Organizations) != 3 || d.Forms != 5 || d.Events != 7+3 || d.Leads != 500 {
		t.Errorf("world is %+v", d)
	}
	forms, oldest, emails := map[string]bool{}, testStart.UnixMilli(), 0
	for e := range c.server.Ledger() {
		forms[e.FormID] = true
		oldest = min(oldest, e.SubmittedAt)
		if len(e.FormID) != 19 || len(e.Answers) < 15 {
			t.Fatalf("form id %s, %d answers, want 19 digits and about 25 answers", e.FormID, len(e.Answers))
		}
		for _, a := range e.Answers {
			if strings.HasSuffix(a.Text, "@example.com") {
				emails++
			}
		}
	}
	if len(forms) != 5 || emails < 500 || oldest < testStart.Add(-100*day).UnixMilli() || oldest > testStart.Add(-95*day).UnixMilli() {
		t.Errorf("leads of %d forms, %d e-mail addresses, oldest %v", len(forms), emails, time.UnixMilli(oldest))
	}
}

func TestConfigurationOutOfBoundsIsNamed(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"negative", Config{Organizations: -1}, "Organizations is -1"},
		{"leads without form", Config{Organizations: 1, Leads: 1}, "leads need"},
		{"forms without organization", Config{Forms: 1}, "organization"},
		{"version", Config{Versions: []string{"2026-07"}}, `"2026-07"`},
		{"redirect", Config{RedirectURLs: []string{"/callback"}}, `"/callback"`},
		{"switch", Config{Switches: Switches{Bounds: "[[", DeletedStatus: 500}}, "deletedStatus is 500"},
		{"events of one, forms of the other", Config{Organizations: 3, Events: 2, Forms: 0, Leads: 1}, "leads need"},
	}
	for _, tt := range tests {
		if _, err := New(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: New = %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

func FuzzIdentity(f *testing.F) {
	f.Add(uint64(1), uint32(0))
	f.Add(uint64(0), ^uint32(0))
	f.Fuzz(func(t *testing.T, seed uint64, n uint32) {
		i := newIdentity(seed)
		id := i.id(n)
		if got, ok := i.row(id); !ok || got != n || len(id) != len("8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6") {
			t.Errorf("row(%q) = %d, %v, want %d", id, got, ok, n)
		}
		if got, ok := newIdentity(seed + 1).row(id); ok && got != n {
			t.Errorf("another seed's row(%q) = %d", id, got)
		}
	})
}

func TestRunMakesLeadsAtTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Organizations: 1, Events: 1, Forms: 1, Rate: 120, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(5*time.Minute + time.Millisecond)
		if got := s.Leads(); got != 600 {
			t.Errorf("%d leads after 5 minutes, want 600", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}

func TestFormsGrowByVersions(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Seed: 1})
	const form = "/rest/leadForms/7130000000000000001"
	var before, after Form
	decodeJSON(t, c.wantStatus(form, http.StatusOK), &before)
	tests := []struct {
		change FormChange
		check  func(Form) bool
	}{
		{FormChange{}, func(f Form) bool { return len(f.Content.Questions) == 11 }},
		{FormChange{What: "add_question", Text: "T-shirt?", Options: []string{"S", "L"}}, func(f Form) bool { return len(f.Content.Questions[11].Details.Choice.Options) == 2 }},
		{FormChange{What: "remove_question", Question: 510001}, func(f Form) bool { return f.question(510001) == nil }},
		{FormChange{What: "rename_question", Text: "New text"}, func(f Form) bool { return f.Content.Questions[10].Question.Localized["en_US"] == "New text" }},
		{FormChange{What: "change_options", Question: 510004, Options: []string{"x"}}, func(f Form) bool { return len(f.question(510004).Details.Choice.Options) == 1 }},
		{FormChange{What: "change_type", Question: 510004}, func(f Form) bool { return f.question(510004).Details.Text != nil }},
	}
	for i, tt := range tests {
		if err := c.server.Schedule(Fault{Kind: ChangeForm, Form: "7130000000000000001", Change: &tt.change}); err != nil {
			t.Fatalf("%+v: %v", tt.change, err)
		}
		after = Form{}
		decodeJSON(t, c.wantStatus(form, http.StatusOK), &after)
		if after.VersionID != before.VersionID+i+1 || !tt.check(after) {
			t.Errorf("after %+v: version %d, %d questions", tt.change, after.VersionID, len(after.Content.Questions))
		}
	}
	made, err := c.server.AddLeads(LeadSpec{}, LeadSpec{FormVersion: 1}, LeadSpec{Form: after.URN()})
	if err != nil || made[0].FormVersion != 7 || made[1].FormVersion != 1 || made[2].FormVersion != 7 || made[2].Event == "" {
		t.Errorf("leads answer versions %+v, %v, want 7, 1 and 7", made, err)
	}
	for _, bad := range []FormChange{{What: "nothing"}, {What: "remove_question", Question: 1}, {What: "change_options", Question: 510002}} {
		if err := c.server.Schedule(Fault{Kind: ChangeForm, Form: "7130000000000000001", Change: &bad}); err == nil {
			t.Errorf("change %+v is accepted", bad)
		}
	}
}

func TestEventsFollowTheirFinders(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 7, Forms: 2, Seed: 1})
	if err := c.server.AddEvent(Event{ID: 5, Organizer: firstOwner, StartsAt: testStart.Add(day).UnixMilli(), LeadGenForm: "urn:li:leadGenForm:7130000000000000001", Cancelled: true, Entry: "GATED"}); err != nil {
		t.Fatal(err)
	}
	const organizer = "&organizer=urn%3Ali%3Aorganization%3A9000123&count=50"
	tests := []struct {
		finder string
		sw     Switches
		want   int
	}{
		{"organizerLeadGenFormEnabledEvents", Switches{}, 8},
		{"organizerLeadGenFormEnabledEvents", Switches{FormFinderDropsPast: true}, 4},
		{"eventsByOrganizer", Switches{}, 9},
		{"eventsByOrganizer&excludeCancelled=true", Switches{}, 8},
		{"eventsByOrganizer&entryCriteria=GATED", Switches{}, 1},
		{"eventsByOrganizer&timeBasedFilter=(lifeCycleState:PAST)", Switches{}, 4},
		{"eventsByOrganizer&timeBasedFilter=(lifeCycleState:UPCOMING)&sortOrder=START_TIME_ASC", Switches{}, 5},
		{"eventsByOrganizer&sortOrder=END_TIME_DESC", Switches{}, 9},
	}
	for _, tt := range tests {
		if err := c.server.SetSwitches(tt.sw); err != nil {
			t.Fatal(err)
		}
		if got := len(c.page("/rest/events?q=" + tt.finder + organizer).Elements); got != tt.want {
			t.Errorf("%s with %+v lists %d events, want %d", tt.finder, tt.sw, got, tt.want)
		}
	}
	for unversioned, want := range map[bool]string{false: "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7130000000000000001,1)", true: "urn:li:leadGenForm:7130000000000000001"} {
		if err := c.server.SetSwitches(Switches{UnversionedEventForm: unversioned}); err != nil {
			t.Fatal(err)
		}
		var e Event
		decodeJSON(t, c.wantStatus("/rest/events/5", http.StatusOK), &e)
		if e.LeadGenForm != want || e.Cancelled {
			t.Errorf("event names %q, cancelled %v, want %q and nothing about cancelling", e.LeadGenForm, e.Cancelled, want)
		}
	}
	c.wantStatus("/rest/events?q=eventsByOrganizer&sortOrder=NAME"+organizer, http.StatusBadRequest)
	c.wantStatus("/rest/events?q=eventsByOrganizer&timeBasedFilter=(lifeCycleState:NEVER)"+organizer, http.StatusBadRequest)
}

func TestRolesAreListedOneRowEach(t *testing.T) {
	c := newClient(t, Config{Organizations: 30, Seed: 1})
	rows := func(more string) int { return len(c.page("/rest/organizationAcls?q=roleAssignee" + more).Elements) }
	for more, want := range map[string]int{"": 10, "&count=100": 40, "&count=100&role=ADMINISTRATOR": 20, "&start=35&count=100": 5} {
		if got := rows(more); got != want {
			t.Errorf("organizationAcls%s has %d rows, want %d", more, got, want)
		}
	}
	if err := c.server.SetRole(9000123, ""); err != nil {
		t.Fatal(err)
	}
	for more, want := range map[string]int{"&count=100": 40, "&count=100&state=APPROVED": 39, "&count=100&state=REVOKED": 1} {
		if got := rows(more); got != want {
			t.Errorf("organizationAcls%s has %d rows, want %d", more, got, want)
		}
	}
	c.wantStatus("/rest/organizationAcls?q=roleAssignee&projection=(elements*(organization~(localizedName)))", http.StatusForbidden)
	c.wantStatus("/rest/organizationAcls?q=roleAssignee&state=APPROVED&projection=(elements*(organization~(localizedName)))", http.StatusOK)
	c.wantStatus("/rest/organizations/9000123", http.StatusForbidden)
	c.wantStatus("/rest/organizations/9000456", http.StatusOK)
	c.wantStatus("/rest/organizations/1", http.StatusNotFound)
	c.wantStatus("/rest/organizationAcls?q=organization&organization=urn%3Ali%3Aorganization%3A9000456", http.StatusOK)
	c.wantStatus("/rest/organizationAcls?q=organization&organization=urn%3Ali%3Aorganization%3A9000123", http.StatusForbidden)
	var looked struct {
		Results, Errors map[string]any
		Statuses        map[string]int
	}
	decodeJSON(t, c.wantStatus("/rest/organizationsLookup?ids=List(9000123,1)", http.StatusOK), &looked)
	if len(looked.Results) != 1 || looked.Statuses["1"] != 404 || len(looked.Errors) != 1 {
		t.Errorf("organizationsLookup = %+v, want one result and one 404", looked)
	}
}

func TestFormsThatAreRefusedLeaveTheirLeads(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 2, Forms: 2, Leads: 50, Seed: 1})
	leads := len(c.scan(50, ""))
	for _, status := range []int{404, 410, 403} {
		if err := c.server.Schedule(Fault{Kind: RefuseForm, Form: "7130000000000000001", Status: status}); err != nil {
			t.Fatal(err)
		}
		c.wantStatus("/rest/leadForms/7130000000000000001", status)
		if got := len(c.page("/rest/leadForms?q=owner&" + smallOwner).Elements); got != 1 {
			t.Errorf("finder lists %d forms, want the other one", got)
		}
		if got := len(c.scan(50, "")); got != leads {
			t.Errorf("finder lists %d leads, want all %d", got, leads)
		}
	}
	if err := c.server.Schedule(Fault{Kind: RestoreForm, Form: "7130000000000000001"}); err != nil {
		t.Fatal(err)
	}
	c.wantStatus("/rest/leadForms/7130000000000000001", http.StatusOK)
}

func TestReadersAndWritersDoNotDisturbEachOther(t *testing.T) {
	s, err := New(Config{Organizations: 1, Events: 2, Forms: 2, Leads: 500, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	token := s.IssueToken().AccessToken
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := &client{t: t, server: s, token: token, header: map[string]string{"LinkedIn-Version": "202607", "X-Restli-Protocol-Version": "2.0.0"}}
			for range 20 {
				c.page(responses(0, 100, "&fields=id,submittedAt,form:(name)"))
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			if _, err := s.AddLeads(LeadSpec{Count: 5}, LeadSpec{Age: time.Hour, Malformed: NoID}); err != nil {
				t.Error(err)
			}
			s.DeleteNewest(9000123, 1)
			if _, err := s.ReviseForm(firstForm, FormChange{}.apply); err != nil {
				t.Error(err)
			}
			if err := s.SetSwitches(Switches{DeletedListed: i%2 == 0, InlinedCurrent: i%3 == 0}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range 5 {
			for range s.Ledger() {
				continue
			}
		}
	})
	wg.Wait()
	if err := s.SetSwitches(Switches{}); err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, server: s, token: token, header: map[string]string{"LinkedIn-Version": "202607", "X-Restli-Protocol-Version": "2.0.0"}}
	got := c.scanSound()
	want := map[identityKey]bool{}
	for key := range c.listed() {
		want[key] = true
	}
	for e := range s.Ledger() {
		if e.Malformed != "" {
			delete(want, identityKey{e.ID, e.SubmittedAt})
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("finder lists %d sound leads, ledger %d", len(got), len(want))
	}
}

// scanSound is scan without the elements that have no id.
func (c *client) scanSound() map[identityKey]bool {
	found := c.scan(100, "")
	maps.DeleteFunc(found, func(k identityKey, _ bool) bool { return k.id == "" })
	return found
}
