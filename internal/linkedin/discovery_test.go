package linkedin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/internal/linkedinsim"
)

// routes answers by the path, or by the path and the finder as path?q.
type routes map[string]answer

func (m routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, ok := m[r.URL.Path+"?"+r.URL.Query().Get("q")]
	if !ok {
		a, ok = m[r.URL.Path]
	}
	switch {
	case !ok:
		a = answer{status: 404, body: `{"status":404,"code":"RESOURCE_NOT_FOUND"}`}
	case r.URL.Query().Get("start") != "" && r.URL.Query().Get("start") != "0" && a.status == 200:
		a.body = emptyPage
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

const sampleForm = `{
  "id": 7130000000000000001, "versionId": 2, "owner": { "organization": "urn:li:organization:9000123" },
  "name": "SPD 2026 registration", "state": "PUBLISHED", "created": 1791936000000, "lastModified": 1791936000000,
  "creationLocale": { "country": "DE", "language": "de" }, "reviewInfo": { "reviewStatus": "SOMETHING_NEW" },
  "hiddenFields": [ { "name": "utm_campaign", "value": "spd26" }, { "name": 7, "value": "x" }, { "name": "empty" } ],
  "content": {
    "headline": { "localized": { "en_US": "Register" } },
    "questions": [
      { "questionId": 510001, "name": "firstName", "question": { "localized": { "en_US": "First name", "de_DE": "Vorname" } }, "predefinedField": "FIRST_NAME", "questionDetails": { "textQuestionDetails": { "maxResponseLength": 300 } } },
      { "name": "lost", "question": { "localized": { "en_US": "No id" } } },
      "broken",
      { "questionId": "510004", "question": { "localized": { "fr_FR": "Piste ?", "en_US": "Which track?" } },
        "questionDetails": { "multipleChoiceQuestionDetails": { "options": [ { "id": 0, "text": { "localized": { "en_US": "Connectors" } } }, { "text": {} }, { "id": 1, "text": { "localized": { "de_DE": "Betrieb" } } } ] } } },
      { "questionId": 510005, "question": { "localized": {} }, "predefinedField": "A_NEW_FIELD", "questionDetails": { "sliderQuestionDetails": {} } },
      { "questionId": 510006, "question": 17 }
    ],
    "legalInfo": { "legalInfoId": 1, "consents": [ { "id": 0, "checkRequired": false, "consent": { "localized": { "en_US": "Send me news." } } }, { "id": null } ] }
  }
}`

// TestAFormIsReadPartByPart: every field of it, and what is broken hides nothing.
func TestAFormIsReadPartByPart(t *testing.T) {
	want := lead.Form{
		FormRef: lead.FormRef{ID: "7130000000000000001", Version: 2}, Owner: "urn:li:organization:9000123",
		Name: "SPD 2026 registration", State: "PUBLISHED", Locale: "de_DE",
		Questions: []lead.Question{
			{ID: 510001, Text: "Vorname", Predefined: "FIRST_NAME", Kind: lead.TextAnswer},
			{ID: 510004, Text: "Which track?", Kind: lead.ChoiceAnswer, Options: []lead.Option{{ID: 0, Text: "Connectors"}, {ID: 1, Text: "Betrieb"}}},
			{ID: 510005, Predefined: "A_NEW_FIELD", Kind: lead.UnknownAnswer},
			{ID: 510006},
		},
		Consents: []lead.Consent{{ID: 0, Text: "Send me news."}},
		Hidden:   []lead.HiddenField{{Name: "utm_campaign", Value: "spd26"}, {Name: "empty"}},
		Faults: []lead.Fault{
			{Field: "hiddenFields[1]", Problem: "name is a number"},
			{Field: "content.questions[1]", Problem: "questionId is missing"},
			{Field: "content.questions[2]", Problem: "is a string"},
			{Field: "content.questions.options[1]", Problem: "id is missing"},
			{Field: "content.legalInfo.consents[1]", Problem: "id is null"},
		},
	}
	c := newTestClient(t, routes{"/rest/leadForms/7130000000000000001": ok(sampleForm)}, Options{})
	got, err := c.Form(t.Context(), "7130000000000000001")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("form\n got %+v\nwant %+v", got, want)
	}
}

// TestTheTextOfALocale: the locale asked for, else the first in sorted order.
func TestTheTextOfALocale(t *testing.T) {
	tests := []struct{ raw, locale, want string }{
		{`{"localized":{"en_US":"a","de_DE":"b"}}`, "en_US", "a"},
		{`{"localized":{"en_US":"a","de_DE":"b"}}`, "fr_FR", "b"},
		{`{"localized":{"en_US":{"rawText":"a"}}}`, "", "a"},
		{`{"preferredLocale":{"country":"US","language":"en"},"localized":{"en_US":7,"xx":"x"}}`, "en_US", "x"},
		{`"bare"`, "en_US", "bare"}, {`{}`, "en_US", ""}, {`null`, "en_US", ""}, {`{"localized":[]}`, "en_US", ""},
	}
	for _, tt := range tests {
		r := newReader([]byte(tt.raw))
		text, _ := decodeLocalized(r)
		if got := text.in(tt.locale); got != tt.want || r.end() != nil {
			t.Errorf("%s in %s = %q (%v), want %q", tt.raw, tt.locale, got, r.end(), tt.want)
		}
	}
	for raw, want := range map[string]string{`{"country":"US","language":"en"}`: "en_US", `"de_DE"`: "de_DE", `{"language":"en"}`: "en", `{"country":"US"}`: "", `7`: ""} {
		if got := decodeLocale(newReader([]byte(raw))); got != want {
			t.Errorf("locale %s = %q, want %q", raw, got, want)
		}
	}
}

func event(id, form string) string {
	return fmt.Sprintf(`{"id":%s,"name":{"localized":{"en_US":"E"}},"organizer":"urn:li:organization:9000123","startsAt":1796030400000%s}`, id, form)
}

// TestEventsAreTheUnionOfBothFinders: past ones, both URNs of forms, and none
// without a form.
func TestEventsAreTheUnionOfBothFinders(t *testing.T) {
	const versioned = `,"leadGenForm":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:71,3)"`
	with := ok(`{"elements":[` + event("7200000000000000123", `,"leadGenForm":"urn:li:leadGenForm:71"`) + `,` + event("5", versioned) + `]}`)
	all := ok(`{"elements":[` + event("7200000000000000123", versioned) + `,` + event(`"6"`, versioned) + `,` + event("7", "") + `,` +
		event("8", `,"leadGenForm":{"odd":true}`) + `,{"name":"no id"},null]}`)
	refused := answer{status: 404, body: `{"status":404}`}
	form := lead.FormRef{ID: "71", Version: 3}
	tests := []struct {
		name      string
		with, all answer
		want      map[string]lead.FormRef
	}{
		{"both", with, all, map[string]lead.FormRef{"urn:li:event:5": form, "urn:li:event:6": form, "urn:li:event:7200000000000000123": form}},
		{"the first only", with, refused, map[string]lead.FormRef{"urn:li:event:5": form, "urn:li:event:7200000000000000123": {ID: "71"}}},
		{"the second only", answer{status: 400, body: `{"status":400}`}, all,
			map[string]lead.FormRef{"urn:li:event:6": form, "urn:li:event:7200000000000000123": form}},
		{"neither", refused, refused, nil},
		{"one fails for the moment", with, answer{status: 503}, nil},
		{"one is denied", with, answer{status: 403}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTestClient(t, routes{"/rest/events?" + FinderWithForms: tt.with, "/rest/events?" + FinderAll: tt.all}, Options{})
				events, err := c.Events(t.Context(), testSource.Owner)
				if (err != nil) != (tt.want == nil) {
					t.Fatalf("error = %v", err)
				}
				if len(events) != len(tt.want) {
					t.Errorf("%d events, want %d", len(events), len(tt.want))
				}
				for i, e := range events {
					if want, ok := tt.want[e.URN]; !ok || e.Form != want || e.Name != "E" || e.Owner != testSource.Owner || e.StartsAt.Year() != 2026 {
						t.Errorf("event %+v, want form %v", e, want)
					}
					if i > 0 && events[i-1].URN > e.URN {
						t.Errorf("%s stands before %s", events[i-1].URN, e.URN)
					}
				}
			})
		})
	}
}

