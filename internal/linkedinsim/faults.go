package linkedinsim

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"
)

// Fault is something that goes wrong at LinkedIn. FaultKinds lists the kinds;
// their group says when a fault applies. Faults of answers and contradictions
// apply to requests. An action happens at once or, with Endpoint or After,
// just before each request that it applies to is answered. Faults of deliveries
// apply to the notifications that are made after them, and several of them to
// the same one.
type Fault struct {
	Kind FaultKind `json:"kind"`

	// Endpoint is the resource whose requests are meant: leadFormResponses,
	// leadForms, events, organizationAcls, organizations, organizationsLookup,
	// me, userinfo, authorization, accessToken, introspectToken. Empty means
	// every resource of the API, * those of OAuth as well.
	Endpoint string `json:"endpoint,omitempty"`
	// Owner (id or URN of an organization) and Form (id) narrow it to requests
	// that name them. For actions they say whom it happens to.
	Owner string `json:"owner,omitempty"`
	Form  string `json:"form,omitempty"`
	// After lets that many matching requests pass first.
	After int `json:"after,omitempty"`
	// Count is how many requests it applies to; default 1, without limit when For
	// is given, and -1 is without limit.
	Count int `json:"count,omitempty"`
	// For is how long it lasts, on the base clock.
	For time.Duration `json:"for,omitempty"`

	// Status, Body and ContentType are of StatusFault, Status also of HTML, Empty
	// and RefuseForm; Body may be empty for LinkedIn's usual envelope.
	Status      int    `json:"status,omitempty"`
	Body        string `json:"body,omitempty"`
	ContentType string `json:"contentType,omitempty"`
	// RetryAfter is sent as a Retry-After header with StatusFault and Throttle.
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
	// Latency is of Latency and Stall (how long; 0 until the client leaves), of
	// DelayDelivery, of DuplicateDelivery (how much later the second one comes) and
	// of ReorderDeliveries.
	Latency time.Duration `json:"latency,omitempty"`
	// Size is of Oversize, in bytes; default 64 MiB.
	Size int `json:"size,omitempty"`
	// Parameter is of IgnoreParameter: the name of a query parameter; default
	// submittedAtTimeRange.
	Parameter string `json:"parameter,omitempty"`

	// Role is of GrantRole, Version of RetireVersion and ActivateVersion, Leads of
	// AddLeads, ID of DeleteLeads, Number of DeleteLeads and ExtraElements, Shift of
	// ShiftClock, Change of ChangeForm, Secret of ChangeSecret.
	Role    string        `json:"role,omitempty"`
	Version string        `json:"version,omitempty"`
	Leads   *LeadSpec     `json:"leads,omitempty"`
	ID      string        `json:"id,omitempty"`
	Number  int           `json:"number,omitempty"`
	Shift   time.Duration `json:"shift,omitempty"`
	// KeepTokens is of ShiftClock: without it, time passes for the tokens as well.
	KeepTokens bool        `json:"keepTokens,omitempty"`
	Change     *FormChange `json:"change,omitempty"`
	Secret     string      `json:"secret,omitempty"`
}

// scheduled is a fault that is still to come.
type scheduled struct {
	Fault
	def    *faultKind
	passed int       // matching requests let pass
	left   int       // requests still to apply to, negative without limit
	until  time.Time // zero without limit
}

// spoils reports whether the fault decides what the answer to a request is.
func (f *scheduled) spoils() bool {
	return f.Kind != Latency && (f.def.group == AnswerFaults || f.def.group == ContradictionFaults)
}

