package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"leadstream/internal/checkpoint"
	"leadstream/internal/delivery"
	"leadstream/internal/fault"
	"leadstream/internal/linkedin"
)

// state reads the checkpoints. The requests of a command that ends count with
// those of the day that stand there: it must not exceed LinkedIn's limit either.
func (s *system) state(ctx context.Context) (checkpoint.State, error) {
	state, err := delivery.ReadState(ctx, s.cluster, s.config.Name)
	if err != nil || state.Requests.Counters == nil || s.linkedin == nil {
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

// processID tells this process from others of the installation: the host's name,
// with the process's number unless it is the first one of a container, whose
// host name is its own (under Kubernetes, the pod's).
func processID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unnamed"
	}
	if pid := os.Getpid(); pid != 1 {
		host += ":" + strconv.Itoa(pid)
	}
	return host
}
