package linkedinsim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// controlRoutes is the control API:
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
func (s *Server) controlRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sim", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Describe(), nil) })
	mux.HandleFunc("POST /sim/leads", s.postLeads)
	mux.HandleFunc("DELETE /sim/leads/{id}", s.deleteLead)
	mux.HandleFunc("POST /sim/organizations", func(w http.ResponseWriter, r *http.Request) {
		var o Organization
		err := decode(r, &o)
		if err == nil {
			err = s.AddOrganization(o)
		}
		answer(w, map[string]string{"organization": o.URN()}, err)
	})
	mux.HandleFunc("POST /sim/forms", func(w http.ResponseWriter, r *http.Request) {
		var f Form
		version, err := 0, decode(r, &f)
		if err == nil {
			version, err = s.AddForm(f)
		}
		answer(w, map[string]string{"form": versionedFormURN(f.ID, version, false)}, err)
	})
	mux.HandleFunc("POST /sim/events", func(w http.ResponseWriter, r *http.Request) {
		var e Event
		err := decode(r, &e)
		if err == nil {
			err = s.AddEvent(e)
		}
		answer(w, map[string]string{"event": e.URN()}, err)
	})
	mux.HandleFunc("POST /sim/faults", s.postFaults)
	mux.HandleFunc("GET /sim/faults", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Faults(), nil) })
	mux.HandleFunc("DELETE /sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		answer(w, struct{}{}, nil)
	})
	mux.HandleFunc("GET /sim/ledger", s.getLedger)
	mux.HandleFunc("GET /sim/stats", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Stats(), nil) })
	mux.HandleFunc("GET /sim/clock", s.getClock)
	mux.HandleFunc("POST /sim/clock", s.postClock)
	mux.HandleFunc("GET /sim/switches", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Switches(), nil) })
	mux.HandleFunc("POST /sim/switches", s.postSwitches)
	mux.HandleFunc("POST /sim/tokens", s.postTokens)
	mux.HandleFunc("GET /sim/webhooks", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Webhooks(), nil) })
	mux.HandleFunc("POST /sim/webhooks/validate", s.postWebhook(s.Validate))
	mux.HandleFunc("POST /sim/webhooks/unblock", s.postWebhook(s.Unblock))
	mux.HandleFunc("POST /sim/webhooks/send", s.postResend)
	mux.HandleFunc("GET /sim/deliveries", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_ = s.WriteDeliveries(w) // fails only when the client has gone
	})
	return mux
}

// answer writes the result of a control request, or its error.
func answer(w http.ResponseWriter, result any, err error) {
	r := jsonReply(result)
	if err != nil {
		r = jsonReply(map[string]string{"error": err.Error()})
		r.status = http.StatusBadRequest
	}
	r.write(w)
}

const maxControl = 64 << 20 // bytes of a control request

// decode reads the body into v, strictly.
func decode(r *http.Request, v any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxControl))
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	return decodeStrict(body, v)
}

func decodeStrict(text []byte, v any) error {
	text, err := readable(text)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	return nil
}

// durationMembers are given as texts and decoded as nanoseconds.
var durationMembers = map[string]bool{
	"age": true, "every": true, "visibleAfter": true, "for": true, "latency": true, "retryAfter": true,
	"shift": true, "offset": true, "freshTokenLag": true, "accessLife": true, "refreshLife": true,
	"occurredAfter": true, "webhookRetry": true, "webhookRetryFor": true, "webhookTimeout": true,
}

// readable turns what people write, durations as texts and times as epoch
// milliseconds, into what encoding/json reads into Go's types.
func readable(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	for _, item := range items {
		members, ok := item.(map[string]any)
		if !ok {
			continue
		}
		if err := readableMembers(members); err != nil {
			return nil, err
		}
		if leads, ok := members["leads"].(map[string]any); ok {
			if err := readableMembers(leads); err != nil {
				return nil, err
			}
		}
	}
	return mustJSON(v), nil
}

func readableMembers(members map[string]any) error {
	for name, value := range members {
		switch value := value.(type) {
		case string:
			if !durationMembers[name] {
				continue
			}
			d, err := time.ParseDuration(value)
			if err != nil {
				return fmt.Errorf("%s is %q, want a duration such as 1m30s", name, value)
			}
			members[name] = int64(d)
		case json.Number:
			millis, err := value.Int64()
			if name != "submittedAt" && name != "occurredAt" || err != nil {
				continue
			}
			members[name] = time.UnixMilli(millis).UTC()
		}
	}
	return nil
}

