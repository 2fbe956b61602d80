package main

import (
	"testing"

	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/teardown"
)

// What a command asks of LinkedIn counts with what was asked on that day before.
func TestACommandsRequestsCountWithThoseOfTheDay(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 1, Seed: 1})
	s.must("run", "--once")
	c, _, err := config.Load(config.LoadOptions{NoFile: true, Environ: s.environ(webhooks)})
	if err != nil {
		t.Fatal(err)
	}
	for name, work := range map[string]func(*system) error{
		"forms": func(s *system) error { _, err := s.listForms(t.Context()); return err },
		"teardown": func(s *system) error {
			_, err := teardown.Plan(t.Context(), s.teardownParts(), teardown.Choice{Webhooks: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			parts, err := build(c, useTokens, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			defer parts.close()
			if err := work(parts); err != nil {
				t.Fatal(err)
			}
			asked := parts.linkedin.Counters().Requests
			if asked["leadFormResponses"] == 0 || asked["organizationAcls"] < 2 {
				t.Errorf("the requests of the day are %v, want those of the run among them", asked)
			}
		})
	}
}
