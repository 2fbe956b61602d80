package linkedinsim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// resend sends what r says, past the queue and all that would hold it back, and
// returns the deliveries with the answers. It takes the lock.
func (w *World) resend(ctx context.Context, r Resend) ([]Delivery, error) {
	w.mu.RLock()
	list, err := w.resendOf(r)
	secret, sw := w.auth.secret, w.switches
	w.mu.RUnlock()
	for i := range list {
		d := &list[i]
		if r.Webhook != "" && r.Webhook != d.Webhook {
			d.Webhook, d.Subscription = r.Webhook, 0
		}
		d.Body = cmp.Or(r.Body, d.Body)
		switch r.Signature {
		case "":
			d.Signature = signature(secret, d.Body, sw)
		case "none":
			d.Signature = ""
		case "wrong":
			d.Signature = signature(secret+"?", d.Body, sw)
		default:
			d.Signature = r.Signature
		}
		if r.Altered {
			d.Body += " "
		}
		tried := w.notifier.post(ctx, d.Webhook, d.Body, d.Signature)
		w.mu.Lock()
		sent := w.notifier.record(*d)
		sent.MadeAt, sent.Resent, sent.Attempts, sent.Outcome = tried.At, true, []Attempt{tried}, outcomeGaveUp
		if tried.taken() {
			sent.Outcome = outcomeDelivered
		}
		*d = *sent
		w.mu.Unlock()
	}
	return list, err
}

// resendOf are the deliveries that r is made from.
func (w *World) resendOf(r Resend) ([]Delivery, error) {
	switch {
	case r.Lead == "" && (r.Action != "" || !r.OccurredAt.IsZero()):
		return nil, errors.New("action and occurredAt need a lead")
	case r.Delivery != 0 && r.Lead == "":
		if r.Delivery < 1 || r.Delivery > len(w.notifier.log) {
			return nil, fmt.Errorf("there is no delivery %d", r.Delivery)
		}
		return []Delivery{*w.notifier.log[r.Delivery-1]}, nil
	case r.Lead != "" && r.Delivery == 0:
		return w.resendOfLead(r)
	case r.Webhook != "" && r.Body != "" && r.Delivery == 0:
		return []Delivery{{}}, nil
	}
	return nil, errors.New("name a delivery, or a lead, or a webhook and a body")
}

// resendOfLead tells of the newest submission of a lead.
func (w *World) resendOfLead(r Resend) ([]Delivery, error) {
	action := cmp.Or(r.Action, actionCreated)
	if action != actionCreated && action != actionDeleted {
		return nil, fmt.Errorf("action is %q, must be %s or %s", r.Action, actionCreated, actionDeleted)
	}
	found := w.locate(r.Lead)
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no lead %q", r.Lead)
	}
	n := found[len(found)-1]
	at := w.rows[n].submitted
	if action == actionDeleted {
		at = cmp.Or(w.rows[n].deleted, w.clock.millis())
	}
	x := w.notice(n, action, at)
	if !r.OccurredAt.IsZero() {
		x.occurred = r.OccurredAt.UnixMilli()
	}
	if r.Webhook != "" {
		return []Delivery{{Lead: x.lead, Action: x.action, Body: string(x.body(w.switches))}}, nil
	}
	list := w.notifier.deliveriesOf(x)
	if len(list) == 0 {
		return nil, errors.New("nobody subscribed to such a lead; name a webhook")
	}
	return list, nil
}