func roleRow(org int, role, state string) string {
	return fmt.Sprintf(`{"roleAssignee":"urn:li:person:x","role":%q,"state":%q,"organization":"urn:li:organization:%d"}`, role, state, org)
}

// TestOneUnreadablePageHidesNoOther: names that cannot be read, roles that do
// not suffice, rows that are broken.
func TestOneUnreadablePageHidesNoOther(t *testing.T) {
	rows := strings.Join([]string{
		roleRow(1, "ADMINISTRATOR", "APPROVED"), roleRow(1, "ANALYST", "APPROVED"), roleRow(2, "CONTENT_ADMINISTRATOR", "APPROVED"),
		roleRow(3, "ANALYST", "APPROVED"), roleRow(3, "A_NEW_ROLE", "APPROVED"), roleRow(4, "ADMINISTRATOR", "REVOKED"),
		`{"role":"ADMINISTRATOR","state":"APPROVED","organizationTarget":"urn:li:organization:5"}`, `{"role":"ADMINISTRATOR"}`, `7`,
	}, ",")
	synctest.Test(t, func(t *testing.T) {
		r := routes{
			"/rest/organizationAcls": ok(`{"elements":[` + rows + `]}`),
			"/rest/organizations/1":  ok(`{"id":1,"localizedName":"One"}`),
			"/rest/organizations/2":  {status: 403, body: `{"status":403,"serviceErrorCode":100}`},
			"/rest/organizations/3":  ok(`{"id":3,"name":{"localized":{"de_DE":"Drei","en_US":"Three"},"preferredLocale":{"country":"US","language":"en"}}}`),
			"/rest/organizations/5":  {status: 503},
		}
		c := newTestClient(t, r, Options{})
		got, err := c.Organizations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []lead.Organization{
			{URN: "urn:li:organization:1", Name: "One", Roles: []string{"ADMINISTRATOR", "ANALYST"}},
			{URN: "urn:li:organization:2", Roles: []string{"CONTENT_ADMINISTRATOR"}},
			{URN: "urn:li:organization:3", Name: "Three", Roles: []string{"ANALYST", "A_NEW_ROLE"}, Problem: got[2].Problem, Todo: got[2].Todo, Incidental: true},
			{URN: "urn:li:organization:5", Roles: []string{"ADMINISTRATOR"}},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("organizations\n got %+v\nwant %+v", got, want)
		}
		for _, part := range []string{"ANALYST", "CONTENT_ADMINISTRATOR", "super admin"} {
			if !strings.Contains(got[2].Problem+"; "+got[2].Todo, part) {
				t.Errorf("the problem does not name %s: %s; %s", part, got[2].Problem, got[2].Todo)
			}
		}
		// Names are kept for a day, one that failed for the moment is asked again.
		r["/rest/organizations/1"], r["/rest/organizations/5"] = ok(`{"localizedName":"Uno"}`), ok(`{"localizedName":"Five"}`)
		before := c.Counters().Requests[EndpointOrganizations]
		got, err = c.Organizations(t.Context())
		if err != nil || got[0].Name != "One" || got[3].Name != "Five" || c.Counters().Requests[EndpointOrganizations] != before+1 {
			t.Errorf("again: %+v (%v) after %d more requests", got, err, c.Counters().Requests[EndpointOrganizations]-before)
		}
		time.Sleep(nameLife)
		if got, err = c.Organizations(t.Context()); err != nil || got[0].Name != "Uno" {
			t.Errorf("a day later: %+v (%v)", got, err)
		}
	})
}

