package linkedinsim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Resend says what to send to a webhook now, once, whether it is validated or
// not and whether the body is true or not. It is made from an earlier delivery,
// or from a lead for the subscriptions that match it.
type Resend struct {
	// Delivery is the number of an earlier delivery, to be sent again.
	Delivery int `json:"delivery,omitempty"`
	// Lead is the id of a lead, and Action CREATED (default) or DELETED.
	Lead   string `json:"lead,omitempty"`
	Action string `json:"action,omitempty"`
	// Webhook sends it there; default to those who subscribed.
	Webhook string `json:"webhook,omitempty"`
	// OccurredAt replaces that of a lead's notification.
	OccurredAt time.Time `json:"occurredAt,omitzero"`
	// Body is sent in place of the right one, signed like it.
	Body string `json:"body,omitempty"`
	// Altered changes the body after it was signed.
	Altered bool `json:"altered,omitempty"`
	// Signature is "" for the right one, "none" for no header, "wrong" for that of
	// another secret; anything else is sent as it is.
	Signature string `json:"signature,omitempty"`
}

// resend sends what r says and returns the deliveries with the answers.
func (s *Server) resend(ctx context.Context, r Resend) ([]Delivery, error) {
	list, err := s.resendOf(r)
	if err != nil {
		return nil, err
	}
	sent := make([]Delivery, len(list))
	for i, about := range list {
		sent[i] = s.notifier.force(ctx, about, r)
	}
	return sent, nil
}

// resendOf are the deliveries that r describes.
func (s *Server) resendOf(r Resend) ([]Delivery, error) {
	switch {
	case r.Lead == "" && (r.Action != "" || !r.OccurredAt.IsZero()):
		return nil, errors.New("action and occurredAt need a lead")
	case r.Delivery != 0 && r.Lead == "":
		d, ok := s.notifier.earlier(r.Delivery)
		if !ok {
			return nil, fmt.Errorf("there is no delivery %d", r.Delivery)
		}
		return []Delivery{d.with(r)}, nil
	case r.Lead != "" && r.Delivery == 0:
		x, err := s.noticeOf(r)
		if err != nil {
			return nil, err
		}
		body := string(x.body(s.Switches()))
		var list []Delivery
		for _, u := range s.notifier.wanting(x, r.Webhook) {
			d := Delivery{Subscription: u.ID, Webhook: u.Webhook, Lead: x.lead, Action: x.action, Body: body}
			list = append(list, d.with(r))
		}
		if len(list) == 0 {
			return nil, errors.New("nobody subscribed to such a lead; name a webhook")
		}
		return list, nil
	case r.Webhook != "" && r.Body != "" && r.Delivery == 0:
		return []Delivery{Delivery{}.with(r)}, nil
	}
	return nil, errors.New("name a delivery, or a lead, or a webhook and a body")
}

// with is the delivery with what r replaces.
func (d Delivery) with(r Resend) Delivery {
	if r.Webhook != "" && r.Webhook != d.Webhook {
		d.Webhook, d.Subscription = r.Webhook, 0
	}
	if r.Body != "" {
		d.Body = r.Body
	}
	return d
}

// noticeOf is what happened to the newest submission of a lead.
func (s *Server) noticeOf(r Resend) (notice, error) {
	if r.Action != "" && r.Action != actionCreated && r.Action != actionDeleted {
		return notice{}, fmt.Errorf("action is %q, must be %s or %s", r.Action, actionCreated, actionDeleted)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := s.locate(r.Lead)
	if len(found) == 0 {
		return notice{}, fmt.Errorf("there is no lead %q", r.Lead)
	}
	n := found[len(found)-1]
	at := s.rows[n].submitted
	if r.Action == actionDeleted {
		at = s.clock.millis()
		if gone, ok := s.gone[n]; ok {
			at = gone
		}
	}
	x := s.notice(n, cmp.Or(r.Action, actionCreated), at)
	if !r.OccurredAt.IsZero() {
		x.occurred = r.OccurredAt.UnixMilli()
	}
	return x, nil
}

func (n *notifier) earlier(number int) (Delivery, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if number < 1 || number > len(n.log) {
		return Delivery{}, false
	}
	return n.log[number-1].Delivery, true
}

// wanting are the subscriptions for a notice, or the one webhook that is named.
func (n *notifier) wanting(x notice, webhook string) []Subscription {
	if webhook != "" {
		return []Subscription{{Webhook: webhook}}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []Subscription
	for _, u := range n.subscriptions {
		if u.wants(x) {
			found = append(found, u.Subscription)
		}
	}
	return found
}

// force sends a delivery once, past the queue and all that would hold it back.
func (n *notifier) force(ctx context.Context, about Delivery, r Resend) Delivery {
	body := about.Body
	about.Signature = n.forge(body, r.Signature)
	if r.Altered {
		about.Body += " "
	}
	about.MadeAt, about.Resent, about.Attempts = n.s.Now(), true, nil
	tried := n.post(ctx, about.Webhook, about.Body, about.Signature)
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.record(about)
	d.Attempts = []Attempt{tried}
	outcome := outcomeGaveUp
	if tried.taken() {
		outcome = outcomeDelivered
	}
	n.end(d, outcome)
	sent := d.Delivery
	sent.Attempts = slices.Clone(sent.Attempts)
	return sent
}

// forge is the signature of a body, or what is asked for in its place.
func (n *notifier) forge(body, instead string) string {
	secret := n.s.auth.clientSecret()
	switch instead {
	case "none":
		return ""
	case "wrong":
		secret += "?"
	case "":
	default:
		return instead
	}
	return signature(secret, []byte(body), n.s.Switches())
}
