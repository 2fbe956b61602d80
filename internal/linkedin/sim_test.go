package linkedin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/lead"
	"leadstream/internal/linkedinsim"
)

// withToken adds the access token, as the session of a real client does.
type withToken struct {
	token string
	next  http.RoundTripper
}

func (w withToken) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+w.token)
	return w.next.RoundTrip(req)
}

// simulate makes a simulated LinkedIn and a client of it; to be called inside a
// bubble of virtual time.
func simulate(t testing.TB, cfg linkedinsim.Config, o Options) (*linkedinsim.Server, *Client) {
	t.Helper()
	s, err := linkedinsim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	o.HTTP = withToken{s.IssueToken().AccessToken, inProcess{s}}
	return s, newTestClient(t, nil, o)
}

// simConfig is a world of two organizations with past and coming events, forms
// that were changed, and hidden rows in its pages.
func simConfig(leads int) linkedinsim.Config {
	return linkedinsim.Config{Organizations: 2, Events: 6, Forms: 4, Leads: leads, Seed: 7, Revisions: 1, Span: 60 * 24 * time.Hour, HiddenShare: 0.03}
}

type identity struct {
	id string
	ms int64
}

// readAll are the responses of all organizations in a window by identity, those
// without one by their bytes.
func readAll(t *testing.T, c *Client, owners []string, w lead.Window) map[identity]lead.Response {
	t.Helper()
	got := map[identity]lead.Response{}
	for _, owner := range owners {
		err := c.Responses(t.Context(), lead.Source{Owner: owner, Type: "EVENT"}, w, 0, func(rows []lead.Response) error {
			for _, r := range rows {
				id := identity{r.ID, r.SubmittedAt.UnixMilli()}
				if r.ID == "" || r.SubmittedAt.IsZero() {
					id = identity{string(r.Raw), 0}
				}
				got[id] = r
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func owners(t *testing.T, c *Client) []string {
	t.Helper()
	orgs, err := c.Organizations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var urns []string
	for _, o := range orgs {
		urns = append(urns, o.URN)
	}
	return urns
}

// compare holds what was read against the ledger: every sound lead of the
// window, with every answer, and as many unreadable ones as were made.
func compare(t *testing.T, s *linkedinsim.Server, got map[identity]lead.Response, w lead.Window) {
	t.Helper()
	want, broken := 0, 0
	for e := range s.Ledger() {
		if !e.Listed || !w.Contains(lead.FromMillis(e.SubmittedAt)) {
			continue
		}
		if unreadable(e.Malformed) {
			broken++
			continue
		}
		want++
		r, ok := got[identity{e.ID, e.SubmittedAt}]
		if !ok {
			t.Errorf("lead %s of %s is missing (%s)", e.ID, lead.FormatTime(lead.FromMillis(e.SubmittedAt)), e.Malformed)
			continue
		}
		if e.Malformed == "" {
			sameLead(t, e, r)
		} else if r.Unreadable != "" {
			t.Errorf("lead %s (%s) is unreadable: %s", e.ID, e.Malformed, r.Unreadable)
		}
	}
	found := 0
	for id, r := range got {
		if r.Unreadable != "" {
			found++
			if len(r.Raw) == 0 || !json.Valid(r.Raw) && r.Raw[0] == '{' {
				t.Errorf("unreadable element %v without its bytes", id)
			}
		}
	}
	if len(got)-found != want || found != broken {
		t.Errorf("read %d leads and %d broken ones, the ledger has %d and %d", len(got)-found, found, want, broken)
	}
	if want == 0 {
		t.Error("nothing was compared")
	}
}

func unreadable(m linkedinsim.Malformation) bool {
	switch m {
	case linkedinsim.NoID, linkedinsim.IDNotText, linkedinsim.NoTime, linkedinsim.UnreadableTime, linkedinsim.NotAnObject,
		linkedinsim.NoFormResponse, linkedinsim.AnswersNotList, linkedinsim.NoForm, linkedinsim.UnreadableForm:
		return true
	}
	return false
}

func sameLead(t *testing.T, e linkedinsim.LedgerEntry, r lead.Response) {
	t.Helper()
	ref := lead.FormRef{ID: e.FormID, Version: e.FormVersion}
	if r.Unreadable != "" || r.Owner != e.Owner || r.Type != e.LeadType || r.Form != ref || r.Event != e.Event ||
		r.Test != e.TestLead || r.Submitter != e.Submitter || len(r.Faults) != 0 {
		t.Errorf("lead %s reads %+v, the ledger has %+v", e.ID, r, e)
	}
	if len(r.Answers) != len(e.Answers) || len(r.Consents) != len(e.Consents) {
		t.Errorf("lead %s has %d answers and %d consents, the ledger %d and %d", e.ID, len(r.Answers), len(r.Consents), len(e.Answers), len(e.Consents))
	}
	answered := map[int64]lead.Answer{}
	for _, a := range r.Answers {
		answered[a.QuestionID] = a
	}
	for _, want := range e.Answers {
		a := answered[want.QuestionID]
		var options []int64
		for _, o := range want.Options {
			options = append(options, int64(o))
		}
		if a.Problem != "" || a.Text != want.Text || !slices.Equal(a.Options, options) {
			t.Errorf("lead %s, question %d: answer %+v, want %+v", e.ID, want.QuestionID, a, want)
		}
	}
}

// TestEveryReadingOfTheAPIGivesTheSame runs the client under each alternative
// that LinkedIn's documentation leaves open.
func TestEveryReadingOfTheAPIGivesTheSame(t *testing.T) {
	variants := linkedinsim.Variants()
	variants["as documented"] = linkedinsim.Switches{}
	for name, sw := range variants {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := simConfig(230)
				cfg.Switches = sw
				s, c := simulate(t, cfg, Options{})
				for _, m := range linkedinsim.Malformations() {
					if _, err := s.AddLeads(linkedinsim.LeadSpec{Malformed: m, Age: 30 * time.Hour}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute) // fresh tokens are good by now
				orgs := owners(t, c)
				if len(orgs) != 2 {
					t.Fatalf("organizations = %v, want 2", orgs)
				}
				now, _ := c.Now()
				whole := lead.Window{From: now.Add(-100 * 24 * time.Hour), To: now}
				compare(t, s, readAll(t, c, orgs, whole), whole)
				checkBounds(t, s, c, orgs)
				checkDiscovery(t, s, c, orgs)
			})
		})
	}
}

// checkBounds cuts windows at the very milliseconds of leads.
func checkBounds(t *testing.T, s *linkedinsim.Server, c *Client, orgs []string) {
	t.Helper()
	ledger := slices.Collect(s.Ledger())
	var times []int64
	for _, e := range ledger {
		if e.Malformed == "" && e.Listed {
			times = append(times, e.SubmittedAt)
		}
	}
	slices.Sort(times)
	for _, at := range []int{10, 120} {
		w := lead.Window{From: lead.FromMillis(times[at]), To: lead.FromMillis(times[at+5])}
		want := map[identity]bool{}
		for _, e := range ledger {
			if e.Malformed == "" && e.Listed && w.Contains(lead.FromMillis(e.SubmittedAt)) {
				want[identity{e.ID, e.SubmittedAt}] = true
			}
		}
		got := readAll(t, c, orgs, w)
		for id, r := range got {
			if r.SubmittedAt.IsZero() || r.ID == "" {
				delete(got, id)
			} else if !want[id] {
				t.Errorf("window %s gave %v", w, id)
			}
		}
		if len(got) != len(want) {
			t.Errorf("window %s gave %d leads, want %d", w, len(got), len(want))
		}
	}
}

// checkDiscovery reads events, forms, versions and single responses.
func checkDiscovery(t *testing.T, s *linkedinsim.Server, c *Client, orgs []string) {
	t.Helper()
	events, forms := 0, map[string]lead.Form{}
	for _, owner := range orgs {
		found, err := c.Events(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			if e.Owner != owner || e.Form.ID == "" || e.Name == "" || e.StartsAt.IsZero() {
				t.Errorf("event %+v of %s", e, owner)
			}
		}
		events += len(found)
		listed, err := c.Forms(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range listed {
			forms[f.ID] = f
		}
	}
	if events != 6 || len(forms) != 4 {
		t.Errorf("%d events and %d forms, want 6 and 4", events, len(forms))
	}
	for e := range s.Ledger() {
		if e.Malformed != "" || !e.Listed {
			continue
		}
		r, err := c.Response(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		sameLead(t, e, r)
		checkVersions(t, c, forms, e)
		break
	}
}

// checkVersions: what comes back says rightly which version it is.
func checkVersions(t *testing.T, c *Client, forms map[string]lead.Form, e linkedinsim.LedgerEntry) {
	t.Helper()
	current, err := c.Form(t.Context(), e.FormID)
	if err != nil || current.Version != forms[e.FormID].Version || len(current.Questions) == 0 || len(current.Faults) > 0 {
		t.Fatalf("form %s reads %+v (%v)", e.FormID, current, err)
	}
	got, err := c.FormVersion(t.Context(), lead.FormRef{ID: e.FormID, Version: e.FormVersion}, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != e.FormVersion && got.Version != current.Version {
		t.Errorf("version %d was asked for, %d came, current is %d", e.FormVersion, got.Version, current.Version)
	}
	if got.Version == e.FormVersion {
		for _, a := range e.Answers {
			if !slices.ContainsFunc(got.Questions, func(q lead.Question) bool { return q.ID == a.QuestionID }) {
				t.Errorf("version %d lacks question %d that was answered", got.Version, a.QuestionID)
			}
		}
	}
}

// TestTwentyThousandLeadsOfOneMillisecondAreRead.
func TestTwentyThousandLeadsOfOneMillisecondAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := simulate(t, simConfig(0), Options{})
		at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		org := owners(t, c)[0]
		if _, err := s.AddLeads(linkedinsim.LeadSpec{Count: 20_000, Owner: org, SubmittedAt: at}); err != nil {
			t.Fatal(err)
		}
		w := lead.Window{From: at, To: at.Add(time.Millisecond)}
		if got := readAll(t, c, []string{org}, w); len(got) != 20_000 {
			t.Errorf("%d leads, want 20000", len(got))
		}
	})
}

// TestAScanUnderDriftGivesEveryLeadThatStays: leads come and go between any two
// requests.
func TestAScanUnderDriftGivesEveryLeadThatStays(t *testing.T) {
	for _, total := range []string{"", "absent"} {
		for after := range 9 {
			t.Run(fmt.Sprintf("total %q, after %d requests", total, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := simConfig(450)
					cfg.Switches.Total = total
					s, c := simulate(t, cfg, Options{Concurrency: 1 + after%3})
					orgs := owners(t, c)
					for _, f := range []linkedinsim.Fault{
						{Kind: linkedinsim.DeleteLeads, Owner: orgs[0], Number: 1 + 13*after, Endpoint: EndpointResponses, After: after},
						{Kind: linkedinsim.AddLeads, Leads: &linkedinsim.LeadSpec{Count: 5, Owner: orgs[0], Age: time.Hour}, Endpoint: EndpointResponses, After: after + 2},
					} {
						if err := s.Schedule(f); err != nil {
							t.Fatal(err)
						}
					}
					before := map[identity]bool{}
					for e := range s.Ledger() {
						before[identity{e.ID, e.SubmittedAt}] = true
					}
					now, _ := c.Now()
					got := readAll(t, c, orgs[:1], lead.Window{From: now.Add(-100 * 24 * time.Hour), To: now})
					for e := range s.Ledger() {
						id := identity{e.ID, e.SubmittedAt}
						if _, ok := got[id]; !ok && e.Owner == orgs[0] && e.Listed && before[id] {
							t.Errorf("lead %s was never given", e.ID)
						}
					}
				})
			})
		}
	}
}