func TestAConfiguredPageWithoutARoleIsNamedAndNoOtherIs(t *testing.T) {
	rows := roleRow(1, "ADMINISTRATOR", "APPROVED") + "," + roleRow(2, "ANALYST", "APPROVED") + "," + roleRow(3, "ANALYST", "APPROVED")
	c := newTestClient(t, routes{
		"/rest/organizationAcls": ok(`{"elements":[` + rows + `]}`),
		"/rest/organizations/1":  ok(`{"id":1,"localizedName":"One"}`),
		"/rest/organizations/3":  ok(`{"id":3,"localizedName":"Three"}`),
	}, Options{Organizations: []string{"urn:li:organization:7", "urn:li:organization:1", "urn:li:organization:3"}})
	got, err := c.Organizations(t.Context())
	if err != nil || len(got) != 3 {
		t.Fatalf("organizations = %+v (%v), want the three that are configured", got, err)
	}
	want := []lead.Organization{
		{URN: "urn:li:organization:1", Name: "One", Roles: []string{"ADMINISTRATOR"}},
		{URN: "urn:li:organization:3", Name: "Three", Roles: []string{"ANALYST"}, Problem: got[1].Problem, Todo: got[1].Todo},
		{URN: "urn:li:organization:7", Problem: got[2].Problem, Todo: got[2].Todo},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("organizations\n got %+v\nwant %+v", got, want)
	}
	for i, parts := range [][]string{nil, {"ANALYST", "super admin"}, {"no role", "ADMINISTRATOR", "super admin"}} {
		for _, part := range parts {
			if !strings.Contains(got[i].Problem+"; "+got[i].Todo, part) {
				t.Errorf("the problem of %s does not name %s: %s; %s", got[i].URN, part, got[i].Problem, got[i].Todo)
			}
		}
	}
}

