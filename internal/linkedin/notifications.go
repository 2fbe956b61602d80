package linkedin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"leadstream/internal/lead"
)

const notificationsPath = "/rest/leadNotifications"

// Subscriptions are the promises of LinkedIn to notify a webhook of the source's
// leads, whoever asked for them.
//
// Source: Lead Sync API, leadNotifications, finder criteria. Its owner is a level
// deeper than that of the other finders.
func (c *Client) Subscriptions(ctx context.Context, src lead.Source) ([]lead.Subscription, error) {
	q := request{endpoint: EndpointNotifications, path: notificationsPath, params: []param{
		{"q", text("criteria")},
		{"owner", record{{"value", record{{ownerUnion(src.Owner), text(src.Owner)}}}}},
		{"leadType", record{{"leadType", text(src.Type)}}},
	}}
	list, err := collect(ctx, c, q, func(r *reader) found[lead.Subscription] {
		s := decodeSubscription(r, src)
		return found[lead.Subscription]{row: s, id: s.ID, foreign: s.Source != src}
	})
	if err != nil {
		return nil, fmt.Errorf("listing the notifications of %s: %w", src, err)
	}
	return list, nil
}

// decodeSubscription reads an element of leadNotifications. What it does not tell
// of its source is as was asked for.
func decodeSubscription(r *reader, asked lead.Source) lead.Subscription {
	r.own = true
	s := lead.Subscription{Source: asked}
	if !r.open(jsontext.KindBeginObject) {
		return s
	}
	for r.more() {
		switch r.name() {
		case "id":
			s.ID, _ = r.digits()
		case "webhook":
			s.Webhook, _ = r.text()
		case "owner":
			if owner, _ := r.urn("urn:li:"); owner != "" {
				s.Source.Owner = owner
			}
		case "leadType":
			if kind, _ := r.text(); kind != "" {
				s.Source.Type = kind
			}
		case "associatedEntity", "versionedForm":
			s.Narrowed = s.Narrowed || r.kind() != jsontext.KindNull
			r.skip()
		default:
			r.skip()
		}
	}
	return s
}

// Subscribe asks LinkedIn to notify the webhook of every lead of the source that
// comes or goes, and gives the subscription's id. LinkedIn challenges the webhook
// before it answers, and takes the same subscription any number of times: look at
// Subscriptions first. It is repeated while no answer comes, so that there may be
// two in the end.
func (c *Client) Subscribe(ctx context.Context, src lead.Source, webhook string) (id string, err error) {
	body, err := json.Marshal(map[string]any{
		"webhook": webhook, "owner": map[string]string{ownerUnion(src.Owner): src.Owner}, "leadType": src.Type,
	})
	if err != nil {
		return "", fmt.Errorf("encoding a subscription: %w", err)
	}
	q := request{endpoint: EndpointNotifications, path: notificationsPath, change: &change{method: http.MethodPost, body: body}}
	if err := c.do(ctx, q, ignore); err != nil {
		return "", fmt.Errorf("subscribing to the notifications of %s: %w", src, err)
	}
	return strings.TrimSpace(q.change.created), nil
}

// Unsubscribe ends a subscription. One that is gone already is no error.
func (c *Client) Unsubscribe(ctx context.Context, id string) error {
	q := request{endpoint: EndpointNotifications, path: notificationsPath + "/" + encodeKey(id), change: &change{method: http.MethodDelete}}
	err := c.do(ctx, q, ignore)
	if e := (*APIError)(nil); errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ending subscription %s: %w", id, err)
	}
	return nil
}

// ignore accepts any body.
func ignore([]byte) (string, error) { return "", nil }
