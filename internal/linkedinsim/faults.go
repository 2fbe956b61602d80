package linkedinsim

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is something that goes wrong at LinkedIn. There are three sorts. One
// spoils the answers to requests (SpoilingFaults), or has them contradict the
// requests (ContradictingFaults). Another is a deed
// (DeedFaults): something happens, such as a role that is lost. It happens at
// once or, with Endpoint or After, just before each matching request that it
// meets, by default one, is answered. The third befalls notifications on their
// way to webhooks (DeliveryFaults); it meets the deliveries that come up after
// it, where others meet requests, and all such faults meet the same delivery.
type Fault struct {
	Kind FaultKind `json:"kind"`

	// Endpoint is the resource whose requests are meant: leadFormResponses,
	// leadForms, events, organizationAcls, organizations, organizationsLookup,
	// me, userinfo, authorization, accessToken, introspectToken. Empty means
	// every resource of the API, * those of OAuth as well.
	Endpoint string `json:"endpoint,omitempty"`
	// Owner (id or URN of an organization) and Form (id) narrow it to requests
	// that name them. For deeds they also say whom it happens to.
	Owner string `json:"owner,omitempty"`
	Form  string `json:"form,omitempty"`
	// After lets that many matching requests pass first.
	After int `json:"after,omitempty"`
	// Count is how many requests it meets; default 1, without limit when For is
	// given, and -1 is without limit.
	Count int `json:"count,omitempty"`
	// For is how long it lasts, on the base clock.
	For time.Duration `json:"for,omitempty"`

	// Status, Body and ContentType are of a Status fault; Body may be empty for
	// LinkedIn's usual envelope.
	Status      int    `json:"status,omitempty"`
	Body        string `json:"body,omitempty"`
	ContentType string `json:"contentType,omitempty"`
	// RetryAfter is sent as a Retry-After header with Status and Throttle.
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

	// What a deed needs: the role, the version of the API, the leads to add, the
	// lead to delete or how many (Number, also of ExtraElements), how far the clock moves and whether tokens move
	// with it, how the form changes, the app's new secret.
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

// FaultKind is a kind of fault.
type FaultKind string

// Faults that spoil answers.
const (
	StatusFault FaultKind = "status"      // a status, with Body or LinkedIn's envelope
	Latency     FaultKind = "latency"     // the answer is late
	Stall       FaultKind = "stall"       // half the body, then nothing
	BrokenJSON  FaultKind = "broken_json" // a body that ends in the middle, of right length
	Truncated   FaultKind = "truncated"   // the connection ends in the middle of the body
	HTML        FaultKind = "html"        // 200 with a page instead of JSON; Status changes the 200
	Empty       FaultKind = "empty"       // 200 without a body
	NoElements  FaultKind = "no_elements" // 200 with paging but without elements
	Reset       FaultKind = "reset"       // the connection is reset
	Oversize    FaultKind = "oversize"    // the right answer behind Size blanks
	Throttle    FaultKind = "throttle"    // 429
	Budget      FaultKind = "budget"      // 429 until midnight UTC of LinkedIn's clock
)

// Faults that contradict the request.
const (
	// IgnoreParameter answers as if Parameter were misspelt, which LinkedIn is said
	// to ignore.
	IgnoreParameter FaultKind = "ignore_parameter"
	// ExtraElements repeats the first element of a page Number times (default 1000)
	// more, or an empty object where there is none.
	ExtraElements FaultKind = "extra_elements"
)

// Faults that are deeds.
const (
	ExpireToken        FaultKind = "expire_token"
	RevokeToken        FaultKind = "revoke_token"
	ExpireRefreshToken FaultKind = "expire_refresh_token"
	RevokeRefreshToken FaultKind = "revoke_refresh_token"
	LoseRole           FaultKind = "lose_role"    // every role of Owner
	GrantRole          FaultKind = "grant_role"   // Role, default ADMINISTRATOR, of Owner
	ChangeForm         FaultKind = "change_form"  // Form as Change says
	RefuseForm         FaultKind = "refuse_form"  // Form is answered with Status, default 404
	RestoreForm        FaultKind = "restore_form" // Form is there again
	DeleteLeads        FaultKind = "delete_leads" // ID, else the Number (default 1) first listed of Owner
	AddLeads           FaultKind = "add_leads"    // Leads
	RetireVersion      FaultKind = "retire_version"
	ActivateVersion    FaultKind = "activate_version"
	ShiftClock         FaultKind = "shift_clock"   // by Shift
	ChangeSecret       FaultKind = "change_secret" // the app's, to Secret
)

// Faults that befall notifications on their way.
const (
	LoseDelivery      FaultKind = "lose_delivery"
	DuplicateDelivery FaultKind = "duplicate_delivery" // comes twice, with the same body
	DelayDelivery     FaultKind = "delay_delivery"     // by Latency, on the base clock
	// ReorderDeliveries delays them by parts of Latency (default one second): those
	// of a Count so that the last comes first, without limit at random.
	ReorderDeliveries FaultKind = "reorder_deliveries"
)

// SpoilingFaults are the kinds that spoil answers.
func SpoilingFaults() []FaultKind {
	return []FaultKind{StatusFault, Latency, Stall, BrokenJSON, Truncated, HTML, Empty, NoElements, Reset, Oversize, Throttle, Budget}
}

// ContradictingFaults are the kinds whose answers are whole, and not to what was
// asked.
func ContradictingFaults() []FaultKind { return []FaultKind{IgnoreParameter, ExtraElements} }

// DeedFaults are the kinds that are deeds.
func DeedFaults() []FaultKind {
	return []FaultKind{
		ExpireToken, RevokeToken, ExpireRefreshToken, RevokeRefreshToken, LoseRole, GrantRole, ChangeForm,
		RefuseForm, RestoreForm, DeleteLeads, AddLeads, RetireVersion, ActivateVersion, ShiftClock,
		ChangeSecret,
	}
}

// DeliveryFaults are the kinds that befall notifications on their way.
func DeliveryFaults() []FaultKind {
	return []FaultKind{LoseDelivery, DuplicateDelivery, DelayDelivery, ReorderDeliveries}
}

func (k FaultKind) ofDelivery() bool { return slices.Contains(DeliveryFaults(), k) }

func (k FaultKind) deed() bool { return slices.Contains(DeedFaults(), k) }

// faults are those scheduled.
type faults struct {
	mu   sync.Mutex
	list []*scheduled
}

type scheduled struct {
	Fault
	passed int       // matching requests let pass
	left   int       // requests still to meet, negative without limit
	until  time.Time // zero without limit
	budget bool      // until is on LinkedIn's clock
}

// Schedule makes f go wrong, from now on.
func (s *Server) Schedule(f Fault) error {
	if known := slices.Concat(SpoilingFaults(), ContradictingFaults(), DeedFaults(), DeliveryFaults()); !slices.Contains(known, f.Kind) {
		return fmt.Errorf("fault kind is %q, must be one of %q", f.Kind, known)
	}
	if f.Kind.ofDelivery() && f.Endpoint != "" {
		return fmt.Errorf("fault %s befalls deliveries, not requests to endpoint %q", f.Kind, f.Endpoint)
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return fmt.Errorf("status is %d, must be between 200 and 599", f.Status)
	}
	if _, ok := reference(f.Owner, organizationPrefix); !ok {
		return fmt.Errorf("owner %q is neither an id nor a URN", f.Owner)
	}
	if err := s.deedPossible(f); err != nil {
		return err
	}
	if f.Kind.deed() && f.Endpoint == "" && f.After == 0 {
		return s.do(f)
	}
	add := &scheduled{Fault: f, left: f.Count}
	if f.Count == 0 {
		add.left = 1
		if f.For > 0 || f.Kind == Budget {
			add.left = -1
		}
	}
	if f.For > 0 {
		add.until = s.cfg.Now().Add(f.For)
	}
	if f.Kind == Budget {
		add.until, add.budget = s.Now().Add(untilMidnight(s.Now())), true
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, add)
	return nil
}

// Faults are those scheduled that have not come to their end.
func (s *Server) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	list := []Fault{}
	for _, f := range s.faults.list {
		if !f.over(s) {
			list = append(list, f.Fault)
		}
	}
	return list
}

