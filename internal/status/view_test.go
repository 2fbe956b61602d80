package status

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"leadstream/connector"
	"leadstream/internal/fault"
	"leadstream/internal/oauth"
	"leadstream/internal/web"
)

func TestAStandbyGoesOnShowingWhatItReadLast(t *testing.T) {
	v := idleViewer(t, nil, nil)
	if st, at := v.status(); !at.IsZero() || len(st.Forms) != 0 {
		t.Errorf("without anything known: %+v at %v", st, at)
	}
	read := connector.Status{Forms: []connector.FormStatus{{ID: "7"}}}
	v.progress.found(time.Now(), read, nil)
	if st, at := v.status(); at.IsZero() || len(st.Forms) != 1 || st.Since.IsZero() {
		t.Errorf("what was read is not shown: %+v at %v", st, at)
	}
	v.progress.found(time.Now(), connector.Status{}, errors.New("Kafka is away"))
	if st, at := v.status(); at.IsZero() || len(st.Forms) != 1 {
		t.Errorf("with Kafka away: %+v at %v, want what was read before", st, at)
	}
}

func TestThatConsentIsNeededIsToldInShortAndOnce(t *testing.T) {
	v := idleViewer(t, nil, nil)
	needed := &oauth.ConsentNeededError{Reason: oauth.AccessRevoked}
	v.Work.Issues().Report("urn:li:organization:1", "polling", fmt.Errorf("reading [a, b) of urn:li:organization:1/EVENT: authorizing the request: %w", needed))
	list := v.errors()
	if len(list) != 1 || list[0].Text != "LinkedIn consent is needed: the access token was revoked" || !strings.HasPrefix(list[0].Todo, "press Connect or Reconnect LinkedIn") || list[0].Part != "consent" || list[0].State != web.Failing {
		t.Errorf("errors = %+v, want the consent in short and the button", list)
	}
}

func TestErrorsComeWithHowOftenAndSinceWhen(t *testing.T) {
	v := idleViewer(t, nil, nil)
	for range 3 {
		v.Work.Issues().Report("", "discovery", fault.As(fault.Retry, errors.New("LinkedIn answered 500")))
	}
	v.Work.Issues().Resolve("discovery")
	e := v.errors()[0]
	if e.Count != 3 || e.First.IsZero() || e.Time.Before(e.First) || !e.Over || e.Todo == "" {
		t.Errorf("error = %+v, want three times, since when, and over", e)
	}
}

func TestAFormSaysWhetherItsLeadsWait(t *testing.T) {
	now := time.Now()
	st := connector.Status{
		Forms: []connector.FormStatus{{ID: "1", Owner: "o", State: "suspended", Problem: "p"}, {ID: "2", Owner: "o", State: "ok"}, {ID: "3", Owner: "o", State: "gone"},
			{ID: "4", Owner: "o", State: "ok"}, {ID: "5", Owner: "suspended", State: "ok"}},
		Deferred: []connector.DeferredStatus{{Form: "1", From: now.Add(-time.Hour)}, {Form: "2", From: now.Add(-time.Minute)}},
	}
	rows := forms(st, []web.Source{{Owner: "o", LagSeconds: 5, State: web.OK}, {Owner: "suspended", LagSeconds: 9, State: web.Failing}}, now)
	for i, want := range []web.Form{
		{State: web.Failing, Waiting: true, LagSeconds: 3600}, {State: web.Waiting, Label: "Catching up", Waiting: true, LagSeconds: 60},
		{State: web.Waiting, Label: "Gone", LagSeconds: 5}, {State: web.OK, LagSeconds: 5}, {State: web.Waiting, Label: "Waiting", LagSeconds: 9},
	} {
		got := rows[i]
		if got.State != want.State || got.Waiting != want.Waiting || got.LagSeconds != want.LagSeconds || want.Label != "" && got.Label != want.Label {
			t.Errorf("form %s = %+v, want %+v", got.ID, got, want)
		}
	}
}

func TestAFormWaitsWhicheverOfItsSourcesIsStopped(t *testing.T) {
	st := connector.Status{Forms: []connector.FormStatus{{ID: "1", Owner: "o", State: "ok"}}}
	stopped, read := web.Source{Owner: "o", LeadType: "COMPANY", State: web.Failing}, web.Source{Owner: "o", LeadType: "EVENT", State: web.OK}
	for _, sources := range [][]web.Source{{stopped, read}, {read, stopped}} {
		if row := forms(st, sources, time.Now())[0]; row.State != web.Waiting || row.Label != "Waiting" {
			t.Errorf("with the sources %+v the form is %s %q, want it waiting", sources, row.State, row.Label)
		}
	}
}
