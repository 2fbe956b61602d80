package linkedinsim

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// answer is the answer to a request before it is sent, so that a fault can
// still spoil it.
type answer struct {
	status int
	header map[string]string // Content-Type is application/json when not given
	body   []byte
}

const htmlType = "text/html; charset=utf-8"

// write sends the answer as it is. A write that fails means that the client has
// gone; there is nobody to tell.
func (a *answer) write(w http.ResponseWriter) {
	a.open(w, len(a.body))
	_, _ = w.Write(a.body)
}

// open sends the headers, for a body of that length.
func (a *answer) open(w http.ResponseWriter, length int) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(length))
	for name, value := range a.header {
		h.Set(name, value)
	}
	if a.status == http.StatusNoContent {
		h.Del("Content-Type")
		h.Del("Content-Length")
	}
	w.WriteHeader(a.status)
}

// with is the answer with a header, unless that is empty.
func (a *answer) with(name, value string) *answer {
	if value == "" {
		return a
	}
	if a.header == nil {
		a.header = map[string]string{}
	}
	a.header[name] = value
	return a
}

// retry is the answer with a Retry-After header, in full seconds.
func (a *answer) retry(after time.Duration) *answer {
	if after <= 0 {
		return a
	}
	return a.with("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
}

// success answers with a resource, given as JSON.
func success(body []byte) *answer { return &answer{status: http.StatusOK, body: body} }

func jsonAnswer(v any) *answer { return success(mustJSON(v)) }

// envelope is LinkedIn's error body (error handling).
type envelope struct {
	Status      int    `json:"status"`
	ServiceCode int    `json:"serviceErrorCode,omitempty"`
	Code        string `json:"code,omitempty"`
	Message     string `json:"message"`
	DetailType  string `json:"errorDetailType,omitempty"`
	Details     any    `json:"errorDetails,omitempty"`
}

func (e envelope) answer() *answer { return &answer{status: e.Status, body: mustJSON(e)} }

// envelopeOf is LinkedIn's body for a status, where it says nothing else.
func envelopeOf(status int) envelope {
	e := map[int]envelope{
		http.StatusBadRequest:      {Code: "ILLEGAL_ARGUMENT"},
		http.StatusUnauthorized:    {Code: "INVALID_ACCESS_TOKEN", ServiceCode: 65600},
		http.StatusForbidden:       {Code: "ACCESS_DENIED", ServiceCode: 100},
		http.StatusNotFound:        {Code: "RESOURCE_NOT_FOUND"},
		http.StatusTooManyRequests: {ServiceCode: 101},
	}[status]
	e.Status, e.Message = status, http.StatusText(status)
	return e
}

// usual is envelopeOf with another message.
func usual(status int, format string, a ...any) *answer {
	e := envelopeOf(status)
	e.Message = fmt.Sprintf(format, a...)
	return e.answer()
}

// refusal answers with a status and no more than a message.
func refusal(status int, message string) *answer {
	return envelope{Status: status, Message: message}.answer()
}

func unauthorized(serviceCode int, code, message string) *answer {
	return envelope{Status: http.StatusUnauthorized, ServiceCode: serviceCode, Code: code, Message: message}.answer()
}

func methodNotAllowed(method string) *answer {
	return refusal(http.StatusMethodNotAllowed, "Method "+method+" is not supported here")
}

func tooLong() *answer { return refusal(http.StatusRequestURITooLong, "Request URI too long") }

// badParam answers that a parameter, or a member of the body, is wrong.
func badParam(name string) *answer {
	return envelope{
		Status: http.StatusBadRequest, Code: "ILLEGAL_ARGUMENT", Message: "Invalid parameter",
		DetailType: "com.linkedin.common.error.BadRequest",
		Details: object{"inputErrors": []object{{
			"description": "Invalid query parameter value", "code": "PARAM_INVALID",
			"input": object{"inputPath": object{"fieldPath": name}},
		}}},
	}.answer()
}

func notFound(what string) *answer { return unreadable(http.StatusNotFound, what) }

// unreadable answers for something that is not there any more or not for this
// member.
func unreadable(status int, what string) *answer {
	switch status {
	case http.StatusNotFound:
		return usual(status, "%s was not found", what)
	case http.StatusForbidden:
		return usual(status, "Not enough permissions to access %s", what)
	case http.StatusGone:
		return envelope{Status: status, Code: "GONE", Message: what + " is gone"}.answer()
	}
	return refusal(status, what+" cannot be read")
}

// throttled answers that a limit is reached.
func throttled(limit string) *answer {
	return usual(http.StatusTooManyRequests, "Resource level throttle %slimit for calls to this resource is reached.", limit)
}

// dayThrottled answers that the requests of the day are used up.
func (w *World) dayThrottled() *answer {
	limit := "APPLICATION_AND_MEMBER DAY "
	if w.switches.BareThrottle {
		limit = ""
	}
	a := throttled(limit)
	if w.switches.RetryAfter {
		a.retry(untilMidnight(w.clock.now()))
	}
	return a
}

func untilMidnight(now time.Time) time.Duration { return now.Truncate(day).Add(day).Sub(now) }
