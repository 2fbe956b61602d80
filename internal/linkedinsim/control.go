package linkedinsim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
)

// control is the control API:
//
//	GET    /sim             what this world is (Description)
//	POST   /sim/leads       add leads: one LeadSpec or a list of them; answers their ledger entries
//	DELETE /sim/leads/{id}  delete a lead
//	POST   /sim/organizations, /sim/forms, /sim/events   add or replace one; an existing form gets a new version
//	POST   /sim/faults      schedule faults: one Fault or a list
//	GET    /sim/faults      those scheduled
//	DELETE /sim/faults      forget those scheduled
//	GET    /sim/ledger      every lead ever made, as JSON lines (LedgerEntry)
//	GET    /sim/stats       requests answered (Stats)
//	GET    /sim/clock       LinkedIn's clock
//	POST   /sim/clock       {"offset":"5m"} ahead of the base clock, or {"shift":"-1m"} from where it is; with
//	                        "keepTokens":true what was issued does not grow older or younger by it
//	GET    /sim/switches    the switches in force
//	POST   /sim/switches    replace them; those not named go back to their default. ?variant=NAME takes one of Variants
//	                        or NotificationVariants
//	PATCH  /sim/switches    change those named and leave the others
//	POST   /sim/tokens      issue tokens without the consent page (TokenSpec)
//	GET    /sim/webhooks    the webhooks, their handshakes and subscriptions (WebhookState)
//	POST   /sim/webhooks/validate, /sim/webhooks/unblock   {"webhook":URL}, or {} for all: the handshake now;
//	                        the latter lifts a block first. Both answer as GET /sim/webhooks
//	POST   /sim/webhooks/send  send a notification now, also a forged one (Resend); answers the deliveries made
//	GET    /sim/deliveries  every notification so far and how it was answered, as JSON lines (Delivery)
//
// Durations are texts such as "1m30s"; submittedAt and occurredAt are RFC 3339 or epoch
// milliseconds. Refused is what has an unknown member or a bad value, with 400
// and {"error":…}.
func (s *Server) control() http.Handler {
	mux := http.NewServeMux()
	for pattern, handler := range map[string]http.HandlerFunc{
		"GET /sim": get(s.Describe),
		"POST /sim/leads": post(func(_ context.Context, specs []LeadSpec) ([]LedgerEntry, error) {
			return s.AddLeads(specs...)
		}),
		"DELETE /sim/leads/{id}": s.deleteLead,
		"POST /sim/organizations": post(func(_ context.Context, o Organization) (any, error) {
			return map[string]string{"organization": o.URN()}, s.AddOrganization(o)
		}),
		"POST /sim/forms": post(func(_ context.Context, f Form) (any, error) {
			version, err := s.AddForm(f)
			return map[string]string{"form": versionedFormURN(f.ID, version, false)}, err
		}),
		"POST /sim/events": post(func(_ context.Context, e Event) (any, error) {
			return map[string]string{"event": e.URN()}, s.AddEvent(e)
		}),
		"POST /sim/faults": post(func(_ context.Context, list []Fault) (any, error) {
			for _, f := range list {
				if err := s.Schedule(f); err != nil {
					return nil, err
				}
			}
			return struct{}{}, nil
		}),
		"GET /sim/faults":     get(s.Faults),
		"DELETE /sim/faults":  get(func() any { s.ClearFaults(); return struct{}{} }),
		"GET /sim/ledger":     lines(s.Ledger),
		"GET /sim/stats":      get(s.Stats),
		"GET /sim/clock":      get(s.clockState),
		"POST /sim/clock":     post(s.changeClock),
		"GET /sim/switches":   get(s.Switches),
		"POST /sim/switches":  s.changeSwitches,
		"PATCH /sim/switches": s.changeSwitches,
		"POST /sim/tokens":    post(func(_ context.Context, spec TokenSpec) (Token, error) { return s.issueTokens(spec) }),
		"GET /sim/webhooks":   get(s.Webhooks),
		"POST /sim/webhooks/validate": post(func(ctx context.Context, u webhookName) (any, error) {
			return s.validate(ctx, u.Webhook, false)
		}),
		"POST /sim/webhooks/unblock": post(func(ctx context.Context, u webhookName) (any, error) {
			return s.validate(ctx, u.Webhook, true)
		}),
		"POST /sim/webhooks/send": post(s.resend),
		"GET /sim/deliveries":     lines(func() iter.Seq[Delivery] { return slices.Values(s.Deliveries()) }),
	} {
		mux.HandleFunc(pattern, handler)
	}
	return mux
}

