package linkedinsim

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPublishedSignaturesComeOut(t *testing.T) {
	const secret = "sim-client-secret-0001"
	const code = "3d1f7c58-6f0a-4c1e-9a54-0b7e6a2d4c11"
	if got, want := keyedHash(secret, code), "9adf3f0cec36a3cf5adaa22be001b0650bca344a51f652fd9ec74f26c6716640"; got != want {
		t.Errorf("the response to the published challenge is %s, want %s", got, want)
	}
	x := notice{
		lead: "8f0c2b9e-41d7-4c55-9e0b-6a1d2f3c4b5a-6", form: 7130000000000000001, version: 1, owner: 9000123,
		event: 7200000000000000123, action: actionCreated, occurred: 1793012345678,
	}
	body := x.body(Switches{})
	if len(body) != 387 {
		t.Fatalf("the published notification has %d bytes, want 387: %s", len(body), body)
	}
	wantJSON(t, "notification", body, example(t, "notification"))
	const documented = "d08b4b86fb8174aa4ea6cddee36de23b4d7778068859f837abb4f522aab9d6ea"
	const bare = "abf083c0ae4d508a658f8b990efb786a821ae2a2c33a9e32aa7feb3928dd21de"
	for _, tt := range []struct {
		sw   Switches
		want string
	}{
		{Switches{}, documented},
		{Switches{SignatureOfBody: true}, bare},
		{Switches{SignaturePrefixed: true}, "hmacsha256=" + documented},
		{Switches{SignaturePrefixed: true, SignatureOfBody: true}, "hmacsha256=" + bare},
	} {
		if got := signature(secret, string(body), tt.sw); got != tt.want {
			t.Errorf("signature under %+v is %s, want %s", tt.sw, got, tt.want)
		}
	}
}

