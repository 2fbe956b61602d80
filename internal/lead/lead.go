// Package lead is the domain of leadstream: sources, windows of submission
// time, lead forms and the responses to them, in LinkedIn's own words. It
// holds values only and imports the standard library alone, so that every
// other package can speak of the same things without knowing each other.
//
// Source of the facts named here: LinkedIn Lead Sync API (leadForms,
// leadFormResponses) and Event Management API (events).
package lead

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Source is what is polled: the leads of one type that belong to one owner.
type Source struct {
	// Owner is the URN of an organization, urn:li:organization:<id>.
	Owner string
	// Type is LinkedIn's lead type, for example EVENT. It is an open string:
	// LinkedIn adds values without a new API version.
	Type string
}

// String is the form used in logs and in checkpoint keys: owner/type.
func (s Source) String() string { return s.Owner + "/" + s.Type }

// Window is a half-open interval of submission time, From <= t < To, in
// milliseconds. Everything leadstream does is done to a window.
type Window struct {
	From, To time.Time
}

// Empty reports whether no moment lies in the window.
func (w Window) Empty() bool { return !w.From.Before(w.To) }

// Contains reports whether t lies in the window.
func (w Window) Contains(t time.Time) bool { return !t.Before(w.From) && t.Before(w.To) }

// Overlaps reports whether some moment lies in both windows.
func (w Window) Overlaps(o Window) bool { return w.From.Before(o.To) && o.From.Before(w.To) }

// Without are the parts of w that do not lie in o, none to two.
func (w Window) Without(o Window) []Window {
	if !w.Overlaps(o) {
		return []Window{w}
	}
	var parts []Window
	if w.From.Before(o.From) {
		parts = append(parts, Window{w.From, o.From})
	}
	if o.To.Before(w.To) {
		parts = append(parts, Window{o.To, w.To})
	}
	return parts
}

// Length is the time between the two bounds.
func (w Window) Length() time.Duration { return w.To.Sub(w.From) }

// String is for logs: both bounds in UTC with milliseconds.
func (w Window) String() string {
	return fmt.Sprintf("[%s, %s)", FormatTime(w.From), FormatTime(w.To))
}

// TimeLayout is RFC 3339 with milliseconds, the way times are written in
// headers, logs and keys.
const TimeLayout = "2006-01-02T15:04:05.000Z07:00"

// FormatTime formats a time in UTC with milliseconds.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeLayout) }

// FromMillis is the UTC time of epoch milliseconds, LinkedIn's unit for times.
func FromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// Organization is one company page that the authorising member has a role on.
type Organization struct {
	URN  string
	Name string
	// Roles are the member's approved roles, sorted, as LinkedIn spells them.
	Roles []string
	// Problem says why its event leads cannot be read, and Todo what a person can
	// do about it; empty when they can.
	Problem, Todo string
	// Incidental: nobody asked for this page by name, the member merely has some
	// other role on it. Its Problem is then no failure of the installation.
	Incidental bool
}

// The roles that may read an organization's events and their leads.
// Source: Lead Sync API, permissions; Event Management API.
const (
	RoleAdministrator = "ADMINISTRATOR"
	RoleContentAdmin  = "CONTENT_ADMINISTRATOR"
)

// Access says why roles on a page do not read its event leads, and what to do
// about it; both are empty when they do.
func Access(roles []string) (problem, todo string) {
	if slices.Contains(roles, RoleAdministrator) || slices.Contains(roles, RoleContentAdmin) {
		return "", ""
	}
	problem = "the authorising member has no role on this page"
	if len(roles) > 0 {
		problem = "the authorising member is " + strings.Join(roles, ", ") + " of this page, which does not read event leads"
	}
	return problem, "a super admin of the page makes the member " + RoleAdministrator + " or " + RoleContentAdmin +
		" on LinkedIn (the page, Settings, Manage admins); it is noticed by itself, and what was missed is read"
}