type webhookName struct {
	Webhook string `json:"webhook"`
}

// get answers with what read returns.
func get[T any](read func() T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { respond(w, read(), nil) }
}

// post reads the body and answers with what do returns.
func post[T, R any](do func(context.Context, T) (R, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request T
		if err := decode(r, &request); err != nil {
			respond(w, nil, err)
			return
		}
		result, err := do(r.Context(), request)
		respond(w, result, err)
	}
}

// lines answers with JSON lines.
func lines[T any](read func() iter.Seq[T]) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_ = writeLines(w, read()) // fails only when the client has gone
	}
}

// respond writes the result of a control request, or its error.
func respond(w http.ResponseWriter, result any, err error) {
	a := jsonAnswer(result)
	if err != nil {
		a = jsonAnswer(map[string]string{"error": err.Error()})
		a.status = http.StatusBadRequest
	}
	a.write(w)
}

const maxControl = 64 << 20 // bytes of a control request

// decode reads the body into v, strictly. Where v is a list, the body may be
// one element of it.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxControl))
	d.UseNumber()
	var given any
	err := d.Decode(&given)
	if _, end := d.Token(); err == nil && end != io.EOF {
		err = errors.New("more follows the first value")
	}
	if err == nil {
		if _, list := given.([]any); !list && reflect.TypeOf(v).Elem().Kind() == reflect.Slice {
			given = []any{given}
		}
		err = readable(given)
	}
	if err == nil {
		d = json.NewDecoder(bytes.NewReader(mustJSON(given)))
		d.DisallowUnknownFields()
		err = d.Decode(v)
	}
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	return nil
}

// durationMembers are given as texts and decoded as nanoseconds.
var durationMembers = strings.Fields("age every visibleAfter for latency retryAfter shift offset freshTokenLag accessLife refreshLife " +
	"occurredAfter webhookRetry webhookRetryFor webhookTimeout")

// readable turns what people write, durations as texts and times as epoch
// milliseconds, into what encoding/json reads into Go's types: the members of an
// object, of the leads in it, and of the objects in a list.
func readable(v any) error {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if err := readable(item); err != nil {
				return err
			}
		}
	case object:
		for name, value := range v {
			text, isText := value.(string)
			number, isNumber := value.(json.Number)
			switch {
			case isText && slices.Contains(durationMembers, name):
				d, err := time.ParseDuration(text)
				if err != nil {
					return fmt.Errorf("%s is %q, want a duration such as 1m30s", name, text)
				}
				v[name] = int64(d)
			case isNumber && (name == "submittedAt" || name == "occurredAt"):
				if millis, err := number.Int64(); err == nil {
					v[name] = time.UnixMilli(millis).UTC()
				}
			case name == "leads":
				if err := readable(value); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *Server) deleteLead(w http.ResponseWriter, r *http.Request) {
	if !s.DeleteLead(r.PathValue("id")) {
		notFound("Lead").write(w)
		return
	}
	respond(w, struct{}{}, nil)
}

// clockState is LinkedIn's time and how far it is from the base clock.
func (s *Server) clockState() object {
	return object{"now": s.Now(), "offset": time.Duration(s.clock.offset.Load()).String()}
}

// clockChange says how LinkedIn's clock moves.
type clockChange struct {
	Offset     *time.Duration `json:"offset"`
	Shift      time.Duration  `json:"shift"`
	KeepTokens bool           `json:"keepTokens"`
}

func (s *Server) changeClock(_ context.Context, c clockChange) (object, error) {
	if c.Offset != nil {
		c.Shift += *c.Offset - time.Duration(s.clock.offset.Load())
	}
	s.shiftClock(c.Shift, c.KeepTokens)
	return s.clockState(), nil
}

// changeSwitches puts switches in force: with PATCH the present ones with some
// changed, else those of a variant or of the body.
func (s *Server) changeSwitches(w http.ResponseWriter, r *http.Request) {
	var sw Switches
	var err error
	name := r.URL.Query().Get("variant")
	switch {
	case r.Method == http.MethodPatch:
		sw = s.Switches()
		err = decode(r, &sw)
	case name == "":
		err = decode(r, &sw)
	default:
		sw, err = variant(name)
	}
	if err == nil {
		err = s.SetSwitches(sw)
	}
	respond(w, s.Switches(), err)
}
