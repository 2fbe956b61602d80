package check

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/linkedin"
	"leadstream/internal/linkedinsim"
)

// probeConfig is a world in which everything that a probe looks at is there.
func probeConfig() linkedinsim.Config {
	return linkedinsim.Config{Organizations: 1, Events: 4, Forms: 4, Leads: 300, Seed: 7, Revisions: 1,
		Span: 60 * 24 * time.Hour, TestShare: 0.1, Versions: []string{"202607", "202608"}}
}

var probeOptions = ProbeOptions{Reach: 4000, Scopes: []string{"r_marketing_leadgen_automation", "r_events", "r_organization_admin"}}

// november sets the bubble's clock to a day when all the versions that are
// tried have come.
func november() { time.Sleep(time.Until(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))) }

// seen is what a probe observed, with its verdict, by question.
func seen(t *testing.T, c *linkedin.Client, o ProbeOptions) map[string]string {
	t.Helper()
	list, n, err := Probe(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	if n > MostProbeRequests {
		t.Errorf("%d requests, want %d at most", n, MostProbeRequests)
	}
	answers := map[string]string{}
	for _, o := range list {
		if o.Point == "" || o.Asked == "" || o.Expected == "" || o.Verdict == Untold && o.Why == "" || o.Verdict != Untold && o.Observed == "" {
			t.Errorf("incomplete: %+v", o)
		}
		answers[o.Question] = string(o.Verdict) + ": " + o.Observed + o.Why
	}
	return answers
}

// documented is what is seen of a LinkedIn that does as is expected.
var documented = map[string]string{
	"Which bounds of submittedAtTimeRange count?":                                        "confirmed: the start counts, the end does not",
	"In which order do leads come?":                                                      "confirmed: newest first",
	"How large may a page of leadFormResponses be?":                                      "confirmed: 100 is taken, 101 is refused",
	"How large may a page of events be?":                                                 "confirmed: 50 is taken, 51 is refused",
	"How large may a page of leadForms be?":                                              "confirmed: 100 is taken, 101 is refused",
	"How large may a page of organizationAcls be?":                                       "confirmed: 100 is taken, 101 is refused",
	"How is the event of a lead named in associatedEntity?":                              "confirmed: event",
	"Which form does the parameter associatedEntity take?":                               "confirmed: the bare URN is taken, the union is refused",
	"How does an event name its form?":                                                   "confirmed: with its version",
	"Does organizerLeadGenFormEnabledEvents keep past events?":                           "confirmed: yes",
	"Which leads are listed without limitedToTestLeads, and with false?":                 "confirmed: without it lists test leads, false lists test leads",
	"Which version of a form does form:(…) inline in a lead?":                            "confirmed: the one that was answered",
	"Which values of predefinedField are there?":                                         "confirmed: COMPANY_NAME, EMAIL, FIRST_NAME, JOB_TITLE, LAST_NAME, PHONE_NUMBER",
	"Which values of reviewStatus are there?":                                            "confirmed: NEEDS_REVIEW",
	"Are ownerInfo, associatedEntityInfo and leadMetadataInfo given without projection?": "confirmed: no",
	"Are unknown parameters refused?":                                                    "confirmed: ignored",
	"Is a union taken that is percent-encoded as a whole?":                               "confirmed: refused",
	"Which versions are served?":                                                         "confirmed: served: 202607, 202608; not: 202609, 202610, 202611",
	"What is the answer without LinkedIn-Version?":                                       "confirmed: 400 VERSION_MISSING",
	"Does a 429 tell when to come back?":                                                 "not told: no 429 was met, and none is provoked",
	"Are roles read without r_organization_admin?":                                       "not told: the token has it",
	"Is there organizations?q=vanityName?":                                               "confirmed: no: 400 ILLEGAL_ARGUMENT",
	"Is paging.total right?":                                                             "confirmed: right, to ten rows",
	"How far do offsets reach?":                                                          "confirmed: 100000 is served",
}

// switched are, for each alternative of the simulator that a probe can see, the
// question that it changes and what is seen then. All other alternatives change
// nothing.
var switched = map[string][2]string{
	"bounds start exclusive, end inclusive": {"Which bounds of submittedAtTimeRange count?", "differs: the start does not, the end counts"},
	"bounds inclusive":                      {"Which bounds of submittedAtTimeRange count?", "differs: the start counts, the end counts"},
	"bounds exclusive":                      {"Which bounds of submittedAtTimeRange count?", "differs: the start does not, the end does not"},
	"oldest first":                          {"In which order do leads come?", "differs: oldest first"},
	"at most 50 responses":                  {"How large may a page of leadFormResponses be?", "differs: 50 is taken, 51 is refused"},
	"at most 100 events":                    {"How large may a page of events be?", "confirmed: 100 is taken, 101 is refused"},
	"at most 25 events":                     {"How large may a page of events be?", "differs: 25 is taken, 50 is refused"},
	"at most 50 forms":                      {"How large may a page of leadForms be?", "confirmed: 50 is taken, 51 is refused"},
	"at most 50 roles":                      {"How large may a page of organizationAcls be?", "differs: 50 is taken, 51 is refused"},
	"at most 500 roles":                     {"How large may a page of organizationAcls be?", "confirmed: 500 is taken"},
	"no total":                              {"Is paging.total right?", "confirmed: absent"},
	"total too low":                         {"Is paging.total right?", "differs: too low: rows follow"},
	"total too high":                        {"Is paging.total right?", "differs: too high: no rows in its last ten places"},
	"associatedEvent":                       {"How is the event of a lead named in associatedEntity?", "differs: associatedEvent"},
	"associatedEntity as union":             {"Which form does the parameter associatedEntity take?", "differs: the bare URN is refused, the union is taken"},
	"associatedEntity either way":           {"Which form does the parameter associatedEntity take?", "differs: the bare URN is taken, the union is taken"},
	"event names form without version":      {"How does an event name its form?", "differs: without version"},
	"form finder drops past events":         {"Does organizerLeadGenFormEnabledEvents keep past events?", "differs: no"},
	"limitedToTestLeads=false excludes":     {"Which leads are listed without limitedToTestLeads, and with false?", "differs: without it lists test leads, false leaves them out"},
	"test leads only when asked for":        {"Which leads are listed without limitedToTestLeads, and with false?", "differs: without it leaves them out, false leaves them out"},
	"projected form is the current version": {"Which version of a form does form:(…) inline in a lead?", "differs: the current one"},
	"fields refused":                        {"Which version of a form does form:(…) inline in a lead?", "differs: the projection is refused with 400 ILLEGAL_ARGUMENT"},
	"info fields always":                    {"Are ownerInfo, associatedEntityInfo and leadMetadataInfo given without projection?", "differs: ownerInfo, associatedEntityInfo, leadMetadataInfo"},
	"unknown parameters refused":            {"Are unknown parameters refused?", "differs: refused with 400 ILLEGAL_ARGUMENT"},
	"encoded union accepted":                {"Is a union taken that is percent-encoded as a whole?", "differs: taken"},
	"missing version without code":          {"What is the answer without LinkedIn-Version?", "differs: 400 without a code"},
	"vanityName finder":                     {"Is there organizations?q=vanityName?", "differs: yes"},
}

// TestAProbeSeesWhatLinkedInDoes, under each alternative that its documentation
// leaves open: the probe of that point tells it, and no other is led astray.
func TestAProbeSeesWhatLinkedInDoes(t *testing.T) {
	variants := linkedinsim.Variants()
	variants["as documented"] = linkedinsim.Switches{}
	for name := range switched {
		if _, ok := variants[name]; !ok {
			t.Errorf("the simulator has no alternative %q", name)
		}
	}
	for name, sw := range variants {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				november()
				cfg := probeConfig()
				cfg.Switches = sw
				_, c := simulate(t, cfg, linkedin.Options{})
				time.Sleep(time.Minute) // fresh tokens are good by now
				got := seen(t, c, probeOptions)
				for question, want := range documented {
					if switched[name][0] == question {
						want = switched[name][1]
					}
					if got[question] != want {
						t.Errorf("%s\n got %s\nwant %s", question, got[question], want)
					}
				}
				if n := len(got); n != len(documented)+len(unsettled) {
					t.Errorf("%d points were told of, want %d", n, len(documented)+len(unsettled))
				}
			})
		})
	}
}

