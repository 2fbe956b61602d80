package linkedinsim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
)

// FaultKind is a kind of fault.
type FaultKind string

// Faults of answers.
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

// Contradictions: the answer is whole, and not one to what was asked.
const (
	// IgnoreParameter answers as if Parameter were misspelt, which LinkedIn is said
	// to ignore.
	IgnoreParameter FaultKind = "ignore_parameter"
	// ExtraElements repeats the first element of a page Number times (default 1000)
	// more, or an empty object where there is none.
	ExtraElements FaultKind = "extra_elements"
)

// Actions.
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

// Faults of deliveries.
const (
	LoseDelivery      FaultKind = "lose_delivery"
	DuplicateDelivery FaultKind = "duplicate_delivery" // comes twice, with the same body
	DelayDelivery     FaultKind = "delay_delivery"     // by Latency, on the base clock
	// ReorderDeliveries delays them by parts of Latency (default one second): those
	// of a Count so that the last comes first, without limit at random.
	ReorderDeliveries FaultKind = "reorder_deliveries"
)

// FaultGroup is what the faults of a kind do.
type FaultGroup string

// The groups.
const (
	AnswerFaults        FaultGroup = "answers"        // spoil the answer to a request
	ContradictionFaults FaultGroup = "contradictions" // answer another request than the one that came
	ActionFaults        FaultGroup = "actions"        // something happens at LinkedIn
	DeliveryFaults      FaultGroup = "deliveries"     // happen to notifications on their way to a webhook
)

// FaultKinds are the kinds of the given groups, of all when none is given.
func FaultKinds(groups ...FaultGroup) []FaultKind {
	var kinds []FaultKind
	for _, k := range faultKinds {
		if len(groups) == 0 || slices.Contains(groups, k.group) {
			kinds = append(kinds, k.kind)
		}
	}
	return kinds
}

// faultKind says what the faults of a kind do.
type faultKind struct {
	kind  FaultKind
	group FaultGroup
	// replace answers in place of the API, send sends the API's answer.
	replace func(*World, *Fault) *answer
	send    func(*Fault, http.ResponseWriter, *http.Request, *answer)
	// act is an action, and needs names what it cannot do without.
	act   func(*World, *Fault) error
	needs string
}

var faultKinds = []faultKind{
	{kind: StatusFault, group: AnswerFaults, replace: answerStatus},
	{kind: Latency, group: AnswerFaults},
	{kind: Stall, group: AnswerFaults, send: sendHalf},
	{kind: BrokenJSON, group: AnswerFaults, send: sendBroken},
	{kind: Truncated, group: AnswerFaults, send: sendHalf},
	{kind: HTML, group: AnswerFaults, replace: answerPage},
	{kind: Empty, group: AnswerFaults, replace: answerNothing},
	{kind: NoElements, group: AnswerFaults, replace: answerNoElements},
	{kind: Reset, group: AnswerFaults, send: sendReset},
	{kind: Oversize, group: AnswerFaults, send: sendOversize},
	{kind: Throttle, group: AnswerFaults, replace: func(_ *World, f *Fault) *answer { return throttled("").retry(f.RetryAfter) }},
	{kind: Budget, group: AnswerFaults, replace: answerBudget},

	{kind: IgnoreParameter, group: ContradictionFaults},
	{kind: ExtraElements, group: ContradictionFaults, send: sendExtra},

	{kind: ExpireToken, group: ActionFaults, act: func(w *World, _ *Fault) error { w.ExpireTokens(); return nil }},
	{kind: RevokeToken, group: ActionFaults, act: func(w *World, _ *Fault) error { w.RevokeTokens(); return nil }},
	{kind: ExpireRefreshToken, group: ActionFaults, act: func(w *World, _ *Fault) error { w.endTokens(refreshToken, false); return nil }},
	{kind: RevokeRefreshToken, group: ActionFaults, act: func(w *World, _ *Fault) error { w.RevokeRefreshTokens(); return nil }},
	{kind: LoseRole, group: ActionFaults, needs: "owner", act: func(w *World, f *Fault) error { return w.SetRole(f.owner(), "") }},
	{kind: GrantRole, group: ActionFaults, needs: "owner", act: func(w *World, f *Fault) error {
		return w.SetRole(f.owner(), cmp.Or(f.Role, roleAdministrator))
	}},
	{kind: ChangeForm, group: ActionFaults, needs: "form", act: func(w *World, f *Fault) error {
		_, err := w.ReviseForm(f.form(), orZero(f.Change).apply)
		return err
	}},
	{kind: RefuseForm, group: ActionFaults, needs: "form", act: func(w *World, f *Fault) error {
		return w.RefuseForm(f.form(), cmp.Or(f.Status, http.StatusNotFound))
	}},
	{kind: RestoreForm, group: ActionFaults, needs: "form", act: func(w *World, f *Fault) error { return w.RefuseForm(f.form(), 0) }},
	{kind: DeleteLeads, group: ActionFaults, needs: "id or owner", act: func(w *World, f *Fault) error {
		if f.ID == "" {
			w.DeleteNewest(f.owner(), cmp.Or(f.Number, 1))
		} else if !w.DeleteLead(f.ID) {
			return fmt.Errorf("there is no lead %q", f.ID)
		}
		return nil
	}},
	{kind: AddLeads, group: ActionFaults, act: func(w *World, f *Fault) error {
		_, err := w.AddLeads(orZero(f.Leads))
		return err
	}},
	{kind: RetireVersion, group: ActionFaults, needs: "version (YYYYMM)", act: func(w *World, f *Fault) error { return w.SetVersion(f.Version, false) }},
	{kind: ActivateVersion, group: ActionFaults, needs: "version (YYYYMM)", act: func(w *World, f *Fault) error { return w.SetVersion(f.Version, true) }},
	{kind: ShiftClock, group: ActionFaults, needs: "shift", act: func(w *World, f *Fault) error { w.shiftClock(f.Shift, f.KeepTokens); return nil }},
	{kind: ChangeSecret, group: ActionFaults, needs: "secret", act: func(w *World, f *Fault) error { w.setSecret(f.Secret); return nil }},

	{kind: LoseDelivery, group: DeliveryFaults},
	{kind: DuplicateDelivery, group: DeliveryFaults},
	{kind: DelayDelivery, group: DeliveryFaults},
	{kind: ReorderDeliveries, group: DeliveryFaults},
}

// given tells which of the things that an action may need are given.
func (f *Fault) given() map[string]bool {
	return map[string]bool{
		"": true, "owner": f.Owner != "", "form": f.form() != 0, "id or owner": f.ID != "" || f.Owner != "",
		"version (YYYYMM)": versionFormat.MatchString(f.Version), "shift": f.Shift != 0, "secret": f.Secret != "",
	}
}

func (f *Fault) owner() int64 {
	owner, _ := reference(f.Owner, organizationPrefix) // was validated
	return owner
}

func (f *Fault) form() int64 {
	form, _ := reference(f.Form, formPrefix) // 0 when it is no form
	return form
}

// orZero is what p points to, the zero value when it is nil.
func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
