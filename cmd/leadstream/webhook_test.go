package main

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"leadstream/config"
	"leadstream/connector"
	"leadstream/internal/linkedinsim"
	"leadstream/internal/tail"
)

// freeAddress is an address of this machine that is free now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing was accepted
	return l.Addr().String()
}

// until waits for something that the system brings about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestNotificationsComeAllTheWay: from the simulated LinkedIn over HTTP to the
// topic, with polls so seldom that they have no part in it.
func TestNotificationsComeAllTheWay(t *testing.T) {
	t.Parallel()
	world := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 1, Seed: 1,
		Switches: linkedinsim.Switches{LocalWebhooks: true}})
	sending, stopSending := context.WithCancel(t.Context())
	sent := make(chan error, 1)
	go func() { sent <- world.sim.Run(sending) }()
	defer func() { stopSending(); <-sent }()
	address := freeAddress(t)
	c, _, err := config.Load(config.LoadOptions{NoFile: true, Environ: world.environ(map[string]string{
		"LEADSTREAM_POLL_INTERVAL": "1h", "LEADSTREAM_WEBHOOK_LISTEN": address, "LEADSTREAM_WEBHOOK_URL": "http://" + address,
	})})
	if err != nil {
		t.Fatal(err)
	}
	s, err := build(c, useTokens, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.operate(ctx, connector.Options{}) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.close()
	}()
	until(t, "a validated subscription", func() bool {
		hooks := world.sim.Webhooks()
		return len(hooks) == 1 && hooks[0].Validated && hooks[0].Webhook == "http://"+address+"/webhooks/linkedin"
	})
	var seen []tail.Record
	from := s.newConsumer()
	read := func() []tail.Record {
		topics, err := from.Topics(ctx, nil)
		if err == nil {
			err = from.Read(ctx, topics, func(r tail.Record) error { seen = append(seen, r); return nil })
		}
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	until(t, "the lead of before", func() bool { return len(read()) == 1 })
	made, err := world.sim.AddLeads(linkedinsim.LeadSpec{Count: 3})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the new leads", func() bool { return len(read()) == 4 })
	for _, r := range seen[1:] {
		if r.Delivery != "push" || !slices.ContainsFunc(made, func(e linkedinsim.LedgerEntry) bool { return e.ID == r.ID }) {
			t.Errorf("lead %s came by %s, want one of the new ones, pushed", r.ID, r.Delivery)
		}
	}
	if !world.sim.DeleteLead(made[1].ID) {
		t.Fatal("the lead could not be deleted")
	}
	until(t, "the tombstone", func() bool {
		last := read()[len(seen)-1]
		return len(seen) == 5 && last.Deleted && last.ID == made[1].ID
	})
}
