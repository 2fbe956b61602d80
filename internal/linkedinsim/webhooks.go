package linkedinsim

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// WebhookState is what LinkedIn knows of one webhook. Times are on LinkedIn's
// clock; those that are not set are left out.
type WebhookState struct {
	Webhook   string `json:"webhook"`
	Validated bool   `json:"validated"`
	Blocked   bool   `json:"blocked"`
	// Failures counts the handshakes that failed in a row, Handshakes all.
	Failures   int       `json:"failures"`
	Handshakes int       `json:"handshakes"`
	Last       time.Time `json:"lastHandshake,omitzero"`
	Next       time.Time `json:"nextHandshake,omitzero"`
	// Problem is what was wrong with the last handshake, empty for nothing.
	Problem string `json:"problem,omitempty"`
	// Deliveries by how they ended: taken by the webhook, waiting for their first
	// or next attempt, and those that will not be made any more.
	Delivered     int            `json:"delivered"`
	Waiting       int            `json:"waiting"`
	Dropped       int            `json:"dropped"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// Webhooks are those that were ever registered, by URL.
func (s *Server) Webhooks() []WebhookState {
	n := s.notifier
	n.mu.Lock()
	defer n.mu.Unlock()
	states := []WebhookState{}
	for _, h := range n.hooks {
		state := WebhookState{
			Webhook: h.url, Validated: h.validated, Blocked: h.blocked, Failures: h.failures, Handshakes: h.done, Last: h.last,
			Problem: h.problem, Delivered: h.delivered, Waiting: h.waiting, Dropped: h.dropped, Subscriptions: []Subscription{},
		}
		for _, u := range n.subscriptions {
			if u.Webhook == h.url {
				state.Subscriptions = append(state.Subscriptions, u.Subscription)
			}
		}
		if len(state.Subscriptions) > 0 && !h.blocked {
			state.Next = h.due
		}
		states = append(states, state)
	}
	slices.SortFunc(states, func(a, b WebhookState) int { return strings.Compare(a.Webhook, b.Webhook) })
	return states
}

// validate makes the handshake with a webhook, or with every registered one
// when the URL is empty, and returns when it is answered or ctx ends. A blocked
// webhook is left alone, as LinkedIn does.
func (s *Server) validate(ctx context.Context, webhook string) error {
	return s.eachWebhook(webhook, func(h WebhookState) {
		if !h.Blocked {
			s.notifier.passes(ctx, h.Webhook)
		}
	})
}

// unblock is the restart in LinkedIn's portal: it lifts the block of a webhook,
// or of every one when the URL is empty, and makes the handshake.
func (s *Server) unblock(ctx context.Context, webhook string) error {
	return s.eachWebhook(webhook, func(h WebhookState) {
		s.notifier.unblock(h.Webhook)
		s.notifier.passes(ctx, h.Webhook)
	})
}

func (s *Server) eachWebhook(webhook string, do func(WebhookState)) error {
	found := false
	for _, h := range s.Webhooks() {
		if webhook == "" || h.Webhook == webhook {
			found = true
			do(h)
		}
	}
	if !found && webhook != "" {
		return fmt.Errorf("no notification was ever registered with webhook %q", webhook)
	}
	return nil
}

func (n *notifier) unblock(webhook string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hook(webhook)
	h.blocked, h.failures = false, 0
}

// Deliveries are all notifications so far, in the order they came up. They are
// kept, as the ledger is, for as long as the server is.
func (s *Server) Deliveries() []Delivery {
	var all []Delivery
	for next := 0; ; {
		part := s.notifier.part(&next)
		if len(part) == 0 {
			return all
		}
		all = append(all, part...)
	}
}

// part is the next deliveries of the log, from *next on, which it moves.
func (n *notifier) part(next *int) []Delivery {
	n.mu.Lock()
	defer n.mu.Unlock()
	var part []Delivery
	for ; *next < len(n.log) && len(part) < ledgerChunk; *next++ {
		d := n.log[*next].Delivery
		d.Attempts = append([]Attempt{}, d.Attempts...)
		part = append(part, d)
	}
	return part
}

// writeDeliveries writes the deliveries as JSON lines.
func (s *Server) writeDeliveries(out io.Writer) error {
	buffered := bufio.NewWriterSize(out, 1<<16)
	lines := json.NewEncoder(buffered)
	for next := 0; ; {
		part := s.notifier.part(&next)
		if len(part) == 0 {
			break
		}
		for _, d := range part {
			if err := lines.Encode(d); err != nil {
				return fmt.Errorf("writing the deliveries: %w", err)
			}
		}
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("writing the deliveries: %w", err)
	}
	return nil
}
