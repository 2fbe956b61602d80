package main

import (
	"context"
	"encoding/json"
	"fmt"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/linkedin"
	"leadstream/internal/web"
)

// budgetView is the use of LinkedIn's API as the status page shows it.
func budgetView(b linkedin.Budget) web.Budget {
	view := web.Budget{Resets: b.Resets, Paced: b.Paced, Note: b.Note, Endpoints: []web.Endpoint{}}
	for _, e := range b.Endpoints {
		view.Endpoints = append(view.Endpoints, web.Endpoint{
			Name: e.Endpoint, Used: int64(e.Used), Limit: int64(e.Limit), Throttled: int64(e.Throttled),
		})
	}
	return view
}

// state reads the checkpoints. The requests of a command that ends count with
// those of the day that stand there: it must not exceed LinkedIn's limit either.
func (s *system) state(ctx context.Context) (checkpoint.State, error) {
	state, err := delivery.ReadState(ctx, s.cluster, s.config.Name)
	if err != nil || state.Requests.Counters == nil {
		return state, err
	}
	return state, s.restore(state.Requests.Counters)
}

// restore takes over the requests that were counted before.
func (s *system) restore(saved json.RawMessage) error {
	var counters linkedin.Counters
	if err := json.Unmarshal(saved, &counters); err != nil {
		return fmt.Errorf("reading the counters of checkpoint record %q (it can be removed with `leadstream checkpoints reset %s`): %w",
			checkpoint.RequestsKey, checkpoint.RequestsKey, fault.Plain(err))
	}
	s.linkedin.Restore(counters)
	return nil
}