// TestADeadTokenIsNotAPageWithoutName.
func TestADeadTokenIsNotAPageWithoutName(t *testing.T) {
	c := newTestClient(t, routes{
		"/rest/organizationAcls": ok(`{"elements":[` + roleRow(1, "ADMINISTRATOR", "APPROVED") + `]}`),
		"/rest/organizations/1":  {status: 401, body: `{"status":401,"serviceErrorCode":65601}`},
	}, Options{})
	if _, err := c.Organizations(t.Context()); fault.KindOf(err) != fault.Pause || err == nil {
		t.Errorf("error = %v, want one of kind pause", err)
	}
}

// TestAllOrganizationsAreListed: far more than LinkedIn's default of ten.
func TestAllOrganizationsAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := simulate(t, linkedinsim.Config{Organizations: 250}, Options{})
		if orgs, err := c.Organizations(t.Context()); err != nil || len(orgs) != 250 {
			t.Errorf("%d organizations (%v), want 250", len(orgs), err)
		}
	})
}

// TestTheAnsweredVersionOfAForm: it comes with the response where LinkedIn
// inlines it; what comes always says rightly which version it is.
func TestTheAnsweredVersionOfAForm(t *testing.T) {
	form := func(version, question string) string {
		return `{"id":71,` + version + `"name":"F","content":{"questions":[{"questionId":1,"question":"` + question + `"}]}}`
	}
	inlined := func(f string) answer { return ok(`{"versionedLeadGenFormUrn":"x","form":` + f + `}`) }
	current := ok(form(`"versionId":3,`, "new"))
	gone, later := answer{status: 404, body: `{"status":404}`}, answer{status: 503}
	tests := []struct {
		name              string
		inlined, current  answer
		ask, want         int
		question, problem string
	}{
		{"inlined with its version", inlined(form(`"versionId":2,`, "old")), gone, 2, 2, "old", ""},
		{"inlined without version, other content", inlined(form("", "old")), current, 2, 2, "old", ""},
		{"inlined without version, the current content", inlined(form("", "new")), current, 2, 3, "new", ""},
		{"the current one is inlined", inlined(form(`"versionId":3,`, "new")), current, 2, 3, "new", ""},
		{"the current one is asked for", inlined(form("", "new")), current, 3, 3, "new", ""},
		{"a third one is inlined", inlined(form(`"versionId":1,`, "oldest")), current, 2, 1, "oldest", ""},
		{"nothing is inlined", ok(`{}`), current, 2, 3, "new", ""},
		{"another form is inlined", inlined(`{"id":72,"versionId":2}`), current, 2, 3, "new", ""},
		{"the projection is refused", answer{status: 400, body: `{"status":400}`}, current, 2, 3, "new", ""},
		{"the response is gone", gone, current, 2, 3, "new", ""},
		{"the form is gone, the response shows it", inlined(form("", "old")), gone, 2, 2, "old", ""},
		{"both are gone", gone, gone, 2, 0, "", "suspend"},
		{"the response fails for the moment", later, current, 2, 0, "", "retry"},
		{"the form fails for the moment", inlined(form("", "old")), later, 2, 0, "", "retry"},
		{"no version is asked for", inlined(form("", "old")), current, 0, 3, "new", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTestClient(t, routes{"/rest/leadFormResponses/r-1": tt.inlined, "/rest/leadForms/71": tt.current}, Options{})
				got, err := c.FormVersion(t.Context(), lead.FormRef{ID: "71", Version: tt.ask}, "r-1")
				if tt.problem != "" {
					if err == nil || fault.KindOf(err).String() != tt.problem {
						t.Errorf("error = %v, want one of kind %s", err, tt.problem)
					}
					return
				}
				if err != nil || got.Version != tt.want || got.Questions[0].Text != tt.question {
					t.Errorf("got version %d %+v (%v), want %d with %q", got.Version, got.Questions, err, tt.want, tt.question)
				}
			})
		})
	}
}

