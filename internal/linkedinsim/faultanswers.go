package linkedinsim

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"strings"
)

// answerStatus answers with the fault's status, and its body or LinkedIn's
// envelope for the status.
func answerStatus(_ *World, f *Fault) *answer {
	status := cmp.Or(f.Status, http.StatusInternalServerError)
	a := envelopeOf(status).answer()
	if f.Body != "" {
		a.body = []byte(f.Body)
	}
	return a.with("Content-Type", f.ContentType).retry(f.RetryAfter)
}

func answerPage(_ *World, f *Fault) *answer {
	const page = "<!DOCTYPE html><html><head><title>LinkedIn</title></head><body>We'll be back soon.</body></html>"
	return (&answer{status: cmp.Or(f.Status, http.StatusOK), body: []byte(page)}).with("Content-Type", htmlType)
}

func answerNothing(_ *World, f *Fault) *answer {
	return &answer{status: cmp.Or(f.Status, http.StatusOK)}
}

func answerNoElements(*World, *Fault) *answer {
	return &answer{status: http.StatusOK, body: []byte(`{"paging":{"start":0,"count":10,"links":[]}}`)}
}

func answerBudget(w *World, _ *Fault) *answer {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.dayThrottled()
}

func sendBroken(_ *Fault, w http.ResponseWriter, _ *http.Request, a *answer) {
	a.body = a.body[:len(a.body)*2/3]
	a.write(w)
}

// sendHalf promises more than it sends, so that the server closes the
// connection early. A stalled answer stays open as long as the fault says, or
// until the client leaves.
func sendHalf(f *Fault, w http.ResponseWriter, r *http.Request, a *answer) {
	a.open(w, len(a.body)+1)
	_, _ = w.Write(a.body[:len(a.body)/2])
	if f.Kind != Stall {
		return
	}
	_ = http.NewResponseController(w).Flush()
	if f.Latency == 0 {
		<-r.Context().Done()
		return
	}
	wait(r.Context(), f.Latency)
}

// sendReset cuts the connection so that the client sees a reset or, where the
// connection cannot be had, an end in the middle of the answer.
func sendReset(_ *Fault, w http.ResponseWriter, _ *http.Request, _ *answer) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.Header().Set("Content-Length", "1")
		w.WriteHeader(http.StatusOK)
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing then sends RST; without it the client sees EOF, which does as well
	}
	_ = conn.Close()
}

func sendOversize(f *Fault, w http.ResponseWriter, _ *http.Request, a *answer) {
	size := cmp.Or(f.Size, 64<<20)
	a.open(w, size+len(a.body))
	blanks := []byte(strings.Repeat(" ", 1<<16))
	for size > 0 {
		n, err := w.Write(blanks[:min(size, len(blanks))])
		if err != nil {
			return
		}
		size -= n
	}
	_, _ = w.Write(a.body)
}

// sendExtra makes a page longer than it was asked for. What is no page stays as
// it is.
func sendExtra(f *Fault, w http.ResponseWriter, _ *http.Request, a *answer) {
	var p struct {
		Paging   json.RawMessage   `json:"paging"`
		Elements []json.RawMessage `json:"elements"`
	}
	if json.Unmarshal(a.body, &p) == nil && p.Elements != nil {
		more := json.RawMessage("{}")
		if len(p.Elements) > 0 {
			more = p.Elements[0]
		}
		for range cmp.Or(f.Number, 1000) {
			p.Elements = append(p.Elements, more)
		}
		a.body = mustJSON(p)
	}
	a.write(w)
}

// misread is the request as LinkedIn takes it under a fault that ignores a
// parameter.
func (f *scheduled) misread(r *http.Request) *http.Request {
	if f == nil || f.Kind != IgnoreParameter {
		return r
	}
	var kept []string
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if !strings.HasPrefix(pair, cmp.Or(f.Parameter, "submittedAtTimeRange")+"=") {
			kept = append(kept, pair)
		}
	}
	misread := r.Clone(r.Context())
	misread.URL.RawQuery = strings.Join(kept, "&")
	return misread
}