// Schedule makes f go wrong, from now on.
func (w *World) Schedule(f Fault) error {
	i := slices.IndexFunc(faultKinds, func(k faultKind) bool { return k.kind == f.Kind })
	if i < 0 {
		return fmt.Errorf("fault kind is %q, must be one of %q", f.Kind, FaultKinds())
	}
	add := &scheduled{Fault: f, def: &faultKinds[i], left: cmp.Or(f.Count, 1)}
	_, readable := reference(f.Owner, organizationPrefix)
	switch {
	case add.def.group == DeliveryFaults && f.Endpoint != "":
		return fmt.Errorf("fault %s applies to deliveries, not to requests to endpoint %q", f.Kind, f.Endpoint)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status is %d, must be between 200 and 599", f.Status)
	case !readable:
		return fmt.Errorf("owner %q is neither an id nor a URN", f.Owner)
	case !f.given()[add.def.needs]:
		return fmt.Errorf("fault %s needs %s", f.Kind, add.def.needs)
	case add.def.act != nil && f.Endpoint == "" && f.After == 0:
		return add.def.act(w, &f)
	}
	if f.Count == 0 && (f.For > 0 || f.Kind == Budget) {
		add.left = -1
	}
	if f.For > 0 {
		add.until = w.cfg.Now().Add(f.For)
	}
	if f.Kind == Budget {
		add.until = w.Now().Add(untilMidnight(w.Now()))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, add)
	return nil
}

// Faults are those scheduled that have not come to their end.
func (w *World) Faults() []Fault {
	w.mu.RLock()
	defer w.mu.RUnlock()
	list := []Fault{}
	for _, f := range w.faults {
		if !f.over(w) {
			list = append(list, f.Fault)
		}
	}
	return list
}

// ClearFaults forgets every scheduled fault. Actions that happened stay.
func (w *World) ClearFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
}

// over reports whether the fault has come to its end. A budget ends by
// LinkedIn's clock, the others by the base clock.
func (f *scheduled) over(w *World) bool {
	now := w.cfg.Now()
	if f.Kind == Budget {
		now = w.clock.now()
	}
	return f.left == 0 || !f.until.IsZero() && !now.Before(f.until)
}

// matches reports whether a request, or a delivery, is one that the fault means.
func (f *scheduled) matches(at location, text string) bool {
	if (f.def.group == DeliveryFaults) != (at == webhookLocation) {
		return false
	}
	if f.Endpoint == "" && at.root == "oauth" || f.Endpoint != "" && f.Endpoint != "*" && f.Endpoint != at.endpoint {
		return false
	}
	return (f.Owner == "" || mentions(text, organizationURN(f.owner()))) &&
		(f.Form == "" || f.def.act != nil || mentions(text, f.Form))
}

// mentions reports whether text has name, not followed by another digit.
func mentions(text, name string) bool {
	return regexp.MustCompile(regexp.QuoteMeta(name) + `(\D|$)`).MatchString(text)
}

// due are the faults that apply to this request or delivery, as they stood
// before. Of those that spoil a request's answer only the first counts; the
// others wait for the next request.
func (w *World) due(at location, text string) (due []scheduled) {
	w.faults = slices.DeleteFunc(w.faults, func(x *scheduled) bool { return x.over(w) })
	spoiled := false
	for _, x := range w.faults {
		if !x.matches(at, text) || x.spoils() && spoiled {
			continue
		}
		if x.passed < x.After {
			x.passed++
			continue
		}
		spoiled = spoiled || x.spoils()
		due = append(due, *x)
		x.left = max(x.left-1, min(x.left, -1))
	}
	return due
}

// applyFaults carries out the actions that come before a request. It returns
// the fault that spoils the answer, which may be nil, and the latency that
// others add.
func (w *World) applyFaults(at location, r *http.Request) (spoil *scheduled, latency time.Duration, err error) {
	text := r.URL.Path + "?" + r.URL.RawQuery
	if query, err := url.PathUnescape(r.URL.RawQuery); err == nil {
		text = r.URL.Path + "?" + query
	}
	w.mu.Lock()
	due := w.due(at, text)
	w.mu.Unlock()
	for _, f := range due {
		switch {
		case f.def.act != nil:
			err = errors.Join(err, f.def.act(w, &f.Fault))
		case f.Kind == Latency:
			latency += f.Latency
		default:
			spoil = &f
		}
	}
	return spoil, latency, err
}
