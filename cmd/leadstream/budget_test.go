package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/internal/linkedin"
	"leadstream/internal/linkedinsim"
)

func TestThePageSaysThatRequestsArePaced(t *testing.T) {
	client, err := linkedin.New(linkedin.Options{Version: "202607", HTTP: http.DefaultTransport})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	client.Restore(linkedin.Counters{Day: now.Format(time.DateOnly), Requests: map[string]int{"leadFormResponses": 12, "events": 3},
		Throttled: map[string]int{"events": 2},
		Limits:    map[string]linkedin.DailyLimit{"leadFormResponses": {Allowed: 5000, Limit: 5000, Day: "2026-11-01"}}})
	got := budgetView(client.Budget())
	if !got.Paced || !strings.Contains(got.Note, "paced to 4500 requests a day") || !got.Resets.After(now) || len(got.Endpoints) != 2 {
		t.Fatalf("budget = %+v", got)
	}
	if e := got.Endpoints[1]; e.Name != "leadFormResponses" || e.Used != 12 || e.Limit != 4500 {
		t.Errorf("leadFormResponses = %+v", e)
	}
	if e := got.Endpoints[0]; e.Name != "events" || e.Used != 3 || e.Limit != 0 || e.Throttled != 2 {
		t.Errorf("events = %+v", e)
	}
}

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
			_, err := (&demolition{flags: teardownFlags{webhooks: true}, config: c, cluster: s.cluster, system: s}).plan(t.Context())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			parts, err := build(c, zap.NewNop())
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
