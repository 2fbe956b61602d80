package main

import (
	"strconv"
	"strings"
	"testing"

	"leadstream/internal/linkedinsim"
)

// A page that the member has some other role on is a warning; one that is
// configured by name and cannot be read is a failure.
func TestCheckTellsAPageThatIsWantedFromOneThatIsNot(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Seed: 1})
	orgs := s.sim.Describe().Organizations
	id, err := strconv.ParseInt(strings.TrimPrefix(orgs[1].URN, "urn:li:organization:"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"", "ANALYST"} { // every other one is taken first
		if err := s.sim.SetRole(id, role); err != nil {
			t.Fatal(err)
		}
	}
	got := s.run(t.Context(), nil, "check")
	if got.code != 0 || !strings.Contains(got.stdout, "ANALYST") {
		t.Errorf("check without a list: exit code %d, want 0 and a warning that names the role:\n%s", got.code, got.stdout)
	}
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("exit code %d:\n%s", got.code, got.stderr)
	}
	for _, role := range []string{"", "ANALYST"} {
		one, err := strconv.ParseInt(strings.TrimPrefix(orgs[0].URN, "urn:li:organization:"), 10, 64)
		if err == nil {
			err = s.sim.SetRole(one, role)
		}
		if err != nil {
			t.Fatal(err)
		}
		got = s.run(t.Context(), nil, "check")
		if got.code != 6 || !strings.Contains(got.stdout, "FAIL    organization "+orgs[0].URN) || !strings.Contains(got.stdout, "WARN    organization "+orgs[1].URN) {
			t.Errorf("with a role lost that leads were read with, %q left: exit code %d, want 6 and that page to fail:\n%s", role, got.code, got.stdout)
		}
	}
	for name, list := range map[string]string{"the role does not suffice": orgs[1].URN, "no role at all": "urn:li:organization:77"} {
		got = s.run(t.Context(), map[string]string{"LEADSTREAM_LINKEDIN_ORGANIZATIONS": list}, "check")
		if got.code != 6 || !strings.Contains(got.stdout, "organization "+list) || strings.Contains(got.stdout, orgs[0].URN) {
			t.Errorf("%s: exit code %d, want 6, that page named and no other:\n%s", name, got.code, got.stdout)
		}
	}
}
