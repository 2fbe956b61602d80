package linkedin

import (
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// APIError is an answer by which LinkedIn refused a request, after the retries
// that made sense. It never quotes a body, only the message of LinkedIn's error
// envelope, shortened.
//
// Source: LinkedIn API guide, Error Handling.
type APIError struct {
	Endpoint    string
	Status      int    // HTTP status
	Code        string // the envelope's code, for example ACCESS_DENIED; may be empty
	ServiceCode int    // the envelope's serviceErrorCode; 0 when absent
	Message     string // the envelope's message, for people only; may be empty
	Parameter   string // the parameter that LinkedIn objects to; may be empty
	RequestID   string // x-li-uuid, for LinkedIn's support; may be empty
	// After is the least wait before the same request makes sense; 0 when
	// LinkedIn asked for none.
	After time.Duration

	daily bool // it speaks of a limit of the day
	held  bool // it is ours: no request was made, after others were refused
}

// Error names the endpoint, the answer and what to do about it.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "LinkedIn's %s answered %d", e.Endpoint, e.Status)
	if e.Code != "" {
		fmt.Fprintf(&b, " %s", e.Code)
	}
	if e.ServiceCode != 0 {
		fmt.Fprintf(&b, " (service code %d)", e.ServiceCode)
	}
	if e.Parameter != "" {
		fmt.Fprintf(&b, " about %s", e.Parameter)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, " %q", e.Message)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " [x-li-uuid %s]", e.RequestID)
	}
	if todo := e.Todo(); todo != "" {
		b.WriteString("; " + todo)
	}
	return b.String()
}

// Todo is what to do about it, read by fault.TodoOf; empty for what time fixes.
func (e *APIError) Todo() string {
	switch {
	case e.Status == http.StatusUpgradeRequired, e.Code == CodeVersionMissing:
		return "set linkedin.version to a version that LinkedIn still serves"
	case e.Denied():
		return "give the authorising member the page role, and the token the scope, that this takes"
	case e.Status == http.StatusUnauthorized:
		return "the access token is not accepted: press Reconnect LinkedIn on the status page, or run `leadstream auth login`"
	case e.Status == http.StatusTooManyRequests:
		return "nothing: it is asked again after a pause"
	case e.Status == http.StatusNotFound, e.Status == http.StatusGone:
		return "nothing, if it was deleted on LinkedIn; else give the authorising member access to it"
	case e.Fault() == fault.Suspend:
		return "see whether a newer release of leadstream asks otherwise; if not, report this with the x-li-uuid"
	}
	return ""
}

const (
	codeAccessDenied = "ACCESS_DENIED"
	// serviceAccessDenied is the serviceErrorCode of a missing scope or role.
	serviceAccessDenied = 100
)

// Denied reports a missing role or scope, which LinkedIn sometimes answers with
// 401 instead of 403; the codes tell it from a token that is not accepted.
func (e *APIError) Denied() bool {
	return e.Status == http.StatusForbidden ||
		e.Status == http.StatusUnauthorized && (e.Code == codeAccessDenied || e.ServiceCode == serviceAccessDenied)
}

// Fault is Pause for a token or an API version that is not accepted, Suspend
// for what LinkedIn refuses for good, else Retry.
func (e *APIError) Fault() fault.Kind {
	switch {
	case e.Status == http.StatusUpgradeRequired, e.Code == CodeVersionMissing:
		return fault.Pause
	case e.Denied():
		return fault.Suspend
	case e.Status == http.StatusUnauthorized:
		return fault.Pause
	case e.Status == http.StatusRequestTimeout, e.Status == http.StatusTooEarly, e.Status == http.StatusTooManyRequests:
		return fault.Retry
	case e.Status >= 400 && e.Status < 500:
		return fault.Suspend
	}
	return fault.Retry
}

// RetryAfter is read by fault.DelayOf.
func (e *APIError) RetryAfter() time.Duration { return e.After }

// Answered implements the classification read by fault.Answered.
func (e *APIError) Answered() bool { return true }

// Refusal tells the refusals apart, read by fault.RefusalOf. What a request for
// one thing calls gone may be lost access where a list of an organization was
// asked for: integrators have seen 404 there instead of 403.
func (e *APIError) Refusal() fault.Refusal {
	switch {
	case e.Status == http.StatusNotFound, e.Status == http.StatusGone:
		return fault.Gone
	case e.Denied(), e.Status == http.StatusUnauthorized:
		return fault.Forbidden
	case e.Fault() == fault.Suspend, e.Fault() == fault.Pause:
		return fault.Wrong
	}
	return fault.NotRefused
}

// AnswerError is a successful answer that says nothing: an empty, truncated or
// oversized body, HTML instead of JSON, a list without its elements, something
// else than was asked for. It is a failure of the moment and never means "no
// leads".
type AnswerError struct {
	Endpoint  string
	Status    int
	Problem   string // what is wrong with the body; never quotes it
	RequestID string // x-li-uuid; may be empty
	Err       error  // the cause; may be nil

	// tooLong: it is longer than an answer may be, and head is its beginning.
	tooLong bool
	head    []byte
}

// Error names the endpoint and what is wrong with its answer.
func (e *AnswerError) Error() string {
	b := fmt.Sprintf("LinkedIn's %s answered %d with a body that cannot be used: %s", e.Endpoint, e.Status, e.Problem)
	if e.RequestID != "" {
		b += fmt.Sprintf(" [x-li-uuid %s]", e.RequestID)
	}
	return b + "; it is asked again later"
}

// Unwrap is the cause.
func (e *AnswerError) Unwrap() error { return e.Err }

