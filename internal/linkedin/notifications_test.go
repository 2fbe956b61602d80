package linkedin

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
	"leadstream/internal/linkedinsim"
)

const hookURL = "https://leads.example.com/webhooks/linkedin"

func TestSubscriptionsAreMadeListedAndEnded(t *testing.T) {
	for name, sw := range map[string]linkedinsim.Switches{
		"as documented": {}, "a DELETE that answers 200": {NotificationDeleteStatus: http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := simConfig(1)
				cfg.Switches = sw
				s, c := simulate(t, cfg, Options{})
				src := lead.Source{Owner: s.Describe().Organizations[0].URN, Type: "EVENT"}
				var ids []string
				for range 60 { // more than one page
					id, err := c.Subscribe(t.Context(), src, hookURL)
					if err != nil || !lead.Digits(id) {
						t.Fatalf("Subscribe = %q, %v", id, err)
					}
					ids = append(ids, id)
				}
				found, err := c.Subscriptions(t.Context(), src)
				if err != nil || len(found) != len(ids) {
					t.Fatalf("Subscriptions = %d, %v, want %d", len(found), err, len(ids))
				}
				for i, f := range found {
					if want := (lead.Subscription{ID: ids[i], Source: src, Webhook: hookURL}); f != want {
						t.Errorf("subscription %d is %+v, want %+v", i, f, want)
					}
				}
				for _, id := range append(ids, ids[0]) { // the last one is gone already
					if err := c.Unsubscribe(t.Context(), id); err != nil {
						t.Errorf("Unsubscribe(%s) = %v", id, err)
					}
				}
				if found, err := c.Subscriptions(t.Context(), src); err != nil || len(found) != 0 {
					t.Errorf("afterwards there are %d (%v)", len(found), err)
				}
			})
		})
	}
}

func TestARefusedSubscriptionIsNotTriedAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := simulate(t, simConfig(1), Options{})
		src := lead.Source{Owner: s.Describe().Organizations[0].URN, Type: "EVENT"}
		before := s.Stats().ByEndpoint[EndpointNotifications]
		_, err := c.Subscribe(t.Context(), src, "http://leads.example.com/hook")
		var refused *APIError
		if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest || fault.KindOf(err) != fault.Suspend {
			t.Errorf("Subscribe = %v, want LinkedIn's refusal", err)
		}
		if n := s.Stats().ByEndpoint[EndpointNotifications] - before; n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}

// The raw bytes: LinkedIn answers a wrong encoding with an empty list.
func TestNotificationRequestsAreEncodedAsLinkedInReadsThem(t *testing.T) {
	var got []string
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body []byte
		if r.Body != nil {
			var err error
			if body, err = io.ReadAll(r.Body); err != nil {
				t.Error(err)
			}
		}
		got = append(got, r.Method+" "+r.URL.EscapedPath()+"?"+r.URL.RawQuery+" "+string(body)+" "+r.Header.Get("Content-Type"))
		if r.Method == http.MethodPost {
			w.Header().Set("X-Restli-Id", "7012001")
			w.WriteHeader(http.StatusCreated)
			return
		}
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = w.Write([]byte(`{"elements":[]}`))
	}), Options{})
	if _, err := c.Subscriptions(t.Context(), testSource); err != nil {
		t.Fatal(err)
	}
	if id, err := c.Subscribe(t.Context(), testSource, hookURL); err != nil || id != "7012001" {
		t.Fatalf("Subscribe = %q, %v", id, err)
	}
	if err := c.Unsubscribe(t.Context(), "7012001"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GET /rest/leadNotifications?q=criteria&owner=(value:(organization:urn%3Ali%3Aorganization%3A9000123))&leadType=(leadType:EVENT)&start=0&count=50  ",
		`POST /rest/leadNotifications? {"leadType":"EVENT","owner":{"organization":"urn:li:organization:9000123"},"webhook":"` + hookURL + `"} application/json`,
		"DELETE /rest/leadNotifications/7012001?  ",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("requests:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
