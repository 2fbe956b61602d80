package linkedinsim

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxSending = 32      // handshakes and deliveries under way at once
	maxAnswer  = 1 << 16 // bytes of a webhook's answer that are read
)

// notifier keeps the subscriptions and sends what they are for. Nothing is sent
// by itself: Server.Run and Server.Notify do that. World.mu guards what it
// knows, and is free while something is sent.
type notifier struct {
	w      *World
	client *http.Client
	wake   chan struct{} // holds one token when there may be something to do

	subscriptions []*Subscription // oldest first
	subscribed    int64           // subscriptions ever made
	webhooks      map[string]*WebhookState
	challenges    uint32
	queue         []*Delivery // the first one due first
	log           []*Delivery
}

func newNotifier(w *World) *notifier {
	transport := w.cfg.WebhookTransport
	if transport == nil {
		// No proxy: what is notified is mostly on this machine or beside it.
		transport = &http.Transport{MaxIdleConnsPerHost: maxSending, IdleConnTimeout: 30 * time.Second}
	}
	return &notifier{
		w: w, wake: make(chan struct{}, 1), webhooks: map[string]*WebhookState{},
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// stir makes the loop look again for what is due.
func (n *notifier) stir() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// subscribe keeps a subscription and gives it its id. Unless it has just been
// made, the handshake with its webhook is due.
func (n *notifier) subscribe(u *Subscription) {
	u.ID = firstSubscription + n.subscribed
	n.subscribed++
	n.subscriptions = append(n.subscriptions, u)
	if h := n.webhook(u.Webhook); !n.w.switches.RefuseUnvalidated {
		h.due = n.w.clock.now()
	}
	n.stir()
}

// unsubscribe forgets the subscriptions that match.
func (n *notifier) unsubscribe(match func(*Subscription) bool) {
	n.subscriptions = slices.DeleteFunc(n.subscriptions, match)
	n.stir()
}

// roleChanged drops what a member may no longer read, where the switch says so.
func (n *notifier) roleChanged(o *Organization) {
	if n.w.switches.WebhookDiesWithRole {
		n.unsubscribe(func(u *Subscription) bool { return u.owner == o && !o.grants(u.member, leadRoles(u.kind)) })
	}
}

// run sends what is due, whenever it is, until ctx ends and what is under way
// has ended as well.
func (n *notifier) run(ctx context.Context) {
	defer n.client.CloseIdleConnections()
	var sending sync.WaitGroup
	defer sending.Wait()
	free := make(chan struct{}, maxSending)
	for ctx.Err() == nil {
		job, due := n.next(n.w.cfg.Now())
		if job != nil { // is done even when ctx ends meanwhile: it then goes back into the queue
			free <- struct{}{}
			sending.Go(func() {
				job(ctx)
				<-free
			})
			continue
		}
		var timeUp <-chan time.Time // never, for a negative time
		if due >= 0 {
			timeUp = time.After(due)
		}
		select {
		case <-ctx.Done():
		case <-n.wake:
		case <-timeUp:
		}
	}
}

// Notify makes the handshakes and deliveries that are due now and returns when
// they have been answered, or ctx ends. Run does so all the time; Notify is for
// whoever has a base clock of their own and no Run.
func (w *World) Notify(ctx context.Context) {
	defer w.notifier.client.CloseIdleConnections()
	for now, taken := w.cfg.Now(), 1; taken > 0 && ctx.Err() == nil; {
		var sending sync.WaitGroup
		for taken = 0; taken < maxSending; taken++ {
			job, _ := w.notifier.next(now)
			if job == nil {
				break
			}
			sending.Go(func() { job(ctx) })
		}
		sending.Wait()
	}
}

// next takes the next thing that is due at a moment of the base clock, as what
// there is to do. Otherwise it says how long until something is, negative when
// nothing will be. It takes the lock.
func (n *notifier) next(base time.Time) (job func(context.Context), wait time.Duration) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	h, wait := n.nextHandshake()
	if h != nil {
		h.underWay = true
		return func(ctx context.Context) { n.handshake(ctx, h.Webhook) }, 0
	}
	for i := 0; i < len(n.queue); {
		d := n.queue[i]
		if left := d.due.Sub(base); left > 0 {
			return nil, sooner(wait, left)
		}
		outcome := n.admit(d)
		if outcome == outcomeWaiting {
			i++
			continue
		}
		n.queue = slices.Delete(n.queue, i, i+1)
		if outcome == "" {
			return func(ctx context.Context) { n.attempt(ctx, d) }, 0
		}
		d.Outcome = outcome
	}
	return nil, wait
}

// sooner is the smaller of two times to wait; negative is without end.
func sooner(a, b time.Duration) time.Duration {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// exchange sends a request to a webhook and reads the answer. A POST is of JSON,
// signed unless the signature is empty.
func (n *notifier) exchange(ctx context.Context, method, webhook, body, signed string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, webhook, strings.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("making the request: %w", err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	if signed != "" {
		r.Header.Set("X-LI-Signature", signed)
	}
	answer, err := n.client.Do(r)
	if err != nil {
		return nil, nil, fmt.Errorf("asking the webhook: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // was only read
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the answer: %w", err)
	}
	return answer, text, nil
}
