package linkedinsim

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// replaces reports whether the fault answers in place of the API.
func (f *Fault) replaces() bool {
	if f == nil {
		return false
	}
	switch f.Kind {
	case StatusFault, HTML, Empty, NoElements, Throttle, Budget:
		return true
	default:
		return false
	}
}

// reply is the answer of a fault that replaces the API's.
func (f *Fault) reply(s *Server) *reply {
	switch f.Kind {
	case HTML:
		return &reply{
			status: orDefault(f.Status, http.StatusOK), contentType: "text/html; charset=utf-8",
			body: []byte("<!DOCTYPE html><html><head><title>LinkedIn</title></head><body>We'll be back soon.</body></html>"),
		}
	case Empty:
		return &reply{status: orDefault(f.Status, http.StatusOK)}
	case NoElements:
		return &reply{status: http.StatusOK, body: []byte(`{"paging":{"start":0,"count":10,"links":[]}}`)}
	case Throttle:
		return throttled("", f.RetryAfter)
	case Budget:
		c := call{sw: s.Switches()}
		return throttled(c.sw.limitOfTheDay(), c.retryAfter(untilMidnight(s.Now())))
	default: // StatusFault
		status := orDefault(f.Status, http.StatusInternalServerError)
		r := refusalEnvelope(status).reply()
		if f.Body != "" {
			r = &reply{status: status, body: []byte(f.Body)}
		}
		r.contentType, r.retryAfter = f.ContentType, f.RetryAfter
		return r
	}
}

// refusalEnvelope is LinkedIn's body for a status, where it says nothing else.
func refusalEnvelope(status int) envelope {
	codes := map[int]string{
		http.StatusNotFound: "RESOURCE_NOT_FOUND", http.StatusForbidden: "ACCESS_DENIED",
		http.StatusBadRequest: "ILLEGAL_ARGUMENT", http.StatusUnauthorized: "INVALID_ACCESS_TOKEN",
	}
	e := envelope{Status: status, Code: codes[status], Message: http.StatusText(status)}
	switch status {
	case http.StatusForbidden:
		e.ServiceCode = 100
	case http.StatusUnauthorized:
		e.ServiceCode = 65600
	case http.StatusTooManyRequests:
		e.ServiceCode = 101
	}
	return e
}

// send sends the answer, spoiled when the fault is of that sort. Where a client
// has gone meanwhile there is nobody to tell.
func (f *Fault) send(w http.ResponseWriter, r *http.Request, answer *reply) {
	if f == nil {
		answer.write(w)
		return
	}
	switch f.Kind {
	case BrokenJSON:
		answer.body = answer.body[:len(answer.body)*2/3]
		answer.write(w)
	case Truncated, Stall:
		// More is promised than sent: the server closes the connection early.
		answer.header(w, len(answer.body)+1)
		_, _ = w.Write(answer.body[:len(answer.body)/2])
		if f.Kind == Stall {
			_ = http.NewResponseController(w).Flush()
			f.stall(r)
		}
	case Reset:
		reset(w)
	case ExtraElements:
		answer.body = f.stretch(answer.body)
		answer.write(w)
	case Oversize:
		size := orDefault(f.Size, 64<<20)
		answer.header(w, size+len(answer.body))
		blanks := strings.Repeat(" ", 1<<16)
		for size > 0 {
			n, err := w.Write([]byte(blanks[:min(size, len(blanks))]))
			if err != nil {
				return
			}
			size -= n
		}
		_, _ = w.Write(answer.body)
	default:
		answer.write(w)
	}
}

// misread is the request as LinkedIn takes it.
func (f *Fault) misread(r *http.Request) *http.Request {
	if f == nil || f.Kind != IgnoreParameter {
		return r
	}
	var kept []string
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if !strings.HasPrefix(pair, cmp.Or(f.Parameter, "submittedAtTimeRange")+"=") {
			kept = append(kept, pair)
		}
	}
	out := r.Clone(r.Context())
	out.URL.RawQuery = strings.Join(kept, "&")
	return out
}

// stretch is a page with more elements than it was asked for; what is no page
// stays as it is.
func (f *Fault) stretch(body []byte) []byte {
	var p struct {
		Paging   json.RawMessage   `json:"paging"`
		Elements []json.RawMessage `json:"elements"`
	}
	if json.Unmarshal(body, &p) != nil || p.Elements == nil {
		return body
	}
	more := json.RawMessage("{}")
	if len(p.Elements) > 0 {
		more = p.Elements[0]
	}
	for range orDefault(f.Number, 1000) {
		p.Elements = append(p.Elements, more)
	}
	return mustJSON(p)
}

// stall waits as long as the fault says, or until the client leaves.
func (f *Fault) stall(r *http.Request) {
	if f.Latency == 0 {
		<-r.Context().Done()
		return
	}
	wait(r.Context(), f.Latency)
}

// reset cuts the connection so that the client sees a reset, or, where the
// connection cannot be had, an end in the middle of the answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.Header().Set("Content-Length", strconv.Itoa(1))
		w.WriteHeader(http.StatusOK)
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing then sends RST; without it the client sees EOF, which does as well
	}
	_ = conn.Close()
}
