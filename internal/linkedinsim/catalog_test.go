package linkedinsim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCatalogRefusesWhatCannotBe(t *testing.T) {
	text := QuestionDetails{Text: &TextDetails{MaxResponseLength: 300}}
	owner := Owner{Organization: firstOwner}
	form := func(f Form) func(*Server) error {
		return func(s *Server) error { _, err := s.AddForm(f); return err }
	}
	event := func(e Event) func(*Server) error { return func(s *Server) error { return s.AddEvent(e) } }
	tests := []struct {
		name, want string
		do         func(*Server) error
	}{
		{"form without id", "positive id", form(Form{})},
		{"form without owner", "URN of an organization", form(Form{ID: 1})},
		{"form of nobody", "no organization 5", form(Form{ID: 1, Owner: Owner{Organization: "urn:li:organization:5"}})},
		{"too many hidden fields", "21 hidden fields", form(Form{ID: 1, Owner: owner, HiddenFields: make([]HiddenField, 21)})},
		{"question twice", "not unique", form(Form{ID: 1, Owner: owner, Content: Content{Questions: []Question{{ID: 7, Details: text}, {ID: 7, Details: text}}}})},
		{"question of no kind", "either text or multiple choice", form(Form{ID: 1, Owner: owner, Content: Content{Questions: []Question{{ID: 7}}}})},
		{"event without id", "positive id", event(Event{})},
		{"event without organizer", "organizer", event(Event{ID: 1})},
		{"event of nobody", "no organization 5", event(Event{ID: 1, Organizer: "urn:li:organization:5"})},
		{"event with an unknown form", "names no form", event(Event{ID: 1, Organizer: firstOwner, LeadGenForm: "urn:li:leadGenForm:5"})},
		{"organization without id", "positive id", func(s *Server) error { return s.AddOrganization(Organization{}) }},
		{"role on nothing", "no organization 5", func(s *Server) error { return s.SetRole(5, "ANALYST") }},
		{"refusing no form", "no form 5", func(s *Server) error { return s.RefuseForm(5, 404) }},
		{"revising no form", "no form 5", func(s *Server) error { _, err := s.ReviseForm(5, FormChange{}.apply); return err }},
		{"version", "YYYYMM", func(s *Server) error { return s.SetVersion("2026", true) }},
		{"lead with a broken raw answer", "not JSON", func(s *Server) error {
			_, err := s.AddLeads(LeadSpec{Answers: []Answer{{QuestionID: 1, Raw: []byte("{")}}})
			return err
		}},
		{"lead of an unknown version", "has no version 9", func(s *Server) error {
			_, err := s.AddLeads(LeadSpec{Form: "7130000000000000001", FormVersion: 9})
			return err
		}},
		{"lead of no form", "neither an id nor a URN", func(s *Server) error { _, err := s.AddLeads(LeadSpec{Form: "x"}); return err }},
		{"second lead of several", "lead 1", func(s *Server) error { _, err := s.AddLeads(LeadSpec{}, LeadSpec{Owner: "x"}); return err }},
	}
	c := smallWorld(t)
	for _, tt := range tests {
		if err := tt.do(c.server); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
	}
	if got := c.server.Leads(); got != 50 {
		t.Errorf("refused leads were made: %d, want 50", got)
	}
}

func TestBatchTellsWhatWasNotFound(t *testing.T) {
	c := smallWorld(t)
	if err := c.server.RefuseForm(7130000000000000002, http.StatusGone); err != nil {
		t.Fatal(err)
	}
	r := c.do(http.MethodGet, "/rest/leadForms?ids=List(7130000000000000001,7130000000000000002,5)", "", map[string]string{"X-RestLi-Method": "BATCH_GET"})
	_, body := read(t, r)
	var got struct {
		Results  map[string]Form
		Statuses map[string]int
		Errors   map[string]struct{ Status int }
	}
	decodeJSON(t, body, &got)
	if got.Results["7130000000000000001"].ID != 7130000000000000001 || len(got.Results) != 1 ||
		got.Statuses["7130000000000000002"] != 410 || got.Errors["5"].Status != 404 {
		t.Errorf("BATCH_GET = %s", body)
	}
	for _, ids := range []string{"List(a)", "1,2", "List(List(1))"} {
		r := c.do(http.MethodGet, "/rest/leadForms?ids="+ids, "", map[string]string{"X-RestLi-Method": "BATCH_GET"})
		if status, _ := read(t, r); status != http.StatusBadRequest {
			t.Errorf("ids=%s answers %d, want 400", ids, status)
		}
	}
}

func TestEventsEndWhereTheyAre(t *testing.T) {
	end := testStart.UnixMilli()
	for name, kind := range map[string]string{
		"external": `{"online":{"format":{"external":{"endsAt":%d}}}}`,
		"live":     `{"online":{"format":{"live":{"endsAt":%d}}}}`,
		"place":    `{"inPerson":{"endsAt":%d}}`,
	} {
		var e object
		decodeJSON(t, fmt.Appendf(nil, kind, end), &e)
		event := Event{StartsAt: end - 1000, Type: e}
		for after, want := range map[time.Duration]string{-2 * time.Second: "UPCOMING", -time.Second: "ONGOING", 0: "PAST"} {
			if got := event.lifeCycle(testStart.Add(after).UnixMilli()); got != want {
				t.Errorf("%s event %v from its end is %s, want %s", name, after, got, want)
			}
		}
	}
}

func TestOptionTextsAreInTheFormsLocale(t *testing.T) {
	de := Locale{Country: "DE", Language: "de"}
	tests := []struct {
		texts map[string]string
		want  string
	}{
		{map[string]string{"en_US": "Yes", "de_DE": "Ja"}, "Ja"},
		{map[string]string{"fr_FR": "Oui", "en_US": "Yes"}, "Yes"},
		{nil, ""},
	}
	for _, tt := range tests {
		if got := (Localized{tt.texts}).text(de); got != tt.want {
			t.Errorf("text of %v = %q, want %q", tt.texts, got, tt.want)
		}
	}
}
