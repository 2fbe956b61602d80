package linkedinsim

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// running runs the server in a bubble of virtual time until the test ends.
func (c *client) running() {
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan error, 1)
	go func() { done <- c.server.Run(ctx) }()
	c.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			c.t.Errorf("Run = %v, want nil", err)
		}
	})
	synctest.Wait()
}

// webhook is the state of the one webhook there is, over HTTP.
func (c *client) webhook() WebhookState {
	c.t.Helper()
	var states []WebhookState
	decodeJSON(c.t, c.control(http.MethodGet, "/sim/webhooks", "", http.StatusOK), &states)
	if len(states) != 1 {
		c.t.Fatalf("there are %d webhooks, want 1", len(states))
	}
	return states[0]
}

func TestChallengeCarriesACodeAndTheApplication(t *testing.T) {
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, bare := range []bool{false, true} {
		c, r := withReceiver(t, Config{Switches: Switches{ChallengeBare: bare}})
		c.register(strings.Replace(subscriptionBody(""), hookURL, hookURL+"?tenant=7", 1))
		c.server.Notify(t.Context())
		c.control(http.MethodPost, "/sim/webhooks/validate", `{}`, http.StatusOK)
		if len(r.challenges) != 2 || !c.webhook().Validated {
			t.Fatalf("%d challenges, want 2 that validate", len(r.challenges))
		}
		first, second := r.challenges[0].URL.Query(), r.challenges[1].URL.Query()
		code := first.Get("challengeCode")
		if !uuid.MatchString(code) || code == second.Get("challengeCode") {
			t.Errorf("challenge codes are %s and %s, want two UUIDs", code, second.Get("challengeCode"))
		}
		if first.Get("tenant") != "7" || first.Has("applicationId") == bare {
			t.Errorf("bare %v: the challenge is %v", bare, first)
		}
	}
}

func TestChallengeComesEveryTwoHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := withReceiver(t, Config{Now: time.Now})
		c.running()
		c.register(subscriptionBody(""))
		seen := func() int {
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.challenges)
		}
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 1}, {2*time.Hour - time.Second, 1}, {time.Second, 2}, {22 * time.Hour, 13}} {
			time.Sleep(step.wait)
			if got := seen(); got != step.want {
				t.Errorf("after %v more there were %d challenges, want %d", step.wait, got, step.want)
			}
		}
		c.control(http.MethodPost, "/sim/clock", `{"shift":"8760h"}`, http.StatusOK)
		if got := seen(); got != 14 {
			t.Errorf("a year forward makes %d challenges, want 14", got)
		}
		c.control(http.MethodPost, "/sim/clock", `{"shift":"-8760h"}`, http.StatusOK)
		time.Sleep(2 * time.Hour)
		if got := seen(); got != 15 {
			t.Errorf("two hours after the clock was put back there are %d challenges, want 15", got)
		}
		c.token = c.server.IssueToken().AccessToken // the year has ended the other one
		if status, _ := read(t, c.do(http.MethodDelete, notifications+"/7012001", "", nil)); status != http.StatusNoContent {
			t.Fatalf("DELETE = %d", status)
		}
		time.Sleep(day)
		if got := seen(); got != 15 {
			t.Errorf("without a subscription there are %d challenges, want no more than 15", got)
		}
	})
}

// badAnswers are answers to a challenge that LinkedIn does not accept.
func badAnswers(r *receiver) map[string]http.HandlerFunc {
	text := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write([]byte(body))
		}
	}
	withCode := func(change func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) { change(w, req, req.URL.Query().Get("challengeCode")) }
	}
	return map[string]http.HandlerFunc{
		"status 500": status(500), "status 204": status(204), "not found": status(404),
		"no JSON":     text("application/json", "ok"),
		"no response": text("application/json", "{}"),
		"redirect":    func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, "/elsewhere", http.StatusFound) },
		"text": withCode(func(w http.ResponseWriter, _ *http.Request, code string) {
			text("text/plain", `{"challengeCode":"`+code+`","challengeResponse":"`+hexHMAC(r.secret, code)+`"}`)(w, nil)
		}),
		"201": withCode(func(w http.ResponseWriter, req *http.Request, _ string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			r.prove(w, req)
		}),
		"other secret": withCode(func(w http.ResponseWriter, _ *http.Request, code string) {
			text("application/json", `{"challengeCode":"`+code+`","challengeResponse":"`+hexHMAC("other", code)+`"}`)(w, nil)
		}),
		"other code": withCode(func(w http.ResponseWriter, _ *http.Request, code string) {
			text("application/json", `{"challengeCode":"x","challengeResponse":"`+hexHMAC(r.secret, code)+`"}`)(w, nil)
		}),
		"late": func(w http.ResponseWriter, req *http.Request) {
			time.Sleep(3 * time.Second)
			r.prove(w, req)
		},
	}
}