func TestEveryLeadMadeAndEveryMemberWhoLeavesIsNotified(t *testing.T) {
	c, r := subscribed(t, Config{})
	made := c.add(LeadSpec{ID: "a lead-6"}, LeadSpec{})
	c.control(http.MethodDelete, "/sim/leads/a%20lead-6", "", http.StatusOK)
	c.clock.now = c.clock.now.Add(time.Minute)
	again := c.add(LeadSpec{ID: "a lead-6"})
	c.server.Notify(t.Context())
	var got []string
	for _, x := range r.deliveries() {
		lead, action, at := x.action(t)
		got = append(got, lead+" "+action+" "+millis(time.UnixMilli(at)))
		if want := hexHMAC(DefaultClientSecret, "hmacsha256="+x.body); x.signature != want {
			t.Errorf("%s is signed %s, want %s", x.body, x.signature, want)
		}
	}
	want := []string{
		"a lead-6 CREATED " + millis(testStart), made[1].ID + " CREATED " + millis(testStart),
		"a lead-6 DELETED " + millis(testStart), "a lead-6 CREATED " + millis(time.UnixMilli(again[0].SubmittedAt)),
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("notified of\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRunDeliversAtOnceAndEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := withReceiver(t, Config{Now: time.Now})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.server.Run(ctx) }()
		synctest.Wait()
		c.register(subscriptionBody(""))
		c.add(LeadSpec{Count: 100})
		synctest.Wait() // no time passes
		if got := len(r.deliveries()); got != 100 {
			t.Errorf("%d notifications at once, want 100", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}

func TestDeliveriesFollowTheirSwitches(t *testing.T) {
	tests := []struct {
		name   string
		sw     Switches
		in     string
		signed func(body string) string
	}{
		{"default", Switches{}, `,1)","owner":`, func(b string) string { return hexHMAC(DefaultClientSecret, "hmacsha256="+b) }},
		{"prefix", Switches{SignaturePrefixed: true}, `"LEAD_ACTION"`, func(b string) string { return "hmacsha256=" + hexHMAC(DefaultClientSecret, "hmacsha256="+b) }},
		{"bare body", Switches{SignatureOfBody: true}, `"LEAD_ACTION"`, func(b string) string { return hexHMAC(DefaultClientSecret, b) }},
		{"seconds", Switches{OccurredInSeconds: true}, `"occurredAt":` + millis(testStart)[:10] + `}`, nil},
		{"milliseconds", Switches{}, `"occurredAt":` + millis(testStart) + `}`, nil},
		{"later", Switches{OccurredAfter: 678 * time.Millisecond}, `"occurredAt":` + millis(testStart.Add(678*time.Millisecond)) + `}`, nil},
		{"blank", Switches{BlankInNotice: true}, `, 1)","owner":`, nil},
		{"the finder's blank", Switches{BlankInFormURN: true}, `,1)","owner":`, nil},
	}
	for _, tt := range tests {
		c, r := subscribed(t, Config{Switches: tt.sw})
		c.add(LeadSpec{})
		c.server.Notify(t.Context())
		got := r.deliveries()
		if len(got) != 1 || !strings.Contains(got[0].body, tt.in) {
			t.Errorf("%s: notified of %+v, want %s", tt.name, got, tt.in)
			continue
		}
		if tt.signed != nil && got[0].signature != tt.signed(got[0].body) {
			t.Errorf("%s: signed %s, want %s", tt.name, got[0].signature, tt.signed(got[0].body))
		}
	}
}

func TestNarrowSubscriptionsGetTheirLeadsOnly(t *testing.T) {
	cfg := Config{Organizations: 2, Events: 8, Forms: 8, HiddenShare: -1, Seed: 1}
	const event, otherEvent = "7200000000000000123", "7200000000000000125"
	const form = "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:7130000000000000001,"
	tests := []struct{ name, body string }{
		{"owner", subscriptionBody("")},
		{"event", subscriptionBody(`,"associatedEntity":{"event":"urn:li:event:` + event + `"}`)},
		{"form version 1", subscriptionBody(`,"versionedForm":"` + form + `1)"`)},
		{"form version 2", subscriptionBody(`,"versionedForm":"` + form + ` 2)"`)},
		{"other type", strings.Replace(subscriptionBody(""), "EVENT", "COMPANY", 1)},
		{"other owner", strings.Replace(subscriptionBody(""), "9000123", "9000456", 1)},
	}
	want := map[string]int{"owner": 5, "event": 3, "form version 1": 1, "form version 2": 2, "other type": 1, "other owner": 1}
	c, r := withReceiver(t, cfg)
	c.control(http.MethodPost, "/sim/faults", `{"kind":"change_form","form":"7130000000000000001"}`, http.StatusOK)
	for _, tt := range tests {
		c.register(strings.Replace(tt.body, hookURL, "https://hooks.example.com/"+strings.ReplaceAll(tt.name, " ", "-"), 1))
	}
	if _, err := c.server.AddLeads(
		LeadSpec{Event: event, FormVersion: 1}, LeadSpec{Event: event, Count: 2}, LeadSpec{Event: otherEvent, Count: 2},
		LeadSpec{Owner: "9000123", LeadType: "COMPANY"}, LeadSpec{Owner: "9000456"},
	); err != nil {
		t.Fatal(err)
	}
	c.server.Notify(t.Context())
	got := map[string]int{}
	for _, x := range r.deliveries() {
		got[strings.ReplaceAll(x.path[1:], "-", " ")]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("notified %v, want %v", got, want)
	}
}

func TestLeadWithoutEventIsNotifiedWithoutOne(t *testing.T) {
	c, r := withReceiver(t, Config{Organizations: 1, Forms: 1, Events: 1, Seed: 1})
	form := `{"id":88,"owner":{"organization":"` + firstOwner + `"},"content":{"questions":[{"questionId":1,"question":{"localized":{"en_US":"?"}},"questionDetails":{"textQuestionDetails":{}}}]}}`
	c.control(http.MethodPost, "/sim/forms", form, http.StatusOK)
	c.register(subscriptionBody(""))
	c.control(http.MethodPost, "/sim/leads", `{"form":"88"}`, http.StatusOK)
	c.server.Notify(t.Context())
	if got := r.deliveries(); len(got) != 1 || strings.Contains(got[0].body, "associatedEntity") || !strings.Contains(got[0].body, ":88,1)") {
		t.Errorf("notified of %+v, want one without associatedEntity", got)
	}
}

func TestLeadCanBeNotifiedBeforeItCanBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := withReceiver(t, Config{Now: time.Now})
		c.running()
		c.register(subscriptionBody(""))
		made := c.add(LeadSpec{VisibleAfter: 10 * time.Minute})
		synctest.Wait()
		if got := len(r.deliveries()); got != 1 {
			t.Fatalf("%d notifications at once, want 1", got)
		}
		target := "/rest/leadFormResponses/" + made[0].ID
		c.wantStatus(target, http.StatusNotFound)
		time.Sleep(10 * time.Minute)
		c.wantStatus(target, http.StatusOK)

		// The other way round: read first, notified later.
		c.control(http.MethodPost, "/sim/faults", `{"kind":"delay_delivery","latency":"5m"}`, http.StatusOK)
		made = c.add(LeadSpec{})
		time.Sleep(5*time.Minute - time.Second)
		c.wantStatus("/rest/leadFormResponses/"+made[0].ID, http.StatusOK)
		if got := len(r.deliveries()); got != 1 {
			t.Errorf("%d notifications before their time, want 1", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := len(r.deliveries()); got != 2 {
			t.Errorf("%d notifications in the end, want 2", got)
		}
	})
}

func TestGeneratedLeadsAndDeedsAreNotified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := withReceiver(t, Config{Now: time.Now, Organizations: 1, Events: 1, Forms: 1, Leads: 20, Rate: 60, HiddenShare: 0.5, Seed: 1})
		c.running()
		c.register(subscriptionBody(""))
		time.Sleep(time.Minute + time.Millisecond)
		c.control(http.MethodPost, "/sim/faults", `{"kind":"delete_leads","owner":"9000123","number":5}`, http.StatusOK)
		c.control(http.MethodPost, "/sim/faults", `{"kind":"add_leads","leads":{"count":7}}`, http.StatusOK)
		synctest.Wait()
		got := map[string]int{}
		for _, x := range r.deliveries() {
			_, action, _ := x.action(t)
			got[action]++
		}
		if want := map[string]int{"CREATED": 67, "DELETED": 5}; !maps.Equal(got, want) {
			t.Errorf("notified of %v, want %v: of no filler row and of nothing that was there before", got, want)
		}
	})
}

