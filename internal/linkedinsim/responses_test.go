package linkedinsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

func TestScanToTheEmptyPageFindsTheLedger(t *testing.T) {
	for name, sw := range Variants() {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, Config{Organizations: 2, Events: 5, Forms: 3, Leads: 160, Revisions: 2, Questions: 4, Seed: 7, Switches: sw})
			c.clock.now = c.clock.now.Add(sw.FreshTokenLag)
			got, want := c.scan(25, ""), c.listed()
			if len(want) < 60 || !maps.Equal(got, want) {
				t.Errorf("scan found %d leads, ledger lists %d, want the same, at least 60", len(got), len(want))
			}
		})
	}
}

func TestShortPagesAreNotTheLast(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Leads: 1000, HiddenShare: 0.05, Seed: 1})
	short, total := 0, 0
	for start := 0; start < 900; start += 100 {
		p := c.page(responses(start, 100, ""))
		total = *p.Paging.Total
		next := slices.ContainsFunc(p.Paging.Links, func(l struct{ Rel, Href, Type string }) bool { return l.Rel == "next" })
		if len(p.Elements) < 100 {
			short++
		}
		if next != (len(p.Elements) == 100) {
			t.Errorf("page at %d has %d elements, next link %v, want a link on full pages only", start, len(p.Elements), next)
		}
	}
	if leads := c.server.Leads(); short == 0 || total <= leads {
		t.Errorf("%d short pages, total %d of %d leads, want short pages and a total with the dropped rows", short, total, leads)
	}
}

func TestLinksCanBeFollowed(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Leads: 30, HiddenShare: -1, Seed: 1})
	target, pages := responses(0, 10, ""), 0
	for target != "" {
		p := c.page(target)
		target, pages = "", pages+1
		for _, l := range p.Paging.Links {
			if l.Rel == "next" {
				target = l.Href
			}
		}
	}
	if pages != 3 {
		t.Errorf("followed %d pages, want 3", pages)
	}
}

func TestTotalFollowsItsSwitch(t *testing.T) {
	for total, want := range map[string]int{"": 30, "low": 10, "high": 67, "absent": -1} {
		c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Leads: 30, HiddenShare: -1, Seed: 1, Switches: Switches{Total: total}})
		got := -1
		if p := c.page(responses(0, 10, "")); p.Paging.Total != nil {
			got = *p.Paging.Total
		}
		if got != want {
			t.Errorf("total with switch %q = %d, want %d (-1 is absent)", total, got, want)
		}
	}
}

func TestLeadsAreListedInOrder(t *testing.T) {
	for _, oldest := range []bool{false, true} {
		c := newClient(t, Config{Organizations: 1, Events: 2, Forms: 2, Leads: 80, Seed: 1, Switches: Switches{OldestFirst: oldest}})
		var times []int64
		for _, text := range c.page(responses(0, 100, "")).Elements {
			var e element
			decodeJSON(t, text, &e)
			times = append(times, e.SubmittedAt)
		}
		if !oldest {
			slices.Reverse(times)
		}
		if !slices.IsSorted(times) {
			t.Errorf("oldest first %v: leads are not in order", oldest)
		}
	}
}

func TestBoundsFollowTheirSwitch(t *testing.T) {
	for bounds, want := range map[string][]int64{"": {10, 11}, "[)": {10, 11}, "(]": {11, 12}, "[]": {10, 11, 12}, "()": {11}} {
		c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, HiddenShare: -1, Switches: Switches{Bounds: bounds}})
		base := testStart.Add(-time.Hour)
		for _, ms := range []int64{9, 10, 11, 12, 13} {
			if _, err := c.server.AddLeads(LeadSpec{SubmittedAt: base.Add(time.Duration(ms) * time.Millisecond)}); err != nil {
				t.Fatal(err)
			}
		}
		more := fmt.Sprintf("&submittedAtTimeRange=(start:%d,end:%d)", base.UnixMilli()+10, base.UnixMilli()+12)
		var got []int64
		for key := range c.scan(10, more) {
			got = append(got, key.at-base.UnixMilli())
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("bounds %q list %v, want %v", bounds, got, want)
		}
	}
}

func TestLeadsAreKeptForAYear(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, HiddenShare: -1})
	made, err := c.server.AddLeads(LeadSpec{Age: 364 * day}, LeadSpec{Age: 366 * day})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.scan(10, ""); len(got) != 1 || !got[identityKey{made[0].ID, made[0].SubmittedAt}] {
		t.Errorf("finder lists %v, want the younger lead alone", got)
	}
	c.wantStatus("/rest/leadFormResponses/"+made[0].ID, http.StatusOK)
	c.wantStatus("/rest/leadFormResponses/"+made[1].ID, http.StatusNotFound)
}

