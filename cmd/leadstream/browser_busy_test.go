//go:build browser

package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"leadstream/internal/browsertest"
	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/linkedinsim"
)

// awkward are names as people give them.
var awkward = []string{
	"Frühjahrstagung 2027: Anmeldung für Mitglieder, Förderer und Gäste 🎟️ (Warteliste)",
	"تسجيل الحضور في المؤتمر السنوي",
	"製品紹介ウェビナー申し込みフォーム",
	"Q3_EMEA_DemandGen_LeadForm_v12_FINAL_final_2_copy_of_copy_do_not_edit_please",
	"<script>alert(1)</script> & \"quotes\"",
	"🚀",
	"Donaudampfschifffahrtsgesellschaftskapitänsversammlungsteilnehmeranmeldeformular",
}

// crowd makes a world in which much happens under awkward names; much of it
// goes wrong.
func (s *site) crowd() {
	s.t.Helper()
	for i, name := range []string{
		"Vereinigte Alpenländische Seminar- und Tagungsgesellschaft mbH & Co. KG 🏔️", "株式会社ノルドウィンド・アナリティクス東京本社", "Nordwind Analytics",
	} {
		id := s.number(i)
		err := s.sim.AddOrganization(linkedinsim.Organization{ID: id, Name: name, Roles: []linkedinsim.Role{{Role: "ADMINISTRATOR"}}})
		if err == nil && i == 2 {
			err = s.sim.SetRole(id, "")
		}
		if err == nil && i == 2 {
			err = s.sim.SetRole(id, "ANALYST")
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for i, name := range awkward {
		id := firstForm + int64(i)
		if _, err := s.sim.ReviseForm(id, func(f *linkedinsim.Form) error { f.Name = name; return nil }); err != nil {
			s.t.Fatal(err)
		}
		urn, _ := s.owner(i % 3)
		err := s.sim.AddEvent(linkedinsim.Event{ID: 880000 + int64(i), Organizer: urn, LeadGenForm: fmt.Sprintf("urn:li:leadGenForm:%d", id),
			Name: linkedinsim.Localized{Localized: map[string]string{"en_US": "Event: " + name}}, StartsAt: time.Now().UnixMilli()})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// firstForm is the id of the first form of every world.
const firstForm = 7130000000000000001

// foreign registers a schema that is not ours where a form's is to be.
func (s *site) foreign(form int64) {
	s.t.Helper()
	url := fmt.Sprintf("%s/subjects/linkedin.leads.%d-value/versions", s.env["LEADSTREAM_REGISTRY_URL"], form)
	answer, err := http.Post(url, "application/vnd.schemaregistry.v1+json", strings.NewReader(`{"schema":"{\"type\":\"string\"}"}`))
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end below
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("registering a foreign schema: %s %s (%v)", answer.Status, body, err)
	}
}

// yesterday has the checkpoint topic say how many leads came in each hour of the
// last day.
func (s *site) yesterday() (sum int) {
	s.t.Helper()
	hours := checkpoint.Hours{First: time.Now().UTC().Truncate(time.Hour).Add(-23 * time.Hour)}
	for i := range 24 {
		leads := 40 + (i*i*37+i*211)%400
		sum += leads
		hours.Leads = append(hours.Leads, int64(leads))
	}
	record, err := checkpoint.Encode(&hours)
	if err != nil {
		s.t.Fatal(err)
	}
	system := s.system(nil)
	held, err := delivery.ReadCheckpoints(s.t.Context(), system.cluster, system.config.Name)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := system.editCheckpoints(s.t.Context(), held, map[string][]byte{checkpoint.HoursKey: record}); err != nil {
		s.t.Fatal(err)
	}
	return sum
}

func TestABusyInstallationOnAPhone(t *testing.T) {
	s := newSite(t, linkedinsim.Config{Organizations: 3, Events: 30, Forms: 30, Leads: 600, Seed: 8, AutoConsent: true})
	s.crowd()
	s.consent(nil)
	if first := s.run(t.Context(), nil, "run", "--once"); first.code != 0 {
		t.Fatalf("run --once = %d %s", first.code, first.stderr)
	}
	counted := s.yesterday()
	s.foreign(firstForm + 30)
	if _, err := s.sim.AddForm(s.suspended()); err != nil {
		t.Fatal(err)
	}
	urn, _ := s.owner(0)
	err := s.sim.AddEvent(linkedinsim.Event{ID: 890000, Organizer: urn, LeadGenForm: fmt.Sprintf("urn:li:leadGenForm:%d", int64(firstForm+30)),
		Name: linkedinsim.Localized{Localized: map[string]string{"en_US": "An event whose form finds somebody else's schema"}}, StartsAt: time.Now().UnixMilli()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.sim.AddLeads(
		linkedinsim.LeadSpec{Owner: urn, Count: 3, Malformed: linkedinsim.AnswersNotList},
		linkedinsim.LeadSpec{Owner: urn, Count: 2, Malformed: linkedinsim.UnreadableTime},
		linkedinsim.LeadSpec{Form: fmt.Sprint(int64(firstForm + 30)), Count: 4},
		linkedinsim.LeadSpec{Form: fmt.Sprint(int64(firstForm)), Count: 12},
	)
	if err != nil {
		t.Fatal(err)
	}
	p := s.start()
	// Before somebody looks: what is counted from the topic is for half a minute.
	p.awaitMetric(`leadstream_dead_letters_total{reason="UnreadableElement"}`, "5")
	s.open(p, browsertest.PhoneLight)
	s.leads(counted + 12) // what was counted before the restart, and what came after it
	s.says("2 things need attention", "Not read", "ANALYST of this page, which does not read event leads", "✕ Suspended", "its leads are kept",
		"5 leads could not be published", "No leads go out for Anmeldung zum Sommerfest", "5 responses could not be published", "5 could not be read UnreadableElement", "is not leadstream's")
	s.pictures("busy", browsertest.Screens()...)
}

// suspended is a form whose topic's subject is taken.
func (s *site) suspended() linkedinsim.Form {
	urn, _ := s.owner(0)
	return linkedinsim.Form{ID: firstForm + 30, Name: "Anmeldung zum Sommerfest ☀️ mit einem fremden Schema", Owner: linkedinsim.Owner{Organization: urn},
		Content: linkedinsim.Content{Questions: []linkedinsim.Question{{ID: 1, Name: "q", Question: linkedinsim.Localized{Localized: map[string]string{"en_US": "Who comes along?"}},
			Details: linkedinsim.QuestionDetails{Text: &linkedinsim.TextDetails{MaxResponseLength: 300}}}}}}
}
