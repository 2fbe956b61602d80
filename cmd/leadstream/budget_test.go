package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"leadstream/internal/linkedin"
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
