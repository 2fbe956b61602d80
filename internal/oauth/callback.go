package oauth

import (
	"errors"
	"html/template"
	"net/http"
	"strings"
)

// Callback is the handler for the path of the redirect URL. It finishes the consent
// and tells the person the outcome, on a plain page without scripts, external assets
// or any of the request's parameters. It answers a foreign state with 401 and changes
// nothing. It calls done, which may be nil, with every other outcome before it writes
// the answer.
func (s *Session) Callback(done func(Token, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			writePage(w, http.StatusMethodNotAllowed, "Not here", "This address only takes LinkedIn's answer to a consent.")
			return
		}
		t, err := s.Complete(r.Context(), r.URL.Query(), "")
		if done != nil && !errors.Is(err, ErrState) {
			done(t, err)
		}
		status, title, text := outcome(err)
		writePage(w, status, title, text)
	})
}

// outcome is the page for the result of a consent.
func outcome(err error) (status int, title, text string) {
	var needed *ConsentNeededError
	var app *AppRefusedError
	var elsewhere *StateError
	switch {
	case err == nil:
		return http.StatusOK, "Connected to LinkedIn", "leadstream may read the leads now. You can close this page."
	case errors.As(err, &elsewhere) && elsewhere.BegunFor != nil:
		return http.StatusUnauthorized, "This consent belongs elsewhere", elsewhere.Elsewhere()
	case errors.Is(err, ErrState):
		return http.StatusUnauthorized, "This link is not valid",
			"It was not issued here, was used before or is older than 30 minutes. Nothing has changed. Begin the login again."
	case errors.As(err, &needed):
		return http.StatusForbidden, "Not connected", sentence(string(needed.Reason)) + " What to do stands in the program's output."
	case errors.As(err, &app):
		return http.StatusBadGateway, "Not connected",
			"LinkedIn refused the app's credentials: linkedin.client_id or linkedin.client_secret is wrong."
	}
	return http.StatusBadGateway, "Not connected",
		"The consent could not be finished. The cause stands in the program's output. Begin the login again."
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}} · leadstream</title></head>
<body><main><h1>{{.Title}}</h1><p>{{.Text}}</p></main></body>
</html>
`))

func writePage(w http.ResponseWriter, status int, title, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Referrer-Policy", "no-referrer") // the address holds a code
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = page.Execute(w, struct{ Title, Text string }{title, text}) // the browser has gone away
}
