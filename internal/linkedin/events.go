package linkedin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"leadstream/internal/lead"
)

const eventsPath = "/rest/events"

// Events are the events of an owner that have a lead form, past ones included,
// in the order of their URNs. A finder that LinkedIn does not serve (400, 404)
// does not lose what the other finds.
//
// Source: Event Management API, events.
func (c *Client) Events(ctx context.Context, owner string) ([]lead.Event, error) {
	found := map[string]lead.Event{}
	var refusal error
	refused := 0
	for _, finder := range []string{FinderWithForms, FinderAll} {
		events, err := c.findEvents(ctx, finder, owner)
		if err != nil && !unserved(err) {
			return nil, fmt.Errorf("listing the events of %s by %s: %w", owner, finder, err)
		}
		if err != nil {
			refused++
			refusal = errors.Join(refusal, err)
			if _, said := c.said.LoadOrStore("finder "+finder, true); !said {
				c.log.Warn("LinkedIn does not serve a finder of events; the other one is relied on", zap.String("owner", owner), zap.String("finder", finder), zap.Error(err),
					zap.String("todo", "nothing: leads name their forms themselves"))
			}
		}
		for _, e := range events {
			// One finder may name the form with its version, the other without.
			if known, ok := found[e.URN]; !ok || known.Form.Version == 0 {
				found[e.URN] = e
			}
		}
	}
	if refused == 2 {
		return nil, fmt.Errorf("listing the events of %s: %w", owner, refusal)
	}
	events := make([]lead.Event, 0, len(found))
	for _, e := range found {
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b lead.Event) int { return strings.Compare(a.URN, b.URN) })
	return events, nil
}

// unserved reports that LinkedIn does not know a finder: it answers 404, or a 400
// that is about the finder's name or about nothing that it names. Where both
// finders are refused like that, the refusal is about the organization.
func unserved(err error) bool {
	var e *APIError
	if !errors.As(err, &e) || e.Code == CodeVersionMissing {
		return false
	}
	return e.Status == http.StatusNotFound || e.Status == http.StatusBadRequest && (e.Parameter == "" || e.Parameter == "q")
}

func (c *Client) findEvents(ctx context.Context, finder, owner string) ([]lead.Event, error) {
	params := []param{{"q", text(finder)}, {"organizer", text(owner)}}
	events, err := collect(ctx, c, request{endpoint: EndpointEvents, path: eventsPath, params: params}, func(r *reader) found[lead.Event] {
		e := decodeEvent(r, c.log)
		if e.Owner == "" {
			e.Owner = owner
		}
		return found[lead.Event]{row: e, id: e.URN, foreign: e.Owner != owner}
	})
	return slices.DeleteFunc(events, func(e lead.Event) bool { return e.Form.ID == "" }), err
}

// decodeEvent reads an element of events. Without an id, URN is empty; without a
// form that can be read, Form is.
func decodeEvent(r *reader, log *zap.Logger) lead.Event {
	var e lead.Event
	var name localized
	var form, formWhat string
	if !r.open(jsontext.KindBeginObject) {
		return e
	}
	for r.more() {
		switch r.name() {
		case "id":
			if id, what := r.digits(); what == "" && id != "" {
				e.URN = "urn:li:event:" + strings.TrimPrefix(id, "urn:li:event:")
			}
		case "name":
			name, _ = decodeLocalized(r)
		case "localizedName": // of older versions
			if s, what := r.text(); what == "" && name == nil {
				name = localized{plainLocale: s}
			}
		case "organizer":
			e.Owner, _ = r.urn("urn:li:")
		case "startsAt":
			if ms, what := r.integer(); what == "" && ms > 0 && ms <= lastMillis {
				e.StartsAt = time.UnixMilli(ms).UTC()
			}
		case "leadGenForm":
			form, formWhat = r.text()
		default:
			r.skip()
		}
	}
	e.Name = name.in(plainLocale)
	if form == "" && (formWhat == "" || formWhat == kindName(jsontext.KindNull)) {
		return e
	}
	ref, err := lead.ParseFormURN(form)
	if err != nil {
		// Its leads name the form themselves; only the topic comes later.
		log.Warn("event names its form in a way that cannot be read", zap.String("event", e.URN),
			zap.String("todo", "nothing: its leads name the form themselves, and its topic comes with the first of them"))
	}
	e.Form = ref
	return e
}
