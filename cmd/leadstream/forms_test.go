package main

import (
	"encoding/json"
	"strings"
	"testing"

	"leadstream/internal/linkedinsim"
)

// forms is what "leadstream forms" lists, by form, and how it ended.
func (s *stack) forms(over map[string]string) (map[string]formRow, outcome) {
	s.t.Helper()
	got := s.run(s.t.Context(), over, "forms", "-o", "json")
	var rows []formRow
	if err := json.Unmarshal([]byte(got.stdout), &rows); err != nil {
		s.t.Fatalf("forms: exit code %d, %v:\n%s%s", got.code, err, got.stdout, got.stderr)
	}
	byForm := map[string]formRow{}
	for _, row := range rows {
		byForm[row.Form] = row
	}
	return byForm, got
}

func TestFormsListsWhatItCanWhereOneOrganizationIsRefused(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Leads: 300, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("exit code %d:\n%s", got.code, got.stderr)
	}
	before, got := s.forms(nil)
	if got.code != 0 || len(before) != 2 {
		t.Fatalf("forms: exit code %d, %d forms, want 2:\n%s", got.code, len(before), got.stderr)
	}
	refused := s.sim.Describe().Organizations[0].URN
	if err := s.sim.Schedule(linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 403, Endpoint: "leadForms", Owner: refused, Count: -1}); err != nil {
		t.Fatal(err)
	}
	rows, got := s.forms(nil)
	if got.code == 0 || !strings.Contains(got.stderr, refused) {
		t.Errorf("exit code %d, want an error that names %s:\n%s", got.code, refused, got.stderr)
	}
	for form, was := range before {
		row := rows[form]
		switch {
		case was.Owner == refused && (row.State != "unread" || !strings.Contains(row.Reason, "403")):
			t.Errorf("form %s of the organization that is refused is %q because of %q, want unread because of the 403", form, row.State, row.Reason)
		case was.Owner != refused && (row.State != "active" || row.Leads != was.Leads):
			t.Errorf("form %s is %+v, want it as before", form, row)
		}
	}
}

// A form that was suspended before anything of it was known is listed as long as
// leads wait for it, also when its organization cannot be read, by forms and by status
// alike.
func TestASuspendedFormOfAnOrganizationThatCannotBeReadIsListed(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Leads: 300, Seed: 1})
	const form = "7130000000000000001"
	s.fault(linkedinsim.Fault{Kind: linkedinsim.RefuseForm, Form: form, Status: 403})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code == 0 || !strings.Contains(got.stderr, form) {
		t.Fatalf("exit code %d, want the form that waits for leads named:\n%s", got.code, got.stderr)
	}
	owner := s.sim.Describe().Organizations[0].URN
	for _, lost := range []bool{false, true} {
		if lost {
			s.fault(linkedinsim.Fault{Kind: linkedinsim.LoseRole, Owner: owner})
		}
		rows, got := s.forms(nil)
		if row := rows[form]; got.code != 0 || row.State != stateWaiting || row.Owner != owner || !strings.Contains(row.Reason, "403") || len(rows) != 2 {
			t.Errorf("exit code %d, form %+v of %d, want it deferred because of the 403:\n%s", got.code, row, len(rows), got.stderr)
		}
	}
}

func TestFormsOfAnOrganizationThatIsNotReadAreNotGone(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 2, Events: 2, Forms: 2, Leads: 10, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("exit code %d:\n%s", got.code, got.stderr)
	}
	orgs := s.sim.Describe().Organizations
	if err := s.sim.Schedule(linkedinsim.Fault{Kind: linkedinsim.LoseRole, Owner: orgs[0].URN}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		over           map[string]string
		unread, reason string
	}{
		"the role was lost":             {nil, orgs[0].URN, "no role"},
		"its role was lost, and wanted": {map[string]string{"LEADSTREAM_LINKEDIN_ORGANIZATIONS": orgs[0].URN + "," + orgs[1].URN}, orgs[0].URN, "super admin"},
		"not configured any more":       {map[string]string{"LEADSTREAM_LINKEDIN_ORGANIZATIONS": orgs[0].URN}, orgs[1].URN, "linkedin.organizations"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, got := s.forms(c.over)
			found := false
			for _, row := range rows {
				if row.Owner == c.unread {
					found = true
					if row.State != "unread" || !strings.Contains(row.Reason, c.reason) {
						t.Errorf("form %s is %q because of %q, want unread because of %q", row.Form, row.State, row.Reason, c.reason)
					}
				}
			}
			if got.code != 0 || !found {
				t.Errorf("exit code %d, forms %v", got.code, rows)
			}
		})
	}
}

func TestAFormWithoutALeadIsNewAndADeferredOneTellsWhy(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != 0 {
		t.Fatalf("exit code %d:\n%s", got.code, got.stderr)
	}
	rows, _ := s.forms(nil)
	if len(rows) != 1 {
		t.Fatalf("forms: %v, want one", rows)
	}
	for form, row := range rows {
		if row.State != "new" || row.SchemaID == 0 {
			t.Errorf("form %s is %+v, want a new one with its schema", form, row)
		}
		window := `{"version":1,"from":"2026-11-01T00:00:00Z","to":"2026-11-02T00:00:00Z","since":"2026-11-02T00:00:00Z","reason":"the topic refuses us"}`
		if got := s.run(t.Context(), nil, "checkpoints", "set", "debt/"+row.Owner+"/EVENT/"+form, window); got.code != 0 {
			t.Fatalf("exit code %d:\n%s", got.code, got.stderr)
		}
		if again, _ := s.forms(nil); again[form].State != "deferred" || again[form].Reason != "the topic refuses us" {
			t.Errorf("form %s is %+v, want deferred with the reason", form, again[form])
		}
	}
}

// TestFormsAreListedWhateverCannotBeAsked: LinkedIn does not say which organizations there
// are, or refuses the form itself. What is known is listed, with why there is no more.
func TestFormsAreListedWhateverCannotBeAsked(t *testing.T) {
	const form = "7130000000000000001"
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 3, Seed: 1})
	if got := s.run(t.Context(), nil, "run", "--once"); got.code != exitDone {
		t.Fatal(got.stderr)
	}
	for _, status := range []int{403, 500} {
		if err := s.sim.Schedule(linkedinsim.Fault{Kind: linkedinsim.StatusFault, Endpoint: "organizationAcls", Status: status, Count: 3}); err != nil {
			t.Fatal(err)
		}
		got := s.run(t.Context(), nil, "forms", "-o", "json")
		s.sim.ClearFaults()
		var rows []formRow
		if err := json.Unmarshal([]byte(got.stdout), &rows); err != nil || len(rows) != 1 || rows[0].Form != form || rows[0].Name == "" ||
			rows[0].State != stateUnread || rows[0].Reason == "" || rows[0].Leads != 3 || got.code == exitDone {
			t.Errorf("%d: code %d, %v: %s", status, got.code, err, got.stdout)
		}
	}
	s.schedule(linkedinsim.Fault{Kind: linkedinsim.RefuseForm, Form: form, Status: 403})
	rows, _ := s.forms(nil)
	if row := rows[form]; row.Name == "" || row.State != stateUnread || !strings.Contains(row.Reason, "403") || row.Leads != 3 {
		t.Errorf("a refused form is listed as %+v", row)
	}
}
