package linkedinsim

import (
	"container/heap"
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// maxSending is how many handshakes and deliveries are under way at once.
const maxSending = 32

// notifier keeps the subscriptions and sends what they are for. Nothing is sent
// by itself: Server.Run and Server.Notify do that. Its mutex may be taken while
// World.mu is held, never the other way round.
type notifier struct {
	s        *Server
	client   *http.Client
	wake     chan struct{} // holds one token when there may be something to do
	listened atomic.Bool   // whether there is any subscription

	mu            sync.Mutex
	subscriptions []*subscription // oldest first
	subscribed    int64           // subscriptions ever made
	hooks         map[string]*hook
	challenges    uint64
	queue         queue
	log           []*delivery
}

func newNotifier(s *Server) *notifier {
	transport := s.cfg.WebhookTransport
	if transport == nil {
		// No proxy: what is notified is mostly on this machine or beside it.
		transport = &http.Transport{MaxIdleConnsPerHost: maxSending, IdleConnTimeout: 30 * time.Second}
	}
	return &notifier{
		s: s, wake: make(chan struct{}, 1), hooks: map[string]*hook{},
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

// hook is the webhook of a URL, n.mu held.
func (n *notifier) hook(webhook string) *hook {
	h := n.hooks[webhook]
	if h == nil {
		h = &hook{url: webhook}
		n.hooks[webhook] = h
	}
	return h
}

// run sends what is due, whenever it is, until ctx ends and what is under way
// has ended as well.
func (n *notifier) run(ctx context.Context) {
	defer n.client.CloseIdleConnections()
	var sending sync.WaitGroup
	defer sending.Wait()
	free := make(chan struct{}, maxSending)
	for {
		select {
		case <-ctx.Done():
			return
		case free <- struct{}{}:
		}
		job, due := n.next(n.s.cfg.Now())
		if job == nil {
			<-free
			if !n.rest(ctx, due) {
				return
			}
			continue
		}
		sending.Go(func() {
			job(ctx)
			<-free
		})
	}
}

// rest waits until something is due or may be; false means that ctx ended. A
// negative time is without end.
func (n *notifier) rest(ctx context.Context, d time.Duration) bool {
	var timeUp <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeUp = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-n.wake:
	case <-timeUp:
	}
	return true
}

// Notify makes the handshakes and deliveries that are due now and returns when
// they have been answered, or ctx ends. Run does so all the time; Notify is for
// whoever has a base clock of their own and no Run.
func (s *Server) Notify(ctx context.Context) {
	n, now := s.notifier, s.cfg.Now()
	defer n.client.CloseIdleConnections()
	for ctx.Err() == nil {
		var sending sync.WaitGroup
		for range maxSending {
			job, _ := n.next(now)
			if job == nil {
				break
			}
			sending.Go(func() { job(ctx) })
		}
		sending.Wait()
		if n.idle(now) {
			return
		}
	}
}

// idle reports whether nothing is due at a moment of the base clock.
func (n *notifier) idle(base time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, _ := n.nextHook()
	return h == nil && (len(n.queue) == 0 || n.queue[0].due.After(base))
}

// next takes the next thing that is due at a moment of the base clock, as what
// there is to do. Otherwise it says how long until something is, negative when
// nothing will be.
func (n *notifier) next(base time.Time) (job func(context.Context), wait time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h, wait := n.nextHook()
	if h != nil {
		h.underWay = true
		return func(ctx context.Context) { n.handshake(ctx, h.url) }, 0
	}
	for len(n.queue) > 0 {
		d := n.queue[0]
		if left := d.due.Sub(base); left > 0 {
			return nil, sooner(wait, left)
		}
		heap.Pop(&n.queue)
		if n.admit(d) {
			return func(ctx context.Context) { n.attempt(ctx, d) }, 0
		}
	}
	return nil, wait
}

// nextHook is a webhook whose handshake is due, or how long until one is.
func (n *notifier) nextHook() (*hook, time.Duration) {
	now, wait := n.s.Now(), time.Duration(-1)
	used := map[string]bool{}
	for _, u := range n.subscriptions {
		if used[u.Webhook] {
			continue
		}
		used[u.Webhook] = true
		h := n.hooks[u.Webhook]
		if h.blocked || h.underWay {
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

// sooner is the smaller of two times to wait; negative is without end.
func sooner(a, b time.Duration) time.Duration {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}