func TestLateLeadsAppearWhenTheyAreDue(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, HiddenShare: -1})
	made, err := c.server.AddLeads(LeadSpec{Age: time.Hour, VisibleAfter: 10 * time.Minute}, LeadSpec{Age: 2 * time.Hour, VisibleAfter: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for minutes, want := range []int{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2} {
		c.clock.now = testStart.Add(time.Duration(minutes) * time.Minute)
		if got := len(c.scan(10, "")); got != want {
			t.Errorf("after %d minutes the finder lists %d leads, want %d", minutes, got, want)
		}
		status, _ := c.get("/rest/leadFormResponses/" + made[0].ID)
		if visible := status == http.StatusOK; visible != (minutes >= 10) {
			t.Errorf("after %d minutes the first lead answers %d", minutes, status)
		}
	}
}

func TestNewLeadsShiftTheRowsUnderAScan(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Leads: 20, HiddenShare: -1, Seed: 1})
	before := c.page(responses(0, 10, "")).Elements
	if err := c.server.Schedule(Fault{Kind: AddLeads, Endpoint: "leadFormResponses", Leads: &LeadSpec{Count: 3}}); err != nil {
		t.Fatal(err)
	}
	after := c.page(responses(10, 10, "")).Elements
	if string(after[0]) != string(before[7]) {
		t.Error("after three new leads the second page does not begin with the eighth row")
	}
}

func TestVanishedLeadsShiftTheRowsUnderAScan(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Leads: 20, HiddenShare: -1, Seed: 1})
	want := c.page(responses(10, 10, "")).Elements
	if err := c.server.Schedule(Fault{Kind: DeleteLeads, Owner: firstOwner, Number: 2, Endpoint: "leadFormResponses", After: 1}); err != nil {
		t.Fatal(err)
	}
	c.page(responses(0, 10, ""))
	got := c.page(responses(10, 10, "")).Elements
	if len(got) != 8 || string(got[0]) != string(want[2]) {
		t.Errorf("after two leads vanished the second page has %d rows, want 8 that begin two rows later", len(got))
	}
	deleted := 0
	for e := range c.server.Ledger() {
		if e.Deleted && !e.Listed && e.DeletedAt != 0 {
			deleted++
		}
	}
	if deleted != 2 {
		t.Errorf("the ledger has %d deleted leads, want 2", deleted)
	}
}

func TestDeletedLeadFollowsItsSwitches(t *testing.T) {
	tests := []struct {
		sw     Switches
		status int
		listed int
	}{
		{Switches{}, 404, 9}, {Switches{DeletedStatus: 403}, 403, 9}, {Switches{DeletedStatus: 410}, 410, 9}, {Switches{DeletedListed: true}, 404, 10},
	}
	for _, tt := range tests {
		c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Leads: 10, HiddenShare: -1, Seed: 1, Switches: tt.sw})
		var e element
		decodeJSON(t, c.page(responses(4, 1, "")).Elements[0], &e)
		if !c.server.DeleteLead(e.ID) || c.server.DeleteLead(e.ID) {
			t.Error("DeleteLead must be true once")
		}
		c.wantStatus("/rest/leadFormResponses/"+e.ID, tt.status)
		if got := len(c.scan(10, "")); got != tt.listed {
			t.Errorf("%+v: finder lists %d, want %d", tt.sw, got, tt.listed)
		}
	}
}

func TestRegisteringAgainReusesTheID(t *testing.T) {
	for _, vanish := range []bool{false, true} {
		c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, HiddenShare: -1, Seed: 1, Switches: Switches{ReplacedVanish: vanish}})
		var e element
		decodeJSON(t, c.page(responses(2, 1, "")).Elements[0], &e)
		again, err := c.server.AddLeads(LeadSpec{ID: e.ID})
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]int{false: 6, true: 5}[vanish]
		if got := len(c.scan(10, "")); got != want {
			t.Errorf("replaced vanish %v: finder lists %d, want %d", vanish, got, want)
		}
		var now element
		decodeJSON(t, c.wantStatus("/rest/leadFormResponses/"+e.ID, http.StatusOK), &now)
		if now.SubmittedAt != again[0].SubmittedAt {
			t.Errorf("single lead was submitted at %d, want the newest submission, %d", now.SubmittedAt, again[0].SubmittedAt)
		}
		superseded := 0
		for l := range c.server.Ledger() {
			if l.ID == e.ID && l.Superseded {
				superseded++
			}
		}
		if superseded != 1 {
			t.Errorf("the ledger has %d superseded submissions, want 1", superseded)
		}
	}
}

