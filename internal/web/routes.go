package web

import (
	"bytes"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"
)

// forPrograms marks a route that no person opens: without the password it is
// answered with 401 instead of the login page.
const forPrograms = "api"

// routes is the whole surface.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.opts.Metrics)

	mux.HandleFunc("GET /{$}", s.member("", s.page))
	mux.HandleFunc("GET /api/status", s.member(forPrograms, s.status))
	mux.HandleFunc("GET /login", s.login)
	mux.HandleFunc("POST /login", s.loggedIn)
	mux.HandleFunc("POST /logout", s.logout)
	for _, name := range []string{"style.css", "page.js", "icon.svg"} {
		mux.HandleFunc("GET /"+name, asset(name))
	}

	if s.opts.Consent != nil {
		mux.HandleFunc("GET /oauth/login", s.member("consent", s.connectForm))
		mux.HandleFunc("POST /oauth/login", s.member("consent", s.connect))
		mux.HandleFunc("GET /oauth/disconnect", s.member("disconnect", s.disconnectForm))
		mux.HandleFunc("POST /oauth/disconnect", s.member("disconnect", s.disconnect))
		// Without a session: LinkedIn's answer may be to leadstream auth login,
		// and its state proves more than a session would.
		mux.HandleFunc("GET "+callbackPath, s.callback)
	}
	return s.guard(mux)
}

// health says that the process is alive, which an answer proves.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	s.write(w, http.StatusOK, []byte("ok\n"))
}

// ready says whether the connector is of use; with strict=1 also whether
// anything at all is amiss.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ready := s.opts.Ready()
	status := http.StatusOK
	if !ready.Ready || r.URL.Query().Get("strict") == "1" && len(ready.Degraded) > 0 {
		status = http.StatusServiceUnavailable
	}
	s.writeJSON(w, status, ready)
}

// status is the page's content for programs.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	v := s.view(r)
	v.Problems = s.statusPage(v, s.opts.Ready()).Problems
	s.writeJSON(w, http.StatusOK, v)
}

func (s *Server) view(r *http.Request) View {
	v := s.opts.View(r.Context())
	if v.Time.IsZero() {
		v.Time = s.now().UTC()
	}
	return v
}

// writeJSON answers with a value; an empty list stands as [], never as null.
func (s *Server) writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value, jsontext.WithIndent("  "))
	if err != nil {
		s.fail(w, "encoding an answer as JSON", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	s.write(w, status, append(body, '\n'))
}

// refuse answers with a plain sentence and what to do.
func (s *Server) refuse(w http.ResponseWriter, status int, problem, todo string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	s.write(w, status, []byte(problem+"\n"+todo+"\n"))
}

func (s *Server) write(w http.ResponseWriter, status int, body []byte) {
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.log.Debug("answering a request", zap.Error(err)) // the client has gone
	}
}

// render answers with a page, whole or not at all.
func (s *Server) render(w http.ResponseWriter, status int, name string, data any) {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name, data); err != nil {
		s.fail(w, "making the page "+name, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	s.write(w, status, body.Bytes())
}

// asset serves one embedded file.
func asset(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, assets, "assets/"+name)
	}
}
