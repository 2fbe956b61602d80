package connector

import (
	"testing"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/lead"
)

// TestADebtGrowsByWhatItWasNotOwedFor: a lead whose time is covered already is
// owed more where this job would publish what the debt's own bounds hold back.
func TestADebtGrowsByWhatItWasNotOwedFor(t *testing.T) {
	e := newWorld(t).start()
	now := e.opts.Now().UTC()
	old := checkpoint.Debt{From: now.Add(-time.Hour), To: now, Fresh: now.Add(-time.Minute), Since: now, Reason: "before"}
	id := delivery.DebtID{Source: src, Form: formID}
	row := []*lead.Response{{ID: "a", SubmittedAt: now.Add(-30 * time.Minute), Form: lead.FormRef{ID: formID, Version: 1}}}
	for _, test := range []struct {
		name  string
		job   job
		fresh time.Time
		owed  bool
	}{
		{"looked at again", job{src: src, fresh: now}, time.Time{}, false},
		{"never looked at before", job{src: src, fresh: now.Add(-time.Hour)}, now.Add(-time.Hour), true},
		{"asked for by a replay", job{src: src, fresh: now, explicit: true}, old.Fresh, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e.debts = map[delivery.DebtID]checkpoint.Debt{id: old}
			debt, owed := e.owed(&test.job, row)[id]
			if owed != test.owed {
				t.Fatalf("owed is %v, want %v", owed, test.owed)
			}
			if owed && (!debt.Fresh.Equal(test.fresh) || debt.Explicit != test.job.explicit || !debt.Since.Equal(old.Since) ||
				!debt.From.Equal(old.From) || !debt.To.Equal(old.To)) {
				t.Errorf("the debt is %+v, want fresh from %v and explicit %v", debt, test.fresh, test.job.explicit)
			}
		})
	}
}
