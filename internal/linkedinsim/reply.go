package linkedinsim

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// answer is an answer before it is sent, so that a fault can still spoil it.
type answer struct {
	status      int
	contentType string // default application/json
	location    string
	restliID    string // x-restli-id, of what was made
	retryAfter  time.Duration
	body        []byte
	pooled      *[]byte // body's buffer, to be given back; may be nil
}

// buffers hold the bodies of pages.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1<<16); return &b }}

func (r *answer) release() {
	if r.pooled != nil {
		*r.pooled = r.body[:0]
		buffers.Put(r.pooled)
		r.pooled, r.body = nil, nil
	}
}

func jsonAnswer(v any) *answer { return &answer{status: http.StatusOK, body: mustJSON(v)} }

// envelope is LinkedIn's error body (error handling).
type envelope struct {
	Status      int           `json:"status"`
	ServiceCode int           `json:"serviceErrorCode,omitempty"`
	Code        string        `json:"code,omitempty"`
	Message     string        `json:"message"`
	DetailType  string        `json:"errorDetailType,omitempty"`
	Details     *errorDetails `json:"errorDetails,omitempty"`
}

type errorDetails struct {
	InputErrors []inputError `json:"inputErrors"`
}

type inputError struct {
	Description string `json:"description"`
	Code        string `json:"code"`
	Input       struct {
		InputPath struct {
			FieldPath string `json:"fieldPath"`
		} `json:"inputPath"`
	} `json:"input"`
}

func (e envelope) answer() *answer { return &answer{status: e.Status, body: mustJSON(e)} }

func badParam(name string) *answer {
	in := inputError{Description: "Invalid query parameter value", Code: "PARAM_INVALID"}
	in.Input.InputPath.FieldPath = name
	return envelope{
		Status: http.StatusBadRequest, Code: "ILLEGAL_ARGUMENT", Message: "Invalid parameter",
		DetailType: "com.linkedin.common.error.BadRequest", Details: &errorDetails{[]inputError{in}},
	}.answer()
}

func badSyntax(name string) *answer {
	return envelope{Status: http.StatusBadRequest, Message: "java.net.URISyntaxException: Illegal character in query at parameter " + name}.answer()
}

func notFound(what string) *answer {
	return envelope{Status: http.StatusNotFound, Code: "RESOURCE_NOT_FOUND", Message: what + " was not found"}.answer()
}

// refusal answers for something that is not there any more or not for this member.
func refusal(status int, what string) *answer {
	switch status {
	case http.StatusNotFound:
		return notFound(what)
	case http.StatusGone:
		return envelope{Status: status, Code: "GONE", Message: what + " is gone"}.answer()
	case http.StatusForbidden:
		return envelope{Status: status, ServiceCode: 100, Code: "ACCESS_DENIED", Message: "Not enough permissions to access " + what}.answer()
	}
	return envelope{Status: status, Message: what + " cannot be read"}.answer()
}

func unauthorized(serviceCode int, code, message string) *answer {
	return envelope{Status: http.StatusUnauthorized, ServiceCode: serviceCode, Code: code, Message: message}.answer()
}

func throttled(limit string, retryAfter time.Duration) *answer {
	r := envelope{Status: http.StatusTooManyRequests, ServiceCode: 101, Message: "Resource level throttle " + limit + "limit for calls to this resource is reached."}.answer()
	r.retryAfter = retryAfter
	return r
}

// dayThrottled answers that the requests of the day are used up.
func (s *Server) dayThrottled() *answer {
	sw := s.Switches()
	limit, retryAfter := "APPLICATION_AND_MEMBER DAY ", time.Duration(0)
	if sw.BareThrottle {
		limit = ""
	}
	if sw.RetryAfter {
		retryAfter = untilMidnight(s.Now())
	}
	return throttled(limit, retryAfter)
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

const htmlType = "text/html; charset=utf-8"

// write sends the reply as it is. A write that fails means that the client has
// gone; there is nobody to tell.
func (r *answer) write(w http.ResponseWriter) {
	r.header(w, len(r.body))
	_, _ = w.Write(r.body)
}

func (r *answer) header(w http.ResponseWriter, length int) {
	h := w.Header()
	contentType := r.contentType
	if contentType == "" {
		contentType = "application/json"
	}
	if r.status != http.StatusNoContent {
		h.Set("Content-Type", contentType)
		h.Set("Content-Length", strconv.Itoa(length))
	}
	if r.restliID != "" {
		h.Set("X-RestLi-Id", r.restliID)
	}
	if r.location != "" {
		h.Set("Location", r.location)
	}
	if r.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((r.retryAfter+time.Second-1)/time.Second)))
	}
	w.WriteHeader(r.status)
}
