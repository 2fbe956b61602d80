package web

import (
	"bytes"
	"encoding/json"
	"log"
	"net/http"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// routes is the whole surface.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.opts.Metrics)
	mux.HandleFunc("GET /api/status", s.status)
	mux.HandleFunc("GET /{$}", s.page)
	return mux
}

// health says that the process is alive, which an answer proves.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	s.write(w, http.StatusOK, []byte("ok\n"))
}

// ready says whether the connector is of use; with strict=1 also whether
// anything at all is amiss.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ready := s.opts.Ready()
	if ready.Degraded == nil {
		ready.Degraded = []Degradation{}
	}
	status := http.StatusOK
	if !ready.Ready || r.URL.Query().Get("strict") == "1" && len(ready.Degraded) > 0 {
		status = http.StatusServiceUnavailable
	}
	s.writeJSON(w, status, ready)
}

// status is the page's content for programs.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	s.writeJSON(w, http.StatusOK, s.view(r))
}

func (s *Server) view(r *http.Request) View {
	v := s.opts.View(r.Context())
	if v.Time.IsZero() {
		v.Time = s.now().UTC()
	}
	return v
}

func (s *Server) writeJSON(w http.ResponseWriter, status int, value any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		s.log.Error("encoding an answer as JSON", zap.Error(err))
		http.Error(w, "the answer could not be encoded; the cause stands in the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	s.write(w, status, body.Bytes())
}

func (s *Server) write(w http.ResponseWriter, status int, body []byte) {
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.log.Debug("answering a request", zap.Error(err)) // the client has gone
	}
}

// stdLog takes net/http's own complaints, such as a failing accept.
func stdLog(l *zap.Logger) *log.Logger {
	std, err := zap.NewStdLogAt(l, zapcore.WarnLevel)
	if err != nil { // only for a level that zap does not know
		return nil
	}
	return std
}