// TestARealConnectionIsKept reads over TCP: connections are used again, and the
// context ends a reading.
func TestARealConnectionIsKept(t *testing.T) {
	s, err := linkedinsim.New(simConfig(500))
	if err != nil {
		t.Fatal(err)
	}
	server := startServer(t, s)
	transport := NewTransport(4)
	t.Cleanup(transport.CloseIdleConnections)
	c, err := New(Options{APIURL: server.URL, Version: "202607", HTTP: withToken{s.IssueToken().AccessToken, transport}})
	if err != nil {
		t.Fatal(err)
	}
	orgs := owners(t, c)
	now, ok := c.Now()
	if behind := time.Since(now); !ok || behind < 0 || behind > 2*time.Second {
		t.Errorf("LinkedIn's clock is %v behind ours", behind)
	}
	w := lead.Window{From: now.Add(-100 * 24 * time.Hour), To: now}
	for range 5 {
		compare(t, s, readAll(t, c, orgs, w), w)
	}
	if n := server.opened.Load(); n > 6 {
		t.Errorf("%d connections were opened for %d requests", n, c.Counters().Requests[EndpointResponses])
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = c.Responses(ctx, lead.Source{Owner: orgs[0], Type: "EVENT"}, w, 0, func([]lead.Response) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want the context's", err)
	}
}

// TestASecondSubmissionUnderOneIDIsGivenBeside the first.
func TestASecondSubmissionUnderOneIDIsGivenBesideTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := simulate(t, simConfig(0), Options{})
		org := owners(t, c)[0]
		made, err := s.AddLeads(linkedinsim.LeadSpec{Owner: org, Age: 2 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.AddLeads(linkedinsim.LeadSpec{Owner: org, ID: made[0].ID, Form: made[0].Form, Event: made[0].Event, Age: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		now, _ := c.Now()
		got := readAll(t, c, []string{org}, lead.Window{From: now.Add(-3 * time.Hour), To: now})
		for _, e := range []linkedinsim.LedgerEntry{made[0], again[0]} {
			if _, ok := got[identity{e.ID, e.SubmittedAt}]; !ok {
				t.Errorf("submission %s of %s is missing", e.ID, strconv.FormatInt(e.SubmittedAt, 10))
			}
		}
	})
}
