package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"leadstream/internal/linkedinsim"
)

// A command that ends does not wait for a limit of the day: it says so, with the code
// for what is out of reach.
func TestOnceAtLinkedInsDailyLimitEndsAndSaysSo(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]linkedinsim.Fault{
		"from the start":       {Kind: linkedinsim.Budget, Endpoint: "leadFormResponses"},
		"in the backfill":      {Kind: linkedinsim.Budget, Endpoint: "leadFormResponses", After: 4},
		"the roles":            {Kind: linkedinsim.Budget, Endpoint: "organizationAcls"},
		"without naming it":    {Kind: linkedinsim.Throttle, Endpoint: "leadFormResponses", Count: -1, RetryAfter: 3 * time.Hour},
		"our own budget alone": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 3000, Seed: 1})
			over := map[string]string{}
			if f.Kind == "" {
				over["LEADSTREAM_LINKEDIN_DAILY_BUDGET"] = "5"
			} else {
				s.fault(f)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			got := s.run(ctx, over, "run", "--once")
			if got.code != exitUnreachable || !strings.Contains(got.stderr, "leadFormResponses") && !strings.Contains(got.stderr, "organizationAcls") {
				t.Errorf("exit code %d, want %d and the endpoint named: %.3000s", got.code, exitUnreachable, got.stderr)
			}
		})
	}
}

// A lead type that is not read whole is refused before anything starts.
func TestALeadTypeThatIsNotReadWholeIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Seed: 1})
	for _, kinds := range []string{"SPONSORED", "EVENT,SPONSORED", "COMPANY", "ORGANIZATION_PRODUCT"} {
		got := s.run(t.Context(), map[string]string{"LEADSTREAM_LINKEDIN_LEAD_TYPES": kinds}, "run", "--once")
		for _, want := range []string{"linkedin.lead_types", "must be EVENT", strings.TrimPrefix(kinds, "EVENT,")} {
			if got.code != exitUsage || !strings.Contains(got.stderr, want) {
				t.Errorf("%s: exit code %d, %q; want %d and %q named", kinds, got.code, got.stderr, exitUsage, want)
			}
		}
	}
}