// Fault is Retry.
func (e *AnswerError) Fault() fault.Kind { return fault.Retry }

// TimelessError says that no answer has told LinkedIn's time yet: nothing may be asked for
// before that is known.
type TimelessError struct {
	Endpoint string
	Date     string // as the answer has it; empty when it has none
}

// Error names the endpoint and its Date.
func (e *TimelessError) Error() string {
	what := "without the header Date"
	if e.Date != "" {
		what = fmt.Sprintf("with the Date %.60q, which is none", e.Date)
	}
	return fmt.Sprintf("LinkedIn's %s answered %s; up to which time leads can be asked for is not known", e.Endpoint, what)
}

// Fault is Retry.
func (e *TimelessError) Fault() fault.Kind { return fault.Retry }

// Todo is what a person can do about it.
func (e *TimelessError) Todo() string {
	return "see what stands between leadstream and LinkedIn, such as a proxy, and have it pass on the header Date as it comes"
}

// TransportError is a request that got no answer.
type TransportError struct {
	Endpoint string
	Err      error
}

// Error names the endpoint and the cause.
func (e *TransportError) Error() string {
	return fmt.Sprintf("asking LinkedIn's %s: %v", e.Endpoint, e.Err)
}

// Unwrap is the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// Fault is what the cause declares, for example that consent is needed; else Retry.
func (e *TransportError) Fault() fault.Kind { return fault.KindOf(e.Err) }

// RetryAfter is what the cause asks for.
func (e *TransportError) RetryAfter() time.Duration { return fault.DelayOf(e.Err) }

// BudgetError says that an endpoint is left alone for a while: LinkedIn's daily
// limit is used up, our own bound of requests is reached, or requests are spread
// over the day and this one's turn is still to come. No request was made.
type BudgetError struct {
	Endpoint string
	Until    time.Time // when the endpoint may be asked again, by our clock
	// Own is our own bound of requests per day, 0 when LinkedIn set the limit.
	Own int
	// Allowed is how many requests LinkedIn had answered when it stopped the
	// endpoint today; 0 when it did not, or the figure says nothing of its limit.
	Allowed int
	// Pace is how many requests are made in a day since LinkedIn's limit is known;
	// 0 when it was met today.
	Pace int
	// Spread: there are requests left for the day, and others come first.
	Spread bool
}

// Error names the endpoint, the limit and when it ends.
func (e *BudgetError) Error() string {
	return e.limit() + "; " + e.Todo()
}

func (e *BudgetError) limit() string {
	switch until := lead.FormatTime(e.Until); {
	case e.Spread:
		return fmt.Sprintf("the %d requests a day to LinkedIn's %s are spread over the day; the next turn is at %s", e.Pace, e.Endpoint, until)
	case e.Own > 0:
		return fmt.Sprintf("the daily budget of %d requests to LinkedIn's %s is used up until %s", e.Own, e.Endpoint, until)
	case e.Pace > 0:
		return fmt.Sprintf("the %d requests a day to LinkedIn's %s, %d %% of its limit, are used up until %s", e.Pace, e.Endpoint, pacePercent, until)
	case e.Allowed > 0:
		return fmt.Sprintf("LinkedIn's daily limit of %s is used up after %d requests, until %s", e.Endpoint, e.Allowed, until)
	default:
		return fmt.Sprintf("LinkedIn's daily limit of %s is used up until %s", e.Endpoint, until)
	}
}

// Todo is what to do about it, read by fault.TodoOf.
func (e *BudgetError) Todo() string {
	switch {
	case e.Spread:
		return "nothing"
	case e.Own > 0:
		return "nothing: it goes on by itself then; raise `linkedin.daily_budget` if that is too late"
	}
	return "nothing: it goes on by itself then; if that is too late, poll less often or ask LinkedIn for a higher limit"
}

// About is the limit, for fault.Issue.
func (e *BudgetError) About() string { return "the limit of " + e.Endpoint }

// Fault is Retry.
func (e *BudgetError) Fault() fault.Kind { return fault.Retry }

// RetryAfter is the time left until the endpoint may be asked again.
func (e *BudgetError) RetryAfter() time.Duration { return max(time.Until(e.Until), 0) }

// TooManyError says that a window holds more rows than the caller allowed. The
// rows given before it are good; the caller is to cut the window.
type TooManyError struct {
	Source  lead.Source
	Window  lead.Window
	AtLeast int // rows of the window that were seen
	// Estimate is how many rows the window holds: LinkedIn's own figure, else
	// reckoned from the time that the rows seen so far span. At least AtLeast.
	Estimate int
}

// Error names the source, the window and the figures.
func (e *TooManyError) Error() string {
	return fmt.Sprintf("%s of %s holds too many leads to be read at once: about %d; it must be cut", e.Window, e.Source, e.Estimate)
}

// TooMany is the number of rows the window is expected to hold.
func (e *TooManyError) TooMany() int { return e.Estimate }

// Fault is Retry, with shorter windows.
func (e *TooManyError) Fault() fault.Kind { return fault.Retry }

// ScanError says that a list kept changing while it was read page by page, so
// that no reading of it is known to be complete.
type ScanError struct {
	Endpoint string
	Scans    int // how often it was read
}

// Error names the endpoint and how often it was read.
func (e *ScanError) Error() string {
	return fmt.Sprintf("the pages of LinkedIn's %s changed under each of %d readings; it is read again later", e.Endpoint, e.Scans)
}

// Fault is Retry.
func (e *ScanError) Fault() fault.Kind { return fault.Retry }

// clean makes a text of LinkedIn fit for an error: printable and short.
func clean(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s))
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}