func TestWrongAnswersToAChallengeDoNotValidate(t *testing.T) {
	for name := range badAnswers(nil) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, r := withReceiver(t, Config{Now: time.Now})
				r.set(nil, badAnswers(r)[name])
				c.running()
				c.register(subscriptionBody(""))
				c.add(LeadSpec{})
				time.Sleep(3 * time.Second)
				synctest.Wait()
				h := c.webhook()
				if h.Validated || h.Failures != 1 || h.Problem == "" || h.Dropped != 1 || len(r.deliveries()) != 0 {
					t.Errorf("the webhook is %+v and got %d notifications, want it unvalidated and none", h, len(r.deliveries()))
				}
				if d := c.server.Deliveries(); len(d) != 1 || d[0].Outcome != "unvalidated" {
					t.Errorf("deliveries are %+v, want one that was not made", d)
				}
			})
		})
	}
}

func TestAnswerJustInTimeValidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := withReceiver(t, Config{Now: time.Now})
		r.set(nil, func(w http.ResponseWriter, req *http.Request) {
			time.Sleep(3*time.Second - time.Millisecond)
			r.prove(w, req)
		})
		c.running()
		c.register(subscriptionBody(""))
		c.add(LeadSpec{}) // waits for the handshake under way
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if h := c.webhook(); !h.Validated || h.Delivered != 1 {
			t.Errorf("the webhook is %+v, want it validated and notified", h)
		}
	})
}

func TestThreeFailuresInARowBlockAWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := withReceiver(t, Config{Now: time.Now})
		c.running()
		c.register(subscriptionBody(""))
		synctest.Wait()
		// Two failures, a success, two failures: not in a row.
		for _, bad := range []bool{true, true, false, true, true} {
			r.set(nil, nil)
			if bad {
				r.set(nil, status(500))
			}
			time.Sleep(2 * time.Hour)
			synctest.Wait()
		}
		c.add(LeadSpec{})
		synctest.Wait()
		if h := c.webhook(); !h.Validated || h.Blocked || h.Failures != 2 || h.Delivered != 1 {
			t.Errorf("after failures not in a row the webhook is %+v, want it validated", h)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		c.add(LeadSpec{})
		synctest.Wait()
		h := c.webhook()
		if h.Validated || !h.Blocked || h.Dropped != 1 || h.Delivered != 1 || !h.Next.IsZero() {
			t.Errorf("after three in a row the webhook is %+v, want it blocked", h)
		}
		r.set(nil, nil)
		time.Sleep(day)
		c.control(http.MethodPost, "/sim/webhooks/validate", `{"webhook":"`+hookURL+`"}`, http.StatusOK)
		if h := c.webhook(); !h.Blocked || h.Handshakes != 7 {
			t.Errorf("a blocked webhook is %+v, want it left alone", h)
		}
		c.control(http.MethodPost, "/sim/webhooks/unblock", `{"webhook":"`+hookURL+`"}`, http.StatusOK)
		c.add(LeadSpec{})
		synctest.Wait()
		if h := c.webhook(); !h.Validated || h.Blocked || h.Failures != 0 || h.Delivered != 2 {
			t.Errorf("after the restart the webhook is %+v, want it validated and notified", h)
		}
	})
}

func TestBlockStaysWithTheWebhook(t *testing.T) {
	c, r := withReceiver(t, Config{})
	r.set(nil, status(500))
	id := c.register(subscriptionBody(""))
	for range 3 {
		c.control(http.MethodPost, "/sim/webhooks/validate", `{}`, http.StatusOK)
	}
	_, _ = read(t, c.do(http.MethodDelete, notifications+"/"+id, "", nil))
	r.set(nil, nil)
	c.register(subscriptionBody(""))
	c.server.Notify(t.Context())
	if h := c.webhook(); !h.Blocked || h.Handshakes != 3 {
		t.Errorf("after another registration the webhook is %+v, want it blocked", h)
	}
	c.control(http.MethodPost, "/sim/webhooks/unblock", `{"webhook":"https://other.example.com/"}`, http.StatusBadRequest)
}

func TestWebhookCanBeValidatedBeforeItIsAccepted(t *testing.T) {
	c, r := withReceiver(t, Config{Switches: Switches{RefuseUnvalidated: true}})
	r.set(nil, status(500))
	if status, body := c.post(subscriptionBody(""), nil); status != http.StatusBadRequest || !strings.Contains(string(body), `"webhook"`) {
		t.Errorf("a webhook that fails = %d %s, want 400", status, body)
	}
	r.set(nil, nil)
	c.register(subscriptionBody(""))
	c.add(LeadSpec{})
	c.server.Notify(t.Context())
	if h := c.webhook(); !h.Validated || h.Handshakes != 2 || h.Delivered != 1 {
		t.Errorf("the webhook is %+v, want it validated by the request alone", h)
	}
}

func TestWithoutRunNothingIsSentByItself(t *testing.T) {
	c, r := withReceiver(t, Config{})
	c.register(subscriptionBody(""))
	c.add(LeadSpec{Count: 3})
	if h := c.webhook(); h.Validated || h.Waiting != 3 || len(r.challenges) != 0 || len(r.deliveries()) != 0 {
		t.Errorf("before Notify the webhook is %+v, want all to wait", h)
	}
	c.server.Notify(t.Context())
	if h := c.webhook(); !h.Validated || h.Waiting != 0 || h.Delivered != 3 || len(r.deliveries()) != 3 {
		t.Errorf("after Notify the webhook is %+v, want 3 delivered", h)
	}
}