func TestFiltersSelect(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 3, Forms: 2, Leads: 300, TestShare: 0.2, Revisions: 1, Seed: 5})
	entries := slices.Collect(c.server.Ledger())
	e := entries[0]
	tests := []struct {
		name, more string
		keep       func(LedgerEntry) bool
	}{
		{"event", "&associatedEntity=" + url.QueryEscape(e.Event), func(l LedgerEntry) bool { return l.Event == e.Event }},
		{"form version", "&versionedLeadGenFormUrn=" + escape(e.Form), func(l LedgerEntry) bool { return l.Form == e.Form }},
		{"tests only", "&limitedToTestLeads=true", func(l LedgerEntry) bool { return l.TestLead }},
		{"tests as well", "&limitedToTestLeads=false", func(LedgerEntry) bool { return true }},
		{"range", "&submittedAtTimeRange=(start:" + millis(testStart.Add(-100*day)) + ")", func(l LedgerEntry) bool { return l.SubmittedAt >= testStart.Add(-100*day).UnixMilli() }},
	}
	for _, tt := range tests {
		want := map[identityKey]bool{}
		for _, l := range entries {
			if tt.keep(l) {
				want[identityKey{l.ID, l.SubmittedAt}] = true
			}
		}
		if got := c.scan(20, tt.more); len(want) == 0 || !maps.Equal(got, want) {
			t.Errorf("%s: finder lists %d, want %d", tt.name, len(got), len(want))
		}
	}
}

func TestProjectionOfResponses(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Leads: 1, HiddenShare: -1, Seed: 1, Revisions: 1})
	members := func(more string) map[string]json.RawMessage {
		var m map[string]json.RawMessage
		decodeJSON(t, c.page(responses(0, 1, more)).Elements[0], &m)
		return m
	}
	names := func(m map[string]json.RawMessage) []string { return slices.Sorted(maps.Keys(m)) }
	plain := []string{"associatedEntity", "formResponse", "id", "leadType", "owner", "submittedAt", "submitter", "testLead", "versionedLeadGenFormUrn"}
	if got := names(members("")); !slices.Equal(got, plain) {
		t.Errorf("without fields: %v, want %v", got, plain)
	}
	if got, want := names(members("&fields=id,submittedAt,form:(name,id)")), []string{"form", "id", "submittedAt"}; !slices.Equal(got, want) {
		t.Errorf("with fields: %v, want %v", got, want)
	}
	if got, want := names(members("&fields=ownerInfo,associatedEntityInfo,leadMetadataInfo")), []string{"associatedEntityInfo", "leadMetadataInfo", "ownerInfo"}; !slices.Equal(got, want) {
		t.Errorf("with fields: %v, want %v", got, want)
	}
	var part map[string]json.RawMessage
	decodeJSON(t, members("&fields=formResponse:(consentResponses)")["formResponse"], &part)
	if got := names(part); !slices.Equal(got, []string{"consentResponses"}) {
		t.Errorf("formResponse:(consentResponses) has %v", got)
	}
	for current, want := range map[bool]int{false: 1, true: 2} {
		if err := c.server.SetSwitches(Switches{InlinedCurrent: current}); err != nil {
			t.Fatal(err)
		}
		var form Form
		decodeJSON(t, members("&fields=id,form:(versionId,content)")["form"], &form)
		if form.VersionID != want || len(form.Content.Questions) == 0 {
			t.Errorf("inlined current %v: version %d with %d questions, want version %d", current, form.VersionID, len(form.Content.Questions), want)
		}
	}
}