func TestMemberWhoRegisteredTwiceLeavesOnce(t *testing.T) {
	for _, how := range []struct{ method, target, body string }{
		{http.MethodDelete, "/sim/leads/twice", ""},
		{http.MethodPost, "/sim/faults", `{"kind":"delete_leads","owner":"9000123","number":3}`},
	} {
		c, r := subscribed(t, Config{})
		c.add(LeadSpec{ID: "twice", Age: time.Hour}, LeadSpec{ID: "twice"})
		c.control(how.method, how.target, how.body, http.StatusOK)
		c.server.Notify(t.Context())
		var got []string
		for _, x := range r.deliveries() {
			_, action, _ := x.action(t)
			got = append(got, action)
		}
		slices.Sort(got)
		if want := []string{"CREATED", "CREATED", "DELETED"}; !slices.Equal(got, want) {
			t.Errorf("%s %s: notified of %v, want %v", how.method, how.target, got, want)
		}
		for e := range c.server.Ledger() {
			if !e.Deleted {
				t.Errorf("%s %s: %+v is still there", how.method, how.target, e)
			}
		}
	}
}

func TestRefusedDeliveryIsTriedForEightHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := withReceiver(t, Config{Now: time.Now})
		c.running()
		c.register(subscriptionBody(""))
		synctest.Wait()
		r.set(status(503), nil)
		c.add(LeadSpec{})
		start := time.Now()
		time.Sleep(day)
		got := r.deliveries()
		if len(got) != 97 || got[1].at.Sub(start) != 5*time.Minute || got[96].at.Sub(start) != 8*time.Hour {
			t.Errorf("%d attempts, want 97 over 8 hours, every 5 minutes", len(got))
		}
		d := c.server.Deliveries()
		if len(d) != 1 || d[0].Outcome != "gave_up" || len(d[0].Attempts) != 97 || d[0].Attempts[96].Status != 503 {
			t.Errorf("the delivery is %+v, want it given up", d)
		}
		for _, x := range got[1:] {
			if x.body != got[0].body || x.signature != got[0].signature {
				t.Fatal("a later attempt differs from the first")
			}
		}
	})
}

func TestDeliveryIsTriedUntilItIsTaken(t *testing.T) {
	failures := map[string]http.HandlerFunc{
		"500": status(500), "404": status(404), "redirect": status(302), "429": status(429),
		"timeout": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}
	for name, fail := range failures {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sw := Switches{WebhookRetry: 20 * time.Millisecond, WebhookTimeout: 10 * time.Millisecond}
				c, r := withReceiver(t, Config{Now: time.Now, Switches: sw})
				c.running()
				c.register(subscriptionBody(""))
				synctest.Wait()
				r.set(fail, nil)
				c.add(LeadSpec{})
				time.Sleep(65 * time.Millisecond)
				r.set(status(202), nil)
				time.Sleep(time.Hour)
				d := c.server.Deliveries()
				if len(d) != 1 || d[0].Outcome != "delivered" || len(d[0].Attempts) < 3 || len(r.deliveries()) != len(d[0].Attempts) {
					t.Errorf("after %d requests the delivery is %+v, want it delivered in the end", len(r.deliveries()), d)
				}
				if a := d[0].Attempts[0]; a.Status/100 == 2 || (a.Status == 0) == (a.Error == "") {
					t.Errorf("the first attempt is %+v", a)
				}
			})
		})
	}
}

