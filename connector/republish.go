package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"leadstream/internal/delivery"
	"leadstream/internal/lead"
)

// Letter is a dead letter to be sent through once more.
type Letter struct {
	Key      string
	Response lead.Response // as fetched again, or as stored
}

// Outcome is what became of a Letter: Problem is empty when its lead is in its
// topic now, or recorded as owed, and the dead letter is gone.
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
	j := &job{src: lead.Source{Owner: r.Owner, Type: r.Type}, lane: lane, explicit: true, fresh: w.From,
		via: func(time.Time) delivery.Via { return delivery.ViaLate }}
	if err := e.flush(ctx, j, w, []lead.Response{r}, true); err != nil {
		return "", err
	}
	if why := e.forms.suspended(r.Form.ID); why == nil {
		out := false
		err := e.store.Publish(func(p *delivery.Publication) error {
			v, err := p.Missing(ctx, lane, delivery.Ask{Window: w, Explicit: true}, []*lead.Response{&r})
			out = len(v.Missing) == 0
			return err
		})
		if err != nil || !out {
			return "it cannot be published; see the dead letter's error", err
		}
	}
	// The lead is in its topic, deleted, or owed: the dead letter has done its part.
	err = e.store.Publish(func(p *delivery.Publication) error {
		return p.Commit(ctx, delivery.Batch{Resolved: []string{letter.Key}})
	})
	if err != nil {
		return "", errors.Join(errors.New("removing the dead letter"), err)
	}
	return "", nil
}