// ClearFaults forgets every scheduled fault. Deeds that are done stay done.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
}

func (f *scheduled) over(s *Server) bool {
	now := s.cfg.Now()
	if f.budget {
		now = s.Now()
	}
	return f.left == 0 || !f.until.IsZero() && !now.Before(f.until)
}

// matches reports whether a request, or a delivery, is one that the fault means.
func (f *scheduled) matches(at location, names string) bool {
	if f.Kind.ofDelivery() != at.delivery() {
		return false
	}
	switch f.Endpoint {
	case "":
		if at.oauth() {
			return false
		}
	case "*", at.endpoint:
	default:
		return false
	}
	owner, _ := reference(f.Owner, organizationPrefix)
	if f.Owner != "" && !mentions(names, organizationURN(owner)) {
		return false
	}
	return f.Form == "" || f.Kind.deed() || mentions(names, f.Form)
}

// mentions reports whether text has name, not followed by another digit.
func mentions(text, name string) bool {
	for {
		i := strings.Index(text, name)
		if i < 0 {
			return false
		}
		text = text[i+len(name):]
		if text == "" || text[0] < '0' || text[0] > '9' {
			return true
		}
	}
}

// meet carries out the deeds that a request sets off, and gives the fault that
// spoils its answer and the latency that others add.
func (f *faults) meet(s *Server, at location, r *http.Request) (spoil *Fault, latency time.Duration, err error) {
	names := r.URL.Path + "?" + r.URL.RawQuery
	if query, err := url.PathUnescape(r.URL.RawQuery); err == nil {
		names = r.URL.Path + "?" + query
	}
	for _, fault := range f.due(s, at, names) {
		switch {
		case fault.Kind.deed():
			err = errors.Join(err, s.do(fault.Fault))
		case fault.Kind == Latency:
			latency += fault.Latency
		case spoil == nil:
			spoil = &fault.Fault
		}
	}
	return spoil, latency, err
}

// due are the faults that meet this request or delivery, as they stood before.
// Of those that spoil a request's answer only the first counts; the others wait
// for the next request.
func (f *faults) due(s *Server, at location, names string) []scheduled {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) == 0 {
		return nil
	}
	f.list = slices.DeleteFunc(f.list, func(x *scheduled) bool { return x.over(s) })
	var due []scheduled
	spoiled := false
	for _, x := range f.list {
		spoils := !x.Kind.deed() && !x.Kind.ofDelivery() && x.Kind != Latency
		if !x.matches(at, names) || spoils && spoiled {
			continue
		}
		if x.passed < x.After {
			x.passed++
			continue
		}
		spoiled = spoiled || spoils
		due = append(due, *x)
		x.left = max(x.left-1, min(x.left, -1))
	}
	return due
}
