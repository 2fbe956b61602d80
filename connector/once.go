package connector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"leadstream/internal/delivery"
)

// lastRound ends an epoch that has caught up with everything else (--once): it
// tries once more to mend the suspended forms and to deliver what is owed. The
// answer is errFinished when nothing is left owed, else what is, and why: a
// command that ends must not hide it behind success.
func (e *epoch) lastRound(ctx context.Context) error {
	err := e.persist(ctx, "", "delivering what forms are owed", func(ctx context.Context) error {
		return e.debtRound(ctx, true)
	})
	if err != nil {
		return err
	}
	return e.owing()
}

// errUnsettled is why a form that is not suspended is owed something still.
var errUnsettled = errors.New("its leads were not delivered yet")

// owing is errFinished when no form is owed anything.
func (e *epoch) owing() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := slices.SortedFunc(maps.Keys(e.debts), func(a, b delivery.DebtID) int { return strings.Compare(a.Form, b.Form) })
	owed := []error{}
	for _, id := range ids {
		why := e.forms.suspended(id.Form)
		if why == nil {
			why = errUnsettled
		}
		debt := e.debts[id]
		owed = append(owed, fmt.Errorf("form %s is owed leads submitted in %s: %w", id.Form, debt.Window(), why))
	}
	if len(owed) == 0 {
		return errFinished
	}
	return errors.Join(owed...)
}
