package linkedinsim

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"io"
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
}

// Attempt is one request to a webhook.
type Attempt struct {
	At     time.Time `json:"at"`               // on LinkedIn's clock
	Status int       `json:"status,omitempty"` // 0 when there was no answer
	Error  string    `json:"error,omitempty"`
	Millis int64     `json:"millis"` // until the answer
}

func (a Attempt) taken() bool { return a.Status >= 200 && a.Status < 300 }

// delivery is a Delivery while it is made. It changes under notifier.mu only.
type delivery struct {
	Delivery
	due   time.Time // base clock
	first time.Time // attempt, base clock
}

// announce queues a notice for everybody who subscribed to such.
func (n *notifier) announce(x notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var body []byte
	for _, u := range n.subscriptions {
		if !u.wants(x) {
			continue
		}
		if body == nil {
			body = x.body(n.s.Switches())
		}
		n.dispatch(Delivery{
			Subscription: u.ID, Webhook: u.Webhook, Lead: x.lead, Action: x.action, Body: string(body),
			MadeAt: n.s.Now(), Outcome: outcomeWaiting,
		})
	}
}

// dispatch queues a delivery, with what the faults that meet it do to it.
func (n *notifier) dispatch(about Delivery) {
	var delays []time.Duration // of the second one, the third …
	lost, delay := false, time.Duration(0)
	for _, f := range n.s.faults.due(n.s.World, webhookLocation, about.Body) {
		switch f.Kind {
		case LoseDelivery:
			lost = true
		case DuplicateDelivery:
			delays = append(delays, f.Latency)
		case ReorderDeliveries:
			delay += f.turn(mix(n.s.seed + uint64(len(n.log))))
		default: // DelayDelivery
			delay += f.Latency
		}
	}
	d := n.record(about)
	if lost {
		n.end(d, outcomeLost)
		return
	}
	d.due = d.due.Add(delay)
	n.push(d)
	for _, later := range delays {
		twin := n.record(about)
		twin.due = d.due.Add(later)
		n.push(twin)
	}
	n.stir()
}

// turn is how long ReorderDeliveries holds a delivery back: less from one to
// the next of a limited number, at random otherwise.
func (f *scheduled) turn(random uint64) time.Duration {
	within := orDefault(f.Latency, time.Second)
	if f.left < 0 {
		return time.Duration(random % uint64(within))
	}
	return within * time.Duration(f.left) / time.Duration(max(f.Count, 1))
}

// record notes a delivery, n.mu held.
func (n *notifier) record(about Delivery) *delivery {
	about.Number = len(n.log) + 1
	d := &delivery{Delivery: about, due: n.s.cfg.Now()}
	n.log = append(n.log, d)
	n.hook(d.Webhook).waiting++
	return d
}

func (n *notifier) push(d *delivery) { heap.Push(&n.queue, d) }

// admit reports whether a delivery that is due may be made: webhooks that have
// not proved themselves get none. n.mu is held.
func (n *notifier) admit(d *delivery) bool {
	h := n.hook(d.Webhook)
	switch {
	case !slices.ContainsFunc(n.subscriptions, func(u *subscription) bool { return u.ID == d.Subscription }):
		n.end(d, outcomeDeleted)
	case h.blocked:
		n.end(d, outcomeBlocked)
	case h.done == 0: // the first handshake is under way
		h.held = append(h.held, d)
	case !h.validated:
		n.end(d, outcomeUnvalidated)
	default:
		return true
	}
	return false
}

// end notes how a delivery ended, n.mu held.
func (n *notifier) end(d *delivery, outcome string) {
	d.Outcome = outcome
	h := n.hook(d.Webhook)
	h.waiting--
	if outcome == outcomeDelivered {
		h.delivered++
	} else {
		h.dropped++
	}
}

// attempt sends a delivery once. What is not taken is tried again later.
func (n *notifier) attempt(ctx context.Context, d *delivery) {
	sw := n.s.Switches()
	signed := signature(n.s.auth.clientSecret(), []byte(d.Body), sw)
	tried := n.post(ctx, d.Webhook, d.Body, signed)
	n.mu.Lock()
	defer n.mu.Unlock()
	if ctx.Err() != nil && tried.Status == 0 { // the end of Run, not of the delivery
		n.push(d)
		return
	}
	now := n.s.cfg.Now()
	if len(d.Attempts) == 0 {
		d.first = now
	}
	d.Attempts, d.Signature = append(d.Attempts, tried), signed
	retry := orDefault(sw.WebhookRetry, 5*time.Minute)
	switch {
	case tried.taken():
		n.end(d, outcomeDelivered)
	case now.Add(retry).Sub(d.first) > orDefault(sw.WebhookRetryFor, 8*time.Hour):
		n.end(d, outcomeGaveUp)
	default:
		d.due = now.Add(retry)
		n.push(d)
		n.stir()
	}
}

// post sends one body to a webhook. A signature that is empty is not sent.
func (n *notifier) post(ctx context.Context, webhook, body, signed string) Attempt {
	ctx, cancel := context.WithTimeout(ctx, orDefault(n.s.Switches().WebhookTimeout, 10*time.Second))
	defer cancel()
	tried, start := Attempt{At: n.s.Now()}, time.Now()
	status, err := n.send(ctx, webhook, body, signed)
	tried.Status, tried.Millis = status, time.Since(start).Milliseconds()
	if err != nil {
		tried.Error = err.Error()
	}
	return tried
}

func (n *notifier) send(ctx context.Context, webhook, body, signed string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, webhook, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, fmt.Errorf("making the request: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	if signed != "" {
		r.Header.Set("X-LI-Signature", signed)
	}
	answer, err := n.client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("notifying the webhook: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // was only read
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)); err != nil {
		return 0, fmt.Errorf("reading the answer: %w", err)
	}
	return answer.StatusCode, nil
}

// queue is a heap of deliveries by the time at which they are due, those of
// the same time in the order they were made.
type queue []*delivery

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].due.Before(q[j].due) || q[i].due.Equal(q[j].due) && q[i].Number < q[j].Number
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*delivery)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return x
}
