package linkedinsim

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// resend sends what a request says and returns what came of it.
func (c *client) resend(request string) []Delivery {
	c.t.Helper()
	var sent []Delivery
	decodeJSON(c.t, c.control(http.MethodPost, "/sim/webhooks/send", request, http.StatusOK), &sent)
	return sent
}

func TestNotificationsAreSentOnDemand(t *testing.T) {
	c, r := subscribed(t, Config{})
	made := c.add(LeadSpec{})
	c.server.Notify(t.Context())
	first := r.deliveries()[0]
	right := func(x received) bool { return x.signature == hexHMAC(DefaultClientSecret, "hmacsha256="+x.body) }
	lead := `"lead":"` + made[0].ID + `"`
	tests := []struct {
		name, request string
		check         func(received) bool
	}{
		{"again", `{"delivery":1}`, func(x received) bool { return x == first }},
		{"of a lead", `{` + lead + `}`, func(x received) bool { return x == first }},
		{"left", `{` + lead + `,"action":"DELETED"}`, func(x received) bool {
			return right(x) && strings.Contains(x.body, `"leadAction":"DELETED","occurredAt":`+millis(testStart))
		}},
		{"stale", `{` + lead + `,"occurredAt":1700000000000}`, func(x received) bool { return right(x) && strings.HasSuffix(x.body, `"occurredAt":1700000000000}`) }},
		{"stale by date", `{` + lead + `,"occurredAt":"2023-11-14T22:13:20Z"}`, func(x received) bool { return right(x) && strings.HasSuffix(x.body, `:1700000000000}`) }},
		{"wrong signature", `{"delivery":1,"signature":"wrong"}`, func(x received) bool {
			return x.body == first.body && len(x.signature) == 64 && x.signature != first.signature
		}},
		{"no signature", `{"delivery":1,"signature":"none"}`, func(x received) bool { return x.signature == "" }},
		{"any signature", `{"delivery":1,"signature":"hmacsha256=00"}`, func(x received) bool { return x.signature == "hmacsha256=00" }},
		{"altered", `{"delivery":1,"altered":true}`, func(x received) bool { return x.signature == first.signature && x.body == first.body+" " }},
		{"any body", `{"delivery":1,"body":"[]"}`, func(x received) bool { return right(x) && x.body == "[]" }},
		{"any webhook", `{"webhook":"https://hooks.example.com/other","body":"{}"}`, func(x received) bool { return right(x) && x.path == "/other" }},
		{"lead to any webhook", `{"webhook":"https://hooks.example.com/other",` + lead + `}`, func(x received) bool { return x.body == first.body && x.path == "/other" }},
	}
	for _, tt := range tests {
		before := len(r.deliveries())
		sent := c.resend(tt.request)
		got := r.deliveries()[before:]
		for i := range got {
			got[i].at = first.at
		}
		if len(got) != 1 || !tt.check(got[0]) {
			t.Errorf("%s: notified of %+v", tt.name, got)
		}
		if len(sent) != 1 || !sent[0].Resent || sent[0].Outcome != "delivered" || len(sent[0].Attempts) != 1 || sent[0].Attempts[0].Status != 200 {
			t.Errorf("%s: the answer is %+v, want one attempt with 200", tt.name, sent)
		}
	}
	r.set(status(401), nil)
	if sent := c.resend(`{"delivery":1}`); sent[0].Outcome != "gave_up" || sent[0].Attempts[0].Status != 401 {
		t.Errorf("a refused one is %+v, want its 401", sent)
	}
	c.clock.now = c.clock.now.Add(time.Hour)
	before := len(r.deliveries())
	c.server.Notify(t.Context())
	if got := len(r.deliveries()); got != before {
		t.Error("what was sent on demand is tried again")
	}
}

func TestDeliveriesOnDemandAreRefusedByName(t *testing.T) {
	c, _ := subscribed(t, Config{})
	made := c.add(LeadSpec{})
	for request, want := range map[string]string{
		`{}`:                                        "name a delivery",
		`{"delivery":9}`:                            "no delivery 9",
		`{"lead":"nobody"}`:                         "nobody",
		`{"lead":"x","delivery":1}`:                 "name a delivery",
		`{"lead":"x","action":"CHANGED"}`:           "CHANGED",
		`{"webhook":"https://x.example.com/"}`:      "name a delivery",
		`{"delivery":1,"occurredAt":1700000000000}`: "need a lead",
		`{"delivery":1,"signatur":"x"}`:             "signatur",
		`{"delivery":1,"occurredAt":"yesterday"}`:   "yesterday",
	} {
		if body := string(c.control(http.MethodPost, "/sim/webhooks/send", request, http.StatusBadRequest)); !strings.Contains(body, want) {
			t.Errorf("%s answers %s, want %q in it", request, body, want)
		}
	}
	_, _ = read(t, c.do(http.MethodDelete, notifications+"/7012001", "", nil))
	if body := string(c.control(http.MethodPost, "/sim/webhooks/send", `{"lead":"`+made[0].ID+`"}`, http.StatusBadRequest)); !strings.Contains(body, "nobody subscribed") {
		t.Errorf("without a subscription: %s", body)
	}
}

func TestDeliveriesAreListedOverHTTP(t *testing.T) {
	c, r := subscribed(t, Config{})
	made := c.add(LeadSpec{}, LeadSpec{})
	c.server.Notify(t.Context())
	r.set(status(500), nil)
	c.control(http.MethodDelete, "/sim/leads/"+made[0].ID, "", http.StatusOK)
	c.server.Notify(t.Context())
	lines := strings.Split(strings.TrimSuffix(string(c.control(http.MethodGet, "/sim/deliveries", "", http.StatusOK)), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3", len(lines))
	}
	var d Delivery
	decodeJSON(t, []byte(lines[2]), &d)
	got := r.deliveries()[2]
	if d.Number != 3 || d.Subscription != 7012001 || d.Webhook != hookURL || d.Lead != made[0].ID || d.Action != "DELETED" ||
		d.Body != got.body || d.Signature != got.signature || !d.MadeAt.Equal(testStart) || d.Outcome != "waiting" ||
		len(d.Attempts) != 1 || d.Attempts[0].Status != 500 || !d.Attempts[0].At.Equal(testStart) {
		t.Errorf("the third line is %s", lines[2])
	}
	h := c.webhook()
	if h.Delivered != 2 || h.Waiting != 1 || h.Dropped != 0 || len(h.Subscriptions) != 1 || h.Subscriptions[0].ID != 7012001 || h.Handshakes != 1 ||
		!h.Last.Equal(testStart) || !h.Next.Equal(testStart.Add(2*time.Hour)) {
		t.Errorf("the webhook is %+v", h)
	}
}

func TestNotificationsAreSignedWithTheSecretInForce(t *testing.T) {
	c, r := subscribed(t, Config{})
	c.control(http.MethodPost, "/sim/faults", `{"kind":"change_secret","secret":"another-secret"}`, http.StatusOK)
	c.add(LeadSpec{})
	c.server.Notify(t.Context())
	if got := r.deliveries()[0]; got.signature != hexHMAC("another-secret", "hmacsha256="+got.body) {
		t.Error("the notification is not signed with the new secret")
	}
	c.control(http.MethodPost, "/sim/webhooks/validate", `{}`, http.StatusOK)
	if h := c.webhook(); h.Failures != 1 || !strings.Contains(h.Problem, "challengeResponse") {
		t.Errorf("a webhook with the old secret is %+v, want its response refused", h)
	}
}
