package linkedinsim

import (
	"context"
	"net/http"
	"slices"
	"strings"
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
		if got := signature(secret, body, tt.sw); got != tt.want {
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
