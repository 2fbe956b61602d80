package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"leadstream/internal/check"
	"leadstream/internal/oauth"
)

const (
	// probeReach is how far offsets have to reach: the connector cuts windows of
	// more leads.
	probeReach = 4000
	// probeTimeout bounds the probing, waits for a turn of the day's requests
	// included.
	probeTimeout = 10 * time.Minute
)

// probed is the result of "leadstream check --probe".
type probed struct {
	Requests     int                 `json:"requests"`
	Observations []check.Observation `json:"observations"`
}

// probe is "leadstream check --probe".
func (a *app) probe(ctx context.Context) error {
	s, err := a.system(lookAtTokens)
	if err != nil {
		return err
	}
	defer s.close()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	status, err := s.session.Status(ctx)
	if err != nil {
		return err
	}
	if !status.Usable {
		return exitWith(exitConsent, fmt.Errorf("the connection to LinkedIn cannot be used: %s; %s", status.Problem, status.Todo))
	}
	reading, stop := context.WithTimeout(ctx, check.Timeout)
	defer stop()
	if _, err := s.state(reading); err != nil {
		s.log.Warn("the requests that were made today are not known, so that only those of this command count", zap.Error(err),
			zap.String("todo", "see that Kafka answers, or mind yourself that LinkedIn's daily limit is not exceeded"))
	}
	list, requests, err := check.Probe(ctx, s.linkedin, check.ProbeOptions{Owners: s.config.LinkedIn.Organizations, Scopes: status.Scopes, Reach: probeReach})
	if errors.Is(err, oauth.ErrNotRenewed) {
		return exitWith(exitUnreachable, fmt.Errorf("%w; %s", err, check.RenewFirst))
	}
	if err != nil {
		return err
	}
	if err := a.printProbed(probed{requests, list}); err != nil {
		return err
	}
	for _, o := range list {
		if o.Verdict == check.Breaks {
			return exitWith(exitDifferences, nil)
		}
	}
	return nil
}

func (a *app) printProbed(p probed) error {
	if a.output == "json" {
		return printJSON(a.stdout, p)
	}
	err := printList(a, p.Observations, []string{"POINT", "VERDICT", "QUESTION", "HOW", "EXPECTED", "OBSERVED"}, func(o check.Observation) []string {
		return []string{o.Point, string(o.Verdict), o.Question, o.Asked, o.Expected, observed(o)}
	})
	if err != nil {
		return err
	}
	return a.print(fmt.Sprintf("%d requests to LinkedIn, all of them GET.\n", p.Requests))
}

// observed is what was seen, or why nothing was.
func observed(o check.Observation) string {
	if o.Observed == "" || o.Why == "" {
		return o.Observed + o.Why
	}
	return strings.Join([]string{o.Observed, o.Why}, ": ")
}