func TestMalformedElementsKeepTheirPlace(t *testing.T) {
	for _, m := range slices.Concat(Malformations(), Contradictions()) {
		t.Run(string(m), func(t *testing.T) {
			c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, HiddenShare: -1, TestShare: -1})
			sound, err := c.server.AddLeads(LeadSpec{})
			if err != nil {
				t.Fatal(err)
			}
			made, err := c.server.AddLeads(LeadSpec{Malformed: m})
			if err != nil {
				t.Fatal(err)
			}
			if made[0].Malformed != m || made[0].ID == "" || made[0].SubmittedAt == 0 || made[0].ID == sound[0].ID {
				t.Errorf("ledger entry %+v, want id, time and malformation %q", made[0], m)
			}
			p := c.page(responses(0, 10, ""))
			if len(p.Elements) != 2 {
				t.Fatalf("finder lists %d elements, want 2", len(p.Elements))
			}
			var whole struct {
				ID          string
				SubmittedAt int64
				LeadType    string
				Owner       Owner
				Form        string `json:"versionedLeadGenFormUrn"`
				Submitter   string
				TestLead    *bool
				Event       *struct{ Event string } `json:"associatedEntity"`
				Response    *struct {
					Answers []struct {
						QuestionID int64 `json:"questionId"`
						Details    struct {
							Text   *struct{ Answer string } `json:"textQuestionAnswer"`
							Choice *struct{ Options []int } `json:"multipleChoiceAnswer"`
						} `json:"answerDetails"`
					}
					ConsentResponses []ConsentAnswer
				} `json:"formResponse"`
			}
			broken := json.Unmarshal(p.Elements[0], &whole) != nil || whole.ID == "" || whole.SubmittedAt == 0 || whole.Submitter == "" ||
				whole.TestLead == nil || whole.Event == nil || whole.Response == nil || whole.Form != sound[0].Form
			if !broken {
				for _, a := range whole.Response.Answers {
					broken = broken || a.QuestionID == unknownQuestionID || a.Details.Text == nil && a.Details.Choice == nil ||
						a.Details.Choice != nil && slices.Contains(a.Details.Choice.Options, 99)
				}
			}
			broken = broken || whole.SubmittedAt != made[0].SubmittedAt || whole.LeadType != made[0].LeadType || whole.Owner.Organization != made[0].Owner
			if !broken {
				t.Errorf("element %s is sound, want it %s", p.Elements[0], m)
			}
		})
	}
}

func TestLedgerSaysWhatTheFinderAnswers(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 2, Forms: 2, Leads: 40, HiddenShare: -1, Revisions: 1, Seed: 9})
	byID := map[string]LedgerEntry{}
	for e := range c.server.Ledger() {
		byID[e.ID] = e
	}
	for _, text := range c.page(responses(0, 100, "")).Elements {
		var e struct {
			ID, Submitter, VersionedLeadGenFormUrn string
			SubmittedAt                            int64
			TestLead                               bool
			Owner                                  Owner
			AssociatedEntity                       struct{ Event string }
			FormResponse                           struct {
				Answers []struct {
					QuestionID    int64 `json:"questionId"`
					AnswerDetails struct {
						TextQuestionAnswer   struct{ Answer string }
						MultipleChoiceAnswer struct{ Options []int }
					}
				}
				ConsentResponses []ConsentAnswer
			}
		}
		decodeJSON(t, text, &e)
		l := byID[e.ID]
		if e.SubmittedAt != l.SubmittedAt || e.Submitter != l.Submitter || e.VersionedLeadGenFormUrn != l.Form || e.TestLead != l.TestLead ||
			e.Owner.Organization != l.Owner || e.AssociatedEntity.Event != l.Event || !slices.Equal(e.FormResponse.ConsentResponses, l.Consents) {
			t.Errorf("element %s differs from ledger %+v", text, l)
		}
		same := slices.EqualFunc(e.FormResponse.Answers, l.Answers, func(a struct {
			QuestionID    int64 `json:"questionId"`
			AnswerDetails struct {
				TextQuestionAnswer   struct{ Answer string }
				MultipleChoiceAnswer struct{ Options []int }
			}
		}, b Answer) bool {
			return a.QuestionID == b.QuestionID && a.AnswerDetails.TextQuestionAnswer.Answer == b.Text &&
				slices.Equal(a.AnswerDetails.MultipleChoiceAnswer.Options, b.Options) && len(b.Options) == len(b.OptionTexts)
		})
		if !same || len(l.Answers) < 5 {
			t.Errorf("answers of %s differ from the ledger's %+v", text, l.Answers)
		}
	}
}

func TestManyLeadsOfOneMillisecondAreAllListed(t *testing.T) {
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, HiddenShare: -1})
	if _, err := c.server.AddLeads(LeadSpec{Count: 2000, SubmittedAt: testStart.Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	at := testStart.Add(-time.Hour).UnixMilli()
	got := c.scan(100, fmt.Sprintf("&submittedAtTimeRange=(start:%d,end:%d)", at, at+1))
	if len(got) != 2000 {
		t.Errorf("finder lists %d leads, want 2000", len(got))
	}
}
