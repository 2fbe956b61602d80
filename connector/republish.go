package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/lead"
)

// Letter is a dead letter to be sent through once more.
type Letter struct {
	Key      string
	Response lead.Response // as fetched again, or as stored
}

// Outcome is what became of a Letter: Problem is empty when its lead is in its
// topic now, or deleted, and the dead letter is gone.
type Outcome struct {
	Key     string `json:"key"`
	Problem string `json:"problem,omitempty"`
}

// Republish publishes the leads of dead letters and removes each dead letter
// whose lead has gone out. It opens an epoch of its own, so it fences whoever
// works: the caller makes sure that nobody does.
func (c *Connector) Republish(ctx context.Context, letters []Letter) ([]Outcome, error) {
	e, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer c.leave()
	var outcomes []Outcome
	for i := range letters {
		problem, err := e.republish(ctx, &letters[i])
		if err != nil {
			return outcomes, fmt.Errorf("retrying dead letter %s: %w", letters[i].Key, err)
		}
		outcomes = append(outcomes, Outcome{Key: letters[i].Key, Problem: problem})
	}
	return outcomes, nil
}

func (e *epoch) republish(ctx context.Context, letter *Letter) (problem string, err error) {
	r := letter.Response
	if r.Unreadable != "" {
		return r.Unreadable, nil
	}
	if r.Owner == "" || r.Type == "" {
		return "its owner or lead type is not known", nil
	}
	lane := e.store.Lane("")
	defer lane.Close()
	w := lead.Window{From: r.SubmittedAt, To: r.SubmittedAt.Add(time.Millisecond)}
	var became tally
	j := &job{src: lead.Source{Owner: r.Owner, Type: r.Type}, lane: lane, bound: &checkpoint.Bound{Explicit: true},
		whole: true, tally: &became, via: func(time.Time) delivery.Via { return delivery.ViaLate }}
	err = e.flush(ctx, j, w, []lead.Response{r}, true)
	suspended, waits := errors.AsType[*suspendedError](err)
	switch {
	case waits:
		return suspended.Error() + "; retry it once the form goes on", nil
	case err != nil:
		return "", err
	case len(became.overtaken) > 0:
		return "it is overtaken: the topic has a later submission of this lead, and an older one would take its place", nil
	case became.published+became.held+became.deleted == 0:
		return "it cannot be published; see the dead letter's error", nil
	}
	// The lead is in its topic, or deleted: the dead letter has done its part.
	err = e.store.Publish(func(p *delivery.Publication) error {
		return p.Commit(ctx, delivery.Batch{Resolved: []string{letter.Key}})
	})
	if err != nil {
		return "", errors.Join(errors.New("removing the dead letter"), err)
	}
	return "", nil
}