// Event is a LinkedIn event that has a lead form.
type Event struct {
	URN      string
	Name     string
	Owner    string // URN of the organizer
	StartsAt time.Time
	// Form is the form the event asks for. Version is 0 when the event names
	// the form without one.
	Form FormRef
}

// Response is one element of leadFormResponses: one submission of a form.
// Its identity is (ID, SubmittedAt); LinkedIn reuses an id when a member
// registers again.
type Response struct {
	ID          string
	SubmittedAt time.Time // UTC, millisecond precision; zero when unreadable
	Owner       string    // URN
	Type        string    // lead type
	Submitter   string    // URN, app-scoped; personal data; empty when absent
	Form        FormRef
	Event       string // URN; empty when absent
	Test        bool
	Answers     []Answer
	Consents    []ConsentAnswer
	// Faults are parts of the element, other than answers, that could not be
	// read; the response is good without them.
	Faults []Fault
	// Raw is the element as LinkedIn sent it: one JSON object.
	Raw []byte
	// FetchedAt is our clock when the page that held the element arrived.
	FetchedAt time.Time
	// Unreadable says why the element cannot be a lead at all (no id, no time,
	// no form, answers that are not a list); empty for a good response. ID,
	// SubmittedAt and Form then hold what could be read. It never quotes a value.
	Unreadable string
	// Contradicts says that the element can be read and is not what LinkedIn was
	// asked for, such as a lead of another time. Unreadable says how.
	Contradicts bool
}

const (
	// ordinaryBytes is what an ordinary response takes at most.
	ordinaryBytes = 4 << 10
	// weightBytes is how much more adds 1 to a response's weight.
	weightBytes = 1 << 10
)

// Weight is as how many ordinary responses this one counts wherever their number
// is bounded for the sake of memory: 1 up to 4 KiB, and 1 more for each KiB above.
func (r *Response) Weight() int {
	size := len(r.Raw) + 100*len(r.Answers) + 16*len(r.Consents) + 32*len(r.Faults)
	for i := range r.Answers {
		size += 8 * len(r.Answers[i].Options)
	}
	return 1 + max(size-ordinaryBytes, 0)/weightBytes
}

// Weigh is the weight of all these responses.
func Weigh(responses []Response) (weight int) {
	for i := range responses {
		weight += responses[i].Weight()
	}
	return weight
}

// Answer is the answer to one question. Exactly one of Text, Options and Raw
// says what was answered.
type Answer struct {
	QuestionID int64
	Kind       AnswerKind
	Text       string
	Options    []int64 // ids of the options chosen, as of the answered form version
	// Raw is the answerDetails value as it came, for an answer of unknown or
	// broken shape (Kind UnknownAnswer).
	Raw []byte
	// Problem says why the answer could not be read; never quotes it.
	Problem string
}

// AnswerKind tells which member of the answerDetails union an answer used.
type AnswerKind uint8

const (
	UnknownAnswer AnswerKind = iota // unreadable, or of a kind LinkedIn added later
	TextAnswer
	ChoiceAnswer
)

// ConsentAnswer says whether a consent of the form was given.
type ConsentAnswer struct {
	ConsentID int64
	Accepted  bool
	// Problem is why Accepted could not be read; empty when it could. It never
	// quotes the value. Raw is then the whole as LinkedIn sent it.
	Problem string
	Raw     []byte
}

// Fault is a part of a response that could not be read.
type Fault struct {
	Field   string // the JSON path below the element, for example testLead
	Problem string // why; never quotes the value
}

// AppendTime appends FormatTime(t) to b.
func AppendTime(b []byte, t time.Time) []byte { return t.UTC().AppendFormat(b, TimeLayout) }

// Retained is how long LinkedIn keeps leads readable (Lead Sync API: 365 days).
const Retained = 365 * 24 * time.Hour

// Earlier is the earlier of two times.
func Earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Later is the later of two times.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
