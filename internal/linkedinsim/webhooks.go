package linkedinsim

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Of the handshake with webhooks (webhook validation).
const (
	challengeTimeout  = 3 * time.Second
	challengeInterval = 2 * time.Hour
	maxFailures       = 3         // in a row; then the webhook is blocked
	applicationID     = "4300001" // of the one app
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

	due      time.Time // of the next handshake, on LinkedIn's clock
	underWay bool
}

// webhook is what is known of a URL. Of its members those about the handshakes are
// kept up.
func (n *notifier) webhook(url string) *WebhookState {
	h := n.webhooks[url]
	if h == nil {
		h = &WebhookState{Webhook: url}
		n.webhooks[url] = h
	}
	return h
}

// Webhooks are those that were ever registered, by URL.
func (w *World) Webhooks() []WebhookState {
	w.mu.RLock()
	defer w.mu.RUnlock()
	list := []WebhookState{}
	for _, url := range slices.Sorted(maps.Keys(w.notifier.webhooks)) {
		h := w.notifier.webhooks[url]
		state := *h
		state.Subscriptions = []Subscription{}
		for _, u := range w.notifier.subscriptions {
			if u.Webhook == url {
				state.Subscriptions = append(state.Subscriptions, *u)
			}
		}
		if len(state.Subscriptions) > 0 && !h.Blocked {
			state.Next = h.due
		}
		for _, d := range w.notifier.log {
			switch {
			case d.Webhook != url:
			case d.Outcome == outcomeDelivered:
				state.Delivered++
			case d.Outcome == outcomeWaiting:
				state.Waiting++
			default:
				state.Dropped++
			}
		}
		list = append(list, state)
	}
	return list
}

// nextHandshake is a webhook whose handshake is due, or how long until one is.
func (n *notifier) nextHandshake() (*WebhookState, time.Duration) {
	now, wait := n.w.clock.now(), time.Duration(-1)
	for _, u := range n.subscriptions {
		h := n.webhooks[u.Webhook]
		if h.Blocked || h.underWay {
			continue
		}
		left := h.due.Sub(now)
		if left <= 0 {
			return h, 0
		}
		if left > challengeInterval { // LinkedIn's clock was put back
			left = challengeInterval
			h.due = now.Add(left)
		}
		wait = sooner(wait, left)
	}
	return nil, wait
}

// handshake makes the handshake with a webhook now and reports whether LinkedIn
// takes it for validated. It takes the lock.
func (n *notifier) handshake(ctx context.Context, url string) bool {
	err := n.challenge(ctx, url)
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	defer n.stir() // the next one counts from now on
	h, now := n.webhook(url), n.w.clock.now()
	if h.underWay = false; ctx.Err() != nil {
		return false // nobody waits for it any more
	}
	h.Handshakes++
	h.Last, h.due = now, now.Add(challengeInterval)
	if err == nil {
		h.Failures, h.Problem, h.Validated = 0, "", !h.Blocked
		return h.Validated
	}
	h.Failures++
	h.Problem = err.Error()
	h.Blocked = h.Blocked || h.Failures >= maxFailures
	h.Validated = h.Validated && !h.Blocked
	return false
}

// challenge asks a webhook to prove that it knows the app's secret. The error
// says what LinkedIn does not accept about the answer. It takes the lock.
func (n *notifier) challenge(ctx context.Context, webhook string) error {
	n.w.mu.Lock()
	n.challenges++
	code := strings.TrimSuffix(n.w.ids.id(^n.challenges), "-6")
	want := keyedHash(n.w.auth.secret, code)
	arguments := url.Values{"challengeCode": {code}}.Encode()
	if !n.w.switches.ChallengeBare {
		arguments += "&applicationId=" + applicationID
	}
	n.w.mu.Unlock()
	u, err := url.Parse(webhook)
	if err != nil {
		return fmt.Errorf("reading the webhook: %w", err)
	}
	if u.RawQuery != "" {
		arguments = u.RawQuery + "&" + arguments
	}
	u.RawQuery = arguments
	ctx, cancel := context.WithTimeout(ctx, challengeTimeout)
	defer cancel()
	answer, body, err := n.exchange(ctx, http.MethodGet, u.String(), "", "")
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer has status %d, must have 200", answer.StatusCode)
	}
	if !hasType(answer.Header, "application/json") {
		return fmt.Errorf("the answer's Content-Type is %q, must be application/json", answer.Header.Get("Content-Type"))
	}
	var said struct {
		Code     string `json:"challengeCode"`
		Response string `json:"challengeResponse"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if said.Code != code || !hmac.Equal([]byte(said.Response), []byte(want)) {
		return errors.New("challengeCode or challengeResponse are not the right ones")
	}
	return nil
}

// validate makes the handshake with a webhook, or with every registered one when
// the URL is empty, and returns the state of all when it is answered or ctx ends. A blocked one is
// left alone, as LinkedIn does, unless its block is lifted first, as by the
// restart in LinkedIn's portal. It takes the lock.
func (w *World) validate(ctx context.Context, url string, unblock bool) ([]WebhookState, error) {
	found := url == ""
	for _, h := range w.Webhooks() {
		if url != "" && h.Webhook != url {
			continue
		}
		found = true
		if unblock {
			w.mu.Lock()
			known := w.notifier.webhook(h.Webhook)
			known.Blocked, known.Failures = false, 0
			w.mu.Unlock()
		}
		if unblock || !h.Blocked {
			w.notifier.handshake(ctx, h.Webhook)
		}
	}
	if !found {
		return nil, fmt.Errorf("no notification was ever registered with webhook %q", url)
	}
	return w.Webhooks(), nil
}