// TestASingleResponse is read by id and by URN; a deleted one is an error.
func TestASingleResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := simulate(t, simConfig(0), Options{})
		made, err := s.AddLeads(linkedinsim.LeadSpec{Age: time.Hour}, linkedinsim.LeadSpec{Age: time.Hour, Malformed: linkedinsim.NoForm})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{made[0].ID, "urn:li:leadGenFormResponse:" + made[0].ID} {
			r, err := c.Response(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			sameLead(t, made[0], r)
			if again := Parse(r.Raw); again.ID != r.ID || !again.SubmittedAt.Equal(r.SubmittedAt) || len(again.Answers) != len(r.Answers) {
				t.Errorf("what was kept reads %+v, want %+v", again, r)
			}
		}
		if r, err := c.Response(t.Context(), made[1].ID); err != nil || r.Unreadable == "" {
			t.Errorf("a broken one reads %+v (%v)", r, err)
		}
		s.DeleteLead(made[0].ID)
		var e *APIError
		if _, err := c.Response(t.Context(), made[0].ID); !errors.As(err, &e) || fault.KindOf(err) != fault.Suspend {
			t.Errorf("a deleted one: %v, want an APIError of kind suspend", err)
		}
	})
}

// TestAKeptElementThatIsNoJSONIsUnreadable, however much of it can be read.
func TestAKeptElementThatIsNoJSONIsUnreadable(t *testing.T) {
	good := element(1)
	if r := Parse([]byte(good)); r.Unreadable != "" || r.ID != "r1" {
		t.Errorf("a good one reads %+v", r)
	}
	for i := range len(good) {
		if r := Parse([]byte(good[:i])); r.Unreadable == "" || string(r.Raw) != good[:i] {
			t.Fatalf("%q reads %+v", good[:i], r)
		}
	}
}

