package linkedinsim

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"
)

// How a delivery stands or ended.
const (
	outcomeWaiting     = "waiting"      // for its first or next attempt
	outcomeDelivered   = "delivered"    // answered with a 2xx status
	outcomeGaveUp      = "gave_up"      // refused for as long as LinkedIn tries
	outcomeBlocked     = "blocked"      // the webhook is
	outcomeUnvalidated = "unvalidated"  // the webhook has not passed a handshake
	outcomeDeleted     = "unsubscribed" // the subscription was deleted meanwhile
	outcomeLost        = "lost"         // by a fault
)

// Delivery is what the simulator knows of one notification to one webhook.
type Delivery struct {
	Number       int    `json:"number"`
	Subscription int64  `json:"subscription,omitempty"`
	Webhook      string `json:"webhook"`
	Lead         string `json:"lead,omitempty"`
	Action       string `json:"action,omitempty"`
	// Body is what is sent, byte by byte, and Signature what was sent with it
	// the last time.
	Body      string `json:"body"`
	Signature string `json:"signature,omitempty"`
	// Resent tells that it was sent by Resend, and may be anything.
	Resent bool `json:"resent,omitempty"`
	// MadeAt is when the notification came up, on LinkedIn's clock.
	MadeAt time.Time `json:"madeAt"`
	// Outcome is waiting, delivered, gave_up, blocked, unvalidated, unsubscribed
	// or lost.
	Outcome  string    `json:"outcome"`
	Attempts []Attempt `json:"attempts"`

	due   time.Time // base clock
	first time.Time // attempt, base clock
}

// Attempt is one request to a webhook.
type Attempt struct {
	At     time.Time `json:"at"`               // on LinkedIn's clock
	Status int       `json:"status,omitempty"` // 0 when there was no answer
	Error  string    `json:"error,omitempty"`
	Millis int64     `json:"millis"` // until the answer
}

func (a Attempt) taken() bool { return a.Status >= 200 && a.Status < 300 }

// tell queues what happened to row n at a moment in epoch milliseconds for
// everybody who subscribed to such.
func (w *World) tell(n uint32, action string, occurred int64) {
	if len(w.notifier.subscriptions) == 0 {
		return
	}
	for _, about := range w.notifier.deliveriesOf(w.notice(n, action, occurred)) {
		w.notifier.dispatch(about)
	}
}

// deliveriesOf are the deliveries of a notice to those who subscribed to such.
func (n *notifier) deliveriesOf(x notice) (list []Delivery) {
	for _, u := range n.subscriptions {
		if u.wants(x) {
			list = append(list, Delivery{Subscription: u.ID, Webhook: u.Webhook, Lead: x.lead, Action: x.action, Body: string(x.body(n.w.switches))})
		}
	}
	return list
}

// dispatch queues a delivery, with what the faults that apply to it do to it.
func (n *notifier) dispatch(about Delivery) {
	var delays []time.Duration // of the second one, the third …
	lost, delay := false, time.Duration(0)
	for _, f := range n.w.due(webhookLocation, about.Body) {
		switch f.Kind {
		case LoseDelivery:
			lost = true
		case DuplicateDelivery:
			delays = append(delays, f.Latency)
		case ReorderDeliveries:
			delay += f.turn(mix(n.w.seed + uint64(len(n.log))))
		default: // DelayDelivery
			delay += f.Latency
		}
	}
	d := n.record(about)
	if lost {
		d.Outcome = outcomeLost
		return
	}
	d.due = d.due.Add(delay)
	n.push(d)
	for _, later := range delays {
		twin := n.record(about)
		twin.due = d.due.Add(later)
		n.push(twin)
	}
}

// turn is how long ReorderDeliveries holds a delivery back: less from one to
// the next of a limited number, at random otherwise.
func (f *scheduled) turn(random uint64) time.Duration {
	within := cmp.Or(f.Latency, time.Second)
	if f.left < 0 {
		return time.Duration(random % uint64(within))
	}
	return within * time.Duration(f.left) / time.Duration(max(f.Count, 1))
}

// record notes a delivery that is to be made.
func (n *notifier) record(about Delivery) *Delivery {
	about.Number, about.MadeAt, about.Outcome = len(n.log)+1, n.w.clock.now(), outcomeWaiting
	about.due = n.w.cfg.Now()
	n.log = append(n.log, &about)
	n.webhook(about.Webhook) // is known from now on
	return &about
}

func (n *notifier) push(d *Delivery) {
	n.queue = insert(n.queue, d, func(a, b *Delivery) bool { return a.due.Before(b.due) })
	n.stir()
}

// admit is the outcome of a delivery that is due, or empty when it may be made:
// webhooks that have not proved themselves get none.
func (n *notifier) admit(d *Delivery) string {
	h := n.webhook(d.Webhook)
	switch {
	case !slices.ContainsFunc(n.subscriptions, func(u *Subscription) bool { return u.ID == d.Subscription }):
		return outcomeDeleted
	case h.Blocked:
		return outcomeBlocked
	case h.Handshakes == 0: // the first handshake is under way
		return outcomeWaiting
	case !h.Validated:
		return outcomeUnvalidated
	}
	return ""
}

// attempt sends a delivery once. What is not taken is tried again later. It
// takes the lock.
func (n *notifier) attempt(ctx context.Context, d *Delivery) {
	n.w.mu.RLock()
	sw, signed := n.w.switches, signature(n.w.auth.secret, d.Body, n.w.switches)
	n.w.mu.RUnlock()
	tried := n.post(ctx, d.Webhook, d.Body, signed)
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	if ctx.Err() != nil && tried.Status == 0 { // the end of Run, not of the delivery
		n.push(d)
		return
	}
	now := n.w.cfg.Now()
	if len(d.Attempts) == 0 {
		d.first = now
	}
	d.Attempts, d.Signature = append(d.Attempts, tried), signed
	retry := cmp.Or(sw.WebhookRetry, 5*time.Minute)
	switch {
	case tried.taken():
		d.Outcome = outcomeDelivered
	case now.Add(retry).Sub(d.first) > cmp.Or(sw.WebhookRetryFor, 8*time.Hour):
		d.Outcome = outcomeGaveUp
	default:
		d.due = now.Add(retry)
		n.push(d)
	}
}

// post sends one body to a webhook. A signature that is empty is not sent. It
// takes the lock.
func (n *notifier) post(ctx context.Context, webhook, body, signed string) Attempt {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(n.w.Switches().WebhookTimeout, 10*time.Second))
	defer cancel()
	tried, start := Attempt{At: n.w.Now()}, time.Now()
	answer, _, err := n.exchange(ctx, http.MethodPost, webhook, body, signed)
	if err != nil {
		tried.Error = err.Error()
	} else {
		tried.Status = answer.StatusCode
	}
	tried.Millis = time.Since(start).Milliseconds()
	return tried
}

// Deliveries are all notifications so far, in the order they came up. They are
// kept, as the ledger is, for as long as the server is.
func (w *World) Deliveries() []Delivery {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var all []Delivery
	for _, d := range w.notifier.log {
		about := *d
		about.Attempts = append([]Attempt{}, about.Attempts...)
		all = append(all, about)
	}
	return all
}
