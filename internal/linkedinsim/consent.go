package linkedinsim

import (
	"bytes"
	"html/template"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// consentPage asks the member. Each button posts the form back with a decision.
var consentPage = template.Must(template.New("consent").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Simulated LinkedIn: allow access?</title></head>
<body>
<h1>Simulated LinkedIn</h1>
<p>The app <strong>{{.ClientID}}</strong> would like to:</p>
<ul>{{range .Scopes}}<li>{{.}}</li>{{end}}</ul>
<form method="post" action="/oauth/v2/authorization">
<input type="hidden" name="response_type" value="code">
<input type="hidden" name="client_id" value="{{.ClientID}}">
<input type="hidden" name="redirect_uri" value="{{.RedirectURI}}">
<input type="hidden" name="scope" value="{{.Scope}}">
<input type="hidden" name="state" value="{{.State}}">
<button type="submit" name="decision" value="approve" id="approve">Allow</button>
<button type="submit" name="decision" value="cancel" id="cancel">Cancel</button>
<button type="submit" name="decision" value="cancel_login" id="cancel-login">Do not sign in</button>
</form>
</body>
</html>
`))

var refusalPage = template.Must(template.New("refusal").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Simulated LinkedIn: bad request</title></head>
<body><h1>Bummer, something went wrong.</h1><p>{{.}}</p></body>
</html>
`))

// consentRequest are the parameters of the authorization page.
type consentRequest struct {
	ClientID, RedirectURI, Scope, State string
	Scopes                              []string
}

// authorize is the authorization page and what its buttons lead to.
func (s *Server) authorize(r *http.Request) *answer {
	form, decision := r.URL.Query(), ""
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		posted, ok := readForm(r)
		if !ok {
			return htmlAnswer(http.StatusBadRequest, refusalPage, "The form could not be read.")
		}
		form, decision = posted, posted.Get("decision")
	default:
		return envelope{Status: http.StatusMethodNotAllowed, Message: "Method " + r.Method + " is not supported here"}.answer()
	}
	req := consentRequest{
		ClientID: form.Get("client_id"), RedirectURI: form.Get("redirect_uri"),
		Scope: form.Get("scope"), State: form.Get("state"),
	}
	req.Scopes = strings.Fields(req.Scope)
	if problem := s.unacceptable(form.Get("response_type"), req); problem != "" {
		return htmlAnswer(http.StatusUnauthorized, refusalPage, problem)
	}
	for _, scope := range req.Scopes {
		if !slices.Contains(s.cfg.Scopes, scope) {
			return req.back("unauthorized_scope_error", "Scope "+scope+" is not authorized for your application")
		}
	}
	return s.decide(req, decision)
}

// unacceptable says what LinkedIn shows a 401 page for, without going back to
// the app.
func (s *Server) unacceptable(responseType string, req consentRequest) string {
	switch {
	case responseType != "code":
		return "The response_type must be code."
	case req.ClientID != s.cfg.ClientID:
		return "The client_id is not known."
	case !s.registered(req.RedirectURI):
		return "The redirect_uri does not match the registered value."
	case len(req.Scopes) == 0 || strings.Contains(req.Scope, ","):
		return "The scope must be one or more scopes separated by spaces."
	}
	return ""
}

// registered compares a redirect URL with those of the app; query arguments do
// not count.
func (s *Server) registered(text string) bool {
	u, err := url.Parse(text)
	if err != nil || !u.IsAbs() || u.Host == "" || strings.Contains(text, "#") {
		return false
	}
	if len(s.cfg.RedirectURLs) == 0 {
		return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
	}
	return slices.ContainsFunc(s.cfg.RedirectURLs, func(known string) bool {
		k, err := url.Parse(known)
		return err == nil && k.Scheme == u.Scheme && k.Host == u.Host && k.Path == u.Path
	})
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (s *Server) decide(req consentRequest, decision string) *answer {
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	skip := s.cfg.AutoConsent || s.Switches().SkipConsent && s.auth.granted == scopeSet(req.Scopes)
	if decision == "" && skip {
		decision = "approve"
	}
	switch decision {
	case "approve":
	case "cancel":
		return req.back("user_cancelled_authorize", "The user cancelled the authorization")
	case "cancel_login":
		return req.back("user_cancelled_login", "The user cancelled LinkedIn login")
	default:
		return htmlAnswer(http.StatusOK, consentPage, req)
	}
	scopes := s.auth.grant(req.Scopes)
	text := s.auth.text("code", "AQT", "code", 120)
	s.auth.codes[text] = &code{redirect: req.RedirectURI, scopes: scopes, issued: s.clock.now()}
	return req.redirect(url.Values{"code": {text}})
}

// back sends the browser to the app with an error.
func (c consentRequest) back(name, description string) *answer {
	return c.redirect(url.Values{"error": {name}, "error_description": {description}})
}

func (c consentRequest) redirect(arguments url.Values) *answer {
	u, err := url.Parse(c.RedirectURI)
	if err != nil { // was parsed before
		return htmlAnswer(http.StatusUnauthorized, refusalPage, "The redirect_uri is not a URL.")
	}
	query := u.Query()
	for name, values := range arguments {
		query[name] = values
	}
	if c.State != "" {
		query.Set("state", c.State)
	}
	u.RawQuery = query.Encode()
	return &answer{status: http.StatusFound, location: u.String(), contentType: "text/html; charset=utf-8"}
}

func htmlAnswer(status int, page *template.Template, data any) *answer {
	var body bytes.Buffer
	if err := page.Execute(&body, data); err != nil {
		return envelope{Status: http.StatusInternalServerError, Message: "the page could not be made"}.answer()
	}
	return &answer{status: status, contentType: "text/html; charset=utf-8", body: body.Bytes()}
}
