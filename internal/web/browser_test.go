//go:build browser

package web

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"leadstream/internal/browsertest"
)

func TestPagesAreAccessibleAndFitEveryScreen(t *testing.T) {
	ctx := browsertest.Start(t)
	consent := []Degradation{{Part: "consent", Reason: "no token is stored", Todo: "connect LinkedIn on this page"}}
	for _, state := range []struct {
		name     string
		path     string
		view     View
		degraded []Degradation
		password string
	}{
		{name: "works", path: "/", view: sampleView()},
		{name: "troubled", path: "/", view: troubledView(), degraded: issues()},
		{name: "disconnected", path: "/", view: disconnectedView(), degraded: consent},
		{name: "dead-letters", path: "/", view: deadLettersView()},
		{name: "no-more-requests", path: "/", view: throttledView()},
		{name: "suspended", path: "/", view: suspendedView()},
		{name: "consent-ends", path: "/", view: endingView()},
		{name: "kafka-away", path: "/", view: awayView(), degraded: []Degradation{{Part: "kafka", Reason: "Kafka does not answer", Todo: "see that the brokers run and that `kafka.brokers` names them"}}},
		{name: "standby", path: "/", view: standbyView()},
		{name: "login", path: "/login", password: "open sesame"},
		{name: "connect", path: "/oauth/login", view: sampleView()},
		{name: "disconnect", path: "/oauth/disconnect", view: sampleView()},
		{name: "foreign-callback", path: "/oauth/callback?state=x&code=y", view: sampleView()},
	} {
		s := newTestServer(t, func(o *Options) {
			o.View = func(context.Context) View { return state.view }
			o.Ready = func() Readiness { return Readiness{Ready: true, Degraded: state.degraded} }
			o.Password = state.password
			o.RedirectURL = "http://127.0.0.1/oauth/callback"
			o.Consent = &fakeConsent{callback: ErrForeignState}
		})
		site := httptest.NewServer(s.Handler())
		for _, screen := range browsertest.Screens() {
			t.Run(state.name+"/"+screen.Name, func(t *testing.T) {
				screen.Look(t, ctx, site.URL+state.path)
				browsertest.Picture(t, ctx, state.name+"-"+screen.Name)
				browsertest.Fits(t, ctx)
				browsertest.Accessible(t, ctx)
			})
		}
		site.Close()
	}
}

func TestAxeFindsWhatIsWrong(t *testing.T) {
	ctx := browsertest.Start(t)
	site := httptest.NewServer(newTestServer(t, nil).Handler())
	defer site.Close()
	browsertest.PhoneLight.Look(t, ctx, site.URL)
	browsertest.Eval[bool](t, ctx, `document.querySelector("main").append(document.createElement("button")) === undefined`)
	if found := browsertest.Violations(t, ctx); len(found) != 1 || !strings.HasPrefix(found[0], "button-name") {
		t.Errorf("of a page with a nameless button axe-core says %q, want one violation: the tests above prove nothing", found)
	}
}

// endingView is one whose consent ends in some days.
func endingView() View {
	v := sampleView()
	v.Connection.State, v.Connection.RefreshExpiresAt = Warning, noon.Add(20*day)
	v.Connection.Note = "the consent ends in 20 days, on 13 December 2026: consent again before"
	return v
}

// awayView is one while Kafka does not answer.
func awayView() View {
	v := sampleView()
	v.Errors = []Error{{Part: "kafka", State: Waiting, Text: "committing 3 leads: kafka is unreachable: dial tcp 10.0.0.7:9092: connection refused", Count: 17, Time: noon, First: noon.Add(-4 * time.Minute),
		Since: noon.Add(-4 * time.Minute), Todo: "see that the brokers run and that `kafka.brokers` names them; leadstream goes on by itself once they answer, and loses nothing"}}
	return v
}