// oneOrMore reads a T or a list of them.
func oneOrMore[T any](r *http.Request) ([]T, error) {
	var text json.RawMessage
	if err := json.NewDecoder(io.LimitReader(r.Body, maxControl)).Decode(&text); err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	if text[0] != '[' {
		text = append(append(json.RawMessage("["), text...), ']')
	}
	var list []T
	return list, decodeStrict(text, &list)
}

func (s *Server) postLeads(w http.ResponseWriter, r *http.Request) {
	specs, err := oneOrMore[LeadSpec](r)
	var numbers []uint32
	if err == nil {
		numbers, err = s.addLeads(specs)
	}
	if err != nil {
		answer(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	line := []byte{'['}
	for i, n := range numbers {
		if i > 0 {
			line = append(line, ',')
		}
		s.mu.RLock()
		row, v := s.ledgerRow(n), s.view()
		s.mu.RUnlock()
		line = s.appendEntry(line, v, row)
		if _, err := w.Write(line); err != nil {
			return // the client has gone
		}
		line = line[:0]
	}
	_, _ = w.Write(append(line, ']', '\n'))
}

func (s *Server) deleteLead(w http.ResponseWriter, r *http.Request) {
	if !s.DeleteLead(r.PathValue("id")) {
		notFound("Lead").write(w)
		return
	}
	answer(w, struct{}{}, nil)
}

func (s *Server) postFaults(w http.ResponseWriter, r *http.Request) {
	list, err := oneOrMore[Fault](r)
	for i := 0; err == nil && i < len(list); i++ {
		err = s.Schedule(list[i])
	}
	answer(w, struct{}{}, err)
}

func (s *Server) getLedger(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	_ = s.WriteLedger(w) // fails only when the client has gone
}

// clockState is LinkedIn's time and how far it is from the base clock.
type clockState struct {
	Now    time.Time `json:"now"`
	Offset string    `json:"offset"`
}

func (s *Server) getClock(w http.ResponseWriter, _ *http.Request) {
	answer(w, clockState{s.Now(), time.Duration(s.clock.offset.Load()).String()}, nil)
}

func (s *Server) postClock(w http.ResponseWriter, r *http.Request) {
	var change struct {
		Offset     *time.Duration `json:"offset"`
		Shift      time.Duration  `json:"shift"`
		KeepTokens bool           `json:"keepTokens"`
	}
	if err := decode(r, &change); err != nil {
		answer(w, nil, err)
		return
	}
	if change.Offset != nil {
		change.Shift += *change.Offset - time.Duration(s.clock.offset.Load())
	}
	s.ShiftClock(change.Shift, change.KeepTokens)
	s.getClock(w, r)
}

func (s *Server) postSwitches(w http.ResponseWriter, r *http.Request) {
	var sw Switches
	var err error
	if name := r.URL.Query().Get("variant"); name != "" {
		known := false
		if sw, known = Variants()[name]; !known {
			sw, known = NotificationVariants()[name]
		}
		if !known {
			err = fmt.Errorf("there is no variant %q", name)
		}
	} else {
		err = decode(r, &sw)
	}
	if err == nil {
		err = s.SetSwitches(sw)
	}
	answer(w, s.Switches(), err)
}

func (s *Server) postTokens(w http.ResponseWriter, r *http.Request) {
	var spec TokenSpec
	var token Token
	err := decode(r, &spec)
	if err == nil {
		token, err = s.IssueTokens(spec)
	}
	answer(w, token, err)
}

// postWebhook does something with the webhook that the request names.
func (s *Server) postWebhook(do func(context.Context, string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			Webhook string `json:"webhook"`
		}
		err := decode(r, &request)
		if err == nil {
			err = do(r.Context(), request.Webhook)
		}
		answer(w, s.Webhooks(), err)
	}
}

func (s *Server) postResend(w http.ResponseWriter, r *http.Request) {
	var request Resend
	if err := decode(r, &request); err != nil {
		answer(w, nil, err)
		return
	}
	sent, err := s.Resend(r.Context(), request)
	answer(w, sent, err)
}