// TestAProbeOfATokenWithoutTheScopeForRoles tells whether it is needed.
func TestAProbeOfATokenWithoutTheScopeForRoles(t *testing.T) {
	for want, sw := range map[string]linkedinsim.Switches{
		"confirmed: no": {}, "differs: yes": {RolesWithoutAdminScope: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			november()
			cfg := probeConfig()
			cfg.Switches = sw
			s, err := linkedinsim.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			scopes := []string{"r_marketing_leadgen_automation", "r_events"}
			c := newTestClient(t, s.IssueToken(scopes...).AccessToken, s, linkedin.Options{})
			got := seen(t, c, ProbeOptions{Reach: 4000, Scopes: scopes, Owners: []string{"urn:li:organization:9000123"}})
			if got["Are roles read without r_organization_admin?"] != want || got["In which order do leads come?"] != "confirmed: newest first" {
				t.Errorf("got %q, want %q, and the leads read all the same", got, want)
			}
		})
	}
}

// TestAProbeStopsAtTheDailyLimit: nothing more is asked, the rest is not told,
// and whether LinkedIn says when to come back is.
func TestAProbeStopsAtTheDailyLimit(t *testing.T) {
	for want, sw := range map[string]linkedinsim.Switches{
		"confirmed: no Retry-After": {DailyBudget: 6}, "differs: Retry-After is there": {DailyBudget: 6, RetryAfter: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			november()
			cfg := probeConfig()
			cfg.Switches = sw
			s, c := simulate(t, cfg, linkedin.Options{})
			got := seen(t, c, probeOptions)
			if got["Does a 429 tell when to come back?"] != want || !strings.HasPrefix(got["How far do offsets reach?"], "not told: ") {
				t.Errorf("got %q, want %q and the rest not told", got, want)
			}
			if n := s.Stats().ByStatus[http.StatusTooManyRequests]; n > 4 {
				t.Errorf("%d requests were refused, want one of each endpoint at most", n)
			}
			if !strings.HasPrefix(got["How large may a page of events be?"], "confirmed: ") {
				t.Errorf("the limit of another endpoint counted: %q", got)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		november()
		_, c := simulate(t, probeConfig(), linkedin.Options{DailyBudget: 5})
		if got := seen(t, c, probeOptions); !strings.HasPrefix(got["How far do offsets reach?"], "not told: the 5 requests a day to LinkedIn's leadFormResponses") {
			t.Errorf("got %q, want our own bound to hold", got)
		}
	})
}

// TestAProbeNamesWhatWouldBreakTheClient: offsets that do not reach through a
// window.
func TestAProbeNamesWhatWouldBreakTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		november()
		s, err := linkedinsim.New(probeConfig())
		if err != nil {
			t.Fatal(err)
		}
		capped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if start, err := strconv.Atoi(r.URL.Query().Get("start")); err == nil && start > 2000 {
				http.Error(w, `{"status":400,"code":"ILLEGAL_ARGUMENT"}`, http.StatusBadRequest)
				return
			}
			s.ServeHTTP(w, r)
		})
		c := newTestClient(t, s.IssueToken().AccessToken, capped, linkedin.Options{})
		got := seen(t, c, probeOptions)["How far do offsets reach?"]
		if !strings.HasPrefix(got, "breaks: 4000 is refused") {
			t.Errorf("got %q", got)
		}
	})
}

