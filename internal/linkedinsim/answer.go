package linkedinsim

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// answer is the answer to a request before it is sent, so that a fault can
// still spoil it.
type answer struct {
	status      int
	contentType string // default application/json
	location    string
	restliID    string // x-restli-id, of what was made
	retryAfter  time.Duration
	body        []byte
	pooled      *[]byte // body's buffer, to be given back; may be nil
}

const htmlType = "text/html; charset=utf-8"

// buffers hold the bodies of pages.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1<<16); return &b }}

func (a *answer) release() {
	if a.pooled != nil {
		*a.pooled = a.body[:0]
		buffers.Put(a.pooled)
		a.pooled, a.body = nil, nil
	}
}

// write sends the answer as it is. A write that fails means that the client has
// gone; there is nobody to tell.
func (a *answer) write(w http.ResponseWriter) {
	a.header(w, len(a.body))
	_, _ = w.Write(a.body)
}

func (a *answer) header(w http.ResponseWriter, length int) {
	h := w.Header()
	if a.status != http.StatusNoContent {
		h.Set("Content-Type", a.contentType)
		if a.contentType == "" {
			h.Set("Content-Type", "application/json")
		}
		h.Set("Content-Length", strconv.Itoa(length))
	}
	if a.restliID != "" {
		h.Set("X-RestLi-Id", a.restliID)
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	if a.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((a.retryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(a.status)
}

func jsonAnswer(v any) *answer { return &answer{status: http.StatusOK, body: mustJSON(v)} }

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

// refusal answers with a status and no more than a message.
func refusal(status int, message string) *answer {
	return envelope{Status: status, Message: message}.answer()
}

func methodNotAllowed(method string) *answer {
	return refusal(http.StatusMethodNotAllowed, "Method "+method+" is not supported here")
}

func tooLong() *answer { return refusal(http.StatusRequestURITooLong, "Request URI too long") }

// illegal answers that an argument is wrong.
func illegal(message string) *answer {
	return envelope{Status: http.StatusBadRequest, Code: "ILLEGAL_ARGUMENT", Message: message}.answer()
}

// badParam answers that a parameter, or a member of the body, is wrong.
func badParam(name string) *answer {
	type object = map[string]any
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
	e := envelopeOf(status)
	switch status {
	case http.StatusNotFound:
		e.Message = what + " was not found"
	case http.StatusGone:
		e.Code, e.Message = "GONE", what+" is gone"
	case http.StatusForbidden:
		e.Message = "Not enough permissions to access " + what
	default:
		return refusal(status, what+" cannot be read")
	}
	return e.answer()
}

// envelopeOf is LinkedIn's body for a status, where it says nothing else.
func envelopeOf(status int) envelope {
	e := envelope{Status: status, Message: http.StatusText(status)}
	switch status {
	case http.StatusBadRequest:
		e.Code = "ILLEGAL_ARGUMENT"
	case http.StatusUnauthorized:
		e.Code, e.ServiceCode = "INVALID_ACCESS_TOKEN", 65600
	case http.StatusForbidden:
		e.Code, e.ServiceCode = "ACCESS_DENIED", 100
	case http.StatusNotFound:
		e.Code = "RESOURCE_NOT_FOUND"
	case http.StatusTooManyRequests:
		e.ServiceCode = 101
	}
	return e
}

func unauthorized(serviceCode int, code, message string) *answer {
	return envelope{Status: http.StatusUnauthorized, ServiceCode: serviceCode, Code: code, Message: message}.answer()
}

// throttled answers that a limit is reached.
func throttled(limit string, retryAfter time.Duration) *answer {
	e := envelopeOf(http.StatusTooManyRequests)
	e.Message = "Resource level throttle " + limit + "limit for calls to this resource is reached."
	a := e.answer()
	a.retryAfter = retryAfter
	return a
}

// dayThrottled answers that the requests of the day are used up.
func (w *World) dayThrottled() *answer {
	limit, retryAfter := "APPLICATION_AND_MEMBER DAY ", time.Duration(0)
	if w.switches.BareThrottle {
		limit = ""
	}
	if w.switches.RetryAfter {
		retryAfter = untilMidnight(w.clock.now())
	}
	return throttled(limit, retryAfter)
}

func untilMidnight(now time.Time) time.Duration { return now.Truncate(day).Add(day).Sub(now) }
