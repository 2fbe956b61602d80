package main

import (
	"net/http"
	"strings"
	"testing"

	"leadstream/internal/check"
	"leadstream/internal/linkedinsim"
)

// TestCheckReadsTheFormsThatLeadsTake: one that is refused keeps its leads waiting,
// one that is gone does not.
func TestCheckReadsTheFormsThatLeadsTake(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 2, Forms: 2, Leads: 20, Seed: 1})
	const form = "7130000000000000001"
	for _, started := range []bool{false, true} {
		if started {
			if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
				t.Fatalf("run --once: %s", got.stderr)
			}
		}
		for status, want := range map[int]string{
			http.StatusForbidden: "403", http.StatusBadRequest: "400", http.StatusServiceUnavailable: "503", http.StatusNotFound: "", http.StatusGone: "",
		} {
			s.fault(linkedinsim.Fault{Kind: linkedinsim.RefuseForm, Form: form, Status: status})
			code, findings := s.check(ready)
			s.fault(linkedinsim.Fault{Kind: linkedinsim.RestoreForm, Form: form})
			if want == "" {
				if f := find(t, findings, "organization urn:li:organization:9000123"); code != 0 || f.Result != check.Pass || !strings.Contains(f.Text, "1 lead forms") {
					t.Errorf("%d: exit code %d, %+v; want the other form read", status, code, f)
				}
				continue
			}
			if f := find(t, findings, "lead form "+form); code != 6 || f.Result != check.Fail || !strings.Contains(f.Text, want) || f.Todo == "" {
				t.Errorf("%d: exit code %d, %+v; want 6 and the form named", status, code, f)
			}
		}
	}
	s.fault(linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 403, Endpoint: "leadForms", Count: -1})
	if code, findings := s.check(ready); code != 6 || find(t, findings, "lead forms of urn:li:organization:9000123").Result != check.Fail {
		t.Errorf("exit code %d, %+v; want the list of forms named", code, findings)
	}
}

// No lead goes out while LinkedIn refuses to show its form; all do once it is shown.
func TestABackfillWaitsForAFormThatIsRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 40, Seed: 1})
			s.fault(linkedinsim.Fault{Kind: linkedinsim.RefuseForm, Form: "7130000000000000001", Status: status})
			if got := s.run(t.Context(), nil, "run", "--once"); got.code == 0 || !strings.Contains(got.stderr, "form 7130000000000000001") {
				t.Errorf("exit code %d, want the form named: %.2000s", got.code, got.stderr)
			}
			topics, err := s.cluster().Admin.DescribeTopics(t.Context(), []string{"linkedin.leads.7130000000000000001"})
			if err != nil || len(topics) > 0 && len(s.leads()) > 0 {
				t.Errorf("%d leads went out without their form (%v)", len(s.leads()), err)
			}
			s.fault(linkedinsim.Fault{Kind: linkedinsim.RestoreForm, Form: "7130000000000000001"})
			s.once()
			if n := len(s.leads()); n != 40 {
				t.Errorf("%d leads once the form is shown, want 40", n)
			}
		})
	}
}
