package linkedinsim

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// order is the leads in the order in which their notifications came.
func (r *receiver) order() []string {
	var leads []string
	for _, x := range r.deliveries() {
		lead, _, _ := x.action(r.t)
		leads = append(leads, lead)
	}
	return leads
}

func TestFaultsBefallDeliveries(t *testing.T) {
	tests := []struct {
		name, fault string
		want        []string
		outcomes    []string
	}{
		{"none", `[]`, []string{"a", "b", "c"}, []string{"delivered", "delivered", "delivered"}},
		{"lose", `{"kind":"lose_delivery"}`, []string{"b", "c"}, []string{"lost", "delivered", "delivered"}},
		{"lose after", `{"kind":"lose_delivery","after":1,"count":5}`, []string{"a"}, []string{"delivered", "lost", "lost"}},
		{"duplicate", `{"kind":"duplicate_delivery","count":2}`, []string{"a", "a", "b", "b", "c"}, []string{"delivered", "delivered", "delivered", "delivered", "delivered"}},
		{"duplicate later", `{"kind":"duplicate_delivery","latency":"1m"}`, []string{"a", "b", "c", "a"}, []string{"delivered", "delivered", "delivered", "delivered"}},
		{"delay", `{"kind":"delay_delivery","latency":"1m"}`, []string{"b", "c", "a"}, []string{"delivered", "delivered", "delivered"}},
		{"reorder", `{"kind":"reorder_deliveries","count":3}`, []string{"c", "b", "a"}, []string{"delivered", "delivered", "delivered"}},
		{"two at once", `[{"kind":"delay_delivery","latency":"1m"},{"kind":"lose_delivery","after":1}]`, []string{"c", "a"}, []string{"delivered", "lost", "delivered"}},
		{"of another owner", `{"kind":"lose_delivery","owner":"9000456","count":-1}`, []string{"a", "b", "c"}, nil},
		{"of the owner", `{"kind":"lose_delivery","owner":"9000123","count":-1}`, nil, nil},
		{"of requests", `{"kind":"status","status":500,"endpoint":"*","count":-1}`, []string{"a", "b", "c"}, nil},
		{"deeds before requests", `{"kind":"delete_leads","id":"a","after":1}`, []string{"a", "b", "c"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, r := withReceiver(t, Config{Now: time.Now})
				c.running()
				c.register(subscriptionBody(""))
				c.control(http.MethodPost, "/sim/faults", tt.fault, http.StatusOK)
				for _, id := range []string{"a", "b", "c"} {
					c.add(LeadSpec{ID: id})
					synctest.Wait() // one after the other
				}
				time.Sleep(time.Hour)
				if got := r.order(); !slices.Equal(got, tt.want) {
					t.Errorf("notified of %q, want %q", got, tt.want)
				}
				var outcomes []string
				for _, d := range c.server.Deliveries() {
					outcomes = append(outcomes, d.Outcome)
				}
				if tt.outcomes != nil && !slices.Equal(outcomes, tt.outcomes) {
					t.Errorf("deliveries are %q, want %q", outcomes, tt.outcomes)
				}
			})
		})
	}
}

func TestDuplicateIsTheSameToTheByte(t *testing.T) {
	c, r := subscribed(t, Config{})
	c.control(http.MethodPost, "/sim/faults", `{"kind":"duplicate_delivery"}`, http.StatusOK)
	c.add(LeadSpec{})
	c.server.Notify(t.Context())
	if got := r.deliveries(); len(got) != 2 || got[0].body != got[1].body || got[0].signature != got[1].signature {
		t.Errorf("notified of %+v, want the same twice", got)
	}
}

func TestDeliveriesCanBeShuffledWithoutLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, r := withReceiver(t, Config{Now: time.Now})
		c.running()
		c.register(subscriptionBody(""))
		synctest.Wait()
		c.control(http.MethodPost, "/sim/faults", `{"kind":"reorder_deliveries","count":-1,"latency":"10s"}`, http.StatusOK)
		var made []string
		for range 50 {
			made = append(made, c.add(LeadSpec{})[0].ID)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		got := r.order()
		if len(got) != 50 || slices.Equal(got, made) {
			t.Errorf("%d notifications in the order they were made, want 50 in another", len(got))
		}
	})
}

func TestImpossibleDeliveryFaultsAreRefused(t *testing.T) {
	c, _ := withReceiver(t, Config{})
	body := c.control(http.MethodPost, "/sim/faults", `{"kind":"lose_delivery","endpoint":"leadForms"}`, http.StatusBadRequest)
	if !strings.Contains(string(body), "leadForms") {
		t.Errorf("the refusal is %s, want the endpoint in it", body)
	}
}