// FuzzDecodeForm: whatever is sent, a form's number is one, and what could not be
// read is named.
func FuzzDecodeForm(f *testing.F) {
	f.Add([]byte(sampleForm))
	f.Add([]byte(`{"id":"urn:li:leadGenForm:7","content":{"questions":{"a":1}},"hiddenFields":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := newReader(body)
		form, _ := decodeForm(r)
		if r.end() != nil {
			return
		}
		if form.ID != "" && !lead.Digits(form.ID) {
			t.Errorf("form id %q", form.ID)
		}
		if form.Version < 0 {
			t.Errorf("form version %d", form.Version)
		}
		for _, fault := range form.Faults {
			if fault.Field == "" || fault.Problem == "" {
				t.Errorf("fault %+v", fault)
			}
		}
	})
}

// TestAShowcasePageIsListedWithWhatItMeans, and so is a page of any kind that comes
// to be; neither is taken for a company page.
func TestAShowcasePageIsListedWithWhatItMeans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		s, c := simulate(t, linkedinsim.Config{Organizations: 1}, Options{Log: zap.New(core)})
		if err := s.AddOrganization(linkedinsim.Organization{ID: 77, Name: "Show", Brand: true, Roles: []linkedinsim.Role{{Role: "ADMINISTRATOR"}}}); err != nil {
			t.Fatal(err)
		}
		orgs, err := c.Organizations(t.Context())
		if err != nil || len(orgs) != 2 || logs.Len() != 0 {
			t.Fatalf("%+v (%v), %v; want both pages and no warning", orgs, err, logs.All())
		}
		show := orgs[1]
		if show.URN != "urn:li:organizationBrand:77" || !strings.Contains(show.Problem, "showcase page") || strings.Contains(show.Problem, "no role") ||
			show.Todo == "" || !show.Incidental || !slices.Equal(show.Roles, []string{"ADMINISTRATOR"}) {
			t.Errorf("%+v, want it named as what it is", show)
		}
		if orgs[0].Problem != "" || orgs[0].Name == "" {
			t.Errorf("%+v, want a page that can be read", orgs[0])
		}
	})
	c := newTestClient(t, routes{"/rest/organizationAcls": ok(`{"elements":[{"role":"ADMINISTRATOR","state":"APPROVED","organization":"urn:li:school:5"}]}`)}, Options{})
	if orgs, err := c.Organizations(t.Context()); err != nil || len(orgs) != 1 || orgs[0].URN != "urn:li:school:5" || orgs[0].Problem == "" {
		t.Errorf("%+v (%v), want it listed", orgs, err)
	}
}

// TestAPageThatOnlyItsAdministratorsMayReadHasAName.
func TestAPageThatOnlyItsAdministratorsMayReadHasAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := simulate(t, linkedinsim.Config{Organizations: 2}, Options{})
		if err := s.SetRole(9000123, ""); err != nil {
			t.Fatal(err)
		}
		if err := s.SetRole(9000123, "CONTENT_ADMINISTRATOR"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			orgs, err := c.Organizations(t.Context())
			if err != nil || len(orgs) != 2 || orgs[0].Name == "" || orgs[1].Name == "" || orgs[0].Problem != "" {
				t.Errorf("%+v (%v), want both names", orgs, err)
			}
		}
		if n := c.Counters().Requests[EndpointLookup]; n != 1 {
			t.Errorf("%d look-ups, want one", n)
		}
	})
	// What the look-up lacks is no name, and no failure.
	for _, answered := range []answer{ok(`{"results":{}}`), ok(`{"results":{"2":{"localizedName":"Two"}}}`), ok(`{"results":null,"errors":{"1":{"status":404}}}`), {status: 403}} {
		c := newTestClient(t, routes{
			"/rest/organizationAcls": ok(`{"elements":[` + roleRow(1, "CONTENT_ADMINISTRATOR", "APPROVED") + `]}`),
			"/rest/organizations/1":  {status: 403, body: `{"status":403}`}, "/rest/organizationsLookup": answered,
		}, Options{})
		if orgs, err := c.Organizations(t.Context()); err != nil || len(orgs) != 1 || orgs[0].Name != "" || orgs[0].Problem != "" {
			t.Errorf("%+v (%v), want a page without a name", orgs, err)
		}
	}
}
