package web

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"

	"go.uber.org/zap"
)

//go:embed assets
var assets embed.FS

var pages = template.Must(template.ParseFS(assets, "assets/*.html"))

// page is the status page.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	ready := s.opts.Ready()
	s.render(w, http.StatusOK, "status.html", struct {
		View
		Ready Readiness
	}{s.view(r), ready})
}

func (s *Server) render(w http.ResponseWriter, status int, name string, data any) {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name, data); err != nil {
		s.log.Error("rendering a page", zap.String("page", name), zap.Error(err))
		http.Error(w, "the page could not be made; the cause stands in the log", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	s.write(w, status, body.Bytes())
}
