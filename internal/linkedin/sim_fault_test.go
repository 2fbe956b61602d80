package linkedin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/internal/linkedinsim"
)

// TestFaultsOfTheMomentAreRiddenOut: each fails one request, or two, of a
// reading, which then gives every lead.
func TestFaultsOfTheMomentAreRiddenOut(t *testing.T) {
	tests := []linkedinsim.Fault{
		{Kind: linkedinsim.StatusFault, Status: 500}, {Kind: linkedinsim.StatusFault, Status: 502, Body: "<html>bad gateway</html>"},
		{Kind: linkedinsim.StatusFault, Status: 503, RetryAfter: 20 * time.Second}, {Kind: linkedinsim.StatusFault, Status: 504},
		{Kind: linkedinsim.Latency, Latency: 5 * time.Second}, {Kind: linkedinsim.Latency, Latency: time.Hour},
		{Kind: linkedinsim.Stall}, {Kind: linkedinsim.BrokenJSON}, {Kind: linkedinsim.Truncated}, {Kind: linkedinsim.HTML},
		{Kind: linkedinsim.Empty}, {Kind: linkedinsim.NoElements}, {Kind: linkedinsim.Reset},
		{Kind: linkedinsim.Oversize, Size: 2 << 20}, {Kind: linkedinsim.Throttle, RetryAfter: 7 * time.Second},
	}
	for _, f := range tests {
		for _, count := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s %d %d times", f.Kind, f.Status, count), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, c := simulate(t, simConfig(220), Options{MaxAnswerBytes: 1 << 20})
					orgs := owners(t, c)
					f.Endpoint, f.After, f.Count = EndpointResponses, 1, count
					if err := s.Schedule(f); err != nil {
						t.Fatal(err)
					}
					now, _ := c.Now()
					w := lead.Window{From: now.Add(-100 * 24 * time.Hour), To: now}
					compare(t, s, readAll(t, c, orgs, w), w)
				})
			})
		}
	}
}

// TestLastingFaultsAreErrorsOfTheirKind: after three tries, or at once where
// repeating cannot help.
func TestLastingFaultsAreErrorsOfTheirKind(t *testing.T) {
	tests := []struct {
		fault    linkedinsim.Fault
		want     fault.Kind
		requests int
	}{
		{linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 500}, fault.Retry, 3},
		{linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 400, Body: `{"status":400,"errorDetails":{"inputErrors":[{"input":{"inputPath":{"fieldPath":"owner"}}}]}}`}, fault.Suspend, 1},
		{linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 401}, fault.Pause, 1},
		{linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 403}, fault.Suspend, 1},
		{linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 404}, fault.Suspend, 1},
		{linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 405}, fault.Suspend, 1},
		{linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 410}, fault.Suspend, 1},
		{linkedinsim.Fault{Kind: linkedinsim.StatusFault, Status: 414}, fault.Suspend, 1},
		{linkedinsim.Fault{Kind: linkedinsim.RetireVersion, Version: "202607"}, fault.Pause, 1},
		{linkedinsim.Fault{Kind: linkedinsim.LoseRole, Owner: "all"}, fault.Suspend, 1},
		{linkedinsim.Fault{Kind: linkedinsim.BrokenJSON}, fault.Retry, 3},
		{linkedinsim.Fault{Kind: linkedinsim.HTML}, fault.Retry, 3},
		{linkedinsim.Fault{Kind: linkedinsim.Empty}, fault.Retry, 3},
		{linkedinsim.Fault{Kind: linkedinsim.NoElements}, fault.Retry, 3},
		{linkedinsim.Fault{Kind: linkedinsim.Reset}, fault.Retry, 3},
		{linkedinsim.Fault{Kind: linkedinsim.Stall}, fault.Retry, 3},
		{linkedinsim.Fault{Kind: linkedinsim.Oversize, Size: 2 << 20}, fault.Retry, 9}, // 100 rows, and fewer and fewer
		{linkedinsim.Fault{Kind: linkedinsim.Throttle}, fault.Retry, 1},
		{linkedinsim.Fault{Kind: linkedinsim.ExpireToken}, fault.Pause, 1},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %d", tt.fault.Kind, tt.fault.Status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c := simulate(t, simConfig(50), Options{MaxAnswerBytes: 1 << 20})
				org := owners(t, c)[0]
				f := tt.fault
				if f.Owner == "all" {
					f.Owner = org
				}
				if slices.Contains(linkedinsim.FaultKinds(linkedinsim.AnswerFaults), f.Kind) {
					f.Endpoint, f.Count = EndpointResponses, -1
				}
				if err := s.Schedule(f); err != nil {
					t.Fatal(err)
				}
				now, _ := c.Now()
				err := c.Responses(t.Context(), lead.Source{Owner: org, Type: "EVENT"}, lead.Window{From: now.Add(-time.Hour), To: now}, 0,
					func([]lead.Response) error { return nil })
				if err == nil || fault.KindOf(err) != tt.want {
					t.Errorf("error = %v of kind %s, want kind %s", err, fault.KindOf(err), tt.want)
				}
				if got := c.Counters().Requests[EndpointResponses]; got != tt.requests {
					t.Errorf("%d requests, want %d", got, tt.requests)
				}
			})
		})
	}
}

// TestNothingPersonalOrSecretIsLogged plants secrets in leads, tokens and
// refusals, and looks for them in every line of the log and in every error.
func TestNothingPersonalOrSecretIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		s, c := simulate(t, simConfig(300), Options{Log: zap.New(core), MaxAnswerBytes: 1 << 20})
		orgs := owners(t, c)
		var secrets []string
		for e := range s.Ledger() {
			secrets = append(secrets, e.Submitter)
			for _, a := range e.Answers {
				if strings.Contains(a.Text, "@") {
					secrets = append(secrets, a.Text)
				}
			}
		}
		var said strings.Builder
		for i, kind := range linkedinsim.FaultKinds(linkedinsim.AnswerFaults) {
			f := linkedinsim.Fault{Kind: kind, Endpoint: EndpointResponses, Count: 3, Size: 2 << 20}
			if kind == linkedinsim.StatusFault {
				f.Status, f.Body = 403, "lead.000001@example.com was refused"
			}
			if err := s.Schedule(f); err != nil {
				t.Fatal(err)
			}
			now, _ := c.Now()
			src := lead.Source{Owner: orgs[i%2], Type: "EVENT"}
			err := c.Responses(t.Context(), src, lead.Window{From: now.Add(-100 * 24 * time.Hour), To: now}, 0, func([]lead.Response) error { return nil })
			fmt.Fprintln(&said, err)
			s.ClearFaults()
			time.Sleep(time.Hour)
		}
		for _, entry := range logs.All() {
			fields, err := json.Marshal(entry.ContextMap())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&said, entry.Message, string(fields))
		}
		if logs.Len() == 0 || len(secrets) == 0 {
			t.Fatal("nothing was logged or planted")
		}
		secrets = append(secrets, "Bearer", s.IssueToken().AccessToken[:20], "lead.000001@example.com")
		for _, secret := range secrets {
			if strings.Contains(said.String(), secret) {
				t.Errorf("%q was said", secret)
			}
		}
	})
}
