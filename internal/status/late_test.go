package status

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"leadstream/connector"
	"leadstream/internal/checkpoint"
	"leadstream/internal/kafka"
	"leadstream/internal/linkedin"
	"leadstream/internal/web"
	"leadstream/schema"
)

func TestASourceThatIsLateSaysWhyAndWhatToDo(t *testing.T) {
	until := time.Date(2026, 11, 24, 0, 2, 0, 0, time.UTC)
	reading := func(err error) error { return fmt.Errorf("reading [a, b) of o/EVENT: %w", err) }
	for _, c := range []struct {
		name   string
		err    error
		paced  bool
		state  web.State
		part   string
		says   string // for people
		public string // for everybody
		todo   string
	}{
		{"LinkedIn's daily limit", reading(&linkedin.BudgetError{Endpoint: "leadFormResponses", Until: until}), false, web.Waiting, "linkedin",
			"LinkedIn allows no more requests for now; it goes on by itself at 00:02 UTC on 24 November", "00:02 UTC", "nothing"},
		{"our own bound", reading(&linkedin.BudgetError{Endpoint: "leadFormResponses", Until: until, Own: 500}), false, web.Waiting, "linkedin",
			"linkedin.daily_budget", "linkedin.daily_budget", "nothing"},
		{"a pause", reading(&linkedin.APIError{Endpoint: "leadFormResponses", Status: http.StatusTooManyRequests}), false, web.Waiting, "linkedin",
			"after a pause", "after a pause", "nothing"},
		{"spread over the day", nil, true, web.Waiting, "linkedin", "spread over the day", "spread over the day", "nothing"},
		{"LinkedIn out of order", reading(&linkedin.APIError{Endpoint: "leadFormResponses", Status: 503}), false, web.Warning, "linkedin",
			"LinkedIn's leadFormResponses answered 503", notRead, "tried again by itself"},
		{"Kafka away", reading(&kafka.UnreachableError{Op: "committing", Err: errors.New("dial tcp 10.0.0.7:9092: connection refused")}), false, web.Warning, "kafka",
			"10.0.0.7", notRead, "kafka.brokers"},
		{"for no reason that anybody told", nil, false, web.Warning, "", notRead, notRead, "CPU"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := whyLate(c.err, c.paced)
			if got.state != c.state || got.part != c.part || !strings.Contains(got.reason, c.says) || !strings.Contains(got.public, c.public) || !strings.Contains(got.todo, c.todo) {
				t.Errorf("late for %+v", got)
			}
			if strings.Contains(got.public, "10.0.0.7") || strings.Contains(got.reason, "[a, b)") {
				t.Errorf("to everybody it is told %q, to people %q: want no address, and no work around it", got.public, got.reason)
			}
		})
	}
}

// A limit that lasts for hours is not told only once three intervals have passed.
func TestThatRequestsAreUsedUpForHoursIsShownAtOnce(t *testing.T) {
	v := idleViewer(t, nil, nil)
	now := time.Now()
	st := connector.Status{Active: true, Since: now, Sources: []connector.SourceStatus{{Owner: "urn:li:organization:1", LeadType: "EVENT", Live: now, Success: now,
		Err: &linkedin.BudgetError{Endpoint: "leadFormResponses", Until: now.Add(5 * time.Hour)}}}}
	if got := v.sources(st, now)[0]; got.State != web.Waiting || !strings.Contains(got.Problem, "LinkedIn allows no more requests") {
		t.Errorf("source = %+v", got)
	}
	if list := v.unread(st, false); len(list) != 0 {
		t.Errorf("the probe says %+v before three intervals have passed", list)
	}
	st.Sources[0].Success, st.Since = now.Add(-time.Hour), now.Add(-time.Hour)
	if list := v.unread(st, false); len(list) != 1 || !strings.Contains(list[0].Reason, "LinkedIn allows no more requests for now; it goes on by itself at ") {
		t.Errorf("the probe says %+v, want why", list)
	}
}

func TestWhatAnOutageLeftBehindIsBehindAndAFirstStartsPastIsNot(t *testing.T) {
	now := time.Now()
	src := connector.SourceStatus{Live: now.Add(-time.Second)}
	if got := behind(src, now); got < 0.9 || got > 1.1 {
		t.Errorf("behind = %v s, want 1", got)
	}
	src.Backlog = []checkpoint.Range{{Kind: checkpoint.Backfill, Next: now.Add(-100 * 24 * time.Hour), To: now}}
	if got := behind(src, now); got > 1.1 {
		t.Errorf("with a backfill: behind = %v s, want 1", got)
	}
	src.Backlog = append(src.Backlog, checkpoint.Range{Kind: checkpoint.CatchUp, Next: now.Add(-time.Hour), To: now})
	if got := behind(src, now); got < 3599 || got > 3601 {
		t.Errorf("with what an outage left: behind = %v s, want 3600", got)
	}
	if got := behind(connector.SourceStatus{}, now); got != 0 {
		t.Errorf("before anything was read: behind = %v s", got)
	}
}

func TestTheRegistryIsAwayAsSoonAsWorkWaitsForIt(t *testing.T) {
	v := idleViewer(t, nil, nil)
	v.Work.Issues().Report("", "registering", &schema.RegistryError{Op: "registering", URL: "u", Status: 503, Err: errors.New("away")})
	if got := parts(v.Ready().Degraded); got != "registry" {
		t.Errorf("degraded = %q, want the registry", got)
	}
	v.Work.Issues().Resolve("registering")
	v.Work.Issues().Report("7", "registering", &schema.RegistryError{Op: "registering", URL: "u", Status: http.StatusRequestEntityTooLarge, Err: errors.New("too large")})
	if got := parts(v.Ready().Degraded); got != "" {
		t.Errorf("with one schema refused: %q, want the registry to be there", got)
	}
}