// TestAProbeOnlyReadsAndTellsNothingOfPeople.
func TestAProbeOnlyReadsAndTellsNothingOfPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		november()
		s, err := linkedinsim.New(probeConfig())
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		watched := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			if r.Method != http.MethodGet {
				t.Errorf("%s %s", r.Method, r.URL.Path)
			}
			s.ServeHTTP(w, r)
		})
		c := newTestClient(t, s.IssueToken().AccessToken, watched, linkedin.Options{})
		list, n, err := Probe(t.Context(), c, probeOptions)
		if err != nil || n != asked {
			t.Fatalf("%d requests told, %d made: %v", n, asked, err)
		}
		said, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		for e := range s.Ledger() {
			secrets := []string{e.ID, e.Submitter}
			for _, a := range e.Answers {
				secrets = append(secrets, a.Text)
			}
			for _, secret := range secrets {
				if len(secret) > 6 && strings.Contains(string(said), secret) {
					t.Fatalf("%q was said", secret)
				}
			}
		}
	})
}

// TestAProbeEndsWithItsTokenOrItsContext.
func TestAProbeEndsWithItsTokenOrItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := simulate(t, probeConfig(), linkedin.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := Probe(ctx, c, probeOptions); err == nil {
			t.Error("no error of a context that has ended")
		}
		s.RevokeTokens()
		if _, _, err := Probe(t.Context(), c, probeOptions); err == nil {
			t.Error("no error of a token that was revoked")
		}
	})
}

// TestAProbeWithoutLeadsSaysWhatItLacks.
func TestAProbeWithoutLeadsSaysWhatItLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		november()
		_, c := simulate(t, linkedinsim.Config{Organizations: 1, Versions: []string{"202607"}}, linkedin.Options{})
		got := seen(t, c, probeOptions)
		for question, want := range map[string]string{
			"Which bounds of submittedAtTimeRange count?": "not told: there are too few leads", "How does an event name its form?": "not told: no event has a form",
			"Which values of predefinedField are there?": "not told: no form has any", "Are unknown parameters refused?": "confirmed",
			"How large may a page of events be?": "confirmed",
		} {
			if !strings.HasPrefix(got[question], want) {
				t.Errorf("%s %q, want %q", question, got[question], want)
			}
		}
	})
}

// inProcess serves requests by a handler, without a network, so that tests run
// under virtual time.
type inProcess struct {
	token   string
	handler http.Handler
}

func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+p.token)
	w := httptest.NewRecorder()
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	p.handler.ServeHTTP(w, req)
	return w.Result(), nil
}

func newTestClient(t *testing.T, token string, handler http.Handler, o linkedin.Options) *linkedin.Client {
	t.Helper()
	o.HTTP, o.APIURL, o.Version = inProcess{token, handler}, "http://linkedin.test", "202607"
	c, err := linkedin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// simulate makes a simulated LinkedIn and a client of it; to be called inside a
// bubble of virtual time.
func simulate(t *testing.T, cfg linkedinsim.Config, o linkedin.Options) (*linkedinsim.Server, *linkedin.Client) {
	t.Helper()
	s, err := linkedinsim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, newTestClient(t, s.IssueToken().AccessToken, s, o)
}