// TestBurstIsDeliveredWithoutHoldingUpTheAPI makes 200 leads a second for half
// a minute, to a webhook that takes a tenth of a second.
func TestBurstIsDeliveredWithoutHoldingUpTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := withReceiver(t, Config{Now: time.Now})
		c.running()
		c.register(subscriptionBody(""))
		synctest.Wait()
		busy, most := atomic.Int64{}, atomic.Int64{}
		r.set(func(http.ResponseWriter, *http.Request) {
			if now := busy.Add(1); now > most.Load() {
				most.Store(now)
			}
			time.Sleep(100 * time.Millisecond)
			busy.Add(-1)
		}, nil)
		start := time.Now()
		for range 300 {
			c.add(LeadSpec{Count: 20})
			c.wantStatus(criteria(""), http.StatusOK)
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("the API was held up: %v for half a minute", took)
		}
		time.Sleep(time.Second)
		if got := len(r.deliveries()); got != 6000 || most.Load() > maxSending {
			t.Errorf("%d delivered, up to %d at once, want 6000 by now and at most %d", got, most.Load(), maxSending)
		}
	})
}

// TestHungWebhookHoldsUpNobody: the API answers while every sender waits.
func TestHungWebhookHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := withReceiver(t, Config{Now: time.Now})
		c.running()
		c.register(subscriptionBody(""))
		synctest.Wait()
		r.set(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil)
		start := time.Now()
		c.add(LeadSpec{Count: 500})
		c.register(subscriptionBody(""))
		c.wantStatus(smallFinder, http.StatusOK)
		c.control(http.MethodGet, "/sim/deliveries", "", http.StatusOK)
		if took := time.Since(start); took != 0 {
			t.Errorf("the API took %v, want no time", took)
		}
	})
}

func TestStoppedRunLosesNoDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := withReceiver(t, Config{Now: time.Now})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.server.Run(ctx) }()
		c.register(subscriptionBody(""))
		synctest.Wait()
		r.set(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil)
		c.add(LeadSpec{Count: 100})
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if h := c.webhook(); h.Waiting != 100 || h.Delivered != 0 {
			t.Errorf("after the end of Run the webhook is %+v, want 100 waiting", h)
		}
		r.set(nil, nil)
		c.server.Notify(t.Context())
		if h := c.webhook(); h.Waiting != 0 || h.Delivered != 100 {
			t.Errorf("after Notify the webhook is %+v, want 100 delivered", h)
		}
	})
}

// slowToEnd is a transport whose requests end a second after their context.
type slowToEnd struct{}

func (slowToEnd) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	time.Sleep(time.Second)
	return nil, r.Context().Err()
}

func TestRunEndsAfterAllItStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Now: time.Now, WebhookTransport: slowToEnd{}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.server.Run(ctx) }()
		c.register(subscriptionBody(""))
		c.add(LeadSpec{}) // waits for the handshake, which does not end
		synctest.Wait()
		start := time.Now()
		cancel()
		if err := <-done; err != nil || time.Since(start) != time.Second {
			t.Errorf("Run = %v after %v, want nil after the second that the request takes to end", err, time.Since(start))
		}
		if h := c.webhook(); h.Handshakes != 0 || h.Waiting != 1 {
			t.Errorf("the webhook is %+v, want its handshake still to be made", h)
		}
		_, _ = read(t, c.do(http.MethodDelete, notifications+"/7012001", "", nil))
		c.server.Notify(t.Context())
		if d := c.server.Deliveries(); d[0].Outcome != "unsubscribed" {
			t.Errorf("the delivery is %+v, want it given up with its subscription", d[0])
		}
	})
}

func TestUnsubscribedWebhookGetsNothingMore(t *testing.T) {
	c, r := subscribed(t, Config{})
	r.set(status(500), nil)
	c.add(LeadSpec{})
	c.server.Notify(t.Context())
	_, _ = read(t, c.do(http.MethodDelete, notifications+"/7012001", "", nil))
	c.add(LeadSpec{})
	c.clock.now = c.clock.now.Add(time.Hour)
	c.server.Notify(t.Context())
	d := c.server.Deliveries()
	if len(r.deliveries()) != 1 || len(d) != 1 || d[0].Outcome != "unsubscribed" {
		t.Errorf("%d requests and deliveries %+v, want one, unsubscribed before it was taken", len(r.deliveries()), d)
	}
}

// TestWebhooksAreReachedOverTheNetwork uses real connections, and leaves none.
func TestWebhooksAreReachedOverTheNetwork(t *testing.T) {
	r := &receiver{t: t, secret: DefaultClientSecret}
	web := httptest.NewServer(r)
	defer web.Close() // waits for connections in use
	c := newClient(t, Config{Organizations: 1, Events: 1, Forms: 1, Now: time.Now, Switches: Switches{LocalWebhooks: true}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.server.Run(ctx) }()
	arrived := make(chan bool, 200)
	r.set(func(http.ResponseWriter, *http.Request) { arrived <- true }, nil)
	c.register(strings.Replace(subscriptionBody(""), hookURL, web.URL+"/hook", 1))
	c.add(LeadSpec{Count: 200})
	for i := range 200 {
		select {
		case <-arrived:
		case <-time.After(30 * time.Second):
			t.Fatalf("notification %d did not come", i+1)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}
