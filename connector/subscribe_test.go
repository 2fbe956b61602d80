package connector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"leadstream/internal/checkpoint"
	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// fakeSubscriptions is LinkedIn's memory of them.
type fakeSubscriptions struct {
	mu    sync.Mutex
	all   []lead.Subscription
	next  int
	asked int // how often for those of a source
	down  error
	id    int // of the last request that was refused
}

func (s *fakeSubscriptions) Subscriptions(_ context.Context, of lead.Source) ([]lead.Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	var found []lead.Subscription
	for _, one := range s.all {
		if one.Source == of {
			found = append(found, one)
		}
	}
	if s.down != nil { // as LinkedIn does: with an id of the request in each refusal
		s.id++
		return nil, fmt.Errorf("%w [x-li-uuid %d]", s.down, s.id)
	}
	return found, nil
}

func (s *fakeSubscriptions) Subscribe(_ context.Context, of lead.Source, webhook string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	id := strconv.Itoa(s.next)
	s.all = append(s.all, lead.Subscription{ID: id, Source: of, Webhook: webhook})
	return id, nil
}

func (s *fakeSubscriptions) Unsubscribe(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(one lead.Subscription) bool { return one.ID == id })
	return nil
}

func (s *fakeSubscriptions) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text []string
	for _, one := range s.all {
		text = append(text, fmt.Sprint(one.ID, " ", one.Webhook, map[bool]string{true: " narrowed"}[one.Narrowed]))
	}
	return fmt.Sprint(text)
}

func TestEachSourceHasExactlyOneSubscriptionOfOurs(t *testing.T) {
	const ours, theirs = "https://leads.example.com/webhooks/linkedin", "https://other.example.com/hook"
	for _, c := range []struct {
		name string
		have []lead.Subscription
		want string
	}{
		{"none", nil, "[1 " + ours + "]"},
		{"one", []lead.Subscription{{ID: "7", Webhook: ours}}, "[7 " + ours + "]"},
		{"the same twice", []lead.Subscription{{ID: "7", Webhook: ours}, {ID: "8", Webhook: ours}}, "[7 " + ours + "]"},
		{"somebody else's", []lead.Subscription{{ID: "7", Webhook: theirs}}, "[7 " + theirs + " 1 " + ours + "]"},
		{"of one event alone", []lead.Subscription{{ID: "7", Webhook: ours, Narrowed: true}}, "[7 " + ours + " narrowed 1 " + ours + "]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := &fakeSubscriptions{}
			for _, one := range c.have {
				one.Source = src
				s.all = append(s.all, one)
			}
			w.opts.Webhook, w.opts.Subscriber = ours, s
			e := w.start()
			for range 2 {
				if err := (&subscriptions{e.session}).subscribe(t.Context(), src); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.String(); got != c.want {
				t.Errorf("fakeSubscriptions are %s, want %s", got, c.want)
			}
		})
	}
}

func TestSubscriptionsAreRepairedDailyAndMissedOnesSaidOnce(t *testing.T) {
	w := newWorld(t)
	w.opts.Discovery = 15 * time.Minute
	s := &fakeSubscriptions{down: fault.As(fault.Suspend, errors.New("the webhook is refused"))}
	w.opts.Webhook, w.opts.Subscriber = "https://leads.example.com/webhooks/linkedin", s
	e := w.start()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		began := time.Now()
		e.Connector.opts.Now = func() time.Time { return w.linkedin.clock.Add(time.Since(began)) }
		go func() { done <- (&subscriptions{e.session}).run(ctx) }()
		time.Sleep(2*e.opts.Discovery + time.Second)
		if n := w.logs.FilterMessageSnippet("no notifications from LinkedIn").Len(); n != 1 {
			t.Errorf("said %d times that there are none, want once", n)
		}
		s.mu.Lock()
		if s.asked != 3 {
			t.Errorf("asked LinkedIn %d times, want once at the start and at each discovery", s.asked)
		}
		s.down = nil
		s.mu.Unlock()
		time.Sleep(e.opts.Discovery)
		if n := w.logs.FilterMessage("recovered").Len(); n != 1 {
			t.Errorf("said %d times that there are again, want once", n)
		}
		if got := s.String(); got != "[1 "+e.opts.Webhook+"]" {
			t.Errorf("fakeSubscriptions are %s, want one", got)
		}
		s.mu.Lock()
		s.all = nil // LinkedIn does not say what ends one
		s.mu.Unlock()
		time.Sleep(repairEvery - e.opts.Discovery)
		if got := s.String(); got != "[]" {
			t.Errorf("before a day has passed fakeSubscriptions are %s", got)
		}
		time.Sleep(2 * e.opts.Discovery)
		if got := s.String(); got != "[2 "+e.opts.Webhook+"]" {
			t.Errorf("after a day fakeSubscriptions are %s, want a new one", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("subscribeLoop = %v", err)
		}
	})
}

func TestASubscriptionIsLookedAtAsSoonAsALostRoleIsBack(t *testing.T) {
	w := newWorld(t)
	w.opts.Discovery = 15 * time.Minute
	s := &fakeSubscriptions{}
	w.opts.Webhook, w.opts.Subscriber = "https://leads.example.com/webhooks/linkedin", s
	e := w.start()
	role := func(problem string) {
		orgs := slices.Clone(e.catalog.organizations())
		orgs[0].Problem = problem
		e.catalog.setOrganizations(orgs, nil, checkpoint.Organizations{})
	}
	notified := func() bool {
		s, _ := e.sources.get(src)
		return s.notified
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		began := time.Now()
		e.Connector.opts.Now = func() time.Time { return w.linkedin.clock.Add(time.Since(began)) }
		go func() { done <- (&subscriptions{e.session}).run(ctx) }()
		time.Sleep(time.Second)
		if !notified() {
			t.Error("the source is not known to be notified of")
		}
		role("lost")
		s.mu.Lock()
		s.all = nil // it went with the role
		s.mu.Unlock()
		time.Sleep(e.opts.Discovery)
		if notified() {
			t.Error("without the role the source is still said to be notified of")
		}
		role("")
		time.Sleep(e.opts.Discovery)
		if got := s.String(); got != "[2 "+e.opts.Webhook+"]" || !notified() {
			t.Errorf("with the role back fakeSubscriptions are %s, want a new one", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("subscribeLoop = %v", err)
		}
	})
}
